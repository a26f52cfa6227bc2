"""What a training shows: the curves of its loss, and its page."""

from collections.abc import Mapping
from pathlib import Path

from glassbook.cli.steering_run import costs, making
from glassbook.cli.train_run import Trained
from glassbook.runs.record import Run
from glassbook.views.line_chart import LineChart, Series, Threshold
from glassbook.views.page import Making, Section, render_page


def loss_chart(done: Trained) -> LineChart:
    """Return the loss on the text learned from and on the text held back, over the steps."""
    history = done.history
    names = {"loss": "text to learn from (each batch)", "validation_loss": "validation text"}
    return LineChart(
        title="Loss over the training",
        caption=(
            "How many nats a token costs the network, lower being better. Where the validation text goes up again while the "
            "other goes down, the network learns the text by heart. "
            f"Whoever knows only how frequent each token is pays {done.text.unigram_nats():.2f}."
        ),
        series=[
            Series(name=said, x=history.steps(name), y=history.values(name))
            for name, said in names.items()
            if name in history.columns
        ],
        x_label="step",
        y_label="nats a token",
        thresholds=[Threshold(name="tokens by their frequency", y=done.text.unigram_nats())],
    )


def training_facts(done: Trained) -> Mapping[str, str]:
    """Return what was measured, in words."""
    measured, text, c = done.measured, done.text, done.config
    n_parameters = sum(weight.numel() for weight in done.model.net.parameters())
    return {
        "model": f"{done.model.config.summary}, {n_parameters:,} parameters",
        "text": f"{len(text.train):,} tokens to learn from, {len(text.validation):,} for validation",
        "vocabulary": f"{text.tokenizer.d_vocab:,} tokens ({c.tokenizer})",
        "steps": f"{c.steps:,} of {c.batch} windows of {c.context} tokens",
        "train loss": f"{done.history.last('loss'):.4f} nats a token",
        "validation loss": f"{measured['nats_per_token']:.4f} nats a token",
        "bits per byte": f"{measured['bits_per_byte']:.4f}",
        "by frequency": f"{text.unigram_nats():.4f} nats a token",
    }


def keep_page(run: Run, done: Trained) -> Path:
    """Write the chart and the page into the Run; return the page's path."""
    chart = loss_chart(done)
    run.save_view("loss", chart)
    written = "\n\n".join(f"{done.text.opening_text}{one.text}" for one in done.samples)
    page = render_page(
        f"{done.model.identity.name}, trained on {done.config.text}",
        f"A network of {done.model.config.summary} learned to go on with this text: "
        f"{done.measured['bits_per_byte']:.3f} bits per byte of the tenth that it never saw.",
        [
            Section("How it learned", views=[chart]),
            Section("What it writes", "Each goes on from the beginning of the validation text.\n\n" + written),
        ],
        {name.capitalize(): value for name, value in training_facts(done).items()},
        Making(making(run, done.model), costs(run)),
    )
    return run.save_report(page)
