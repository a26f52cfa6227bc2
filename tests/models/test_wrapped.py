"""A wrapped module says what it said before, shows its stream, generates as it does by itself, and is refused in words."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import tokenizers
import torch
import transformers
from torch import nn

import glassbook as gb
from conformance.tiny import tiny_model, tiny_tokenizer
from glassbook.core.errors import InputError, ModelError, SiteError
from glassbook.core.sites import Site
from glassbook.core.taps import Edit, Taps
from glassbook.models.module_cache import ModuleCache
from glassbook.models.wrapped import wrap
from models.strangers import FOREIGN, NATIVE, PARTS, Plain, plain, stranger, wrapped

EVERYBODY = pytest.mark.parametrize("kind", [*NATIVE, *FOREIGN])
ROWS = [[5, 9, 2, 77, 31, 8, 200], [7, 7, 120, 3, 0, 1, 250]]
UNEQUAL = [[5, 9, 2, 77, 31, 8], [7, 7], [120, 3, 0, 44]]
SHOWN = ["embed", "resid_pre", "attn_out", "mlp_out", "resid_post", "logits"]


def hooks_of(module: nn.Module) -> int:
    """Return how many hooks hang on a module and its parts."""
    return sum(len(part._forward_hooks) + len(part._forward_pre_hooks) for part in module.modules())


@EVERYBODY
def test_the_logits_and_the_stream_are_those_of_the_module(kind):
    tokens = torch.tensor(ROWS)
    theirs = stranger(kind)(tokens, output_hidden_states=True)
    cache = gb.capture(wrapped(kind), tokens, ["L*.resid_pre", "L*.resid_post", "logits"])
    assert torch.equal(cache["logits"], theirs.logits)
    assert torch.equal(wrapped(kind)(tokens), theirs.logits)
    # transformers keeps the stream before each block; what leaves the last one it norms first.
    for layer, hidden in enumerate(theirs.hidden_states[:-1]):
        assert torch.equal(cache[f"L{layer}.resid_pre"], hidden)
        assert not torch.equal(cache[f"L{layer}.resid_post"], hidden), "the control: a block does something"
    assert torch.equal(cache["L0.resid_post"], cache["L1.resid_pre"])


@pytest.mark.parametrize("kind", NATIVE)
def test_every_site_is_that_of_our_own_network_of_the_same_weights(kind):
    ours = gb.capture(tiny_model(kind), ROWS, [name if name in ("embed", "logits") else f"L*.{name}" for name in SHOWN])
    theirs = gb.capture(wrapped(kind), ROWS, list(ours))
    assert wrapped(kind).site_names == SHOWN
    for site, value in ours.items():
        assert torch.allclose(value, theirs[site], atol=1e-5), site
        changed = value + 1e-3
        assert not torch.allclose(changed, theirs[site], atol=1e-5), "the control"


@EVERYBODY
def test_a_capture_ends_when_the_last_site_is_read_and_leaves_no_hook(kind):
    model, called = wrapped(kind), []
    watch = model.net.anatomy.blocks[2].register_forward_hook(lambda *_: called.append(1))
    before = hooks_of(stranger(kind))
    gb.capture(model, ROWS, "L*.resid_post", stop_at_layer=2)
    assert called == []
    gb.capture(model, ROWS, "L2.resid_post")
    watch.remove()
    assert called == [1]
    assert hooks_of(stranger(kind)) == before - 1


def test_an_edit_that_fails_leaves_no_hook_either():
    model, before = wrapped("gpt2"), hooks_of(stranger("gpt2"))

    def fail(value: torch.Tensor, _: object) -> torch.Tensor:
        assert hooks_of(stranger("gpt2")) > before, "the control: hooks stand during the pass"
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        model(ROWS, edits=[Edit(Site("mlp_out", 1), fail)])
    assert hooks_of(stranger("gpt2")) == before


@pytest.mark.parametrize("site", ["embed", "L1.resid_pre", "L1.attn_out", "L0.mlp_out", "L1.resid_post", "logits"])
@pytest.mark.parametrize("kind", NATIVE)
def test_an_edit_does_what_it_does_in_our_own_network(kind, site):
    edit = Edit(Site.parse(site), lambda value, span: value * 0.5 + span.positions[..., None] * 0.1)
    changed, ours = (model(UNEQUAL, edits=[edit]) for model in (wrapped(kind), tiny_model(kind)))
    real = wrapped(kind).span(wrapped(kind).read(UNEQUAL)).is_real
    assert torch.allclose(changed[real], ours[real], atol=1e-4)
    assert not torch.allclose(changed[real], wrapped(kind)(UNEQUAL)[real], atol=1e-2), "the control"


@EVERYBODY
def test_greedy_generation_is_token_for_token_that_of_the_module(kind):
    tokens = torch.tensor(ROWS)
    options = dict(max_new_tokens=12, do_sample=False, pad_token_id=0, eos_token_id=None)
    theirs = stranger(kind).generate(tokens, attention_mask=torch.ones_like(tokens), **options)
    for use_cache in (True, False):
        ours = wrapped(kind).complete(ROWS, max_new_tokens=12, stop_at_eos=False, use_cache=use_cache)
        assert [one.tokens for one in ours] == theirs[:, len(ROWS[0]) :].tolist()
    other = wrapped(kind).complete([ROWS[0][:-1]], max_new_tokens=12, stop_at_eos=False)
    assert other[0].tokens != theirs[0, len(ROWS[0]) :].tolist(), "the control: another prompt goes on otherwise"


@EVERYBODY
def test_prompts_of_unequal_length_go_on_as_each_does_alone_and_in_samples(kind):
    model = wrapped(kind)
    alone = [model.complete([row], max_new_tokens=6, stop_at_eos=False)[0].tokens for row in UNEQUAL]
    assert [one.tokens for one in model.complete(UNEQUAL, max_new_tokens=6, stop_at_eos=False)] == alone
    doubled = model.complete(UNEQUAL, max_new_tokens=6, stop_at_eos=False, n_samples=2)
    assert [one.tokens for one in doubled] == [tokens for tokens in alone for _ in range(2)]
    assert len(set(map(tuple, alone))) == len(alone), "the control: each goes its own way"


def test_rows_that_stop_leave_the_cache_of_the_others_as_it_was():
    model = wrapped("gpt2")
    alone = [model.complete([row], max_new_tokens=8, stop_at_eos=False)[0] for row in UNEQUAL]
    text = alone[0].text
    together = model.complete(UNEQUAL, max_new_tokens=8, stop_at_eos=False, stop=[text[: len(text) // 2]])
    assert together[0].stopped_by == "stop string" and len(together[0].tokens) < 8
    assert [one.tokens for one in together[1:]] == [one.tokens for one in alone[1:]]


def test_the_cache_of_the_module_is_used_where_it_has_one_that_bears_padding():
    assert isinstance(wrapped("gpt2").net.new_cache(3, 9), ModuleCache)
    assert isinstance(wrapped("bloom").net.new_cache(1, 9), ModuleCache)
    assert wrapped("bloom").net.new_cache(3, 9) is None, "Bloom counts columns, so padding between them would be seen"
    assert wrap(plain()).net.new_cache(1, 9) is None
    widths = []
    watch = stranger("gpt2").transformer.wte.register_forward_hook(
        lambda _, given, __: widths.append(given[0].shape[1])
    )
    wrapped("gpt2").complete(ROWS, max_new_tokens=4, stop_at_eos=False)
    watch.remove()
    assert widths == [7, 1, 1, 1]


class Countless(transformers.GPT2LMHeadModel):
    """A GPT-2 that takes positions and does not heed them: a padded row's next token comes too late in its count."""

    def forward(self, input_ids, attention_mask=None, position_ids=None, past_key_values=None, use_cache=None):
        """Return what GPT-2 returns where nobody gives positions."""
        return super().forward(
            input_ids, attention_mask=attention_mask, past_key_values=past_key_values, use_cache=use_cache
        )


