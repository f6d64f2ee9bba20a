// Escape closes an open menu and gives the focus back to its button.
document.addEventListener("keydown", (event) => {
  const menu = event.key === "Escape" && document.querySelector(".menu[open]");
  if (!menu) return;
  menu.open = false;
  menu.firstElementChild.focus();
});
