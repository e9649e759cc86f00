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
}
