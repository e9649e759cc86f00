// Single-letter keys. They act by pressing what is on the page, so a key never does more than a control that is there.

const GOES = { i: "/", s: "/?view=sent", d: "/?view=drafts", c: 'nav.rail a[href*="contacts"]', n: 'nav.rail a[href*="notifications"]' };
let isGoing = 0;

const rows = () => [...document.querySelectorAll("#rows a.row")].filter((row) => row.checkVisibility());
const press = (selector, root = document) => {
  const found = [...root.querySelectorAll(selector)].find((one) => one.checkVisibility?.() ?? true);
  found?.click();
  return Boolean(found);
};

function move(step) {
  const list = rows();
  if (!list.length) return press(step > 0 ? "#older" : "#newer");
  const here = list.findIndex((row) => row === document.activeElement);
  const open = list.findIndex((row) => row.hasAttribute("aria-current"));
  const place = here >= 0 ? here : open;
  const next = list[place < 0 ? 0 : Math.min(Math.max(place + step, 0), list.length - 1)];
  next.focus();
  next.scrollIntoView({ block: "nearest" });
  if (open >= 0 && next !== list[open]) next.click();
  return true;
}

function open() {
  const row = document.activeElement?.closest?.("#rows a.row");
  row?.click();
  return Boolean(row);
}

function process() {
  const row = document.activeElement?.closest?.("#rows li[data-thread]");
  const isOther = row && !row.querySelector("a.row[aria-current]");
  const button = isOther ? row.querySelector('[data-mark="processed"]') : document.getElementById("processed");
  button?.click();
  return Boolean(button);
}

function back() {
  const link = document.getElementById("back");
  if (link) location.assign(link.href);
  return Boolean(link);
}

function go(key) {
  const place = GOES[key];
  if (!place) return false;
  if (place.startsWith("/")) location.assign(place);
  else return press(place);
  return true;
}

async function sheet() {
  const known = document.getElementById("keys");
  if (known) return known.open ? known.close() : known.showModal();
  const answer = await fetch("/keys/", { headers: { "HX-Request": "true" } });
  if (!answer.ok) return;
  const parsed = new DOMParser().parseFromString(await answer.text(), "text/html");
  const dialog = document.adoptNode(parsed.querySelector("dialog"));
  document.body.append(dialog);
  dialog.showModal();
}

const KEYS = {
  j: () => move(1),
  k: () => move(-1),
  o: open,
  e: process,
  u: back,
  z: () => press(".toast[data-undo] button"),
  r: () => press("[data-key-action='reply']"),
  a: () => press("[data-key-action='reply-all']"),
  f: () => press("[data-key-action='forward']"),
  c: () => press("[data-key-action='compose']"),
  "/": () => {
    const field = document.getElementById("search");
    field?.focus();
    field?.select();
    return Boolean(field);
  },
  "?": () => {
    sheet();
    return true;
  },
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  if (event.target.closest?.("input, textarea, select, [contenteditable]")) {
    if (event.key === "Escape" && event.target.id === "search") event.target.blur();
    return;
  }
  if (document.querySelector("dialog:modal")) return;
  if (Date.now() - isGoing < 1200) {
    isGoing = 0;
    if (go(event.key)) event.preventDefault();
    return;
  }
  if (event.key === "g") {
    isGoing = Date.now();
    return;
  }
  if (KEYS[event.key]?.()) event.preventDefault();
});
