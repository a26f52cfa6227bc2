"""The paper's own texts as sentences, its prompts, its list of wedding words, and a lexicon of sentiment."""

import json
import re
import zipfile
from collections.abc import Mapping
from functools import cache

from glassbook.files.hashes import hash_json
from glassbook.sources.folder import open_text
from glassbook.sources.known import known
from glassbook.sources.obtain import obtain

TEXTS, LEXICON = "actadd_texts", "sentiment_lexicons"
ON_TOPIC, OFF_TOPIC = "wedding", "shipping"
FILES = {
    ON_TOPIC: "wedding_essay.txt",
    OFF_TOPIC: "shipping_essay.txt",
    "macedonia": "macedonia.txt",
    "banana": "vegan_banana_bread.txt",
}
# A letter before the stop, as in "a.", numbers an item of a list and ends no sentence.
_END = re.compile(r"(?<=[.!?])(?<!\s\w\.)\s+")
_WORD = re.compile(r"[a-z']+")


@cache
def sentences(name: str) -> tuple[str, ...]:
    """Return the sentences of one of the paper's four texts."""
    with zipfile.ZipFile(obtain(TEXTS)) as archive:
        text = archive.read(FILES[name]).decode("utf-8")
    return tuple(part for part in _END.split(text.strip()) if part)


@cache
def topic_words() -> tuple[str, ...]:
    """Return the nine words that the authors count as being about weddings."""
    with zipfile.ZipFile(obtain(TEXTS)) as archive:
        lists = json.loads(archive.read("steering_pairs.json"))["lists"]
    return tuple(lists["scripts/sweeps_demo.py"][0])


@cache
def valences() -> Mapping[str, float]:
    """Return the mean rating of each word of VADER's lexicon, from -4 to 4."""
    with open_text(obtain(LEXICON)) as file:
        return {token: float(mean) for token, mean, _ in json.load(file)["vader"]}


def has_topic_word(text: str) -> bool:
    """Return whether one of the wedding words stands in a text as a word of its own."""
    return not set(topic_words()).isdisjoint(_words(text))


def valence(text: str) -> float:
    """Return the summed VADER ratings of a text's words per word: above 0 where it is rather positive; 0 without words."""
    words, rated = _words(text), valences()
    return sum(rated.get(word, 0.0) for word in words) / len(words) if words else 0.0


@cache
def checksum(name: str) -> str:
    """Return the SHA-256 of the rows that the study reads of a known file."""
    if name == LEXICON:
        return hash_json(dict(valences()))
    return hash_json([[list(sentences(text)) for text in FILES], list(topic_words())])


def n_rows(name: str) -> int:
    """Return how many rows of a known file the study reads."""
    return len(valences()) if name == LEXICON else sum(len(sentences(text)) for text in FILES)


def licence(name: str) -> str:
    """Return the licence of a known file."""
    return known(name).licence


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())
