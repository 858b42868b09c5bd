"""The generators: order and number of candidates, what is counted, and what each of them may change."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch
from scipy import stats

from seqflows.config.rewrites import GENERATORS, Paraphrase
from seqflows.data import tokens
from seqflows.data.embedded import clauses
from seqflows.data.prepared import Facts
from seqflows.errors import Problem
from seqflows.models import build
from seqflows.rewriting import flows, named, paraphrase, words
from seqflows.rewriting.base import LONG, NOTHING, SAME, UNKNOWN, Generator, contexts
from seqflows.rewriting.rewrite import BUILDERS
from seqflows.rewriting.translation import BackTranslation

TEXTS = ["Anna read the book.", "", "the dog ran away", "a b c d e f g h", "ben cut the bread ."]


class Fake(Generator):
    """Candidates "<text's first word> <number>", but for those given by the first word."""

    longest = 6

    def __init__(self, given=None):
        super().__init__()
        self.given, self.asked = given or {}, []

    def candidates(self, texts, count):
        self.asked += texts
        return [self.given.get(text.split()[0], [f"{text.split()[0]} {n}" for n in range(count)]) for text in texts]


def test_candidates_keep_the_order_of_the_texts_and_their_number():
    made = Fake()
    assert made.rewrite(TEXTS, 2) == [
        ["Anna 0", "Anna 1"], ["", ""], ["the 0", "the 1"], [TEXTS[3]] * 2, ["ben 0", "ben 1"],
    ]  # fmt: skip
    assert made.asked == [TEXTS[0], TEXTS[2], TEXTS[4]]
    assert made.counted == {LONG: 1, NOTHING: 0, SAME: 0, UNKNOWN: 0}
    assert made.rewrite([], 2) == []
    with pytest.raises(ValueError, match="Expected 3 candidates of a text, got 2"):
        Fake({"the": ["x", "y"]}).rewrite(["the dog"], 3)


def test_nothing_the_same_and_unknown_tokens_are_counted():
    made = Fake({"the": ["", " "], "ben": ["Ben cut  the bread.", "ben cut"]})
    found = made.rewrite(TEXTS, 2)
    assert found[2] == [TEXTS[2]] * 2 and found[4] == ["Ben cut  the bread.", "ben cut"]
    assert (made.counted[NOTHING], made.counted[SAME]) == (2, 1)  # the same in tokens
    text = ["anna", "zog", "books"]
    assert made.joined(["anna", tokens.UNKNOWN, "a", tokens.UNKNOWN], text) == "anna zog a"
    assert made.joined(["anna", "read"], text) == "anna read" and made.counted[UNKNOWN] == 1


# --- flows


def language(seed=0, length=12, **changes):
    """A model of language of random weights, with its vocabulary, whose vectors lie apart."""
    known = [*tokens.SPECIAL, "anna", "ben", "read", "cut", "the", "book", "bread", "."]
    vectors = clauses.vectors(np.random.default_rng(0), len(known), 8).astype(np.float32)
    torch.manual_seed(seed)
    block = {"class": "language_flow", "structure": "past", "scales": 1, "steps": 3, "width": 16, "inner": 32}
    model = build(block | {"heads": 2, "hidden": 16} | changes, Facts("embedded", len(known), length, (), vectors))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return model.eval(), known


LINES = ["Anna read the book.", "ben cut the bread .", "anna read zog books and more", "the book", "x " * 20]


@pytest.mark.parametrize("network", ("attention", "rnn"))
@pytest.mark.parametrize("beam", (1, 3))
def test_a_flow_without_noise_gives_the_texts_back(network, beam):
    """By its exact inverse; unknown words are those of the text."""
    model, known = language(network=network)
    found = flows.Flow(model, known, 0.0, beam)
    made = found.rewrite(LINES, 2)
    for text, row in zip(LINES, made, strict=True):
        assert [tokens.tokenize(one) for one in row] == [tokens.tokenize(text)] * 2
    assert found.counted == {LONG: 1, NOTHING: 0, SAME: 8, UNKNOWN: 2}


def test_noise_changes_texts_and_a_seed_decides_them():
    model, known = language()
    found = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        found.append(flows.Flow(model, known, 1.0, 2).rewrite(LINES[:4], 3))
    assert found[0] == found[1] != found[2]
    different = [len({*row}) for row in found[0]]
    assert max(different) > 1, "each candidate has noise of its own"
    assert all(one.strip() and tokens.UNKNOWN not in one for row in found[0] for one in row)


def test_candidates_have_the_noise_of_the_variance(monkeypatch):
    model, known = language()
    seen = []
    monkeypatch.setattr(model, "encode", lambda ids, noise=True: torch.zeros(*ids.shape, 8))
    monkeypatch.setattr(model, "decode", lambda eps, beam: seen.append(eps) or torch.full(eps.shape[:2], 3))
    torch.manual_seed(0)
    flows.Flow(model, known, 0.5, 4).rewrite(["the book"] * 300, 4)
    drawn = torch.cat(seen)
    assert drawn.shape == (1200, 12, 8)
    assert drawn.var().item() == pytest.approx(0.5, rel=0.02)


@pytest.mark.parametrize("writer", [False, True])
def test_the_latent_is_of_the_words_alone_but_for_the_decoder_which_is_trained_with_noise(writer, monkeypatch):
    """Eq. (22): what inverts left to right is given the vectors of the words before, without noise."""
    sizes = {"class": "flow_decoder", "structure": "time", "units": 8, "layers": 1} if writer else {}
    model, known = language(**sizes)
    given = []
    real = model.decode
    monkeypatch.setattr(model, "decode", lambda eps, beam: given.append(eps) or real(eps, beam))
    flows.Flow(model, known, 0.0, 1).rewrite(["the book"], 3)
    (eps,) = given
    of_words = model.encode(torch.from_numpy(tokens.encode([["the", "book"]], known, model.length)).long(), noise=False)
    assert torch.allclose(eps, of_words.expand_as(eps), atol=1e-5) is not writer
    assert torch.equal(eps[0], eps[1]) is not writer  # the noise is each candidate's own


def test_a_flow_that_does_not_write_from_left_to_right_is_refused():
    other, known = language(structure="time")
    with pytest.raises(Problem, match=r"causal flow \(structure: past\) or of flow_decoder"):
        flows.Flow(other, known, 0.5, 1)
    model, _ = language()
    flows.check(model, "flow")
    with pytest.raises(Problem, match="a run of flow_decoder for generator: flow_decoder, got another"):
        flows.check(model, "flow_decoder")
    writer, _ = language(**{"class": "flow_decoder", "structure": "time", "units": 8, "layers": 1})
    flows.check(writer, "flow_decoder")
    with pytest.raises(Problem, match="language_flow with structure: past for generator: flow, got another"):
        flows.check(writer, "flow")
    assert len(flows.Flow(writer, known, 0.5, 2).rewrite(LINES, 2)) == len(LINES)


# --- paraphrases


def paraphraser(longest=8):
    known = [*tokens.SPECIAL, "anna", "read", "the", "book", ".", "rare"]
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((len(known), 6)).astype(np.float32)
    torch.manual_seed(0)
    block = {
        "class": "encoder_decoder",
        "inputs": "vectors",
        "units": 6,
        "decoder_units": 8,
        "layers": 1,
        "dropout": 0.0,
    }
    model = build(block, Facts("conditional", len(known), 8, (0, *[1] * 8), vectors, len(known) - 1, longest, 0))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return model.eval(), known


def test_a_pointer_generator_copies_words_that_it_does_not_know():
    model, known = paraphraser()
    before = model.vectors.clone()
    found = paraphrase.Paraphrase(model, known, 8, 4)
    texts = ["zog zog zog", "anna read the book.", "x " * 9, "rare zag"]
    made = found.rewrite(texts, 6)  # more than hypotheses of the search are asked for
    assert [len(row) for row in made] == [6] * 4 and made[2] == [texts[2]] * 6
    assert torch.equal(model.vectors, before), "the model is as before"
    for text, row in zip(texts[:2] + texts[3:], made[:2] + made[3:], strict=True):
        possible = {*known[4:-1], *tokens.tokenize(text)}
        assert all({*tokens.tokenize(one)} <= possible for one in row)
    assert any("zog" in one for one in made[0])
    alone = paraphrase.Paraphrase(model, known, 8, 4).rewrite(texts[:1], 6)
    assert alone[0] == made[0], "a text does not depend on the others"


def test_the_candidates_of_a_search_are_different_and_best_first():
    model, _ = paraphraser()
    given = contexts([[4, 5, 6, 7, 8]])
    best = model.candidates(given, 5, 5)[0]
    assert best[0] == model.write(given, 5)[0] and len({tuple(one) for one in best}) == 5


# --- words


def test_neighbours_are_near_and_neither_names_numbers_nor_stop_words():
    known = [*tokens.SPECIAL, "big", "large", "huge", "two", "the", "small", "paris", "1918", "lyon"]
    vectors = np.array([[1, 0]] * 4 + [[1, 0], [1, 0.2], [1, 1], [1, 0], [1, 0], [-1, 0], [0, 1], [1, 0], [-0.1, 1]])
    made = words.Neighbours(known, vectors, 0.72, 0.5, np.random.default_rng(0))
    assert made.near("big") == ["large"] and made.near("large") == ["big", "huge"] and made.near("zog") == []
    assert made.near("two") == [] and made.near("the") == [] and made.near("1918") == []
    texts = ["The big man of Paris met two large men in 1918.", "Big and small", "paris"]
    found = made.rewrite(texts, 20)
    changed = Counter()
    for text, row in zip(texts, found, strict=True):
        assert len(row) == 20
        for one in row:
            pairs = list(zip(tokens.tokenize(text), tokens.tokenize(one), strict=True))
            changed.update((a, b) for a, b in pairs if a != b)
    assert set(changed) == {("big", "large"), ("large", "big"), ("large", "huge"), ("paris", "lyon")}
    assert all(one.startswith("The ") and one.endswith(" in 1918.") and "Paris met two" in one for one in found[0])
    assert found[1] == [texts[1]] * 20, "a capital is a name's, and small has no neighbour"


def test_neighbours_replace_the_share_of_the_rate():
    known = [*tokens.SPECIAL, *(f"x{letter}" for letter in "abcdefgh")]
    vectors = np.ones((len(known), 2))
    text = " ".join(known[4:])
    for rate, changed in ((0.25, 2), (0.01, 1), (1.0, 8)):
        made = words.Neighbours(known, vectors, 0.7, rate, np.random.default_rng(0)).rewrite([text], 5)
        for one in made[0]:
            assert sum(a != b for a, b in zip(text.split(), one.split(), strict=True)) == changed


def test_random_words_are_as_many_as_given_and_follow_the_frequency():
    counts = {"aa": 50, "bb": 30, "cc": 20, "!": 1000, "1918": 500}
    texts = ["zz zz zz zz !", "yy 1918 yy yy yy"]
    changed = {texts[0]: [2, 0, 4], texts[1]: [1, 9, 3]}
    made = words.RandomWords(counts, changed, np.random.default_rng(0)).rewrite(texts, 3)
    found = [[sum(a != b for a, b in zip(text.split(), one.split(), strict=True)) for one in row]
             for text, row in zip(texts, made, strict=True)]  # fmt: skip
    assert found == [[2, 0, 4], [1, 4, 3]], "at most its words of letters"
    many = words.RandomWords(counts, {"zz": [1] * 3000}, np.random.default_rng(1)).rewrite(["zz"], 3000)[0]
    drawn = Counter(many)
    observed = [drawn[word] for word in ("aa", "bb", "cc")]
    assert sum(observed) == 3000
    assert stats.chisquare(observed, [1500, 900, 600]).pvalue > 1e-3
    other = words.RandomWords({"aa": 5, "bb": 1}, {"aa": [1]}, np.random.default_rng(1))
    assert {other.rewrite(["aa"], 1)[0][0] for _ in range(20)} == {"bb"}, "never the word itself"


def test_the_control_changes_nothing():
    made = words.Same()
    assert made.rewrite(TEXTS, 2) == [[text] * 2 for text in TEXTS]
    assert made.counted[SAME] == 8


# --- there and back


class Dictionary:
    """A translator that puts a mark before each word; of "lost" it makes nothing."""

    def __init__(self, mark):
        self.mark, self.asked = mark, []

    def fits(self, text):
        return len(text.split()) <= 5

    def sampled(self, texts, count):
        return [[self._one(text, n) for n in range(count)] for text in texts]

    def best(self, texts):
        self.asked += texts
        return [self._one(text) for text in texts]

    def _one(self, text, n=""):
        return "" if "lost" in text else " ".join(f"{self.mark}{n}{word}" for word in text.split())


def test_back_translation_goes_through_both_systems():
    there, back = Dictionary("r"), Dictionary("e")
    made = BackTranslation(there, back)
    found = made.rewrite(["one two", "all is lost", "a b c d e f"], 2)
    assert found == [["er0one er0two", "er1one er1two"], ["all is lost"] * 2, ["a b c d e f"] * 2]
    assert (made.counted[NOTHING], made.counted[LONG]) == (2, 1)
    assert back.asked == ["r0one r0two", "r1one r1two"], "each different text once"


def test_every_generator_of_params_can_be_built():
    assert {*BUILDERS} == {*GENERATORS}


def test_a_named_model_states_its_commit():
    with pytest.raises(Problem, match="revision: expected a commit of the hub, .* with the name a/b, got none"):
        Paraphrase.of({"model": "a/b"}, "x")
    with pytest.raises(Problem, match="revision: expected none without a name of the hub"):
        Paraphrase.of({"revision": "0" * 40}, "x")
    assert Paraphrase.of({"model": "./here"}, "x").revision is None


class Encoded(dict):
    """What a tokenizer returns."""

    def to(self, device):
        return self


class Positions:
    """A sequence-to-sequence model with five positions, and its tokenizer of words."""

    def __call__(self, texts, padding=False, return_tensors=None):
        if isinstance(texts, str):
            return {"input_ids": texts.split()}
        self.longest = max(len(text.split()) for text in texts)
        return Encoded(input_ids=torch.zeros(len(texts), self.longest))

    def generate(self, input_ids, num_return_sequences, **_):
        assert self.longest <= 5, "no position for it"
        return [f"other {row}" for row in range(len(input_ids)) for _ in range(num_return_sequences)]

    def batch_decode(self, written, skip_special_tokens):
        return written


def test_a_named_model_is_not_given_what_it_has_no_positions_for():
    """Such a text stays as it is, counted, and the others are written."""
    made = object.__new__(named.Named)
    Generator.__init__(made)
    made.settings, made.device = Paraphrase.of({"model": "./here", "longest": 5}, "x"), torch.device("cpu")
    made.tokenizer = made.model = Positions()
    texts = ["a b", "a b c d e f g", "a b c"]
    assert made.candidates(texts, 2) == [["other 0", "other 0"], ["a b c d e f g"] * 2, ["other 1", "other 1"]]
    assert made.counted[LONG] == 1
    assert made.candidates(texts[1:2], 1) == [["a b c d e f g"]] and made.counted[LONG] == 2
