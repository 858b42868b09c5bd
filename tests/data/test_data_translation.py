"""Translation's data: subwords, cleaning, held-out pairs, the source of numbers and dates, and what is prepared."""

from __future__ import annotations

import gzip
import io
import zipfile
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqflows import files
from seqflows.config import corpora, registry
from seqflows.data import download, embedded, prepare, prepared, subwords
from seqflows.data.embedded import numerals
from seqflows.data.kinds import translation
from seqflows.errors import Problem

DEMO = {"kind": "translation", "source": "embedded-numbers", "train": 120, "valid": 20, "test": 31}
DEMO |= {"vocabulary_size": 320, "max_length": 30}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("numbers")
    download.fetch(DEMO, folder / "raw")
    prepare.prepare(DEMO, folder / "raw", folder / "prepared", "numbers")
    return folder


@pytest.fixture(scope="module")
def encoder():
    words = ("unu", "doi", "trei", "patru", "cinci", "one", "two", "three", "caf\u00e9", "\u0219i", "\u021bar\u0103")
    texts = [f"{first} {second}" for first in words for second in words]
    return subwords.Encoder(subwords.learn(texts, 320, "the test"))


# subwords


@settings(max_examples=200, deadline=None)
@given(st.text(st.sampled_from("one tw\u0219\u00e9\u4e2d\U0001f600<>0xA&\u00a0\u200b\u0301/s")))
def test_every_text_comes_back_from_its_subwords(encoder, text):
    (ids,) = encoder.encode([text], "the test")
    assert all(id >= 4 for id in ids)
    assert subwords.decode(ids, encoder.vocabulary) == " ".join(text.split())
    assert subwords.decode([2, *ids, 3, 0], encoder.vocabulary) == " ".join(text.split())


def test_special_tokens_come_first_then_bytes_and_the_model_is_a_function_of_the_text(encoder):
    assert encoder.vocabulary[:4] == ["<pad>", "<unk>", "<s>", "</s>"]
    assert encoder.vocabulary[4:260] == [f"<0x{byte:02X}>" for byte in range(256)]
    texts = ["one two three", "unu doi trei"] * 20
    first, second = (subwords.learn(texts, 290, "the test") for _ in range(2))
    assert first == second != subwords.learn([*texts[::-1], "four"], 290, "the test")


def test_a_space_that_would_be_lost_is_a_problem(encoder):
    with pytest.raises(Problem, match="expected text 2 of the test to come back"):
        encoder.encode(["one", "one\u2581two"], "the test")


def test_a_model_of_another_corpus_or_of_nothing_is_a_problem(encoder, made):
    model = (made / "prepared" / "subwords.model").read_bytes()
    own = files.read_json(made / "prepared" / "vocabulary.json")
    assert subwords.Encoder(model, own).vocabulary == own
    with pytest.raises(Problem, match="a model of another corpus"):
        subwords.Encoder(model, encoder.vocabulary)
    with pytest.raises(Problem, match="expected a model of sentencepiece"):
        subwords.Encoder(b"nothing", own)
    with pytest.raises(Problem, match="change vocabulary_size"):
        subwords.learn(["one"], 5000, "the test")


# the source


def test_numbers_have_one_meaning_in_each_language():
    source = numerals.NumberSource(10_000, 0.0, 0.75, "ro-en")
    for number in range(0, 10_000, 7):
        (text,) = source.forms("ro", number)
        found = source.translations(text)
        assert set(found) == {numerals.english(number, True), numerals.english(number, False)}
        assert sum(found.values()) == pytest.approx(1)


def test_numbers_and_dates_are_said_as_people_do():
    assert numerals.romanian(2222) == "dou\u0103 mii dou\u0103 sute dou\u0103zeci \u0219i doi"
    assert numerals.romanian(1016) == "o mie \u0219aisprezece" and numerals.romanian(60) == "\u0219aizeci"
    assert numerals.english(9999, True) == "nine thousand nine hundred and ninety-nine"
    source = numerals.NumberSource(100, 1.0, 0.75, "ro-en")
    date = numerals.Date(1, 5, 1904)
    romanian = source.forms("ro", date)
    assert romanian == {
        "\u00eent\u00e2i mai o mie nou\u0103 sute patru": 0.75, "unu mai o mie nou\u0103 sute patru": 0.25,
    }  # fmt: skip
    for text in romanian:
        assert source.translations(text) == {
            "May the first , nineteen oh four": 0.75, "the first of May , nineteen oh four": 0.25,
        }  # fmt: skip


