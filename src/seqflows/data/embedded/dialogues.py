"""A source of questions about dialogues with timed lines, five answers each of which one rule tells the right one.

A dialogue is some lines, <name> : i <verb> the <noun> ., by few names and of few verbs. No two lines of it have the
same name and verb, or the same noun. A question, what did <name> <verb> ?, is about one of them, whose noun is the
right answer; the others are nouns of other lines. So a reader who joins name and verb within a line is always right,
while all words of all answers stand in the dialogue: by the words alone the answers are alike.

A question's time is that of its line or, half of the time, also of a line next to it.

Legend: V tokens of the vocabulary, D numbers per vector. Seconds.
"""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from seqflows import files
from seqflows.data import concepts
from seqflows.data.embedded import clauses
from seqflows.data.prepared import SPLITS
from seqflows.data.tokens import SPECIAL
from seqflows.errors import Problem

NAME = "embedded-dialogues"
SORTS = ("toy", "tool", "dish", "plant", "cloth", "sign")  # of nouns, all that a detector tells
FUNCTION = ("what", "did", "?", "the", ".", ":", "i")
ANSWERS = 5
LINE, QUESTION, ANSWER = 7, 5, 2  # words
SUBTITLES = "subtitles.tar"
DETECTIONS = "detections.json"  # with ``concepts``
PLUS = "test_plus.json"  # every other question of the test split, as TVQA+'s validation split has some of TVQA's
WIDER = 0.5  # share of questions whose time has a second line


class Told(NamedTuple):
    """The words of a dialogue's lines, of a question about it and of its answers, and the place of the right one."""

    lines: Sequence[Sequence[str]]
    question: Sequence[str]
    answers: Sequence[Sequence[str]]
    correct: int


class Dialogue(NamedTuple):
    """Lines as (name, verb, noun), each with its start and end."""

    lines: list[tuple[str, str, str]]
    times: list[tuple[float, float]]

    def words(self) -> list[list[str]]:
        """The words of each line."""
        return [[name, ":", "i", verb, "the", noun, "."] for name, verb, noun in self.lines]


