"""Cards of features from a stored harvest, beside sae-dashboard: `python benchmarks/cards.py`.

The same dictionary and tokens for both: 4,608 drawn directions at one layer, each active at about one token in a hundred. Beside
it, of ours alone, the data of all 4,608 cards over as many tokens as `CARDS_STORE` holds (a folder that glassbook features
harvest left at L15.resid_post).
"""

import os
import tempfile
from pathlib import Path

from harness import Bench, glassbook_model, tokens

bench = Bench("cards", reference="sae-dashboard")
ROWS, LENGTH, FEATURES, WIDTH = int(os.environ.get("CARDS_ROWS", "256")), 128, 200, 4608
SITE, LAYER = "L15.resid_post", 15
CASE = f"{FEATURES} features, {ROWS} x {LENGTH} tokens"


def directions():
    """Return unit directions, the same for every contender."""
    import torch

    drawn = torch.randn(WIDTH, 576, generator=torch.Generator().manual_seed(0))
    return drawn / drawn.norm(dim=1, keepdim=True)


def biases(rows, weight):
    """Return the bias with which each direction is active at one row in a hundred."""
    return -(rows.float() @ weight.T).quantile(0.99, dim=0)


@bench.contender("sae-dashboard", env="dash")
def _(case):
    import torch
    from peers import hooked_transformer
    from sae_dashboard.data_writing_fns import save_feature_centric_vis
    from sae_dashboard.sae_vis_data import SaeVisConfig
    from sae_dashboard.sae_vis_runner import SaeVisRunner
    from sae_lens import HookedSAETransformer
    from sae_lens.saes.standard_sae import StandardSAE, StandardSAEConfig

    model = hooked_transformer(HookedSAETransformer)
    sae = StandardSAE(StandardSAEConfig(d_in=576, d_sae=WIDTH, device="cpu"))
    hook, read = f"blocks.{LAYER}.hook_resid_post", tokens(ROWS, LENGTH, seed=9)
    with torch.no_grad():
        weight = directions()
        sae.W_dec.copy_(weight)
        sae.W_enc.copy_(weight.T)
        _, cache = model.run_with_cache(read[:8], names_filter=[hook], stop_at_layer=LAYER + 1)
        sae.b_enc.copy_(biases(cache[hook][:, 4:].reshape(-1, 576), weight))
    how = SaeVisConfig(
        hook_point=hook,
        features=list(range(FEATURES)),
        minibatch_size_features=256,
        minibatch_size_tokens=32,
        device="cpu",
        verbose=False,
    )

    def cards():
        with tempfile.TemporaryDirectory() as place:
            data = SaeVisRunner(how).run(encoder=sae, model=model, tokens=read)
            save_feature_centric_vis(sae_vis_data=data, filename=Path(place) / "page.html")
            return {"page MB": round(sum(one.stat().st_size for one in Path(place).iterdir()) / 1e6, 1)}

    case.time(CASE, cards, work=FEATURES, repeats=1)


@bench.contender("glassbook", env="glassbook")
def _(case):
    import torch

    from glassbook.activations.store import Harvest, Policy, harvest, open_store
    from glassbook.features import make_dictionary
    from glassbook.features.cards import CardSettings, make_cards
    from glassbook.features.cards.showing import cards_page
    from glassbook.views import Making

    model = glassbook_model()
    texts = [model.to_string(row) for row in tokens(ROWS, LENGTH, seed=9)]
    dictionary = make_dictionary("standard", 576, WIDTH)
    dictionary.facts |= {"site": SITE}
    dictionary.requires_grad_(False)
    weight = directions()
    dictionary.encoder.copy_(weight)
    dictionary.decoder.copy_(weight)
    with tempfile.TemporaryDirectory() as place:
        how = Harvest(context=LENGTH, dtype="float32", mixed=0, policy=Policy(start_token=False))
        store = harvest(model, texts, SITE, place, how)
        dictionary.b_enc.copy_(biases(store.rows(SITE, 0, 1000), weight))

        def cards():
            made = make_cards(model, dictionary, store, CardSettings(only=tuple(range(FEATURES))))
            page = cards_page(made, range(FEATURES), {}, Making({}))
            return {"page MB": round(len(page.encode()) / 1e6, 1)}

        case.time(CASE, cards, work=FEATURES)
    if kept := os.environ.get("CARDS_STORE"):
        store = open_store(kept)
        dictionary.b_enc.copy_(-(store.rows(SITE, 0, 4000).float() @ weight.T).quantile(1 - 32 / WIDTH, dim=0))
        torch.set_grad_enabled(False)
        case.time(
            f"{WIDTH} cards, {store.n_tokens} tokens", lambda: make_cards(model, dictionary, store) and None, WIDTH, 1
        )


if __name__ == "__main__":
    bench.main()
