"""The page of a table of systems that choose an answer: accuracy, and what else is said of answers and their times."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from seqflows import metrics
from seqflows.config.models import Stage, sizes
from seqflows.report.cells import Cell
from seqflows.report.comparisons import Comparison
from seqflows.report.inputs import Results
from seqflows.report.page import Block, Facts, Page, Paragraph, Text, listed
from seqflows.report.pages import compared, contexts, corpora, shared

HEADLINES = ("accuracy", "accuracy_plus")
CHANCE = 20  # percent: one of five answers
# What a real source is, where that bears on the numbers.
# Lei et al. 2020 train attention to image regions by the annotated boxes.
NO_INPUT = "the labels of the annotated boxes, which name what the question and the right answer name, are no input"
UNSUPERVISED = (
    f"without Att. Sup.: its loss is of attention to image regions, and no file of detections is given; {NO_INPUT}"
)
SUPERVISED = (
    "Att. Sup. of {}: its loss is of attention to the words of detected things beside the lines, since image regions "
    f"are not read; the other rows are without it; {NO_INPUT}"
)
# Table 8's caption has TVQA's validation split, its first row TVQA+'s.
SECOND = "Accuracy, TVQA+: over {} questions, those of its validation split; the headline is over all."


def page(results: Results, title: str, cells: Sequence[Cell]) -> Page:
    """The whole page of a table."""
    found = results.present(cells[0].table) if cells else None
    blocks = [*top(results, cells, found), compared.scores(results, cells), *listed(shared.notes(cells))]
    blocks += compared.gains(results, cells, found, HEADLINES, "questions") if found else []
    blocks += [*contexts.blocks(results, cells, found), *beyond(results, cells)]
    return Page(corpora.titled(results, title, cells), blocks)


def top(results: Results, made: Sequence[Cell], found: Comparison | None) -> list[Block]:
    """Scale, corpora, what is not trained on, steps and seeds, and what was not compared."""
    runs = [run for run in shared.runs_of(made).values() if results.metrics(run)]
    items: list[Text] = [
        shared.scale_line(results, made),
        *corpora.lines(results, made),
        supervision(results, made),
        f"steps of training: {shared.listed(shared.steps(results, run) for run in runs)}; {shared.seeds(made)}",
        *compared.absent(results, found),
        *shared.stale(results, made),
        *shared.unlike(results, made),
    ]
    form = (
        f"Each cell: {shared.cell_form(made)} ± standard deviation over seeds (standard error over test questions). "
        f"Chance is {CHANCE} %."
    )
    return [Facts(items), Paragraph(form)]


def supervision(results: Results, made: Sequence[Cell]) -> str:
    """Which rows were trained with a loss of attention."""
    blocks = {label: results.params.run(results.scale, run)["model"] for label, run in shared.runs_of(made).items()}
    labels = [label for label, block in blocks.items() if Stage.filled(sizes(block)).supervised]
    return SUPERVISED.format(shared.listed(labels)) if labels else UNSUPERVISED


def beyond(results: Results, made: Sequence[Cell]) -> list[Block]:
    """What the paper does not print of each run."""
    runs = shared.runs_of(made)
    present = shared.present(results, runs)
    columns = [*metrics.shown(metrics.ANSWERS, present), *filter(None, [metrics.find("parameters")])]
    columns = [column for column in columns if column.name in present and column.name != "accuracy"]
    tables = shared.metric_table(results, runs, columns, error=True)
    if not tables:
        return []
    text = (
        "NLL: nats a question of the right answer, log 5 = 1.609 by chance. The time of the chosen answer is that of\n"
        "its lines, by the intersection over union with the annotated one; the best that any lines reach is beside,\n"
        "and the share of questions with the right answer and an overlap of at least 0.5. Word overlap is no\n"
        "model: the answer with the largest share of words that the clip's lines have, weighed by their rarity."
        f"{_second(results, runs.values())}"
    )
    return shared.section("Beyond the paper", text, *tables)


def _second(results: Results, runs: Iterable[str]) -> str:
    """What the second accuracy is of, with the numbers of questions of both; "" without it."""
    made = [values for run in runs if (values := results.metrics(run)) and "accuracy_plus" in values]
    sizes = [f"{one['accuracy_plus'].sequences:,} of the {one['accuracy'].sequences:,}" for one in made]
    return f"\n{SECOND.format(shared.listed(sizes))}" if sizes else ""
