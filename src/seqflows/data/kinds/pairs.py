"""Preparation of pairs: questions, each with the window of a passage around its answer, and vectors of all words.

Paraphrases are such pairs too: the passage is the sentence to be reworded, which has no answer.

The vocabulary has the special tokens, then the most frequent words of training, which can be written, then all other
words of any split, which can only be copied from a context.

Legend: N questions, P passages, V words that can be written, W words of the vocabulary.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from seqflows.config import corpora
from seqflows.data import embedded, tokens
from seqflows.data.embedded.asking import Asked
from seqflows.data.kinds import shared
from seqflows.data.prepared import SPLITS, Contexts, Split
from seqflows.data.readers import paraphrases, squad, tvqa
from seqflows.errors import Problem

END = tokens.SPECIAL.index(tokens.END)
SEPARATOR = "|"


class Passage(NamedTuple):
    """The words of a context, and the article or clip that it is from, "" if its file does not say."""

    words: tuple[str, ...]
    article: str


class Pair(NamedTuple):
    """A question about a passage, whose answer is the words ``first`` to ``after`` - 1 of it.

    ``cut`` says that the passage had more words, which its window would not have.
    """

    id: str
    words: tuple[str, ...]
    passage: Passage
    first: int
    after: int
    cut: bool = False

    def window(self, size: int) -> tuple[int, int]:
        """``size`` words of the passage with the answer in their middle, or as near to it as the passage's ends allow.

        >>> passage = Passage(tuple("abcdefgh"), "")
        >>> Pair("", (), passage, 1, 2).window(4), Pair("", (), passage, 4, 5).window(4)
        ((0, 4), (3, 7))
        """
        start = self.first - (size - (self.after - self.first)) // 2
        start = max(0, min(start, len(self.passage.words) - size))
        return start, min(start + size, len(self.passage.words))


class Corpus(NamedTuple):
    """The different pairs of each split, the number of questions that were read for it, and whether they have answers.

    Without answers, a pair's ``first`` and ``after`` only place its window.
    """

    pairs: dict[str, list[Pair]]
    questions: dict[str, int]
    answered: bool = True


def prepare(
    block: Mapping[str, Any], raw: Path, source: embedded.Source | None, dataset: str
) -> shared.Prepared:  # fmt: skip
    """Prepare questions with their windows, and a vector for each word of the vocabulary."""
    limits = corpora.block(block)
    if source is not None and (source.longest > limits.window or source.longest_question > limits.question_length):
        raise Problem(
            f"expected window and question_length of at least {source.longest} and {source.longest_question} for the "
            f"embedded source in {raw}, got {limits.window} and {limits.question_length}: cutting would falsify the "
            "known probabilities; correct the dataset in params.yaml, or run download again"
        )
    corpus = READERS[limits.source](raw, limits.window)
    kept, counts = {}, {}
    for name in SPLITS:
        found, read = corpus.pairs[name], corpus.questions[name]
        within, dropped = limited(found, limits, f"the {name} split of {raw}", drop=name == "train")
        kept[name] = within[: block.get(f"{name}_sequences")]
        counts[name] = {"questions": read, "repeated": read - len(found), **dropped, "kept": len(within)}
    known, outputs = vocabulary(kept, limits.vocabulary_size, raw)
    places = {word: place for place, word in enumerate(known)}
    splits = {}
    for name, pairs in kept.items():
        asked = [Asked(pair.words, pair.passage.words, (pair.first, pair.after)) for pair in pairs]
        log_probs = shared.log_probs(source, asked, raw / f"{name} split")
        splits[name] = encoded(pairs, places, limits.window, log_probs, corpus.answered)
    words = shared.embedding(known, limits.dimensions, raw)
    for name, split in splits.items():
        counts[name] |= statistics(kept[name], split, outputs, words.known)
    content = {
        **{"max_length": limits.question_length, "window": limits.window, "outputs": outputs},
        **{"vocabulary": len(known), "dimensions": words.vectors.shape[1], "splits": counts},
        "share_with_vector": float(words.known.mean()),
    }
    return shared.Prepared(known, splits, content, words.vectors)


def _squad_parts(raw: Path, window: int) -> Corpus:
    """Questions of SQuAD, of the part of the official training split that public files have."""
    return _squad(squad.public(raw))


def _squad_full(raw: Path, window: int) -> Corpus:
    """Questions of SQuAD."""
    return _squad(squad.whole(raw))


def _squad(found: squad.Parts) -> Corpus:
    pairs = {name: different(parts, found.everywhere and name == "train") for name, parts in found.splits.items()}
    return Corpus(pairs, found.questions)


def _embedded(raw: Path, window: int) -> Corpus:
    return _squad(squad.by_split(raw, SPLITS))


def _tvqa_descriptions(raw: Path, window: int) -> Corpus:
    """TVQA+'s validation questions, with TVR's descriptions of their clips in place of the subtitles."""
    path = raw / "tvr_val_release.jsonl"
    found = tvqa.by_clip(tvqa.questions(raw / "tvqa_plus_val.json"))
    return _tvqa(found, tvqa.descriptions(path), tvqa.nearest_first, path, window)


def _tvqa_subtitles(raw: Path, window: int) -> Corpus:
    """TVQA's questions with their localised subtitles, of the splits of `tvqa.released`."""
    path = raw / "tvqa_subtitles.tar.gz"
    return _tvqa(tvqa.released(raw), tvqa.subtitles(path), tvqa.localized, path, window)


