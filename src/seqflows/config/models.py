"""The ``model`` blocks of runs: the sizes of each class, its module, and its kinds of data."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

from seqflows.config import features
from seqflows.config.typed import Block, choice, entry, number, several, whole

SIZE = whole(1)
DROPOUT = number(least=0, below=1)
SCALAR = choice("nlsq", "location_scale")
HIDDEN = choice("made", "coupling", "independent")
KEYS = choice("independent", "nade")  # of a step of a piano roll, given what it depends on
FUSION = choice("mlp", "gate", "normalised", "added")
START = choice("permutation", "rotation", "aligned")  # of a flow's mixing over time


class ModelBlock(Block):
    """A model's sizes.

    ``bounds`` are those that it can be trained on, ``tables`` says whether its parameters are tables of
    log-probabilities, for expectation maximisation, ``exact`` whether its likelihood is, as the model's class has it.
    """

    bounds: ClassVar[tuple[str, ...]] = ("elbo",)
    exact: ClassVar[bool] = True
    tables: ClassVar[bool] = False

    def idle(self) -> tuple[str, ...]:
        """The entries that have no effect, given the others."""
        return ()

    @property
    def reads(self) -> bool:
        """Whether it has something of another model, that of the run named by ``from``."""
        return False

    @property
    def made_of_texts(self) -> bool:
        """Whether it is built from the training texts, which its saved tensors then need beside them."""
        return False

    def unfit(self, length: Any, dimensions: Any) -> Iterator[tuple[str, str]]:
        """(entry, "expected ..., got ...") for sizes invalid with data of T steps and D numbers."""
        yield from ()


class Row(NamedTuple):
    """A model: its block, module and class, and its kinds of data."""

    block: type[ModelBlock]
    place: str
    kinds: tuple[str, ...]

    def load(self) -> Any:
        """The model's class, imported on demand, since `config` does not import torch."""
        module, name = self.place.rsplit(".", 1)
        return getattr(importlib.import_module(f"seqflows.models.{module}"), name)


MODELS: dict[str, Row] = {}


def model(name: str, place: str, *kinds: str) -> Callable[[type[ModelBlock]], type[ModelBlock]]:
    """Register the block of the model called ``name`` in params.yaml."""

    def register(block: type[ModelBlock]) -> type[ModelBlock]:
        MODELS[name] = Row(block, place, kinds)
        return block

    return register


def sizes(block: Mapping[str, Any]) -> dict[str, Any]:
    """A run's ``model`` block without its class."""
    return {key: value for key, value in block.items() if key != "class"}


@model("latent_sequence", "latent_sequence.LatentSequence", "text", "music")
@dataclass(frozen=True, kw_only=True)
class LatentSequence(ModelBlock):
    """The latent flow model. ``time`` / ``hidden`` name it: af / made is AF/AF, none / made is AF-only."""

    bounds = ("elbo", "importance")
    exact = False
    time: str = entry(choice("af", "iaf", "none"), "af")
    hidden: str = entry(HIDDEN, "made")
    scalar: str = entry(SCALAR, "nlsq")
    layers: int = entry(SIZE, 5)
    latent: int = entry(SIZE, 50)
    embedding: int = entry(SIZE, 500)
    width: int = entry(SIZE, 500)
    depth: int = entry(SIZE, 2)
    flow_width: int = entry(SIZE, 100)
    position: int = entry(SIZE, 32)  # wider ones cost 0.6 nats on JSB
    dropout: float = entry(DROPOUT, 0.2)  # of the prior
    network_dropout: float = entry(DROPOUT, 0.0)  # of the inputs of each layer of posterior and likelihood
    posterior: str = entry(choice("independent", "autoregressive"), "independent")  # in time, given x
    keys: str = entry(KEYS, "independent")
    nade_width: int = entry(SIZE, 64)

    def idle(self) -> tuple[str, ...]:
        """``nade_width`` is only for keys that depend on each other; what the paper lacks, only where it is set."""
        unset = () if self.network_dropout else ("network_dropout",)
        unset += ("posterior",) if self.posterior == "independent" else ()
        return (*unset, "keys", "nade_width") if self.keys == "independent" else unset


