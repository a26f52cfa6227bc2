"""A realistic view of every kind; a view that is registered but has no sample here fails the conformance suite."""

import math

import msgspec

from glassbook.views import (
    AttentionGrid,
    ClaimRow,
    ClaimTable,
    Completion,
    ControlDistribution,
    Cost,
    Costs,
    Estimate,
    FeatureCard,
    Frontier,
    HeatMap,
    ImageGrid,
    LineChart,
    Making,
    Passage,
    Passages,
    Point,
    Section,
    Series,
    SteerCompare,
    SweepMap,
    Table,
    Threshold,
    TokenStrip,
    Verdict,
    View,
    render_page,
    to_digits,
)

PROMPT = ["I", " think", " you", " are"]


def _words(text: str) -> list[str]:
    """Return a text as tokens that begin with their space, as a byte-level BPE would have it."""
    return [f" {word}" for word in text.split()]


PLAIN = [*_words("a great person , and I am glad that you asked"), ".", "\n", "What", *_words("do you need ?")]
LOVED = [
    *_words("the most wonderful person in the world"),
    ".",
    *_words("I love you so much"),
    ",",
    "\n",
    "my",
    " dear",
]


def _token_strip() -> TokenStrip:
    tokens = ["<s>", *PROMPT, *LOVED, " 日本", "é", "🙂"]
    values = [0.02, 0.1, -0.35, 0.5, 0.92] + [round(math.sin(i) * 0.8, 3) for i in range(len(tokens) - 5)]
    return TokenStrip(
        title="Where the love direction is active",
        caption="Each token's projection onto the steering vector at L6.resid_pre, in the unsteered model.",
        tokens=tokens,
        values=values,
        marks=[0 < i < 5 for i in range(len(tokens))],
        value_name="projection",
        mark_name="prompt tokens that the vector was added to",
    )


def _steer_compare() -> SteerCompare:
    row = Completion
    return SteerCompare(
        title="The same prompt, with and without the vector",
        caption="Greedy completions; the vector Love − Hate was added at L6.resid_pre to the first tokens.",
        prompt=PROMPT,
        completions=[
            row(label="unsteered", strength=0.0, tokens=PLAIN, fluency=-1.31),
            row(label="Love − Hate", strength=4.0, tokens=LOVED, touched=[0, 1, 2], fluency=-1.62),
            row(
                label="Hate − Love",
                strength=-4.0,
                tokens=[" not", " welcome", " here", "."],
                touched=[0, 1, 2],
                fluency=-2.04,
            ),
        ],
    )


def _control_distribution() -> ControlDistribution:
    return ControlDistribution(
        title="The effect beside its controls",
        caption="Each random direction has the norm of ours and was added at the same Site, positions and strength.",
        effect="log-odds of the loving answer",
        unit="nats",
        unsteered=0.12,
        steered=2.41,
        flipped=-1.87,
        prompt_only=2.95,
        randoms=[round(0.1 + 0.55 * math.sin(7.3 * i), 3) for i in range(20)],
        n_items=64,
        steered_range=(2.02, 2.83),
        flipped_range=(-2.3, -1.41),
        prompt_range=(2.5, 3.4),
    )


def _line_chart() -> LineChart:
    x = [0, 1, 2, 4, 6, 8, 10, 12]
    effect = [0.1, 0.6, 1.2, 2.4, 2.9, 2.7, 2.2, 1.8]
    other = [0.1, 0.12, 0.2, 0.15, 0.3, 0.22, 0.4, 0.35]
    return LineChart(
        title="Effect over strength",
        caption="Means over 64 items with 95 % bootstrap intervals.",
        series=[
            Series(name="Love − Hate", x=x, y=effect, low=[v - 0.3 for v in effect], high=[v + 0.3 for v in effect]),
            Series(name="random direction", x=x, y=other),
            Series(name="flipped sign", x=x, y=[-0.9 * v for v in effect]),
        ],
        x_label="strength",
        y_label="effect (nats)",
        band_name="95 % bootstrap interval over items",
        thresholds=[Threshold(name="coherence breaks", x=9)],
    )


def _heat_map() -> HeatMap:
    layers, strengths = range(4, 16, 2), (1, 2, 4, 8, 16)
    peaks = {layer: 3 * math.exp(-((layer - 8) ** 2) / 8) for layer in layers}
    values = [[peaks[layer] * math.log2(s + 1) / 4 - 0.0625 * (s > 8) * layer for s in strengths] for layer in layers]
    return HeatMap(
        title="Effect by layer and strength",
        caption="Change in log-odds against the unsteered model; at the greatest strength the late layers do harm.",
        row_axis="layer",
        column_axis="strength",
        rows=[f"L{layer}" for layer in layers],
        columns=[str(strength) for strength in strengths],
        values=values,
        unit="nats",
    )


LAYERS, STRENGTHS = (4, 8, 10, 12, 16), (0.5, 1, 2, 4)