@dataclass(frozen=True)
class DialogueSource:
    """Dialogues of ``lines`` lines, with up to ``asked`` questions about each.

    ``lexicon`` has the names, verbs and nouns, ``met`` says how many names and verbs a dialogue has at most;
    ``vectors`` (V, D) belong to `vocabulary`. With ``concepts`` a detector sees in a frame of each line as many things,
    whose sorts it tells, one of them that of the line's noun; a question's box has the noun and about its place.
    """

    lexicon: tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]
    lines: int
    met: int
    asked: int
    vectors: np.ndarray
    concepts: int = 0

    @property
    def vocabulary(self) -> list[str]:
        """All tokens that can occur, the special ones first."""
        known = [*SPECIAL, *FUNCTION, *(word for words in self.lexicon for word in words)]
        return [*known, *SORTS] if self.concepts else known

    @property
    def longest(self) -> int:
        """Words of the longest line."""
        return LINE

    def entropy(self) -> float:
        """0 nats: a dialogue and a question determine the right answer."""
        return 0.0

    def mean_length_plus_one(self) -> float:
        """1: an answer is one choice."""
        return 1.0

    def right(self, lines: Sequence[Sequence[str]], question: Sequence[str], answers: Sequence[Sequence[str]]) -> int:
        """The place of the right answer by the rule, or -1 if these lines do not tell exactly one."""
        if len(question) != QUESTION or tuple(question[:2]) != FUNCTION[:2] or question[-1] != FUNCTION[2]:
            return -1
        name, verb = question[2:4]
        nouns = [line[5] for line in lines if len(line) == LINE and (line[0], line[3]) == (name, verb)]
        found = [place for place, answer in enumerate(answers) if nouns and list(answer) == ["the", nouns[0]]]
        return found[0] if len(nouns) == len(found) == 1 else -1

    def log_probs(self, sequences: Iterable[Told]) -> np.ndarray:
        """(N,) log p(right answer | lines, question): 0, or -inf where the rule tells another or none."""
        return np.array([0.0 if self.right(*one[:3]) == one.correct else -np.inf for one in sequences])

    def dialogue(self, rng: np.random.Generator) -> Dialogue:
        """A dialogue, whose lines follow each other with a pause between them."""
        names, verbs = (rng.permutation(len(words))[: self.met] for words in self.lexicon[:2])
        spoken = rng.permutation([(name, verb) for name in names for verb in verbs])[: self.lines]
        nouns = rng.permutation(len(self.lexicon[2]))[: self.lines]
        said = [tuple(words[place] for words, place in zip(self.lexicon, (*both, noun), strict=True))
                for both, noun in zip(spoken, nouns, strict=True)]  # fmt: skip
        ends = rng.integers(15, 40, (self.lines, 2)).cumsum() / 10  # of each pause, and of each line
        return Dialogue(said, list(zip(ends[::2].round(1).tolist(), ends[1::2].round(1).tolist(), strict=True)))

    def questions(self, rng: np.random.Generator, dialogue: Dialogue) -> Iterator[dict[str, Any]]:
        """Questions about different lines of a dialogue, as TVQA has them, without id and clip."""
        for place in rng.permutation(self.lines)[: self.asked].tolist():
            name, verb, noun = dialogue.lines[place]
            others = rng.permutation([line[2] for line in dialogue.lines if line[2] != noun])[: ANSWERS - 1]
            correct = int(rng.integers(ANSWERS))
            answers = [*others[:correct].tolist(), noun, *others[correct:].tolist()]
            first = last = place
            if rng.random() < WIDER:
                first, last = [(max(0, place - 1), place), (place, min(place + 1, self.lines - 1))][rng.integers(2)]
            start, end = dialogue.times[first][0], dialogue.times[last][1]
            yield {
                "q": f"what did {name} {verb} ?",
                **{f"a{number}": f"the {word}" for number, word in enumerate(answers)},
                **{"answer_idx": correct, "ts": f"{start}-{end}"},
            }

    def specification(self) -> dict[str, Any]:
        """The input of `from_specification`."""
        return {
            **{"lexicon": [list(words) for words in self.lexicon], "vectors": self.vectors.tolist()},
            **{"lines": self.lines, "met": self.met, "asked": self.asked, "concepts": self.concepts},
        }

    @classmethod
    def from_specification(cls, value: dict[str, Any]) -> DialogueSource:
        """Restore the source of a `specification`."""
        names, verbs, nouns = (tuple(words) for words in value["lexicon"])
        sizes = (value[name] for name in ("lines", "met", "asked"))
        return cls((names, verbs, nouns), *sizes, np.array(value["vectors"]), value.get("concepts", 0))

    def write(self, folder: Path, rng: np.random.Generator, counts: dict[str, int]) -> None:
        """Write ``train.jsonl``, ``valid.jsonl`` and ``test.jsonl``, ``subtitles.tar`` as TVQA, and ``glove.txt``.

        They have ``counts`` questions, and no dialogue is in two of them. ``test_plus.json`` has every other question
        of the last, in TVQA+'s form.
        """
        told: dict[str, Dialogue] = {}
        seen, number, shown = set(), 0, {}
        for split in SPLITS:
            rows: list[dict[str, Any]] = []
            while len(rows) < counts[split]:
                dialogue = self._another(rng, seen)
                clip = f"{split}_clip_{len(told):05d}"
                told[clip] = dialogue
                for question in list(self.questions(rng, dialogue))[: counts[split] - len(rows)]:
                    rows.append({"qid": number, "vid_name": clip, **question})
                    number += 1
            if self.concepts:
                shown |= self.see(rng, told, rows)
            text = "".join(f"{json.dumps(row)}\n" for row in rows)
            (folder / f"{split}.jsonl").write_text(text, encoding="utf-8", newline="\n")
        files.write_json(folder / PLUS, rows[::2])  # of the last split
        with tarfile.open(folder / SUBTITLES, "w", format=tarfile.USTAR_FORMAT) as archive:
            for clip, dialogue in told.items():
                content = _srt(dialogue).encode()
                entry = tarfile.TarInfo(f"subtitles/{clip}.srt")
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))
        if self.concepts:
            files.write_json(folder / DETECTIONS, shown)
        clauses.write_vectors(folder, self.vocabulary, self.vectors)

    def see(
        self, rng: np.random.Generator, told: dict[str, Dialogue], rows: list[dict[str, Any]]
    ) -> dict[str, dict[str, Any]]:  # fmt: skip
        """What is detected in each frame of the rows' clips, as STAGE's code reads it; adds each row's ``bbox``."""
        found: dict[str, dict[str, Any]] = {}
        for clip in dict.fromkeys(row["vid_name"] for row in rows):
            said, times = told[clip]
            frames = [round(concepts.RATE * sum(time) / 2) for time in times]
            boxes: list[list[list[int]]] = [[] for _ in range(frames[-1])]
            labels: list[list[str]] = [[] for _ in range(frames[-1])]
            for frame, (_, _, noun) in zip(frames, said, strict=True):
                others = rng.permutation([sort for sort in SORTS if sort != self.sort(noun)])[: self.concepts - 1]
                labels[frame - 1] = rng.permutation([self.sort(noun), *others.tolist()]).tolist()
                corners = rng.integers(0, 8, 2) * 10 + np.arange(self.concepts)[:, None] * 200  # apart from each other
                boxes[frame - 1] = np.concatenate([corners, corners + rng.integers(60, 100, corners.shape)], 1).tolist()
            found[clip] = {"boxes": boxes, "object": labels}
        for row in rows:
            answer = row[f"a{row['answer_idx']}"].split()[-1]
            said, times = told[row["vid_name"]]
            (place,) = [number for number, line in enumerate(said) if line[2] == answer]
            frame = round(concepts.RATE * sum(times[place]) / 2)
            one = found[row["vid_name"]]
            left, top, right, bottom = one["boxes"][frame - 1][one["object"][frame - 1].index(self.sort(answer))]
            drawn = {"left": left + 3, "top": top, "width": right - left, "height": bottom - top - 3}
            row["bbox"] = {str(frame): [{"img_id": frame, "label": answer.capitalize(), **drawn}]}
        return found

    def sort(self, noun: str) -> str:
        """What a detector calls a thing of this name."""
        return SORTS[self.lexicon[2].index(noun) % len(SORTS)]

    def _another(self, rng: np.random.Generator, seen: set[tuple[tuple[str, str, str], ...]]) -> Dialogue:
        """A dialogue of other lines than those ``seen``, among which it then is."""
        for _ in range(clauses.TRIES):
            dialogue = self.dialogue(rng)
            if (lines := tuple(dialogue.lines)) not in seen:
                seen.add(lines)
                return dialogue
        raise Problem(
            f"expected another dialogue than the {len(seen)} there are, got none in {clauses.TRIES} draws; raise "
            "lexicon or lines in params.yaml"
        )


