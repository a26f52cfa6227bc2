// Lights up, in the map of terms, the lines of the term that is pointed at or focused.
(() => {
  const map = document.querySelector(".map svg");
  if (!map) return;
  const edges = [...map.querySelectorAll("[data-ends]")].map((edge) => ({ edge, ends: edge.dataset.ends.split(" ") }));
  const light = (event) => {
    const slug = event.target.closest?.("[data-node]")?.dataset.node;
    for (const { edge, ends } of edges) edge.classList.toggle("lit", ends.includes(slug));
    if (slug) edges.filter(({ ends }) => ends.includes(slug)).forEach(({ edge }) => edge.parentNode.insertBefore(edge, map.querySelector("a")));
  };
  for (const kind of ["pointerover", "focusin"]) map.addEventListener(kind, light);
  map.addEventListener("pointerleave", light);
})();
