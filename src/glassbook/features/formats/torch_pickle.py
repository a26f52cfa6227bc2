"""The index of a file that torch saved, read as data: which tensors there are, of what shape, in which storage.

Torch writes that index as a pickle, which is a program, and running one from a stranger runs what the stranger likes. Here it is
taken apart into its instructions and never run: of those only the ones that stand for plain values, dicts and tensors are
followed, and the only names they may call are the four with which torch spells a tensor. Anything else is refused by name.
"""

import pickletools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from glassbook.core.errors import FileFormatError
from glassbook.files.reading import damaged, shown

MOST_BYTES = 1 << 20
_MOST_STEPS = 100_000
_MOST_AXES = 8

_STORAGES = {
    "FloatStorage": torch.float32, "DoubleStorage": torch.float64, "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16, "IntStorage": torch.int32, "LongStorage": torch.int64,
    "BoolStorage": torch.bool, "ByteStorage": torch.uint8,
}  # fmt: skip
_DICT, _TENSOR, _PARAMETER = (
    "collections OrderedDict", "torch._utils _rebuild_tensor_v2", "torch._utils _rebuild_parameter",
)  # fmt: skip
_ALLOWED = {_DICT, _TENSOR, _PARAMETER, *(f"torch {name}" for name in _STORAGES)}


@dataclass(frozen=True, slots=True)
class Stored:
    """A run of numbers in the entry of an archive that is called `key`."""

    key: str
    dtype: torch.dtype
    count: int


@dataclass(frozen=True, slots=True)
class View:
    """A tensor: which numbers of a storage it is made of."""

    stored: Stored
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Name:
    """A name that the index may call, and which is not called here."""

    name: str


_MARK = object()


def tensors_of(path: Path, index: bytes) -> tuple[dict[str, View], list[str]]:
    """Return the tensors that an index names, and the names of what else is there; raise FileFormatError for other content."""
    if len(index) > MOST_BYTES:
        raise damaged(path, f"its index has {len(index):,} bytes, more than the {MOST_BYTES:,} of an index of tensors")
    try:
        found = _Reader(path).read(index)
    except (ValueError, IndexError, KeyError, TypeError, AttributeError, UnicodeError, OverflowError) as fault:
        raise damaged(path, f"its index cannot be followed ({shown(fault)})") from fault
    if not isinstance(found, dict):
        raise damaged(path, "it holds no dict of tensors")
    tensors = {name: value for name, value in found.items() if isinstance(value, View)}
    return tensors, sorted(found.keys() - tensors.keys())