@model("codebook_sequence", "codebook_sequence.CodebookSequence", "text")
@dataclass(frozen=True, kw_only=True)
class CodebookSequence(ModelBlock):
    """The latent flow with a codebook; the prior's ``mixture`` is ``tied`` to it, ``free`` or ``none``: then a flow."""

    bounds = ("elbo", "importance")
    exact = False
    network: str = entry(choice("lstm", "transformer"), "lstm")  # in time, of a prior with a mixture
    heads: int = entry(SIZE, 4)  # of the Transformer
    inner: int = entry(SIZE, 256)  # of its linear layers
    latent: int = entry(SIZE, 32)
    width: int = entry(SIZE, 128)
    depth: int = entry(SIZE, 1)
    position: int = entry(SIZE, 32)
    dropout: float = entry(DROPOUT, 0.2)
    input_dropout: float = entry(DROPOUT, 0.0)  # of the latents that the LSTM reads, of a prior with a mixture
    mixture: str = entry(choice("tied", "free", "none"), "tied")
    components: int | None = entry(SIZE, None)  # of a free mixture; at most four a symbol
    start: str = entry(choice("codebook", "random"), "codebook")  # of a free mixture's components
    time: str = entry(choice("af", "iaf", "none"), "af")  # this and the rest only of a prior without mixture
    hidden: str = entry(HIDDEN, "made")
    scalar: str = entry(SCALAR, "nlsq")
    layers: int = entry(SIZE, 5)
    flow_width: int = entry(SIZE, 100)

    def contradictions(self) -> Iterator[tuple[str, str]]:
        """Yield a free mixture without components, components of another prior, and heads that divide no width."""
        if self.network == "transformer" and self.width % self.heads:
            yield "heads", f"expected a number that divides width, {self.width}, got {self.heads}"
        if (self.mixture == "free") != (self.components is not None):
            expected = (
                "a whole number of at least 1" if self.mixture == "free" else f"none with mixture: {self.mixture}"
            )
            yield "components", f"expected {expected}, got {self.components}"

    def idle(self) -> tuple[str, ...]:
        """The flow's entries for a prior that is a mixture, the network's for one that is not, a Transformer's.

        ``start`` for one that is not free; ``input_dropout`` but of an LSTM, and where it is not set.
        """
        flow = ("time", "hidden", "scalar", "layers", "flow_width") if self.mixture != "none" else ("network",)
        flow += () if self.mixture == "free" else ("start",)
        dropped = self.mixture != "none" and self.network == "lstm" and self.input_dropout
        flow += () if dropped else ("input_dropout",)
        return flow if self.network == "transformer" else (*flow, "heads", "inner")


@model("recurrent_baseline", "recurrent_baseline.RecurrentBaseline", "text", "music")
@dataclass(frozen=True, kw_only=True)
class RecurrentBaseline(ModelBlock):
    """The LSTM baseline, with the sizes of the flow models' networks."""

    embedding: int = entry(SIZE, 500)
    width: int = entry(SIZE, 500)
    depth: int = entry(SIZE, 2)
    position: int = entry(SIZE, 32)
    dropout: float = entry(DROPOUT, 0.1)
    keys: str = entry(KEYS, "independent")
    nade_width: int = entry(SIZE, 64)

    def idle(self) -> tuple[str, ...]:
        """``nade_width`` is only for keys that depend on each other, which the paper does not have."""
        return ("keys", "nade_width") if self.keys == "independent" else ()


@model("flow_density", "flow_density.FlowDensity", "vectors")
@dataclass(frozen=True, kw_only=True)
class FlowDensity(ModelBlock):
    """The density of vectors: five autoregressive layers, as in figure 5c."""

    hidden: str = entry(HIDDEN, "made")
    scalar: str = entry(SCALAR, "nlsq")
    layers: int = entry(SIZE, 5)
    flow_width: int = entry(SIZE, 100)


