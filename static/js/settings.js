// Settings: a ticked folder brings its subfolders; the signature is written as text, kept as HTML.

const inside = (box) => [...box.closest("li").querySelectorAll("ul input[type=checkbox]:not(:disabled)")];
for (const box of [...document.querySelectorAll(".tree [data-group]")].reverse()) {
  box.disabled = inside(box).length === 0;
  box.checked = !box.disabled && inside(box).every((inner) => inner.checked);
}
for (const box of document.querySelectorAll(".tree input[type=checkbox]")) {
  box.addEventListener("change", () => {
    for (const inner of inside(box)) inner.checked = box.checked;
  });
}

const WIDEST = 480; // pixels of a signature's picture

const source = document.querySelector("[data-signature]");
if (source) {
  const editor = document.createElement("div");
  editor.className = "input";
  editor.contentEditable = "true";
  editor.setAttribute("role", "textbox");
  editor.setAttribute("aria-multiline", "true");
  editor.setAttribute("aria-labelledby", "signature-label");
  editor.innerHTML = source.value; // cleaned by the server, and the CSP runs no script in it
  source.hidden = true;
  source.after(editor);
  const keep = () => { source.value = editor.innerHTML; };
  editor.addEventListener("input", keep);
  source.form.addEventListener("submit", keep);
  document.getElementById("signature-label").addEventListener("click", () => editor.focus());
  const tools = document.querySelector("[data-signature-tools]");
  tools.hidden = false;
  tools.addEventListener("mousedown", (event) => event.preventDefault()); // the selection stays
  tools.addEventListener("click", (event) => {
    const button = event.target.closest("[data-command]");
    if (!button) return;
    const value = button.dataset.ask ? window.prompt(button.dataset.ask, "https://") : null;
    if (button.dataset.ask && !value) return;
    editor.focus();
    document.execCommand(button.dataset.command, false, value);
    keep();
  });
  const field = tools.querySelector("[data-signature-picture]");
  field.addEventListener("change", () => {
    if (field.files[0]) place(field.files[0]);
    field.value = "";
  });
  editor.addEventListener("paste", (event) => {
    const file = [...(event.clipboardData?.files ?? [])].find((one) => one.type.startsWith("image/"));
    if (!file) return;
    event.preventDefault();
    place(file);
  });

  /** A picture, at most WIDEST wide, where the cursor is; every mail carries it, so it is made small here. */
  async function place(file) {
    const bitmap = await createImageBitmap(file).catch(() => null);
    if (!bitmap) return;
    const scale = Math.min(1, WIDEST / bitmap.width);
    const canvas = document.createElement("canvas");
    canvas.width = Math.max(1, Math.round(bitmap.width * scale));
    canvas.height = Math.max(1, Math.round(bitmap.height * scale));
    canvas.getContext("2d").drawImage(bitmap, 0, 0, canvas.width, canvas.height);
    const picture = document.createElement("img");
    picture.src = canvas.toDataURL(file.type === "image/jpeg" ? "image/jpeg" : "image/png", 0.88);
    picture.alt = file.name.replace(/\.[^.]*$/, "");
    picture.width = canvas.width;
    picture.height = canvas.height;
    const selection = window.getSelection();
    const range = selection.rangeCount && editor.contains(selection.anchorNode) ? selection.getRangeAt(0) : null;
    if (range) {
      range.deleteContents();
      range.insertNode(picture);
      range.collapse(false);
    } else editor.append(picture);
    keep();
  }
}
