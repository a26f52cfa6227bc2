// Sets footnotes and references beside the line that first names them, where the page has a margin. They stay where they
// are in the document, beneath the text; only their place on the screen changes.
(() => {
  const text = document.querySelector("article.text");
  const notes = text ? [...text.querySelectorAll(".footnotes li[id], .references li[id]")] : [];
  const placed = notes
    .map((note) => ({ note, mark: text.querySelector(`a[href="#${CSS.escape(note.id)}"]:not(.backref)`) }))
    .filter(({ mark }) => mark && !mark.closest("table, .footnotes, .references"));
  if (!placed.length) return;
  const roomy = matchMedia("screen and (min-width: 75rem)");
  const GAP = 14;

  const setRoom = (room) => {
    text.classList.toggle("with-margin", room);
    for (const { note } of placed) {
      note.classList.toggle("beside-text", room);
      if (!room) note.style.removeProperty("top");
    }
    for (const list of text.querySelectorAll(".footnotes, .references")) {
      list.classList.toggle("all-beside", room && !list.querySelector("li[id]:not(.beside-text)"));
    }
  };
  // What is wider than the column stands in the way of a note.
  const obstacles = (frame) => [...text.querySelectorAll(".view, .scroll, .code, figure, aside.claim")]
    .map((box) => box.getBoundingClientRect())
    .filter((box) => box.height && box.right > frame.left + text.firstElementChild.offsetWidth + 8)
    .map((box) => ({ from: box.top - frame.top - GAP, to: box.bottom - frame.top + GAP }))
    .sort((a, b) => a.from - b.from);
  const layOut = () => {
    setRoom(roomy.matches);
    if (!roomy.matches) return;
    const frame = text.getBoundingClientRect();
    const wide = obstacles(frame);
    const inOrder = placed
      .map(({ note, mark }) => ({ note, at: mark.getBoundingClientRect().top - frame.top, height: note.offsetHeight }))
      .sort((a, b) => a.at - b.at);
    let free = 0;
    for (const { note, at, height } of inOrder) {
      let y = Math.max(at, free);
      for (const box of wide) if (y + height > box.from && y < box.to) y = box.to;
      note.style.top = `${Math.round(y)}px`;
      free = y + height + GAP;
    }
  };

  roomy.addEventListener("change", layOut);
  new ResizeObserver(layOut).observe(text);
  document.fonts?.ready.then(layOut);
  layOut();
})();