@model("state_space", "state_space.StateSpace", "words")
@dataclass(frozen=True, kw_only=True)
class StateSpace(ModelBlock):
    """The model of words: ``transition`` F_g, ``inference`` F_q (``shared``: F_g), ``proposals`` K of Algorithm 1."""

    bounds = ("elbo", "importance", "filtering")
    exact = False
    state: int = entry(SIZE, 8)
    transition: str = entry(choice("tril", "diag", "real_nvp"), "tril")
    layers: int = entry(SIZE, 1)  # of F_g, tril or diag
    keep_from: int = entry(SIZE, 2)  # the first coupling of real_nvp keeps this many dimensions, each next one more,
    keep_to: int = entry(SIZE, 7)  # up to this many
    inference: str = entry(choice("diag", "tril", "shared"), "diag")
    proposals: int = entry(SIZE, 1)
    reader: str = entry(choice("backward", "both"), "backward")  # input of a_t: w_t..w_T, or the whole word (BIDI)
    embedding: int = entry(SIZE, 8)
    units: int = entry(SIZE, 32)  # of the reader, per direction
    width: int = entry(SIZE, 32)  # hidden units of the transitions' networks and the posterior's; 8 in real_nvp's
    delta: float = entry(number(above=0, below=0.5), 0.1)

    def contradictions(self) -> Iterator[tuple[str, str]]:
        """Yield couplings that keep a falling number of dimensions or as many as the state has."""
        if self.keep_from > self.keep_to:
            yield "keep_from", f"expected at most keep_to, {self.keep_to}, got {self.keep_from}"
        if self.transition == "real_nvp" and self.layers != 1:
            yield "layers", f"expected 1 with real_nvp, whose couplings keep_from counts, got {self.layers}"
        if self.transition == "real_nvp" and self.keep_to >= self.state:
            yield (
                "keep_to",
                f"expected fewer dimensions than the state has, {self.state}, got {self.keep_to}",
            )

    def idle(self) -> tuple[str, ...]:
        """``layers`` is only for triangular flows, ``keep_from`` and ``keep_to`` only for couplings."""
        return ("layers",) if self.transition == "real_nvp" else ("keep_from", "keep_to")


@model("gru_baseline", "words.GruBaseline", "words")
@dataclass(frozen=True, kw_only=True)
class GruBaseline(ModelBlock):
    """The GRU baseline; its embedding is as wide as its state (section 5)."""

    state: int = entry(SIZE, 8)


@model("hidden_markov", "hidden_markov.HiddenMarkov", "words")
@dataclass(frozen=True, kw_only=True)
class HiddenMarkov(ModelBlock):
    """The hidden Markov model of words."""

    tables = True
    states: int = entry(SIZE, 64)


@model("language_flow", "language_flow.LanguageFlow", "language")
@dataclass(frozen=True, kw_only=True)
class LanguageFlow(ModelBlock):
    """The flow of language, by default Att-S. ``structure`` / ``network`` name the row of Table 4.

    time is S, channels C, past AR; attention is Att, rnn RNN. ``steps`` is K, ``scales`` L; ``inner`` and
    ``heads`` are for attention, ``hidden``, ``cell`` and ``mixing`` for past, which has one scale, ``start``
    (of the mixing over time) for time, and ``squeeze`` for several scales.
    """

    structure: str = entry(choice("time", "channels", "past"), "time")
    network: str = entry(choice("attention", "rnn"), "attention")
    steps: int = entry(SIZE, 8)
    scales: int = entry(SIZE, 3)
    width: int = entry(SIZE, 512)
    inner: int = entry(SIZE, 3712)
    heads: int = entry(SIZE, 8)
    hidden: int = entry(SIZE, 750)
    cell: str = entry(choice("parallel", "literal"), "parallel")
    start: str = entry(START, "permutation")
    squeeze: str = entry(choice("interleaved", "joined"), "interleaved")
    mixing: str = entry(choice("both", "time"), "both")

    def contradictions(self) -> Iterator[tuple[str, str]]:
        """Yield heads that do not divide the width, and several scales with structure past."""
        if self.network == "attention" and self.width % self.heads:
            yield "heads", f"expected a divisor of the width, {self.width}, got {self.heads}"
        if self.structure == "past" and self.scales > 1:
            yield "scales", f"expected at most 1 with structure: past and any length, got {self.scales}"

    def idle(self) -> tuple[str, ...]:
        """Entries of another network or structure, or of several scales."""
        found = () if self.network == "attention" else ("inner", "heads")
        found += () if self.structure == "past" else ("hidden", "cell", "mixing")
        found += () if self.structure == "time" else ("start",)
        return found if self.scales > 1 else (*found, "squeeze")

    def unfit(self, length: Any, dimensions: Any) -> Iterator[tuple[str, str]]:
        """Yield sizes that cannot be halved by each scale or by couplings over channels, as `flows` raises too."""
        if not isinstance(length, int) or not isinstance(dimensions, int) or min(length, dimensions) < 1:
            return
        halvings = (length & -length).bit_length() - 1
        most = {"past": self.scales, "time": halvings, "channels": halvings + 1}[self.structure]
        if self.scales > most:
            yield (
                "scales",
                f"expected at most {most} with structure: {self.structure} and a length of {length}, got "
                f"{self.scales}; change the scales or the dataset's length",
            )
        if dimensions % 2 and (self.structure != "time" or self.scales > 1):
            yield (
                "structure",
                f"expected a dataset of an even number of dimensions, whose channels are halved, got {dimensions}",
            )


