"""The named numbers of somebody else's file: each is asked for by name and shape, and nothing is allocated before both agree."""

from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType

import torch
from jaxtyping import Float
from torch import Tensor

from glassbook.core.errors import FileFormatError
from glassbook.files.reading import damaged, shown
from glassbook.files.safetensors import STORED_AS, SafetensorsFile, TensorInfo, open_safetensors

Shape = tuple[int, ...]

_DTYPES = {
    "F16": torch.float16, "F32": torch.float32, "F64": torch.float64, "BF16": torch.bfloat16,
    "I32": torch.int32, "I64": torch.int64,
}  # fmt: skip


class Numbers:
    """Tensors of a file by name, with their shapes; `read` brings one into memory. Use it in a `with` block."""

    def __init__(
        self,
        path: Path,
        shapes: Mapping[str, Shape],
        read: Callable[[str], Tensor],
        close: Callable[[], None] = lambda: None,
    ) -> None:
        self.path, self.shapes = path, dict(shapes)
        self._read, self._close = read, close
        self._taken: set[str] = set()

    def __contains__(self, name: object) -> bool:
        return name in self.shapes

    def __enter__(self) -> "Numbers":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def shape(self, name: str, axes: int) -> Shape:
        """Return the shape of a tensor; raise FileFormatError where it is missing or has another number of axes."""
        if name not in self.shapes:
            raise damaged(self.path, f"it lacks '{name}'; it has {shown(', '.join(sorted(self.shapes)) or 'nothing')}")
        found = self.shapes[name]
        if len(found) != axes or 0 in found:
            raise damaged(self.path, f"'{name}' is of shape {found}, which has not {axes} axes of at least 1")
        return found

    def take(self, name: str, *shape: int) -> Float[Tensor, "..."]:
        """Return a tensor in float32 (float64 stays); raise FileFormatError unless it is of this shape and finite."""
        if name not in self.shapes:
            raise damaged(self.path, f"it lacks '{name}'; it has {shown(', '.join(sorted(self.shapes)) or 'nothing')}")
        if self.shapes[name] != shape:
            raise damaged(self.path, f"'{name}' is of shape {self.shapes[name]} and must be of {shape}")
        self._taken.add(name)
        found = self._read(name)
        value = found if found.dtype == torch.float64 else found.float()
        if not torch.isfinite(value).all():
            raise damaged(self.path, f"'{name}' holds NaN or infinite numbers")
        return value

    def left(self) -> list[str]:
        """Return the names of what nobody took."""
        return sorted(self.shapes.keys() - self._taken)


def safetensors_numbers(path: Path) -> Numbers:
    """Return the numbers of a safetensors file; raise FileFormatError for a damaged one."""
    file = open_safetensors(path)
    shapes = {name: info.shape for name, info in file.tensors.items()}
    return Numbers(path, shapes, lambda name: _read(file, file.tensors[name]), file.close)


def _read(file: SafetensorsFile, info: TensorInfo) -> Tensor:
    if info.dtype not in _DTYPES:
        raise FileFormatError(
            f"'{file.path}': '{shown(info.name)}' has the dtype {info.dtype} (of {', '.join(STORED_AS)}), which weights "
            "of a dictionary do not have; save it in float32"
        )
    value = torch.empty(info.shape, dtype=_DTYPES[info.dtype])
    file.read_into(info, value.view(-1).view(torch.uint8).numpy().data)
    return value
