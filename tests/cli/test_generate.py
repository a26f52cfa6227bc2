"""`glassbook generate` writes what the model's own `generate` writes, in every form it can be asked for."""

import io
import json
import signal
import subprocess
import sys

import pytest

from conformance.tiny import tiny_model, tiny_tokenizer
from glassbook.models.loading.opening import open_model
from glassbook.models.loading.own_folder import save_model
from glassbook.text.tokenizer import Declared, Tokenizer


@pytest.fixture(scope="module")
def model(tiny):
    return open_model(tiny)


@pytest.fixture(scope="module")
def prompt(model):
    """A prompt that the tiny model goes on from for as long as it is let."""
    words = ("The king said", "The queen said", "Once", "A", "We went", "I", "x", "and so")
    return next(word for word in words if len(model.complete(word, max_new_tokens=30)[0].tokens) == 30)


def test_streamed_whole_and_json_are_the_text_that_the_library_gives(cli, tiny, model, prompt):
    expected = model.generate(prompt, max_new_tokens=12)
    assert expected
    ask = ["generate", tiny, prompt, "--max-new-tokens", 12]
    assert cli(*ask).out == expected + "\n"
    assert cli(*ask, "--no-stream").out == expected + "\n"
    said = cli(*ask, "--json").json()
    assert [one["text"] for one in said["completions"]] == [expected]
    assert said["completions"][0]["stopped_by"] == "length"
    assert len(said["completions"][0]["tokens"]) == 12
    assert said["model"] == model.identity.to_dict()


OPTIONS = {
    "--temperature": 1.3,
    "--top-k": 7,
    "--top-p": 0.7,
    "--min-p": 0.05,
    "--frequency-penalty": 0.4,
    "--presence-penalty": 0.3,
    "--repetition-penalty": 1.4,
    "--seed": 5,
}


def test_every_option_of_sampling_reaches_the_model(cli, tiny, model, prompt):
    given = {name.removeprefix("--").replace("-", "_"): value for name, value in OPTIONS.items()}
    expected = model.generate(prompt, max_new_tokens=16, **given)
    flags = [str(part) for pair in OPTIONS.items() for part in pair]
    assert cli("generate", tiny, prompt, "--max-new-tokens", 16, *flags).out == expected + "\n"


@pytest.mark.parametrize("name", OPTIONS)
def test_control_without_any_one_of_those_options_the_request_differs(cli, tiny, monkeypatch, name, prompt):
    seen = {}
    monkeypatch.setattr(
        "glassbook.models.model.Model.stream", lambda self, prompt, **wanted: seen.update(wanted) or iter(())
    )
    flags = [str(part) for pair in OPTIONS.items() if pair[0] != name for part in pair]
    cli("generate", tiny, prompt, *flags)
    key = name.removeprefix("--").replace("-", "_")
    assert seen[key] != OPTIONS[name]
    assert {other: seen[other.removeprefix("--").replace("-", "_")] for other in OPTIONS if other != name} == {
        other: value for other, value in OPTIONS.items() if other != name
    }


def test_several_samples_are_numbered_and_the_first_is_the_one_that_is_drawn_alone(cli, tiny, prompt):
    ask = ["generate", tiny, prompt, "--temperature", 1, "--max-new-tokens", 8, "--json"]
    one, three = cli(*ask).json()["completions"], cli(*ask, "--n", 3).json()["completions"]
    assert len(three) == 3
    assert one[0] == three[0]
    assert three[0]["text"] != three[1]["text"]
    printed = cli(*ask[:-1], "--n", 3).out
    assert [line for line in printed.splitlines() if line in ("[0]", "[1]", "[2]")] == ["[0]", "[1]", "[2]"]


def test_a_stop_string_ends_the_text_before_it(cli, tiny, model, prompt):
    whole = model.generate(prompt, max_new_tokens=12)
    stop = whole[3:5]
    assert (
        cli("generate", tiny, prompt, "--max-new-tokens", 12, "--stop", stop).out == whole[: whole.index(stop)] + "\n"
    )


