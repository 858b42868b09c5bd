"""Preparation of choices: questions with five answers about the timed lines of a clip, and vectors of all words.

What is read of the annotations is the question, its answers, the place of the right one, the clip and the time. The
boxes that TVQA+ has for frames carry labels, which name what the question and the right answer name: no input has them.
With a detector's boxes they become targets of attention, of training and validation questions alone; see
`seqflows.data.concepts`.

Legend: N questions, P clips, W words of the vocabulary.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from seqflows.config import corpora, registry
from seqflows.data import concepts, embedded, tokens
from seqflows.data.concepts import Beside, Box, Concepts
from seqflows.data.embedded import dialogues
from seqflows.data.kinds import shared
from seqflows.data.lines import Lines, Passages
from seqflows.data.prepared import SPLITS, Split
from seqflows.data.readers import boxes, tvqa
from seqflows.errors import Problem

SILENCE = "..."  # the one line of a clip in which nothing is said


class Corpus(NamedTuple):
    """The questions of each split, the lines of each clip, and the file that has the lines.

    ``plus`` are the questions of a second test set, which are some of the split test's; none without. ``detected`` are
    the boxes of each frame of the clips, None without a detector, and ``drawn`` those that people drew, by question.
    """

    questions: dict[str, list[tvqa.Question]]
    lines: Mapping[str, list[tvqa.Subtitle]]
    path: Path
    plus: Sequence[tvqa.Question] = ()
    detected: Mapping[str, Sequence[Sequence[Box]]] | None = None
    drawn: Mapping[int, Mapping[int, Sequence[Box]]] = {}


class Clip(NamedTuple):
    """The lines of a clip that have words, by time; ``reversed`` counts those whose end stands before their start."""

    lines: list[tvqa.Subtitle]
    silent: bool
    reversed: int


def prepare(
    block: Mapping[str, Any], raw: Path, source: embedded.Source | None, dataset: str
) -> shared.Prepared:  # fmt: skip
    """Prepare questions with their clips' lines, and a vector for each word of the vocabulary."""
    limits = corpora.block(block)
    corpus = READERS[limits.source](raw)
    kept = {name: checked(corpus.questions[name], f"the {name} split of {raw}") for name in SPLITS}
    kept = {name: found[: block.get(f"{name}_sequences")] for name, found in kept.items()}
    clips = {name: told(found, corpus) for name, found in kept.items()}
    plus = second(corpus, f"the second test set of {raw}")
    shown = {} if corpus.detected is None else beside(corpus.detected, clips, limits.concepts)
    known = vocabulary(kept, clips, shown.values())
    places = {word: place for place, word in enumerate(known)}
    words = shared.embedding(known, limits.dimensions, raw)
    splits, counts = {}, {}
    for name, found in kept.items():
        within = np.array([name == "test" and question.id in plus for question in found])
        passages = replace(encoded(found, clips[name], places), plus=within if within.any() else None)
        if shown:
            drawn = {} if name == "test" else corpus.drawn  # no target of a test question, whatever was drawn
            passages = replace(passages, concepts=seen(found, clips[name], shown, corpus, drawn, places))
        correct = np.array([question.correct for question in found], dtype=np.int32)
        asked = [in_words(passages, index, known, int(place)) for index, place in enumerate(correct)] if source else []
        log_probs = shared.log_probs(source, asked, raw / f"{name} split")
        splits[name] = Split("choices", np.ones(len(found)), correct, log_probs, contexts=passages)
        counts[name] = {"questions": len(corpus.questions[name]), **statistics(splits[name], clips[name], words.known)}
    if plus:
        inside = sum(question.id in plus for question in kept["test"])
        counts["test"] |= {"plus": inside, "plus_missing": len(corpus.plus) - len(plus)}
    content = {
        **{"max_length": 1, "vocabulary": len(known), "dimensions": words.vectors.shape[1], "splits": counts},
        **({"concepts": limits.concepts} if shown else {}),
        "share_with_vector": float(words.known.mean()),
    }
    return shared.Prepared(known, splits, content, words.vectors)


def _embedded(raw: Path) -> Corpus:
    path = raw / dialogues.SUBTITLES
    found = {name: tvqa.questions(raw / f"{name}.jsonl") for name in SPLITS}
    corpus = Corpus(found, tvqa.subtitles(path), path, tvqa.questions(raw / dialogues.PLUS))
    shown = raw / dialogues.DETECTIONS
    return _detected(corpus, shown, [raw / f"{name}.jsonl" for name in SPLITS]) if shown.exists() else corpus


def _descriptions(raw: Path) -> Corpus:
    """TVQA+'s validation questions, with TVR's descriptions of their clips in place of the subtitles."""
    path = raw / "tvr_val_release.jsonl"
    found = tvqa.by_clip(tvqa.questions(raw / "tvqa_plus_val.json"))
    return Corpus(dict(zip(SPLITS, found, strict=True)), tvqa.descriptions(path), path)


