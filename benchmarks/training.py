"""A step of training: the character GPT of 6 x 384 on 12 x 256 tokens, and GPT-2's small shape on 2 x 256.

The reference is written here as people write it in plain PyTorch, after nanoGPT's way: eager float32, fused attention,
AdamW as it is by default, gradients clipped. All contenders begin with the same weights and read the same tokens; `loss`
is that of the tenth step.
"""

from dataclasses import dataclass

from harness import THREADS, Bench, Case, tokens

bench = Bench("training", reference="plain PyTorch float32")

STEPS = 10
RATE, DECAY, BETAS, CLIP = 6e-4, 0.1, (0.9, 0.95), 1.0


@dataclass(frozen=True)
class Shape:
    """One network and its batch."""

    n_layers: int
    n_heads: int
    d_vocab: int
    batch: int
    context: int = 256

    @property
    def d_model(self) -> int:
        return 64 * self.n_heads


SHAPES = {
    "character GPT 6 x 384, 12 x 256": Shape(6, 6, 65, 12),
    "GPT-2 small, 2 x 256": Shape(12, 12, 50257, 2),
}


def our_network(shape: Shape):
    from glassbook.models import GPT2, GPT2Config

    config = GPT2Config(
        n_layers=shape.n_layers, d_model=shape.d_model, n_heads=shape.n_heads, d_head=64, d_mlp=4 * shape.d_model,
        d_vocab=shape.d_vocab, n_ctx=shape.context, norm_eps=1e-5, tied_embeddings=True,
    )  # fmt: skip
    net = GPT2(config)
    net.init_weights(0)
    return net


def batches(shape: Shape):
    """Return the batches of all steps, real text folded into the vocabulary."""
    return [tokens(shape.batch, shape.context + 1, seed) % shape.d_vocab for seed in range(STEPS)]


def plain_network(shape: Shape):
    """Return GPT-2 as one writes it in plain PyTorch, with our weights."""
    import torch
    from torch import nn
    from torch.nn import functional as F

    width = shape.d_model

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm1, self.qkv, self.out = nn.LayerNorm(width), nn.Linear(width, 3 * width), nn.Linear(width, width)
            self.norm2, self.up, self.down = (
                nn.LayerNorm(width), nn.Linear(width, 4 * width), nn.Linear(4 * width, width),
            )  # fmt: skip
            self.act = nn.GELU(approximate="tanh")

        def forward(self, x):
            rows, pos, _ = x.shape
            q, k, v = (
                part.view(rows, pos, shape.n_heads, 64).transpose(1, 2) for part in self.qkv(self.norm1(x)).chunk(3, -1)
            )
            z = F.scaled_dot_product_attention(q, k, v, is_causal=True)
            x = x + self.out(z.transpose(1, 2).contiguous().view(rows, pos, width))
            return x + self.down(self.act(self.up(self.norm2(x))))

    class Plain(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed = nn.Embedding(shape.d_vocab, width)
            self.blocks = nn.ModuleList(Block() for _ in range(shape.n_layers))
            self.norm = nn.LayerNorm(width)
            self.positions = nn.Embedding(shape.context, width)

        def forward(self, inputs, targets):
            x = self.embed(inputs) + self.positions(torch.arange(inputs.shape[1]))
            for block in self.blocks:
                x = block(x)
            logits = self.norm(x) @ self.embed.weight.T
            return F.cross_entropy(logits.view(-1, shape.d_vocab), targets.reshape(-1))

    plain = Plain()
    with torch.no_grad():
        for mine, ours in zip(plain.parameters(), our_network(shape).parameters(), strict=True):
            mine.copy_(ours)
    return plain


def plain_steps(shape: Shape, dtype: str, compiled: bool = False):
    """Return what makes one step after another in plain PyTorch and returns its loss."""
    import torch

    net = plain_network(shape)
    weights = list(net.parameters())
    groups = [
        {"params": [weight for weight in weights if weight.ndim >= 2], "weight_decay": DECAY},
        {"params": [weight for weight in weights if weight.ndim < 2], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=RATE, betas=BETAS)
    run = torch.compile(net) if compiled else net

    def step(batch) -> float:
        with torch.autocast("cpu", torch.bfloat16, enabled=dtype == "bfloat16"):
            loss = run(batch[:, :-1], batch[:, 1:])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, CLIP)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return loss.item()

    return step


def our_steps(shape: Shape, dtype: str, compiled: bool = False):
    """Return what makes one step after another as our learner does and returns its loss."""
    from glassbook.training import LanguageLearner, LanguageSettings

    wanted = LanguageSettings(
        lr=RATE, min_lr=RATE, steps=1000, weight_decay=DECAY, betas=BETAS, clip=CLIP, dtype=dtype, compile=compiled
    )
    learner = LanguageLearner(our_network(shape), wanted)
    return lambda batch: learner.step((batch, None))["loss"]


def measure(case: Case, steps_of, dtype: str, compiled: bool = False) -> None:
    import torch

    torch.set_num_threads(THREADS)
    for name, shape in SHAPES.items():
        step, given = steps_of(shape, dtype, compiled), batches(shape)
        losses = [step(batch) for batch in given]
        case.time(
            name,
            lambda step=step, given=given: step(given[0]) and None,
            work=shape.batch * shape.context,
            loss=round(losses[-1], 4),
        )


for who, steps_of in (("plain PyTorch", plain_steps), ("glassbook", our_steps)):
    for precision in ("float32", "bfloat16"):

        @bench.contender(f"{who} {precision}", env="glassbook")
        def _(case: Case, steps_of=steps_of, precision=precision) -> None:
            measure(case, steps_of, precision)

    @bench.contender(f"{who} float32, compiled", env="glassbook")
    def _(case: Case, steps_of=steps_of) -> None:
        measure(case, steps_of, "float32", compiled=True)


if __name__ == "__main__":
    bench.main()