@model("flow_decoder", "flow_decoder.FlowDecoder", "language")
@dataclass(frozen=True, kw_only=True)
class FlowDecoder(LanguageFlow):
    """Language Flow+: a flow over time or channels, and an LSTM that writes the text from its noisy latents.

    The LSTM has ``units`` and ``layers``; ``variance`` is that of z_0 in training, ``weight`` that of the flow's loss.
    """

    structure: str = entry(choice("time", "channels"), "time")
    units: int = entry(SIZE, 600)
    layers: int = entry(SIZE, 2)
    dropout: float = entry(DROPOUT, 0.3)
    variance: float = entry(number(least=0), 1.0)
    weight: float = entry(number(least=0), 1.0)


@model("recurrent_density", "language_flow.LanguageFlow", "language")
@dataclass(frozen=True, kw_only=True)
class RecurrentDensity(ModelBlock):
    """The Bi-LSTM density of Table 4."""

    layers: int = entry(SIZE, 3)
    width: int = entry(SIZE, 300)


@model("word_mixture", "word_mixture.WordMixture", "language")
@dataclass(frozen=True, kw_only=True)
class WordMixture(ModelBlock):
    """The mixture of the noise around words. ``network`` gives its weights: rnn, attention, or a frozen trigram."""

    network: str = entry(choice("rnn", "attention", "trigram"), "rnn")
    layers: int = entry(SIZE, 1)
    width: int = entry(SIZE, 512)
    inner: int = entry(SIZE, 2048)
    heads: int = entry(SIZE, 8)
    dropout: float = entry(DROPOUT, 0.3)

    def contradictions(self) -> Iterator[tuple[str, str]]:
        """Yield heads that do not divide the width."""
        if self.network == "attention" and self.width % self.heads:
            yield "heads", f"expected a divisor of the width, {self.width}, got {self.heads}"

    @property
    def made_of_texts(self) -> bool:
        """A trigram is."""
        return self.network == "trigram"

    def idle(self) -> tuple[str, ...]:
        """``inner`` and ``heads`` are for attention; a trigram has no sizes."""
        if self.network == "trigram":
            return ("layers", "width", "inner", "heads", "dropout")
        return () if self.network == "attention" else ("inner", "heads")


@dataclass(frozen=True, kw_only=True)
class Fused(ModelBlock):
    """A model of texts given contexts, and what is ``fused`` with its encoding.

    latent is that of a flow over the context's words, words their noisy vectors, encoding no more than itself in the
    same network. ``fusion`` puts that network's values (mlp), or these times the encoding (gate), or their layer
    normalisation (normalised) in the encoding's place, or adds a network's output, 0 at first, to it (added).
    ``structure`` of the flow: time (Lang-Flow), channels, or lstm (LSTM-Flow: ``flow_steps`` layers); ``weight`` is
    lambda of eq. (21). ``flow_start`` is the start of the mixing over time: with aligned a latent stands where its
    words do.
    """

    fused: str = entry(choice("none", "latent", "words", "encoding"), "none")
    fusion: str = entry(FUSION, "mlp")
    weight: float = entry(number(least=0), 1.0)
    structure: str = entry(choice("time", "channels", "lstm"), "time")
    flow_steps: int = entry(SIZE, 16)
    flow_scales: int = entry(SIZE, 3)
    flow_width: int = entry(SIZE, 512)
    flow_inner: int = entry(SIZE, 3712)
    flow_heads: int = entry(SIZE, 8)
    flow_start: str = entry(START, "permutation")

    def contradictions(self) -> Iterator[tuple[str, str]]:
        """Yield heads that do not divide the width of the flow's networks."""
        if self.fused == "latent" and self.structure != "lstm" and self.flow_width % self.flow_heads:
            yield "flow_heads", f"expected a divisor of flow_width, {self.flow_width}, got {self.flow_heads}"

    def idle(self) -> tuple[str, ...]:
        """Entries of the flow without one, and of the fusion without it."""
        attention = ("flow_scales", "flow_inner", "flow_heads", "flow_start")
        if self.fused == "latent":
            return {"lstm": attention, "channels": ("flow_start",), "time": ()}[self.structure]
        flow = ("weight", "structure", "flow_steps", "flow_width", *attention)
        return flow if self.fused != "none" else ("fusion", *flow)

    def unfit(self, length: Any, dimensions: Any) -> Iterator[tuple[str, str]]:
        """Yield sizes of a flow that cannot be halved by each scale."""
        if self.fused == "latent" and self.structure != "lstm":
            sizes = {"width": self.flow_width, "inner": self.flow_inner, "heads": self.flow_heads}
            flow = LanguageFlow(structure=self.structure, scales=self.flow_scales, **sizes)
            for key, text in flow.unfit(length, dimensions):
                yield {"scales": "flow_scales"}.get(key, key), text