def _tvqa(
    splits: Sequence[Sequence[tvqa.Question]], lines: Mapping[str, list[tvqa.Subtitle]],
    chosen: Callable[[Sequence[tvqa.Subtitle], tuple[float, float]], str], path: Path, window: int,
) -> Corpus:  # fmt: skip
    """Pairs of TVQA: a passage is what is told of the question's clip, a `SEPARATOR` and the right answer.

    Words are cut before the separator. A question counts once for each clip.
    """
    pairs: dict[str, list[Pair]] = {}
    for name, questions in zip(SPLITS, splits, strict=True):
        found: dict[tuple[str, str], Pair] = {}
        for question, text in zip(questions, tvqa.told(lines, questions, chosen, path), strict=True):
            answer = [] if question.correct is None else tokens.tokenize(question.answers[question.correct])
            if not answer:
                raise Problem(f"expected a right answer of the question {question.id}, got none; replace its file")
            told, room = tokens.tokenize(text), max(0, window - 1 - len(answer))
            passage = Passage((*told[:room], SEPARATOR, *answer), question.clip)
            words, first = tuple(tokens.tokenize(question.text)), len(passage.words) - len(answer)
            pair = Pair(str(question.id), words, passage, first, len(passage.words), len(told) > room)
            found.setdefault((question.clip, squad.identity(question.text) or question.text), pair)
        pairs[name] = list(found.values())
    return Corpus(pairs, {name: len(questions) for name, questions in zip(SPLITS, splits, strict=True)})


def _msr(raw: Path, window: int) -> Corpus:
    """Paraphrases of the corpus's two files, both ways.

    By the sha256 of its sentences a tenth of the pairs is for validation and another for test; a training pair has no
    sentence of theirs.
    """
    found = [pair for name in ("train", "test") for pair in paraphrases.read(raw / f"{name}.txt")]
    parts = [tvqa.part(f"{pair.first}\t{pair.second}") for pair in found]
    splits = {"valid": tvqa.VALID, "test": tvqa.TEST}
    kept = {name: [pair for pair, part in zip(found, parts, strict=True) if part in of] for name, of in splits.items()}
    held = {squad.identity(text) for pairs in kept.values() for pair in pairs for text in pair[:2]}
    train = [pair for pair in found if not {squad.identity(text) for text in pair[:2]} & held]
    seen = {squad.identity(text) for pair in kept["valid"] for text in pair[:2]}
    test = [pair for pair in kept["test"] if not {squad.identity(text) for text in pair[:2]} & seen]
    return _reworded({"train": train, "valid": kept["valid"], "test": test}, both=True)


def _embedded_paraphrases(raw: Path, window: int) -> Corpus:
    return _reworded({name: paraphrases.read(raw / f"{name}.txt") for name in SPLITS}, both=False)


def _reworded(splits: Mapping[str, Sequence[paraphrases.Paraphrase]], both: bool) -> Corpus:
    """Each different pair of sentences as a passage and its rewording, and with ``both`` the other way round."""
    pairs, read = {}, {}
    for name, sentences in splits.items():
        found: dict[tuple[tuple[str, ...], tuple[str, ...]], Pair] = {}
        ways = [(way, pair) for pair in sentences for way in ((0, 1), (1, 0))[: 1 + both]]
        for (given, told), pair in ways:
            passage = Passage(tuple(tokens.tokenize(pair[given])), "")
            words = tuple(tokens.tokenize(pair[told]))
            id_ = f"{pair.ids[given]}-{pair.ids[told]}"
            found.setdefault((passage.words, words), Pair(id_, words, passage, 0, 1))
        pairs[name], read[name] = list(found.values()), len(ways)
    return Corpus(pairs, read, answered=False)


READERS = {  # the pairs of a raw folder
    "embedded-paraphrases": _embedded_paraphrases,
    "msr-paraphrases": _msr,
    "embedded-questions": _embedded,
    "squad-questions": _squad_parts,
    "squad-questions-full": _squad_full,
    "tvqa-descriptions": _tvqa_descriptions,
    "tvqa-questions-subtitles": _tvqa_subtitles,
}


def different(parts: Mapping[str, list[squad.Article]], everywhere: bool = False) -> list[Pair]:
    """The questions of `squad.different` with their first answers."""
    found, known = [], {}
    for one in squad.different(parts, everywhere):
        if one.context not in known:
            known[one.context] = tokens.spans(one.context)
        passage, words = Passage(one.words, one.title), tuple(tokens.tokenize(one.question.text))
        found.append(Pair(one.id, words, passage, *shared.answered(one.question, known[one.context])))
    return found


