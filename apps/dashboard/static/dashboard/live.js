// Live parts of pages: they rest while the page is hidden, and what a user opened stays open.
document.addEventListener("htmx:beforeRequest", (event) => {
  if (document.hidden && event.detail.elt.hasAttribute("data-live")) event.preventDefault();
});
let opened = new Map();
document.addEventListener("htmx:beforeSwap", (event) => {
  opened = new Map([...event.detail.target.querySelectorAll("details[id]")].map((each) => [each.id, each.open]));
});
document.addEventListener("htmx:afterSwap", () => {
  for (const [id, open] of opened) {
    const found = document.getElementById(id);
    if (found) found.open = open;
  }
});
