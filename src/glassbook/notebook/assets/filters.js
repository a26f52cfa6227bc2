// Narrows a list by its own words. The buttons stand in the page and are shown only where this script runs; the choice
// is kept in the address, so that it can be sent to somebody.
(() => {
  const bar = document.querySelector(".filters");
  if (!bar) return;
  const items = [...document.querySelectorAll("[data-words]")].map((item) => ({ item, words: JSON.parse(item.dataset.words) }));
  const buttons = [...bar.querySelectorAll("button[data-group]")];
  const status = bar.querySelector("[role='status']");
  const groups = [...new Set(buttons.map((button) => button.dataset.group))];
  const chosen = new Map();

  const read = () => {
    const asked = new URLSearchParams(location.search);
    for (const group of groups) chosen.set(group, new Set(asked.getAll(group)));
  };
  const write = () => {
    const asked = new URLSearchParams();
    for (const [group, words] of chosen) for (const word of [...words].sort()) asked.append(group, word);
    const address = location.pathname + (asked.size ? `?${asked}` : "") + location.hash;
    try { history.replaceState(null, "", address); } catch { /* a page opened from a file keeps its address */ }
  };
  const show = () => {
    let count = 0;
    for (const { item, words } of items) {
      const fits = groups.every((group) => {
        const wanted = chosen.get(group);
        return !wanted.size || (words[group] || []).some((word) => wanted.has(word));
      });
      item.hidden = !fits;
      count += fits;
    }
    for (const button of buttons) button.setAttribute("aria-pressed", String(chosen.get(button.dataset.group).has(button.dataset.word)));
    // A part of the list with nothing left in it has no heading to stand under.
    for (const part of document.querySelectorAll("[data-part]")) part.hidden = !part.querySelector("[data-words]:not([hidden])");
    const some = [...chosen.values()].some((words) => words.size);
    status.textContent = some ? `${count} of ${items.length} shown` : `${items.length} in all`;
    bar.querySelector(".clear").hidden = !some;
  };

  bar.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    if (button.classList.contains("clear")) chosen.forEach((words) => words.clear());
    else {
      const words = chosen.get(button.dataset.group);
      if (!words.delete(button.dataset.word)) words.add(button.dataset.word);
    }
    write();
    show();
  });
  addEventListener("popstate", () => { read(); show(); });
  bar.hidden = false;
  read();
  show();
})();