@model("encoder_decoder", "encoder_decoder.EncoderDecoder", "pairs")
@dataclass(frozen=True, kw_only=True)
class EncoderDecoder(Fused):
    """Question generation: ``units`` of each direction of the encoder, and what is ``fused`` with the encoding.

    The ``inputs`` of the encoder are features of the context's words, or their vectors: then no features are needed.
    The ``output`` scores a word by its vector, frozen and without a bias, or by learned vectors that begin there, and
    biases.
    """

    units: int = entry(SIZE, 600)
    decoder_units: int = entry(SIZE, 600)
    layers: int = entry(SIZE, 2)
    dropout: float = entry(DROPOUT, 0.3)
    inputs: str = entry(choice("features", "vectors"), "features")
    copies: str = entry(choice("max", "sum", "none"), "max")
    output: str = entry(choice("vectors", "learned"), "vectors")


@model("translator", "translator.Translator", "translation")
@dataclass(frozen=True, kw_only=True)
class Translator(Fused):
    """Translation: ``layers`` each of encoder and decoder, of ``width``, and what is ``fused`` with the encoding.

    The vectors that the flow, or ``words``, reads are those of another run (``from`` of the run).
    """

    fusion: str = entry(FUSION, "normalised")
    width: int = entry(SIZE, 512)
    inner: int = entry(SIZE, 512)
    heads: int = entry(SIZE, 8)
    layers: int = entry(SIZE, 6)
    dropout: float = entry(DROPOUT, 0.1)
    smoothing: float = entry(DROPOUT, 0.1)
    flow_steps: int = entry(SIZE, 4)

    def contradictions(self) -> Iterator[tuple[str, str]]:
        """Yield heads that do not divide their width."""
        yield from super().contradictions()
        if self.width % self.heads:
            yield "heads", f"expected a divisor of width, {self.width}, got {self.heads}"

    @property
    def reads(self) -> bool:
        """Whether it has the vectors of another model."""
        return self.fused in ("latent", "words")

    def unfit(self, length: Any, dimensions: Any) -> Iterator[tuple[str, str]]:
        """Yield sizes of a flow that cannot be halved by each scale; its vectors are as wide as the model."""
        yield from super().unfit(length, self.width)


