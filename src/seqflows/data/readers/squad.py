"""SQuAD v1.1: articles, their paragraphs, and questions whose answers are spans of the paragraph."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any, NamedTuple

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


class Splits(NamedTuple):
    """Articles by split, and the number of training paragraphs dropped as repeated."""

    train: list[Article]
    valid: list[Article]
    test: list[Article]
    repeated: int


def read(path: Path, identified: bool = True) -> list[Article]:
    """The articles of a file in the official layout.

    Unless ``identified``, a missing id of a question is its place in the file. Raises `Problem` with the
    place for invalid JSON, a missing key, a value of another type, an empty context, or an answer that is not
    at its offset.
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
        text = take(question, "question", str, at)
        id_ = take(question, "id", str, at) if identified or "id" in question else f"{name}-{number}"
        answers = tuple(_answer(answer, context, at) for answer in take(question, "answers", list, at))
        questions.append(Question(id_, text, answers))
    return Paragraph(context, tuple(questions))


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
        question = Question(f"{number}", take(row, "question", str, where), (Answer(answer, start),))
        found.setdefault(context, []).append(question)
    paragraphs = tuple(Paragraph(context, tuple(questions)) for context, questions in found.items())
    return _some([Article("", paragraphs)], path)


_TOKENIZED = (("context", str), ("answer", str), ("span", list))


def split(train: list[Article], development: list[Article]) -> Splits:
    """Split by article: the training set, and the halves of the development set for validation and test.

    Tang et al. (2021, sections 4 and A.2) follow Zhang & Bansal (2019) in halving the development set and show results
    on the second half; the list is not published. Here the articles stay in their file's order and the first half of
    them, rounded down, is for validation. Titles and paragraphs of the development set are dropped from training,
    repeated paragraphs are kept once, and none is in both halves; two are equal if their letters and digits are.
    """
    if len(development) < 2:
        raise Problem(
            f"expected at least 2 development articles to halve, got {len(development)}; replace the development file"
        )
    half = len(development) // 2
    seen: set[str] = set()
    test, _ = without_repeated(development[half:], seen)
    valid, _ = without_repeated([a for a in development[:half] if a.title not in {b.title for b in test}], seen)
    titles = {article.title for article in development}
    others = [article for article in train if article.title not in titles]
    left_out = sum(len(article.paragraphs) for article in train if article.title in titles)
    kept, repeated = without_repeated(others, seen)
    return Splits(kept, valid, test, left_out + repeated)


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
