"""What the study of GPT-2 leans on: its restatement, its guessers, its dice, its conversations, and a run of all its arms."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from conformance.shapes import GOLDENS
from conformance.tiny import our_net
from glassbook.core.errors import FileFormatError
from glassbook.core.seeds import generator
from glassbook.models.gpt2 import GPT2, GPT2Config
from glassbook.models.sampling import Sampling, choose
from glassbook.studies.contract import Cell
from glassbook.studies.gpt2_from_scratch import baselines, conversations, parity, restatement
from glassbook.studies.gpt2_from_scratch.inference import chi_square_p, measure_cache, open_prompts
from glassbook.studies.gpt2_from_scratch.networks import new_network, token_nats, windows
from glassbook.studies.gpt2_from_scratch.settings import GPU, LAPTOP, SMOKE, Shape
from glassbook.studies.gpt2_from_scratch.study import ARMS, GPT2FromScratch
from glassbook.studies.gpt2_from_scratch.tuning import response_nats, scrambled
from oracles.seeded_weights import seeded
from oracles.summaries import summary

GOLDEN = Path(__file__).parents[1] / "golden" / "sites_gpt2.json"
ENCODE = dict(zip("abcdefghijklmnopqrstuvwxyz #:.\n", range(1, 32), strict=True))


def letters(text: str) -> list[int]:
    """Return a number for each letter, large and small alike."""
    return [ENCODE.get(letter, 0) for letter in text.lower()]


def tiny(seed: int = 0, d_vocab: int = 40) -> GPT2:
    """Return a small network in which nothing is 0 or 1 by initialization."""
    net = new_network(Shape(n_layers=2, n_heads=2, d_model=16, n_ctx=24), d_vocab, seed)
    for name, weight in net.named_parameters():
        torch.nn.init.normal_(weight, 0.0, 0.3, generator=generator(seed, name))
    return net.eval()


def test_the_restatement_gives_the_golden_logits_and_no_faulty_one_does():
    golden = json.loads(GOLDEN.read_text())
    weights = {name: torch.from_numpy(seeded(name, tuple(shape))) for name, shape in golden["weights"].items()}
    net = our_net(*GOLDENS["gpt2"], weights)
    tokens, theirs = np.array(golden["tokens"]), golden["sites"]["hook_logits"]
    typical = theirs["abs_sum"] / theirs["n"]

    def worst(faults: restatement.Faults) -> float:
        ours = summary(torch.from_numpy(parity.said_again(net, tokens, faults)), None)
        return max(abs(a - b) for a, b in zip(ours["values"], theirs["values"], strict=True))

    assert worst(restatement.SOUND) < 1e-4 * typical
    for name, faults in restatement.FAULTS.items():
        assert worst(faults) > 1e-4 * typical, name


def test_every_part_equals_its_restatement_to_rounding_and_other_weights_do_not():
    columns = parity.measure_parity(seed=7, draws=2)
    assert set(parity.PARTS) <= set(columns)
    assert columns["largest"].max() < 2e-5 and columns["logits_float64"].max() < 1e-12
    assert columns["smallest_fault"].min() > 1e-4 and columns["other_weights"].min() > 1


@pytest.mark.parametrize("part", [name for name in parity.PARTS if name not in ("embed", "pos_embed", "unembed")])
def test_a_part_whose_weights_are_a_little_off_is_noticed(part: str):
    net, off = parity.drawn_network(0, 0, "weights"), parity.drawn_network(0, 0, "weights")
    with torch.no_grad():
        for weight in off.parameters():
            weight.add_(1e-3 * torch.randn(weight.shape, generator=generator(1, "off")))
        tokens = torch.randint(parity.SHAPE.d_vocab, (1, 8), generator=generator(2))
        stream = torch.randn(1, 8, parity.SHAPE.d_model, generator=generator(3))
        ours, theirs = parity.PARTS[part]
        said = theirs(parity.weights_of(net), tokens.numpy(), stream.double().numpy())
        assert np.abs(ours(off, tokens, stream).numpy() - said).max() > 1e-4
        assert np.abs(ours(net, tokens, stream).numpy() - said).max() < 1e-5


def test_the_smallest_gpt2_has_124_million_weights():
    with torch.device("meta"):
        net = GPT2(
            GPT2Config(
                n_layers=12, d_model=768, n_heads=12, d_head=64, d_mlp=3072, d_vocab=50257, n_ctx=1024, norm_eps=1e-5,
                tied_embeddings=True,
            )
        )  # fmt: skip
    assert sum(weight.numel() for weight in net.parameters()) == 124_439_808
    assert (GPU.writer.n_layers, GPU.writer.n_heads, GPU.writer.d_model, GPU.writer.n_ctx) == (12, 12, 768, 1024)


def test_the_guessers_lose_what_their_counts_say():
    text = np.array([0, 1, 0, 1, 0, 0])
    losses = baselines.window_losses(baselines.Split(text, np.array([0, 1, 0, 1, 0]), 2), context=4)
    assert losses["uniform"] == pytest.approx([math.log(2)])
    assert losses["unigram"] == pytest.approx([-(2 * math.log(3 / 8) + 2 * math.log(5 / 8)) / 4])
    # After 0 came 1 twice and 0 once, after 1 twice 0; each count has one added.
    assert losses["bigram"] == pytest.approx([-(2 * math.log(3 / 5) + 2 * math.log(3 / 4)) / 4])


def test_a_compressor_that_has_read_the_text_needs_hardly_a_bit_and_noise_needs_eight():
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, 4000, dtype=np.uint8).tobytes()
    assert baselines.compressed_bits(noise, noise)["xz_after_train"] < 0.2
    alone = baselines.compressed_bits(b"", noise)
    assert 8 <= alone["xz"] < 8.2 and 8 <= alone["gzip"] < 8.2


def test_windows_meet_every_token_but_the_first_once():
    found = windows(torch.arange(13), 4)
    assert found.tolist() == [[0, 1, 2, 3, 4], [4, 5, 6, 7, 8], [8, 9, 10, 11, 12]]


def test_fair_dice_have_even_p_values_and_loaded_ones_do_not():
    logits = torch.randn(40, 30, generator=generator(0, "logits"))

    def p_values(temperature: float) -> np.ndarray:
        how = Sampling(temperature=temperature)
        drawn = (
            choose(row.expand(300, -1), how, [generator(i, n) for n in range(300)]) for i, row in enumerate(logits)
        )
        return np.array([chi_square_p(one, row.softmax(-1)) for one, row in zip(drawn, logits, strict=True)])

    fair = p_values(1.0)
    assert 0.36 < fair.mean() < 0.64 and (fair < 0.25).mean() > 0.1 and (fair > 0.75).mean() > 0.1
    assert p_values(0.6).mean() < 0.05


def test_the_chance_of_a_sample_is_that_of_the_tables():
    # 58 and 42 of 100 throws of a fair coin: chi-square 2.56 with one degree of freedom, p = 0.1096.
    drawn = torch.tensor([0] * 58 + [1] * 42)
    assert chi_square_p(drawn, torch.tensor([0.5, 0.5])) == pytest.approx(0.1096, abs=1e-4)


def test_prompts_that_leave_no_choice_are_left_out():
    logits = torch.tensor([[9.0, 0.0, 0.0], [0.0, 0.1, 0.0], [0.0, 0.0, 8.0], [1.0, 0.0, 0.0]])
    assert open_prompts(logits, 5).tolist() == [logits[1].tolist(), logits[3].tolist()]


def test_the_cache_tells_the_same_and_its_controls_do_not():
    with torch.inference_mode():
        found = measure_cache(tiny(), torch.randint(40, (3, 20), generator=generator(4)), n_prompt=8)
    assert found["cached_difference"].max() < 1e-4 and found["cached_same_greedy"].all()
    assert found["shifted_difference"].min() > 1e-2 and found["forgetful_difference"].min() > 1e-2


def test_the_rows_are_cut_as_the_book_cuts_them():
    rows = [{"instruction": str(number), "input": "", "output": ""} for number in range(1100)]
    train, held_out, choosing = conversations.split(rows)
    assert (len(train), len(held_out), len(choosing)) == (935, 110, 55)
    assert [*train, *held_out, *choosing] == rows


@given(st.text("ab cd", max_size=60), st.text("ef gh", max_size=60), st.integers(3, 40))
@settings(max_examples=60, deadline=None)
def test_a_conversation_fits_the_context_and_counts_its_response_alone(prompt: str, response: str, n_ctx: int):
    row = {"instruction": prompt, "input": "", "output": response}
    (one,) = conversations.conversations([row], letters, 39, n_ctx)
    tokens, counts = one.example
    assert len(tokens) == len(counts) <= n_ctx and any(counts)
    assert [token for token, counted in zip(tokens, counts, strict=True) if counted] == one.response
    assert one.response == [*letters(response), 39][:n_ctx]


def test_input_has_a_heading_only_where_there_is_one():
    row = {"instruction": "Add.", "input": "1 1", "output": "2"}
    assert conversations.prompt_text(row) == "### Instruction:\nAdd.\n\n### Input:\n1 1\n\n### Response:\n"
    assert conversations.prompt_text({**row, "input": ""}) == "### Instruction:\nAdd.\n\n### Response:\n"


def test_a_row_without_its_fields_is_refused_by_its_number(tmp_path: Path):
    path = tmp_path / "rows.json"
    path.write_text(json.dumps([{"instruction": "a", "input": "", "output": "b"}, {"instruction": "a"}]))
    with pytest.raises(FileFormatError, match="row 1 of"):
        conversations.read_rows(path)


def test_the_loss_of_a_response_is_the_mean_over_its_tokens_and_blind_to_padding():
    net = tiny()
    items = [conversations.Conversation([1, 2, 3], [4, 5]), conversations.Conversation([6, 13], [7, 8, 9, 10, 11, 12])]
    together = response_nats(net, items)
    for one, found in zip(items, together, strict=True):
        nats = token_nats(net, torch.tensor([one.prompt + one.response]))[0]
        assert found == pytest.approx(float(nats[len(one.prompt) - 1 :].mean()), abs=1e-5)
        assert abs(found - float(nats.mean())) > 1e-3


def test_scrambled_weights_are_the_same_numbers_elsewhere():
    before, after = tiny(), scrambled(tiny(), seed=1)
    for (name, one), (_, other) in zip(before.named_parameters(), after.named_parameters(), strict=True):
        assert torch.equal(one.flatten().sort().values, other.flatten().sort().values), name
        assert not torch.equal(one, other), name
    tokens = torch.randint(40, (1, 12), generator=generator(5))
    with torch.inference_mode():
        assert (before(tokens) - after(tokens)).abs().max() > 0.1


def test_the_preset_is_the_published_one():
    shape, recipe = LAPTOP.character, LAPTOP.character_recipe
    assert (shape.n_layers, shape.n_heads, shape.d_model, shape.n_ctx) == (4, 4, 128, 64)
    assert (recipe.steps, recipe.batch, recipe.warmup) == (2000, 12, 100)
    assert (recipe.lr, recipe.min_lr, recipe.beta2, recipe.weight_decay, recipe.clip) == (1e-3, 1e-4, 0.99, 0.1, 1.0)


def measured(arms: tuple[str, ...], folder: Path, seed: int = 0) -> dict[str, dict[str, np.ndarray]]:
    """Return the columns of some arms at smoke size, on the texts of the package."""
    study, found = GPT2FromScratch(), {}
    small = replace(SMOKE, text="alice", n_characters=6000)
    for arm in study.arms(small):
        if arm.name in arms:
            (folder / arm.name).mkdir(parents=True, exist_ok=True)
            others = {name: folder / name for name in arm.after}
            cell = Cell(arm.name, seed, "smoke", small, folder / arm.name, others=others)
            found[arm.name] = dict(study.measure(cell))
    return found


@pytest.mark.slow
def test_a_cell_that_is_gone_on_with_gives_the_same_columns(tmp_path: Path):
    arms = ("character", "sizes")
    whole = measured(arms, tmp_path / "whole")
    measured(("character",), tmp_path / "cut")
    # As if the process had died after half the steps, and again with all steps but no columns.
    for folder in sorted((tmp_path / "cut" / "character" / "training").iterdir())[1:]:
        for file in folder.iterdir():
            file.unlink()
        folder.rmdir()
    again = measured(arms, tmp_path / "cut")
    for arm in arms:
        for name, values in whole[arm].items():
            assert np.array_equal(values, again[arm][name]), (arm, name)
    assert not np.array_equal(
        whole["character"]["loss"], measured(("character",), tmp_path / "other", 1)["character"]["loss"]
    )


def test_arms_name_only_what_comes_before_them():
    seen: set[str] = set()
    for arm in ARMS:
        assert set(arm.after) <= seen
        seen.add(arm.name)
