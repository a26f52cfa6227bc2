"""`glassbook export` writes a model as files that run without us."""

import shlex
import shutil
import subprocess

import pytest

from glassbook.models.loading.opening import open_model


@pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler (cc) here")
def test_what_it_says_to_type_compiles_and_prints_what_we_generate(cli, tiny, tmp_path):
    said = cli("export", tiny, "--two-files", "--out", tmp_path / "two files", "--json").json()
    assert said["reads_text"] and said["why_ids_only"] == ""
    subprocess.run(shlex.split(said["compile"]), check=True)
    done = subprocess.run(shlex.split(said["run"]), check=True, capture_output=True)
    expected = open_model(tiny).complete("Once upon a time", max_new_tokens=20)[0].text
    assert done.stdout.decode(errors="replace") == f"{expected}\n"


def test_a_person_reads_the_same_in_lines(cli, tiny, tmp_path):
    answer = cli("export", tiny, "--two-files", "--out", tmp_path / "two")
    lines = dict(line.split("  ", 1) for line in answer.out.splitlines())
    assert lines["compile it"].strip().startswith("cc -O3 ")
    assert lines["prompts"].strip() == "text or token ids"
    assert sorted(path.name for path in (tmp_path / "two").iterdir()) == ["model.c", "parameters.bin"]


def test_an_export_without_a_form_is_refused_in_a_sentence_and_writes_nothing(cli, tiny, tmp_path):
    answer = cli("export", tiny, "--out", tmp_path / "none")
    assert answer.is_one_sentence() and "--two-files" in answer.err
    assert not (tmp_path / "none").exists()
