"""Dictionaries through training's one loop."""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import asdict, dataclass
from typing import Any, Literal

import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor, distributed

from glassbook.core.devices import as_dtype, dtype_name
from glassbook.core.errors import InputError
from glassbook.features.batchtopk import BatchTopK
from glassbook.features.compiling import Compiled
from glassbook.features.dead_features import MOST_TOKENS, aux_loss, aux_rows, resample
from glassbook.features.dictionary import Dictionary
from glassbook.features.encoding import encoder_dtype
from glassbook.features.faults import DictionaryError
from glassbook.features.initialization import initialize
from glassbook.features.normalization import Center, Normalization, Scale
from glassbook.features.objective import Learned, Step
from glassbook.features.readings import Readings
from glassbook.features.schedule import Trapezoid
from glassbook.features.topk import TopK
from glassbook.features.transcoder import Transcoder
from glassbook.features.turning import Turning
from glassbook.files.hashes import hash_json
from glassbook.training.optimizer import clip_gradients, load_optimizer_state, optimizer_state
from glassbook.training.processes import ALONE, Processes
from glassbook.training.reconstruction import ramp

Batch = Float[Tensor, "batch d_in"] | tuple[Float[Tensor, "batch d_in"], Float[Tensor, "batch d_out"]]
"""Activations; for a transcoder those that are read and those that are to be written."""

Mending = Literal["auxk", "resample", "keep"]

_WITHOUT_PENALTY: dict[str, Any] = {"betas": (0.5, 0.95), "first_length": 0.1, "first_encoder": 0.3}
_WITH_PENALTY: dict[str, Any] = {"betas": (0.9, 0.999), "first_length": 0.0, "first_encoder": 1.0}
"""What is done where nothing is asked. Where a penalty pulls at every step, a short memory follows its noise."""

_SPEED_OF_LOGARITHMS = 10.0
"""How much faster logarithms are learned: at a rate of 1e-3 a threshold would move by a tenth of itself in 100 steps."""

_LIST_UP_TO = 0.05
"""Up to this share of active features lists are faster than wholes on a CPU."""


