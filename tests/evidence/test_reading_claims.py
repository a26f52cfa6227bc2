"""claims.toml is read whole or refused by file, claim and field."""

import pytest

from glassbook.core.errors import EvidenceError, InputError
from glassbook.evidence import PaperCost, read_claims

BIB = "@article{turner2023, title = {Steering}, author = {Turner, Alex}, year = {2023}}\n"
HEAD = 'study = "activation-addition"\npaper = "turner2023"\n'
CLAIM = """
[[claims]]
id = "weddings-on-topic"
says = "Adding the weddings vector makes wedding text more likely."
headline = true
measure = { arm = "actadd", column = "log_ratio" }
minus = { arm = "prompting", column = "log_ratio" }
shown_as = "exp"
unit = "perplexity ratio"
items = "sentences"
direction = "below"
bar = 0.95
null = 1
paper = { value = 0.875, where = "perplexity table", setting = "GPT-2-XL, layer 16", checked = true }
baseline = { says = "the same word as a prompt", measure = { arm = "prompting", column = "log_ratio" } }
control = { says = "20 random vectors", measure = { arm = "random", column = "log_ratio" } }
precondition = { says = "it writes English", measure = { arm = "plain", column = "loss" }, direction = "within", bar = [5, 40.0] }
"""
REST = """
[[deviations]]
what = "model"
paper = "GPT-2-XL"
ours = "SmolLM2-135M-Instruct"
[paper_cost]
parameters = 1.56e9
source = "section 4"
[[corrections]]
said = "a"
right = "b"
source = "turner2023"
where = "section 2.3"
"""


@pytest.fixture
def written(tmp_path):
    """Return what writes claims.toml, with a bibliography beside it unless it is None."""

    def write(text, bibliography=BIB, name="paper.bib"):
        (tmp_path / "claims.toml").write_text(text)
        if bibliography is not None:
            (tmp_path / name).write_text(bibliography)
        return tmp_path / "claims.toml"

    return write


def test_all_that_is_written_is_read(written):
    found = read_claims(written(HEAD + CLAIM + REST))
    claim = found.find("weddings-on-topic")
    assert (found.study, found.paper, len(found.claims)) == ("activation-addition", "turner2023", 1)
    assert (claim.bar, claim.null, claim.shown_as, claim.headline, claim.same_items) == (0.95, 1.0, "exp", True, True)
    assert claim.paper.value == 0.875 and claim.paper.checked
    assert claim.precondition.bar == (5.0, 40.0)
    assert claim.arms == {"actadd", "prompting", "random", "plain"}
    assert found.deviations[0].ours == "SmolLM2-135M-Instruct"
    assert found.paper_cost == PaperCost(parameters=1.56e9, source="section 4")
    assert found.corrections[0].where == "section 2.3"
    assert found.references["turner2023"].short == "Turner 2023"


def test_what_may_be_left_out_has_a_plain_meaning(written):
    short = "\n".join(
        line for line in CLAIM.splitlines() if not line.startswith(("headline", "minus", "paper", "precond"))
    )
    claim = read_claims(written(HEAD + short)).claims[0]
    assert (claim.headline, claim.minus, claim.paper, claim.precondition) == (False, None, None, None)
    assert not read_claims(written(HEAD + short)).paper_cost.stated


def test_the_same_bar_in_other_words_has_the_same_hash_and_another_bar_another(written):
    first = read_claims(written(HEAD + CLAIM)).claims[0].bar_hash
    assert read_claims(written(HEAD + CLAIM.replace("null = 1", "null = 1.0").replace("Adding", "To add"))).claims[
        0
    ].bar_hash == (first)
    assert read_claims(written(HEAD + CLAIM.replace("0.95", "0.96"))).claims[0].bar_hash != first


