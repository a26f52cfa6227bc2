"""What the machine can do, said in words that a Run records."""

import json

import pytest
import torch

from glassbook.core.devices import as_dtype, available_memory, cpu_name, dtype_name, hardware, widens_bfloat16
from glassbook.core.errors import InputError


@pytest.mark.parametrize(
    ("name", "dtype"),
    [("float32", torch.float32), ("fp32", torch.float32), ("bf16", torch.bfloat16), ("float16", torch.float16)],
)
def test_a_precision_is_known_by_its_long_and_short_name(name: str, dtype: torch.dtype) -> None:
    assert as_dtype(name) is dtype
    assert as_dtype(dtype) is dtype
    assert as_dtype(dtype_name(dtype)) is dtype


@pytest.mark.parametrize("name", ["float8", "int8", "", "Float32"])
def test_an_unknown_precision_is_refused_and_the_known_ones_named(name: str) -> None:
    with pytest.raises(InputError, match="is not a precision; choose one of float32, bfloat16, float16"):
        as_dtype(name)


def test_available_memory_is_more_than_nothing_and_less_than_the_machine() -> None:
    assert 0 < available_memory() <= hardware()["memory_bytes"]


def test_hardware_is_plain_data_about_this_process() -> None:
    said = json.loads(json.dumps(hardware()))
    assert said["threads"] == torch.get_num_threads()
    assert said["cores"] >= 1
    assert said["cpu"] == cpu_name() != ""
    assert said["bfloat16_products"] == ("widened to float32" if widens_bfloat16() else "native")
