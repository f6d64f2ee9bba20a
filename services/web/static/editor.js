// The editor's comforts over a form that works without them: toolbar, keys, live preview, texts kept between saves.
(() => {
  "use strict";

  const form = document.querySelector("form.editor");
  const body = form.elements.body;
  const title = form.elements.title;
  const tab = form.elements.tab.value;
  const status = form.querySelector("[data-status]");
  const texts = form.dataset;
  const PREFIX = "slipway:";
  const place = `${PREFIX}${location.pathname}:`;
  const PAUSE = 2000;
  const RETRY = 15000;

  // --- Marks around what is selected. execCommand keeps the browser's undo; setRangeText is for those without it.

  function replace(start, end, text) {
    body.focus();
    body.setSelectionRange(start, end);
    if (!document.execCommand("insertText", false, text)) {
      body.setRangeText(text, start, end, "end");
      body.dispatchEvent(new Event("input", { bubbles: true }));
    }
  }

  function wrap(before, after) {
    const { selectionStart: start, selectionEnd: end, value } = body;
    const chosen = value.slice(start, end);
    const outside = value.slice(start - before.length, start) === before && value.startsWith(after, end);
    if (outside && before === after) {
      replace(start - before.length, end + after.length, chosen);
      body.setSelectionRange(start - before.length, end - before.length);
    } else {
      replace(start, end, before + chosen + after);
      body.setSelectionRange(start + before.length, end + before.length);
    }
  }

  function prefix(mark) {
    const { value } = body;
    const start = value.lastIndexOf("\n", body.selectionStart - 1) + 1;
    const stop = value.indexOf("\n", body.selectionEnd);
    const end = stop < 0 ? value.length : stop;
    const lines = value.slice(start, end).split("\n");
    const off = lines.every((line) => line.startsWith(mark));
    replace(start, end, lines.map((line) => (off ? line.slice(mark.length) : mark + line)).join("\n"));
  }

  // --- Pictures: chosen, pasted or dropped, one after the other; a mark in the text keeps the place of each

  const file = form.querySelector("[data-file]");
  const told = form.querySelector("[data-picture]");
  let uploads = Promise.resolve();

  // The site is away, or has had too much of this address: that passes by itself.
  const passes = ({ status }) => status === 429 || status >= 500;

  function tell(text, warning = false) {
    told.textContent = text;
    told.classList.toggle("wrong", warning);
  }

  async function upload(picture, mark) {
    const data = new FormData();
    data.append("csrfmiddlewaretoken", form.elements.csrfmiddlewaretoken.value);
    data.append("file", picture, picture.name);
    tell(texts.uploading.replace("NAME", picture.name));
    let line = "";
    try {
      const response = await fetch(texts.picturesUrl, { method: "POST", body: data, headers: { Accept: "application/json" } });
      if (response.redirected) throw new Error(texts.loggedOut);
      const json = response.headers.get("Content-Type")?.startsWith("application/json") && (await response.json());
      if (!json || !response.ok) throw new Error(json?.error || (passes(response) ? texts.offline : response.status));
      line = `![](${json.url})`;
      tell(`${json.note} ${texts.uploaded}`);
    } catch (error) {
      tell(`${texts.refused} ${picture.name}: ${error instanceof TypeError ? texts.offline : error.message}`, true);
    }
    const at = body.value.indexOf(mark);
    if (at < 0) return;
    replace(at, at + mark.length, line);
    if (line) body.setSelectionRange(at + 2, at + 2);
  }

  function take(list) {
    const pictures = [...list].filter((item) => item.type.startsWith("image/"));
    const marks = pictures.map((picture) => {
      const mark = `![${picture.name.replace(/[[\]\\\n]/g, "")} …${Math.random().toString(36).slice(2, 6)}]()`;
      uploads = uploads.then(() => upload(picture, mark));
      return mark;
    });
    if (marks.length) replace(body.selectionStart, body.selectionEnd, marks.join("\n\n"));
    return pictures.length > 0;
  }

  file.addEventListener("change", () => {
    take(file.files);
    file.value = "";
  });
  body.addEventListener("paste", (event) => {
    if (!event.clipboardData.types.includes("text/plain") && take(event.clipboardData.files)) event.preventDefault();
  });
  body.addEventListener("drop", (event) => take(event.dataTransfer.files) && event.preventDefault());
  body.addEventListener("change", () => /!\[\s*\]\(/.test(body.value) && tell(texts.withoutAlt, true));

  const toolbar = form.querySelector("[role=toolbar]");
  toolbar.hidden = false;
  toolbar.addEventListener("click", ({ target }) => {
    const button = target.closest("button");
    if (!button) return;
    const { before, after, line, live } = button.dataset;
    if (before !== undefined) wrap(before, after ?? before);
    else if (line !== undefined) prefix(line);
    else if (live !== undefined) togglePreview(button);
    else file.click();
  });

  form.addEventListener("keydown", (event) => {
    if (!(event.ctrlKey || event.metaKey) || event.altKey || event.shiftKey || event.isComposing) return;
    const key = event.key.toLowerCase();
    if (key === "s") form.requestSubmit(form.querySelector("button[value=save]"));
    else if (event.target === body && key === "b") wrap("**", "**");
    else if (event.target === body && key === "i") wrap("*", "*");
    else if (event.target === body && key === "k") wrap("[", "](https://)");
    else return;
    event.preventDefault();
  });

  // --- Live preview, rendered by the server as the article will be

  const preview = form.querySelector("[data-preview]");
  let asked = null;
  let previewTimer = 0;

  function send(address, names, signal) {
    const data = new FormData();
    for (const name of ["csrfmiddlewaretoken", ...names]) data.append(name, form.elements[name].value);
    return fetch(address, { method: "POST", body: data, signal, headers: { Accept: "application/json, text/html" } });
  }

  async function show() {
    asked?.abort();
    asked = new AbortController();
    try {
      const response = await send(texts.previewUrl, ["body"], asked.signal);
      if (passes(response)) throw new Error(String(response.status));
      if (response.ok && !response.redirected) preview.innerHTML = await response.text();
      else say(texts.loggedOut, true);
    } catch (error) {
      if (error.name === "AbortError") return;
      remember();
      say(texts.offline, true);
    }
  }

  function togglePreview(button) {
    preview.hidden = !preview.hidden;
    button.setAttribute("aria-pressed", String(!preview.hidden));
    if (!preview.hidden) show();
  }

  // --- Texts between two saves: with the server when it answers, in this browser until it does

  let kept = form.dataset.typed === undefined;
  let othersChanged = !kept;
  let leaving = false;
  let timer = 0;
  let busy = false;

  function say(text, warning = false) {
    status.textContent = text;
    status.classList.toggle("wrong", warning);
  }

  function remember() {
    try {
      localStorage.setItem(place + tab, JSON.stringify({ title: title.value, body: body.value, at: Date.now() }));
    } catch {
      // No room, or storage is switched off: the server's copy is the one that counts.
    }
  }

  function forget(key = place + tab) {
    try {
      localStorage.removeItem(key);
    } catch {
      // As above.
    }
  }

  function later(pause = PAUSE) {
    clearTimeout(timer);
    timer = setTimeout(keep, pause);
  }

  async function keep() {
    remember();
    if (busy) return later();
    busy = true;
    const sent = [title.value, body.value];
    try {
      const response = await send(texts.autosaveUrl, ["title", "body", "version", "tab"]);
      const json = response.headers.get("Content-Type")?.startsWith("application/json");
      if (json && (response.ok || response.status === 409)) {
        const told = await response.json();
        if (response.ok && title.value === sent[0] && body.value === sent[1]) {
          kept = true;
          forget();
        }
        if (response.status === 409) say(texts.otherTab, true);
        else if (told.version > Number(form.elements.version.value)) say(texts.savedElsewhere, true);
        else if (told.others.length) say(texts.others.replace("NAMES", told.others.join(", ")), true);
        else say(texts.kept.replace("TIME", told.time));
      } else if (response.status === 400) {
        say(texts.tooLong, true);
      } else if (passes(response)) {
        throw new Error(String(response.status));
      } else {
        say(texts.loggedOut, true);
      }
    } catch {
      say(texts.offline, true);
      later(RETRY);
    } finally {
      busy = false;
    }
  }

  form.addEventListener("input", ({ target }) => {
    if (target !== title && target !== body) {
      othersChanged = true;
      return;
    }
    kept = false;
    later();
    if (target === body && !preview.hidden) {
      clearTimeout(previewTimer);
      previewTimer = setTimeout(show, 400);
    }
  });
  addEventListener("online", () => kept || keep());
  form.addEventListener("submit", () => {
    leaving = true;
    clearTimeout(timer);
    remember();
  });
  // Back from a submission that went nowhere.
  addEventListener("pageshow", () => (leaving = false));
  addEventListener("beforeunload", (event) => {
    if (leaving || (kept && !othersChanged)) return;
    remember();
    event.preventDefault();
  });
  if (!kept) later();

  // What this browser kept and the server never got is offered; what is saved by now is forgotten.
  const offer = document.querySelector("[data-offer]");
  for (const key of Object.keys(localStorage).filter((name) => name.startsWith(PREFIX))) {
    let copy = null;
    try {
      copy = JSON.parse(localStorage.getItem(key));
    } catch {
      forget(key);
    }
    if (!copy) continue;
    if (copy.body === body.value && copy.title.trim() === title.value) forget(key);
    else if (key.startsWith(place) && offer.hidden) {
      offer.hidden = false;
      offer.querySelector("time").textContent = new Date(copy.at).toLocaleString(document.documentElement.lang);
      offer.addEventListener("click", ({ target }) => {
        if (target.dataset.take !== undefined) {
          title.value = copy.title;
          replace(0, body.value.length, copy.body);
        } else if (target.dataset.drop === undefined) return;
        forget(key);
        offer.hidden = true;
      });
    }
  }

  // --- Another tab of this browser with the same article: each tells the other, once

  if ("BroadcastChannel" in window && texts.article) {
    const channel = new BroadcastChannel(`${PREFIX}${texts.article}`);
    channel.addEventListener("message", ({ data }) => {
      say(texts.otherTab, true);
      if (data === "hello") channel.postMessage("here");
    });
    channel.postMessage("hello");
  }
})();