def _subtitles(raw: Path) -> Corpus:
    """TVQA's questions with all subtitles of their clips, of the splits of `tvqa.released`.

    Those of TVQA+'s validation split are the second test set: they are some of TVQA's, by the same ids.
    """
    found = _released(raw, "tvqa_train.jsonl", "tvqa_val.jsonl")
    return found._replace(plus=tvqa.questions(raw / "tvqa_plus_val.json"))


def _plus_subtitles(raw: Path) -> Corpus:
    """TVQA+'s questions, whose times are corrected, with the same subtitles."""
    return _released(raw, "tvqa_plus_train.json", "tvqa_plus_val.json")


def _plus_concepts(raw: Path) -> Corpus:
    """TVQA+'s questions and subtitles with what a detector sees, and the boxes of the training file's questions."""
    detections = raw / "tvqa_bbt_frcn_vg_hq_20_100.json"
    return _detected(_plus_subtitles(raw), detections, [raw / "tvqa_plus_train.json"])


def _detected(corpus: Corpus, detections: Path, drawn: Sequence[Path]) -> Corpus:
    clips = {question.clip for found in corpus.questions.values() for question in found}
    boxes_ = {number: frames for path in drawn for number, frames in boxes.drawn(path).items()}
    return corpus._replace(detected=boxes.detected(detections, clips), drawn=boxes_)


def _released(raw: Path, train: str, test: str) -> Corpus:
    path = raw / "tvqa_subtitles.tar.gz"
    return Corpus(dict(zip(SPLITS, tvqa.released(raw, (train, test)), strict=True)), tvqa.subtitles(path), path)


READERS = {  # the questions and lines of a raw folder
    "embedded-dialogues": _embedded,
    "tvqa-choices": _subtitles,
    "tvqa-plus-choices": _plus_subtitles,
    registry.DETECTED: _plus_concepts,
    "tvqa-choices-descriptions": _descriptions,
}


def checked(found: Sequence[tvqa.Question], where: str) -> list[tvqa.Question]:
    """The questions of a split; none, one without a right answer or an id that stands twice is a `Problem`."""
    if not found:
        raise Problem(f"expected questions in {where}, got none; replace the files")
    unknown = [question.id for question in found if question.correct is None]
    if unknown:
        raise Problem(
            f"expected a right answer of the question {unknown[0]} in {where}, got none for {len(unknown)} of "
            f"{len(found)}; replace the files, as the labels of this one are not public"
        )
    again = [name for name, count in Counter(question.id for question in found).items() if count > 1]
    if again:
        raise Problem(f"expected each question's id once in {where}, got {again[0]} again; replace the files")
    return list(found)


def second(corpus: Corpus, where: str) -> set[int]:
    """The ids of the second test set's questions that the split test has; empty without such a set.

    Those that it does not have are left out. None of them in it, or one about another clip, is a `Problem`: then the
    ids are not those of the same questions.
    """
    clips = {question.id: question.clip for question in corpus.questions["test"]}
    for question in corpus.plus:
        if question.id in clips and question.clip != clips[question.id]:
            raise Problem(
                f"expected the question {question.id} in {where} to be about the clip {clips[question.id]}, as in the "
                f"test split, got {question.clip}; replace the files"
            )
    found = {question.id for question in corpus.plus if question.id in clips}
    if corpus.plus and not found:
        raise Problem(f"expected questions of the test split in {where}, got none of their ids; replace the files")
    return found


def told(found: Sequence[tvqa.Question], corpus: Corpus) -> dict[str, Clip]:
    """The clips of some questions, in the order of their first questions.

    Lines without words are left out; a clip without any other has the line `SILENCE`, at the question's time. A line
    that ends before it starts is of the moment of its start.
    """
    clips: dict[str, Clip] = {}
    for question in found:
        if question.clip not in clips:
            said = [
                line for line in tvqa.of_clip(corpus.lines, question.clip, corpus.path) if tokens.tokenize(line.text)
            ]
            lines = [line._replace(end=max(line.start, line.end)) for line in said]
            silent = not lines
            lines = lines or [tvqa.Subtitle(*question.span, SILENCE)]
            clips[question.clip] = Clip(lines, silent, sum(line.end < line.start for line in said))
    return clips


def beside(
    detected: Mapping[str, Sequence[Sequence[Box]]], clips: Mapping[str, Mapping[str, Clip]], most: int
) -> dict[str, Beside]:
    """What is seen beside the lines of each clip; nothing of one that the detector's file does not have."""
    return {
        name: concepts.beside(
            detected.get(name, ()), np.array([line[:2] for line in clip.lines], dtype=np.float64), most
        )
        for found in clips.values()
        for name, clip in found.items()
    }


def seen(
    found: Sequence[tvqa.Question], clips: Mapping[str, Clip], shown: Mapping[str, Beside], corpus: Corpus,
    drawn: Mapping[int, Mapping[int, Sequence[Box]]], places: Mapping[str, int],
) -> Concepts:  # fmt: skip
    """The detected words beside the lines of a split's clips, and its questions' targets, by the boxes ``drawn``."""
    rows, first = [], [0]
    for question in found:
        statement = [*tokens.tokenize(question.text), *tokens.tokenize(question.answers[question.correct])]
        frames, own = corpus.detected.get(question.clip, ()), drawn.get(question.id, {})
        rows += concepts.targets(statement, frames, shown[question.clip], own)
        first.append(len(rows))
    words = [line for clip in clips for line in shown[clip].words]
    return Concepts(
        np.array([places[word] for line in words for word in line], dtype=np.int32),
        np.array([len(line) for line in words], dtype=np.int64),
        np.array(rows, dtype=np.int32).reshape(-1, 4), np.array(first, dtype=np.int64),
    )  # fmt: skip