def test_a_cache_that_padding_would_spoil_is_found_by_trying_and_not_used():
    net = Countless(stranger("gpt2").config).eval()
    net.load_state_dict(stranger("gpt2").state_dict())
    model = wrap(net)
    assert model.net.new_cache(1, 9) is not None and model.net.new_cache(3, 9) is None
    ours, right = (one.complete(UNEQUAL, max_new_tokens=6, stop_at_eos=False) for one in (model, wrapped("gpt2")))
    assert [one.tokens for one in ours] == [one.tokens for one in right]


def test_the_habits_of_transformer_lens_work_on_a_wrapped_module():
    model = wrapped("phi")
    logits, cache = gb.run_with_cache(model, ROWS)
    assert torch.equal(logits, model(ROWS)) and len(cache) == 2 + 3 * 4
    halved = gb.run_with_hooks(model, ROWS, [("blocks.1.hook_mlp_out", lambda value, hook: value / 2)])
    assert torch.equal(halved, model(ROWS, edits=[Edit(Site("mlp_out", 1), lambda value, span: value / 2)]))
    assert not torch.equal(halved, logits)


def test_plain_pytorch_is_wrapped_and_generates_by_reading_all_again():
    net = plain()
    model = wrap(net)
    assert model.config.n_layers == 3 and model.config.d_model == 16 and model.config.d_vocab == 30
    tokens, row = torch.tensor([[3, 1, 4, 1]]), [3, 1, 4, 1]
    assert torch.equal(model(tokens), net(tokens))
    for _ in range(5):
        row.append(int(net(torch.tensor([row]))[0, -1].argmax()))
    assert model.complete(tokens, max_new_tokens=5)[0].tokens == row[4:]
    assert model.net.anatomy.embed is net.wte, "positions are not tokens"


