"""The catalogue of metrics: heading, units, digits and the audit's tolerance of each name in metrics.json.

A name with ``{}`` is a family by count, such as ``nll@{}`` for nll@1 and nll@50. The order of the rows is that
of the columns in the blocks that pages add to a paper's own table.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Collection
from typing import NamedTuple

# The meaning of an estimate's ``samples``.
IMPORTANCE = "importance samples of the NLL"
NOISE = "draws of the noise a sequence"
WEIGHTS = "importance samples of a word"
TRAJECTORIES = "prior trajectories"
STATES = "draws of a state's noise"
WORDS = "generated words"
OWN = (WEIGHTS, TRAJECTORIES, STATES, WORDS)  # drawn per seed; other metrics share the test sequences

# Blocks of a page for metrics that the paper does not print.
BEYOND, SETS, BOUND, READINGS, HALVES, TEST, TRAIN = "beyond", "sets", "bound", "readings", "halves", "test", "train"
GIVEN, TEXTS, ANSWERS = "given", "texts", "answers"

ABOVE_FLOOR = "_above_floor"  # suffix of metrics in nats per position above the floor
# The audit's, by unit. Half a point of BLEU is somewhat above its standard error over 5,000 questions, and half of what
# the papers' gains are.
TOLERANCES = {"bpc": 0.02, "1": 0.02, "bits/dim": 0.10, "%": 0.5}
BELOW = 3  # standard errors by which a model may score below the source of its data
TOLERANCE_NATS = 0.10  # and of any other unit, which is in nats
PERPLEXITY = 0.05  # of a printed perplexity


class Metric(NamedTuple):
    """A row of the catalogue.

    Attributes:
        name: as in metrics.json and in the cells of params.yaml.
        heading: of its column.
        units: the allowed ones of its records; a name whose draws differ by unit has a row for each.
        digits: in a table.
        drawn: the meaning of its ``samples``; "" if nothing is drawn.
        blocks: the blocks that show it beside the paper's own table.
        relative: the audit's tolerance as a share of the printed number, if not by unit.
        compared: whether it is known only beside other systems' texts, from the stage ``compare``.
        of_data: whether it is a property of the data, which no model makes.
        of_latent: whether only models with latent variables have it, whose likelihood is estimated.
    """

    name: str
    heading: str
    units: tuple[str, ...]
    digits: int = 3
    drawn: str = ""
    blocks: tuple[str, ...] = ()
    relative: float | None = None
    compared: bool = False
    of_data: bool = False
    of_latent: bool = False

    @property
    def own_draws(self) -> bool:
        """Whether each seed's estimate has separate draws (trajectories, generated words)."""
        return self.drawn in OWN

    @property
    def loss(self) -> bool:
        """Whether less is better: nats or bits of data."""
        return all(unit == BPC or unit.partition("/")[0] in ("nats", "bits") for unit in self.units)

    def tolerance(self, unit: str, printed: float) -> float:
        """The audit's tolerance of the difference from the printed number."""
        return TOLERANCES.get(unit, TOLERANCE_NATS) if self.relative is None else self.relative * printed

    def at(self, count: int) -> Metric:
        """The member of a family with a given count."""
        return self._replace(name=self.name.format(count), heading=self.heading.format(count))


BPC, STEP, NATS, WORD, DIM, SHARE = "bpc", "nats/step", "nats", "nats/word", "bits/dim", "1"
PIECE = "nats/piece"
SEQUENCES, BITS, PER_D = (BPC, STEP, NATS, WORD, PIECE), ("bits/word",), ("bits/D",)
POSITION, WHOLE = ("nats/position",), ("nats/sequence",)
PERCENT = ("%",)
QUESTION = ("nats/question",)

