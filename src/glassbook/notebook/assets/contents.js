// Marks in the list of contents the part that is being read.
(() => {
  const links = [...document.querySelectorAll(".contents-list a[href^='#']")];
  const parts = links.map((link) => document.getElementById(decodeURIComponent(link.hash.slice(1))));
  if (!parts.some(Boolean)) return;
  let waiting = false;
  const mark = () => {
    waiting = false;
    const atEnd = innerHeight + scrollY >= document.documentElement.scrollHeight - 4;
    let current = -1;
    parts.forEach((part, i) => { if (part && (atEnd || part.getBoundingClientRect().top < innerHeight * 0.3)) current = i; });
    links.forEach((link, i) => { i === current ? link.setAttribute("aria-current", "true") : link.removeAttribute("aria-current"); });
  };
  addEventListener("scroll", () => { if (!waiting) { waiting = true; requestAnimationFrame(mark); } }, { passive: true });
  mark();
})();
