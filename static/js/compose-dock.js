// On every page of the panel: opens the composer docked, shows what is being sent with its undo, discards after an undo's time.

const UNDO = 8000; // ms in which a discarded draft can be taken back
const KEY = "crm-outgoing";
const area = document.getElementById("outgoing");
const token = () => JSON.parse(document.body.getAttribute("hx-headers:inherited") ?? "{}")["X-CSRFToken"];
const post = (url, data = {}, more = {}) =>
  fetch(url, { method: "POST", body: new URLSearchParams(data), headers: { Accept: "application/json", "X-CSRFToken": token() }, ...more });
const news = () => {
  document.dispatchEvent(new CustomEvent("crm:news", { detail: {} }));
  answers();
};

/** Drafts and unfinished answers under the open thread, as they are now. */
async function answers() {
  const old = document.getElementById("answers");
  if (!old) return;
  const page = await fetch(location.href, { headers: { "HX-Request": "true" } }).catch(() => null);
  if (!page?.ok) return;
  const fresh = new DOMParser().parseFromString(await page.text(), "text/html").getElementById("answers");
  const here = document.getElementById("answers");
  if (fresh && here && here.dataset.thread === fresh.dataset.thread && !here.contains(document.activeElement)) here.replaceWith(document.adoptNode(fresh));
}
let opener = null;

const dock = () => document.querySelector("iframe.dock");

function makeFrame() {
  dock()?.remove();
  const frame = document.getElementById("dock-frame").content.firstElementChild.cloneNode(true);
  document.body.append(frame);
  frame.addEventListener("load", () => frame.contentWindow?.focus());
  return frame;
}

/** A draft that is open is kept before another takes its place. */
async function settle() {
  const open = dock()?.contentWindow?.composer;
  if (open) await open.save().catch(() => false);
}

document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (!form.matches("form[data-compose]") || form.target) return;
  event.preventDefault();
  opener = document.activeElement;
  await settle();
  makeFrame();
  const fields = [[event.submitter?.name, event.submitter?.value], ["frame", "1"]].filter(([name]) => name).map(([name, value]) => Object.assign(document.createElement("input"), { type: "hidden", name, value }));
  form.append(...fields);
  form.target = "composer";
  form.submit();
  form.removeAttribute("target");
  for (const field of fields) field.remove();
});

document.addEventListener("click", async (event) => {
  const link = event.target.closest("a[data-compose-open]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  event.stopPropagation();
  opener = link;
  await settle();
  open(link.href);
}, true);

function open(url) {
  const address = new URL(url, location.href);
  address.searchParams.set("frame", "1");
  makeFrame().contentWindow.location.replace(address);
}

function closeFrame() {
  const had = dock();
  had?.remove();
  if (had && opener?.isConnected) opener.focus({ preventScroll: true });
  news();
}

window.addEventListener("message", (event) => {
  if (event.origin !== location.origin || !event.data?.crm || event.source !== dock()?.contentWindow) return;
  closeFrame();
  show(event.data);
});

function show(told) {
  if (told.crm === "queued") showSending(told);
  if (told.crm === "discarding") showDiscarding(told);
}

const toastOf = (id) => document.getElementById(id).content.firstElementChild.cloneNode(true);

function showSending({ id, seconds, to, at, began = Date.now() }) {
  const toast = toastOf("toast-sending");
  const [text, count] = [toast.querySelector("[data-text]"), toast.querySelector("[data-count]")];
  const word = (name, value) => { text.textContent = text.dataset[name].replace("%s", () => value); };
  word(at ? "later" : "sending", at || to);
  const until = began + (at ? 8 : seconds) * 1000;
  const step = () => {
    const left = Math.ceil((until - Date.now()) / 1000);
    if (!at) count.textContent = left > 0 ? count.dataset.in.replace("%s", left) : "";
    if (left > 0) return;
    clearInterval(tick);
    sessionStorage.removeItem(KEY);
    if (at) toast.remove();
    else follow();
  };
  const tick = setInterval(step, 250);
  const follow = () => {
    for (const button of toast.querySelectorAll("button")) button.remove();
    delete toast.dataset.undo;
    count.textContent = "";
    word("now", to);
    watch(id, toast, () => word("sent", to));
  };
  toast.querySelector("[data-undo-send]").addEventListener("click", async () => {
    clearInterval(tick);
    sessionStorage.removeItem(KEY);
    const answer = await post(`/compose/${id}/undo/`).catch(() => null);
    if (!answer?.ok) return follow();
    toast.remove();
    open(`/compose/${id}/`);
  });
  toast.querySelector("[data-send-now]").addEventListener("click", async () => {
    clearInterval(tick);
    sessionStorage.removeItem(KEY);
    await post(`/compose/${id}/decide/`, { what: "now" }).catch(() => null);
    follow();
  });
  if (at) toast.querySelector("[data-send-now]").remove();
  area.append(toast);
  step();
}

/** Ask until it is known what became of it; what needs a person is said loudly. */
async function watch(id, toast, isSent) {
  for (let turn = 0; turn < 60; turn += 1) {
    await new Promise((resolve) => setTimeout(resolve, turn < 10 ? 1000 : 3000));
    const answer = await fetch(`/compose/${id}/state/`, { headers: { Accept: "application/json" } }).catch(() => null);
    const told = answer?.ok ? await answer.json() : { is_over: false };
    if (!told.is_over) continue;
    if (["sent", "filed"].includes(told.state)) {
      isSent();
      setTimeout(() => toast.remove(), 4000);
    } else {
      toast.remove();
      showTrouble(id, told);
    }
    return news();
  }
  toast.remove();
}

function showTrouble(id, told) {
  const toast = toastOf("toast-trouble");
  toast.querySelector("[data-title]").textContent = `${told.title}.`;
  toast.querySelector("[data-text]").textContent = told.text;
  const link = toast.querySelector("a");
  link.href = `/compose/${id}/`;
  link.dataset.composeOpen = "";
  link.addEventListener("click", () => toast.remove());
  area.append(toast);
}

function showDiscarding({ id, url, began = Date.now() }) {
  const toast = toastOf("toast-discarding");
  document.querySelector(`a[data-compose-open][href="/compose/${id}/"]`)?.closest("li")?.setAttribute("hidden", "");
  const really = (more) => {
    clearTimeout(timer);
    removeEventListener("pagehide", atOnce);
    sessionStorage.removeItem(KEY);
    toast.remove();
    return post(url, {}, more).catch(() => null);
  };
  const atOnce = () => really({ keepalive: true });
  const timer = setTimeout(() => really().then(news), Math.max(0, began + UNDO - Date.now()));
  addEventListener("pagehide", atOnce);
  toast.querySelector("[data-undo-discard]").addEventListener("click", () => {
    clearTimeout(timer);
    removeEventListener("pagehide", atOnce);
    sessionStorage.removeItem(KEY);
    toast.remove();
    open(`/compose/${id}/`);
  });
  area.append(toast);
}

// What the composer's own page left for this one.
const left = JSON.parse(sessionStorage.getItem(KEY) ?? "null");
if (left && area) {
  if (left.crm === "discarding" || Date.now() - left.began < 15000) show(left);
  else sessionStorage.removeItem(KEY);
}