def _srt(dialogue: Dialogue) -> str:
    """A dialogue as a file of subtitles, with the speaker's name in parentheses."""
    blocks = []
    for number, ((name, verb, noun), (start, end)) in enumerate(zip(*dialogue, strict=True), 1):
        blocks.append(f"{number}\n{_clock(start)} --> {_clock(end)}\n({name}:)i {verb} the {noun} .\n")
    return "\n".join(blocks)


def _clock(seconds: float) -> str:
    """Seconds as ``00:01:02,500``.

    >>> _clock(62.5)
    '00:01:02,500'
    """
    whole, part = divmod(round(1000 * seconds), 1000)
    return f"{whole // 3600:02d}:{whole // 60 % 60:02d}:{whole % 60:02d},{part:03d}"


def build(options: dict[str, Any], rng: np.random.Generator) -> DialogueSource:
    """Build the source of a seed: ``lexicon`` content words, ``lines`` of a dialogue, its ``met`` names and verbs."""
    lexicon, lines, met = options["lexicon"], options["lines"], options["met"]
    sizes = [(lexicon + place) // 3 for place in range(3)]
    if not ANSWERS <= lines <= min(met * met, sizes[2]) or met > min(sizes[:2]):
        raise Problem(
            f"expected lines of at least {ANSWERS}, and of at most met x met and the nouns, {sizes[2]}, and met of at "
            f"most the names and verbs, {min(sizes[:2])}, for {NAME}, got lines {lines}, met {met}; correct the "
            "dataset in params.yaml"
        )
    lists = (clauses.NAMES, clauses.VERBS, clauses.NOUNS)
    words = tuple(known[:size] for known, size in zip(lists, sizes, strict=True))
    concepts_ = options["concepts"]
    if concepts_ > len(SORTS):
        raise Problem(
            f"expected concepts of at most the sorts of things, {len(SORTS)}, for {NAME}, got {concepts_}; correct the "
            "dataset in params.yaml"
        )
    count = len(SPECIAL) + len(FUNCTION) + lexicon + len(SORTS) * (concepts_ > 0)
    return DialogueSource(
        words, lines, met, options["asked"], clauses.vectors(rng, count, options["dimensions"]), concepts_
    )
