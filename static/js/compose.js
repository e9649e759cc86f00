// The composer: keeps what is typed (two seconds after the last key, and when the page goes), sends, closes.
// Invariant: text leaves this page only into a saved draft; what could not be saved stays in this browser until it is.
import { Editor, clean } from "./compose-editor.js";
import { Files } from "./compose-files.js";
import { tell } from "./compose-framed.js";
import { People } from "./compose-people.js";
import { Templates } from "./compose-templates.js";
import { note, say } from "./compose-words.js";

const QUIET = 2000; // ms without a key before a draft is saved
const NOTED = 300; // ms without a key before it is noted in this browser, where a crash leaves it
const LONGEST = 10000; // ms of typing without a save
const composer = document.querySelector("[data-composer]");
const form = document.getElementById("draft");
const saved = document.getElementById("saved");
const token = form.elements.csrfmiddlewaretoken.value;
const STORE = `crm-draft-${composer.dataset.draft}`;

let isDirty = false;
let isStuck = false; // a conflict waits for an answer
let isLeaving = false;
let isUntouched = form.elements.version.value === "1";
let timer = 0;
let noting = 0;
let isAlone = true; // no other window of this browser writes on this draft
let dirtySince = 0;
let running = null;

const people = Object.fromEntries(["to", "cc", "bcc"].map((name) => [name, new People(document.querySelector(`[data-line=${name}]`), composer.dataset.people, changed)]));
const files = new Files({ composer, token, changed: touched, placed: (url, name) => editor.picture(url, name) });
const editor = new Editor({ changed, pictures: (found) => files.inline(found) });
new Templates({ editor, post, firstTo: () => (people.to.take(), people.to.pairs[0]?.[1] ?? ""), changed });
const quote = form.elements.quote; // absent, or the checkbox

function touched() {
  isUntouched = false;
  if (files.count) note("file");
}

function changed() {
  if (isLeaving) return;
  touched();
  if (!isDirty) dirtySince = Date.now();
  isDirty = true;
  clearTimeout(timer);
  timer = setTimeout(save, Math.max(0, Math.min(QUIET, dirtySince + LONGEST - Date.now())));
  saved.textContent = "";
  clearTimeout(noting);
  if (isAlone) noting = setTimeout(() => isDirty && !isStuck && remember(fields()), NOTED);
}

function fields() {
  editor.keep();
  const data = new FormData(form);
  for (const name of ["file", "account", "at", "frame"]) data.delete(name);
  for (const [name, line] of Object.entries(people)) data.set(name, line.value);
  if (composer.dataset.quote) data.set("quote", composer.dataset.quote);
  return data;
}

async function post(url, data, { keepalive = false } = {}) {
  const answer = await fetch(url, { method: "POST", body: data, keepalive, headers: { Accept: "application/json", "X-CSRFToken": token } });
  if (answer.redirected || !(answer.headers.get("Content-Type") ?? "").includes("json")) throw new Error("no answer of ours");
  return { ok: answer.ok, status: answer.status, ...(await answer.json()) };
}

/** Save now; true when what is on the page is kept. One save at a time, the newest text last. */
async function save() {
  clearTimeout(timer);
  if (isStuck) return false;
  if (running) await running;
  if (!isDirty) return true;
  isDirty = false;
  saved.textContent = say("saving");
  const data = fields();
  running = post(form.action, data).then((told) => kept(told, data), () => lost(data));
  const isKept = await running;
  running = null;
  return isKept;
}

function kept(told, data) {
  if (!told.ok) return refused(told, data);
  form.elements.version.value = told.version;
  composer.dataset.quote = "";
  if (!isDirty) localStorage.removeItem(STORE);
  else if (isAlone) remember(fields()); // what was typed meanwhile, now after this version
  note("offline");
  saved.textContent = isDirty ? "" : say("saved", told.saved_at);
  return true;
}

function remember(data) {
  const pairs = [...data].filter(([name, value]) => typeof value === "string" && name !== "csrfmiddlewaretoken");
  try {
    localStorage.setItem(STORE, JSON.stringify(Object.fromEntries(pairs)));
  } catch {
    // a full or forbidden store: the page itself still has the text
  }
}

function lost(data) {
  isDirty = true;
  remember(data);
  saved.textContent = say("unsaved");
  note("offline", say("offline"));
  timer = setTimeout(save, 5000);
  return false;
}

