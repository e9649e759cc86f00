// Sentences of the composer's page, translated by the server; %s is filled here.

const words = new Map([...document.querySelectorAll("#words dt")].map((term) => [term.textContent, term.nextElementSibling.textContent]));
export const say = (key, value = "") => (words.get(key) ?? key).replace("%s", () => value);
export const icon = () => document.getElementById("x-icon").content.firstElementChild.cloneNode(true);

/** A banner over the text; one per key. `acts`: [[label, act], …]. Without text it goes. */
export function note(key, text = "", { tone = "warn", acts = [] } = {}) {
  document.querySelector(`[data-note="${key}"]`)?.remove();
  if (!text) return;
  const banner = document.getElementById("note").content.firstElementChild.cloneNode(true);
  banner.dataset.note = key;
  banner.classList.add(`banner-${tone}`);
  banner.querySelector("div").textContent = text;
  for (const [label, act] of acts) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "btn btn-small";
    button.textContent = label;
    button.addEventListener("click", act);
    banner.querySelector(".acts").append(button);
  }
  document.getElementById("composer-notes").append(banner);
}
