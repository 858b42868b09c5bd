"""SQuAD v1.1: articles, their paragraphs, and questions whose answers are spans of the paragraph."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from seqflows.data import tokens
from seqflows.data.readers import strict_json
from seqflows.data.readers.strict_json import take
from seqflows.errors import Problem


class Answer(NamedTuple):
    """An answer: ``text`` begins at character ``start`` of its paragraph's context."""

    text: str
    start: int


class Question(NamedTuple):
    """A question and its answers: one in the training data, several in the development set."""

    id: str
    text: str
    answers: tuple[Answer, ...]


class Paragraph(NamedTuple):
    """A paragraph and its questions."""

    context: str
    questions: tuple[Question, ...]


class Article(NamedTuple):
    """A Wikipedia article's title and paragraphs."""

    title: str
    paragraphs: tuple[Paragraph, ...]


class Chosen(NamedTuple):
    """A question among those that differ: its id beside those of other files, and its paragraph with its words."""

    id: str
    question: Question
    title: str
    context: str
    words: tuple[str, ...]


class Parts(NamedTuple):
    """Articles by split, and in it by what stands before their questions' ids.

    ``questions`` is the number of questions that were read for each split; ``everywhere`` says that a question of
    training counts once, whatever its paragraph.
    """

    splits: dict[str, dict[str, list[Article]]]
    questions: dict[str, int]
    everywhere: bool


class Splits(NamedTuple):
    """Articles by split, and the number of training paragraphs dropped as repeated."""

    train: list[Article]
    valid: list[Article]
    test: list[Article]
    repeated: int


def read(path: Path, identified: bool = True) -> list[Article]:
    """The articles of a file in the official layout.

    Unless ``identified``, a missing id of a question is its place in the file. Raises `Problem` with the
    place for invalid JSON, a missing key, a value of another type, an empty context or question, or an answer that is
    not at its offset.
    """
    articles = []
    for number, entry in enumerate(take(strict_json.whole(path), "data", list, str(path))):
        where = f"article {number} of {path}"
        title = take(entry, "title", str, where)
        paragraphs = take(entry, "paragraphs", list, where)
        read_one = [
            _paragraph(paragraph, f"paragraph {place} of {where}", f"{number}-{place}", identified)
            for place, paragraph in enumerate(paragraphs)
        ]
        articles.append(Article(title, tuple(read_one)))
    return _some(articles, path)


def _some(articles: list[Article], path: Path) -> list[Article]:
    if not any(article.paragraphs for article in articles):
        raise Problem(f"expected articles with paragraphs in {path}, got none; replace the file")
    return articles


def _paragraph(entry: Any, where: str, name: str, identified: bool) -> Paragraph:
    context = take(entry, "context", str, where)
    if not context.strip():
        raise Problem(f"expected text as context in {where}, got none; replace the file")
    questions = []
    for number, question in enumerate(take(entry, "qas", list, where)):
        at = f"question {number} of {where}"
        text = _asked(question, at)
        id_ = take(question, "id", str, at) if identified or "id" in question else f"{name}-{number}"
        answers = tuple(_answer(answer, context, at) for answer in take(question, "answers", list, at))
        questions.append(Question(id_, text, answers))
    return Paragraph(context, tuple(questions))


def _asked(entry: Any, where: str) -> str:
    text = take(entry, "question", str, where)
    if not text.strip():
        raise Problem(f"expected a question in {where}, got {text!r}; replace the file")
    return text


def _answer(entry: Any, context: str, where: str) -> Answer:
    answer = Answer(take(entry, "text", str, where), take(entry, "answer_start", int, where))
    found = context[answer.start : answer.start + len(answer.text)] if answer.start >= 0 else ""
    if found != answer.text or not answer.text:
        raise Problem(
            f"expected the answer {answer.text!r} at character {answer.start} of the context of {where}, got "
            f"{found!r}; replace the file"
        )
    return answer


