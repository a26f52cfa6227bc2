"""`glassbook open` says what a model is, from the model itself."""

from glassbook.cli.open import tokenizer_line
from glassbook.core.sites import KINDS
from glassbook.models.loading.opening import open_model


def test_json_says_what_the_opened_model_says_of_itself(cli, tiny):
    said = cli("open", tiny, "--json").json()
    model = open_model(tiny)
    assert said["identity"] == model.identity.to_dict()
    assert said["sizes"] == model.config.sizes
    assert said["n_parameters"] == sum(weight.numel() for weight in model.net.parameters())
    assert said["memory_bytes"] == 4 * said["n_parameters"]
    assert said["sites"] == model.site_names
    assert said["tokenizer"]["document_start"] == {"id": 261, "token": "<|endoftext|>"}
    assert said["opened_as"] == str(tiny)
    assert said["seconds"] > 0


def test_another_precision_halves_the_memory_and_changes_the_fingerprint_but_not_the_lineage(cli, tiny):
    full, half = (cli("open", tiny, "--dtype", dtype, "--json").json() for dtype in ("float32", "bfloat16"))
    assert half["memory_bytes"] * 2 == full["memory_bytes"]
    assert half["identity"]["fingerprint"] != full["identity"]["fingerprint"]
    assert half["identity"]["lineage"] == full["identity"]["lineage"]


def test_a_person_reads_the_same_facts_in_lines(cli, tiny):
    answer, said = cli("open", tiny), cli("open", tiny, "--json").json()
    assert answer.status == 0
    lines = dict(line.split(maxsplit=1) for line in answer.out.splitlines())
    assert lines["fingerprint"] == said["identity"]["fingerprint"]
    assert "n_layers 3" in lines["sizes"] and "n_kv_heads 2" in lines["sizes"]
    assert lines["Sites"].split(", ") == [name for name in KINDS if name in said["sites"]]
    assert "a document starts with '<|endoftext|>' (261)" in lines["tokenizer"]


def test_the_tokenizer_s_line_tells_one_policy_from_another():
    bos = {"id": 1, "token": "<s>"}
    said = {
        "d_vocab": 3000,
        "adds_bos": True,
        "bos": bos,
        "document_start": bos,
        "stops_at": [],
        "has_chat_template": True,
    }
    adds, does_not = tokenizer_line(said), tokenizer_line(said | {"adds_bos": False})
    assert "puts '<s>' (1) before every text" in adds
    assert "adds no BOS by itself" in does_not
    assert tokenizer_line(None) == "none; this model reads token ids only"
