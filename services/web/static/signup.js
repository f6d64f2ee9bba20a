// The proof of work of the sign-up form: a number with which the hash of the form's token begins with zero bits.
(() => {
  const work = document.querySelector("input[data-work]");
  if (!work || !window.crypto || !crypto.subtle) return;
  const form = work.form;
  const bits = Number(work.dataset.work);
  const token = form.elements.token.value;
  const encoder = new TextEncoder();

  const zeros = (hash) => {
    const view = new DataView(hash);
    return Math.clz32(view.getUint32(0)) >= bits;
  };

  const solve = async () => {
    for (let start = 0; ; start += 256) {
      const tries = Array.from({ length: 256 }, (_, step) => start + step);
      const hashes = await Promise.all(tries.map((n) => crypto.subtle.digest("SHA-256", encoder.encode(`${token}:${n}`))));
      const found = hashes.findIndex(zeros);
      if (found >= 0) return start + found;
    }
  };

  const solved = solve().then((number) => { work.value = number; });

  form.addEventListener("submit", (event) => {
    if (work.value) return;
    event.preventDefault();
    form.setAttribute("aria-busy", "true");
    solved.then(() => form.submit());
  });
})();
