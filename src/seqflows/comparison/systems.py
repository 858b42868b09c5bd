"""The questions of a test set, and what each trained seed of each run wrote for them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from seqflows import files, kinds, records
from seqflows.data.embedded import asking
from seqflows.data.prepared import Dataset, Split
from seqflows.errors import Problem

# What a seed's own records say of how they were made.
SIGNATURE = ("dataset", "dataset_sha256", "features_sha256", "train_revision", "config_hash", "device")


class Question(NamedTuple):
    """A test question: its words in lower case, the words that systems read, and the answer's place among them."""

    id: str
    words: list[str]
    context: list[str]
    answer: tuple[int, int] | None

    @property
    def marked(self) -> tuple[list[str], list[str], list[str]]:
        """The context before the answer, the answer, and the context after it; without an answer all before it."""
        first, after = self.answer or (len(self.context), len(self.context))
        return self.context[:first], self.context[first:after], self.context[after:]


class System(NamedTuple):
    """A seed of a run and what it wrote for each question, as words, or for each sentence, as text.

    ``signature`` are the entries of its records that say how they were made; ``sha256`` is that of its texts.
    """

    run: str
    seed: int
    texts: list[Any]
    signature: dict[str, Any]
    sha256: str


def questions(dataset: Dataset) -> list[Question]:
    """The test questions of a prepared dataset, in its order."""
    split = dataset.test
    return [_question(dataset, split, index) for index in range(len(split))]


def _question(dataset: Dataset, split: Split, index: int) -> Question:
    contexts, known = split.contexts, dataset.vocabulary
    answer = None
    if contexts.answer is not None:
        start = contexts.window[index, 0]
        answer = tuple(int(place - start) for place in contexts.answer[index])
    read = [known[word] for word in contexts.words[contexts.rows(index)]]
    return Question(str(contexts.ids[index]), [known[word] for word in split.sequence(index)[:-1]], read, answer)


def likeliest(dataset: Dataset) -> System | None:
    """The system that writes the most probable question of an embedded source, a run without name; None of real data.

    No system can be expected to write better ones.
    """
    texts = asking.likeliest(dataset)
    return None if texts is None else System("", 0, [text.split() for text in texts], {}, "")


def systems(scale: str, run: str, dataset: Dataset, read: Callable[[Path, str], list[Any]]) -> list[System]:
    """The seeds of a run evaluated here or kept; ``read`` gives the texts of its file, with the remedy of its problems.

    Raises:
        Problem: scores or texts that were changed, are of other data, or lack a text.
    """
    content, again = records.metrics(scale, run), f"run: python -m seqflows evaluate {scale}/{run}"
    found = []
    by_seed = {record["seed"]: record for record in content["metrics"]}
    for path in records.wrote(scale, run, kinds.of(dataset.kind).compared):
        seed = records.number(path.parent)
        record, listed = by_seed[seed], content.get("files", {}).get(f"{path.parent.name}/{path.name}")
        sha256 = files.sha256(path) if path.is_file() else "no file"
        if sha256 != listed:
            raise Problem(f"expected {path} with sha256 {listed}, as {run} was evaluated, got {sha256}; {again}")
        if record.get("dataset_sha256") != dataset.sha256:
            raise Problem(f"expected texts of {run} for the present {dataset.name}, got those for other data; {again}")
        signature = {part: record[part] for part in SIGNATURE if part in record}
        found.append(System(run, seed, read(path, again), signature, sha256))
    return found


def questions_of(path: Path, again: str, *, ids: Sequence[str]) -> list[list[str]]:
    """The words of the questions of texts.json, checked to be those with these ``ids``, in their order."""
    try:
        read = [(str(one["id"]), one["hypothesis"].split()) for one in files.read_json(path)["questions"]]
    except (KeyError, TypeError, AttributeError) as error:
        raise Problem(f"expected questions with id and hypothesis in {path}, got others ({error!r}); {again}") from None
    return in_order(read, ids, "test questions", path, again)


def in_order(
    read: Sequence[tuple[Any, Any]], wanted: Sequence[Any], what: str, path: Path, again: str
) -> list[Any]:  # fmt: skip
    """What was ``read`` with its name, checked to be of the ``wanted`` names, in their order."""
    if [name for name, _ in read] != list(wanted):
        got = f"{len(read)} others" if len(read) == len(wanted) else f"{len(read)}"
        raise Problem(f"expected the {len(wanted)} {what} in {path}, in their order, got {got}; {again}")
    return [one for _, one in read]
