"""What params.yaml may say: its keys and their types. Needs pydantic; `params` checks the references."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from seqflows.names import near

EXPONENT = re.compile(r"[-+0-9.]+[eE][-+0-9]+\Z")
Count = Annotated[int, Field(ge=1)]
Whole = Annotated[int, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
Weight = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(ge=0, lt=1)]
Scalar = Literal["nlsq", "affine"]
Hidden = Literal["made", "coupling", "independent"]


class Block(BaseModel):
    """A mapping that admits its own keys alone and converts nothing: '1e-3' is text, not a number."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Compute(Block):
    """What a scale's stages run on."""

    device: Literal["auto", "cpu", "cuda"]
    threads: Count
    precision: Literal["fp32", "bf16"]


class Real(Block):
    """A corpus from the registry; ``*_sequences`` keep the first so many of a split."""

    source: str
    train_sequences: Count | None = None
    valid_sequences: Count | None = None
    test_sequences: Count | None = None


class RealText(Real):
    """A corpus of sentences; longer ones are dropped."""

    max_length: Count | None = None


class RealPickle(Real):
    """An original pickle, for which no checksum is published: the block states it."""

    sha256: str | None = None


class Embedded(Real):
    """A corpus that the project generates: its seed and its sizes, in sequences."""

    seed: Whole
    train: Count
    valid: Count
    test: Count


class EmbeddedText(Embedded):
    """Sentences of a chain of words: how many words, of how large a lexicon."""

    words: Annotated[list[Count], Field(min_length=2, max_length=2)]
    lexicon: Count
    max_length: Count | None = None


class EmbeddedChords(Embedded):
    """Piano rolls of a chain of chords."""

    lengths: Annotated[list[Count], Field(min_length=1)]
    states: Count


class EmbeddedGaussians(Embedded):
    """Points of a mixture of four Gaussians in the plane."""

    distance: Positive = 2.0
    deviation: Positive = 0.3


class RealWords(Block):
    """Words with counts: the paper's filter, how many tokens to sample, the split (by tokens or by types), its seed.

    ``wide_count`` keeps a list of rarer words, of at least that count, beside the splits, for a wider V.
    """

    source: str
    split: Literal["tokens", "types"] = "tokens"
    min_count: Count = 10
    shortest: Count = 2
    longest: Count = 12
    test_share: Annotated[float, Field(gt=0, lt=1)] = 0.1
    valid_tokens: Count = 10_000
    sample_tokens: Count | None = None
    wide_count: Count | None = None
    seed: Whole = 0


class OwnWords(RealWords):
    """A file of counts that the project does not know: the block states its checksum."""

    sha256: str


class EmbeddedWords(RealWords):
    """A grammar of word formation: how many stems, and how many tokens are counted."""

    tokens: Count
    stems: Count = 60


class RealLanguage(Real):
    """Sequences of ``length`` tokens and vectors of ``dimensions`` numbers; ``sha256`` of files by name, if unknown.

    The vocabulary: tokens that occur ``min_count`` times in what trains, at most ``vocabulary_size`` of them beside
    the four special ones.
    """

    length: Annotated[int, Field(ge=3)]
    dimensions: Count
    glove: Literal["6B-50d", "6B-50d-9163", "840B-300d", "own"]
    min_count: Count = 1
    vocabulary_size: Count | None = None
    sha256: dict[str, str] | None = None


class EmbeddedLanguage(Embedded):
    """Questions and paragraphs of a grammar: names, verbs and nouns in its lexicon, and the sizes of the sequences."""

    length: Annotated[int, Field(ge=7)]
    dimensions: Count
    lexicon: Annotated[int, Field(ge=6, le=48)] = 24


MUSIC = ("nottingham", "piano", "musedata", "jsb")
DATASETS: dict[str, dict[str, type[Block]]] = {
    "text": {"ptb": RealText, "embedded-text": EmbeddedText},
    "music": {
        **dict.fromkeys(MUSIC, Real),
        **dict.fromkeys((f"{name}-pickle" for name in MUSIC), RealPickle),
        "embedded-chords": EmbeddedChords,
    },
    "vectors": {"embedded-gaussians": EmbeddedGaussians},
    "words": {
        **dict.fromkeys(("gutenberg-words", "web-words", "fiction-words"), RealWords),
        "own-words": OwnWords,
        "embedded-words": EmbeddedWords,
    },
    "language": {
        **dict.fromkeys(("squad-articles", "squad-articles-full", "tvqa-questions", "tvqa-subtitles"), RealLanguage),
        "embedded-language": EmbeddedLanguage,
    },
}