@model("flowseq", "flowseq.FlowSeq", "pairs")
@dataclass(frozen=True, kw_only=True)
class FlowSeq(ModelBlock):
    """FlowSeq: ``units``, ``layers`` and ``dropout`` of the encoder, then sizes of Transformers, flow and search.

    Posterior and decoder have ``depth`` layers of ``width`` each; ``flow_steps`` are the steps of each level.
    A search takes ``lengths`` of the most likely lengths, noise of deviation ``temperature``, and ``rescored`` samples
    of the posterior for each candidate. While the KL term has no weight yet the latent is a draw of the posterior
    (``begin``: draws), or its mean, after which deviations, prior and optimiser begin anew (means).
    """

    exact = False
    begin: str = entry(choice("draws", "means"), "draws")
    units: int = entry(SIZE, 600)
    layers: int = entry(SIZE, 2)
    dropout: float = entry(DROPOUT, 0.3)
    latent: int = entry(whole(2, even=True), 256)
    width: int = entry(SIZE, 256)
    inner: int = entry(SIZE, 1024)
    heads: int = entry(SIZE, 8)
    depth: int = entry(SIZE, 4)
    transformer_dropout: float = entry(DROPOUT, 0.1)
    word_dropout: float = entry(DROPOUT, 0.2)
    smoothing: float = entry(DROPOUT, 0.1)
    flow_steps: tuple[int, ...] = entry(several(SIZE, "a list of whole numbers of at least 1"), (4, 4, 2))
    flow_width: int = entry(SIZE, 416)
    flow_inner: int = entry(SIZE, 832)
    flow_heads: int = entry(SIZE, 8)
    lengths: int = entry(SIZE, 3)
    temperature: float = entry(number(least=0), 0.0)
    rescored: int = entry(SIZE, 4)

    def contradictions(self) -> Iterator[tuple[str, str]]:
        """Yield heads that do not divide their width."""
        for prefix in ("", "flow_"):
            width, heads = getattr(self, f"{prefix}width"), getattr(self, f"{prefix}heads")
            if width % heads:
                yield f"{prefix}heads", f"expected a divisor of {prefix}width, {width}, got {heads}"


@model("span_reader", "span_reader.SpanReader", "spans")
@dataclass(frozen=True, kw_only=True)
class SpanReader(ModelBlock):
    """A reader of frozen features: ``width`` of their projection, ``units`` of each direction of its LSTMs' ``layers``.

    An answer is the best span of up to ``longest`` words.
    """

    width: int = entry(SIZE, 128)
    units: int = entry(SIZE, 128)
    layers: int = entry(SIZE, 1)
    dropout: float = entry(DROPOUT, 0.3)
    longest: int = entry(SIZE, 15)


@model("bert_span", "bert_span.BertSpan", "spans")
@dataclass(frozen=True, kw_only=True)
class BertSpan(ModelBlock):
    """A pretrained encoder of raw text with a span's first and last piece on top, all weights trained.

    ``model`` and ``revision`` name its weights and its tokenizer as those of features do; ``vocabulary`` to
    ``positions`` are its sizes. Windows have up to ``pieces`` pieces, of which neighbours share ``stride``; an answer
    has up to ``longest``.
    """

    model: str = entry(features.MODEL, "./bert")
    revision: str | None = entry(features.COMMIT, None)
    vocabulary: int = entry(SIZE, 30522)
    width: int = entry(SIZE, 768)
    depth: int = entry(SIZE, 12)
    heads: int = entry(SIZE, 12)
    inner: int = entry(SIZE, 3072)
    positions: int = entry(SIZE, 512)
    dropout: float = entry(DROPOUT, 0.1)
    pieces: int = entry(whole(16), 384)
    stride: int = entry(SIZE, 128)
    longest: int = entry(SIZE, 30)

    def contradictions(self) -> Iterator[tuple[str, str]]:
        """Yield a name without a commit, heads that do not divide the width, and windows without room."""
        yield from features.unpinned(self.model, self.revision)
        if self.width % self.heads:
            yield "heads", f"expected a divisor of the width, {self.width}, got {self.heads}"
        if self.pieces > self.positions:
            yield "pieces", f"expected at most positions, {self.positions}, got {self.pieces}"
        if self.stride > self.pieces // 2:
            yield "stride", f"expected at most half of the {self.pieces} pieces of a window, got {self.stride}"


@model("stage", "stage.Stage", "choices")
@dataclass(frozen=True, kw_only=True)
class Stage(ModelBlock):
    """STAGE on lines: ``width`` of all its layers, ``weight`` of the loss of a question's first and last line.

    ``margin`` lines at each side of a span count as local. With ``concepts: read`` it also reads the words of things
    detected beside the lines, and ``attention`` is the weight of the loss of what its words attend to there.
    """

    width: int = entry(SIZE, 128)
    dropout: float = entry(DROPOUT, 0.1)
    weight: float = entry(number(least=0), 0.5)
    margin: int = entry(whole(0), 3)
    concepts: str = entry(choice("none", "read"), "none")
    attention: float = entry(number(least=0), 0.1)

    @property
    def supervised(self) -> bool:
        """Whether a loss is of what the words of a statement attend to."""
        return self.concepts == "read" and self.attention > 0

    def idle(self) -> tuple[str, ...]:
        """Without detected words no loss is of them."""
        return () if self.concepts == "read" else ("attention",)