@pytest.mark.parametrize("tail", ["", "\n"])
def test_a_dash_reads_the_prompt_from_standard_input_less_one_newline(cli, tiny, monkeypatch, tail, prompt):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO((prompt + tail).encode())))
    said = cli("generate", tiny, "-", "--max-new-tokens", 4, "--json").json()
    assert said["prompt"] == prompt


def test_bos_is_put_in_front_only_where_it_is_asked_for(cli, tiny, prompt):
    ask = ["generate", tiny, prompt, "--max-new-tokens", 1, "--json"]
    plain, with_bos = (cli(*ask, *more).json()["completions"][0]["prompt_tokens"] for more in ([], ["--bos"]))
    assert with_bos == [261, *plain]


def started(tiny, prompt: str, *more: str) -> subprocess.Popen[bytes]:
    # A tiny model is done before anyone could press a key, so each choice of a token is made to take a while.
    program = (
        "import sys, time, glassbook.models.generation as generation\n"
        "usual = generation.choose\n"
        "def slow(*given):\n"
        "    print('chose', file=sys.stderr, flush=True)\n"
        "    time.sleep(0.2)\n"
        "    return usual(*given)\n"
        "generation.choose = slow\n"
        "from glassbook.cli.app import main\n"
        "main()"
    )
    arguments = ["generate", str(tiny), prompt, "--max-new-tokens", "30", *more]
    return subprocess.Popen([sys.executable, "-c", program, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def interrupted(process: subprocess.Popen[bytes]) -> tuple[str, list[str]]:
    """Send Ctrl-C when the fourth token is being chosen; return what was printed, and said on stderr."""
    with process:
        for _ in range(4):
            process.stderr.readline()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    return out.decode(), [line for line in err.decode().splitlines() if line != "chose"]


def test_ctrl_c_stops_at_once_and_keeps_what_is_printed(tiny, model, prompt):
    process = started(tiny, prompt)
    kept, said = interrupted(process)
    assert process.returncode == 130
    assert said == ["glassbook: stopped; what was finished is kept"]
    whole = model.generate(prompt, max_new_tokens=30)
    assert kept.endswith("\n") and whole.startswith(kept.removesuffix("\n")) and 0 < len(kept) < len(whole) / 2


def test_ctrl_c_under_json_still_prints_one_document_of_what_is_finished(tiny, model, prompt):
    process = started(tiny, prompt, "--json")
    kept, said = interrupted(process)
    assert process.returncode == 130
    assert said == ["glassbook: stopped; what was finished is kept"]
    (one,) = json.loads(kept)["completions"]
    assert one["stopped_by"] == "cancelled"
    assert 3 <= len(one["tokens"]) < 15
    assert model.generate(prompt, max_new_tokens=30).startswith(one["text"].rstrip("\ufffd"))


def test_control_left_alone_the_same_command_ends_by_itself(tiny, model, prompt):
    with started(tiny, prompt) as process:
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0
    assert out.decode() == model.generate(prompt, max_new_tokens=30) + "\n"
    assert set(err.decode().splitlines()) == {"chose"}


TEMPLATE = "{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}[assistant]"


def test_a_chat_is_written_by_the_model_s_own_template(cli, tmp_path):
    model, plain = tiny_model(), tiny_tokenizer()
    chatty = Tokenizer(plain._backend, Declared(eos_id=plain.eos_id, chat_template=TEMPLATE))
    save_model(type(model)(model.net, chatty, model.identity), tmp_path / "chatty")
    ask = ["generate", tmp_path / "chatty", "Hello", "--max-new-tokens", 2, "--json"]
    asked, raw = (cli(*ask, *more).json()["completions"][0]["prompt_tokens"] for more in (["--chat"], []))
    assert chatty.decode(asked) == "[user]Hello[assistant]"
    assert chatty.decode(raw) == "Hello"
