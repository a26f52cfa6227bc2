"""What is trained at each size, in plain fields: they go into the hash of a run."""

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Shape:
    """The shape of a network; heads share d_model evenly and the MLP is four times as wide."""

    n_layers: int
    n_heads: int
    d_model: int
    n_ctx: int


@dataclass(frozen=True)
class Recipe:
    """How long and how fast: steps, rows a batch, learning rate with warm-up and its cosine's end, AdamW's constants."""

    steps: int
    batch: int
    lr: float
    min_lr: float
    warmup: int
    beta2: float = 0.99
    weight_decay: float = 0.1
    clip: float = 1.0
    dtype: str = "float32"
    evaluate_every: int = 250
    checkpoint_every: int = 250


@dataclass(frozen=True)
class Settings:
    """One size of the study.

    `text` and `books` name corpora, `n_characters` and `n_books` how much of them is read (0: all). The writer is what reads
    books and is tuned to instructions; a `d_vocab` of 0 gives it GPT-2's own tokenizer. `rows` is how many instruction
    rows are read and split.
    """

    text: str
    n_characters: int
    character: Shape
    medium: Shape
    small: Shape
    character_recipe: Recipe
    books: str
    n_books: int
    books_held_out: int
    d_vocab: int
    writer: Shape
    writer_recipe: Recipe
    tuning_recipe: Recipe
    rows: int
    max_new_tokens: int
    parity_draws: int
    cache_prompts: int
    dice_prompts: int
    dice_draws: int


# The setting for a processor in the README of karpathy/nanoGPT: 2,000 steps of 12 windows of 64 characters.
PRESET = Recipe(steps=2000, batch=12, lr=1e-3, min_lr=1e-4, warmup=100)
LAPTOP = Settings(
    text="tinyshakespeare",
    n_characters=0,
    character=Shape(n_layers=4, n_heads=4, d_model=128, n_ctx=64),
    medium=Shape(n_layers=2, n_heads=4, d_model=64, n_ctx=64),
    small=Shape(n_layers=1, n_heads=2, d_model=32, n_ctx=64),
    character_recipe=PRESET,
    books="classic_books_young",
    n_books=32,
    books_held_out=2,
    d_vocab=2048,
    writer=Shape(n_layers=4, n_heads=4, d_model=192, n_ctx=160),
    writer_recipe=Recipe(
        steps=750, batch=12, lr=2e-3, min_lr=2e-4, warmup=50, evaluate_every=125, checkpoint_every=125
    ),
    tuning_recipe=Recipe(steps=231, batch=12, lr=1e-3, min_lr=1e-4, warmup=20, evaluate_every=77, checkpoint_every=77),
    rows=1100,
    max_new_tokens=96,
    parity_draws=8,
    cache_prompts=24,
    dice_prompts=100,
    dice_draws=400,
)

# Wiring only: a thousandth of the work, on the head of the same texts.
SMOKE = replace(
    LAPTOP,
    n_characters=20_000,
    character=Shape(n_layers=2, n_heads=2, d_model=24, n_ctx=32),
    medium=Shape(n_layers=1, n_heads=2, d_model=16, n_ctx=32),
    small=Shape(n_layers=1, n_heads=1, d_model=8, n_ctx=32),
    character_recipe=Recipe(steps=12, batch=4, lr=1e-3, min_lr=1e-4, warmup=2, evaluate_every=6, checkpoint_every=6),
    books="oz",
    n_books=4,
    books_held_out=1,
    d_vocab=320,
    writer=Shape(n_layers=1, n_heads=2, d_model=16, n_ctx=160),
    writer_recipe=Recipe(steps=6, batch=2, lr=1e-3, min_lr=1e-4, warmup=1, evaluate_every=3, checkpoint_every=3),
    tuning_recipe=Recipe(steps=6, batch=2, lr=1e-3, min_lr=1e-4, warmup=1, evaluate_every=3, checkpoint_every=3),
    rows=40,
    max_new_tokens=8,
    parity_draws=1,
    cache_prompts=2,
    dice_prompts=3,
    dice_draws=500,
)

# Never run. The 124 M shape on 100 MB of books, some 24 M tokens of GPT-2's vocabulary read twice; legs of at most 8 minutes on
# one large card, each an arm that goes on from its checkpoints.
GPU = replace(
    LAPTOP,
    books="classic_books",
    n_books=0,
    books_held_out=4,
    d_vocab=0,
    writer=Shape(n_layers=12, n_heads=12, d_model=768, n_ctx=1024),
    writer_recipe=Recipe(
        steps=1500, batch=32, lr=6e-4, min_lr=6e-5, warmup=100, beta2=0.95, dtype="bfloat16", evaluate_every=250,
        checkpoint_every=250,
    ),
    tuning_recipe=Recipe(
        steps=231, batch=12, lr=5e-5, min_lr=5e-6, warmup=20, dtype="bfloat16", evaluate_every=77, checkpoint_every=77
    ),
    max_new_tokens=256,
)  # fmt: skip
