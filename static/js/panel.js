// What every page of the panel does: menus that close, toasts that go, focus that stays after swaps, previews, print.

const TOAST_SECONDS = 8;

document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (!menu.contains(event.target) || event.target.closest(".menu-list :is(a, button)")) menu.open = false;
  }
  if (event.target.closest("[data-print]")) window.print();
  const preview = event.target.closest("a[data-preview]");
  if (preview && !event.metaKey && !event.ctrlKey) {
    event.preventDefault();
    showPicture(preview.href, preview.closest(".file")?.querySelector("b")?.textContent ?? "");
  }
});

// The first stop of the keyboard leads past the rail and the list, whatever the main part of the page is called.
document.querySelector("a.skip")?.addEventListener("click", (event) => {
  const main = document.querySelector("main");
  if (!main) return;
  event.preventDefault();
  main.tabIndex = -1;
  main.focus();
});

document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  const menu = document.querySelector("details.menu[open]");
  if (menu) {
    menu.open = false;
    menu.querySelector("summary").focus();
  }
});

function showPicture(url, name) {
  const dialog = document.createElement("dialog");
  dialog.className = "dialog preview";
  dialog.setAttribute("aria-label", name);
  const picture = document.createElement("img");
  picture.src = url;
  picture.alt = name;
  dialog.append(picture);
  dialog.addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}

// Focus: a swap may replace the element that has it; the new one with the same id gets it back.
let focused = "";
document.addEventListener("htmx:before:swap", () => {
  focused = document.activeElement?.id ?? "";
});
document.addEventListener("htmx:after:swap", () => {
  if (focused && (document.activeElement === document.body || !document.activeElement)) {
    document.getElementById(focused)?.focus({ preventScroll: true });
  }
});

// Toasts go by themselves, unless a person is on them.
const toasts = document.getElementById("toasts");
function forget(toast) {
  if (toast.matches(":hover, :focus-within")) setTimeout(forget, 1000, toast);
  else toast.remove();
}
function watchToasts() {
  for (const toast of document.querySelectorAll(".toasts > .toast:not([data-seen])")) {
    toast.dataset.seen = "";
    setTimeout(forget, TOAST_SECONDS * 1000, toast);
  }
}
if (toasts) {
  new MutationObserver(watchToasts).observe(toasts.parentElement, { childList: true, subtree: true });
  watchToasts();
}
