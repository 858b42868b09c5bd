"""Paraphrases: the corpus's columns, its splits, an embedded source with known probabilities, and what is prepared."""

import numpy as np
import pytest

from raw import VECTORS, raw_folder, written
from seqflows import files
from seqflows.config import corpora
from seqflows.data import download, embedded, prepare, prepared
from seqflows.data.batching import collate
from seqflows.data.embedded import asking, rewording
from seqflows.data.kinds import pairs
from seqflows.data.readers import paraphrases, squad
from seqflows.errors import Problem

HEADER = "\t".join(paraphrases.HEADER) + "\n"


def row(first="The dog ran.", second="A dog, it ran.", quality="1", ids=("7", "8")):
    return "\t".join((quality, *ids, first, second)) + "\n"


def test_only_paraphrases_are_read(tmp_path):
    content = "\ufeff" + HEADER + row() + row("No.", "Yes.", "0") + "\n" + row('He "said" so.\r', "So he said.\r")
    found = paraphrases.read(written(tmp_path, content, "p.txt"))
    assert [(one.first, one.second) for one in found] == [
        ("The dog ran.", "A dog, it ran."),
        ('He "said" so.', "So he said."),
    ]
    assert found[0].ids == ("7", "8")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("Quality\n" + row(), "expected the columns Quality, #1 ID, .* in .*p.txt, got 'Quality'"),
        (HEADER + row() + "1\t2\n", "0 or 1, two ids and two sentences in line 3 of .*p.txt, got"),
        (HEADER + row(quality="2"), "expected 0 or 1, .* in line 2"),
        (HEADER + row(second=" "), "two sentences in line 2 of .*, got 'The dog ran.' and ' '"),
        (HEADER + row(quality="0"), "expected paraphrases in .*p.txt, got none among 2 lines"),
        (HEADER.encode() + b"1\t1\t2\tcaf\xe9\tb\n", "UTF-8 in line 2"),
    ],
)
def test_bad_paraphrases_are_refused(tmp_path, content, message):
    with pytest.raises(Problem, match=message):
        paraphrases.read(written(tmp_path, content, "p.txt"))


BLOCK = {"kind": "pairs", "source": "msr-paraphrases", "window": 5, "question_length": 6, "vocabulary_size": 30}
BLOCK |= {"dimensions": 3, "glove": "own"}


def corpus(tmp_path, count=60):
    """Pairs of sentences of their own, the first of which stand again, the other way round, in the second file."""
    rows = [row(f"The dog {n} ran.", f"What ran? Dog {n} did.", ids=(f"a{n}", f"b{n}")) for n in range(count)]
    again = [row(f"What ran? Dog {n} did.", f"It ran, the dog {n}.", ids=(f"b{n}", f"c{n}")) for n in range(20)]
    contents = {"train.txt": HEADER + "".join(rows), "test.txt": HEADER + "".join(again), "glove.txt": VECTORS}
    return raw_folder(tmp_path / "raw", contents)


def test_a_training_pair_shares_no_sentence_with_validation_or_test(tmp_path):
    found = pairs.READERS["msr-paraphrases"](corpus(tmp_path), 5)
    sides = {
        name: {squad.identity(" ".join(text)) for pair in one for text in (pair.words, pair.passage.words)}
        for name, one in found.pairs.items()
    }
    assert all(sides.values())
    assert not sides["train"] & (sides["valid"] | sides["test"]) and not sides["valid"] & sides["test"]
    both = {(pair.passage.words, pair.words) for pair in found.pairs["train"]}
    assert both == {(words, passage) for passage, words in both}, "both ways"
    assert len(found.pairs["train"]) == found.questions["train"] > 60 and not found.answered


def test_paraphrases_are_prepared_without_answers(tmp_path):
    prepare.prepare(BLOCK, corpus(tmp_path), tmp_path / "out", "small")
    data = prepared.load(tmp_path / "out")
    assert data.train.contexts.answer is None and "mean_answer" not in data.statistics["splits"]["train"]
    assert (data.train.contexts.window[:, 0] == 0).all() and data.train.contexts.sizes.max() == 5
    assert (data.train.lengths <= 6).all() and data.statistics["splits"]["train"]["dropped_long"] > 0
    batch = collate(data.train, np.arange(2))
    assert not batch.given.tags.any() and batch.given.features.shape[-1] == 0


EMBEDDED = {"kind": "pairs", "source": "embedded-paraphrases", "seed": 4, "train": 100, "valid": 20, "test": 31}


def source(**options):
    made = corpora.EmbeddedParaphrases(source=rewording.NAME, **options).made()
    return rewording.build(made, np.random.default_rng(0))


def test_the_probabilities_of_a_sentences_paraphrases_sum_to_one():
    found = source(lexicon=6)
    assert len(found.sentences) == 8
    for sentence, (name, verb, noun) in found.sentences.items():
        p = found.paraphrases(sentence)
        assert sum(p.values()) == pytest.approx(1) and sorted(p.values()) == pytest.approx([0.2, 0.8])
        assert set(p) == {
            ("the", noun, "was", verb, "by", name, "."),
            ("it", "was", name, "that", verb, "the", noun, "."),
        }
        log_p = found.log_probs([asking.Asked(text, sentence, (0, 5)) for text in p])
        assert np.allclose(np.exp(log_p), list(p.values()))
    assert -sum(p * np.log(p) for p in (0.8, 0.2)) == pytest.approx(found.entropy())
    assert np.isneginf(found.log_probs([asking.Asked(("it",), ("anna", "put"), (0, 2))])).all()


def test_embedded_paraphrases_are_prepared(tmp_path):
    download.fetch(EMBEDDED, tmp_path / "raw")
    prepare.prepare(EMBEDDED, tmp_path / "raw", tmp_path / "out", "small")
    data = prepared.load(tmp_path / "out")
    splits = (data.train, data.valid, data.test)
    assert [len(split) for split in splits] == [100, 20, 31]
    found = embedded.specified(data.statistics["source_specification"], "")
    given = []
    for split in splits:
        words = split.contexts.words.reshape(-1, 5)
        given += [tuple(data.vocabulary[word] for word in row) for row in words.tolist()]
        assert set(np.round(split.source_log_prob, 6)) == set(np.log([0.8, 0.2]).round(6))
    assert len(set(given)) == len(given) == 151, "no sentence twice"
    assert data.statistics["source_entropy"]["nats_per_sequence"] == found.entropy()
    rest = files.read_json(tmp_path / "raw/source.json")
    assert rest["source"] == rewording.NAME and len(found.vocabulary) == len(data.vocabulary)
    with pytest.raises(Problem, match="151 different sentences of embedded-paraphrases, got 8; raise lexicon"):
        download.fetch(EMBEDDED | {"lexicon": 6}, tmp_path / "small")