@pytest.mark.parametrize("direction", ("ro-en", "en-ro"))
def test_no_two_meanings_share_a_text_and_the_entropy_is_that_of_the_forms(direction):
    source = numerals.NumberSource(1000, 0.5, 0.8, direction)
    meanings, p = source._meanings
    for language in numerals.LANGUAGES:
        counts = Counter(text for meaning in meanings for text in source.forms(language, meaning))
        assert max(counts.values()) == 1, language
    assert p.sum() == pytest.approx(1)
    two = -(0.8 * np.log(0.8) + 0.2 * np.log(0.2))
    share = sum(q for meaning, q in zip(meanings, p, strict=True) if len(source._known[meaning]) == 2)
    assert source.entropy() == pytest.approx(share * two) and 0 < share < 1
    assert source.log_probs([numerals.Translated("nothing", "at all")])[0] == -np.inf


def test_the_written_files_have_the_sources_probabilities_and_no_meaning_twice(tmp_path):
    block = DEMO | {"train": 3000, "dates": 0.7}
    download.fetch(block, tmp_path / "raw")
    source = embedded.read(tmp_path / "raw")
    lines = {lang: [one for s in prepared.SPLITS for one in (tmp_path / f"raw/{s}.{lang}").read_text().splitlines()]
             for lang in numerals.LANGUAGES}  # fmt: skip
    read = [source._read[text] for text in lines["ro"]]
    assert len(set(read)) == len(read) == 3051
    both = [(one, two) for one, two, meaning in zip(lines["ro"], lines["en"], read, strict=True)
            if len(source._known[meaning]) == 2]  # fmt: skip
    usual = sum(source.translations(one)[two] == 0.8 for one, two in both) / len(both)
    assert abs(usual - 0.8) < 5 * (0.16 / len(both)) ** 0.5
    dates = [np.mean([isinstance(m, numerals.Date) for m in part]) for part in (read[:3000], read[3000:])]
    assert abs(dates[0] - dates[1]) < 0.35  # the rarer kind is not left for the last split
    with pytest.raises(Problem, match="lower train, valid or test"):
        download.fetch(DEMO | {"dates": 0.0, "train": 5000}, tmp_path / "more")


# what is prepared


def test_a_prepared_dataset_has_its_sentences_their_sets_and_probabilities(made):
    dataset = prepared.load(made / "prepared")
    raw = {lang: (made / "raw" / f"test.{lang}").read_text().splitlines() for lang in ("ro", "en")}
    split = dataset.test
    assert len(split) == 31 and dataset.statistics["sets"] == ["first half", "second half"]
    assert [str(part) for part in split.contexts.articles] == ["first half"] * 16 + ["second half"] * 15
    for place in range(31):
        ids = split.sequence(place)
        assert ids[-1] == 3 and 3 not in ids[:-1]
        assert subwords.decode(ids, dataset.vocabulary) == raw["en"][place]
        words = split.contexts.words[split.contexts.rows(place)]
        assert subwords.decode(words, dataset.vocabulary) == raw["ro"][place]
    source = embedded.read(made / "raw")
    pairs = [numerals.Translated(*both) for both in zip(raw["ro"], raw["en"], strict=True)]
    assert np.allclose(split.source_log_prob, source.log_probs(pairs))
    facts = dataset.facts()
    assert (facts.emission, facts.symbols, facts.outputs, facts.window) == ("pieces", 320, 320, 30)
    assert (dataset.vectors, facts.vectors, facts.features) == (None, None, 0)


def test_both_directions_have_the_same_subwords_and_pairs(made, tmp_path):
    block = DEMO | {"direction": "en-ro"}
    download.fetch(block, tmp_path / "raw")
    prepare.prepare(block, tmp_path / "raw", tmp_path / "prepared", "numbers")
    one, other = prepared.load(made / "prepared"), prepared.load(tmp_path / "prepared")
    assert one.vocabulary == other.vocabulary
    for name in prepared.SPLITS:
        first, second = getattr(one, name), getattr(other, name)
        assert first.contexts.ids.tolist() == second.contexts.ids.tolist()
        for place in range(len(first)):
            source = second.contexts.words[second.contexts.rows(place)]
            assert first.sequence(place)[:-1].tolist() == source.tolist()


def test_a_changed_subword_model_is_refused(made, tmp_path):
    prepare.prepare(DEMO, made / "raw", tmp_path / "again", "numbers")
    with open(tmp_path / "again" / "subwords.model", "ab") as file:
        file.write(b" ")
    with pytest.raises(Problem, match=r"expected .*subwords.model with sha256"):
        prepared.load(tmp_path / "again")


# real files


