"""Makes the type of formulas for the site out of KaTeX's: `formula_fonts.py KATEX/dist`, with fonttools and brotli installed.

Nothing that was drawn is changed: hints for old screens are left out, and the two largest faces are cut into what nearly every
formula needs and the rest, so that a page loads 40 KB less. Their licence asks that a changed font has another name.
"""

import re
import sys
from pathlib import Path

from fontTools import subset
from fontTools.ttLib import TTFont

ASSETS = Path(__file__).resolve().parent.parent / "src" / "glassbook" / "notebook" / "assets" / "katex"
OLD, NEW = "KaTeX_", "Glassbook_"
LETTERS = "U+20,U+41-5A,U+6B,U+A0"
BASIC = (
    "U+20-7E,U+A0,U+B1,U+B7,U+D7,U+302,U+303,U+393,U+394,U+398,U+39B,U+3A0,U+3A3,U+3A6,U+3A9,"
    "U+2013,U+2018,U+2019,U+201C,U+201D,U+2026,U+2032,U+2190,U+2192,U+21A6,U+2200,U+2202,U+2203,U+2207,U+2208,U+220F,U+2211,"
    "U+2212,U+2217,U+2218,U+221D,U+221E,U+2223,U+2225,U+2227-222B,U+223C,U+2248,U+2260,U+2264,U+2265,U+2282,U+2286,"
    "U+2297,U+22A4,U+22A5,U+22C5,U+22EF,U+2329,U+232A,U+27E8,U+27E9"
)
PARTS = {"AMS-Regular": ("letters", LETTERS), "Main-Regular": ("basic", BASIC)}


def main(dist: Path) -> None:
    """Write every font, and the style sheet that names them."""
    for path in ASSETS.joinpath("fonts").glob("*.woff2"):
        path.unlink()
    style = dist.joinpath("katex.min.css").read_text(encoding="utf-8")
    for path in sorted(dist.joinpath("fonts").glob("*.woff2")):
        name = path.stem.removeprefix(OLD)
        part, codes = PARTS.get(name, ("", ""))
        face = re.search(rf"@font-face\{{[^}}]*{path.stem}\.woff2[^}}]*\}}", style)
        assert face is not None, path
        faces = [_face(face[0], name)]
        if part:
            chosen = _numbers(codes)
            others = set(TTFont(path).getBestCmap()) - chosen
            _write(path, f"{name}-{part}", chosen)
            _write(path, f"{name}-others", others)
            faces = [_face(face[0], f"{name}-{part}", codes), _face(face[0], f"{name}-others", _ranges(others))]
        else:
            _write(path, name, set(TTFont(path).getBestCmap()))
        style = style.replace(face[0], "".join(faces))
    ASSETS.joinpath("katex.min.css").write_text(style.replace(OLD, NEW), encoding="utf-8")


def _write(path: Path, name: str, codes: set[int]) -> None:
    font = TTFont(path, recalcTimestamp=False)
    options = subset.Options(hinting=False, layout_features=["*"], notdef_outline=True, name_IDs=["*"], flavor="woff2")
    options.drop_tables += ["FFTM"]
    cut = subset.Subsetter(options)
    cut.populate(unicodes=codes)
    cut.subset(font)
    for record in font["name"].names:
        if record.nameID in (1, 3, 4, 6):
            record.string = record.toUnicode().replace(OLD, NEW)
    subset.save_font(font, str(ASSETS / "fonts" / f"{NEW}{name}.woff2"), options)


def _face(face: str, name: str, codes: str = "") -> str:
    """Return a rule that loads one font, without the formats that are not shipped."""
    source = f'src:url(fonts/{NEW}{name}.woff2) format("woff2")'
    ranged = f";unicode-range:{codes}" if codes else ""
    return re.sub(r"src:[^}]*", source + ranged, face)


def _numbers(codes: str) -> set[int]:
    found: set[int] = set()
    for part in codes.replace("U+", "").split(","):
        first, _, last = part.partition("-")
        found.update(range(int(first, 16), int(last or first, 16) + 1))
    return found


def _ranges(codes: set[int]) -> str:
    """Return code points as the shortest list of ranges."""
    runs: list[list[int]] = []
    for code in sorted(codes):
        if runs and code == runs[-1][1] + 1:
            runs[-1][1] = code
        else:
            runs.append([code, code])
    return ",".join(f"U+{first:X}" if first == last else f"U+{first:X}-{last:X}" for first, last in runs)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