CATALOGUE = (
    Metric("nll", "NLL", SEQUENCES, drawn=IMPORTANCE),
    Metric("nll", "NLL", (DIM,), drawn=NOISE),
    Metric("nll@{}", "NLL K={}", (BPC, STEP), drawn=IMPORTANCE, blocks=(BEYOND,), of_latent=True),
    Metric("nll_literature", "NLL per T, without log p(T)", (STEP,), drawn=IMPORTANCE),
    Metric("nll_sentences", "NLL by sentence", (BPC,), drawn=IMPORTANCE, blocks=(BEYOND,)),
    Metric("elbo", "-ELBO", SEQUENCES, drawn=IMPORTANCE, blocks=(BEYOND, BOUND), of_latent=True),
    Metric("reconstruction", "reconst.", SEQUENCES, drawn=IMPORTANCE, blocks=(BOUND,), of_latent=True),
    Metric("reconstruction_pure", "pure reconst.", SEQUENCES, drawn=IMPORTANCE, blocks=(BEYOND,), of_latent=True),
    Metric("kl", "KL", SEQUENCES, drawn=IMPORTANCE, blocks=(BOUND,), of_latent=True),
    Metric("length", "-log p(T)", SEQUENCES, blocks=(BEYOND,)),
    Metric("kl_share", "KL / -ELBO", (SHARE,), drawn=IMPORTANCE, blocks=(BEYOND, BOUND), of_latent=True),
    Metric("ess", "ESS", ("samples",), digits=1, drawn=IMPORTANCE, blocks=(BEYOND, BOUND), of_latent=True),
    Metric("source", "source, this test set", SEQUENCES, of_data=True),
    Metric("source", "source, this test set", (DIM,), drawn=NOISE, of_data=True),
    Metric("source_entropy", "source entropy", SEQUENCES, of_data=True),
    Metric("excess", "excess (nats/sequence)", WHOLE, drawn=IMPORTANCE, blocks=(BOUND,)),
    Metric("parameters", "parameters", (SHARE,), digits=0, blocks=(BEYOND, BOUND)),
    # of words
    Metric("cross_entropy_train", "headline", (WORD,), drawn=WEIGHTS, blocks=(TRAIN,)),
    Metric("cross_entropy_train_half", "S / 2", (WORD,), drawn=WEIGHTS, blocks=(TRAIN,), of_latent=True),
    Metric("cross_entropy_train@{}", "K={}", (WORD,), drawn=TRAJECTORIES, blocks=(TRAIN,)),
    Metric("cross_entropy_test", "headline", (WORD,), drawn=WEIGHTS, blocks=(TEST,)),
    Metric("cross_entropy_test_half", "S / 2", (WORD,), drawn=WEIGHTS, blocks=(TEST,), of_latent=True),
    Metric("trajectories_above", "largest K - headline", (WORD,), drawn=IMPORTANCE, blocks=(TEST,), of_latent=True),
    Metric("cross_entropy_test@{}", "K={}", (WORD,), drawn=TRAJECTORIES, blocks=(TEST,)),
    Metric("cross_entropy_difference", "test - train", (WORD,), drawn=WEIGHTS),
    Metric("cross_entropy_train_bits", "train, bits", BITS, drawn=WEIGHTS, blocks=(SETS,)),
    Metric("cross_entropy_test_bits", "test, bits", BITS, drawn=WEIGHTS, blocks=(SETS,)),
    Metric("settled", "settled", (SHARE,), drawn=IMPORTANCE, of_latent=True),
    Metric("unique", "distinct words", (SHARE,), drawn=WORDS, blocks=(SETS,)),
    Metric("unique_likeliest", "distinct, likeliest", (SHARE,), drawn=WORDS, of_latent=True),
    Metric("unique_known_all", "w unique, N = types", (SHARE,), drawn=WORDS, blocks=(SETS,)),
    Metric("known_all", "w in V, N = types", (SHARE,), drawn=WORDS, blocks=(SETS,)),
    Metric("unique_all", "distinct words, N = types", (SHARE,), drawn=WORDS, blocks=(SETS,)),
    Metric("perplexity_{}", "P_{}-gram", (SHARE,), digits=2, drawn=WORDS, relative=PERPLEXITY),
    Metric("perplexity_{}_tokens", "P_{}-gram of tokens", (SHARE,), 2, WORDS, (SETS,), relative=PERPLEXITY),
    Metric("entropy_marginal", "H_marginal", (NATS,), drawn=STATES, blocks=(SETS,)),
    Metric("entropy_expected", "H_expected", (NATS,), drawn=STATES, blocks=(SETS,)),
    Metric("entropy_gap", "H_gap, eq. (14)", (NATS,), drawn=STATES, blocks=(READINGS,)),
    Metric("entropy_gap_whole@{}", "(12), K={}", (NATS,), drawn=TRAJECTORIES, blocks=(READINGS,)),
    Metric("known", "w in V", (SHARE,), drawn=WORDS, blocks=(READINGS,)),
    Metric("known_wide", "w in wider V", (SHARE,), drawn=WORDS, blocks=(READINGS,)),
    Metric("known_likeliest", "likeliest in V", (SHARE,), drawn=WORDS, blocks=(READINGS,), of_latent=True),
    Metric("known_likeliest_wide", "likeliest in wider V", (SHARE,), drawn=WORDS, blocks=(READINGS,), of_latent=True),
    Metric("unique_known", "w unique", (SHARE,), drawn=WORDS, blocks=(READINGS,)),
    Metric("unique_known_wide", "unique, wider V", (SHARE,), drawn=WORDS, blocks=(READINGS,)),
    Metric("unique_known_likeliest", "unique, likeliest", (SHARE,), drawn=WORDS, blocks=(READINGS,), of_latent=True),
    Metric(
        "unique_known_likeliest_wide",
        "unique, likeliest, wider V",
        (SHARE,),
        drawn=WORDS,
        blocks=(READINGS,),
        of_latent=True,
    ),
    Metric("train_entropy", "H[P_train]", (WORD,), blocks=(HALVES,), of_data=True),
    Metric("test_entropy", "H[P_test]", (WORD,), blocks=(HALVES,), of_data=True),
    Metric("oracle_train", "ORACLE on train", (WORD,), blocks=(HALVES,), of_data=True),
    Metric("oracle_test", "ORACLE on test", (WORD,), blocks=(HALVES,), of_data=True),
    Metric("oracle_unique", "distinct words, ORACLE", (SHARE,), drawn=WORDS, of_data=True),
    Metric("oracle_known", "w in V, ORACLE", (SHARE,), drawn=WORDS, of_data=True),
    Metric("oracle_unique_known", "w unique, ORACLE", (SHARE,), drawn=WORDS, of_data=True),
    Metric("oracle_unseen", "unseen test tokens", (SHARE,), digits=4, blocks=(HALVES,), of_data=True),
    # of language
    Metric("nll_above_floor", "NLL above the floor", POSITION, digits=2, drawn=NOISE),
    Metric("nll_noiseless", "NLL without noise", (DIM,)),
    Metric("nll_code", "NLL as in the code's validation", PER_D),
    Metric("nll_code_train", "NLL as in the code's training", PER_D),
    Metric("floor", "floor", (DIM,), of_data=True),
    Metric("gaussian", "one Gaussian for all words", (DIM,), of_data=True),
    Metric("gaussian_above_floor", "one Gaussian above the floor", POSITION, digits=2, of_data=True),
    Metric("linear", "a Gaussian, linear in the words before", (DIM,), of_data=True),
    Metric("linear_above_floor", "linear in the words before, above the floor", POSITION, digits=2, of_data=True),
    Metric("unigram", "words one by one", (DIM,), of_data=True),
    Metric("unigram_above_floor", "words one by one, above the floor", POSITION, digits=2, of_data=True),
    # of pairs
    Metric("context_bits", "bits/dim of the context", (DIM,), drawn=NOISE, blocks=(GIVEN,)),
    Metric("copied", "words outside the vocabulary", (SHARE,), digits=3, blocks=(GIVEN,)),
    Metric("flow_parameters", "parameters of the flow", (SHARE,), digits=0, blocks=(GIVEN,)),
    # of translations
    Metric("nll_second", "NLL, second set", (PIECE,), blocks=(GIVEN,)),
    Metric("nll_held_out", "NLL, held-out pairs", (PIECE,), blocks=(GIVEN,)),
    Metric("characters_held_out", "bits a character, held-out pairs", (BPC,), blocks=(GIVEN,)),
    Metric("exact", "right translations", (SHARE,), blocks=(GIVEN,)),
    # of answers
    Metric("em", "EM", PERCENT, digits=2),
    Metric("f1", "F1", PERCENT, digits=2),
    Metric("nll", "NLL", QUESTION, blocks=(ANSWERS,)),
    # of texts beside those of other systems
    Metric("bleu", "BLEU-4", PERCENT, digits=2, compared=True),
    Metric("bleu_short", "BLEU, short sentences", PERCENT, digits=2, blocks=(TEXTS,), compared=True),
    Metric("bleu_tokenized", "BLEU, tokens of Moses", PERCENT, digits=2, blocks=(TEXTS,), compared=True),
    Metric("bleu_second", "BLEU, second set", PERCENT, digits=2, blocks=(TEXTS,), compared=True),
    Metric("bleu_held_out", "BLEU, held-out pairs", PERCENT, digits=2, blocks=(TEXTS,), compared=True),
    Metric("rouge_l", "ROUGE-L", PERCENT, digits=2, compared=True),
    Metric("meteor", "METEOR", PERCENT, digits=2, compared=True),
    Metric("answered", "hold a word of the answer", (SHARE,), blocks=(TEXTS,), compared=True),
    Metric("different", "different texts", (SHARE,), blocks=(TEXTS,), compared=True),
    Metric("words", "words", ("words",), digits=1, blocks=(TEXTS,), compared=True),
    Metric("brevity", "brevity penalty", (SHARE,), blocks=(TEXTS,), compared=True),
    # of choices
    Metric("accuracy", "accuracy", PERCENT, digits=2, blocks=(ANSWERS,)),
    Metric("accuracy_plus", "accuracy, TVQA+", PERCENT, digits=2, blocks=(ANSWERS,)),
    Metric("temporal_iou", "temporal IoU", PERCENT, digits=2, blocks=(ANSWERS,)),
    Metric("temporal_iou_reachable", "IoU of the best lines", PERCENT, digits=2, blocks=(ANSWERS,)),
    Metric("joint_accuracy", "answer and time", PERCENT, digits=2, blocks=(ANSWERS,)),
    Metric("overlap_accuracy", "word overlap", PERCENT, digits=2, blocks=(ANSWERS,)),
    Metric("judged", "judged better", ("pairs",), digits=0),
)


