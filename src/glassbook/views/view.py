"""A View: the data of one picture, with a static form that needs no script."""

import math
import sys
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import msgspec
from markupsafe import Markup

from glassbook.core.errors import FileFormatError
from glassbook.core.registry import Registry
from glassbook.views.markup import element, note
from glassbook.views.numbers import name_not_finite

_LARGEST_WHOLE = 2**63 - 1


class View(msgspec.Struct, frozen=True, kw_only=True, tag_field="view", forbid_unknown_fields=True):
    """The payload of a picture: what is drawn, its title, and a caption saying what one sees and how it was made.

    Sequences become tuples, numpy values become Python's, and NaN and infinities become words, so that a view equals
    its own JSON read back.
    """

    compact: ClassVar[bool] = False

    title: str
    caption: str

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            msgspec.structs.force_setattr(self, name, plain(getattr(self, name)))

    @property
    def tag(self) -> str:
        """Return the name of this kind of view in JSON, in pages and in the registry."""
        return str(type(self).__struct_config__.tag)

    def body(self) -> Markup:
        """Return the drawing itself, without title and caption."""
        raise NotImplementedError(f"{type(self).__name__} has no drawing")

    def html(self) -> str:
        """Return the view as a figure: title, drawing, caption; the same text for the same data."""
        kind = "view compact" if self.compact else "view"
        return str(
            element(
                "figure",
                element("p", self.title or "Untitled view", class_="view-title"),
                element("div", self.body(), class_="drawing"),
                element("figcaption", self.caption or "This view has no caption."),
                class_=f"{kind} {self.tag}",
            )
        )

    def to_json(self) -> bytes:
        """Return the payload as JSON, which `read_view` reads back to an equal view."""
        return msgspec.json.encode(self)


VIEWS: Registry[type[View]] = Registry("view")


def read_view(data: bytes) -> View:
    """Return the view written in `data`; raise FileFormatError when it is no view, GlassbookError for an unknown kind."""
    try:
        tag = msgspec.json.decode(data, type=_Tagged).view
        kind = VIEWS.find(tag)
        return msgspec.json.decode(data, type=kind)
    except msgspec.DecodeError as error:
        raise FileFormatError(f"this is not the JSON of a view ({error}); write views with View.to_json") from error


class _Tagged(msgspec.Struct):
    view: str


def json_schema() -> dict[str, Any]:
    """Return the JSON schema of every registered view, for programs that read run folders."""
    kinds = [VIEWS.find(tag) for tag in sorted(VIEWS)]
    references, definitions = msgspec.json.schema_components(kinds)
    return {"anyOf": list(references), "$defs": definitions}


def empty(what: str) -> Markup:
    """Return the sentence that stands where a drawing would be when there is nothing to draw."""
    return note(f"There is no data to draw: {what}.") or Markup("")


def plain(value: Any) -> Any:
    """Return `value` with Python's own types only: what JSON can hold, unchangeable where it is a sequence."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, int) and abs(value) > _LARGEST_WHOLE:
        value = float(value) if abs(value) < sys.float_info.max else math.copysign(math.inf, value)
    if isinstance(value, float):
        return name_not_finite(float(value))
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, set | frozenset):
        # Python orders sets anew in every process; a view must not.
        value = sorted(value, key=lambda item: (type(item).__name__, item))
    if isinstance(value, Sequence):
        return tuple(plain(item) for item in value)
    return value
