// Light or dark as the system has it, or as the reader chose. Loaded before the page is drawn, so that nothing flashes.
(() => {
  const root = document.documentElement;
  const KEY = "glassbook-theme";
  root.classList.add("js");

  // A page opened from a file may have no storage; then a choice lasts as long as the page.
  const stored = () => { try { return localStorage.getItem(KEY); } catch { return null; } };
  const store = (scheme) => {
    try { scheme ? localStorage.setItem(KEY, scheme) : localStorage.removeItem(KEY); } catch { /* kept for this page only */ }
  };
  const system = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (root.dataset.theme || (system.matches ? "dark" : "light")) === "dark";
  const apply = (scheme) => {
    if (scheme === "light" || scheme === "dark") root.dataset.theme = scheme;
    else delete root.dataset.theme;
  };
  apply(stored());

  document.addEventListener("DOMContentLoaded", () => {
    const button = document.querySelector(".theme-tool");
    if (!button) return;
    const tell = () => button.setAttribute("aria-pressed", String(isDark()));
    button.addEventListener("click", () => {
      const wanted = isDark() ? "light" : "dark";
      // Who chooses what the system has anyway follows the system from then on.
      const scheme = wanted === (system.matches ? "dark" : "light") ? null : wanted;
      apply(scheme);
      store(scheme);
      tell();
    });
    system.addEventListener("change", tell);
    addEventListener("storage", (event) => { if (event.key === KEY) { apply(event.newValue); tell(); } });
    tell();
  });
})();