class LatentSequence(Block):
    """The paper's latent model; what is left out has the class's default."""

    time: Literal["af", "iaf", "none"] = "af"
    hidden: Hidden = "made"
    scalar: Scalar = "nlsq"
    layers: Count = 5
    latent: Count = 50
    embedding: Count = 500
    width: Count = 500
    depth: Count = 2
    flow_width: Count = 100
    position: Count = 500
    dropout: Share = 0.2


class RecurrentBaseline(Block):
    """The LSTM baseline."""

    embedding: Count = 500
    width: Count = 500
    depth: Count = 2
    position: Count = 500
    dropout: Share = 0.1


class FlowDensity(Block):
    """A flow for single vectors."""

    hidden: Hidden = "made"
    scalar: Scalar = "nlsq"
    layers: Count = 5
    flow_width: Count = 100


class StateSpace(Block):
    """The state-space model of words."""

    state: Count = 8
    transition: Literal["tril", "diag", "real_nvp"] = "tril"
    layers: Count = 1
    keep_from: Count = 2
    keep_to: Count = 7
    inference: Literal["diag", "tril", "shared"] = "diag"
    proposals: Count = 1
    reader: Literal["backward", "both"] = "backward"
    embedding: Count = 8
    units: Count = 32
    width: Count = 32
    delta: Annotated[float, Field(gt=0, lt=0.5)] = 0.1


class LanguageFlow(Block):
    """A flow of embedded text; what is left out has the class's default."""

    structure: Literal["time", "channels", "past"] = "time"
    network: Literal["attention", "rnn"] = "attention"
    steps: Count = 8
    scales: Count = 3
    width: Count = 512
    inner: Count = 3712
    heads: Count = 8
    hidden: Count = 750
    cell: Literal["parallel", "literal"] = "parallel"
    start: Literal["permutation", "rotation"] = "permutation"
    squeeze: Literal["interleaved", "joined"] = "interleaved"
    mixing: Literal["both", "time"] = "both"


class RecurrentDensity(Block):
    """The Bi-LSTM density of embedded text."""

    layers: Count = 3
    width: Count = 300


class GruBaseline(Block):
    """The baseline of words."""

    state: Count = 8


MODELS: dict[str, type[Block]] = {
    "latent_sequence": LatentSequence,
    "recurrent_baseline": RecurrentBaseline,
    "flow_density": FlowDensity,
    "state_space": StateSpace,
    "gru_baseline": GruBaseline,
    "language_flow": LanguageFlow,
    "recurrent_density": RecurrentDensity,
}


class Training(Block):
    """How a run is trained; epochs are passes over the training split."""

    epochs: Count
    batch_size: Count
    learning_rate: Positive
    optimizer: Literal["adam", "sgd"] = "adam"
    accumulate: Count = 1
    clip: Positive | None = None
    samples: Count = 1
    validation_samples: Count = 1
    kl_free_epochs: Weight = 0
    kl_ramp_epochs: Weight = 0
    kl_floor: Annotated[float, Field(ge=0, lt=1)] = 0.0
    decay: Annotated[float, Field(gt=1)] = 4.0
    patience: Count | None = None
    drops: list[Annotated[float, Field(gt=0, lt=1)]] = []
    cosine_from: Annotated[float, Field(ge=0, lt=1)] | None = None
    stop_rate: Positive | None = None
    drawn: Count | None = None


class Evaluation(Block):
    """How a run is scored: importance samples, where to report, and what to export for figures."""

    samples: Count
    at: Annotated[list[Count], Field(min_length=1)]
    headline: Count
    chunk: Count
    generate: Whole = 8
    exports: list[Literal["conditionals", "prior_grid", "density_grid"]] = []


