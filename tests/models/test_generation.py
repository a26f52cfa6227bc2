"""Continuing a text: what every loop over full passes would give, only faster."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from conformance.tiny import GPT2, LLAMA, tiny_model
from glassbook.core.errors import InputError
from glassbook.models.generation import Completion, Piece
from glassbook.models.model import Model
from glassbook.models.prompts import Prompts
from glassbook.models.sampling import Sampling, Seen, penalize

architectures = pytest.mark.parametrize("architecture", [GPT2, LLAMA])
END = 261  # the end-of-text token of the tiny tokenizer
ids = st.integers(0, 255)
prompts = st.lists(st.lists(ids, min_size=1, max_size=12), min_size=1, max_size=4)


def next_logits(model: Model, row: list[int]) -> torch.Tensor:
    """Return the logits after a row, by one full pass."""
    return model([row])[0, -1]


def longhand(model: Model, prompt: list[int], n: int, **penalties: float) -> list[int]:
    """Return a greedy continuation by full passes, no cache, no batch; it ends where the gap is too small to be sure."""
    how, seen, row = Sampling(**penalties), Seen([prompt], model.config.d_vocab, torch.device("cpu")), list(prompt)
    for _ in range(n):
        logits = penalize(next_logits(model, row)[None], seen, how)[0]
        top = logits.topk(2).values
        token = int(logits.argmax())
        if top[0] - top[1] <= 1e-3 or token == END:
            break
        seen.add(torch.tensor([token]))
        row.append(token)
    return row[len(prompt) :]


@architectures
@settings(max_examples=15)
@given(rows=prompts)
def test_greedy_generation_is_the_argmax_loop_by_full_passes(architecture: str, rows: list[list[int]]) -> None:
    model = tiny_model(architecture)
    for one, prompt in zip(model.complete(rows, max_new_tokens=6), rows, strict=True):
        expected = longhand(model, prompt, 6)
        assert one.prompt_tokens == prompt
        assert one.tokens[: len(expected)] == expected


@settings(max_examples=10)
@given(rows=prompts, penalty=st.floats(1.1, 2.0), presence=st.floats(-1, 1), frequency=st.floats(0, 1))
def test_penalties_act_on_each_row_by_what_it_has_seen_itself(
    rows: list[list[int]], penalty: float, presence: float, frequency: float
) -> None:
    model = tiny_model()
    options = {"repetition_penalty": penalty, "presence_penalty": presence, "frequency_penalty": frequency}
    for one, prompt in zip(model.complete(rows, max_new_tokens=5, **options), rows, strict=True):
        expected = longhand(model, prompt, 5, **options)
        assert one.tokens[: len(expected)] == expected


@architectures
def test_the_same_seed_writes_the_same_text_and_another_seed_another(architecture: str) -> None:
    model = tiny_model(architecture)
    texts = [model.generate("The sea", temperature=1.0, max_new_tokens=20, seed=seed) for seed in (4, 4, 5)]
    assert texts[0] == texts[1] != texts[2]


def test_every_sample_of_a_prompt_is_the_one_that_a_run_of_its_own_would_draw() -> None:
    model = tiny_model()
    rows = [[5, 6, 7], [8, 9]]
    many = model.complete(rows, n_samples=3, temperature=0.8, max_new_tokens=8, seed=1)
    assert [one.prompt_tokens for one in many] == [rows[0]] * 3 + [rows[1]] * 3
    for i, row in enumerate(rows):
        alone = model.complete([row], n_samples=5, temperature=0.8, max_new_tokens=8, seed=1, use_cache=False)
        assert [one.tokens for one in alone[:3]] == [one.tokens for one in many[3 * i : 3 * i + 3]]
        assert [one.touched for one in alone[:3]] == [one.touched for one in many[3 * i : 3 * i + 3]]
    assert len({tuple(one.tokens) for one in many}) == 6, "the control: samples differ"


def test_sampling_in_a_batch_is_sampling_one_by_one() -> None:
    model, rows = tiny_model(), [[1, 2, 3, 4, 5, 6, 7], [8], [9, 10, 11]]
    options = {"temperature": 1.0, "top_p": 0.9, "max_new_tokens": 10, "seed": 3}
    together = model.complete(rows, **options)
    assert [one.tokens for one in together] == [model.complete([row], **options)[0].tokens for row in rows]


def pieces_of(model: Model, prompt: Any, **options: Any) -> dict[int, str]:
    """Return the streamed pieces of every row, joined."""
    found: dict[int, str] = {}
    for piece in model.stream(prompt, **options):
        assert piece.text, "an empty piece says nothing"
        found[piece.row] = found.get(piece.row, "") + piece.text
    return found


@settings(max_examples=15)
@given(st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=3), st.integers(0, 99))
def test_streamed_pieces_join_to_the_text_and_the_text_is_that_of_the_tokens(texts: list[str], seed: int) -> None:
    model = tiny_model()
    options = {"temperature": 1.5, "max_new_tokens": 12, "seed": seed, "stop": ("on", "the")}
    done = model.complete(texts, **options)
    assert pieces_of(model, texts, **options) == {row: one.text for row, one in enumerate(done) if one.text}
    for one in done:
        whole = model.to_string(one.tokens)
        assert whole.startswith(one.text) if one.stopped_by == "stop string" else whole == one.text


class Scripted:
    """A network that says given tokens whatever it reads: it shows what the loop around it makes of them."""

    def __init__(self, model: Model, script: list[int]) -> None:
        self.model, self.script = model, script

    def complete(self, **options: Any) -> Completion:
        """Return what a request with this script ends as."""
        return self._run(lambda: self.model.complete([[3]], max_new_tokens=len(self.script), **options)[0])

    def stream(self, **options: Any) -> list[Piece]:
        """Return the pieces of a request with this script."""
        return self._run(lambda: list(self.model.stream([[3]], max_new_tokens=len(self.script), **options)))

    def _run(self, ask: Any) -> Any:
        said: Iterator[int] = iter(self.script)

        def say(_: object, __: object, logits: torch.Tensor) -> torch.Tensor:
            return torch.nn.functional.one_hot(torch.tensor(next(said)), logits.shape[-1]).expand_as(logits) * 9.0

        handle = self.model.net.register_forward_hook(say)
        try:
            return ask()
        finally:
            handle.remove()


def scripted(text: str | list[int]) -> Scripted:
    """Return a model that says this text, a byte a token."""
    model = tiny_model()
    return Scripted(model, text if isinstance(text, list) else [model.to_single_token(char) for char in text])


def test_a_stop_string_is_found_across_the_borders_of_tokens_and_left_out() -> None:
    said = scripted("abc STOP def")
    one = said.complete(stop="STOP")
    assert (one.text, one.stopped_by) == ("abc ", "stop string")
    assert len(one.tokens) == len("abc STOP")
    assert said.complete(stop="STOOP").text == "abc STOP def"
    assert said.complete(stop=("zzz", "c S", "STOP")).text == "ab"


def test_nothing_that_may_become_a_stop_string_is_streamed_before_it_is_certain() -> None:
    pieces = [piece.text for piece in scripted("a SSTOx STOP").stream(stop="STOP")]
    assert "".join(pieces) == "a SSTOx "
    assert pieces[:3] == ["a", " ", "S"], "the first S is certain once the second has come"
    assert "STOx" in pieces


def test_what_was_held_back_is_given_when_the_text_ends_without_the_stop_string() -> None:
    assert scripted("abST").complete(stop="STOP").text == "abST"
    assert [piece.text for piece in scripted("abST").stream(stop="STOP")] == ["a", "b", "ST"]


def test_a_character_of_several_tokens_is_streamed_whole_and_a_cut_one_is_marked() -> None:
    model = tiny_model()
    letters = model.tokenizer.encode("é€")
    assert len(letters) == 5
    assert [piece.text for piece in scripted(letters).stream()] == ["é", "€"]
    assert scripted(letters[:4]).complete().text == "é\ufffd"


def test_the_end_of_text_ends_a_row_unless_told_otherwise() -> None:
    script = [70, 71, END, 72]
    one = scripted(script).complete()
    assert (one.tokens, one.stopped_by) == ([70, 71], "eos")
    other = scripted(script).complete(stop_at_eos=False)
    assert (other.tokens, other.stopped_by) == (script, "length")


def test_rows_that_end_leave_the_others_as_they_would_be_alone() -> None:
    model, rows = tiny_model(), [[1, 2, 3], [4], [5, 6, 7, 8, 9], [10, 11]]
    stops = tuple("aeiouAEIOU0123456789,.;:")
    options = {"temperature": 1.4, "max_new_tokens": 24, "stop": stops, "seed": 8, "presence_penalty": 0.3}
    together = model.complete(rows, **options)
    alone = [model.complete([row], **options)[0] for row in rows]
    assert [(one.tokens, one.text, one.stopped_by) for one in together] == [
        (one.tokens, one.text, one.stopped_by) for one in alone
    ]
    assert len({len(one.tokens) for one in together}) > 1, "the control: rows end at different times"


def count_passes(model: Model) -> tuple[list[int], Any]:
    """Return a list that grows with every pass of the network, and the handle that ends the counting."""
    passes: list[int] = []
    return passes, model.net.register_forward_hook(lambda *_: passes.append(1))


def test_closing_the_stream_ends_the_work_at_once() -> None:
    model = tiny_model()
    passes, handle = count_passes(model)
    try:
        stream = model.stream([[3, 4]], max_new_tokens=30, stop_at_eos=False)
        next(stream)
        before = len(passes)
        stream.close()
        assert len(passes) == before <= 3
        assert len(list(model.stream([[3, 4]], max_new_tokens=5, stop_at_eos=False))) >= 1
        assert len(passes) == before + 5, "the control: an open stream goes on"
    finally:
        handle.remove()


def test_should_stop_cancels_before_the_next_token_and_keeps_what_there_is() -> None:
    model, asked = tiny_model(), []
    passes, handle = count_passes(model)

    def enough() -> bool:
        asked.append(1)
        return len(asked) > 4

    try:
        options = {"max_new_tokens": 30, "stop_at_eos": False}
        one = model.complete([[3, 4]], should_stop=enough, **options)[0]
        assert (len(one.tokens), one.stopped_by, len(passes)) == (4, "cancelled", 5)
        assert one.tokens == model.complete([[3, 4]], **options)[0].tokens[:4]
        assert one.text == model.to_string(one.tokens)
    finally:
        handle.remove()


@pytest.mark.parametrize("use_cache", [True, False])
@architectures
def test_a_text_ends_where_the_context_does_and_each_row_for_itself(architecture: str, use_cache: bool) -> None:
    model = tiny_model(architecture)
    n_ctx = model.config.n_ctx
    rows = [list(range(n)) for n in (n_ctx - 3, n_ctx - 10, n_ctx)]
    options = {"max_new_tokens": 20, "stop_at_eos": False, "use_cache": use_cache}
    together = model.complete(rows, **options)
    alone = [model.complete([row], **options)[0] for row in rows]
    assert [len(one.tokens) for one in together] == [3, 10, 0]
    assert [one.stopped_by for one in together] == ["context"] * 3
    assert [one.tokens for one in together] == [one.tokens for one in alone]
    assert all(len(one.touched) == n_ctx for one in together)
    assert model([one.prompt_tokens + one.tokens for one in together]).shape[1] == n_ctx, "what was written can be read"
    exact = model.complete([rows[0]], max_new_tokens=3, stop_at_eos=False)[0]
    assert (len(exact.tokens), exact.stopped_by) == (3, "length")


def test_a_longer_request_begins_as_the_shorter_one() -> None:
    model = tiny_model()
    short, long = (model.complete([[9, 8]], temperature=1.0, max_new_tokens=n, seed=2)[0].tokens for n in (5, 15))
    assert long[: len(short)] == short


def test_one_text_gives_one_text_and_several_give_a_list() -> None:
    model = tiny_model()
    one = model.generate("The", max_new_tokens=4)
    assert isinstance(one, str)
    assert model.generate(["The", "A"], max_new_tokens=4)[0] == one
    assert model.generate("The", max_new_tokens=4, n_samples=2) == [one, one]


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"temprature": 1.0}, "no option called 'temprature'"),
        ({"temperature": "hot"}, "temperature = 'hot' cannot be used; it must be a number"),
        ({"n_samples": 0}, "n_samples = 0 cannot be used; it must be at least 1"),
        ({"stop": None}, "stop"),
        ({"stop": 7}, "stop"),
        ({"max_new_tokens": 0}, "max_new_tokens = 0 cannot be used; it must be at least 1"),
    ],
)
def test_an_option_that_cannot_be_used_is_refused_in_one_sentence(options: dict[str, Any], why: str) -> None:
    model = tiny_model()
    with pytest.raises(InputError, match=why) as refusal:
        model.generate("The", **options)
    assert "\n" not in str(refusal.value)
    with pytest.raises(InputError, match=why):
        model.stream("The", **options)
    assert model.generate("The", temperature=0.5, n_samples=1, stop="zzz", max_new_tokens=1)


def test_a_model_without_a_tokenizer_continues_ids_and_refuses_text() -> None:
    model = tiny_model()
    bare = Model(model.net, None, model.identity)
    one = bare.complete([[3, 4]], max_new_tokens=4)[0]
    assert one.tokens == model.complete([[3, 4]], max_new_tokens=4, stop_at_eos=False)[0].tokens
    assert one.text == ""
    with pytest.raises(InputError, match="has no tokenizer; give token ids"):
        bare.generate("The")


def test_the_prompt_is_not_written_to() -> None:
    model = tiny_model()
    batch = Prompts.of([[1, 2], [3]])
    before = batch.ids.clone()
    model.complete(batch, max_new_tokens=3)
    assert torch.equal(batch.ids, before)
