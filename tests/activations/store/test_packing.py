"""Contexts: every token of every document once and in order, which document it is from, and going on anywhere."""

from typing import Any

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from activations.store import material
from conformance.tiny import tiny_tokenizer
from glassbook.activations.store.packing import Context, Packer
from glassbook.text.corpora import open_corpus

TOKENIZER = tiny_tokenizer()
START = TOKENIZER.document_start_id
words = st.text("abcé ", max_size=60)
corpora = st.lists(words, min_size=1, max_size=12)
shapes = st.fixed_dictionaries(
    {"context": st.integers(2, 20), "packed": st.booleans(), "start_token": st.sampled_from([None, False, True])}
)


def _packer(given_texts: list[str], /, **changes: Any) -> Packer:
    return Packer(open_corpus(given_texts), TOKENIZER, material.settings(**{"mixed": 0} | changes))


def _all(packer: Packer) -> list[Context]:
    return list(iter(packer.next, None))


def _of_documents(contexts: list[Context]) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for context in contexts:
        for token, document in zip(context.tokens.tolist(), context.documents.tolist(), strict=True):
            if token != START:
                found.setdefault(document, []).append(token)
    return found


def _alike(left: list[Context], right: list[Context]) -> bool:
    pairs = [(one.tokens.tolist(), one.documents.tolist()) for one in left]
    return pairs == [(one.tokens.tolist(), one.documents.tolist()) for one in right]


@given(corpora, shapes)
@settings(max_examples=60)
def test_every_token_of_every_document_stands_in_one_context_in_order_and_knows_its_document(documents, shape):
    contexts = _all(_packer(documents, **shape))
    ids = {number: TOKENIZER.encode(text) for number, text in enumerate(documents)}
    assert _of_documents(contexts) == {number: found for number, found in ids.items() if found}
    assert all(2 - (START not in one.tokens) <= len(one.tokens) <= shape["context"] for one in contexts)


@given(corpora, shapes)
@settings(max_examples=60)
def test_contexts_and_documents_begin_behind_the_start_token_where_there_is_one(documents, shape):
    starts = shape["start_token"] is not False
    for context in _all(_packer(documents, **shape)):
        assert (context.tokens[0] == START) == starts
        changes = context.documents[1:] != context.documents[:-1]
        assert (context.tokens[1:][changes] == START).all() == (starts or not changes.any())


@given(corpora, st.integers(2, 20))
@settings(max_examples=30)
def test_a_context_of_its_own_holds_one_document_and_a_packed_one_is_full(documents, context):
    alone = _all(_packer(documents, context=context, packed=False))
    assert all(len(set(one.documents.tolist())) == 1 for one in alone)
    packed = _all(_packer(documents, context=context))
    assert all(len(one.tokens) == context for one in packed[:-1])
    assert len(packed) <= len(alone)


@given(corpora, shapes, st.integers(0, 9), st.integers(0, 30), st.integers(0, 9))
@settings(max_examples=60)
def test_from_its_state_a_packer_goes_on_as_if_it_had_never_stopped(documents, shape, mixed, taken, looked):
    packer = _packer(documents, mixed=mixed, **shape)
    packer.look(looked)
    for _ in range(taken):
        packer.next()
    state = packer.state()
    other = _packer(documents, mixed=mixed, **shape)
    other.load_state(state)
    assert _alike(_all(other), _all(packer))


def test_mixed_contexts_are_the_same_ones_in_an_order_of_the_seed():
    documents = material.texts(40)
    plain, mixed, again, other = (
        _all(_packer(documents, **how)) for how in ({}, {"mixed": 30}, {"mixed": 30}, {"mixed": 30, "seed": 1})
    )
    assert _alike(mixed, again) and not _alike(mixed, plain) and not _alike(mixed, other)
    key = [sorted((one.tokens.tolist(), one.documents.tolist()) for one in found) for found in (plain, mixed, other)]
    assert key[0] == key[1] == key[2]


def test_mixing_brings_together_what_stands_apart_in_the_corpus():
    documents = ["a" * 300, "b" * 300, "c" * 300]
    first = [
        {document for one in _all(_packer(documents, mixed=mixed))[:8] for document in one.documents}
        for mixed in (0, 60)
    ]
    assert first[0] == {0} and first[1] == {0, 1, 2}


def test_looking_ahead_changes_nothing_of_what_comes():
    documents = material.texts()
    packer = _packer(documents, mixed=5)
    seen = packer.look(3) + packer.look(4)[3:]
    assert _alike(seen, _all(packer)[:4])
    assert packer.exhausted() and not _packer(documents).exhausted()


def test_a_part_of_a_corpus_keeps_the_numbers_of_the_whole_and_has_the_checksum_of_what_was_read():
    documents = material.texts()
    packer = _packer(documents, documents=(2, 5))
    assert set(_of_documents(_all(packer))) == {2, 3, 4}
    assert packer.source.read == 3
    whole = _packer(documents)
    _all(whole)
    assert whole.source.sha256 == open_corpus(documents).sha256 != packer.source.sha256


def test_the_start_token_written_out_in_a_text_is_text():
    (context,) = _all(_packer(["<|endoftext|>"], context=20))
    assert (context.tokens == START).sum() == 1 and len(context.tokens) > 10


def test_the_state_is_tensors_that_a_checkpoint_holds():
    packer = _packer(material.texts(), mixed=4)
    packer.next()
    assert all(isinstance(value, torch.Tensor) for value in packer.state().values())
