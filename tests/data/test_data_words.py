"""Word counts: what is refused, what is kept, and the two splits."""

import gzip
import math

import numpy as np
import pytest
import torch

from seqflows import compute, files, models
from seqflows.config import corpora
from seqflows.config.training import Training
from seqflows.data import download, prepare, prepared
from seqflows.data.batching import collate, order
from seqflows.data.embedded import formation
from seqflows.data.readers import lexicon
from seqflows.errors import Problem
from seqflows.training.trainer import Trainer


def written(folder, text, name="x.tsv"):
    path = folder / name
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return path


def test_counts_are_read_and_ordered(tmp_path):
    text = "of\t7\nthe\t9\nand\t7\n"
    for name in ("x.tsv", "x.tsv.gz"):
        found = lexicon.read(written(tmp_path, text, name))
        assert found.words == ["the", "and", "of"] and found.counts.tolist() == [9, 7, 7]
    table = written(tmp_path, "ngram,freq,cumshare\nthe,9,0.5\nDon't,2,0.6\nThe,1,0.7\n", "x.csv")
    found = lexicon.read(table, strict=False)
    assert found.words == ["the", "don't"] and found.counts.tolist() == [10, 2]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("the\t-3\n", "whole count of at least 1 and at most 14 digits in line 1 of .*x.tsv, got '-3'"),
        ("the\t0\n", "got '0'"),
        ("the\t2.5\n", "got '2.5'"),
        ("the\t\n", "got ''"),
        (f"the\t{10**20}\n", "at most 14 digits"),
        ("the\n", "a word and its count in line 1 .* got 1 fields"),
        ("the\t3\nof\t2\nthe\t1\n", "each word once .* got 'the' again in line 3"),
        ("The\t3\n", "letters a to z in line 1 .* got 'The'"),
        ("naïve\t3\n", "got 'naïve'"),
        ("", "words with counts in .* got none"),
    ],
)
def test_bad_counts_are_refused(tmp_path, text, message):
    with pytest.raises(Problem, match=message):
        lexicon.read(written(tmp_path, text))


def test_bad_files_are_refused(tmp_path):
    path = tmp_path / "x.tsv.gz"
    path.write_bytes(gzip.compress(b"the\t3\n" * 100)[:-9])
    with pytest.raises(Problem, match="whole gzip file"):
        lexicon.read(path)
    path.write_bytes(b"the\t3\n")
    with pytest.raises(Problem, match="whole gzip file"):
        lexicon.read(path)
    (tmp_path / "x.tsv").write_bytes(b"caf\xe9\t3\n")
    with pytest.raises(Problem, match="UTF-8 in .* got byte 0xe9"):
        lexicon.read(tmp_path / "x.tsv")
    with pytest.raises(Problem, match="columns ngram and freq"):
        lexicon.read(written(tmp_path, "a,b\nthe,3\n", "x.csv"))


def test_the_filter_keeps_what_the_paper_keeps():
    found = lexicon.ordered({"a": 99, "of": 10, "it": 9, "abcdefghijkl": 12, "abcdefghijklm": 12, "Don't": 50})
    kept = lexicon.filtered(found, (2, 12), 10, "x")
    assert kept.words == ["abcdefghijkl", "of"] and kept.counts.tolist() == [12, 10]
    with pytest.raises(Problem, match="words of 2 to 12 letters with a count of at least 100 in x, got none among 6"):
        lexicon.filtered(found, (2, 12), 100, "x")


def test_thinning_is_hypergeometric():
    counts, draws = np.array([600, 300, 90, 10]), 4000
    rng = np.random.default_rng(0)
    drawn = np.array([lexicon.thinned(rng, counts, 100) for _ in range(draws)])
    assert (drawn.sum(1) == 100).all() and (drawn <= counts).all() and (drawn >= 0).all()
    p = counts / counts.sum()
    variance = 100 * p * (1 - p) * (1000 - 100) / (1000 - 1)
    assert np.abs(drawn.mean(0) - 100 * p).max() < 5 * np.sqrt(variance.max() / draws)
    assert np.allclose(drawn.var(0), variance, rtol=0.12)
    assert lexicon.thinned(rng, counts, 1000).tolist() == counts.tolist() and not lexicon.thinned(rng, counts, 0).any()
    with pytest.raises(Problem, match="expected tokens of 0 to 1000, .*, got 1001"):
        lexicon.thinned(rng, counts, 1001)


def test_thinning_of_a_trillion_tokens():
    counts = np.array([23_135_851_162, 13_151_942_776, 12_711])
    drawn = lexicon.thinned(np.random.default_rng(0), counts, 3_628_780_000)
    assert drawn.sum() == 3_628_780_000 and (drawn <= counts).all()
    assert abs(drawn[0] / drawn.sum() - counts[0] / counts.sum()) < 1e-4