def test_what_is_not_to_be_seen_is_said_in_the_repr_in_a_sentence_and_in_every_refusal():
    model = wrapped("phi")
    assert "wrapped: no heads, patterns or neurons" in repr(model)
    assert "no heads, patterns or neurons" in model.net.limits and ";" not in model.net.limits
    with pytest.raises(SiteError, match=r"no Site 'L0.pattern'; it has embed, resid_pre"):
        gb.capture(model, ROWS, "L0.pattern")
    cache = gb.capture(model, ROWS, ["embed", "L*.attn_out", "L*.mlp_out"])
    with pytest.raises(ModelError, match="wrapped"):
        cache.decompose_resid()
    with pytest.raises(ModelError, match="wrapped"):
        gb.save_model(model, "nowhere")
    assert tiny_model("gpt2").net.limits == "" and tiny_model("gpt2").transformer is tiny_model("gpt2").net


@EVERYBODY
def test_whether_a_block_adds_what_its_parts_return_is_measured_and_said(kind):
    cache = gb.capture(wrapped(kind), ROWS, [f"L1.{name}" for name in SHOWN[1:5]])
    written = cache["L1.resid_pre"] + cache["L1.attn_out"] + cache["L1.mlp_out"]
    adds_up = torch.allclose(written, cache["L1.resid_post"], atol=1e-4)
    assert wrapped(kind).net.writes_add_up is adds_up
    assert adds_up is (kind not in ("bloom", "olmo2")), "Bloom's parts return the stream, Olmo 2 norms what they return"
    assert ("resid_post is not" in wrapped(kind).net.limits) is not adds_up


def test_parts_that_are_named_are_those_that_are_read():
    named = {"attn": "post_attention_layernorm", "mlp": "post_feedforward_layernorm"}
    assert wrap(stranger("olmo2"), **named).net.writes_add_up is True
    assert wrap(stranger("opt"), embed="model.decoder.embed_positions", mlp="fc2").net.anatomy.embed is not (
        wrapped("opt").net.anatomy.embed
    )
    without = wrap(stranger("olmo2"), attn=None, mlp=None, embed=None)
    assert without.site_names == ["resid_pre", "resid_post", "logits"]
    assert without.net.writes_add_up is None


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ({}, r"no part with the name of an MLP; name one of self_attn, fc1, fc2 as mlp="),
        ({"mlp": "fc3"}, "mlp='fc3' names no part of OPTDecoderLayer"),
        ({"mlp": "fc2", "blocks": "model.layers"}, r"names no part of OPTForCausalLM; its parts are model, lm_head"),
        ({"mlp": "fc2", "blocks": "model.decoder"}, r"no list of blocks; .*blocks=\"model.decoder.layers\""),
        ({"mlp": "fc1"}, r"tokens L0.mlp_out was \[1, 4, 48\], not one value"),
    ],
)
def test_a_part_that_is_not_found_is_asked_for_by_its_argument(parts, words):
    with pytest.raises(ModelError, match=words):
        wrap(stranger("opt"), **parts)


class Twofold(Plain):
    """A plain model with a second list that could be its blocks."""

    def __init__(self) -> None:
        super().__init__()
        self.tail = nn.ModuleList(nn.Linear(16, 16) for _ in range(2))


def test_what_is_no_causal_language_model_of_one_stack_is_refused_in_a_sentence():
    sizes = dict(vocab_size=30, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=16)
    reader = transformers.BertForMaskedLM(transformers.BertConfig(**sizes)).eval()
    with pytest.raises(ModelError, match="depends on later tokens"):
        wrap(reader)
    with pytest.raises(
        ModelError, match=r'2 lists that could be its blocks; choose one: blocks="layers", blocks="tail"'
    ):
        wrap(Twofold().eval())
    assert wrap(Twofold().eval(), blocks="layers").config.n_layers == 3
    with pytest.raises(ModelError, match="no list of blocks of one class"):
        wrap(nn.Linear(3, 3).eval())
    with pytest.raises(InputError, match=r"module.eval\(\)"):
        wrap(plain().train())
    with pytest.raises(ModelError, match="returned Tensor; give one that returns logits"):
        wrap(Headless().eval())
    with pytest.raises(InputError, match="n_ctx = 0"):
        wrap(plain(), n_ctx=0)


