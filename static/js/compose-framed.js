// Talking to the page around a docked composer; on a page of its own the same things happen by going elsewhere.

const isFramed = window.parent !== window;
const KEY = "crm-outgoing"; // what the next page of this tab has to show

/** Tell what happened: closed, queued, discarding. On a page of its own the next page is told, and `back` is gone to. */
export function tell(kind, detail = {}) {
  if (isFramed) return window.parent.postMessage({ crm: kind, ...detail }, location.origin);
  if (kind !== "closed") sessionStorage.setItem(KEY, JSON.stringify({ crm: kind, began: Date.now(), ...detail }));
  location.assign(detail.back || "/");
}

// Pages without an editor (what became of an email) close by themselves.
if (isFramed && !document.querySelector("[data-composer]")) {
  document.addEventListener("click", (event) => {
    if (!event.target.closest("[data-close]")) return;
    event.preventDefault();
    tell("closed");
  });
  document.addEventListener("keydown", (event) => event.key === "Escape" && tell("closed"));
}