class WordEvaluation(Block):
    """How a run on words is scored: trajectories, importance samples, words to generate, n-gram orders."""

    trajectories: Annotated[list[Count], Field(min_length=1)]
    sets: Count = 10
    samples: Annotated[int, Field(ge=2, multiple_of=2)] = 400
    types: Annotated[int, Field(ge=2)] = 5000
    generated: Count = 14_300
    gap_words: Count = 5000
    gap_samples: Count = 20
    gap_sets: list[Count] = [20, 1000]
    ngrams: list[Count] = []


class LanguageEvaluation(Block):
    """How a run on language is scored: draws of the noise."""

    draws: Count = 1


class Seeds(Block):
    """The seeds of a run, trained one after another."""

    seeds: Annotated[list[Whole], Field(min_length=1)]


class Speed(Block):
    """Generation times: which lengths, how often."""

    lengths: Annotated[list[Count], Field(min_length=1)]
    repeats: Annotated[int, Field(ge=2)]


class Figure(Block):
    """A figure of runs or of speeds."""

    reproduces: str
    title: str
    kind: Literal[
        "conditionals", "nlsq", "prior_grid", "speed", "curves", "gap_lengths", "entropies", "trajectories"
    ]  # fmt: skip
    runs: list[str] | None = None
    speeds: list[str] | None = None


def block(path: str, value: Any, model: type[Block]) -> Iterator[str]:
    """One line an error of a block that stands at ``path``: path, expected, got, nearest valid name."""
    if not isinstance(value, Mapping):
        yield f"{path}: expected a mapping with keys {', '.join(model.model_fields)}, got {value!r}"
        return
    try:
        model.model_validate(dict(value))
    except ValidationError as error:
        for one in error.errors():
            yield _line(path, one, model)


def sizes(path: str, model: Mapping[str, Any], length: Any, dimensions: Any) -> Iterator[str]:
    """One line for each size of a ``language_flow`` block that sequences of T vectors of D numbers do not allow.

    `flows` refuses the same when the model is built. Blocks that `choice` refuses are passed over.
    """
    try:
        flow = LanguageFlow.model_validate({name: value for name, value in model.items() if name != "class"})
    except ValidationError:
        return
    if flow.network == "attention" and flow.width % flow.heads:
        yield f"{path}.heads: expected a divisor of the width, {flow.width}, got {flow.heads}"
    if not isinstance(length, int) or not isinstance(dimensions, int) or min(length, dimensions) < 1:
        return
    halvings = (length & -length).bit_length() - 1
    most = {"past": 1, "time": halvings, "channels": halvings + 1}[flow.structure]
    if flow.scales > most:
        yield (
            f"{path}.scales: expected at most {most} with structure: {flow.structure} and a length of {length}, got "
            f"{flow.scales}; change the scales or the dataset's length"
        )
    if dimensions % 2 and (flow.structure != "time" or flow.scales > 1):
        yield f"{path}: expected a dataset of an even number of dimensions, whose channels are halved, got {dimensions}"


def choice(path: str, value: Any, key: str, models: Mapping[str, type[Block]]) -> Iterator[str]:
    """As `block`, where the entry ``key`` (a source, a class) says which keys are valid."""
    name = value.get(key) if isinstance(value, Mapping) else None
    if not isinstance(name, str) or name not in models:
        yield f"{path}.{key}: expected one of {', '.join(models)}, got {name!r}{near(name, models)}"
    elif key in models[name].model_fields:
        yield from block(path, value, models[name])
    else:
        yield from block(path, {entry: item for entry, item in value.items() if entry != key}, models[name])


def _line(path: str, error: Mapping[str, Any], model: type[Block]) -> str:
    where = ".".join((path, *map(str, error["loc"])))
    got = error.get("input")
    if error["type"] == "extra_forbidden":
        name, known = error["loc"][-1], list(model.model_fields)
        return f"{where}: expected one of the keys {', '.join(known)}, got {name!r}{near(name, known)}"
    if error["type"] == "missing":
        return f"{where}: expected a value, got none"
    said = error["msg"].removeprefix("Input should be ")
    if error["type"] == "literal_error":
        return f"{where}: expected {said}, got {got!r}{near(got, _quoted(said))}"
    if isinstance(got, str) and error["type"] in ("float_type", "int_type"):
        said += " (to YAML 1e-3 is text: write 1.0e-3)" if EXPONENT.match(got) else ""
    return f"{where}: expected {said}, got {got!r}"


def _quoted(text: str) -> list[str]:
    return text.split("'")[1::2]