def test_the_splits():
    counts = np.array([1000, 500, 100, 20, 10] * 20)
    rng = np.random.default_rng(0)
    halves = lexicon.split_tokens(rng, counts, 0.1, 50)
    assert sum(halves.values()).tolist() == counts.tolist()
    assert halves["test"].sum() == round(0.1 * counts.sum()) and halves["valid"].sum() == 50
    halves = lexicon.split_types(rng, counts, 0.1, 50)
    assert sum(halves.values()).tolist() == counts.tolist()
    held = halves["test"] > 0
    assert held.sum() == 10 and not halves["train"][held].any() and not halves["valid"][held].any()


def test_words_and_symbols():
    symbols, lengths = lexicon.encode(["az", "b"])
    assert symbols.tolist() == [0, 25, 26, 1, 26] and lengths.tolist() == [3, 2]
    assert lexicon.VOCABULARY[26] == lexicon.END and len(lexicon.VOCABULARY) == 27


def test_entropy():
    assert lexicon.entropy(np.array([1, 1, 0, 2])) == pytest.approx(1.5 * math.log(2))


def source(**options):
    return formation.build(corpora.EmbeddedWords(source="x", **options).made(), np.random.default_rng(0))


def test_the_embedded_source_is_exact(tmp_path):
    made = source()
    assert made.probabilities.sum() == pytest.approx(1) and len(set(made.words)) == len(made.words) > 300
    assert all(2 <= len(word) <= 12 and lexicon.PLAIN.fullmatch(word) for word in made.words)
    assert made.longest == max(map(len, made.words)) + 1
    again = formation.WordSource.from_specification(made.specification())
    assert again.entropy() == made.entropy()
    drawn = made.counts(np.random.default_rng(1), 400_000)
    assert drawn.counts.sum() == 400_000
    # the mean of -log p over tokens estimates the entropy
    log_p = made.log_probs(drawn.words)
    mean = -(drawn.counts @ log_p) / drawn.counts.sum()
    error = math.sqrt((drawn.counts @ (log_p + mean) ** 2) / drawn.counts.sum() / 400_000)
    assert abs(mean - made.entropy()) < 4 * error
    symbols = drawn.counts @ np.array([len(word) + 1 for word in drawn.words]) / 400_000
    assert symbols == pytest.approx(made.mean_length_plus_one(), rel=0.01)
    assert np.isneginf(made.log_probs(["zzz"])).all()
    made.write(tmp_path, np.random.default_rng(1), {"tokens": 400_000})
    first = (tmp_path / formation.FILE).read_bytes()
    read = lexicon.read(tmp_path / formation.FILE)
    assert read.words == drawn.words and read.counts.tolist() == drawn.counts.tolist()
    made.write(tmp_path, np.random.default_rng(1), {"tokens": 400_000})
    assert (tmp_path / formation.FILE).read_bytes() == first


def test_ambiguous_words_add_their_derivations(monkeypatch):
    monkeypatch.setattr(formation, "PREFIXES", {"": 0.5, "a": 0.5})
    monkeypatch.setattr(formation, "SUFFIXES", ({"": 1.0},))
    monkeypatch.setattr(formation, "ONSETS", ("b", "ab"))
    monkeypatch.setattr(formation, "NUCLEI", ("o",))
    monkeypatch.setattr(formation, "CODAS", ("",))
    made = source(stems=2)
    assert "abo" in made.words and made.probabilities.sum() == pytest.approx(1)


def test_a_grammar_without_stems_is_refused():
    with pytest.raises(Problem, match="expected 2 to 20000 stems"):
        source(stems=1)


BLOCK = {"kind": "words", "source": "embedded-words", "tokens": 20_000, "stems": 20, "seed": 1, "valid_tokens": 500}


def made(tmp_path, **changes):
    block = BLOCK | {"min_count": 1} | changes
    download.fetch(block, tmp_path / "raw", tmp_path / "cache")
    prepare.prepare(block, tmp_path / "raw", tmp_path / "out", "words")
    return prepared.load(tmp_path / "out")


