"""The page of a table of densities of language: bits per dimension of word vectors with noise."""

from __future__ import annotations

from collections.abc import Sequence

from seqflows import metrics
from seqflows.noise import floor
from seqflows.report.cells import NOTHING, Cell, number
from seqflows.report.inputs import Results
from seqflows.report.page import Block, Emphasis, Page, Text
from seqflows.report.pages import sequences, shared

REFERENCES = ("gaussian", "linear", "unigram")  # densities without training


def page(results: Results, title: str, cells: Sequence[Cell]) -> Page:
    """The whole page of a table."""
    top = sequences.top(results, cells, facts(cells))
    return Page(title, [*top, *above_floor(results, cells), *sequences.beyond(results, cells)])


def facts(cells: Sequence[Cell]) -> list[Text]:
    """Notes on numbers bounded below by noise, and on those in the released code's conventions."""
    shown = {cell.metric for cell in cells}
    if "nll_noiseless" in shown:
        bound = f": eq. (6) of the word vectors themselves, bits/dim, which the floor with noise, {floor():.2f}, does "
        code = ", bits/D, as the released code prints its loss"
        parts = Emphasis("no noise"), f"{bound}not bound; ", Emphasis("validation"), " and ", Emphasis("training"), code
        return [parts]
    if not any(cell.unit == "bits/dim" for cell in cells):
        return []
    found: list[Text] = [f"less is better, and no density can be below {floor():.2f} bits/dim, the noise's own entropy"]
    if shown.intersection(REFERENCES):
        found.append(
            "below the models, densities that nothing trains: a Gaussian with the training vectors' moments; one whose "
            "mean is linear in the four vectors before; -log p of each word, by its frequency at its position, with "
            "the noise's own entropy"
        )
    return found


def above_floor(results: Results, cells: Sequence[Cell]) -> list[Block]:
    """The cells in nats per position above the floor, if records have them."""
    rows = {cell: metrics.find(f"{cell.metric}{metrics.ABOVE_FLOOR}") for cell in cells if cell.unit == "bits/dim"}
    found = {cell: results.summary(cell.run, row.name, optional=True) for cell, row in rows.items() if cell.run and row}
    if not any(found.values()):
        return []

    def text(cell: Cell) -> str:
        return number(found[cell], rows[cell].digits) if found[cell] else NOTHING

    return shared.section(
        "Nats a position above the floor",
        f"(bits - ({floor():.3f})) D log 2, D the width of a word vector: a model of h nats a word, with the noise\n"
        "about each word's vector, comes to h.",
        shared.grid(list(found), text),
    )
