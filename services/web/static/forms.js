// Says so when the site did not answer a form that htmx sent. What was typed is still in it.
document.addEventListener("htmx:sendError", () => {
  const text = document.createElement("p");
  text.className = "message wrap";
  text.textContent = document.querySelector("meta[name=htmx-lost]").content;
  document.getElementById("messages").replaceChildren(text);
});
