"""Labelled texts whose licence lets nobody pass them on: where they come from, so that your own copy can be checked and read."""

from glassbook.sources.known import KNOWN, KnownFile

LICENCE = "research use; not to be passed on"
_NLTK = "nltk/nltk_data@5db857e6f7df packages/corpora"
_ROWS = "one text a line"


def _know(name: str, origin: str, recipe: str, sizes: tuple[int, int], checksums: tuple[str, str]) -> None:
    file = KnownFile(
        name=name,
        version=origin.partition("@")[2].partition(" ")[0],
        origin=origin,
        licence=LICENCE,
        path=f"tasks/{name}.jsonl.gz",
        size=sizes[0],
        sha256=checksums[0],
        decoded_size=sizes[1],
        decoded_sha256=checksums[1],
        recipe=f"{_ROWS} {recipe}",
    )
    KNOWN.add(name)(file)


_know(
    "sst2_sentences",
    "clairett/pytorch-sentiment-classification@457ffd83de90 data/SST2",
    "{text,label,split}",
    (416_670, 1_382_023),
    (
        "d713c8214a68ec2ca7044b4921b63fd9d52b9710cf9f1f8aaa6ffb38dc54b549",
        "b25b689d30c37114a46ca82c77e8b5f18ed1c83799a0b141e9928eb881b0adb7",
    ),
)
_know(
    "sentence_polarity",
    f"{_NLTK}/sentence_polarity.zip",
    "{text,label}",
    (504_767, 1_485_321),
    (
        "d03a41a1b8177699e86f982ad66ff3f7c38abe04c3bb888e8fa1ac755a092fae",
        "33d0acb6792f7ba7ee9eec66992cb285b884d24adc820b2ddb24927d3997eda7",
    ),
)
_know(
    "subjectivity",
    f"{_NLTK}/subjectivity.zip",
    "{text,label}",
    (540_063, 1_636_691),
    (
        "33f05c7c465359007b81a4614458091cfe48ace9b07b85f3f7ea5a1a7134dbc4",
        "d3e389557283775dec2ed1de23418812e27d500b11f5a689e6571c5220f852fb",
    ),
)
_know(
    "trec_questions",
    f"{_NLTK}/qc.zip",
    "{text,coarse,fine,split}",
    (138_334, 680_121),
    (
        "46f9e1571631276f73c4962fa6e93b0223edb10ab3d985c6628fa66e669cfe1a",
        "3e524f27d43286c5e17a30bf702bedf471b8510c8e065017abba41f84534e0b2",
    ),
)

LABELLED = ("sst2_sentences", "sentence_polarity", "subjectivity", "trec_questions")
"""Their names."""
