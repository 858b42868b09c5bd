"""Preparation of questions that a span of a passage answers, the passage's sentences being lines of their own.

The vocabulary has the special tokens, then the words of training, the most frequent first, then all other words.

Legend: N questions, P passages, L lines.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from seqflows.config import corpora
from seqflows.data import embedded, sentences, tokens
from seqflows.data.embedded.asking import Asked
from seqflows.data.kinds import shared
from seqflows.data.lines import Lines, Passages, starts
from seqflows.data.prepared import SPLITS, Split
from seqflows.data.readers import squad
from seqflows.errors import Problem

LONGEST = 15  # words of the longest span that readers look for, see `seqflows.models.span_reader`
READERS = {  # the articles of a raw folder
    "embedded-answers": lambda raw: squad.by_split(raw, SPLITS),
    "squad-answers": squad.public,
    "squad-answers-full": squad.whole,
}


class Span(NamedTuple):
    """A question with the line of its passage that has its answer, and the answer's first and last word there.

    ``free`` says of each line of the passage whether it holds no answer of this question.
    """

    asked: squad.Chosen
    line: int
    first: int
    last: int
    free: tuple[bool, ...]


class Text(NamedTuple):
    """A passage: its lines' first and last characters in the paragraph's text, and the words' in each line."""

    lines: tuple[tuple[int, int], ...]
    words: tuple[list[tuple[int, int]], ...]


def prepare(
    block: Mapping[str, Any], raw: Path, source: embedded.Source | None, dataset: str
) -> shared.Prepared:  # fmt: skip
    """Prepare questions with the lines of their passages.

    Validation and test keep every question; training has each once, about passages within the limit.
    """
    limits = corpora.block(block)
    if source is not None and max(source.longest, source.longest_question - 1) > limits.window:
        raise Problem(
            f"expected a window of at least {source.longest} for the embedded source in {raw}, got {limits.window}: "
            "leaving questions out would falsify the known probabilities; correct the dataset in params.yaml, or run "
            "download again"
        )
    parts = READERS[limits.source](raw)
    kept: dict[str, list[squad.Chosen]] = {}
    counts: dict[str, dict[str, Any]] = {}
    for name in SPLITS:
        train, of = name == "train", parts.splits[name]
        found = squad.different(of, parts.everywhere) if train else list(squad.every(of))
        within = _limited(found, limits.window, f"the {name} split of {raw}", drop=train)
        kept[name] = ordered(within, limits.order if train else None)[: block.get(f"{name}_sequences")]
        counts[name] = {
            **{"questions": parts.questions[name], "repeated": parts.questions[name] - len(found)},
            **{"dropped_long": len(found) - len(within), "kept": len(within)},
        }
    spans, texts = {}, {}
    for name, found in kept.items():
        texts[name] = passages(found)
        spans[name] = [placed(one, texts[name][one.context]) for one in found]
    known = vocabulary(kept, raw)
    places = {word: place for place, word in enumerate(known)}
    splits = {}
    for name, found in spans.items():
        pairs = [
            Asked(tokens.tokenize(one.asked.question.text), one.asked.words, _whole(one, texts[name])) for one in found
        ]
        log_probs = shared.log_probs(source, pairs, raw / f"{name} split")
        splits[name] = encoded(found, texts[name], places, log_probs)
        counts[name] |= statistics(splits[name])
    widest = max(int(split.contexts.sizes.max()) for split in splits.values())
    content = {"max_length": ANSWER, "window": widest, "vocabulary": len(known), "splits": counts}
    return shared.Prepared(known, splits, content)


ANSWER = 3  # symbols of an answer: its line, and its first and last word there


def _limited(found: Sequence[squad.Chosen], window: int, where: str, drop: bool) -> list[squad.Chosen]:
    """The questions about passages of up to ``window`` words; validation and test keep all (``drop`` false)."""
    within = [one for one in found if not drop or len(one.words) <= window]
    if not within:
        raise Problem(
            f"expected questions about passages of at most {window} words in {where}, got none among {len(found)}; "
            "raise window in params.yaml, or replace the files"
        )
    again = [name for name, count in Counter(one.id for one in within).items() if count > 1]
    if again:
        raise Problem(f"expected each question's id once in {where}, got {again[0]} again; replace the files")
    return within


def ordered(found: Sequence[squad.Chosen], seed: int | None) -> list[squad.Chosen]:
    """The questions in a random order of a seed, whose first ones are a sample; for None as they are."""
    if seed is None:
        return list(found)
    return [found[place] for place in np.random.default_rng(seed).permutation(len(found))]