def test_words_are_prepared(tmp_path):
    data = made(tmp_path)
    found, facts = data.statistics, data.facts()
    assert (facts.emission, facts.symbols, facts.max_length) == ("categorical", 27, 13)
    assert sum(split["tokens"] for split in found["splits"].values()) == found["tokens"] == 20_000
    assert data.train.counts.sum() == found["splits"]["train"]["tokens"] and data.valid.counts is None
    assert len(data.valid) == 500 and data.test.counts.sum() == 2000
    assert found["splits"]["train"]["entropy"] == pytest.approx(lexicon.entropy(data.train.counts))
    assert found["source_entropy"]["nats_per_sequence"] == pytest.approx(found["entropy"], abs=0.05)
    source = formation.WordSource.from_specification(found["source_specification"])
    texts = [lexicon.decode(data.test.sequence(n)) for n in range(len(data.test))]
    assert np.allclose(data.test.source_log_prob, source.log_probs(texts))
    assert all(data.test.sequence(n)[-1] == 26 for n in range(5))
    again = prepare.prepare(BLOCK | {"min_count": 1}, tmp_path / "raw", tmp_path / "again", "words")
    assert again == data.sha256


def test_types_are_held_out(tmp_path):
    data = made(tmp_path, split="types")
    train, test = (
        {data.__dict__[s].sequence(n).tobytes() for n in range(len(data.__dict__[s]))} for s in ("train", "test")
    )
    assert not train & test and data.statistics["splits"]["test"]["unseen_types"] == len(test)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"min_count": 10**6}, "with a count of at least 1000000"),
        ({"min_count": 3, "wide_count": 3}, "wide_count: expected less than min_count, 3, got 3"),
        ({"valid_tokens": 10**6}, "expected valid_tokens of 0 to 18000, .*, got 1000000; set a lower valid_tokens"),
        ({"max_length": 5}, "expected one of the keys .*, got 'max_length'"),
        ({"tokens": 0}, "tokens: expected a whole number of at least 1, got 0"),
    ],
)
def test_bad_blocks_of_words_are_refused(tmp_path, changes, message):
    with pytest.raises(Problem, match=message):
        made(tmp_path, **changes)
    assert not (tmp_path / "out").exists()


def test_rarer_words_are_kept_beside_the_splits(tmp_path):
    """For a wider V: those that pass the filter at wide_count alone. No split has them, and no other number moves."""
    plain = made(tmp_path / "plain", min_count=30)
    data = made(tmp_path / "wide", min_count=30, wide_count=5)
    counts = lexicon.read(next((tmp_path / "wide" / "raw").glob("counts.*")))
    wanted = {word for word, count in zip(counts.words, counts.counts, strict=True) if 5 <= count < 30}
    assert set(data.rarer) == wanted and len(data.rarer) == len(wanted) > 0
    assert data.statistics["rarer_types"] == len(wanted) and plain.rarer == ()
    assert (data.train.symbols == plain.train.symbols).all() and (data.test.counts == plain.test.counts).all()
    path = tmp_path / "wide" / "out" / "rarer.json"
    path.write_text(path.read_text().replace(data.rarer[0], "zzz", 1))
    with pytest.raises(Problem, match=r"expected .*rarer.json with sha256"):
        prepared.load(tmp_path / "wide" / "out")


def test_batches_draw_words_by_frequency(tmp_path):
    data = made(tmp_path)
    batches = order(data.train, 64, 0, 0, 64_000)
    assert len(batches) == 1000 and all(len(batch) == 64 for batch in batches)
    drawn = np.bincount(np.concatenate(batches), minlength=len(data.train)) / 64_000
    p = data.train.counts / data.train.counts.sum()
    assert (np.abs(drawn - p) <= 5 * np.sqrt(p * (1 - p) / 64_000) + 1e-9).all()
    assert [batch.tolist() for batch in order(data.train, 64, 0, 0, 640)] != [
        b.tolist() for b in order(data.train, 64, 0, 1, 640)
    ]
    batch = collate(data.train, batches[0])
    assert batch.x.dtype == torch.int64 and (batch.x.gather(1, batch.lengths[:, None] - 1) == 26).all()


@pytest.mark.parametrize("block", [{"class": "gru_baseline"}, {"class": "state_space", "proposals": 2}], ids=str)
def test_words_are_trained_and_resumed(tmp_path, block):
    """A loss in nats a word; a run that was cut between two steps ends in the same bits."""
    data = made(tmp_path)
    settings = Training.of(
        {"epochs": 2, "batch_size": 32, "learning_rate": 0.02, "clip": 5.0, "drawn": 320}, "training"
    )
    machine = compute.Machine(torch.device("cpu"), "cpu", 1, "fp32")

    def trainer(folder):
        torch.manual_seed(0)
        return Trainer(models.build(block, data.facts()), data, settings, 0, machine, tmp_path / folder)

    class Quiet:
        def __getattr__(self, name):
            return lambda *_: None

    class Never:
        reason = None

    whole = trainer("whole")
    whole.run(Quiet(), Never(), lambda row: None)
    first, second = (row["valid_loss"] for row in whole.history)
    assert len(whole.history) == 2 and second < first and 5 < second < 30  # nats a word
    assert whole.history[0]["steps"] == 10

    class Once:
        asked = 0

        @property
        def reason(self):
            self.asked += 1
            return "cut" if self.asked == 14 else None

    from seqflows.errors import Interrupted

    cut = trainer("cut")
    with pytest.raises(Interrupted):
        cut.run(Quiet(), Once(), lambda row: None)
    again = trainer("cut")
    assert again.resume()
    again.run(Quiet(), Never(), lambda row: None)
    for a, b in zip(whole.model.state_dict().values(), again.model.state_dict().values(), strict=True):
        assert torch.equal(a, b)
    timeless = [{k: v for k, v in row.items() if "second" not in k} for row in whole.history]
    assert timeless == [{k: v for k, v in row.items() if "second" not in k} for row in again.history]


