// Attachments by button, drag and paste, with progress; pictures dropped into the text become pictures of the text.
import { icon, note, say } from "./compose-words.js";

const PICTURE = /^image\/(?:png|jpe?g|gif|webp)$/;
const units = (bytes) => (bytes < 1e6 ? `${Math.max(1, Math.round(bytes / 1e3))} kB` : `${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB`);

export class Files {
  constructor({ composer, token, changed, placed }) {
    this.list = document.getElementById("files");
    this.field = document.getElementById("file");
    this.url = this.field.dataset.url;
    this.free = Number(composer.dataset.free);
    this.token = token;
    this.changed = changed;
    this.placed = placed; // (url, name): an uploaded picture of the text
    this.running = 0;
    this.field.addEventListener("change", () => {
      this.attach([...this.field.files]);
      this.field.value = "";
    });
    const picture = document.getElementById("picture");
    picture.addEventListener("change", () => {
      this.inline([...picture.files]);
      picture.value = "";
    });
    this.list.addEventListener("click", (event) => {
      const button = event.target.closest("[data-remove]");
      if (!button) return;
      event.preventDefault();
      this.remove(button);
    });
    this.listenToDrags(composer);
    composer.addEventListener("paste", (event) => this.pasted(event), true);
  }

  get count() {
    return this.list.childElementCount;
  }

  listenToDrags(composer) {
    const editor = document.getElementById("editor-pane");
    composer.dataset.drop = say("drop");
    let inside = 0;
    const has = (event) => event.dataTransfer?.types.includes("Files");
    composer.addEventListener("dragenter", (event) => has(event) && ++inside && composer.classList.add("is-drop"));
    composer.addEventListener("dragleave", (event) => has(event) && !--inside && composer.classList.remove("is-drop"));
    composer.addEventListener("dragover", (event) => has(event) && event.preventDefault());
    composer.addEventListener("drop", (event) => {
      if (!has(event)) return;
      event.preventDefault();
      event.stopPropagation();
      inside = 0;
      composer.classList.remove("is-drop");
      const files = [...event.dataTransfer.files];
      const shown = editor.contains(event.target) && !document.body.hasAttribute("data-plain") ? files.filter((one) => PICTURE.test(one.type)) : [];
      this.inline(shown);
      this.attach(files.filter((one) => !shown.includes(one)));
    }, true);
  }

  /** Files that are pasted: pictures into formatted text are the editor's, all else is attached. */
  pasted(event) {
    const files = [...(event.clipboardData?.files ?? [])];
    const isText = document.body.hasAttribute("data-plain") || !event.target.closest?.(".editor-root");
    const others = files.filter((one) => isText || !PICTURE.test(one.type));
    if (!others.length) return;
    event.preventDefault();
    event.stopPropagation();
    this.attach(others);
  }

  attach(files) {
    for (const file of files) this.send(file, false);
  }

  inline(files) {
    for (const file of files) this.send(file, true);
  }

  fits(file) {
    if (file.size <= this.free) return true;
    note("file", say("too_large", file.name), { tone: "danger" });
    return false;
  }

  send(file, isInline) {
    if (!this.fits(file)) return;
    this.free -= file.size;
    this.running += 1;
    const card = this.card(file, isInline);
    const form = new FormData();
    form.append("file", file, file.name || "picture.png");
    if (isInline) form.append("inline", "1");
    const request = new XMLHttpRequest();
    card.querySelector("button").addEventListener("click", () => request.abort());
    request.upload.addEventListener("progress", (event) => {
      card.querySelector("progress").value = event.total ? (100 * event.loaded) / event.total : 0;
      card.querySelector(".small").textContent = `${units(Math.min(event.loaded, file.size))} / ${units(file.size)}`;
    });
    request.addEventListener("loadend", () => this.done(request, card, file, isInline));
    request.open("POST", this.url);
    request.setRequestHeader("Accept", "application/json");
    request.setRequestHeader("X-CSRFToken", this.token);
    request.send(form);
  }

  done(request, card, file, isInline) {
    this.running -= 1;
    let told = {};
    try {
      told = JSON.parse(request.responseText);
    } catch {
      // no answer of ours: said below
    }
    if (request.status !== 200 || !told.files?.length) {
      card.remove();
      this.free += file.size;
      if (request.status) note("file", told.error ?? say("upload_failed", file.name), { tone: "danger" });
      else if (!request.responseText && request.readyState === 4) note("file", say("upload_failed", file.name), { tone: "danger" });
      return;
    }
    this.free = told.free;
    const [made] = told.files;
    if (isInline) {
      card.remove();
      this.placed(made.url, made.name);
    } else this.finish(card, made);
    this.changed();
  }

  card(file, isInline) {
    const card = document.createElement("div");
    card.className = "file";
    const kind = document.createElement("span");
    kind.className = "avatar";
    kind.ariaHidden = "true";
    kind.textContent = (file.name.split(".").pop() ?? "").slice(0, 4).toUpperCase();
    const text = document.createElement("div");
    text.className = "clip";
    const name = document.createElement("b");
    name.className = "clip";
    name.dir = "auto";
    name.textContent = file.name;
    const size = document.createElement("span");
    size.className = "small faint";
    size.textContent = units(file.size);
    text.append(name, size);
    const button = document.createElement("button");
    button.type = "button";
    button.className = "btn btn-icon btn-small";
    button.setAttribute("aria-label", say("remove", file.name));
    button.append(icon());
    const progress = document.createElement("progress");
    progress.max = 100;
    progress.value = 0;
    progress.setAttribute("aria-label", say("uploading", file.name));
    card.append(kind, text, button, progress);
    card.classList.toggle("is-picture", isInline);
    this.list.append(card);
    return card;
  }

  finish(card, made) {
    card.dataset.file = made.id;
    card.querySelector(".avatar").textContent = made.kind;
    card.querySelector("b").textContent = made.name;
    card.querySelector(".small").textContent = made.size;
    card.querySelector("progress").remove();
    card.querySelector("button").dataset.remove = made.remove;
  }

  async remove(button) {
    const card = button.closest(".file");
    card.hidden = true;
    const answer = await fetch(button.dataset.remove, { method: "POST", headers: { Accept: "application/json", "X-CSRFToken": this.token } }).catch(() => null);
    if (answer?.ok) card.remove();
    else card.hidden = false;
    this.changed();
  }
}
