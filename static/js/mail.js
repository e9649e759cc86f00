// The Email tab: which row is open, one pane at a time on small screens, rows that arrive while one looks.
import { fitFrames } from "./frames.js";

const rows = () => [...document.querySelectorAll("#rows a.row")];
const letter = () => document.getElementById("letter");
const isNarrow = () => matchMedia("(max-width: 700px)").matches;

function markOpen() {
  const id = letter()?.dataset.thread;
  for (const row of rows()) {
    if (id && row.id === `open-${id}`) row.setAttribute("aria-current", "true");
    else row.removeAttribute("aria-current");
  }
  return id;
}

let shown = letter()?.dataset.thread;
function settle() {
  fitFrames();
  const id = markOpen();
  if (id === shown) return;
  shown = id;
  document.body.dataset.view = id ? "thread" : "list";
  if (!id) return;
  document.body.classList.remove("app-list");
  document.title = document.title.replace(/^(\(\d+\+?\) )?.*?( · CRM Mail)$/, (_all, count, name) => (count ?? "") + letter().dataset.title + name);
  letter().querySelector(".scroll")?.scrollTo(0, 0);
  if (isNarrow()) document.getElementById("subject")?.focus({ preventScroll: true });
  else document.getElementById(`open-${id}`)?.scrollIntoView({ block: "nearest" });
}
document.addEventListener("htmx:after:swap", settle);
document.addEventListener("htmx:after:settle", settle);
document.addEventListener("DOMContentLoaded", settle);
settle();

// A list of what is not processed (or unread) loses a row that was marked; the next one gets the focus.
document.addEventListener("htmx:before:request", (event) => {
  const button = event.target.closest?.("[data-mark], #processed, [data-leaves]");
  if (!button) return;
  const view = new URLSearchParams(location.search).get("view");
  const row = button.closest("li[data-thread]") ?? document.getElementById(`row-${letter()?.dataset.thread}`);
  const isProcessed = button.id === "processed" || button.dataset.mark === "processed";
  const leaves = "leaves" in button.dataset || view === (isProcessed ? "open" : "unread");
  if (!row || !leaves) return;
  const list = rows();
  const place = list.indexOf(row.querySelector("a.row"));
  const next = list[place + 1] ?? list[place - 1];
  if (button.closest("li")) next?.focus();
  else if (next && !isNarrow()) next.click();
  row.dataset.leaving = "";
});
document.addEventListener("htmx:after:swap", () => {
  for (const row of document.querySelectorAll("#rows li[data-leaving]")) {
    if (row.dataset.leaving === "done") row.remove();
    else row.dataset.leaving = "done";
  }
});

// What was taken back stands in the list again.
document.addEventListener("htmx:after:swap", () => {
  const toast = document.querySelector("#toasts [data-refresh]");
  if (!toast) return;
  delete toast.dataset.refresh;
  refresh();
});

// A letter that takes longer than 300 ms shows its shape. What stood there before comes back if nothing arrives.
const SLOW = 300; // ms
let waiting = 0;
function showShape() {
  const pane = letter();
  if (!pane || pane.classList.contains("is-waiting")) return;
  const shape = document.createElement("div");
  shape.className = "letter-in letter-shape";
  shape.setAttribute("aria-hidden", "true");
  for (let line = 0; line < 9; line += 1) shape.append(Object.assign(document.createElement("i"), { className: "skel" }));
  pane.append(shape);
  pane.classList.add("is-waiting");
  pane.setAttribute("aria-busy", "true");
}
function hideShape() {
  clearTimeout(waiting);
  const pane = letter();
  if (!pane?.classList.contains("is-waiting")) return;
  pane.classList.remove("is-waiting");
  pane.removeAttribute("aria-busy");
  pane.querySelector(".letter-shape")?.remove();
}
const asksForLetter = (event) => event.target.closest?.("[hx-target='#letter']")?.getAttribute("hx-swap") === "outerHTML";
let before = null;
document.addEventListener("htmx:before:request", (event) => {
  if (!asksForLetter(event)) return;
  clearTimeout(waiting);
  before = letter();
  waiting = setTimeout(showShape, SLOW);
});
// Other swaps (the context column, news) say nothing about the letter.
document.addEventListener("htmx:after:swap", () => {
  if (letter() !== before) hideShape();
});
for (const name of ["htmx:error", "htmx:response:error"]) {
  document.addEventListener(name, (event) => {
    if (asksForLetter(event)) hideShape();
  });
}

// Mail that arrived in the open thread: said beside the letter, shown when asked for.
function tellArrived() {
  const line = document.querySelector("#arrived");
  const row = document.getElementById(`row-${letter()?.dataset.thread}`);
  const more = Number(row?.dataset.count) - Number(letter()?.dataset.count);
  if (!line || !(more > 0)) return;
  const link = line.querySelector("a");
  link.textContent = more === 1 ? line.dataset.one : line.dataset.many.replace("#", more);
  link.hidden = false;
}

// News: the first rows are asked for again and morphed in, so that focus, scroll and menus stay.
let isDirty = false;
async function refresh() {
  const list = document.querySelector("[data-list]");
  if (!list) return;
  if (document.hidden) {
    isDirty = true;
    return;
  }
  isDirty = false;
  const first = document.getElementById("first-rows");
  const url = new URL(list.dataset.list, location.href);
  const has_more = document.querySelector("#rows .page-more") && first?.dataset.until;
  if (has_more) url.searchParams.set("until", first.dataset.until);
  else url.searchParams.set("rows", "1");
  await htmx.ajax("GET", url.pathname + url.search, { target: has_more ? "#first-rows" : "#rows", swap: "innerMorph" });
  markOpen();
  tellArrived();
}
document.addEventListener("crm:news", refresh);
document.addEventListener("visibilitychange", () => {
  if (!document.hidden && isDirty) refresh();
});

// "Narrow with": an operator is put into the search field.
document.addEventListener("click", (event) => {
  const word = event.target.closest("[data-operator]")?.dataset.operator;
  const field = document.getElementById("search");
  if (!word || !field) return;
  field.value = `${field.value.trimEnd()} ${word}`.trimStart();
  field.focus();
});