def read_tokenized(path: Path) -> list[Article]:
    """The paragraphs of a file with one question and its tokenized context per line, as one untitled article.

    Keys: context, question, answer, and span, the places of the answer's first and last token (one row of the public
    file has them the other way round). Tokens are separated by spaces; an answer may be a part of its span. Raises
    `Problem` with the line for anything else.
    """
    found: dict[str, list[Question]] = {}
    for number, (where, row) in enumerate(strict_json.by_line(path)):
        context, answer, span = (take(row, key, kind, where) for key, kind in _TOKENIZED)
        words = context.split(" ")
        if len(span) != 2 or any(type(place) is not int or not 0 <= place < len(words) for place in span):
            raise Problem(
                f"expected span to be two places among the {len(words)} tokens of {where}, got {span}; replace the file"
            )
        first, last = sorted(span)
        inside = " ".join(words[first : last + 1])
        if answer not in inside or not answer:
            raise Problem(f"expected the answer {answer!r} in the span of {where}, got {inside!r}; replace the file")
        start = sum(len(word) + 1 for word in words[:first]) + inside.index(answer)
        question = Question(f"{number}", _asked(row, where), (Answer(answer, start),))
        found.setdefault(context, []).append(question)
    paragraphs = tuple(Paragraph(context, tuple(questions)) for context, questions in found.items())
    return _some([Article("", paragraphs)], path)


_TOKENIZED = (("context", str), ("answer", str), ("span", list))


def read_reattached(path: Path, others: Mapping[str, list[Article]]) -> list[Article]:
    """The questions of a file that refers to paragraphs of ``others``, one a line, as one untitled article.

    Keys: question, answer, answer_start, file (a name of ``others``, whose single article has the paragraph) and
    paragraph (its place there); a file that is not among ``others`` stands for the row's own context. Raises `Problem`
    with the line for anything else, and for an answer that is not at its offset.
    """
    paragraphs = []
    for number, (where, row) in enumerate(strict_json.by_line(path)):
        listed = others.get(take(row, "file", str, where))
        if listed is None:
            context = take(row, "context", str, where)
        else:
            ((_, known),) = listed
            place = take(row, "paragraph", int, where)
            if not 0 <= place < len(known):
                raise Problem(
                    f"expected paragraph to be a place among {len(known)} in {where}, got {place}; replace the file"
                )
            context = known[place].context
        answer = {"text": take(row, "answer", str, where), "answer_start": take(row, "answer_start", int, where)}
        question = Question(f"{number}", _asked(row, where), (_answer(answer, context, where),))
        paragraphs.append(Paragraph(context, (question,)))
    return _some([Article("", tuple(paragraphs))], path)


def split(train: list[Article], development: list[Article]) -> Splits:
    """Split by article: the training set, and the `halves` of the development set for validation and test.

    Titles and paragraphs of the development set are dropped from training, and repeated paragraphs are kept once; two
    are equal if their letters and digits are.
    """
    valid, test = halves(development)
    kept, _ = without_repeated(apart(train, development), set())
    return Splits(kept, valid, test, len(contexts(train)) - len(contexts(kept)))


def public(raw: Path) -> Parts:
    """SQuAD, whose training split is the part of the official one that public files have.

    The files overlap, so that each question counts once, whatever its paragraph.
    """
    titled, splinter = (read(raw / name) for name in ("du_test-v1.1.json", "train_splinter_paragraphs.json"))
    extra = read(raw / "train_extra_paragraphs.json", identified=False)
    others = {"train_splinter_paragraphs": splinter, "train_extra_paragraphs": extra}
    train = {
        "": [*titled, *splinter],  # the others have no ids of their own
        "extra-": extra,
        "cs224n-": read_tokenized(raw / "cs224n_val.jsonl"),
        "reattached-": read_reattached(raw / "train_reattached_questions.jsonl", others),
    }
    return _parts(train, raw, everywhere=True)


def whole(raw: Path) -> Parts:
    """The whole of SQuAD; a question that stands in several paragraphs counts in each."""
    return _parts({"": read(raw / "train-v1.1.json")}, raw, everywhere=False)