def limited(
    pairs: Sequence[Pair], limits: corpora.Pairs | corpora.EmbeddedQuestions, where: str, drop: bool
) -> tuple[list[Pair], dict[str, int]]:  # fmt: skip
    """The pairs within the limits, and the numbers of others.

    A training question (``drop``) is left out if it is too long to be written or if its answer is longer than the
    window. Validation and test keep every question, so that such an answer is a `Problem`.
    """
    fit = [pair for pair in pairs if pair.after - pair.first <= limits.window]
    if len(fit) < len(pairs) and not drop:
        wide = next(pair for pair in pairs if pair not in fit)
        raise Problem(
            f"expected answers of at most {limits.window} words, which a window can have, in {where}, got "
            f"{wide.after - wide.first} words in {wide.id}; raise window in params.yaml"
        )
    kept = [pair for pair in fit if not drop or len(pair.words) < limits.question_length]
    if not kept:
        raise Problem(
            f"expected questions of at most {limits.question_length} words with their end, and answers of at most "
            f"{limits.window}, in {where}, got none among {len(pairs)}; raise question_length or window in "
            "params.yaml, or replace the files"
        )
    again = [name for name, count in Counter(pair.id for pair in kept).items() if count > 1]
    if again:
        raise Problem(f"expected each question's id once in {where}, got {again[0]} again; replace the files")
    return kept, {"dropped_long": len(fit) - len(kept), "dropped_answer": len(pairs) - len(fit)}


def vocabulary(pairs: Mapping[str, Sequence[Pair]], size: int, raw: Path) -> tuple[list[str], int]:
    """All W words of the splits, and V.

    The first V are the special tokens and the ``size`` most frequent words of training, where a passage counts once,
    however many questions it has; the others follow by the alphabet.
    """
    trained = tokens.vocabulary(_texts(pairs["train"]), 1, size, f"the training split of {raw}")
    words = {word for found in pairs.values() for text in _texts(found) for word in text}
    return [*trained, *sorted(words.difference(trained))], len(trained)


def _texts(pairs: Sequence[Pair]) -> list[tuple[str, ...]]:
    return [*(passage.words for passage in _passages(pairs)), *(pair.words for pair in pairs)]


def _passages(pairs: Iterable[Pair]) -> dict[Passage, int]:
    """The place of each passage, in the order of their first questions."""
    return {passage: place for place, passage in enumerate(dict.fromkeys(pair.passage for pair in pairs))}


def encoded(
    pairs: Sequence[Pair], places: Mapping[str, int], window: int, source_log_prob: np.ndarray | None = None,
    answered: bool = True,
) -> Split:  # fmt: skip
    """The questions' ids with the end symbol, and their contexts."""
    passages = _passages(pairs)
    symbols = [place for pair in pairs for place in (*(places[word] for word in pair.words), END)]
    contexts = Contexts(
        np.array([places[word] for passage in passages for word in passage.words], dtype=np.int32),
        np.array([len(passage.words) for passage in passages], dtype=np.int64),
        np.array([passage.article for passage in passages]),
        np.array([passages[pair.passage] for pair in pairs], dtype=np.int32),
        np.array([pair.window(window) for pair in pairs], dtype=np.int32),
        np.array([(pair.first, pair.after) for pair in pairs], dtype=np.int32) if answered else None,
        np.array([pair.id for pair in pairs]),
    )
    lengths = np.array([len(pair.words) + 1 for pair in pairs])
    return Split("pairs", lengths, np.array(symbols, dtype=np.int32), source_log_prob, contexts=contexts)


def statistics(pairs: Sequence[Pair], split: Split, outputs: int, given: np.ndarray) -> dict[str, Any]:
    """Statistics of a split, encoded from ``pairs``; ``given`` (W,) says which words have a vector of their own.

    Of the words of its questions, without the end symbol, those outside the first ``outputs`` are ``copied`` if they
    are in the window, and else ``unknown``.
    """
    contexts = split.contexts
    assert contexts is not None
    copied = unknown = 0
    for index in range(len(split)):
        rare = split.sequence(index)[split.sequence(index) >= outputs]
        inside = int(np.isin(rare, contexts.words[contexts.rows(index)]).sum()) if len(rare) else 0
        copied, unknown = copied + inside, unknown + len(rare) - inside
    words = split.symbols[split.symbols != END]
    cut = np.array([pair.cut for pair in pairs]) | (contexts.sizes < contexts.lengths[contexts.paragraph])
    return {
        **shared.sizes(split),
        "paragraphs": len(contexts.lengths),
        "articles": len(set(contexts.articles.tolist()) - {""}),
        "mean_paragraph": float(contexts.lengths.mean()),
        "mean_window": float(contexts.sizes.mean()),
        **({} if contexts.answer is None else {"mean_answer": float(np.diff(contexts.answer).mean())}),
        "share_cut": float(cut.mean()),
        "share_copied": copied / len(words),
        "share_unknown": unknown / len(words),
        "share_with_vector": float(given[words].mean()),
    }