def vocabulary(
    questions: Mapping[str, Sequence[tvqa.Question]], clips: Mapping[str, Mapping[str, Clip]],
    shown: Iterable[Beside] = (),
) -> list[str]:  # fmt: skip
    """The special tokens and all W words of the splits: a model reads words by their vectors, and writes none.

    Those that are ``shown`` beside the lines are among them, of annotated boxes none.
    """
    texts = {text for found in questions.values() for one in found for text in (one.text, *one.answers)}
    texts |= {line.text for found in clips.values() for clip in found.values() for line in clip.lines}
    words = {word for text in texts for word in tokens.tokenize(text)}
    words |= {word for clip in shown for line in clip.words for word in line}
    return [*tokens.SPECIAL, *sorted(words.difference(tokens.SPECIAL))]


def encoded(found: Sequence[tvqa.Question], clips: Mapping[str, Clip], places: Mapping[str, int]) -> Passages:
    """The clips as passages of their lines; free are those within a question's time, or the nearest one."""
    lines = [line for clip in clips.values() for line in clip.lines]
    order = {name: place for place, name in enumerate(clips)}
    free = []
    for question in found:
        within = np.zeros(len(clips[question.clip].lines), dtype=bool)
        within[tvqa.places(clips[question.clip].lines, question.span)] = True
        free.append(within)
    return Passages(
        lines=Lines.of([line.text for line in lines], places, "a line of the clips"),
        first=np.concatenate([[0], np.cumsum([len(clip.lines) for clip in clips.values()])]).astype(np.int64),
        sources=np.array(list(clips)),
        passage=np.array([order[question.clip] for question in found], dtype=np.int32),
        ids=np.array([str(question.id) for question in found]),
        questions=Lines.of([question.text for question in found], places, "a question"),
        answers=Lines.of([answer for question in found for answer in question.answers], places, "an answer"),
        answered=np.arange(len(found) + 1, dtype=np.int64) * len(tvqa.CANDIDATES),
        free=np.concatenate(free),
        times=np.array([(line.start, line.end) for line in lines], dtype=np.float64),
        spans=np.array([question.span for question in found], dtype=np.float64),
    )


def in_words(passages: Passages, index: int, known: Sequence[str], correct: int) -> dialogues.Told:
    """The words of a question with its context, as the embedded source has them."""

    def words(pool: Lines, place: int) -> tuple[str, ...]:
        return tuple(known[word] for word in pool.words[pool.rows(place)].tolist())

    answers = range(int(passages.answered[index]), int(passages.answered[index + 1]))
    return dialogues.Told(
        [words(passages.lines, int(line)) for line in passages.of(index)], words(passages.questions, index),
        [words(passages.answers, answer) for answer in answers], correct,
    )  # fmt: skip


def statistics(split: Split, clips: Mapping[str, Clip], given: np.ndarray) -> dict[str, Any]:
    """Statistics of a split; ``given`` (W,) says which words have a vector of their own.

    ``beyond`` counts the questions whose time begins after their clip's last line or ends before its first,
    ``nearest`` all those within whose time nothing is said, which have the nearest line instead.
    """
    passages = split.contexts
    assert isinstance(passages, Passages) and passages.times is not None and passages.spans is not None
    own = [passages.of(index) for index in range(len(passages))]
    counts = np.array([len(lines) for lines in own])
    free = np.array([passages.free_of(index).sum() for index in range(len(passages))])
    start, end = passages.spans.T
    first, last = (np.array([pick(passages.times[lines]) for lines in own]) for pick in (np.min, np.max))
    spoken = [passages.times[lines[passages.free_of(index)]] for index, lines in enumerate(own)]
    apart = [not ((one[:, 0] < end[n]) & (one[:, 1] > start[n])).any() for n, one in enumerate(spoken)]
    words = np.concatenate([passages.lines.words, passages.questions.words, passages.answers.words])
    seen_ = passages.concepts
    return {
        **shared.sizes(split),
        "clips": len(clips),
        "silent": sum(clip.silent for clip in clips.values()),
        "reversed": sum(clip.reversed for clip in clips.values()),
        "beyond": int(((start >= last) | (end <= first)).sum()),
        "nearest": int(sum(apart)),
        "mean_lines": float(counts.mean()),
        "mean_localised": float(free.mean()),
        "mean_line": float(passages.lines.lengths.mean()),
        "mean_question": float(passages.questions.lengths.mean()),
        "mean_answer": float(passages.answers.lengths.mean()),
        "share_with_vector": float(given[words].mean()),
        **({} if seen_ is None else {
            "mean_concepts": float(seen_.lengths.mean()), "supervised": int((np.diff(seen_.first) > 0).sum()),
        }),
    }  # fmt: skip