def _raw(folder, **changes):
    """Files in the layout of the laptop's source, as a raw folder; by name, lists of lines."""
    words = ("unu", "doi", "trei", "patru", "cinci", "\u0219ase", "\u0219apte", "opt", "nou\u0103", "zece")
    other = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
    count = 60
    ro = [f"{words[n % 10]} {words[n // 10]} ." for n in range(count)]
    en = [f"{other[n % 10]} {other[n // 10]} ." for n in range(count)]
    content = {"extra_train.ro": ro, "extra_train.en": en}
    content["extra_train.origin"] = ["mlqepe-train" if n < 20 else "tatoeba" for n in range(count)]
    for name in ("newsdev2016", "newstest2016"):
        content |= {f"{name}.ro": ["doi unu ! " * (9 if name == "newsdev2016" else 1)], f"{name}.en": ["two one!"]}
    content |= changes
    folder.mkdir()
    for name, lines in content.items():
        (folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    prepared.seal(folder)
    return folder


LAPTOP = {"kind": "translation", "source": "wmt16-roen-extra", "vocabulary_size": 300, "held_out": 10, "max_length": 12}


def _prepared(folder, block=None, **changes):
    raw = _raw(folder / "raw", **changes)
    prepare.prepare(LAPTOP | (block or {}), raw, folder / "prepared", "wmt16")
    return prepared.load(folder / "prepared")


def _texts(split, vocabulary):
    return [subwords.decode(split.sequence(place), vocabulary) for place in range(len(split))]


def test_pairs_are_held_out_by_seed_and_their_sentences_are_not_in_training(tmp_path):
    (tmp_path / "a").mkdir(), (tmp_path / "b").mkdir()
    found = _prepared(tmp_path / "a")
    assert len(found.valid) == 10
    both = set(_texts(found.train, found.vocabulary)) & set(_texts(found.valid, found.vocabulary))
    assert not both and len(found.train) + 10 == 60
    other = _prepared(tmp_path / "b", {"held_out_seed": 1})
    assert found.valid.contexts.ids.tolist() != other.valid.contexts.ids.tolist()


def test_a_training_pair_with_a_held_out_sentence_is_dropped_and_counted(tmp_path):
    words = [f"w{place}" for place in range(30)] * 2
    found = _prepared(tmp_path, **{"extra_train.en": words, "extra_train.origin": ["tatoeba"] * 60})
    assert found.statistics["splits"]["train"]["dropped_held_out"] > 0
    assert not set(_texts(found.train, found.vocabulary)) & set(_texts(found.valid, found.vocabulary))


def test_long_pairs_are_dropped_from_training_alone(tmp_path):
    long = {"extra_train.en": ["one " * 30 if n == 59 else f"two {n}" for n in range(60)]}
    found = _prepared(tmp_path, **long)
    train = found.statistics["splits"]["train"]
    assert train["pairs"] - train["within"] == 1 or found.valid.lengths.max() > 30
    assert found.train.lengths.max() <= 13 and found.train.contexts.sizes.max() <= 12
    assert found.test.contexts.sizes[0] > 12 and len(found.test) == 2


@pytest.mark.parametrize("source", ("wmt16-roen-extra", "wmt16-roen-extra-l10n"))
def test_questions_of_squads_development_set_are_neither_trained_on_nor_held_out(tmp_path, source):
    """The translators write contexts that readers are trained with, and these are tested on such questions."""
    origins = ["xquad-questions" if n % 3 else "tatoeba" for n in range(60)]
    asked = {"extra_train.en": [f"what is w{n}" if n % 3 else f"it is w{n}" for n in range(60)]}
    more = {f"l10n_train.{end}": ["meniu", "fi\u0219ier"] for end in ("ro", "en", "origin")}
    found = _prepared(tmp_path, {"source": source}, **asked, **more, **{"extra_train.origin": origins})
    assert found.statistics["changed"]["dropped_tested"] == 40
    assert len(found.train) + len(found.valid) == 20 + 2 * (source == "wmt16-roen-extra-l10n")
    for split in (found.train, found.valid):
        assert not [text for text in _texts(split, found.vocabulary) if text.startswith("what")]
        assert "xquad-questions" not in split.contexts.articles


def test_cedillas_and_tokenised_lines_are_changed_and_counted(tmp_path):
    counts = Counter()
    assert translation.comma_below("\u015e\u0162 \u0219", counts) == "\u0218\u021a \u0219"
    assert counts["cedilla_letters"] == 2
    pairs = [translation.Pair("a", "\u201e Da \u201d , zice el .", "\" Yes \" , he says .", "mlqepe-dev"),
             translation.Pair("b", "Da , .", "Yes , .", "ntrex")]  # fmt: skip
    first, second = translation.detokenised(pairs, counts)
    assert (first.ro, first.en) == ("\u201eDa\u201d, zice el.", '"Yes", he says.')
    assert second == pairs[1] and counts["detokenised_pairs"] == 1
    found = _prepared(tmp_path)
    assert found.statistics["changed"] == {"cedilla_letters": 0, "dropped_tested": 0, "detokenised_pairs": 20}
    assert "one one." in _texts(found.train, found.vocabulary) + _texts(found.valid, found.vocabulary)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"newsdev2016.en": ["a", "b"]}, "expected as many lines .* got 1 in newsdev2016.ro, 2 in newsdev2016.en"),
        ({"newstest2016.ro": [""]}, "expected a sentence in line 1 of .*newstest2016.ro, got none"),
        ({"extra_train.en": ["a"] * 3 + [" "] + ["b"] * 56}, "expected a sentence in line 4 of .*extra_train.en"),
        ({"extra_train.origin": ["x"]}, "60 in extra_train.ro, 60 in extra_train.en, 1 in extra_train.origin"),
        ({"newsdev2016.ro": ["\u2581 a"]}, "U\\+2581"),
    ],
)
def test_bad_parallel_files_are_problems_and_leave_nothing(tmp_path, changes, message):
    with pytest.raises(Problem, match=message):
        _prepared(tmp_path, **changes)
    assert not (tmp_path / "prepared").exists()


