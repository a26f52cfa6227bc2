// Search: first the names of the notebook (titles, aliases, headings; typing errors and beginnings of words are forgiven),
// beneath them the full text. Both are fetched when somebody searches, never before.
(() => {
  const script = document.currentScript;
  const root = new URL("../", script.src);
  const isFile = root.protocol === "file:";
  const hasTexts = !isFile && "fullText" in script.dataset;
  const MOST_NAMES = 8;
  const MOST_TEXTS = 8;

  const once = (make) => { let made = null; return () => (made ??= make()); };
  const load = (path) => new Promise((resolve, reject) => {
    const element = Object.assign(document.createElement("script"), { src: new URL(path, root).href });
    element.onload = resolve;
    element.onerror = () => reject(new Error(`${path} is not beside this page`));
    document.head.append(element);
  });

  const FIELDS = ["name", "aliases", "headings", "definition"];
  const names = once(async () => {
    await Promise.all([load("assets/names.js"), load("assets/minisearch/minisearch.js")]);
    const all = window.glassbookNames;
    const index = new MiniSearch({
      fields: FIELDS,
      extractField: (one, field) => {
        if (field === "headings") return one.headings.map((heading) => heading.text).join(" ¶ ");
        return field === "aliases" ? one.aliases.join(" ¶ ") : one[field];
      },
    });
    index.addAll(all.map((one, id) => ({ ...one, id })));
    return { all, index };
  });
  const fullText = once(async () => {
    const engine = await import(new URL("pagefind/pagefind.js", root).href);
    await engine.options({ baseUrl: root.pathname, excerptLength: 22 });
    await engine.init();
    return engine;
  });

  const plain = (text) => text.normalize("NFKD").replace(/[\u0300-\u036f]/g, "").toLowerCase().replace(/[-_\s]+/g, " ").trim();
  const findNames = ({ all, index }, query) => {
    const options = { boost: { name: 6, aliases: 5, headings: 2 }, prefix: true, fuzzy: (term) => (term.length > 3 ? 0.25 : 0) };
    let hits = index.search(query, { ...options, combineWith: "AND" });
    if (!hits.length) hits = index.search(query, options);
    const wanted = plain(query);
    const exact = (one) => [one.name, ...one.aliases].some((name) => plain(name) === wanted);
    const found = hits.map((hit) => ({ one: all[hit.id], words: Object.keys(hit.match) }));
    // Who writes a whole name means it.
    found.sort((a, b) => exact(b.one) - exact(a.one));
    return found.slice(0, MOST_NAMES).map(({ one, words }) => ({ one, ...reason(one, words, wanted) }));
  };
  // Why an entry was found, where its title alone does not say so.
  const reason = (one, words, wanted) => {
    const has = (text) => words.some((word) => plain(text).includes(word)) || plain(text).includes(wanted);
    if (has(one.name)) return { heading: null, also: "" };
    const also = one.aliases.find(has);
    const heading = also ? null : one.headings.find((part) => has(part.text));
    return { heading: heading || null, also: also || "" };
  };

  // Pagefind marks what it found with <mark> and escapes the rest; only text and marks are taken over, never markup.
  const excerpt = (html) => {
    const line = document.createElement("p");
    line.className = "hit-text";
    for (const node of new DOMParser().parseFromString(html, "text/html").body.childNodes) {
      const text = document.createTextNode(node.textContent);
      if (node.nodeName !== "MARK") { line.append(text); continue; }
      const mark = document.createElement("mark");
      mark.append(text);
      line.append(mark);
    }
    return line;
  };
  const row = (href, title, kind, ...more) => {
    const item = document.createElement("li");
    const link = Object.assign(document.createElement("a"), { className: "hit", href: new URL(href, root).href });
    const name = Object.assign(document.createElement("span"), { className: "hit-title", textContent: title });
    link.append(name);
    if (kind) link.append(Object.assign(document.createElement("span"), { className: "hit-kind", textContent: kind }));
    link.append(...more);
    item.append(link);
    return item;
  };
  const remark = (text) => Object.assign(document.createElement("p"), { className: "hit-text", textContent: text });
  const nameRow = ({ one, heading, also }) => {
    const href = heading ? `${one.href}#${encodeURIComponent(heading.id)}` : one.href;
    const says = also ? `also called ${also}` : heading ? `§ ${heading.text}` : one.definition;
    return row(href, one.name, one.kind, ...(says ? [remark(says)] : []));
  };
  const textRows = async (engine, query) => {
    const { results } = await engine.search(query);
    const pages = await Promise.all(results.slice(0, MOST_TEXTS).map((result) => result.data()));
    return pages.map((page) => {
      const part = page.sub_results?.find((one) => one.url.includes("#"));
      const best = part && part.excerpt.includes("<mark>") ? part : page;
      return row(new URL(best.url, root).pathname + new URL(best.url, root).hash, page.meta.title || page.url, "", excerpt(best.excerpt));
    });
  };

  const attach = (box) => {
    const [field, status] = [box.querySelector("input"), box.querySelector(".search-status")];
    const lists = { names: box.querySelector(".hits-names"), texts: box.querySelector(".hits-texts") };
    let turn = 0;
    const put = (list, rows) => {
      list.querySelector("ol").replaceChildren(...rows);
      list.hidden = !rows.length;
    };
    const onlyNames = isFile
      ? "Pages opened from a file are searched by name only; the full text needs a server."
      : hasTexts ? "" : "This site was built without its full text, so only names are searched.";
    const say = (n, m, query) => {
      const found = n ? `${n} by name` : `Nothing is called “${query}”`;
      const texts = m ? `, ${m} in the text` : n ? "" : ", and no page says it";
      status.textContent = query ? `${found}${hasTexts ? texts : ""}. ${onlyNames}`.trim() : onlyNames;
    };
    const search = async () => {
      const query = field.value.trim();
      const mine = ++turn;
      const began = performance.now();
      const answered = () => Object.assign(box.dataset, { answered: query, took: Math.round(performance.now() - began) });
      if (!query) { put(lists.names, []); put(lists.texts, []); say(0, 0, ""); return; }
      try {
        const found = findNames(await names(), query);
        if (mine !== turn) return;
        put(lists.names, found.map(nameRow));
        say(found.length, 0, query);
        if (!hasTexts) { answered(); return; }
        const rows = await textRows(await fullText(), query);
        if (mine !== turn) return;
        put(lists.texts, rows);
        say(found.length, rows.length, query);
        answered();
      } catch (error) {
        status.textContent = `The search did not load: ${error.message}.`;
      }
    };
    const links = () => [...box.querySelectorAll("a.hit")].filter((link) => link.offsetParent);
    box.addEventListener("keydown", (event) => {
      const all = links();
      const at = all.indexOf(document.activeElement);
      const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
      if (step && all.length) {
        event.preventDefault();
        const next = at + step;
        if (next < 0) field.focus();
        else all[Math.min(next, all.length - 1)].focus();
      } else if (event.key === "Enter" && document.activeElement === field && all.length) {
        event.preventDefault();
        all[0].click();
      }
    });
    field.addEventListener("input", search);
    box.querySelector("form").addEventListener("submit", (event) => event.preventDefault());
    return { field, search };
  };

  const dialog = document.querySelector("dialog.search");
  if (dialog) {
    const { field, search } = attach(dialog);
    const open = () => { if (!dialog.open) { dialog.showModal(); field.select(); search(); } };
    document.querySelector(".search-tool")?.addEventListener("click", (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      open();
    });
    document.addEventListener("keydown", (event) => {
      const typing = event.target instanceof Element && event.target.closest("input, textarea, select, [contenteditable]");
      if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) { event.preventDefault(); open(); }
    });
    // A search field takes the first Escape for itself, to empty it; here it closes, from wherever.
    dialog.addEventListener("keydown", (event) => { if (event.key === "Escape") { event.preventDefault(); dialog.close(); } });
    dialog.addEventListener("click", (event) => { if (event.target === dialog || event.target.closest("a.hit")) dialog.close(); });
  }
  const page = document.querySelector(".search-page");
  if (page) {
    const { field, search } = attach(page);
    field.value = new URLSearchParams(location.search).get("q") || "";
    field.addEventListener("input", () => {
      const query = field.value.trim();
      try { history.replaceState(null, "", location.pathname + (query ? `?q=${encodeURIComponent(query)}` : "")); } catch { /* kept in the field */ }
    });
    page.hidden = false;
    field.focus();
    search();
  }
})();
