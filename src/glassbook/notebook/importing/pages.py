"""The whole of an import: read, decide, name, link, cut, check the law, and only then write."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from glassbook.files.hashes import sha256_file
from glassbook.notebook.faults import NotebookError, NotebookFaults
from glassbook.notebook.front_matter import join_front_matter
from glassbook.notebook.importing.assets import Assets
from glassbook.notebook.importing.carrying import carry
from glassbook.notebook.importing.cutting import cut
from glassbook.notebook.importing.dialect import parse
from glassbook.notebook.importing.history import Dates, date_entries
from glassbook.notebook.importing.journal import Written, decide_fate, import_id, journals, read_journal
from glassbook.notebook.importing.law import compare, missing_anchors, refuse
from glassbook.notebook.importing.links import Links, Site, resolve
from glassbook.notebook.importing.mending import apply
from glassbook.notebook.importing.plan import PagePlan
from glassbook.notebook.importing.planning import IMPORTED, plan_pages
from glassbook.notebook.importing.report import ImportReport, make_report
from glassbook.notebook.importing.sources import Found, read_sources
from glassbook.notebook.importing.writing import only_import, write_import, write_report
from glassbook.notebook.notebook import ENTRIES_FOLDER, Notebook, open_notebook
from glassbook.sources.pictures import fetch_picture

ASSETS = f"{ENTRIES_FOLDER}/assets"


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """Where pictures lie besides the page's folder, whether git dates the entries, whether remote pictures are fetched."""

    assets: Path | None = None
    history: bool = False
    fetch_images: bool = False


def import_pages(sources: Sequence[Path], root: Path, options: ImportOptions | None = None) -> ImportReport:
    """Return what was imported from `sources`, pages or folders of pages, into the notebook at `root`.

    Raises NotebookError, and writes nothing, for pages that cannot be read and for an import that would lose something.
    """
    options = options or ImportOptions()
    if options.assets is not None and not options.assets.is_dir():
        raise NotebookError(f"'{options.assets}' is no folder; give the folder of the pages' pictures as --assets")
    notebook = open_notebook(root)
    found = read_sources(sources, notebook.root)
    with only_import(notebook.root):
        return _Import(notebook, found, options).run()


class _Import:
    def __init__(self, notebook: Notebook, found: Found, options: ImportOptions) -> None:
        self.notebook, self.found, self.options = notebook, found, options
        self.name = import_id(found.sources)
        self.last = read_journal(notebook.root, self.name)
        self.remarks = list(found.passed_over)

    def run(self) -> ImportReport:
        plans, remarks = plan_pages(self.notebook, self.found, self.last)
        self.remarks += remarks
        assets = self._assets()
        site = Site(plans)
        links = [resolve(plan, site, assets) for plan in plans]
        dates = self._dates(plans)
        texts = self._texts(plans, links, dates)
        files = {path: text.encode() for path, text in texts.items()}
        files |= {f"{ASSETS}/{name}": asset.data for name, asset in sorted(assets.copied.items())}
        fate = decide_fate(self.notebook.root, files, self.last)
        written = Written(plans, files, assets, dates)
        write_import(self.notebook.root, self.name, fate.files, journals(self.notebook.root, written, fate, self.last))
        self.remarks += assets.remarks
        report = make_report(self.name, plans, links, fate, (assets, dates, self.remarks))
        write_report(self.notebook.root, self.name, report.to_markdown())
        return report

    def _assets(self) -> Assets:
        folder = self.notebook.root / ASSETS
        standing = {path.name: sha256_file(path) for path in sorted(folder.glob("*")) if path.is_file()}
        fetch = fetch_picture if self.options.fetch_images else None
        return Assets(self.options.assets, standing, fetch, self.last.fetched)

    def _dates(self, plans: list[PagePlan]) -> dict[str, Dates]:
        """Return when each entry came to be and was changed; without --history, what an earlier import with it found."""
        if not self.options.history:
            return {key: Dates(kept.date, kept.changed) for key, kept in self.last.entries.items() if kept.date}
        dates: dict[str, Dates] = {}
        for plan in plans:
            found, remarks = date_entries(plan)
            dates |= found
            self.remarks += remarks
        return dates

    def _texts(self, plans: list[PagePlan], links: list[Links], dates: dict[str, Dates]) -> dict[str, str]:
        """Return the whole text of each entry by path; raise NotebookFaults that tell of every page that cannot be imported."""
        texts: dict[str, str] = {}
        faults: list[NotebookError] = []
        for plan, of_page in zip(plans, links, strict=True):
            try:
                bodies = self._bodies(plan, of_page)
            except NotebookError as fault:
                faults.append(fault)
                continue
            for entry, body in zip(plan.entries, bodies, strict=True):
                fields = {"title": entry.title, "kind": entry.kind, **entry.fields}
                fields |= {**dates.get(entry.key, Dates()).fields(), IMPORTED: entry.key}
                texts[f"{ENTRIES_FOLDER}/{entry.path.as_posix()}"] = join_front_matter(fields, body)
        if faults:
            raise NotebookFaults(faults)
        return texts

    def _bodies(self, plan: PagePlan, links: Links) -> list[str]:
        """Return the texts of the entries of a page; raise NotebookError where they would not keep the law."""
        lines = apply(plan.page.body, links.edits).split("\n")
        carried = carry(plan)
        bodies = [parse(body) for body in cut(plan, lines, carried, dedent=True)]
        difference = compare(plan, bodies, links)
        if difference:
            bodies = [parse(body) for body in cut(plan, lines, carried, dedent=False)]
            difference = compare(plan, bodies, links)
            if difference:
                raise refuse(plan, difference.sentence())
            self.remarks.append(
                f"{plan.source.label}: items keep their marks, since without them their text would change"
            )
        missing = missing_anchors(plan, bodies)
        if missing:
            raise refuse(plan, f"the old ids {', '.join(missing[:5])} would lead nowhere")
        return [body.body for body in bodies]
