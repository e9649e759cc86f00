// Templates: put in, kept, removed with an undo; the names of fields put in while one writes a template.
import { note, say } from "./compose-words.js";

export class Templates {
  constructor({ editor, post, firstTo, changed }) {
    Object.assign(this, { editor, post, firstTo, changed });
    this.menu = document.getElementById("templates");
    this.list = document.getElementById("template-list");
    this.subject = document.getElementById("subject-line");
    this.name = document.getElementById("template-name");
    this.menu.addEventListener("click", (event) => {
      const { dataset } = event.target.closest("button") ?? { dataset: {} };
      if (dataset.template) this.use(dataset.template);
      else if (dataset.removeTemplate) this.remove(event.target.closest(".menu-row"), dataset.removeTemplate);
      else if (dataset.keepTemplate) this.keep(dataset.keepTemplate);
    });
    this.name.addEventListener("keydown", (event) => {
      if (event.key !== "Enter") return;
      event.preventDefault();
      this.menu.querySelector("[data-keep-template]").click();
    });
    const fields = document.getElementById("template-field");
    fields.addEventListener("change", () => {
      if (fields.value) this.editor.insertText(`{{${fields.value}}}`);
      fields.value = "";
    });
  }

  /** Filled in by the server for the first recipient. */
  async use(url) {
    const filled = await this.ask(`${url}?to=${encodeURIComponent(this.firstTo())}`);
    this.menu.open = false;
    if (!filled) return;
    this.editor.insert(filled.html);
    if (!this.subject.value && filled.subject) this.subject.value = filled.subject;
    note("template", filled.missing.length ? say("missing", filled.missing.join(", ")) : "");
    this.changed();
  }

  async ask(url) {
    const answer = await fetch(url, { headers: { Accept: "application/json" } }).catch(() => null);
    return answer?.ok ? answer.json() : null;
  }

  async keep(url) {
    const name = this.name.value.trim();
    if (!name) return this.name.focus();
    const isShared = Boolean(document.getElementById("template-shared")?.checked);
    const html = this.editor.asHTML();
    const told = await this.save(url, { name, subject: this.subject.value, html, isShared });
    if (told.ok) {
      this.menu.open = false;
      this.name.value = "";
    }
    note("template", told.ok ? say("template_kept", told.name) : told.error ?? say("send_failed"), { tone: told.ok ? "ok" : "danger" });
  }

  async save(url, { name, subject, html, isShared }) {
    const data = new FormData();
    for (const [key, value] of Object.entries({ name, subject, html })) data.set(key, value);
    if (isShared) data.set("is_shared", "1");
    const told = await this.post(url, data).catch(() => ({}));
    if (told.ok) this.show(told.id, told.name, isShared);
    return told;
  }

  show(id, name, isShared) {
    const row = document.getElementById("template-row").content.firstElementChild.cloneNode(true);
    const [use, remove] = row.querySelectorAll("button");
    use.dataset.template = use.dataset.template.replace("/0/", `/${id}/`);
    use.firstElementChild.textContent = name;
    use.querySelector(".count").hidden = !isShared;
    remove.dataset.removeTemplate = remove.dataset.removeTemplate.replace("/0/", `/${id}/`);
    remove.setAttribute("aria-label", say("remove", name));
    this.list.append(row);
    document.getElementById("template-none")?.setAttribute("hidden", "");
  }

  async remove(row, url) {
    const told = await this.post(url, new FormData()).catch(() => ({}));
    if (!told.ok) return note("template", told.error ?? say("send_failed"), { tone: "danger" });
    row.remove();
    this.menu.querySelector("summary").focus();
    const again = async () => {
      note("template");
      const kept = await this.save(this.menu.querySelector("[data-keep-template]").dataset.keepTemplate, told.template);
      if (!kept.ok) note("template", kept.error ?? say("send_failed"), { tone: "danger" });
    };
    note("template", say("template_removed", told.template.name), { tone: "plain", acts: [[say("undo"), again]] });
  }
}