@functools.cache
def find(name: str, unit: str = "") -> Metric | None:
    """The row of a metric, by unit if several have the name; None for an unknown name.

    >>> find("nll@50").heading
    'NLL K=50'
    """
    found = [(row, match) for row in CATALOGUE if (match := _pattern(row.name).match(name))]
    if not found:
        return None
    row, match = next(((row, match) for row, match in found if unit in row.units), found[0])
    return row.at(int(match[1])) if match.lastindex else row


def shown(block: str, present: Collection[str]) -> list[Metric]:
    """The columns of a block: its ``present`` metrics, with families' members by count."""
    found = []
    for row in CATALOGUE:
        if block in row.blocks:
            found += [row] if row.name in present else [row.at(count) for count in counts(row.name, present)]
    return found


def counts(family: str, present: Collection[str]) -> list[int]:
    """The counts of a family's ``present`` members; empty unless the name is a family."""
    return sorted(int(match[1]) for name in present if (match := _pattern(family).match(name)) and match.lastindex)


def names() -> list[str]:
    """All names, families as ``nll@<K>``."""
    return list(dict.fromkeys(row.name.format("<K>") for row in CATALOGUE))


@functools.cache
def _pattern(name: str) -> re.Pattern[str]:
    return re.compile(re.escape(name).replace(r"\{\}", "([1-9][0-9]*)") + r"\Z")
