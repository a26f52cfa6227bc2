"""The two files say what we say: the C program's greedy tokens are ours, and it refuses what it should in one sentence."""

import copy
import functools
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
import tokenizers
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import pre_tokenizers

from conformance.shapes import ROWS
from conformance.tiny import GPT2, LLAMA, as_model, our_net, tiny_model, tiny_tokenizer
from glassbook.core.errors import InputError, ModelError
from glassbook.models import gpt2
from glassbook.models.model import Model
from glassbook.models.two_files import TwoFiles, write_two_files
from glassbook.models.two_files.vocabulary import read_vocabulary
from glassbook.models.two_files.writing import _in_order
from glassbook.text.corpora import open_corpus
from glassbook.text.tokenizer import Tokenizer
from glassbook.text.vocabularies import byte_bpe_tokenizer, character_tokenizer, gpt2_tokenizer
from models.c_answer import Answer

CC = shutil.which("cc")
SOURCE = Path(__file__).resolve().parents[2] / "src" / "glassbook" / "models" / "two_files" / "model.c"
HARNESS = Path(__file__).with_name("two_files_harness.c")
STRICT = ("-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror")
SANITIZED = ("-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
GAP = 1e-3

pytestmark = pytest.mark.skipif(CC is None, reason="there is no C compiler (cc) here")
architectures = pytest.mark.parametrize("architecture", [GPT2, LLAMA])
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=30)