def _parts(train: Mapping[str, list[Article]], raw: Path, everywhere: bool) -> Parts:
    """Splits of SQuAD; the halves of the development set, no part of which is in training, validate and test."""
    development = read(raw / "dev-v1.1.json")
    valid, test = halves(development)
    splits = {
        "train": {name: apart(found, development) for name, found in train.items()},
        "valid": {"": valid},
        "test": {"": test},
    }
    found = {"train": [one for articles in train.values() for one in articles], "valid": valid, "test": test}
    return Parts(splits, {name: len(questions(one)) for name, one in found.items()}, everywhere)


def by_split(raw: Path, names: Collection[str]) -> Parts:
    """The splits of an embedded source, a file each."""
    found = {name: read(raw / f"{name}.json") for name in names}
    splits = {name: {"": articles} for name, articles in found.items()}
    return Parts(splits, {name: len(questions(articles)) for name, articles in found.items()}, everywhere=False)


def every(parts: Mapping[str, list[Article]]) -> Iterator[Chosen]:
    """All questions of articles, in order; the name of a part stands before its ids."""
    for prefix, articles in parts.items():
        for title, paragraph in ((one.title, paragraph) for one in articles for paragraph in one.paragraphs):
            words = tuple(tokens.tokenize(paragraph.context))
            for question in paragraph.questions:
                yield Chosen(prefix + question.id, question, title, paragraph.context, words)


def different(parts: Mapping[str, list[Article]], everywhere: bool = False) -> list[Chosen]:
    """The questions of articles: each once in a passage, or once in all ``parts``.

    Questions are the same if their letters and digits are, passages if their words are.
    """
    found: dict[tuple[Any, str], Chosen] = {}
    for one in every(parts):
        passage = None if everywhere else (one.words, one.title)
        found.setdefault((passage, identity(one.question.text) or one.question.text), one)
    return list(found.values())


def apart(train: list[Article], development: list[Article]) -> list[Article]:
    """The training articles without titles and paragraphs of the development set."""
    titles, seen = {article.title for article in development}, set(map(identity, contexts(development)))
    kept = []
    for title, paragraphs in train:
        others = tuple(paragraph for paragraph in paragraphs if identity(paragraph.context) not in seen)
        if title not in titles and others:
            kept.append(Article(title, others))
    return kept


def halves(development: list[Article]) -> tuple[list[Article], list[Article]]:
    """The halves of the development set, for validation and test, which share no title and no paragraph.

    Tang et al. (2021, sections 4 and A.2) follow Zhang & Bansal (2019) in halving the development set and show results
    on the second half; the list is not published. Here the articles stay in their file's order and the first half of
    them, rounded down, is for validation.
    """
    if len(development) < 2:
        raise Problem(
            f"expected at least 2 development articles to halve, got {len(development)}; replace the development file"
        )
    half = len(development) // 2
    seen: set[str] = set()
    test, _ = without_repeated(development[half:], seen)
    valid, _ = without_repeated([a for a in development[:half] if a.title not in {b.title for b in test}], seen)
    return valid, test


def without_repeated(articles: list[Article], seen: set[str]) -> tuple[list[Article], int]:
    """The articles without ``seen`` paragraphs, and how many these were; adds the others to ``seen``."""
    kept, repeated = [], 0
    for article in articles:
        paragraphs = []
        for paragraph in article.paragraphs:
            name = identity(paragraph.context)
            if name in seen:
                repeated += 1
            else:
                paragraphs.append(paragraph)
                seen.add(name)
        if paragraphs:
            kept.append(Article(article.title, tuple(paragraphs)))
    return kept, repeated


def identity(text: str) -> str:
    """A text's letters and digits in lower case, equal for its raw and tokenized forms.

    >>> identity('The "U.S." team.') == identity("the '' U.S. '' team .")
    True
    """
    return "".join(filter(str.isalnum, text.lower()))


def contexts(articles: Collection[Article]) -> list[str]:
    """The paragraphs' texts, in order."""
    return [paragraph.context for article in articles for paragraph in article.paragraphs]


def questions(articles: Collection[Article]) -> list[Question]:
    """The questions of all paragraphs, in order."""
    return [question for article in articles for paragraph in article.paragraphs for question in paragraph.questions]