class Headless(Plain):
    """A model that returns one number for each token."""

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Return a score for each token, and none for each next one."""
        return super().forward(tokens).sum(-1)


def test_how_far_it_reads_is_what_the_module_says_or_the_caller():
    assert wrapped("falcon").config.n_ctx == 48
    model = wrap(plain(), n_ctx=6)
    with pytest.raises(InputError, match="reads at most 6"):
        model([[1] * 7])
    assert model.complete([[1, 2, 3]], max_new_tokens=9)[0].stopped_by == "context"
    assert wrap(plain()).config.n_ctx > 10**6


def test_equal_weights_have_equal_identities_and_others_have_not():
    one, same = wrap(plain()).identity, wrap(plain()).identity
    assert one == same
    other = plain()
    other.head.weight[0, 0] += 1
    changed = wrap(other).identity
    assert changed.fingerprint != one.fingerprint
    assert changed.lineage != one.lineage, "nothing but the weights says which model this is"
    named = [wrap(net, name="mine").identity.lineage for net in (plain(), other)]
    assert named[0] == named[1] != wrap(plain(), name="yours").identity.lineage


def test_a_tokenizer_of_theirs_is_adopted_and_left_as_it_was():
    ours = tiny_tokenizer()
    theirs = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizers.Tokenizer.from_str(ours.to_json()),
        eos_token="<|endoftext|>",
        chat_template="{{ messages[0]['content'] }}",
    )
    before = theirs.backend_tokenizer.to_str()
    model = wrap(stranger("gpt2"), theirs)
    text = "the onion in the inn <|endoftext|>"
    assert model.to_tokens(text).tolist() == [ours.encode(text)]
    assert model.tokenizer.eos_id == ours.eos_id == model.tokenizer.stop_ids[0]
    assert model.tokenizer.chat_template == theirs.chat_template and not model.tokenizer.adds_bos
    assert theirs.backend_tokenizer.to_str() == before
    bare = wrap(stranger("gpt2"), theirs.backend_tokenizer).tokenizer
    assert bare.encode(text) == ours.encode(text) and bare.eos_id is None
    assert wrap(stranger("gpt2"), ours).tokenizer is ours
    with pytest.raises(InputError, match="use_fast=True"):
        wrap(stranger("gpt2"), object())


def test_an_architecture_that_is_not_here_is_refused_with_the_way_around_it(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "falcon", "vocab_size": 3}))
    (tmp_path / "model.safetensors").write_bytes((2).to_bytes(8, "little") + b"{}")
    with pytest.raises(ModelError, match=r"'falcon'; Glassbook has .*gpt2.* by gb.wrap\(module, tokenizer\)"):
        gb.open_model(tmp_path)


def test_wrapping_imports_nothing_of_transformers():
    folder = Path(__file__).parents[1]
    program = (
        f"import sys; sys.path.insert(0, {str(folder)!r}); sys.modules['transformers'] = None; import glassbook as gb; "
        f"import torch; from torch import nn\n"
        f"class Net(nn.Module):\n"
        f"    def __init__(s):\n"
        f"        super().__init__(); s.e = nn.Embedding(9, 4); s.l = nn.ModuleList([nn.Linear(4, 4)]); s.h = nn.Linear(4, 9)\n"
        f"    def forward(s, t):\n"
        f"        return s.h(s.l[0](s.e(t)))\n"
        f"print(gb.wrap(Net().eval(), attn=None, mlp=None)([[1, 2]]).shape[-1])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "9", done.stderr[-400:]


def test_gradients_reach_the_stream_of_a_wrapped_module():
    cache = gb.capture(wrapped("phi"), ROWS, ["L1.resid_pre", "logits"], grad=True)
    cache["logits"].square().mean().backward()
    assert float(cache.grad("L1.resid_pre").abs().max()) > 0


def test_a_pass_under_no_taps_hangs_no_hook():
    seen: list[int] = []
    net = plain()
    watch = net.layers[0].register_forward_hook(lambda *_: seen.append(hooks_of(net)))
    model = wrap(net)
    seen.clear()
    model.net(torch.tensor([[1, 2]]))
    model.net(torch.tensor([[1, 2]]), Taps(readers={Site("resid_post", 1): lambda value: None}))
    watch.remove()
    assert seen == [1, 2]


def test_every_stranger_is_found_without_a_word_but_opt():
    assert set(PARTS) == {"opt"}
