"""The page of a table of models of sequences: characters, music, vectors."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from seqflows import metrics
from seqflows.report.cells import NOTHING, Cell, number
from seqflows.report.inputs import Results
from seqflows.report.page import Block, Facts, Page, Paragraph, Text, listed
from seqflows.report.pages import corpora, shared

EXCESS = metrics.find("excess")._replace(digits=2)  # whole sequences have hundreds of nats


def page(results: Results, title: str, cells: Sequence[Cell]) -> Page:
    """The whole page of a table."""
    music = any(results.params.kind(cell.run) == "music" for cell in cells if cell.run)
    below = literature(results, cells) if music else []
    return Page(title, [*top(results, cells), *below, *beyond(results, cells, excess=not music)])


def top(results: Results, cells: Sequence[Cell], facts: Sequence[Text] = ()) -> list[Block]:
    """Scale, corpora, device, samples, seeds and the ``facts`` of a kind; the paper's table with ours; its notes."""
    headline = [cell.summary for cell in cells if cell.summary and cell.summary.metric in ("nll", "nll_code")]
    counts = shared.listed(str(one.samples) for one in headline if one.samples)
    drawn = {metrics.find(one.metric, one.unit).drawn for one in headline if one.samples}
    items = [
        shared.scale_line(results, cells),
        *corpora.lines(results, cells),
        "; ".join([*(f"{of}: {counts}" for of in drawn), shared.seeds(cells)]),
        *facts,
        *shared.stale(results, cells),
        *shared.unlike(results, cells),
    ]
    form = f"Each cell: {shared.cell_form(cells)} ± standard deviation over seeds (standard error over test sequences)."
    return [Facts(items), Paragraph(form), shared.reported_table(results, cells), *listed(shared.notes(cells))]


def literature(results: Results, cells: Sequence[Cell]) -> list[Block]:
    """The same NLLs per T and without log p(T), and the excess over the source, if known."""
    empty = f"{NOTHING} / " * any(cell.reported for cell in cells)

    def text(cell: Cell) -> Text:
        return shared.beside(cell, results.summary(cell.run, "nll_literature", optional=True), empty)

    convention = "Per time step T (not T + 1), without log p(T)."
    blocks = shared.section("The literature's convention", convention, shared.grid(cells, text))
    excess = {cell: results.summary(cell.run, EXCESS.name, optional=True) for cell in cells if cell.run}
    known = [cell for cell, found in excess.items() if found]
    if known:
        above = shared.grid(known, lambda cell: number(excess[cell], EXCESS.digits))
        mean = "Mean of (model's NLL - source's NLL), nats a test sequence with its length; its expectation is >= 0."
        blocks += shared.section("Above the source", mean, above)
    return blocks


def beyond(results: Results, cells: Sequence[Cell], *, excess: bool = True) -> list[Block]:
    """Numbers that the paper does not print, a row per run: terms of the bound, NLL by K, effective sample size."""
    runs = shared.runs_of(cells)
    present = shared.present(results, runs)
    columns = metrics.shown(metrics.BEYOND, present)
    columns += [EXCESS] if excess and "excess" in present else []
    if not columns:
        return []
    text = ""
    if "elbo" in present:
        text = (
            "NLL by importance sampling with K samples; -ELBO = reconstruction + KL, where the\n"
            "table's reconstruction contains -log p(T) and the pure one does not; ESS: effective sample size of the\n"
            f"importance weights of all {_drawn(results, runs.values())} samples drawn; near 1 the NLL is a loose bound"
        )
    if "nll_sentences" in present:
        text += ("; " if text else "") + (
            "NLL by sentence: as Lippe & Gavves 2021\n"
            "score, the length given, the mean of each sentence's own bits per symbol, `<unk>` one symbol"
        )
    if "excess" in present:
        text += ("; e" if text else "E") + "xcess: NLL above the source's, with its length"
    return shared.section("Beyond the paper", f"{text}." if text else "", *shared.metric_table(results, runs, columns))


def _drawn(results: Results, runs: Iterable[str]) -> str:
    """``50, 100``: of how many samples the runs' effective sample sizes are."""
    found = {one.samples for run in runs if (one := results.summary(run, "ess", optional=True))}
    return ", ".join(map(str, sorted(found)))
