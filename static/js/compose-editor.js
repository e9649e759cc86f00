// The text: Squire over what DOMPurify lets through, or a plain field. Pictures are uploaded, never data in the text.
/* global DOMPurify, Squire */
import { note, say } from "./compose-words.js";

const CLEAN = {
  RETURN_DOM_FRAGMENT: true,
  FORBID_TAGS: ["style", "form", "input", "button", "textarea", "select", "option", "iframe", "object", "embed", "svg", "math", "video", "audio", "link", "meta", "base", "dialog"],
  FORBID_ATTR: ["id", "name", "srcset", "autofocus", "contenteditable", "popover", "hx-get", "hx-post"],
  ALLOW_DATA_ATTR: false,
  ADD_ATTR: ["data-remote"], // a picture of the web, kept aside by the server: nothing loads it here
  ALLOWED_URI_REGEXP: /^(?:(?:https?|mailto|tel|cid):|[^a-z]|[a-z+.-]+(?:[^a-z+.\-:]|$))/i, // DOMPurify's own, fewer schemes
};

DOMPurify.addHook("afterSanitizeAttributes", (node) => {
  for (const name of ["position", "z-index"]) node.style?.removeProperty(name); // nothing stands over our controls
  if (node.style && node.getAttribute("style") === "") node.removeAttribute("style");
});

/** Clean HTML as a fragment. A fragment of a foreign document would keep its base; it is brought over. */
export const clean = (html) => document.importNode(DOMPurify.sanitize(html, CLEAN), true);

const TOOLS = {
  bold: ["bold", "removeBold", "B"],
  italic: ["italic", "removeItalic", "I"],
  underline: ["underline", "removeUnderline", "U"],
  strikethrough: ["strikethrough", "removeStrikethrough", "S"],
};

export class Editor {
  constructor({ changed, pictures }) {
    this.pane = document.getElementById("editor-pane");
    this.text = document.getElementById("text");
    this.html = document.getElementById("html");
    this.flag = document.querySelector("[name=is_plain]");
    this.root = document.createElement("div");
    this.root.className = "editor-root";
    for (const [name, value] of Object.entries({ role: "textbox", "aria-multiline": "true", "aria-label": say("message"), dir: "auto", tabindex: "0" })) this.root.setAttribute(name, value);
    this.text.before(this.root);
    this.squire = new Squire(this.root, { sanitizeToDOMFragment: clean, didError: () => {} });
    this.setHTML(this.html.value);
    this.tellRemote();
    this.setPlain(this.flag.dataset.plain === "1");
    this.squire.addEventListener("input", changed);
    this.squire.addEventListener("pathChange", () => this.showState());
    this.text.addEventListener("input", changed);
    this.squire.addEventListener("willPaste", (event) => this.pasted(event.detail.fragment));
    this.squire.addEventListener("pasteImage", (event) => {
      const items = event.detail?.clipboardData?.items ?? [];
      pictures([...items].filter((one) => one.type.startsWith("image/")).map((one) => one.getAsFile()).filter(Boolean));
    });
    this.changed = changed;
    this.pane.addEventListener("click", (event) => event.target === this.pane && !this.isPlain && this.squire.focus().moveCursorToEnd());
    this.listenToTools();
  }

  get isPlain() {
    return this.flag.value === "1";
  }

  setHTML(html) {
    this.squire.setHTML(html);
  }

  /** Text that is pasted brings no pictures of the web along: they would be fetched by whoever reads it. */
  pasted(fragment) {
    for (const picture of fragment?.querySelectorAll?.("img") ?? []) {
      if (/^https?:/i.test(picture.getAttribute("src") ?? "")) picture.remove();
    }
  }

  setPlain(isPlain) {
    this.flag.value = isPlain ? "1" : "";
    this.root.hidden = isPlain;
    this.text.hidden = !isPlain;
    document.body.toggleAttribute("data-plain", isPlain);
    document.querySelector("[data-tools]").hidden = isPlain;
    if (isPlain) document.getElementById("tools").hidden = true;
  }

  /** Between formatted and plain text; going there and back without a change loses nothing. */
  togglePlain() {
    if (this.isPlain) {
      if (this.before?.text !== this.text.value) {
        const lines = document.createElement("div");
        for (const line of this.text.value.split("\n")) {
          const block = document.createElement("div");
          if (line) block.textContent = line;
          else block.append(document.createElement("br"));
          lines.append(block);
        }
        this.setHTML(lines.innerHTML);
      }
      this.setPlain(false);
    } else {
      this.text.value = this.root.innerText.replace(/\u00a0/g, " ").replace(/\n{3,}/g, "\n\n").trimEnd();
      this.before = { text: this.text.value };
      this.setPlain(true);
    }
    this.changed();
    this.focus();
  }

  /** Says once that pictures of the web are in the text and not loaded. */
  tellRemote() {
    note("remote", this.root.querySelector("img[data-remote]") ? say("remote") : "", { tone: "plain" });
  }

