// The wizard: focus goes to the new page's field or heading after a swap; a password can be looked at.

const card = document.getElementById("card");

function settle() {
  for (const button of card.querySelectorAll("[data-reveal]")) button.hidden = false;
}

document.addEventListener("htmx:after:swap", (event) => {
  const target = event.detail?.ctx?.target;
  settle();
  if (target && target.id !== "card") return;
  const heading = card.querySelector("[autofocus]") ?? card.querySelector("h1");
  heading?.focus();
});

card.addEventListener("click", (event) => {
  const button = event.target.closest("[data-reveal]");
  if (!button) return;
  const field = document.getElementById(button.dataset.reveal);
  const shown = field.type === "text";
  field.type = shown ? "password" : "text";
  button.setAttribute("aria-pressed", String(!shown));
});

settle();