FAULTS = {
    "control": (CLAIM.replace("control =", "contrl ="), r"claim 'weddings-on-topic', field 'contrl'"),
    "no control": ("\n".join(CLAIM.split("\n")[:-3]), r"claim 'weddings-on-topic', field 'control'.*missing"),
    "no baseline": (
        "\n".join(line for line in CLAIM.split("\n") if not line.startswith("baseline")),
        r"claim 'weddings-on-topic', field 'baseline'.*missing",
    ),
    "no bar": (CLAIM.replace("bar = 0.95", ""), r"claim 'weddings-on-topic', field 'bar'.*missing"),
    "a word as bar": (CLAIM.replace("bar = 0.95", 'bar = "low"'), r"claim 'weddings-on-topic', field 'bar'"),
    "no null": (CLAIM.replace("null = 1", ""), r"claim 'weddings-on-topic', field 'null'.*value of no effect"),
    "a direction of its own": (CLAIM.replace('"below"', '"down"'), r"claim 'weddings-on-topic', field 'direction'.*down"),
    "a column of no arm": (CLAIM.replace('arm = "actadd", ', ""), r"'weddings-on-topic', field 'measure.arm'.*missing"),
    "one more field": (CLAIM + "p_value = 0.04\n", r"claim 'weddings-on-topic', field 'p_value'.*unknown"),
    "two of one id": (CLAIM + CLAIM, r"claim 'weddings-on-topic', field 'id'.*two claims"),
    "no id": (CLAIM.replace('id = "weddings-on-topic"', ""), r"claim 1 in the file, field 'id'"),
    "capitals in the id": (CLAIM.replace('"weddings-on-topic"', '"Weddings"'), r"field 'id': 'Weddings' cannot be used"),
    "no claim": ("", r"field 'claims': there is no claim"),
    "claims as a word": ("claims = 1", r"field 'claims': there is no claim"),
    "a claim as a word": ('claims = ["a"]', r"claim 1 in the file, field 'id'"),
    "no TOML": ("[[claims]\n", r"is not TOML \("),
    "a deviation without ours": (CLAIM + '[[deviations]]\nwhat = "a"\npaper = "b"\n', r"field 'deviations\[0\].ours'.*missing"),
    "a cost from nowhere": (CLAIM + "[paper_cost]\ntokens = 1e9\n", r"field 'paper_cost.source'.*missing"),
    "a table of its own": (CLAIM + "[extra]\na = 1\n", r"field 'extra'.*unknown"),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_refused_by_file_claim_and_field(written, name):
    text, fault = FAULTS[name]
    path = written(HEAD + text)
    with pytest.raises(InputError, match=fault) as refused:
        read_claims(path)
    assert str(refused.value).startswith(f"'{path}'") and "\n" not in str(refused.value).replace("(at line", "")


def test_a_paper_that_the_bibliography_does_not_hold_is_refused(written):
    with pytest.raises(InputError, match=r"field 'paper': nothing is cited as 'turner2032'.*keys: turner2023"):
        read_claims(written(HEAD.replace("turner2023", "turner2032") + CLAIM))


def test_a_correction_of_an_unknown_source_is_refused(written):
    text = HEAD + CLAIM + REST.replace('source = "turner2023"', 'source = "nobody1999"')
    with pytest.raises(InputError, match=r"correction 1, field 'source': nothing is cited as 'nobody1999'"):
        read_claims(written(text))


def test_claims_without_a_bibliography_are_refused(written):
    with pytest.raises(InputError, match=r"has no bibliography; put paper.bib or paper.json beside it"):
        read_claims(written(HEAD + CLAIM, bibliography=None))


def test_a_bibliography_in_csl_serves_as_well(written):
    csl = '[{"id": "turner2023", "title": "Steering", "author": [{"family": "Turner", "given": "Alex"}]}]'
    assert read_claims(written(HEAD + CLAIM, csl, "paper.json")).references["turner2023"].title == "Steering"


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"claims.toml' cannot be read"):
        read_claims(tmp_path / "claims.toml")


def test_a_claim_that_is_not_made_is_refused_by_name(written):
    found = read_claims(written(HEAD + CLAIM))
    with pytest.raises(EvidenceError, match=r"makes no claim 'wedding'; known: weddings-on-topic"):
        found.find("wedding")