  /** Into the form's own fields. */
  keep() {
    if (!this.isPlain) this.html.value = this.squire.getHTML();
  }

  focus() {
    if (this.isPlain) this.text.focus();
    else this.squire.focus();
  }

  focusStart() {
    if (this.isPlain) {
      this.text.focus();
      this.text.setSelectionRange(0, 0);
    } else this.squire.focus().moveCursorToStart();
    this.pane.scrollTop = 0;
  }

  insert(html) {
    if (this.isPlain) {
      const piece = document.createElement("div");
      piece.append(clean(html));
      this.root.after(piece);
      this.text.setRangeText(piece.innerText, this.text.selectionStart, this.text.selectionEnd, "end");
      piece.remove();
    } else {
      this.squire.focus();
      this.squire.insertHTML(html);
    }
    this.changed();
  }

  insertText(text) {
    if (this.isPlain) this.text.setRangeText(text, this.text.selectionStart, this.text.selectionEnd, "end");
    else {
      this.squire.focus();
      this.squire.insertPlainText(text, true);
    }
    this.changed();
  }

  /** What is written, as HTML, also in plain-text mode. */
  asHTML() {
    if (!this.isPlain) return this.squire.getHTML();
    const box = document.createElement("div");
    box.textContent = this.text.value;
    return `<div>${box.innerHTML.replaceAll("\n", "<br>")}</div>`;
  }

  picture(url, name) {
    if (this.isPlain) return;
    this.squire.insertImage(url, { alt: name });
    this.changed();
  }

  openQuote({ html, text }) {
    if (this.isPlain) this.text.value = `${this.text.value.trimEnd()}\n\n${text}`;
    else this.setHTML(`${this.squire.getHTML()}<div><br></div>${html}`);
    this.tellRemote();
    this.changed();
  }

  signature(template) {
    if (this.isPlain) return;
    this.squire.modifyDocument(() => {
      let block = this.root.querySelector(".signature");
      if (!template) return block?.remove();
      if (!block) {
        block = document.createElement("div");
        block.className = "signature";
        this.root.append(block);
      }
      const box = document.createElement("div");
      box.append(template.content.cloneNode(true));
      block.replaceChildren(clean(box.innerHTML));
    });
    this.changed();
  }

  listenToTools() {
    const tools = document.getElementById("tools");
    document.querySelector("[data-tools]").addEventListener("click", (event) => {
      tools.hidden = !tools.hidden;
      event.currentTarget.setAttribute("aria-expanded", String(!tools.hidden));
    });
    tools.addEventListener("mousedown", (event) => event.target.closest("button") && event.preventDefault()); // the selection stays
    tools.addEventListener("click", (event) => {
      const tool = event.target.closest("[data-tool]")?.dataset.tool;
      if (tool) this.use(tool);
    });
    const dialog = document.getElementById("link-dialog");
    dialog.querySelector("[data-no]").addEventListener("click", () => dialog.close());
    const set = () => {
      let url = document.getElementById("link-url").value.trim();
      dialog.close();
      if (url && !/^[a-z][a-z0-9+.-]*:/i.test(url)) url = url.includes("@") ? `mailto:${url}` : `https://${url}`;
      this.squire.focus();
      if (/^(?:https?|mailto|tel):/i.test(url)) this.squire.makeLink(url);
      else if (!url) this.squire.removeLink();
    };
    dialog.querySelector("[data-yes]").addEventListener("click", set);
    dialog.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.target.id !== "link-url") return;
      event.preventDefault();
      set();
    });
    this.root.addEventListener("keydown", (event) => {
      if ((event.ctrlKey || event.metaKey) && event.key === "k") {
        event.preventDefault();
        this.use("link");
      }
    });
  }

  use(tool) {
    const { squire } = this;
    if (TOOLS[tool]) squire[squire.hasFormat(TOOLS[tool][2]) ? TOOLS[tool][1] : TOOLS[tool][0]]();
    else if (tool === "ul") squire.hasFormat("UL") ? squire.removeList() : squire.makeUnorderedList();
    else if (tool === "ol") squire.hasFormat("OL") ? squire.removeList() : squire.makeOrderedList();
    else if (tool === "quote") squire.hasFormat("BLOCKQUOTE") ? squire.decreaseQuoteLevel() : squire.increaseQuoteLevel();
    else if (tool === "clear") squire.removeAllFormatting();
    else if (tool === "undo") squire.undo();
    else if (tool === "redo") squire.redo();
    else if (tool === "link") {
      const link = squire.getSelection().startContainer.parentElement?.closest("a");
      document.getElementById("link-url").value = link?.getAttribute("href") ?? "";
      document.getElementById("link-dialog").showModal();
      return;
    }
    this.showState();
  }

  showState() {
    for (const [tool, [, , tag]] of Object.entries(TOOLS)) {
      document.querySelector(`[data-tool=${tool}]`).setAttribute("aria-pressed", String(this.squire.hasFormat(tag)));
    }
  }
}