@functools.cache
def compiled(folder: Path, source: Path = SOURCE, *flags: str) -> Path:
    """Return the compiled program, built once a session; skip where this compiler lacks a sanitizer."""
    program = folder / "-".join((source.stem, *flags)).replace("=", "").replace(",", "")
    done = subprocess.run(
        [str(CC), *flags, f'-DMODEL_C="{SOURCE}"', str(source), "-lm", "-o", str(program)],
        capture_output=True,
        text=True,
    )
    if done.returncode and "-fsanitize" in " ".join(flags) and "error:" not in done.stderr.split("ld:")[0]:
        pytest.skip("this compiler has no address sanitizer")
    assert done.returncode == 0 and done.stderr == "", done.stderr
    return program


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder for what this session compiles and exports."""
    return tmp_path_factory.mktemp("two_files")


@pytest.fixture(scope="session")
def program(folder: Path) -> Path:
    """Return the program as a person compiles it."""
    return compiled(folder, SOURCE, "-O3")


def call(program: Path, parameters: Path, *words: object) -> Answer:
    """Return what the program answers."""
    arguments = [word if isinstance(word, bytes) else str(word) for word in (program, parameters, *words)]
    done = subprocess.run(arguments, capture_output=True, timeout=120)
    return Answer(done.returncode, done.stdout, done.stderr.decode(errors="replace"))


@functools.cache
def exported(folder: Path, architecture: str) -> TwoFiles:
    """Return the two files of a tiny model, written once a session."""
    return write_two_files(tiny_model(architecture), folder / architecture)


def sure_tokens(model: Model, prompt: Sequence[int], n: int) -> list[int]:
    """Return a greedy continuation by full passes, no cache, up to where the best two logits are too close to tell."""
    row, stops = list(prompt), set(model.tokenizer.stop_ids) if model.tokenizer else set()
    for _ in range(n):
        logits = model([row])[0, -1]
        best, second = logits.topk(2).values
        if best - second <= GAP or int(logits.argmax()) in stops:
            break
        row.append(int(logits.argmax()))
    return row[len(prompt) :]


def encoded(program: Path, parameters: Path, given_texts: Sequence[str]) -> list[list[int]]:
    """Return the ids that the C file gives each text."""
    data = b"".join(text.encode() + b"\0" for text in given_texts)
    done = subprocess.run([program, parameters], input=data, capture_output=True, check=True, timeout=60)
    return [[int(word) for word in line.split()] for line in done.stdout.decode().splitlines()]


def transposed(model: Model, name: str) -> Model:
    """Return a copy of the model with one square weight lying the wrong way."""
    net = copy.deepcopy(model.transformer)
    weight = net.get_parameter(name)
    with torch.no_grad():
        weight.copy_(weight.T.clone())
    return as_model(net, model.tokenizer, "transposed")


def test_the_program_is_one_short_file_that_a_strict_compiler_takes_without_a_warning(folder: Path) -> None:
    lines = SOURCE.read_text().splitlines()
    assert len(lines) <= 600 and max(map(len, lines)) <= 125
    included = {line.split("<")[1].rstrip(">") for line in lines if line.startswith("#include")}
    assert included <= {f"{name}.h" for name in ("errno", "fcntl", "math", "stdarg", "stddef", "stdint", "stdio", "stdlib",
                                                 "string", "sys/mman", "sys/stat", "unistd")}  # fmt: skip
    compiled(folder, SOURCE, "-O3", *STRICT)


@architectures
@settings(max_examples=12)
@given(prompt=st.lists(st.integers(0, 261), min_size=1, max_size=20), n=st.integers(1, 12))
def test_the_program_goes_on_from_ids_with_our_greedy_tokens(
    folder: Path, program: Path, architecture: str, prompt: list[int], n: int
) -> None:
    expected = sure_tokens(tiny_model(architecture), prompt, n)
    got = call(program, exported(folder, architecture).parameters, n, *prompt).tokens
    assert got[: len(expected)] == expected and len(got) <= n


@pytest.mark.parametrize(
    ("architecture", "label"),
    [
        (architecture, label)
        for architecture in (GPT2, LLAMA)
        for label, c in {**ROWS[architecture].shapes, **ROWS[architecture].relatives}.items()
        if not getattr(c, "qk_norm", False) and not any(getattr(c, "windows", ()))
    ],
)
def test_every_shape_of_the_conformance_table_gives_the_same_tokens(
    folder: Path, program: Path, architecture: str, label: str
) -> None:
    model = as_model(our_net(architecture, label))
    written = write_two_files(model, folder / "shapes" / f"{architecture} {label}")
    told = 0
    for prompt in ([1, 2, 3], [40, 7], [11]):
        expected = sure_tokens(model, prompt, 8)
        assert call(program, written.parameters, 8, *prompt).tokens[: len(expected)] == expected
        told += len(expected)
    assert told >= 6


@architectures
def test_control_a_transposed_weight_gives_other_tokens_and_ours_of_that_model(
    folder: Path, program: Path, architecture: str
) -> None:
    model = tiny_model(architecture)
    wrong = transposed(model, "blocks.0.attn.out.weight")
    written = write_two_files(wrong, folder / f"transposed {architecture}")
    prompts = [[3, 77, 120, 9], [200, 1], [42, 43, 44]]
    got = [call(program, written.parameters, 10, *prompt).tokens for prompt in prompts]
    right = [call(program, exported(folder, architecture).parameters, 10, *prompt).tokens for prompt in prompts]
    assert got != right
    for prompt, tokens in zip(prompts, got, strict=True):
        expected = sure_tokens(wrong, prompt, 10)
        assert tokens[: len(expected)] == expected


def test_the_program_stops_where_our_generation_stops(folder: Path, program: Path) -> None:
    model = tiny_model(LLAMA)
    tokens = call(program, exported(folder, LLAMA).parameters, 12, 3, 77, 120, 9).tokens
    ending = copy.copy(model.tokenizer)
    assert ending is not None
    ending._declared = type(ending._declared)(eos_id=tokens[4])
    ends = write_two_files(Model(model.net, ending, model.identity), folder / "ends").parameters
    assert call(program, ends, 12, 3, 77, 120, 9).tokens == tokens[: tokens.index(tokens[4])]


SAID = "I think you are, aren't you?  Well...\n\n\tYes: 3,141 élèves, naïve – Ελληνικά 😀 日本語 supercalifragilistic"


def with_tokenizer(tokenizer: Tokenizer, folder: Path) -> Path:
    """Return the parameters of the smallest network with this vocabulary."""
    sizes = dict(n_layers=1, d_model=2, n_heads=1, d_head=2, d_mlp=2, n_ctx=64, norm_eps=1e-5, tied_embeddings=True)
    net = gpt2.GPT2(gpt2.GPT2Config(d_vocab=tokenizer.d_vocab, **sizes))
    net.init_weights(0)
    written = write_two_files(as_model(net.eval().requires_grad_(False), tokenizer), folder)
    assert written.reads_text
    return written.parameters


@functools.cache
def learned(folder: Path) -> tuple[Tokenizer, Path]:
    """Return byte pairs learned from a shipped book, and the parameters of a network with that vocabulary."""
    tokenizer = byte_bpe_tokenizer([*open_corpus("alice", 200), SAID], 700)
    return tokenizer, with_tokenizer(tokenizer, folder / "learned")


@settings(max_examples=25)
@given(given_texts=st.lists(texts | st.text("theand ’'s12.\n", min_size=1, max_size=40), min_size=1, max_size=20))
@example(given_texts=["\x1c \x1d a\x85b  c\u00a0\u3000 d\u200b", "it's  'tis\n\n x'll'", "a\u1680 \u180e b", "१२ ⅷ ²x"])
def test_the_program_encodes_any_text_as_byte_pairs_that_we_learned(folder: Path, given_texts: list[str]) -> None:
    harness = compiled(folder, HARNESS, "-O1", "-Wno-unused-function")
    tokenizer, parameters = learned(folder)
    expected = [tokenizer.encode(text) for text in given_texts]
    assert encoded(harness, parameters, given_texts) == expected


def test_control_with_fewer_merges_a_text_has_other_tokens(folder: Path) -> None:
    harness = compiled(folder, HARNESS, "-O1", "-Wno-unused-function")
    tokenizer, parameters = learned(folder)
    assert encoded(harness, parameters, [SAID]) == [tokenizer.encode(SAID)]
    assert encoded(harness, exported(folder, GPT2).parameters, [SAID]) != [tokenizer.encode(SAID)]


@pytest.mark.slow
def test_the_program_encodes_text_by_gpt2_s_own_merges(folder: Path) -> None:
    harness = compiled(folder, HARNESS, "-O1", "-Wno-unused-function")
    parameters = with_tokenizer(gpt2_tokenizer(), folder / "gpt2 merges")
    said = [SAID, *open_corpus("alice", 100)]
    assert encoded(harness, parameters, said) == [gpt2_tokenizer().encode(text) for text in said]


def test_the_program_reads_and_writes_characters_and_refuses_those_it_never_met(folder: Path, program: Path) -> None:
    tokenizer = character_tokenizer(["to be, or not to bé\n 😀"], ["<|endoftext|>"])
    parameters = with_tokenizer(tokenizer, folder / "characters")
    harness = compiled(folder, HARNESS, "-O1", "-Wno-unused-function")
    said = ["to be", "é😀\n", " "]
    assert encoded(harness, parameters, said) == [tokenizer.encode(text) for text in said]
    ids = call(program, parameters, 9, *tokenizer.encode("to be")).tokens
    assert call(program, parameters, 9, "--text", "to be").out == b"".join(map(tokenizer.token_bytes, ids)) + b"\n"
    assert call(program, parameters, 9, "--text", "to Bé").refuses("never met 'B'")


@architectures
@settings(max_examples=8)
@given(text=texts)
def test_the_program_goes_on_from_text_as_from_its_ids(
    folder: Path, program: Path, architecture: str, text: str
) -> None:
    model, parameters = tiny_model(architecture), exported(folder, architecture).parameters
    assert model.tokenizer is not None
    ids = model.tokenizer.encode(text)
    if len(ids) > 40 or text.startswith("--text"):
        return
    tokens = call(program, parameters, 8, *ids).tokens
    assert (
        call(program, parameters, 8, "--text", text).out == b"".join(map(model.tokenizer.token_bytes, tokens)) + b"\n"
    )


def damaged_files(sound: bytes, folder: Path) -> dict[str, tuple[Path, str]]:
    """Return files that are not what they should be, each with words of the sentence that must meet it."""
    grown = bytearray(sound)
    grown[20] ^= 1
    cases = {
        "empty": (b"", "too short"),
        "half a header": (sound[:70], "too short"),
        "another kind of file": (b"GGUF" + sound[4:], "does not hold parameters"),
        "truncated": (sound[:-4], "bytes of"),
        "a tail": (sound + b"0000", "bytes of"),
        "another size": (bytes(grown), "damaged header"),
        "another tokenizer": (sound[:400] + bytes([sound[400] ^ 1]) + sound[401:], "damaged header"),
    }
    folder.mkdir(exist_ok=True)
    for name, (content, _) in cases.items():
        (folder / name).write_bytes(content)
    return {name: (folder / name, words) for name, (_, words) in cases.items()}


@pytest.mark.parametrize("flags", [("-O3",), SANITIZED], ids=["plain", "sanitized"])
def test_a_wrong_or_truncated_file_is_refused_in_one_sentence(folder: Path, flags: tuple[str, ...]) -> None:
    program, sound = compiled(folder, SOURCE, *flags), exported(folder, GPT2).parameters
    cases = damaged_files(sound.read_bytes(), folder / "damaged")
    assert len(cases) == 7
    for name, (path, words) in cases.items():
        answer = call(program, path, 3, 1, 2)
        assert answer.refuses(words), (name, answer)
    assert call(program, folder / "nowhere.bin", 3, 1).refuses("cannot be opened")
    assert call(program, folder, 3, 1).refuses("no file")
    assert len(call(program, sound, 3, 1, 2).tokens) == 3


def test_no_byte_of_header_or_tokenizer_can_change_unnoticed(folder: Path, program: Path) -> None:
    sound = exported(folder, LLAMA).parameters.read_bytes()
    weights_at = int.from_bytes(sound[120:128], "little")
    path = folder / "flipped.bin"
    for at in (*range(0, 144, 3), *range(144, weights_at, 997), weights_at - 1):
        path.write_bytes(sound[:at] + bytes([sound[at] ^ 0x10]) + sound[at + 1 :])
        answer = call(program, path, 1, 1)
        assert answer.status == 2 and answer.err.count("\n") == 1, at
    # Control: the weights themselves are not summed up, so another weight is another model and no damage.
    path.write_bytes(sound[:-4] + bytes([sound[-4] ^ 0x10]) + sound[-3:])
    assert call(program, path, 1, 1).status == 0


@pytest.mark.parametrize("flags", [("-O3",), SANITIZED], ids=["plain", "sanitized"])
def test_what_cannot_be_read_is_refused_in_one_sentence(folder: Path, flags: tuple[str, ...]) -> None:
    program, parameters = compiled(folder, SOURCE, *flags), exported(folder, GPT2).parameters
    cases: list[tuple[tuple[object, ...], str]] = [
        ((5, 262), "from 0 to 261"),
        ((5, -1), "from 0 to 261"),
        ((5, "9" * 30), "from 0 to 261"),
        ((5, "seven"), "whole number"),
        ((5, "7x"), "whole number"),
        ((0, 7), "from 1 to 48"),
        ((49, 7), "from 1 to 48"),
        ((40, *[7] * 9), "exceed the context of 48"),
        ((40, "--text", "ninechars" * 9), "exceed the context of 48"),
        ((5, "--text", ""), "empty"),
        ((5, "--text", "two", "texts"), "one text"),
        ((5, "--text", b"caf\xe9"), "not UTF-8"),
        ((5, "--text", b"\xe2\x82"), "not UTF-8"),
        ((5,), "usage"),
    ]
    for words, sentence in cases:
        answer = call(program, parameters, *words)
        assert answer.refuses(sentence), (words, answer)
    assert len(call(program, parameters, 39, *[7] * 9).tokens) == 39


@architectures
def test_the_address_sanitizer_finds_nothing_in_a_whole_run(folder: Path, architecture: str) -> None:
    program, parameters = compiled(folder, SOURCE, *SANITIZED), exported(folder, architecture).parameters
    assert len(call(program, parameters, 45, 3, 77, 9).tokens) == 45
    assert call(program, parameters, 20, "--text", "it's  on \n\n the thé 12\u3000").status == 0
    harness = compiled(folder, HARNESS, "-Wno-unused-function", *SANITIZED)
    assert len(encoded(harness, parameters, ["a", " \n", "'ll 😀", "\u3000"])) == 4


def test_parameters_without_a_tokenizer_take_ids_and_no_text(folder: Path, program: Path) -> None:
    model = tiny_model(GPT2)
    written = write_two_files(Model(model.net, None, model.identity), folder / "mute")
    assert not written.reads_text and "no tokenizer" in written.why_ids_only
    assert call(program, written.parameters, 5, "--text", "hello").refuses("without a tokenizer")
    assert call(program, written.parameters, 5, 3, 4).tokens


def test_a_tokenizer_of_other_rules_is_left_out_and_the_reason_is_given() -> None:
    backend = tokenizers.Tokenizer.from_str(tiny_tokenizer().to_json())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    other = Tokenizer(backend, tiny_tokenizer()._declared)
    assert "rules" in read_vocabulary(other).why_ids_only
    assert read_vocabulary(tiny_tokenizer()).why_ids_only == ""


@pytest.mark.parametrize("label", ["golden of Qwen3", "golden of Mistral"])
def test_a_choice_that_the_program_does_not_compute_is_refused_by_name(folder: Path, label: str) -> None:
    with pytest.raises(ModelError, match=r"norms its queries|looks back through a window"):
        write_two_files(as_model(our_net(LLAMA, label)), folder / "no")
    assert not (folder / "no").exists()


def test_other_architectures_precisions_and_weights_without_value_are_refused(folder: Path) -> None:
    with pytest.raises(ModelError, match="is a GPTNeoX"):
        write_two_files(tiny_model("gpt_neox"), folder / "no")
    halved = as_model(copy.deepcopy(tiny_model(LLAMA).transformer).bfloat16())
    with pytest.raises(InputError, match="bfloat16"):
        write_two_files(halved, folder / "no")
    broken = as_model(copy.deepcopy(tiny_model(LLAMA).transformer))
    with torch.no_grad():
        broken.net.get_parameter("blocks.1.ln1.weight")[3] = torch.nan
    with pytest.raises(ModelError, match=r"blocks\.1\.ln1\.weight"):
        write_two_files(broken, folder / "no")
    (folder / "a file").write_text("")
    with pytest.raises(InputError, match="is a file"):
        write_two_files(tiny_model(LLAMA), folder / "a file")
    assert not (folder / "no").exists()


@architectures
def test_every_weight_of_the_network_is_written_once(architecture: str) -> None:
    net = tiny_model(architecture).transformer
    written = [name for name, _ in _in_order(net)]  # type: ignore[arg-type]
    assert sorted(set(written) - {"frequencies"}) == sorted(name for name, _ in net.named_parameters())
    assert len(written) == len(set(written))


@pytest.mark.model
@pytest.mark.slow
def test_the_default_model_says_the_same_in_c(folder: Path, program: Path, default_model: Model) -> None:
    written = write_two_files(default_model, folder / "default")
    try:
        for text in ("I think you are", "The capital of France is", "def add(a, b):"):
            prompt = default_model.to_tokens(text)[0].tolist()
            expected = sure_tokens(default_model, prompt, 12)
            assert len(expected) >= 3
            assert call(program, written.parameters, 12, *prompt).tokens[: len(expected)] == expected
    finally:
        written.parameters.unlink()