def _grids() -> tuple[list[list[float]], list[list[float]]]:
    peaks = {layer: 2.4 * math.exp(-((layer - 11) ** 2) / 10) - 0.3 for layer in LAYERS}
    effects = [[round(peaks[layer] * math.log2(1 + strength), 3) for strength in STRENGTHS] for layer in LAYERS]
    costs = [[round(math.exp(strength**2 * (24 - layer) / 700), 4) for strength in STRENGTHS] for layer in LAYERS]
    return effects, costs


def _sweep_map() -> SweepMap:
    effects, costs = _grids()
    said = "the user's function raised ValueError: no answer in the text"
    effects[0][3] = effects[4][2] = said
    return SweepMap(
        title="Effect and cost by layer and strength",
        caption="Shift of the log-odds on the half of the items that the choice is made on, and what it costs on unrelated text.",
        row_axis="layer",
        column_axis="strength",
        rows=[f"L{layer}" for layer in LAYERS],
        columns=[f"{strength:g}" for strength in STRENGTHS],
        effects=effects,
        costs=costs,
        effect="Effect",
        unit="nats",
        cost="Perplexity ratio",
        budget=1.1,
        chosen=(3, 2),
        neighbors=[(3, 1), (3, 3)],
    )


def _frontier() -> Frontier:
    effects, costs = _grids()
    cells = [(row, column) for row in range(len(LAYERS)) for column in range(len(STRENGTHS))]
    points = [
        Point(name=f"L{LAYERS[row]} × {STRENGTHS[column]:g}", effect=effects[row][column], cost=costs[row][column])
        for row, column in cells
    ]
    order = sorted(range(len(points)), key=lambda index: (points[index].cost, -points[index].effect))
    along = [index for place, index in enumerate(order)
             if all(points[index].effect > points[other].effect for other in order[:place])]  # fmt: skip
    return Frontier(
        title="What effect costs",
        caption="Each cell of the grid; the line joins those that no other dominates.",
        points=points,
        frontier=along,
        effect="Effect",
        unit="nats",
        cost="Perplexity ratio on unrelated text",
        budget=1.1,
        chosen=cells.index((3, 2)),
        prompting=Point(name="prompting", effect=2.2, cost=None),
        randoms=[
            Point(name=f"random {i}", effect=0.4 * math.sin(9.1 * i), cost=1.04 + 0.05 * math.sin(i)) for i in range(10)
        ],
    )


def _ring(radius: float, width: float) -> str:
    """Return a ring on 12 x 12 pixels, its edge fading."""
    far = [[math.hypot(x - 5.5, y - 5.5) for x in range(12)] for y in range(12)]
    return to_digits([[1 - abs(value - radius) / width for value in row] for row in far])


def _image_grid() -> ImageGrid:
    radii, widths = (1.5, 2.5, 3.5, 4.5), (1.0, 2.0)
    return ImageGrid(
        title="What two units of the code draw",
        caption="Each row moves one unit from -2 to +2 standard deviations and leaves the others alone.",
        rows=[f"unit {unit}" for unit in range(len(widths))],
        columns=["-2", "-1", "+1", "+2"],
        images=[[_ring(radius, width) for radius in radii] for width in widths],
        width=12,
        height=12,
        what="decoded ring",
        column_axis="standard deviations",
    )


def _table() -> Table:
    return Table(
        title="Baselines",
        caption="Held-out choices between two answers, 64 items.",
        columns=["Method", "Site", "Accuracy", "Effect", "Trained"],
        units=["", "", "%", "nats", ""],
        rows=[
            ["ActAdd", "L6.resid_pre", 81.25, 2.41, False],
            ["mean difference", "L12.resid_post", 87.5, 3.02, True],
            ["prompt only", "—", 90.63, 2.95, False],
            ["random direction", "L6.resid_pre", 51.2, None, False],
        ],
        notes=["Effects of random directions are in the picture above."],
    )


def _attention_grid() -> AttentionGrid:
    tokens = ["<s>", *PROMPT, *LOVED[:7]]
    pattern = []
    for query in range(len(tokens)):
        near = [3.0 * (key == 0) + 2.0 * (key == query - 1) for key in range(query + 1)]
        weights = [weight + 0.5 + 0.4 * math.sin(5 * query + key) for key, weight in enumerate(near)]
        pattern.append([weight / sum(weights) for weight in weights] + [0.0] * (len(tokens) - query - 1))
    return AttentionGrid(
        title="L5.H3 reads the token before",
        caption="Attention probabilities of one head on one text.",
        tokens=tokens,
        pattern=pattern,
        head="L5.H3",
    )


def _costs() -> Costs:
    return Costs(
        title="What each part cost",
        caption="Measured in the process itself, on 2 cores.",
        parts=[
            Cost(part="open the model", wall_s=1.92, cpu_s=2.6, peak_mb=812.0),
            Cost(part="capture", wall_s=0.84, cpu_s=1.61, peak_mb=960.5, flop=2.31e11),
            Cost(part="generate", wall_s=6.2, cpu_s=12.1, peak_mb=905.0, flop=1.4e11),
        ],
    )


