// Says so when the site did not answer a form that htmx sent. What was typed is still in it.
function unanswered() {
  const text = document.createElement("p");
  text.className = "message wrap";
  text.textContent = document.querySelector("meta[name=htmx-lost]").content;
  document.getElementById("messages").replaceChildren(text);
}
document.addEventListener("htmx:sendError", unanswered);
// A page of nginx's own: the application is away, or may not be asked just now. It takes no form's place.
document.addEventListener("htmx:beforeSwap", ({ detail }) => {
  if (detail.xhr.getResponseHeader("HX-Reswap") !== "none") return;
  detail.shouldSwap = false;
  unanswered();
});