class _Reader:
    """A stack, a memo and the few instructions that are followed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.followed: dict[str, Callable[[Any], None]] = {
            "GLOBAL": self._name, "STACK_GLOBAL": self._stacked_name, "BINPERSID": self._storage, "REDUCE": self._call,
            "BUILD": self._build, "MARK": lambda _: self.stack.append(_MARK),
            "EMPTY_DICT": lambda _: self.stack.append({}), "EMPTY_LIST": lambda _: self.stack.append([]),
            "EMPTY_TUPLE": lambda _: self.stack.append(()), "TUPLE": lambda _: self.stack.append(tuple(self._marked())),
            "TUPLE1": lambda _: self._tuple(1), "TUPLE2": lambda _: self._tuple(2), "TUPLE3": lambda _: self._tuple(3),
            "SETITEM": lambda _: self._set([self.stack.pop(-2), self.stack.pop()]),
            "SETITEMS": lambda _: self._set(self._marked()),
            "APPEND": lambda _: self._append([self.stack.pop()]), "APPENDS": lambda _: self._append(self._marked()),
            "NONE": lambda _: self.stack.append(None), "NEWTRUE": lambda _: self.stack.append(True),
            "NEWFALSE": lambda _: self.stack.append(False), "MEMOIZE": lambda _: self._put(len(self.memo)),
            "PROTO": lambda _: None, "FRAME": lambda _: None,
        }  # fmt: skip
        for name in ("BINPUT", "LONG_BINPUT", "PUT"):
            self.followed[name] = self._put
        for name in ("BINGET", "LONG_BINGET", "GET"):
            self.followed[name] = lambda place: self.stack.append(self.memo[place])
        for name in ("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE", "SHORT_BINUNICODE"):
            self.followed[name] = self.stack.append

    def read(self, index: bytes) -> Any:
        """Return what the index stands for; raise FileFormatError at the first instruction that is not followed."""
        for step, (code, argument, _) in enumerate(pickletools.genops(index)):
            if code.name == "STOP":
                return self.stack.pop()
            if step > _MOST_STEPS or code.name not in self.followed:
                raise self._refused(f"the instruction {code.name}")
            self.followed[code.name](argument)
        raise ValueError("it has no end")

    def _refused(self, what: str) -> FileFormatError:
        return FileFormatError(
            f"'{self.path}' holds {shown(what)} besides tensors, which could run anything and is not followed; save a dict "
            "of tensors alone"
        )

    def _marked(self) -> list[Any]:
        """Return what lies above the last mark, and take both away."""
        place = max(i for i, value in enumerate(self.stack) if value is _MARK)
        found = self.stack[place + 1 :]
        del self.stack[place:]
        return found

    def _tuple(self, n: int) -> None:
        found = tuple(self.stack[-n:])
        if len(found) != n:
            raise ValueError("its stack is empty")
        del self.stack[-n:]
        self.stack.append(found)

    def _put(self, place: int) -> None:
        self.memo[place] = self.stack[-1]

    def _name(self, name: str) -> None:
        if name not in _ALLOWED:
            raise self._refused(f"the name {name}")
        self.stack.append(_Name(name))

    def _stacked_name(self, _: None) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        self._name(f"{module} {name}" if isinstance(module, str) and isinstance(name, str) else "?")

    def _set(self, pairs: list[Any]) -> None:
        target = self.stack[-1]
        if not isinstance(target, dict) or len(pairs) % 2 or not all(isinstance(key, str) for key in pairs[::2]):
            raise ValueError("it fills what is no dict of names")
        target.update(zip(pairs[::2], pairs[1::2], strict=True))

    def _append(self, values: list[Any]) -> None:
        if not isinstance(self.stack[-1], list):
            raise ValueError("it adds to what is no list")
        self.stack[-1].extend(values)

    def _storage(self, _: None) -> None:
        word, name, key, _place, count = self.stack.pop()
        if word != "storage" or not isinstance(name, _Name) or not isinstance(key, str) or not _is_size(count):
            raise ValueError("it names a storage that is none")
        self.stack.append(Stored(key, _STORAGES[name.name.removeprefix("torch ")], count))

    def _call(self, _: None) -> None:
        arguments, called = self.stack.pop(), self.stack.pop()
        name = called.name if isinstance(called, _Name) else "?"
        if name == _DICT and arguments == ():
            self.stack.append({})
        elif name == _TENSOR:
            self.stack.append(_view(*arguments[:4]))
        elif name == _PARAMETER and isinstance(arguments[0], View):
            self.stack.append(arguments[0])
        else:
            raise self._refused(f"a call of {name}")

    def _build(self, _: None) -> None:
        # torch hangs the versions of its modules on a state dict; they are no tensors.
        self.stack.pop()
        if not isinstance(self.stack[-1], dict):
            raise self._refused("the state of an object")


def _view(stored: Any, offset: Any, shape: Any, strides: Any) -> View:
    """Return a tensor that lies within its storage; raise ValueError for one that does not."""
    if not isinstance(stored, Stored) or not _is_size(offset):
        raise ValueError("a tensor has no storage")
    axes = (shape, strides)
    if not all(isinstance(axis, tuple) and len(axis) <= _MOST_AXES and all(map(_is_size, axis)) for axis in axes):
        raise ValueError("a tensor has no shape")
    if len(shape) != len(strides):
        raise ValueError("a tensor has more axes than strides")
    count = 1
    for size in shape:
        count *= size
    last = offset + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))
    # A stride of 0 would make a large tensor of few numbers.
    if count > stored.count or (count and last >= stored.count):
        raise ValueError("a tensor is larger than its storage")
    return View(stored, offset, shape, strides)


def _is_size(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**62
