"""`glassbook doctor`: each check holds on a sound machine and falls to the fault it is there to find."""

import shutil
from collections import namedtuple

import pytest
import torch

from glassbook.cli import doctor_checks, doctor_model
from glassbook.cli.doctor import verdict
from glassbook.cli.doctor_checks import Check
from glassbook.models.loading.known import converted_folder
from glassbook.models.loading.opening import open_model

KEY = "smollm2-135m"
MACHINE = ["versions", "threads", "precision", "memory", "disk"]
MODEL = ["parity", "tokenizer", "forward pass", "generation"]


@pytest.fixture
def empty_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("GLASSBOOK_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("GLASSBOOK_DATA", raising=False)
    return tmp_path / "cache"


@pytest.fixture
def impostor(empty_cache, tiny):
    """A sound folder under the default model's name, which holds another model."""
    shutil.copytree(tiny, converted_folder(KEY))
    return converted_folder(KEY)


def test_json_tells_every_check_with_its_finding_and_the_exit_status_follows_from_them(cli, tiny):
    answer = cli("doctor", "--model", tiny, "--json")
    said = answer.json()
    assert [check["name"] for check in said["checks"]] == [*MACHINE, "model", *MODEL]
    assert all(check["finding"] for check in said["checks"])
    assert said["holds"] == all(check["holds"] for check in said["checks"])
    assert answer.status == (0 if said["holds"] else 1)
    assert all(check["next_step"] for check in said["checks"] if not check["holds"])


def test_a_person_reads_a_line_for_each_check_and_one_verdict(cli, tiny):
    lines = cli("doctor", "--model", tiny).out.splitlines()
    assert [line[2:14].strip() for line in lines[:10]] == [*MACHINE, "model", *MODEL]
    assert all(line[0] in "✓✗" for line in lines[:10])
    assert len(lines) == 12 and lines[10] == ""


def test_without_the_model_it_says_all_else_and_the_one_command_that_fetches_it(cli, empty_cache):
    answer = cli("doctor", "--json")
    said = answer.json()
    assert answer.status == 1
    assert [check["name"] for check in said["checks"]] == [*MACHINE, "model"]
    assert said["checks"][-1]["next_step"] == "'glassbook open smollm2-135m' gets it once"
    assert said["checks"][-1]["next_step"] in said["verdict"]


def test_another_model_under_the_default_s_name_is_found_out_by_its_answers(cli, impostor):
    said = {check["name"]: check for check in cli("doctor", "--json").json()["checks"]}
    assert said["model"]["holds"]
    assert not said["parity"]["holds"]


def test_a_flipped_byte_escapes_the_quick_check_and_not_the_full_one(impostor):
    assert doctor_checks.check_cache(KEY, full=True).holds
    weights = impostor / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    assert doctor_checks.check_cache(KEY, full=False).holds
    found = doctor_checks.check_cache(KEY, full=True)
    assert not found.holds
    assert "model.safetensors has the right size but another content" in found.finding


def test_a_truncated_file_falls_to_the_quick_check_and_the_model_is_not_tried(cli, impostor):
    weights = impostor / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    said = cli("doctor", "--json").json()["checks"]
    assert [check["name"] for check in said] == [*MACHINE, "model"]
    assert not said[-1]["holds"] and "remove that folder" in said[-1]["next_step"]


def test_more_threads_than_cores_do_not_hold_and_fewer_are_explained(monkeypatch):
    monkeypatch.setattr(doctor_checks, "allowed_cores", lambda: 2)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    found = {}
    for threads in (1, 2, 64):
        monkeypatch.setattr(torch, "get_num_threads", lambda threads=threads: threads)
        found[threads] = doctor_checks.check_threads()
    assert [check.holds for check in found.values()] == [True, True, False]
    assert "OMP_NUM_THREADS=2" in found[64].next_step and not found[2].next_step
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    assert "OMP_NUM_THREADS=1 limits them" in doctor_checks.check_threads().finding


def test_a_processor_that_multiplies_bfloat16_wrongly_is_found_out(monkeypatch):
    assert doctor_checks.check_precision().holds
    monkeypatch.setattr(torch.Tensor, "bfloat16", lambda self: (self * 1.02).to(torch.bfloat16))
    assert not doctor_checks.check_precision().holds


@pytest.mark.parametrize(("free", "holds"), [(10**12, True), (10**6, False)])
def test_memory_and_disk_hold_where_the_default_model_fits(empty_cache, monkeypatch, free, holds):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(doctor_checks, "available_memory", lambda: free)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage(free, 0, free))
    for check in (doctor_checks.check_memory(torch.float32), doctor_checks.check_disk()):
        assert check.holds is holds
        assert bool(check.next_step) is not holds


def test_a_model_in_the_cache_needs_no_more_disk(impostor):
    assert doctor_checks.check_disk().figures["needed_bytes"] == 0


def test_a_build_for_gpus_without_a_gpu_does_not_hold(monkeypatch):
    assert doctor_checks.check_versions().holds or torch.version.cuda
    monkeypatch.setattr(torch.version, "cuda", "12.6")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert not doctor_checks.check_versions().holds


def test_a_tokenizer_that_loses_a_character_is_found_out(tiny, monkeypatch):
    model = open_model(tiny)
    assert doctor_model.check_tokenizer(model).holds
    encode = type(model.tokenizer).encode
    monkeypatch.setattr(type(model.tokenizer), "encode", lambda self, text: encode(self, text.replace("€", "")))
    found = doctor_model.check_tokenizer(model)
    assert not found.holds and "came back as" in found.finding


def test_a_slow_pass_does_not_hold_and_a_fast_one_does(tiny, monkeypatch):
    model = open_model(tiny)
    for seconds, holds in (([1.0, 0.5], True), ([1.0, 0.01], False)):
        monkeypatch.setattr(doctor_model, "_fastest", lambda *measures, seconds=seconds: seconds)
        found = doctor_model.check_forward(model)
        assert found.holds is holds
        assert found.figures["share"] == pytest.approx(
            seconds[1] / seconds[0] * found.figures["flop"] / _weight_flop(model)
        )


def _weight_flop(model) -> int:
    return 2 * 48 * sum(weight.numel() for weight in doctor_model.multiplied_weights(model))


def test_the_weights_that_multiply_are_every_matrix_but_the_embedding(tiny):
    model = open_model(tiny)
    names = [name for name, weight in model.net.named_parameters() if weight.ndim == 2]
    assert len(doctor_model.multiplied_weights(model)) == len(names) - 1


def test_the_verdict_names_what_failed_and_only_praises_answers_that_were_compared():
    sound, mute = (
        Check("parity", True, "", figures={"max_abs_difference": 0.0}),
        Check("parity", True, "no golden answer"),
    )
    bad = Check("disk", False, "full", "free some space")
    assert verdict([sound]) == "All 1 checks hold: this machine is ready, and its model answers as the reference does."
    assert "reference" not in verdict([mute])
    assert verdict([sound, bad]) == "1 check does not hold of 2 (disk); next: free some space."


@pytest.mark.model
def test_the_default_model_answers_as_the_reference_does_and_bfloat16_only_nearly(cli):
    said = {check["name"]: check for check in cli("doctor", "--json").json()["checks"]}
    assert said["parity"]["holds"] and said["model"]["holds"] and said["tokenizer"]["holds"]
    half = doctor_model.check_parity(open_model(KEY, dtype="bfloat16"), KEY)
    assert half.holds
    assert said["parity"]["figures"]["max_abs_difference"] < 2e-3 < half.figures["max_abs_difference"]