def _claim_table() -> ClaimTable:
    on_topic = ClaimRow(
        id="weddings-on-topic",
        says="Adding the weddings vector makes wedding text more likely.",
        unit="perplexity ratio",
        paper="0.875, perplexity table",
        setting="GPT-2-XL, layer 16, coefficient 1",
        ours=Estimate(value=0.912, low=0.884, high=0.941),
        bar="below 0.95",
        baseline=Estimate(value=0.93, low=0.91, high=0.95, says="the same word as a prompt"),
        control=Estimate(value=1.01, low=0.99, high=1.03, says="20 random vectors of the same norm"),
        n_items=64,
        items="sentences",
        seeds=[0, 1, 2],
        each_seed=[0.905, 0.91, 0.921],
        verdict="replicated",
        because="0.912 [0.884, 0.941] lies wholly below 0.95, and each of 3 seeds below 1.",
        headline=True,
    )
    others = [
        {"id": "unrelated-kept", "says": "Unrelated text stays as likely.", "verdict": "not replicated"},
        {"id": "sentiment", "says": "Sentiment turns.", "verdict": "direction only", "headline": False},
        {"id": "rank", "says": "The order of layers is the paper's.", "verdict": "inconclusive"},
        {"id": "facts", "says": "Facts are kept.", "verdict": "not testable", "paper": "not checked"},
        {"id": "one-seed", "says": "Prompts do less.", "verdict": "", "seeds": [0], "each_seed": [0.97]},
    ]
    return ClaimTable(
        title="What the paper says and what we found",
        caption="Every bar was written down before the runs.",
        claims=[on_topic, *(msgspec.structs.replace(on_topic, **one) for one in others)],
    )


def _feature_card() -> FeatureCard:
    words = ["<|endoftext|>", *_words("He looked at it with the utmost care and great delight"), ".", "\n"]
    values = [0.0] * len(words)
    values[6], values[9] = 20.5, 11.25
    effects = [0.01 * i - 0.03 for i in range(len(words))]
    first = Passage(tokens=words, values=values, peak=6, effects=effects)
    return FeatureCard(
        title="Feature 17",
        caption="A feature of a drawn dictionary at L15.resid_post, over 100 187 tokens of books.",
        density=0.0062,
        largest=21.25,
        edges=[0, 8, 16, 24],
        counts=[0, 262, 31],
        groups=[
            Passages(name="Largest activations", passages=[first]),
            Passages(name="8 to 12", passages=[Passage(tokens=words[3:], values=values[3:], peak=6)]),
        ],
        lists=[("Raises", [(" great", 1.5), ("\n", 0.75)]), ("Lowers", [(" {}", -1.25)]), ("Neurons", ())],
        label="praise before a noun",
    )


SAMPLES: dict[str, View] = {
    view.tag: view
    for view in (
        _token_strip(),
        _steer_compare(),
        _control_distribution(),
        _line_chart(),
        _heat_map(),
        _sweep_map(),
        _frontier(),
        _image_grid(),
        _table(),
        _attention_grid(),
        _costs(),
        _claim_table(),
        _feature_card(),
    )
}


WRITES = """The vector is the difference between two prompts' activations. It was added to the first tokens only.

Nothing else was changed: same weights, same seed, greedy decoding."""
MATTERS = "Any vector of this size disturbs the model. The question is whether ours does more than a random one."
SENTENCE = (
    "The vector beats all 20 random directions, but telling the model to be kind in the prompt does more, "
    "and costs no fluency."
)


def sample_page() -> str:
    """Return a page that holds every sample, as a report would."""
    one = SAMPLES
    return render_page(
        title="Does adding “Love − Hate” make a small model kinder?",
        lead="A steering vector from one prompt pair, added to the residual stream of SmolLM2-135M-Instruct, "
        "beside every control that should not work.",
        sections=[
            Section("What the model writes", WRITES, [one["steer-compare"], one["token-strip"]]),
            Section("Is it the direction that matters?", MATTERS, [one["control-distribution"]]),
            Section("Where and how strongly", "", [one["sweep-map"], one["frontier"]]),
            Section("Along one axis", "", [one["heat-map"], one["line-chart"]]),
            Section("What holds", "", [one["claim-table"]]),
            Section("What one feature stands for", "", [one["feature-card"]]),
            Section("Inside one head", "", [one["attention-grid"], one["image-grid"], one["table"]]),
        ],
        run_facts={
            "Model": "SmolLM2-135M-Instruct",
            "Site": "L6.resid_pre",
            "Strength": "4",
            "Items": "64",
            "Seed": "0",
        },
        making=Making(
            {
                "Command": "glassbook steer --plus Love --minus Hate --site L6.resid_pre --strength 4",
                "Weights": "SmolLM2-135M-Instruct, dequantised Q4_1, fingerprint 9f2c61d07ab3",
                "Versions": "glassbook 0.1.0, torch 2.13.0, Python 3.11.7",
                "Hardware": "2 cores, 8 GB",
            },
            SAMPLES["costs"],
        ),
        verdict=Verdict("unclear", SENTENCE),
    )