function refused(told, data) {
  isDirty = true;
  remember(data);
  saved.textContent = say("unsaved");
  if (told.kind === "conflict") {
    isStuck = true;
    const show = () => {
      localStorage.removeItem(STORE);
      isLeaving = true;
      location.reload();
    };
    note("conflict", say("conflict", told.saved_at), { acts: [[say("keep_both"), keepBoth], [say("show_other"), show]] });
  } else if (told.kind === "state" || told.status === 404) {
    isStuck = true;
    note("conflict", say("gone"), { tone: "danger" });
  } else note("problem", told.error, { tone: "danger" });
  return false;
}

async function keepBoth() {
  const told = await post(`${form.action}copy/`, withFrame(fields()));
  if (!told.ok) return note("problem", told.error, { tone: "danger" });
  localStorage.removeItem(STORE);
  isLeaving = true;
  location.assign(told.url);
}

function withFrame(data) {
  if (form.elements.frame) data.set("frame", "1");
  return data;
}

// Sending
async function send(extra = {}) {
  for (const line of Object.values(people)) line.take();
  const [bad] = Object.values(people).flatMap((line) => line.invalid);
  if (bad) return note("problem", `${say("invalid", bad[1])}.`, { tone: "danger" });
  if (files.running) return note("problem", say("uploads_run"));
  if (running) await running;
  if (isStuck) return;
  clearTimeout(timer);
  const data = fields();
  for (const [name, value] of Object.entries(extra)) data.set(name, value);
  const button = document.getElementById("send");
  button.disabled = true;
  button.setAttribute("aria-busy", "true");
  try {
    sent(await post(button.formAction, data), data, extra);
  } catch {
    isDirty = true;
    remember(data);
    note("problem", say("send_failed"), { tone: "danger" });
  }
  button.disabled = false;
  button.removeAttribute("aria-busy");
}

function sent(told, data, extra) {
  if (told.ok) {
    isLeaving = true;
    isDirty = false;
    localStorage.removeItem(STORE);
    return tell("queued", told);
  }
  if (told.version) {
    form.elements.version.value = told.version; // the text was kept before the question
    isDirty = false;
    localStorage.removeItem(STORE);
  }
  if (told.kind === "confirm") return ask(told.questions, extra);
  if (told.kind === "conflict" || told.kind === "state") return refused(told, data);
  note("problem", told.error, { tone: "danger" });
  if (told.problems?.to) people.to.input.focus();
}

function ask(questions, extra) {
  const dialog = document.getElementById("ask");
  document.getElementById("ask-questions").replaceChildren(...questions.map((text) => Object.assign(document.createElement("p"), { textContent: text })));
  dialog.querySelector("[data-yes]").onclick = async () => {
    dialog.close();
    await save();
    send({ ...extra, confirmed: "1" });
  };
  dialog.querySelector("[data-no]").onclick = () => dialog.close();
  dialog.showModal();
}

// Closing
async function close() {
  if (isLeaving) return;
  for (const line of Object.values(people)) line.take();
  if (files.running) return note("problem", say("uploads_run"));
  if (isUntouched && !files.count) {
    isLeaving = true;
    await post(`${form.action}discard/`, new FormData()).catch(() => null);
  } else if (isDirty && !(await save())) return;
  isLeaving = true;
  tell("closed", { back: composer.dataset.back, id: composer.dataset.draft });
}

async function discard() {
  isLeaving = true;
  isDirty = false;
  clearTimeout(timer);
  localStorage.removeItem(STORE);
  if (running) await running;
  tell("discarding", { id: composer.dataset.draft, url: `${form.action}discard/`, open: form.action, back: composer.dataset.back });
}

// The form's controls
form.addEventListener("submit", (event) => {
  event.preventDefault();
  if (event.submitter?.id === "discard") discard();
  else if (event.submitter?.dataset.laterAt !== undefined) {
    if (form.elements.at.value) send({ later: "1", at: form.elements.at.value });
  } else if (event.submitter?.name === "confirmed") send({ confirmed: "1" });
  else send();
});
form.addEventListener("input", (event) => event.target.matches("[name=subject]") && changed());
form.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || !event.target.matches("input[name=subject], #later-at")) return; // Enter in a field sends nothing
  event.preventDefault();
  if (event.target.name === "subject") editor.focusStart();
  else form.querySelector("[data-later-at]").click();
});
quote?.addEventListener("change", () => {
  composer.dataset.quote = quote.checked ? "on" : "off";
  changed();
});
composer.addEventListener("click", async (event) => {
  const button = event.target.closest("button, a");
  if (!button) return;
  const { dataset } = button;
  if (dataset.show) showLine(dataset.show, true);
  else if (dataset.later) send({ later: "1", at: dataset.later });
  else if ("close" in dataset) {
    event.preventDefault();
    close();
  } else if ("full" in dataset) {
    event.preventDefault();
    if (!(await save())) return;
    isLeaving = true;
    window.top.location.assign(button.href);
  } else if ("togglePlain" in dataset) editor.togglePlain();
  else if ("signature" in dataset) editor.signature(dataset.signature && document.getElementById(dataset.signature));
  else if ("openQuote" in dataset) openQuote(button);
});
document.addEventListener("keydown", (event) => {
  if (!composer.isConnected) return; // a thread took its place
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    send();
  } else if (event.key === "Escape" && !event.defaultPrevented && !document.querySelector("dialog:modal, details.menu[open]")) close();
}, true);