def test_the_number_drawn_has_to_fill_a_batch():
    with pytest.raises(Problem, match=r"training.drawn: expected a whole number of at least batch_size \(32\), got 5"):
        Training.of({"epochs": 2, "batch_size": 32, "learning_rate": 0.02, "drawn": 5}, "training")


def test_a_sample_of_the_tokens_is_split_as_the_whole_is(tmp_path):
    block = {"kind": "words", "source": "embedded-words", "seed": 1, "tokens": 20_000, "stems": 20, "min_count": 1}
    block |= {"valid_tokens": 100, "sample_tokens": 2000}
    download.fetch(block, tmp_path / "raw")
    prepare.prepare(block, tmp_path / "raw", tmp_path / "out", "words")
    statistics = files.read_json(tmp_path / "out" / "statistics.json")
    tokens = {name: split["tokens"] for name, split in statistics["splits"].items()}
    assert tokens == {"train": 1700, "valid": 100, "test": 200} and statistics["tokens"] == 2000
    with pytest.raises(Problem, match="expected sample_tokens of 0 to 20000, .*, got 30000"):
        prepare.prepare(block | {"sample_tokens": 30_000}, tmp_path / "raw", tmp_path / "out", "words")


def test_counts_of_ones_own(tmp_path, monkeypatch):
    lines = "".join(f"{word}\t{count}\n" for word, count in (("the", 60), ("of", 40), ("and", 30), ("a", 99)))
    (tmp_path / "wordfreq").mkdir()
    path = tmp_path / "wordfreq" / "counts.tsv.gz"
    path.write_bytes(gzip.compress(lines.encode(), mtime=0))
    monkeypatch.setenv("SEQFLOWS_MIRROR", str(tmp_path))
    block = {"kind": "words", "source": "own-words", "valid_tokens": 5}
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Problem, match="sha256: expected the file's sha256, 64 hex digits, .*, got 'abc'"):
        download.fetch(block | {"sha256": "abc"}, tmp_path / "raw")
    download.fetch(block | {"sha256": files.sha256(path)}, tmp_path / "raw")
    prepare.prepare(block | {"sha256": files.sha256(path)}, tmp_path / "raw", tmp_path / "out", "words")
    assert files.read_json(tmp_path / "out" / "statistics.json")["types"] == 3  # of two letters and more


def test_a_csv_row_without_its_count(tmp_path):
    with pytest.raises(Problem, match="whole count of at least 1 .* in line 3 of .*x.csv, got ''"):
        lexicon.read(written(tmp_path, "ngram,freq\nthe,5\nof\n", "x.csv"), strict=False)


def test_letters_that_look_like_ours_are_no_words_of_ours(tmp_path):
    found = lexicon.read(written(tmp_path, "ngram,freq\n\u212aing,5\nKing,6\n", "x.csv"), strict=False)
    assert dict(zip(found.words, found.counts.tolist(), strict=True)) == {"king": 6, "\u212aing": 5}


def test_a_damaged_gzip_file(tmp_path):
    path = written(tmp_path, "the\t3\n" * 1000, "x.tsv.gz")
    content = bytearray(path.read_bytes())
    content[12] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(Problem, match="expected a whole gzip file in .*x.tsv.gz"):
        lexicon.read(path)


def test_a_thousand_million_tokens_are_thinned_with_the_right_spread():
    """Drawn without replacement: the variance has the factor (N - n) / (N - 1)."""
    counts = np.array([10**9, 10**9])
    drawn = [lexicon.thinned(np.random.default_rng(seed), counts, 10**9)[0] for seed in range(400)]
    assert np.mean(drawn) == pytest.approx(5e8, abs=5 * 11180 / 20)
    assert np.std(drawn) == pytest.approx((10**9 / 4 / 2) ** 0.5, rel=0.15)
