// Shows what a link leads to when it is pointed at or focused: a term's sentence, a reference, what stands behind a number.
// The words come from the page itself, so a preview needs no request; without this script the links are links.
(() => {
  const island = document.getElementById("previews");
  let known = {};
  try { known = island ? JSON.parse(island.textContent) : {}; } catch { known = {}; }
  const LINKS = "main a[data-entry], main a[data-cite], main a[data-live], main .footnote-ref a";
  const OPEN_AFTER = 220;
  const CLOSE_AFTER = 260;

  const card = document.createElement("div");
  card.className = "preview";
  card.id = "preview";
  card.hidden = true;
  card.setAttribute("role", "tooltip");
  document.body.append(card);
  let shownFor = null;
  let timer = 0;

  const line = (kind, text) => {
    const part = document.createElement("p");
    part.className = kind;
    part.textContent = text;
    return part;
  };
  // The text of a note on this page, without the arrow that leads back.
  const noteText = (link) => {
    const hash = link.getAttribute("href");
    const note = hash && hash.startsWith("#") && document.getElementById(decodeURIComponent(hash.slice(1)));
    if (!note || note.classList.contains("beside-text")) return "";
    const copy = note.cloneNode(true);
    copy.querySelectorAll(".backref, .unseen").forEach((part) => part.remove());
    return copy.textContent.trim();
  };
  const partsFor = (link) => {
    const of = (kind, key) => (known[kind] && Object.hasOwn(known[kind], key) ? known[kind][key] : null);
    if (link.dataset.entry) {
      const entry = of("entries", link.dataset.entry);
      return entry && entry.text ? [line("preview-kind", entry.kind || ""), line("preview-title", entry.title), line("preview-text", entry.text)] : [];
    }
    if (link.dataset.cite) {
      const full = of("references", link.dataset.cite) || noteText(link);
      return full ? [line("preview-text", full)] : [];
    }
    if (link.dataset.live) return link.dataset.live.split("\n").map((text, i) => line(i ? "preview-fact" : "preview-title", text));
    const note = noteText(link);
    return note ? [line("preview-text", note)] : [];
  };

  const close = () => {
    clearTimeout(timer);
    card.hidden = true;
    shownFor?.removeAttribute("aria-describedby");
    shownFor = null;
  };
  const open = (link) => {
    const parts = partsFor(link).filter((part) => part.textContent);
    if (!parts.length) return;
    close();
    card.replaceChildren(...parts);
    card.hidden = false;
    shownFor = link;
    link.setAttribute("aria-describedby", card.id);
    const box = link.getClientRects()[0];
    const size = card.getBoundingClientRect();
    const room = document.documentElement.clientWidth - size.width - 12;
    const below = box.bottom + size.height + 16 < innerHeight;
    card.style.left = `${Math.max(12, Math.min(box.left, room)) + scrollX}px`;
    card.style.top = `${(below ? box.bottom + 8 : box.top - size.height - 8) + scrollY}px`;
  };
  const after = (delay, act) => { clearTimeout(timer); timer = setTimeout(act, delay); };
  const linkOf = (event) => event.target instanceof Element ? event.target.closest(LINKS) : null;

  document.addEventListener("pointerover", (event) => {
    if (event.pointerType === "touch") return;
    const link = linkOf(event);
    if (link && link !== shownFor) after(OPEN_AFTER, () => open(link));
    else if (link || card.contains(event.target)) clearTimeout(timer);
    else if (shownFor || timer) after(CLOSE_AFTER, close);
  });
  document.addEventListener("focusin", (event) => {
    const link = linkOf(event);
    if (link?.matches(":focus-visible")) open(link);
    else if (!card.contains(event.target)) close();
  });
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") close(); });
  document.addEventListener("click", (event) => { if (!card.contains(event.target)) close(); });
})();
