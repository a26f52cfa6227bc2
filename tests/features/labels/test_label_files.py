"""Labels come back from their file as they were, a journal goes on where it was cut, and what is damaged is refused."""

import json

import pytest

from features.labels.planted_features import plant
from glassbook.core.errors import FileFormatError, InputError
from glassbook.features import make_dictionary, save_dictionary
from glassbook.features.labels import Journal, Labels, make_labels, open_labels, save_labels


@pytest.fixture(scope="module")
def labels() -> Labels:
    return make_labels(plant().labelling())


@pytest.fixture
def folder(tmp_path):
    """Return the folder of a dictionary of as many features as were planted."""
    return save_dictionary(tmp_path / "dictionary", make_dictionary("standard", 8, 7))


def test_labels_come_back_as_they_were(labels, folder):
    path = save_labels(folder, labels)
    found = open_labels(folder)
    assert list(found) == list(labels) and found.scorer == labels.scorer and found.facts == labels.facts
    assert path.read_text().count("\n") == len(labels) + 2


DAMAGE = {
    "cut short": lambda text: text[: len(text) // 2],
    "another format": lambda text: text.replace("glassbook-labels/1", "glassbook-labels/9"),
    "other weights": lambda text: text.replace('"dictionary":"', '"dictionary":"f'),
    "a kind that is none": lambda text: text.replace('"kind":"token"', '"kind":"colour"', 1),
    "a rule that is none": lambda text: text.replace('"type":"', '"type":"x', 1),
    "a label twice": lambda text: text.replace('"feature":1,', '"feature":0,', 1),
    "beyond the last": lambda text: text.replace('"feature":6,', '"feature":70,', 1),
    "more right than asked": lambda text: text.replace('"fits":[', '"fits":[999,', 1),
    "no object": lambda text: "[]",
}


@pytest.mark.parametrize("how", DAMAGE)
def test_damaged_labels_are_refused_in_one_sentence(labels, folder, how):
    path = save_labels(folder, labels)
    whole = path.read_text()
    path.write_text(DAMAGE[how](whole))
    assert path.read_text() != whole
    with pytest.raises(FileFormatError, match=r"labels") as caught:
        open_labels(folder)
    assert str(caught.value).count("\n") == 0
    path.write_text(whole)
    assert len(open_labels(folder)) == len(labels)


def test_labels_of_features_that_the_dictionary_lacks_are_not_written(labels, tmp_path):
    small = save_dictionary(tmp_path / "small", make_dictionary("standard", 8, 3))
    with pytest.raises(InputError, match="3 features and there is a label of 3"):
        save_labels(small, labels)
    with pytest.raises(FileFormatError, match="holds no labels"):
        open_labels(small)


def test_a_labelling_that_was_cut_short_goes_on_and_scores_nothing_twice(labels, tmp_path):
    labelling = plant().labelling()

    def stop(what, done, n):
        if what == "scoring labels" and done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_labels(labelling, progress=stop, journal=Journal(tmp_path, "asked"))
    with open(tmp_path / "labels.part.jsonl", "ab") as file:
        file.write(b'{"feature":5,"ki')
    kept = Journal(tmp_path, "asked")
    assert sorted(kept.known) == [0, 1, 2]
    done = make_labels(labelling, journal=kept)
    assert list(done) == list(labels)
    assert Journal(tmp_path, "another question").known == {}
    assert len(json.loads((tmp_path / "labels.part.jsonl").read_text().splitlines()[0])) == 1
