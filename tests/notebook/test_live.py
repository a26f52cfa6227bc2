"""Live pieces say what the kept results say, lead to them, and refuse what those do not hold."""

import shutil
from pathlib import Path

import pytest

from glassbook.evidence import read_claims
from glassbook.notebook.faults import NotebookError
from glassbook.notebook.kept import Known
from glassbook.notebook.live import Measurements
from glassbook.notebook.run_pages import run_pages
from glassbook.studies.finding import CLAIMS_FILE, folder_named
from glassbook.studies.numbers import Kept, says
from glassbook.views.numbers import spell

PROJECT = Path(__file__).parents[2]
STUDY, CLAIM = "gpt2-from-scratch", "character-preset"
PLACE = f"{STUDY}/laptop"


def measurements(root=PROJECT, stale=None):
    known = Known(Kept(root), lambda study: read_claims(folder_named(study) / CLAIMS_FILE), says, stale or {})
    return Measurements(root, known)


@pytest.fixture(scope="module")
def ours():
    """Return what the project's own notebook keeps."""
    return measurements()


def judged(ours, claim=CLAIM):
    return ours.known.numbers.judgements(PLACE)[claim]


def test_a_claim_says_value_interval_verdict_count_and_day_and_leads_to_its_run(ours):
    piece, kept = ours.claim(f"{STUDY}/{CLAIM}"), judged(ours)
    low, high = (f"{kept['interval'][end]:.4g}" for end in ("low", "high"))
    for said in (f"[{low}, {high}]", "Replicated: ", "3 seeds", "2026-", "size laptop"):
        assert said in piece.html
    assert f'href="../runs/{STUDY}-laptop.html#{CLAIM}"' in piece.html
    assert "measured replicated" in piece.html and "stale" not in piece.html
    assert (
        f'class="unseen">, replicated, 3 seeds, {spell(kept["n_items"])} validation windows, size laptop, '
        in piece.html
    )
    assert piece.html.endswith("</a> nats a character"), "the unit goes on in the sentence"
    assert piece.text.endswith("(replicated)")


def test_the_size_may_be_named(ours):
    assert ours.claim(f"{PLACE}/{CLAIM}") == ours.claim(f"{STUDY}/{CLAIM}")


def test_what_is_stale_is_marked_in_words_with_its_cause():
    piece = measurements(stale={PLACE: {CLAIM: "its code changed"}}).claim(f"{STUDY}/{CLAIM}")
    assert 'class="measured replicated stale"' in piece.html
    assert '> stale<span class="unseen">: its code changed</span></span>' in piece.html
    assert "Stale: its code changed" in piece.html


@pytest.mark.parametrize(
    "key, said",
    [
        (f"{STUDY}/charcter-preset", "did you mean 'character-preset'?"),
        (f"gpt2-scratch/{CLAIM}", f"did you mean '{PLACE}'?"),
        (CLAIM, "write {{claim STUDY/NAME}}"),
        ("20261123T071412Z-steer-eb8d08/x", "`glassbook pin 20261123T071412Z-steer-eb8d08` copies it here"),
    ],
)
def test_an_unknown_claim_is_refused_with_the_nearest_right_name(ours, key, said):
    with pytest.raises(NotebookError) as told:
        ours.claim(key)
    assert said in str(told.value)


def test_a_number_is_held_against_its_run(ours):
    value = judged(ours)["interval"]["estimate"]
    piece = ours.number(PLACE, f"{CLAIM}.estimate", f"{value:.3f}")
    assert f">{value:.3f}</a>" in piece.html
    assert '<span class="sign"' not in piece.html
    verdict = ours.number(PLACE, f"{CLAIM}.verdict", "replicated")
    assert '>replicated<span class="sign" aria-hidden="true"> ✓</span></a>' in verdict.html
    with pytest.raises(NotebookError, match=r"the text states '9\.999' and run:"):
        ours.number(PLACE, f"{CLAIM}.estimate", "9.999")
    with pytest.raises(NotebookError, match="is said to stand in run:"):
        ours.number(PLACE, f"{CLAIM}.nothing", f"{value:.3f}")


def test_a_picture_stands_with_its_caption_and_where_it_comes_from(ours):
    piece = ours.view(f"{STUDY}/sizes")
    assert piece.html.startswith("<figure") and "<svg" in piece.html
    assert f"From the runs of {PLACE}" in piece.html
    assert ours.picture(f"{PLACE}/views/sizes.json") == piece
    with pytest.raises(NotebookError, match="did you mean 'sizes'"):
        ours.view(f"{STUDY}/size")


def test_a_damaged_picture_is_told_in_one_sentence(tmp_path):
    shutil.copytree(PROJECT / "entries/studies" / STUDY, tmp_path / "entries/studies" / STUDY)
    path = tmp_path / f"entries/studies/{PLACE}/views/sizes.json"
    assert "<svg" in measurements(tmp_path).view(f"{STUDY}/sizes").html, "control"
    path.write_text("{")
    with pytest.raises(NotebookError, match=r"'sizes' of .* is damaged"):
        measurements(tmp_path).view(f"{STUDY}/sizes")


def test_a_study_is_the_table_of_its_claims(ours):
    piece = ours.study(STUDY)
    assert piece.html.count('scope="row"') >= 16
    assert piece.text.startswith("16 claims: 14 replicated")


def test_every_number_leads_to_a_page_that_has_its_id_and_says_how_to_measure_it_again(ours):
    pages = {page.address: page.body for page in run_pages(ours)}
    body = pages[f"runs/{STUDY}-laptop.html"]
    for claim in ours.places[PLACE].judgements:
        assert f'id="{claim}"' in body
    assert f"glassbook study run {STUDY} --size laptop" in body
    assert f"gb.studies.find(&#39;{STUDY}&#39;).run(size=&#39;laptop&#39;, seed=0)" in body
    assert "Settings, data and weights are looked at by <code>glassbook verify</code>" in body
    for record in ours.places[PLACE].records.values():
        assert record["id"] in body and record["code"]["sha256"] in body


def test_the_same_results_give_the_same_pages(ours):
    assert run_pages(ours) == run_pages(measurements())