def default_lr(n_features: int, steps: int) -> float:
    """Return 2e-4 / sqrt(n_features / 2^14), the scaling of Gao et al. 2024, times sqrt(10^4 / steps) in shorter trainings.

    At most ten times as much. Measured with 4,608 features and 2,048 rows a step: decision 018.
    """
    return 2e-4 / (n_features / 2**14) ** 0.5 * min(max((10_000 / steps) ** 0.5, 1.0), 10.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class DictionarySettings:
    """How a dictionary is trained; shares are of all steps.

    `lr` is that of `default_lr` where None, `sparsity` the weight of the penalty, the
    kind's own where None. `betas` are Adam's. Directions that are held at norm 1 settle: a step turns one by what it moves over
    the direction's length, which is `first_length` at first and grows by every step, so that who learned much turns less; 0
    lets all turn alike. `first_encoder` is how long their encoder rows are at first. Where None these are (0.5, 0.95), 0.1 and
    0.3 in kinds without a penalty, where they were found to explain most, and (0.9, 0.999), 0 and 1 in the others.

    Features that no token activated for `dead_share` of the training's tokens (10 million at most) are dead; `mend` says what
    is done: `auxk`, weighed by `aux_weight`; `resample`, five times in the first half; or `keep`. None is auxk for kinds
    without a penalty and resample for the others. `dtype` is the precision of the large products, the encoder's and, of
    wholes, the decoder's; the fastest here where None. `whole` keeps features in wholes (see `active`), where None as is faster.
    """

    steps: int
    lr: float | None = None
    warmup_share: float = 0.05
    decay_share: float = 0.2
    clip: float = 1.0
    betas: tuple[float, float] | None = None
    first_length: float | None = None
    first_encoder: float | None = None
    sparsity: float | None = None
    sparsity_warmup_share: float = 0.05
    center: Center = "mean"
    mend: Mending | None = None
    aux_weight: float = 1 / 32
    aux_k: int | None = None
    dead_share: float = 0.1
    dtype: str | None = None
    whole: bool | None = None
    compile: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        if self.betas is not None and not all(0 <= beta < 1 for beta in self.betas):
            raise InputError(
                f"Adam's betas cannot be {self.betas[0]:g} and {self.betas[1]:g}; give two from 0 to below 1"
            )
        if self.steps < 1:
            raise InputError(f"a training of {self.steps} steps learns nothing; ask for at least 1")
        for name in ("lr", "aux_k"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise InputError(f"{name} = {value} trains nothing; give more than 0, or leave it out for the usual")
        if (self.first_length or 0) < 0 or not (self.first_encoder is None or self.first_encoder > 0):
            raise InputError(
                f"directions of length {self.first_length} and encoder rows of {self.first_encoder} cannot begin a training; "
                "give 0 or more and more than 0"
            )


class DictionaryLearner:
    """A Learner of one dictionary, which it normalizes for, begins, trains and hands out with the normalization folded in.

    Of several `processes` each is given the same whole batches and learns from its rows; all make the step of the whole.
    """

    def __init__(self, dictionary: Dictionary, settings: DictionarySettings, processes: Processes = ALONE) -> None:
        if dictionary.is_reference:
            raise DictionaryError(f"a {dictionary.kind} dictionary is fitted and not trained by steps; call fit")
        self.working, self.settings, self.processes = dictionary, settings, processes
        self.steps = 0
        self.normalization: Normalization | None = None
        self.variance = 1.0
        self.silent = torch.zeros(dictionary.n_features, dtype=torch.int64, device=self.device)
        own = _WITH_PENALTY if dictionary.penalty else _WITHOUT_PENALTY
        self.beginning = {
            name: value if (asked := getattr(settings, name)) is None else asked for name, value in own.items()
        }
        self.turning = Turning(dictionary, self.beginning["first_length"])
        core = dictionary.inner if isinstance(dictionary, Transcoder) else dictionary
        self.thresholded = core if isinstance(core, BatchTopK) else None
        self.l0 = float(core.k) if isinstance(core, TopK | BatchTopK) else dictionary.n_features / 2
        self.mend = settings.mend or ("resample" if dictionary.penalty else "auxk")
        lr = default_lr(dictionary.n_features, settings.steps) if settings.lr is None else settings.lr
        warmup, decay = (round(share * settings.steps) for share in (settings.warmup_share, settings.decay_share))
        self.schedule = Trapezoid(lr, warmup, decay, settings.steps)
        betas = self.beginning["betas"]
        # The smallest gradients are those of features that one row in thousands activates: eps must lie below them.
        self.optimizer = torch.optim.Adam(_by_speed(dictionary), lr=lr, betas=betas, eps=6.25e-10, fused=True)
        self.dtype = as_dtype(settings.dtype) if settings.dtype else encoder_dtype(self.device)
        self._floor = 0.0
        self._learn = Compiled(dictionary) if settings.compile else dictionary.learn

    @property
    def device(self) -> torch.device:
        """Return where the dictionary is."""
        return self.working.encoder.device

    def prepare(self, sample: Batch) -> None:
        """Take normalization and first weights from a sample; where nobody calls this, the first batch is the sample."""
        x, target = sample if isinstance(sample, tuple) else (sample, sample)
        read = Scale.of(self._checked(x).float(), self.settings.center).to(self.device)
        written = read
        if target is not x:
            written = Scale.of(target.float(), self.settings.center).to(self.device)
        self.normalization = Normalization(read, written)
        self.variance = float(written(target.to(self.device)).square().sum(1).mean())
        initialize(self.working, self.settings.seed, target is x, self.beginning["first_encoder"])
        self.working.begin(read(x.to(self.device)))

    def step(self, batch: Batch) -> Mapping[str, float]:
        """Learn from one batch and return loss, fvu, l0, dead, lr, tokens and flop.

        `loss` is the objective over the variance of the sample, `fvu` the fraction of the batch's variance that is left.
        Raises DictionaryError for activations of another width or that are not finite; nothing is learned from them.
        """
        x, target = self._normalized(batch)
        n, rows = len(x), self.processes.rows(len(x))
        if n < self.processes.size:
            raise InputError(f"a batch of {n} rows leaves a process without one; give at least {self.processes.size}")
        learned = self._learn(x[rows], target[rows], self._step(n))
        loss = learned.objective / (n * self.variance)
        aux = self._aux(x[rows], learned, n) if self.mend == "auxk" else None
        self.optimizer.zero_grad()
        (loss if aux is None else loss + aux).backward()
        lr = self._update()
        total = loss.detach() if aux is None else loss.detach() + aux.detach()
        sums = self.processes.summed(torch.stack([total, learned.squares]))
        counts = self.processes.summed(learned.counts)
        self._note(counts, learned, n)
        self._mend((x, target), learned.residual, n)
        self.steps += 1
        l0 = counts.sum() / n
        told = [sums[0], sums[1] / _variance(target), l0, self._is_dead(n).float().mean(), self._flop(n, l0)]
        return Readings({"lr": lr, "tokens": n}, ("loss", "fvu", "l0", "dead", "flop"), torch.stack(told))

    def dictionary(self) -> Dictionary:
        """Return the dictionary as it stands, taking the model's own activations: the normalization is folded in."""
        if self.normalization is None:
            raise DictionaryError("this dictionary has seen no activations yet; train it first")
        done = deepcopy(self.working)
        self.normalization.fold_into(done)
        done.facts = dict(self.working.facts) | {"normalization": self.normalization.facts()}
        return done.requires_grad_(False)

    def told(self) -> dict[str, Any]:
        """Return how the dictionary is trained as plain data, with what was left open as it was decided."""
        decided = {"lr": self.schedule.lr, "mend": self.mend, "dtype": dtype_name(self.dtype)} | self.beginning
        penalty = self.working.penalty if self.settings.sparsity is None else self.settings.sparsity
        return asdict(self.settings) | decided | ({"sparsity": penalty} if self.working.penalty else {})

    def state(self) -> dict[str, Tensor]:
        """Return all that the next step depends on."""
        state = {f"net/{name}": value for name, value in self.working.state_dict().items()}
        state |= {f"optimizer/{name}": value for name, value in optimizer_state(self.optimizer, self.working).items()}
        if self.normalization:
            state |= {f"normalization/{name}": value for name, value in self.normalization.state().items()}
        numbers = torch.tensor([self.variance, self.l0], dtype=torch.float64)
        asked, steps = self._asked(), torch.tensor(self.steps)
        state["lengths"] = self.turning.lengths
        return {**state, "silent": self.silent, "numbers": numbers, "steps": steps, "asked": asked}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Go on from what `state` returned; raise DictionaryError for the state of a training that was asked for otherwise."""
        if not torch.equal(state.get("asked", torch.empty(0)), self._asked()):
            raise DictionaryError(
                f"the checkpoint is not of this training of a {self.working.kind} dictionary but of one with other "
                "settings; give those, or train in another folder"
            )
        self.working.load_state_dict(_below(state, "net/"))
        load_optimizer_state(self.optimizer, self.working, _below(state, "optimizer/"))
        if known := _below(state, "normalization/"):
            found = Normalization.of_state(known)
            self.normalization = Normalization(found.read.to(self.device), found.written.to(self.device))
        self.silent.copy_(state["silent"])
        self.turning.lengths.copy_(state["lengths"])
        self.variance, self.l0 = state["numbers"].tolist()
        self.steps, self._floor = int(state["steps"]), 0.0

    def _asked(self) -> UInt8[Tensor, " bytes"]:
        """Return a checksum of what is trained and how."""
        made = self.working
        what = [made.kind, made.d_in, made.n_features, made.d_out, made.settings, self.told()]
        return torch.tensor(list(bytes.fromhex(hash_json(what))), dtype=torch.uint8)

    def _checked(self, x: Tensor) -> Tensor:
        # Asking a GPU would make it wait; there the loss tells.
        return self.working.checked(x) if x.device.type == "cpu" else x

    def _normalized(self, batch: Batch) -> tuple[Tensor, Tensor]:
        x, target = batch if isinstance(batch, tuple) else (batch, batch)
        self._checked(x)
        if target is not x and (target.shape[-1] != self.working.d_out or not torch.isfinite(target).all()):
            raise DictionaryError(
                f"this {self.working.kind} dictionary writes {self.working.d_out} finite numbers and was given "
                f"{target.shape[-1]} to write; give those of the Site that it was made for"
            )
        if self.normalization is None:
            self.prepare(batch)
        assert self.normalization is not None
        read = self.normalization.read(x.to(self.device, non_blocking=True))
        return read, read if target is x else self.normalization.written(target.to(self.device, non_blocking=True))

    def _step(self, n_rows: int) -> Step:
        """Return what the objective is told."""
        wanted, full = self.settings, self.settings.sparsity
        full = self.working.penalty if full is None else full
        risen = ramp(self.steps, -1, round(wanted.sparsity_warmup_share * wanted.steps))
        is_dense = self.device.type != "cpu" or wanted.compile or self.l0 > _LIST_UP_TO * self.working.n_features
        return Step(
            n_rows=n_rows,
            sparsity=torch.tensor(full * risen, device=self.device),
            whole=is_dense if wanted.whole is None else wanted.whole,
            dtype=self.dtype,
            floor=self._floor,
            processes=self.processes,
        )

    def _aux(self, x: Tensor, learned: Learned, n: int) -> Tensor | None:
        """Return what AuxK adds to the loss, where features are dead."""
        dead = self._is_dead(n).nonzero().view(-1)
        if not len(dead):
            return None
        chosen = aux_rows(n, self.processes.rows(n).start, len(x)).to(self.device)
        residual = learned.residual[chosen]
        k = max(self.working.d_out // 2, 1) if self.settings.aux_k is None else self.settings.aux_k
        whole = self.processes.summed(residual.square().sum()).clamp(min=torch.finfo(torch.float32).tiny)
        return aux_loss(self.working, x[chosen], residual, dead, k) * (self.settings.aux_weight / whole)

    def _update(self) -> float:
        """Make the step of Adam, the directions held at norm 1, and return its rate."""
        weights: list[Tensor] = [weight for weight in self.working.parameters() if weight.grad is not None]
        if self.processes.size > 1:
            for weight in weights:
                distributed.all_reduce(weight.grad)
        self.turning.aim()
        if self.settings.clip:
            _clip(weights, self.settings.clip)
        lr = self.schedule.at(self.steps)
        for group in self.optimizer.param_groups:
            group["lr"] = lr * group["speed"]
        self.turning.lengthen()
        self.optimizer.step()
        self.turning.shorten()
        return lr

    def _note(self, counts: Tensor, learned: Learned, n: int) -> None:
        """Count who was active, and move the threshold towards the smallest value kept."""
        self.silent += n
        self.silent[counts > 0] = 0
        if self.device.type == "cpu":
            # What decides between lists and wholes; elsewhere there are only wholes.
            self.l0 = float(counts.sum()) / n
        if self.thresholded is not None and learned.limit is not None:
            horizon = min(self.steps + 1, max(10, min(1000, self.settings.steps // 50)))
            self.thresholded.threshold += (learned.limit - self.thresholded.threshold) / horizon
            self._floor = float(learned.limit) if self.device.type == "cpu" else 0.0

    def _is_dead(self, n: int) -> Bool[Tensor, " n_features"]:
        return self.silent >= min(MOST_TOKENS, max(self.settings.dead_share * self.settings.steps * n, n))

    def _mend(self, batch: tuple[Tensor, Tensor], residual: Tensor, n: int) -> None:
        every = max(self.settings.steps // 10, 1)
        done = self.steps + 1
        if self.mend != "resample" or done % every or done > 5 * every:
            return
        losses = torch.zeros(n, device=self.device)
        losses[self.processes.rows(n)] = residual.square().sum(1)
        dead = self._is_dead(n)
        self.turning.begin(dead)
        resample(
            self.working,
            self.optimizer,
            batch,
            self.processes.summed(losses),
            dead,
            (self.settings.seed, done),
        )

    def _flop(self, n: int, l0: Tensor) -> Tensor:
        """Return the operations of a step: the encoder's product, and six for each active feature and coordinate."""
        d = self.working
        return 2.0 * n * (d.n_features * d.d_in + 3 * l0 * (d.d_in + d.d_out))


def _by_speed(dictionary: Dictionary) -> list[dict[str, Any]]:
    """Return a dictionary's parameters in groups, each with how many times the rate it learns at."""
    logarithms = dictionary.logarithms
    others = [weight for weight in dictionary.parameters() if not any(weight is one for one in logarithms)]
    groups = [{"params": others, "speed": 1.0}, {"params": logarithms, "speed": _SPEED_OF_LOGARITHMS}]
    return [group for group in groups if group["params"]]


def _variance(x: Float[Tensor, "batch d"]) -> Float[Tensor, ""]:
    """Return the squared distances to the mean, summed; the mean is near 0, so nothing is lost in the difference."""
    flat, mean = x.view(-1), x.mean(0)
    return flat.dot(flat) - len(x) * mean.dot(mean)


def _clip(weights: list[Tensor], limit: float) -> None:
    if weights[0].device.type == "cpu":
        clip_gradients(weights, limit)
    else:
        torch.nn.utils.clip_grad_norm_(weights, limit)


def _below(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