def test_too_many_held_out_pairs_and_no_short_pair_are_problems(tmp_path):
    raw = _raw(tmp_path / "raw")
    for block, message in (({"held_out": 60}, "lower held_out"), ({"max_length": 1}, "raise max_length")):
        with pytest.raises(Problem, match=message):
            prepare.prepare(LAPTOP | block, raw, tmp_path / "prepared", "wmt16")


def test_of_the_official_data_pairs_with_an_empty_side_are_dropped_and_counted(tmp_path):
    raw = _raw(tmp_path / "raw")
    (raw / prepared.CHECKSUMS).unlink()
    for name in ("ro", "en"):
        lines = (raw / f"extra_train.{name}").read_text().splitlines()
        (raw / f"europarl.{name}").write_text("\n".join([*lines, "" if name == "ro" else "x"]) + "\n")
        (raw / f"setimes.{name}").write_text("\n".join(lines) + "\n")
    prepared.seal(raw)
    prepare.prepare(LAPTOP | {"source": "wmt16-roen"}, raw, tmp_path / "prepared", "wmt16")
    found = prepared.load(tmp_path / "prepared").statistics
    assert found["changed"]["dropped_empty"] == 1 and set(found["splits"]["train"]["parts"]) == {"europarl", "setimes"}


# from the network


def test_the_files_of_a_gzip_file_and_of_a_zip_archive_arrive(tmp_path, monkeypatch):
    texts = {"a.txt": b"one\n", "b.txt": b"two\n", "c.txt": b"three\n"}
    packed, zipped = gzip.compress(texts["a.txt"]), io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as archive:
        for name in ("b.txt", "c.txt"):
            archive.writestr(f"inside/{name}", texts[name])
    served = {"http://here/a.gz": packed, "http://here/bc.zip": zipped.getvalue()}
    names = {name: files.sha256(_written(tmp_path / name, content)) for name, content in texts.items()}
    listed = (
        registry.File("a.txt", "x/a.txt", "http://here/a.gz", names["a.txt"]),
        registry.File("b.txt", "x/b.txt", "http://here/bc.zip", None, "inside/b.txt"),
        registry.File("c.txt", "x/c.txt", "http://here/bc.zip", names["c.txt"], "inside/c.txt"),
    )
    source = registry.Source("translation", listed, "none", "nobody", "nowhere")
    monkeypatch.setitem(registry.SOURCES, "wmt16-roen", source)
    monkeypatch.delenv("SEQFLOWS_MIRROR", raising=False)

    class Served:
        def __init__(self, file, cache):
            self.path = _written(cache / "arrived", served[file.url])

        def __enter__(self):
            return self.path

        def __exit__(self, *_):
            pass

    monkeypatch.setattr(download, "_retrieved", Served)
    block = {"kind": "translation", "source": "wmt16-roen", "vocabulary_size": 300, "sha256": {"b.txt": names["b.txt"]}}
    download.fetch(block, tmp_path / "raw", tmp_path / "cache")
    assert {name: (tmp_path / "raw" / name).read_bytes() for name in texts} == texts
    served["http://here/a.gz"] = packed[:-9]
    with pytest.raises(Problem, match="expected a whole gzip file at http://here/a.gz"):
        download.fetch(block, tmp_path / "raw", tmp_path / "other")
    served["http://here/a.gz"], served["http://here/bc.zip"] = packed, b"no zip"
    with pytest.raises(Problem, match="expected a whole zip file"):
        download.fetch(block, tmp_path / "raw", tmp_path / "other")
    with pytest.raises(Problem, match="expected sha256"):
        download.fetch(block | {"sha256": {}}, tmp_path / "raw", tmp_path / "other")


def _written(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_the_block_of_every_source_is_typed():
    for source in translation.READERS:
        assert corpora.KINDS[source] == "translation"
    assert set(translation.READERS) == {name for name, kind in corpora.KINDS.items() if kind == "translation"}