def passages(found: Sequence[squad.Chosen]) -> dict[str, Text]:
    """The passage of each paragraph's text, its sentences joined where an answer of these questions lies in several."""
    whole: dict[str, list[tuple[int, int]]] = {}
    for one in found:
        answers = [(answer.start, answer.start + len(answer.text)) for answer in one.question.answers]
        whole.setdefault(one.context, []).extend(answers)
    texts = {}
    for context, answers in whole.items():
        lines = tuple(sentences.split(context, answers))
        texts[context] = Text(lines, tuple(tokens.spans(context[start:end]) for start, end in lines))
    return texts


def placed(one: squad.Chosen, text: Text) -> Span:
    """Where a question's first answer is, and which lines hold none of its answers.

    Raises `Problem` if the words there are not the answer's: its offset would be wrong.
    """
    answers = [(answer.start, answer.start + len(answer.text)) for answer in one.question.answers]
    free = tuple(not any(a < end and b > start for a, b in answers) for start, end in text.lines)
    words = [(start + first, start + after) for (start, _), line in zip(text.lines, text.words, strict=True)
             for first, after in line]  # fmt: skip
    first, after = shared.answered(one.question, words)
    firsts = starts(np.array([len(line) for line in text.words]))
    line = int(np.searchsorted(firsts, first, side="right")) - 1
    answer, (found, _), (_, end) = one.question.answers[0], words[first], words[after - 1]
    if after > firsts[line + 1] or answer.text.strip() not in one.context[found:end]:
        raise Problem(
            f"expected the answer {answer.text!r} of {one.id} in one line, got {one.context[found:end]!r}: "
            "its offset is wrong; replace its file"
        )
    return Span(one, line, first - int(firsts[line]), after - 1 - int(firsts[line]), free)


def _whole(one: Span, texts: Mapping[str, Text]) -> tuple[int, int]:
    """The answer's first word in the whole passage, and the one after its last."""
    before = sum(len(words) for words in texts[one.asked.context].words[: one.line])
    return before + one.first, before + one.last + 1


def vocabulary(kept: Mapping[str, Sequence[squad.Chosen]], raw: Path) -> list[str]:
    """The words of training by frequency, where a passage counts once, then the others by the alphabet."""
    trained = tokens.vocabulary(_texts(kept["train"]), 1, None, f"the training split of {raw}")
    words = {word for found in kept.values() for text in _texts(found) for word in text}
    return [*trained, *sorted(words.difference(trained))]


def _texts(found: Sequence[squad.Chosen]) -> list[Sequence[str]]:
    contexts = dict.fromkeys((one.title, one.words) for one in found)
    return [*(words for _, words in contexts), *(tokens.tokenize(one.question.text) for one in found)]


def encoded(
    spans: Sequence[Span], texts: Mapping[str, Text], places: Mapping[str, int], log_probs: np.ndarray | None = None
) -> Split:
    """The answers' places, and the questions with their passages."""
    of = {(span.asked.title, span.asked.context): None for span in spans}
    number = {passage: place for place, passage in enumerate(of)}
    listed = [texts[context].lines for _, context in of]
    contexts = Passages(
        lines=Lines.of((text[a:b] for (_, text), lines in zip(of, listed, strict=True) for a, b in lines), places),
        first=starts(np.array([len(lines) for lines in listed])),
        sources=np.array([title for title, _ in of]),
        passage=np.array([number[span.asked.title, span.asked.context] for span in spans], dtype=np.int32),
        ids=np.array([span.asked.id for span in spans]),
        questions=Lines.of([span.asked.question.text for span in spans], places, "a question"),
        answers=Lines.of([one.text for span in spans for one in span.asked.question.answers], places, "an answer"),
        answered=starts(np.array([len(span.asked.question.answers) for span in spans])),
        free=np.array([free for span in spans for free in span.free]),
    )
    symbols = np.array([(span.line, span.first, span.last) for span in spans], dtype=np.int32)
    return Split("spans", np.full(len(spans), ANSWER), symbols.ravel(), log_probs, contexts=contexts)


def statistics(split: Split) -> dict[str, Any]:
    """Statistics of a split, of its lines, and of what may be replaced."""
    found = split.contexts
    assert isinstance(found, Passages)
    _, first, last = split.symbols.reshape(-1, ANSWER).T
    free = np.add.reduceat(found.free.astype(int), found.offsets[:-1])
    return {
        **shared.sizes(split),
        "passages": len(found.sources),
        "articles": len(set(found.sources.tolist()) - {""}),
        "lines": len(found.lines),
        "mean_lines": float(np.diff(found.first).mean()),
        "mean_line": float(found.lines.lengths.mean()),
        "mean_passage": float(np.diff(found.lines.offsets[found.first]).mean()),
        "longest_passage": int(found.sizes.max()),
        "mean_question": float(found.questions.lengths.mean()),
        "mean_answer": float((last - first + 1).mean()),
        "share_long_answers": float((last - first >= LONGEST).mean()),
        "mean_free": float(free.mean()),
        "share_without_free": float((free == 0).mean()),
    }
