"""Harvests: what is kept and left out, going on, budgets, and what is refused."""

import functools
import gc
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from activations.store.material import SITES, content, shouting, texts
from activations.store.material import settings as small
from conformance.probes import WeightsRead
from conformance.tiny import GPT2, as_model, tiny_model
from glassbook.activations.capture import capture
from glassbook.activations.store import ActivationStore, harvest, open_store
from glassbook.activations.store.harvesting import AGAIN, HARVESTING
from glassbook.activations.store.reading import Rows
from glassbook.core.errors import GlassbookError, InputError, SiteError

START = tiny_model().tokenizer.document_start_id


class StoppedError(Exception):
    """Ends a harvest from outside."""


def _stopping(after: int) -> Any:
    calls = iter(range(10_000))

    def report(label: str, done: int, total: int) -> None:
        if label == HARVESTING and next(calls) == after:
            raise StoppedError

    return report


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a harvest that nothing disturbed."""
    folder = tmp_path_factory.mktemp("whole") / "store"
    store = harvest(tiny_model(), texts(), SITES, folder, small())
    assert len(store.shards.shards) > 5 and store.facts["counts"]["ended"] == "corpus"
    return folder


def test_each_row_is_what_the_model_holds_at_that_token_of_that_context(whole: Path) -> None:
    store, model = open_store(whole), tiny_model()
    contexts, positions = store.contexts(), store.positions()
    for number in (0, 7, store.n_contexts - 1):
        context, mine = store.context(number), contexts == number
        cache = capture(model, [context.tokens.tolist()], SITES)
        for site in store.sites:
            found = store.rows(site)[mine]
            assert torch.allclose(found, cache[site][0, positions[mine]], atol=1e-6)
            assert not torch.allclose(found, cache[site][0, positions[mine] - 1], atol=1e-2)
        assert store.tokens()[mine].tolist() == context.tokens[positions[mine]].tolist()
        assert store.documents()[mine].tolist() == context.documents[positions[mine]].tolist()


def test_every_token_of_the_corpus_is_kept_once_and_only_start_positions_are_left_out(whole: Path) -> None:
    store, tokenizer = open_store(whole), tiny_model().tokenizer
    found: dict[int, int] = {}
    for document in store.documents().tolist():
        found[document] = found.get(document, 0) + 1
    assert found == {n: len(ids) for n, text in enumerate(texts()) if (ids := tokenizer.encode(text))}
    assert START not in store.tokens()
    counts = store.facts["counts"]
    in_contexts = sum(len(store.context(number).tokens) for number in range(store.n_contexts))
    assert counts["left_out"] == {"start": in_contexts - store.n_tokens, "norm": 0}


@given(st.integers(1, 9), st.booleans(), st.integers(8_000, 60_000))
@settings(max_examples=3)
def test_nothing_changes_with_the_batch_size_the_padding_or_the_shards(
    whole: Path, batch_size: int, packed: bool, shard_bytes: int
) -> None:
    # Documents of their own make rows of every length, filled up with padding.
    folder = whole.parent / "other"
    shutil.rmtree(folder, ignore_errors=True)
    how = {"batch_size": batch_size, "shard_bytes": shard_bytes}
    other = harvest(tiny_model(), texts(), SITES, folder, small(packed=packed, **how))
    first = open_store(whole) if packed else _harvested_alone(whole)
    assert other.tokens().tolist() == first.tokens().tolist()
    for site in first.sites:
        assert torch.allclose(other.rows(site), first.rows(site), atol=1e-5)


@functools.cache
def _harvested_alone(whole: Path) -> ActivationStore:
    how = small(packed=False, batch_size=1)
    return harvest(tiny_model(), texts(), SITES, whole.parent / "alone", how)


def test_a_harvest_cut_short_anywhere_goes_on_to_the_same_bytes(whole: Path, tmp_path: Path) -> None:
    cuts = 0
    for after in (0, 3, 6):
        folder = tmp_path / str(after)
        with pytest.raises(StoppedError):
            harvest(tiny_model(), texts(), SITES, folder, small(), _stopping(after))
        cuts += content(folder) != content(whole)
        harvest(tiny_model(), texts(), SITES, folder, small())
        assert content(folder) == content(whole)
    assert cuts == 3, "the cuts fell into the harvest"


def test_asking_for_more_goes_on_behind_what_is_there(whole: Path, tmp_path: Path) -> None:
    store = harvest(tiny_model(), texts(), SITES, tmp_path, small(tokens=100))
    first, rows = store.tokens().tolist(), store.rows(SITES[0])
    assert 100 <= len(first) < 116 and store.facts["counts"]["ended"] == "tokens"
    store = harvest(tiny_model(), texts(), SITES, tmp_path, small(tokens=300))
    assert store.tokens()[: len(first)].tolist() == first and 300 <= store.n_tokens < 316
    assert torch.equal(store.rows(SITES[0], 0, len(first)), rows)
    store = harvest(tiny_model(), texts(), SITES, tmp_path, small())
    assert store.tokens().tolist() == open_store(whole).tokens().tolist()


def test_how_far_it_is_is_told_in_rows_and_where_it_goes_on_in_shards(tmp_path: Path) -> None:
    seen: list[tuple[str, int, int]] = []
    first = harvest(tiny_model(), texts(), SITES, tmp_path, small(tokens=200), lambda *now: seen.append(now))
    assert {label for label, _, _ in seen} == {HARVESTING} and seen[-1][1:] == (first.n_tokens, first.n_tokens)
    assert all(done <= total and total >= 200 for _, done, total in seen)
    seen.clear()
    harvest(tiny_model(), texts(), SITES, tmp_path, small(tokens=300), lambda *now: seen.append(now))
    n_shards = len(first.shards.shards)
    assert [now for now in seen if now[0] == AGAIN] == [(AGAIN, n, n_shards) for n in range(1, n_shards + 1)]


def test_what_was_harvested_is_not_harvested_again(whole: Path) -> None:
    with WeightsRead(tiny_model().net) as seen:
        harvest(tiny_model(), texts(), SITES, whole, small())
    assert not seen.names


def test_one_pass_feeds_all_sites_and_stops_at_the_last_layer(tmp_path: Path) -> None:
    passes: list[int] = []
    handle = tiny_model().net.register_forward_pre_hook(lambda *_: passes.append(1))
    with WeightsRead(tiny_model().net) as seen:
        store = harvest(tiny_model(), texts(), SITES, tmp_path, small(norm_multiple=None))
    handle.remove()
    assert seen.blocks == {0, 1} and not seen.reads_logits
    assert len(passes) == sum(-(-shard.contexts // 4) for shard in store.shards.shards)


def test_within_a_budget_of_bytes_a_harvest_ends_says_so_and_goes_on_when_more_is_allowed(tmp_path: Path) -> None:
    allowed = 60_000
    store = harvest(tiny_model(), texts(), SITES, tmp_path, small(max_bytes=allowed))
    used = sum(map(len, content(tmp_path).values()))
    assert 0.6 * allowed < used <= allowed and store.facts["counts"]["ended"] == "budget"
    before = store.n_tokens
    store = harvest(tiny_model(), texts(), SITES, tmp_path, small(max_bytes=2 * allowed))
    assert store.n_tokens > 1.5 * before and sum(map(len, content(tmp_path).values())) <= 2 * allowed
    with pytest.raises(InputError, match="leaves no room for one context"):
        harvest(tiny_model(), texts(), SITES, tmp_path / "small", small(max_bytes=6000))


def test_positions_of_extreme_norm_are_left_out_and_counted_and_kept_where_the_policy_says_so(tmp_path: Path) -> None:
    model, marked = shouting("!", 300.0), [f"{text[:40]}!{text[40:]}" for text in texts()]
    loud = model.to_single_token("!")
    store = harvest(model, marked, SITES, tmp_path / "dropped", small())
    assert loud not in store.tokens() and store.facts["counts"]["left_out"]["norm"] == len(marked)
    assert store.facts["counts"]["left_out_at"]["L0.resid_post"] == len(marked)
    facts = store.facts["sites"]["L0.resid_post"]
    assert facts["largest_norm"] == pytest.approx(10 * facts["median_norm"], rel=0.01)
    assert float(store.rows("L0.resid_post").norm(dim=1).max()) <= facts["largest_norm"]
    kept = harvest(model, marked, SITES, tmp_path / "kept", small(norm_multiple=None))
    assert int((kept.tokens() == loud).sum()) == len(marked) and kept.n_tokens == store.n_tokens + len(marked)


def test_start_positions_are_kept_where_the_policy_says_so(tmp_path: Path, whole: Path) -> None:
    kept = harvest(tiny_model(), texts(), SITES, tmp_path / "kept", small(drop_start=False))
    n_start = open_store(whole).facts["counts"]["left_out"]["start"]
    assert int((kept.tokens() == START).sum()) == n_start and kept.n_tokens == open_store(whole).n_tokens + n_start
    without = harvest(tiny_model(), texts(), SITES, tmp_path / "without", small(start_token=False))
    assert without.facts["counts"]["left_out"]["start"] == without.n_contexts and 0 not in without.positions()


def test_heads_side_by_side_single_heads_and_other_architectures_are_harvested_alike(tmp_path: Path) -> None:
    model = tiny_model(GPT2)
    store = harvest(model, texts(6), ["L1.z", "L1.H2.z", "embed"], tmp_path, small())
    assert [store.width(site) for site in store.sites] == [32, 8, 32]
    assert torch.equal(store.rows("L1.z").unflatten(1, (4, 8))[:, 2], store.rows("L1.H2.z"))


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_holds_the_same_rows_rounded(whole: Path, tmp_path: Path, dtype: str) -> None:
    store = harvest(tiny_model(), texts(), SITES, tmp_path, small(dtype=dtype))
    expected = open_store(whole)
    assert str(store.dtype) == f"torch.{dtype}" and store.tokens().tolist() == expected.tokens().tolist()
    for site in SITES:
        assert torch.equal(store.rows(site), expected.rows(site).to(store.dtype))


def test_activations_that_are_not_finite_end_a_harvest_with_one_sentence_and_what_was_before_is_kept(
    tmp_path: Path,
) -> None:
    model = shouting("!", float("nan"))
    marked = [*texts(), "broken! here"]
    with pytest.raises(GlassbookError, match=r"L0.resid_post is not finite at position \d+ .*document 13.* is kept"):
        harvest(model, marked, SITES, tmp_path, small(mixed=0, norm_multiple=None))
    assert open_store(tmp_path).n_tokens > 200 and open_store(tmp_path).faults() == []
    with pytest.raises(InputError, match="too large for float16"):
        loud = shouting("!", 1e5)
        harvest(loud, marked, "L0.resid_post", tmp_path / "half", small(dtype="float16", norm_multiple=None))


REFUSED: list[tuple[dict[str, Any], type[GlassbookError], str]] = [
    ({"settings": small(context=49)}, InputError, "longer than tiny-llama reads; ask for at most 48"),
    ({"sites": "L0.pattern"}, SiteError, "no vector for each token"),
    ({"sites": "L0.mlp_post.N3"}, SiteError, "no vector for each token"),
    ({"sites": "L0.ln1_scale"}, SiteError, "no vector for each token"),
    ({"sites": "L9.resid_post"}, SiteError, "layers run from 0 to 2"),
    ({"sites": []}, InputError, "name at least one"),
    ({"corpus": []}, InputError, "holds no document"),
    ({"corpus": ["", ""]}, InputError, "holds no text"),
    ({"settings": small(documents=(90, None))}, InputError, "holds no text in the part that is read"),
    ({"corpus": "no-such-corpus"}, InputError, "neither a known corpus"),
    ({"folder": "nosuch://there"}, InputError, "cannot be opened by fsspec"),
]


@pytest.mark.parametrize(("asked", "error", "words"), REFUSED, ids=[words for _, _, words in REFUSED])
def test_what_cannot_be_harvested_is_one_sentence(
    asked: dict[str, Any], error: type[GlassbookError], words: str, tmp_path: Path
) -> None:
    given = {"corpus": texts(4), "sites": SITES, "folder": tmp_path / "store", "settings": small()} | asked
    with pytest.raises(error, match=words):
        harvest(tiny_model(), given["corpus"], given["sites"], given["folder"], given["settings"])


def test_control_the_same_without_the_fault_is_harvested(tmp_path: Path) -> None:
    assert harvest(tiny_model(), texts(4), SITES, tmp_path / "store", small()).n_tokens > 0


def test_a_model_without_a_tokenizer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no tokenizer"):
        harvest(as_model(tiny_model().net), texts(4), SITES, tmp_path, small())


OTHERWISE = [
    ({"settings": small(context=8)}, "begun with context 16 and 8 is asked"),
    ({"settings": small(dtype="bfloat16")}, "begun with dtype float32 and bfloat16"),
    ({"settings": small(norm_multiple=5)}, "begun with policy"),
    ({"sites": "L0.resid_post"}, "begun with sites"),
    ({"model": tiny_model(seed=2)}, "open the same model or choose another folder"),
    ({"corpus": ["something else", *texts()[1:]]}, "no longer what"),
    ({"corpus": texts()[:3]}, "no longer what"),
]


@pytest.mark.parametrize(("changes", "words"), OTHERWISE, ids=[words for _, words in OTHERWISE])
def test_a_harvest_goes_on_only_with_what_it_was_begun_with(
    changes: dict[str, Any], words: str, tmp_path: Path
) -> None:
    asked = {"model": tiny_model(), "corpus": texts(), "sites": SITES, "settings": small()}
    folder = tmp_path / "store"
    with pytest.raises(StoppedError):
        harvest(*_arguments(asked, folder), progress=_stopping(5))
    before = content(folder)
    with pytest.raises(InputError, match=words):
        harvest(*_arguments(asked | changes, folder))
    assert content(folder) == before


def _arguments(asked: dict[str, Any], folder: Path) -> list[Any]:
    return [asked["model"], asked["corpus"], asked["sites"], folder, asked["settings"]]


def test_a_folder_of_other_things_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(InputError, match="holds other things"):
        harvest(tiny_model(), texts(4), SITES, tmp_path, small())
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be made"):
        harvest(tiny_model(), texts(4), SITES, tmp_path / "file" / "store", small())


def test_two_harvests_do_not_write_into_one_folder(tmp_path: Path) -> None:
    def second(label: str, done: int, total: int) -> None:
        harvest(tiny_model(), texts(4), SITES, tmp_path, small())

    with pytest.raises(GlassbookError, match="another process is harvesting"):
        harvest(tiny_model(), texts(4), SITES, tmp_path, small(), second)


def test_texts_that_come_once_are_harvested_as_a_list_of_them(whole: Path, tmp_path: Path) -> None:
    def once() -> Iterator[str]:
        yield from texts()

    harvest(tiny_model(), once(), SITES, tmp_path, small())
    assert content(tmp_path) == content(whole)


def test_what_is_recorded_says_on_what_and_how_it_was_made(whole: Path) -> None:
    facts = open_store(whole).facts
    assert facts["weights"] == tiny_model().identity.to_dict()
    assert facts["corpus"]["documents"] == 13 and len(facts["corpus"]["sha256"]) == 64
    assert facts["settings"]["policy"] == {"start_token": None, "drop_start": True, "norm_multiple": 10.0}
    assert facts["start_token"] == START and facts["settings"]["context"] == 16 and "torch" in facts["versions"]


def test_no_more_than_one_shard_is_held_in_memory(tmp_path: Path) -> None:
    alive: list[int] = []

    def report(label: str, done: int, total: int) -> None:
        if done % 5 == 0:
            alive.append(sum(len(one.contexts) for one in gc.get_objects() if type(one) is Rows))

    store = harvest(tiny_model(), texts(30), "L1.mlp_post", tmp_path, small(norm_multiple=None), report)
    per_shard = max(shard.rows for shard in store.shards.shards)
    assert store.n_tokens > 5 * per_shard and 0 < max(alive) <= 2 * per_shard
