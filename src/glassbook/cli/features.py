"""`glassbook features`: from activations to features one can look at; each verb is a file of its own."""

import typer

from glassbook.cli.features_cards import cards
from glassbook.cli.features_evaluate import evaluate
from glassbook.cli.features_export import export
from glassbook.cli.features_harvest import harvest
from glassbook.cli.features_import import import_
from glassbook.cli.features_label import label
from glassbook.cli.features_read import read
from glassbook.cli.features_search import search
from glassbook.cli.features_steer import steer
from glassbook.cli.features_train import train
from glassbook.cli.options import opened_up

features = typer.Typer(help="Harvest activations of a model, and find features in them.")

features.command("cards")(opened_up(cards))
features.command("evaluate")(opened_up(evaluate))
features.command("export")(export)
features.command("harvest")(opened_up(harvest))
features.command("import")(import_)
features.command("label")(opened_up(label))
features.command("read")(opened_up(read))
features.command("search")(opened_up(search))
features.command("steer")(opened_up(steer))
features.command("train")(opened_up(train))