async function openQuote(button) {
  const answer = await fetch(button.dataset.url, { headers: { Accept: "application/json" } });
  if (!answer.ok) return;
  editor.openQuote(await answer.json());
  composer.dataset.quote = "opened";
  document.getElementById("quote-line").remove();
  changed();
  editor.focusStart();
}

const account = form.elements.account;
account?.addEventListener("change", async () => {
  const data = fields();
  data.set("account", account.value);
  if (running) await running;
  data.set("version", form.elements.version.value);
  const told = await post(account.dataset.url, data).catch(() => null);
  if (!told?.ok) return told ? refused(told, data) : lost(data);
  isDirty = false;
  kept(told, data);
  editor.setHTML(told.html);
  files.free = told.free;
});

function showLine(name, isAsked = false) {
  document.querySelector(`[data-line=${name}]`).hidden = false;
  document.querySelector(`[data-show=${name}]`).hidden = true;
  if (isAsked) people[name].input.focus();
}

document.addEventListener("htmx:before:swap", () => save()); // a row of the list beside may take the composer's place

// Crash, closed tab, lost line: what was typed is saved while the page goes, else kept here.
window.addEventListener("pagehide", () => {
  if (!isDirty || isLeaving || isStuck) return;
  const data = fields();
  remember(data);
  post(form.action, data, { keepalive: true }).then((told) => told.ok && localStorage.removeItem(STORE), () => {});
});
window.addEventListener("beforeunload", (event) => isStuck && !isLeaving && event.preventDefault());

/** Whether this is the only window on this draft; a crashed one holds nothing any more. */
function alone() {
  if (!navigator.locks) return true;
  return new Promise((resolve) => {
    const hold = () => {
      resolve(true);
      return new Promise(() => {}); // until the page goes
    };
    navigator.locks.request(STORE, { signal: AbortSignal.timeout(500) }, hold).catch(() => resolve(false));
  });
}

/** Whether what was noted is what the page shows: the same words, pictures, people and subject. */
function isHere(found) {
  const box = document.createElement("div");
  box.append(clean(found.html ?? ""));
  const words = (one) => one.textContent.replace(/\s+/g, " ").trim() + one.querySelectorAll("b, i, u, s, a, li, blockquote, td, img, span").length;
  const isText = found.is_plain === "1" ? found.text === editor.text.value : words(box) === words(editor.root);
  const isMode = (found.is_plain === "1") === editor.isPlain;
  return isText && isMode && (found.subject ?? "") === form.elements.subject.value && ["to", "cc", "bcc"].every((name) => (found[name] ?? "") === people[name].value);
}

function restore() {
  const found = JSON.parse(localStorage.getItem(STORE) ?? "null");
  if (!found) return;
  localStorage.removeItem(STORE);
  if (isHere(found)) return; // it was saved while the page went
  form.elements.version.value = found.version; // where it was changed elsewhere since, the server says so and both are kept
  form.elements.subject.value = found.subject ?? "";
  for (const name of ["to", "cc", "bcc"]) people[name].replace(found[name] ?? "");
  editor.setHTML(found.html ?? "");
  editor.text.value = found.text ?? "";
  editor.setPlain(found.is_plain === "1");
  note("restored", say("restored"), { tone: "ok" });
  changed();
}

for (const name of ["cc", "bcc"]) {
  document.querySelector(`[data-line=${name}]`).hidden = !people[name].pairs.length;
  document.querySelector(`[data-show=${name}]`).hidden = Boolean(people[name].pairs.length);
}
const openQuoteButton = document.querySelector("[data-open-quote]");
if (openQuoteButton) openQuoteButton.hidden = false;
const key = document.querySelector("[data-send-key]");
key.hidden = false;
if (/Mac|iP(hone|ad)/.test(navigator.platform)) key.textContent = "⌘ ↵";
isAlone = await alone();
if (isAlone) restore();
document.body.dataset.ready = "";
if (people.to.pairs.length) editor.focusStart();
else people.to.input.focus();
window.composer = { save, close }; // for the page around a docked composer
