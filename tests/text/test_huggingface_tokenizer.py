"""Tokenizers in Hugging Face folders: what the files beside `tokenizer.json` say, and what damaged ones get."""

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer as Backend
from tokenizers import decoders, models, pre_tokenizers, processors

from glassbook.core.errors import FileFormatError, InputError
from glassbook.text import Tokenizer, read_folder, save_folder

VOCABULARY = {"<s>": 0, "</s>": 1, "<|im_end|>": 2, "a": 3, "b": 4, "ab": 5, "Ġ": 6}


def _write(folder: Path, post_processor: bool = False, **files: object) -> Path:
    backend = Backend(models.BPE(vocab=VOCABULARY, merges=[("a", "b")]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    backend.add_special_tokens(["<s>", "</s>", "<|im_end|>"])
    if post_processor:
        backend.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    (folder / "tokenizer.json").write_text(backend.to_str())
    for name, content in files.items():
        (folder / f"{name}.json").write_text(json.dumps(content))
    return folder


def test_special_tokens_are_read_bare_or_as_objects(tmp_path: Path) -> None:
    config = {"bos_token": "<s>", "eos_token": {"content": "</s>", "lstrip": False}, "pad_token": None}
    found = read_folder(_write(tmp_path, tokenizer_config=config))
    assert (found.bos_id, found.eos_id, found.pad_id) == (0, 1, None)


def test_the_special_tokens_map_serves_where_the_configuration_is_silent(tmp_path: Path) -> None:
    older = {"eos_token": "</s>", "bos_token": "a"}
    found = read_folder(_write(tmp_path, special_tokens_map=older, tokenizer_config={"bos_token": "<s>"}))
    assert (found.bos_id, found.eos_id) == (0, 1)


def test_ids_of_the_model_configuration_serve_where_no_token_is_named(tmp_path: Path) -> None:
    found = read_folder(_write(tmp_path, config={"bos_token_id": 0, "eos_token_id": [1, 2], "pad_token_id": 999}))
    assert (found.bos_id, found.eos_id, found.pad_id) == (0, 1, None)


def test_generation_stops_at_every_declared_end_and_at_the_end_of_a_turn(tmp_path: Path) -> None:
    config = {"eos_token": "</s>"}
    assert read_folder(_write(tmp_path, tokenizer_config=config)).stop_ids == (1, 2)
    folder = _write(tmp_path, tokenizer_config=config, generation_config={"eos_token_id": [1, 4]})
    assert read_folder(folder).stop_ids == (1, 4, 2)


def test_the_document_start_is_bos_where_no_endoftext_is_special(tmp_path: Path) -> None:
    assert read_folder(_write(tmp_path, tokenizer_config={"bos_token": "<s>"})).document_start_id == 0
    assert read_folder(_write(tmp_path, tokenizer_config={})).document_start_id is None


def test_the_bos_policy_is_the_post_processors_unless_the_configuration_speaks(tmp_path: Path) -> None:
    config = {"bos_token": "<s>"}
    adding = read_folder(_write(tmp_path, post_processor=True, tokenizer_config=config))
    assert adding.adds_bos
    assert adding.encode("ab") == [5]
    assert not read_folder(_write(tmp_path, tokenizer_config=config)).adds_bos
    assert read_folder(_write(tmp_path, tokenizer_config=config | {"add_bos_token": True})).adds_bos


def test_truncation_and_padding_in_a_file_change_no_text(tmp_path: Path) -> None:
    backend = Backend.from_file(str(_write(tmp_path) / "tokenizer.json"))
    backend.enable_truncation(2)
    backend.enable_padding(length=9)
    (tmp_path / "tokenizer.json").write_text(backend.to_str())
    assert read_folder(tmp_path).encode("aaaa") == [3, 3, 3, 3]
    # Control: the file does ask for it.
    assert len(Backend.from_file(str(tmp_path / "tokenizer.json")).encode("aaaa").ids) == 9


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("plain", "plain"),
        ([{"name": "tool_use", "template": "tools"}, {"name": "default", "template": "usual"}], "usual"),
        ([{"name": "only", "template": "one"}], "one"),
        (None, None),
    ],
)
def test_the_chat_template_is_found_in_the_configuration(
    tmp_path: Path, template: object, expected: str | None
) -> None:
    assert read_folder(_write(tmp_path, tokenizer_config={"chat_template": template})).chat_template == expected


def test_a_template_file_wins_over_the_configuration(tmp_path: Path) -> None:
    _write(tmp_path, tokenizer_config={"chat_template": "old"})
    (tmp_path / "chat_template.jinja").write_text("new")
    assert read_folder(tmp_path).chat_template == "new"


def test_a_model_without_a_template_refuses_a_chat(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no chat template"):
        read_folder(_write(tmp_path)).encode_chat([{"role": "user", "content": "a"}])


def test_what_is_saved_is_read_back_with_all_its_ends(tmp_path: Path) -> None:
    folder = _write(
        tmp_path,
        tokenizer_config={"bos_token": "<s>", "eos_token": "</s>", "pad_token": "</s>", "chat_template": "x"},
        generation_config={"eos_token_id": [1, 4]},
    )
    first = read_folder(folder)
    save_folder(first, tmp_path / "copy")
    again = read_folder(tmp_path / "copy")
    names = ("fingerprint", "bos_id", "eos_id", "pad_id", "stop_ids", "adds_bos", "chat_template", "special_tokens")
    for name in names:
        assert getattr(again, name) == getattr(first, name), name


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"[" * 100_000,
        b"\xff\xfe",
        b'{"model":{"type":"BPE","vocab":{},"merges":[]}}',
        b'{"model":{"type":"BPE","vocab":{"a":-1},"merges":[]}}',
        b'{"model":{"type":"BPE","vocab":{"a":0,"b":0},"merges":[]}}',
        b'{"model":{"type":"BPE","vocab":{"a":0},"merges":["a b"]}}',
        b'{"pre_tokenizer":{"type":"Split","pattern":{"Regex":"("},"behavior":"Isolated","invert":false},'
        b'"model":{"type":"BPE","vocab":{"a":0},"merges":[]}}',
    ],
)
def test_a_damaged_tokenizer_file_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "tokenizer.json").write_bytes(content)
    with pytest.raises(FileFormatError, match=r"tokenizer\.json"):
        read_folder(tmp_path)
    assert isinstance(read_folder(_write(tmp_path)), Tokenizer)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.integers(0, 2_000), new=st.binary(max_size=6), gone=st.integers(0, 40))
def test_an_altered_tokenizer_file_is_read_or_refused_and_nothing_else(
    tmp_path: Path, at: int, new: bytes, gone: int
) -> None:
    raw = (_write(tmp_path) / "tokenizer.json").read_bytes()
    (tmp_path / "tokenizer.json").write_bytes(raw[:at] + new + raw[at + gone :])
    try:
        assert isinstance(read_folder(tmp_path).encode("ab"), list)
    except FileFormatError as error:
        assert "\n" not in str(error)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("tokenizer_config", "[]"),
        ("tokenizer_config", "{"),
        ("tokenizer_config", '{"eos_token": 3}'),
        ("tokenizer_config", '{"chat_template": 3}'),
        ("config", '"x"'),
    ],
)
def test_damaged_files_beside_the_tokenizer_are_refused_by_name(tmp_path: Path, name: str, content: str) -> None:
    _write(tmp_path)
    (tmp_path / f"{name}.json").write_text(content)
    with pytest.raises(FileFormatError, match=name):
        read_folder(tmp_path)
