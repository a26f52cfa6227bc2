"""What arXiv answers is read as a paper, and what pretends to be an answer is refused."""

import io
import urllib.error
import urllib.request

import pytest

from glassbook.core.errors import SourceError
from glassbook.sources.arxiv import ArxivPaper, arxiv_number, ask_arxiv, read_answer

ANSWER = """<?xml version="1.0" encoding="UTF-8"?>
<feed xmlns="http://www.w3.org/2005/Atom"><title>ArXiv Query</title>
 <entry><id>http://arxiv.org/abs/2308.10248v5</id><published>2023-08-20T12:21:05Z</published>
  <title>A title\n    on two lines</title><summary>Words.</summary>
  <author><name>Ann B. Author</name></author><author><name>Zoë Second</name></author></entry></feed>"""
PAPER = ArxivPaper("2308.10248", "A title on two lines", ("Ann B. Author", "Zoë Second"), 2023)


def test_an_answer_is_read():
    assert read_answer(ANSWER.encode(), "2308.10248") == PAPER


@pytest.mark.parametrize(
    "text, number",
    [
        ("2308.10248", "2308.10248"),
        (" arXiv:2308.10248v2 ", "2308.10248"),
        ("https://arxiv.org/abs/2308.10248", "2308.10248"),
        ("http://arxiv.org/pdf/2308.10248v1.pdf", "2308.10248"),
        ("hep-th/9901001", "hep-th/9901001"),
        ("math.AG/0309136", "math.AG/0309136"),
        ("10.1000/182", None),
        ("A title of 2308.10248", None),
        ("2308.10248&start=3", None),
    ],
)
def test_a_number_of_arxiv_is_known_in_every_spelling(text, number):
    assert arxiv_number(text) == number


BOMB = ANSWER.replace("<feed", '<!DOCTYPE feed [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>\n<feed', 1).replace(
    "Words", "&b;"
)


@pytest.mark.parametrize(
    "data, said",
    [
        (BOMB.encode(), "is no list of papers"),
        (BOMB.replace("UTF-8", "UTF-16").encode("utf-16"), "cannot be read"),
        (b"<html>" + b"x" * 1_000_001, "is no list of papers"),
        (b"<html><p>Rate exceeded", "cannot be read"),
        (b"<feed xmlns='http://www.w3.org/2005/Atom'></feed>", "arXiv knows no paper 1"),
        (ANSWER.replace("2023-08-20T12:21:05Z", "").encode(), "arXiv knows no paper 1"),
        (b"\xff\xfe", "cannot be read"),
    ],
)
def test_what_is_no_answer_is_refused_in_one_sentence(data, said):
    with pytest.raises(SourceError, match=said):
        read_answer(data, "1")


def test_without_a_network_the_sentence_says_what_to_do(monkeypatch):
    def refuse(*_, **__):
        raise urllib.error.URLError("Name or service not known")

    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    with pytest.raises(SourceError, match=r"put the paper's BibTeX into entries/refs\.bib, or name a file .* --bib"):
        ask_arxiv("2308.10248")


def test_with_a_network_one_question_is_asked(monkeypatch):
    asked = []

    def answer(address, timeout):
        asked.append(address)
        return io.BytesIO(ANSWER.encode())

    monkeypatch.setattr(urllib.request, "urlopen", answer)
    assert ask_arxiv("2308.10248") == PAPER
    assert asked == ["https://export.arxiv.org/api/query?max_results=1&id_list=2308.10248"]
