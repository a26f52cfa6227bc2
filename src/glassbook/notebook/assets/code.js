// Blocks of code: long lines get the whole width where there is room, and a button copies the block. Prompts and what they
// answered are left out of what is copied.
(() => {
  const PROMPT = /^\$ /;
  const wanted = (text) => {
    const lines = text.split("\n");
    if (!lines.some((line) => PROMPT.test(line))) return text.trimEnd();
    const kept = [];
    let continued = false;
    for (const line of lines) {
      if (PROMPT.test(line) || continued) {
        kept.push(line.replace(PROMPT, ""));
        continued = line.endsWith("\\");
      }
    }
    return kept.join("\n");
  };

  // Pages opened from a file have no clipboard of their own; a selection that is copied works everywhere.
  const copy = async (text) => {
    if (navigator.clipboard && isSecureContext) return navigator.clipboard.writeText(text);
    const field = Object.assign(document.createElement("textarea"), { value: text, className: "unseen" });
    document.body.append(field);
    field.select();
    const done = document.execCommand("copy");
    field.remove();
    if (!done) throw new Error("the browser does not let this page copy");
  };

  for (const block of document.querySelectorAll(".prose .code")) {
    const code = block.querySelector("pre");
    if (!code) continue;
    block.classList.toggle("wide", code.scrollWidth > code.clientWidth + 1);
    const button = Object.assign(document.createElement("button"), { type: "button", className: "copy", textContent: "Copy" });
    button.setAttribute("aria-label", "Copy this code");
    button.addEventListener("click", async () => {
      try {
        await copy(wanted(code.textContent));
        button.textContent = "Copied";
      } catch {
        button.textContent = "Not copied";
      }
      button.classList.add("done");
      setTimeout(() => { button.textContent = "Copy"; button.classList.remove("done"); }, 1600);
    });
    block.append(button);
  }
})();
