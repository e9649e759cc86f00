// To, Cc, Bcc: chips over one text field each, which stays the form's. Pasted lists are read; what is no address is shown.
import { icon, say } from "./compose-words.js";

const ADDRESS = /^[^\s"()<>[\]:;@\\,]+@(?:[^\s"()<>[\]:;@\\,.]+\.)*[^\s"()<>[\]:;@\\,.]+$/u;

/** [[name, address], …] of a typed or pasted list; the same rules as panel/forms/compose.py. */
export function readAddresses(text) {
  const pieces = [];
  let piece = "";
  let isQuoted = false;
  let isAngle = false;
  for (const char of text) {
    if (char === '"' && !isAngle && !piece.endsWith("\\")) isQuoted = !isQuoted;
    else if ((char === "<" || char === ">") && !isQuoted) isAngle = char === "<";
    else if (/[\r\n]/.test(char) || (/[,;]/.test(char) && !isQuoted && !isAngle)) {
      pieces.push(piece);
      piece = "";
      isQuoted = isAngle = false;
      continue;
    }
    piece += char;
  }
  return [...pieces, piece].map(readOne).filter(([name, address]) => name || address);
}

function readOne(text) {
  const piece = text.trim();
  const place = piece.lastIndexOf("<");
  if (place < 0 || !piece.endsWith(">")) return ["", piece];
  const name = piece.slice(0, place).trim().replace(/^"(.*)"$/s, (_all, inner) => inner.replaceAll('\\"', '"').replaceAll("\\\\", "\\"));
  return [name, piece.slice(place + 1, -1).trim()];
}

export const writeAddress = ([name, address]) => (name ? `"${name.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}" <${address}>` : address);

/** Chips in a line. `field` is its input; `changed()` is called after each change. */
export class People {
  constructor(line, url, changed) {
    this.line = line;
    this.url = url;
    this.changed = changed;
    this.kept = line.querySelector("input"); // what the form posts
    this.pairs = [];
    this.input = document.createElement("input");
    const label = line.querySelector("label");
    for (const [name, value] of Object.entries({ id: `${this.kept.id}-typed`, type: "text", autocomplete: "off", spellcheck: "false", role: "combobox", "aria-expanded": "false", "aria-autocomplete": "list", "aria-controls": `${this.kept.id}-people` })) this.input.setAttribute(name, value);
    label.htmlFor = this.input.id;
    this.kept.hidden = true;
    this.kept.after(this.input);
    this.list = document.createElement("div");
    this.list.className = "menu-list";
    this.list.id = `${this.kept.id}-people`;
    this.list.setAttribute("role", "listbox");
    this.list.setAttribute("aria-label", say("people"));
    this.list.hidden = true;
    line.append(this.list);
    this.add(this.kept.value, false);
    this.listen();
  }

  get invalid() {
    return this.pairs.filter(([, address]) => !ADDRESS.test(address));
  }

  add(text, isChange = true) {
    for (const pair of readAddresses(text)) {
      if (!this.pairs.some(([, known]) => known.toLowerCase() === pair[1].toLowerCase())) this.pairs.push(pair);
    }
    this.draw();
    if (isChange) this.keep();
  }

  replace(text) {
    this.pairs = [];
    this.add(text, false);
  }

  remove(place) {
    const [pair] = this.pairs.splice(place, 1);
    this.draw();
    this.keep();
    this.input.focus();
    return pair;
  }

  draw() {
    for (const chip of this.line.querySelectorAll(".chip")) chip.remove();
    this.input.before(...this.pairs.map((pair, place) => this.chip(pair, place)));
  }

  chip([name, address], place) {
    const chip = document.createElement("span");
    const isValid = ADDRESS.test(address);
    chip.className = `chip chip-big${isValid ? "" : " chip-bad"}`;
    chip.title = isValid ? (name ? `${name} <${address}>` : address) : say("invalid", address);
    const shape = document.createElement("i");
    shape.className = `shape shape-person${name ? "" : " shape-new"}`;
    const label = document.createElement("span");
    label.className = "clip";
    label.dir = "auto";
    label.textContent = name || address;
    if (!isValid) label.setAttribute("aria-label", chip.title);
    chip.addEventListener("dblclick", () => this.edit(place));
    const button = document.createElement("button");
    button.type = "button";
    button.tabIndex = -1; // Backspace in the field does the same
    button.className = "btn btn-icon";
    button.setAttribute("aria-label", say("remove", name || address));
    button.append(icon());
    button.addEventListener("click", () => this.remove(place));
    chip.append(shape, label, button);
    return chip;
  }

  edit(place) {
    this.take();
    this.input.value = writeAddress(this.remove(place));
  }

  /** What is typed becomes chips. */
  take() {
    const text = this.input.value;
    this.input.value = "";
    this.close();
    if (text.trim()) this.add(text);
  }

  keep() {
    this.kept.value = this.pairs.map(writeAddress).join(", ");
    this.changed();
  }

  /** The field with what is still being typed, for saving. */
  get value() {
    return [...this.pairs.map(writeAddress), this.input.value.trim()].filter(Boolean).join(", ");
  }

  listen() {
    this.line.addEventListener("mousedown", (event) => {
      if (event.target !== this.line) return;
      event.preventDefault();
      this.input.focus();
    });
    this.input.addEventListener("input", () => {
      this.changed();
      clearTimeout(this.waiting);
      if (/[,;]\s*$/.test(this.input.value) && !/"[^"]*$/.test(this.input.value)) return this.take();
      this.waiting = setTimeout(() => this.ask(), 120);
    });
    this.input.addEventListener("paste", (event) => {
      const text = event.clipboardData.getData("text/plain");
      if (!/[,;\n<@]/.test(text) || this.input.value.trim()) return;
      event.preventDefault();
      this.add(text);
    });
    this.input.addEventListener("blur", () => setTimeout(() => this.line.contains(document.activeElement) || this.take(), 150));
    this.input.addEventListener("keydown", (event) => this.key(event));
    this.list.addEventListener("mousedown", (event) => event.preventDefault()); // the field keeps the focus
    this.list.addEventListener("click", (event) => this.choose(event.target.closest("[role=option]")));
  }

  key(event) {
    const options = [...this.list.querySelectorAll("[role=option]")];
    const place = options.findIndex((one) => one.getAttribute("aria-selected") === "true");
    if (event.isComposing || event.ctrlKey || event.metaKey) return;
    if (["ArrowDown", "ArrowUp"].includes(event.key) && !this.list.hidden && options.length) {
      this.select(options[(place + (event.key === "ArrowDown" ? 1 : -1) + options.length) % options.length]);
    } else if ((event.key === "Enter" || (event.key === "Tab" && this.input.value.trim())) && !this.list.hidden && place >= 0) {
      this.choose(options[place]);
    } else if (event.key === "Enter") this.take();
    else if (event.key === "Escape" && !this.list.hidden) this.close();
    else if (event.key === "Backspace" && !this.input.value && this.pairs.length) this.remove(this.pairs.length - 1);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  async ask() {
    const text = this.input.value.trim();
    if (!text) return this.close();
    const answer = await fetch(`${this.url}?q=${encodeURIComponent(text)}`, { headers: { Accept: "application/json" } }).catch(() => null);
    if (!answer?.ok || this.input.value.trim() !== text) return;
    const { people } = await answer.json();
    const fresh = people.filter((one) => !this.pairs.some(([, known]) => known.toLowerCase() === one.address.toLowerCase()));
    this.list.replaceChildren(...fresh.map((one, place) => this.option(one, text, place)));
    this.list.hidden = !fresh.length;
    this.input.setAttribute("aria-expanded", String(Boolean(fresh.length)));
    if (fresh.length) this.select(this.list.firstElementChild);
    else this.input.removeAttribute("aria-activedescendant");
  }

  option(one, text, place) {
    const option = document.createElement("div");
    option.className = "person-option";
    option.setAttribute("role", "option");
    option.id = `${this.kept.id}-option-${place}`;
    option.pair = [one.name, one.address];
    const shape = document.createElement("i");
    shape.className = `shape shape-person${one.is_known ? "" : " shape-new"}`;
    const who = document.createElement("span");
    who.className = "clip";
    who.append(...marked(one.name || one.address, text));
    if (one.name) {
      const address = document.createElement("span");
      address.className = "faint";
      address.append(" ", ...marked(one.address, text));
      who.append(address);
    }
    const beside = document.createElement("span");
    beside.className = "count";
    beside.textContent = one.note || one.company;
    option.append(shape, who, beside);
    return option;
  }

  select(option) {
    for (const one of this.list.children) one.setAttribute("aria-selected", String(one === option));
    this.input.setAttribute("aria-activedescendant", option.id);
    option.scrollIntoView({ block: "nearest" });
  }

  choose(option) {
    if (!option) return;
    this.input.value = "";
    this.close();
    this.add(writeAddress(option.pair));
    this.input.focus();
  }

  close() {
    clearTimeout(this.waiting);
    this.list.hidden = true;
    this.input.setAttribute("aria-expanded", "false");
    this.input.removeAttribute("aria-activedescendant");
  }
}

/** The beginning of a word that was typed, in bold. */
function marked(text, typed) {
  const place = text.toLowerCase().indexOf(typed.toLowerCase());
  if (place < 0) return [text];
  const bold = document.createElement("b");
  bold.textContent = text.slice(place, place + typed.length);
  return [text.slice(0, place), bold, text.slice(place + typed.length)];
}
