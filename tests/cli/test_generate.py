"""`glassbook generate` writes what the model's own `generate` writes, in every form it can be asked for."""

import io
import os
import signal
import subprocess
import sys
import time

import pytest

from glassbook.models.loading.opening import open_model

PROMPT = "The king said"


@pytest.fixture(scope="module")
def model(tiny):
    return open_model(tiny)


def test_streamed_whole_and_json_are_the_text_that_the_library_gives(cli, tiny, model):
    expected = model.generate(PROMPT, max_new_tokens=12)
    assert expected
    ask = ["generate", tiny, PROMPT, "--max-new-tokens", 12]
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


def test_every_option_of_sampling_reaches_the_model(cli, tiny, model):
    given = {name.removeprefix("--").replace("-", "_"): value for name, value in OPTIONS.items()}
    expected = model.generate(PROMPT, max_new_tokens=16, **given)
    flags = [str(part) for pair in OPTIONS.items() for part in pair]
    assert cli("generate", tiny, PROMPT, "--max-new-tokens", 16, *flags).out == expected + "\n"


@pytest.mark.parametrize("name", OPTIONS)
def test_control_without_any_one_of_those_options_the_request_differs(cli, tiny, monkeypatch, name):
    seen = {}
    monkeypatch.setattr(
        "glassbook.models.model.Model.stream", lambda self, prompt, **wanted: seen.update(wanted) or iter(())
    )
    flags = [str(part) for pair in OPTIONS.items() if pair[0] != name for part in pair]
    cli("generate", tiny, PROMPT, *flags)
    key = name.removeprefix("--").replace("-", "_")
    assert seen[key] != OPTIONS[name]
    assert {other: seen[other.removeprefix("--").replace("-", "_")] for other in OPTIONS if other != name} == {
        other: value for other, value in OPTIONS.items() if other != name
    }


def test_several_samples_are_numbered_and_the_first_is_the_one_that_is_drawn_alone(cli, tiny):
    ask = ["generate", tiny, PROMPT, "--temperature", 1, "--max-new-tokens", 8, "--json"]
    one, three = cli(*ask).json()["completions"], cli(*ask, "--n", 3).json()["completions"]
    assert len(three) == 3
    assert one[0] == three[0]
    assert three[0]["text"] != three[1]["text"]
    printed = cli(*ask[:-1], "--n", 3).out
    assert [line for line in printed.splitlines() if line in ("[0]", "[1]", "[2]")] == ["[0]", "[1]", "[2]"]


def test_a_stop_string_ends_the_text_before_it(cli, tiny, model):
    whole = model.generate(PROMPT, max_new_tokens=12)
    stop = whole[3:5]
    assert (
        cli("generate", tiny, PROMPT, "--max-new-tokens", 12, "--stop", stop).out == whole[: whole.index(stop)] + "\n"
    )


@pytest.mark.parametrize("tail", ["", "\n"])
def test_a_dash_reads_the_prompt_from_standard_input_less_one_newline(cli, tiny, monkeypatch, tail):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO((PROMPT + tail).encode())))
    said = cli("generate", tiny, "-", "--max-new-tokens", 4, "--json").json()
    assert said["prompt"] == PROMPT


def test_bos_is_put_in_front_only_where_it_is_asked_for(cli, tiny):
    ask = ["generate", tiny, PROMPT, "--max-new-tokens", 1, "--json"]
    plain, with_bos = (cli(*ask, *more).json()["completions"][0]["prompt_tokens"] for more in ([], ["--bos"]))
    assert with_bos == [261, *plain]


def started(tiny, *more: str) -> subprocess.Popen[bytes]:
    # A tiny model is done before anyone could press a key, so each choice of a token is made to take a while.
    program = (
        "import time, glassbook.models.generation as generation\n"
        "usual = generation.choose\n"
        "generation.choose = lambda *given: (time.sleep(0.1), usual(*given))[1]\n"
        "from glassbook.cli.app import main\n"
        "main()"
    )
    arguments = ["generate", str(tiny), PROMPT, "--max-new-tokens", "30", *more]
    return subprocess.Popen(
        [sys.executable, "-u", "-c", program, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def test_ctrl_c_stops_at_once_and_keeps_what_is_printed(tiny):
    with started(tiny) as process:
        first = os.read(process.stdout.fileno(), 1)
        sent = time.monotonic()
        process.send_signal(signal.SIGINT)
        rest, err = process.communicate(timeout=20)
        assert time.monotonic() - sent < 2
    assert process.returncode == 130
    assert err == b"glassbook: stopped; what was finished is kept\n"
    kept, whole = (first + rest).decode(), open_model(tiny).generate(PROMPT, max_new_tokens=30)
    assert kept.endswith("\n")
    assert whole.startswith(kept.rstrip("\n")) and len(kept) < len(whole)


def test_control_left_alone_the_same_command_ends_by_itself(tiny):
    with started(tiny) as process:
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0
    assert (out.decode(), err) == (open_model(tiny).generate(PROMPT, max_new_tokens=30) + "\n", b"")
