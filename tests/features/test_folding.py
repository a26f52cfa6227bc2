"""What a training hands out takes the model's own activations, along directions of norm 1, its thresholds in float32."""

import pytest
import torch
from torch.nn import functional as F

from features.samples import ROWS, TRAINED
from glassbook.features import load_dictionary, save_dictionary
from glassbook.features.dictionary import make_dictionary
from glassbook.features.learning import DictionaryLearner, DictionarySettings
from glassbook.features.planted import planted
from glassbook.files.safetensors import open_safetensors

DATA = planted(10, 8, 0.5, seed=0, active=2.0)
FAR = torch.linspace(-40, 60, 8)


def raw(number, d_out=8):
    """Return rows far from 0 and of another size than a training sees; for a transcoder what is made of them too."""
    x = DATA.rows(64, 0, number)
    return x * 7 + FAR if d_out == 8 else (x * 7 + FAR, x[:, :d_out] * 0.01 - 3)


def trained(label, steps=30, dtype="float32"):
    kind, d_in, n, d_out, settings = ROWS[label]
    made = make_dictionary(kind, d_in, n, d_out, settings)
    learner = DictionaryLearner(made, DictionarySettings(steps=steps, lr=0.02, dtype=dtype))
    for number in range(steps):
        learner.step(raw(number, d_out))
    return learner


@pytest.mark.parametrize("label", TRAINED)
def test_the_normalization_is_folded_in(label):
    learner = trained(label)
    done, scale, batch = learner.dictionary(), learner.normalization, raw(99, learner.working.d_out)
    x, target = batch if isinstance(batch, tuple) else (batch, batch)
    with torch.no_grad():
        inside = learner.working(scale.read(x))
        expected = inside / scale.written.factor + scale.written.center
        assert torch.allclose(done(x), expected, rtol=1e-4, atol=1e-4 * float(target.std()))
        # The control: what was trained takes nothing raw.
        assert F.mse_loss(learner.working(x), target) > 10 * F.mse_loss(done(x), target)
        assert torch.equal(learner.working.encode(scale.read(x)) > 0, done.encode(x) > 0)
    assert torch.allclose(done.decoder.norm(dim=1), torch.ones(done.n_features), atol=1e-5)
    assert not any(weight.requires_grad for weight in done.parameters())


@pytest.mark.parametrize("label", ["batchtopk", "jumprelu, k", "transcoder"])
def test_thresholds_stay_in_float32_where_all_else_is_bfloat16(label, tmp_path):
    learner = trained(label, dtype="bfloat16")
    names = [name for name in learner.working.state_dict() if "threshold" in name]
    assert names
    save_dictionary(tmp_path / "it", learner.dictionary(), dtype="bfloat16")
    with open_safetensors(tmp_path / "it" / "dictionary.safetensors") as file:
        stored = {name: info.dtype for name, info in file.tensors.items()}
    assert {stored[name] for name in names} == {"F32"} and set(stored.values()) == {"F32", "BF16"}
    again, whole = load_dictionary(tmp_path / "it").state_dict(), learner.dictionary().state_dict()
    for name in names:
        assert again[name].dtype is torch.float32 and torch.equal(again[name], whole[name])
        # The control: bfloat16 could not have held them.
        assert not torch.equal(whole[name], whole[name].bfloat16().float())


def test_what_is_handed_out_is_a_copy_and_the_training_goes_on_from_what_it_had():
    learner, other = trained("batchtopk", 6), trained("batchtopk", 6)
    learner.dictionary()
    learner.step(raw(7))
    other.step(raw(7))
    assert torch.equal(learner.working.encoder, other.working.encoder)
