// Bodies of mail stand in sandboxed frames without scripts; this page measures them, so that a letter has one scroll bar.

const HIGHEST = 40000; // px
const SMALLEST = 0.5; // a wide letter is made at most this small; what is wider still scrolls sideways

function fit(frame) {
  const inside = frame.contentDocument;
  if (!inside?.body || inside.URL === "about:blank" || frame.hasAttribute("data-fitted")) return;
  frame.setAttribute("data-fitted", "");
  const measure = () => {
    const { body, documentElement: root } = inside;
    const room = frame.clientWidth;
    body.style.zoom = "";
    if (room && root.scrollWidth > room + 1) body.style.zoom = Math.max(SMALLEST, room / root.scrollWidth).toFixed(3);
    const bar = root.scrollWidth > root.clientWidth ? 16 : 0;
    const height = Math.min(HIGHEST, Math.ceil(Math.max(body.getBoundingClientRect().height, root.offsetHeight)) + 2 + bar);
    if (Math.abs(height - frame.offsetHeight) > 1) frame.style.height = `${height}px`;
  };
  let waiting = 0;
  const soon = () => {
    cancelAnimationFrame(waiting);
    waiting = requestAnimationFrame(measure);
  };
  measure();
  new ResizeObserver(soon).observe(inside.body);
  let width = frame.clientWidth;
  new ResizeObserver(() => {
    if (frame.clientWidth !== width) {
      width = frame.clientWidth;
      soon();
    }
  }).observe(frame);
  inside.addEventListener("toggle", soon, true);
  // Keys pressed while the letter has the focus are meant for the panel.
  inside.addEventListener("keydown", (event) => {
    const { key, ctrlKey, metaKey, altKey, shiftKey } = event;
    document.body.dispatchEvent(new KeyboardEvent("keydown", { key, ctrlKey, metaKey, altKey, shiftKey, bubbles: true }));
  });
}

export function fitFrames(root = document) {
  for (const frame of root.querySelectorAll("iframe.body-frame:not([data-watched])")) {
    frame.setAttribute("data-watched", "");
    frame.addEventListener("load", () => {
      frame.removeAttribute("data-fitted");
      fit(frame);
    });
    if (frame.contentDocument?.readyState === "complete") fit(frame);
  }
}
