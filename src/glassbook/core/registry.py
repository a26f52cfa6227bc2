"""One dict and one decorator: how architectures and other plug-ins are found by name."""

from collections.abc import Callable, Iterator
from difflib import get_close_matches
from typing import Generic, TypeVar

from glassbook.core.errors import GlassbookError

T = TypeVar("T")


class Registry(Generic[T]):
    """A mapping from names to things of one kind that refuses duplicates and explains a miss."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._items: dict[str, T] = {}

    def add(self, *names: str) -> Callable[[T], T]:
        """Return a decorator that files the decorated thing under every one of `names`."""

        def file(thing: T) -> T:
            for name in names:
                if name in self._items:
                    raise ValueError(f"a {self.kind} named '{name}' is registered already; choose another name")
                self._items[name] = thing
            return thing

        return file

    def find(self, name: str) -> T:
        """Return the thing filed under `name`; raise GlassbookError that lists what there is."""
        if name in self._items:
            return self._items[name]
        near = get_close_matches(name, self._items, n=1)
        hint = f"did you mean '{near[0]}'? " if near else ""
        raise GlassbookError(f"no {self.kind} is named '{name}'; {hint}known: {', '.join(sorted(self._items))}")

    def __contains__(self, name: object) -> bool:
        return name in self._items

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)
