"""Learning to reconstruct: losses fall, a training that was cut short goes on to the same bits, batches lose no picture."""

import pytest
import torch

from glassbook.core.errors import InputError
from glassbook.models.vae import VAE, VAEConfig
from glassbook.models.variational_sparse_coding import PseudoInputSparseCoding, VSCConfig
from glassbook.training.loop import Settings, train
from glassbook.training.reconstruction import ImageBatches, ReconstructionLearner, ReconstructionSettings, ramp

PICTURES = (torch.rand(96, 16, generator=torch.Generator().manual_seed(0)) > 0.7).float()


def warm_up(net: PseudoInputSparseCoding, step: int) -> None:
    net.slab_share = ramp(step, 5, 15)


def learner() -> ReconstructionLearner:
    net = PseudoInputSparseCoding(
        VSCConfig(n_pixels=16, hidden=(12,), d_latent=5, alpha=0.2, n_pseudo_inputs=3), seed=1
    )
    return ReconstructionLearner(net, ReconstructionSettings(lr=1e-2, seed=3, slower_after=18), warm_up)


def weights(learner: ReconstructionLearner) -> torch.Tensor:
    return torch.cat([weight.detach().flatten() for weight in learner.net.parameters()])


def test_the_loss_of_pictures_never_seen_falls():
    net = VAE(VAEConfig(n_pixels=16, hidden=(32,), d_latent=4), seed=0)
    pattern = PICTURES[:8].repeat(12, 1)
    before = net.loss(pattern)["loss"].item()
    history = train(
        ReconstructionLearner(net, ReconstructionSettings(lr=1e-2)), ImageBatches(pattern, 32, 0), Settings(200)
    )
    assert net.loss(pattern)["loss"].item() < 0.8 * before
    assert {"loss", "reconstruction", "kl", "lr", "flop"} <= set(history.columns)


@pytest.mark.parametrize("cut", [1, 7, 17, 23])
def test_a_training_that_was_cut_short_goes_on_to_the_same_bits(tmp_path, cut):
    whole = learner()
    train(whole, ImageBatches(PICTURES, 32, 4), Settings(24))
    train(learner(), ImageBatches(PICTURES, 32, 4), Settings(cut), folder=tmp_path)
    second = learner()
    train(second, ImageBatches(PICTURES, 32, 4), Settings(24), folder=tmp_path)
    assert torch.equal(weights(second), weights(whole))
    assert second.net.slab_share == whole.net.slab_share == 1.0


def test_control_another_seed_of_the_noise_gives_other_weights():
    one, other = learner(), learner()
    other.noise.manual_seed(99)
    for each in (one, other):
        train(each, ImageBatches(PICTURES, 32, 4), Settings(3))
    assert not torch.equal(weights(one), weights(other))


def test_control_without_the_state_of_adam_the_bits_differ():
    whole, forgetful = learner(), learner()
    for each in (whole, forgetful):
        train(each, ImageBatches(PICTURES, 32, 4), Settings(5))
    state = {name: value.clone() for name, value in whole.state().items()}
    forgetful.load_state({name: value * 0 if "exp_avg" in name else value for name, value in state.items()})
    batch = PICTURES[:32]
    whole.load_state(state)
    whole.step(batch), forgetful.step(batch)
    assert not torch.equal(weights(whole), weights(forgetful))


def test_the_rate_falls_to_a_tenth_when_it_should():
    one, stream = learner(), ImageBatches(PICTURES, 32, 4)
    rates = [one.step(stream.next())["lr"] for _ in range(20)]
    assert rates == pytest.approx([1e-2] * 18 + [1e-3] * 2)


def test_an_epoch_has_every_picture_once_and_the_next_another_order():
    stream = ImageBatches(torch.arange(96.0)[:, None], 32, 0)
    epochs = [torch.cat([stream.next() for _ in range(stream.per_epoch)]).flatten() for _ in range(2)]
    assert all(torch.equal(epoch.sort().values, torch.arange(96.0)) for epoch in epochs)
    assert not torch.equal(*epochs)
    assert not torch.equal(epochs[0], ImageBatches(torch.arange(96.0)[:, None], 96, 1).next().flatten())


def test_labels_stay_with_their_pictures():
    pictures, labels = ImageBatches(torch.arange(10.0)[:, None], 5, 0, labels=torch.arange(10) * 2).next()
    assert torch.equal(labels, pictures.flatten().long() * 2)


@pytest.mark.parametrize("batch", [0, -1, 97])
def test_batches_that_cannot_be_made_are_refused(batch):
    with pytest.raises(InputError, match="ask for 1 to 96"):
        ImageBatches(PICTURES, batch, 0)


def test_a_ramp_is_flat_then_straight_then_flat():
    assert [ramp(step, 10, 20) for step in (0, 10, 15, 20, 99)] == [0, 0, 0.5, 1, 1]
    assert ramp(0, 0, 0) == 0 and ramp(1, 0, 0) == 1
