"""The page of a table of models of words: cross entropies and the other metrics of words."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from seqflows import metrics
from seqflows.report.cells import Cell
from seqflows.report.inputs import EXACT, IMPORTANCE, TRAJECTORIES, Results
from seqflows.report.page import Block, Emphasis, Facts, Page, Paragraph, Strong, Text, listed
from seqflows.report.pages import corpora, shared

TEST = "cross_entropy_test"
LITERAL = {"entropy_gap", "known", "unique_known"}  # the readings in the paper's own table


def page(results: Results, title: str, cells: Sequence[Cell]) -> Page:
    """The whole page of a table."""
    blocks = [*header(results, cells), shared.reported_table(results, cells)]
    blocks += listed([*notes(cells), *shared.terms(cells)])
    for part in (halves, trajectories, readings, beyond):
        blocks += part(results, cells)
    return Page(title, blocks)


def header(results: Results, made: Sequence[Cell]) -> list[Block]:
    """The header: scale, corpora, device, units, trajectories and seeds, and the format of a cell."""
    headline = {cell.row: cell.summary for cell in made if cell.summary and cell.metric == TEST}
    by = {row: results.estimator(summary) for row, summary in headline.items()}
    counts = shared.listed(str(headline[row].samples) for row in headline if by[row] == IMPORTANCE)
    sets = [results.summary(run, "unique", optional=True) for run in shared.runs_of(made).values()]
    drawn = shared.listed(str(s.samples) for s in sets if s)
    weights = f"{metrics.WEIGHTS} for the cross entropy: {counts}"
    lines: list[Text] = [
        shared.scale_line(results, made),
        f"trained on {budget(results, made)}, the epoch of the lowest validation loss kept",
        *corpora.lines(results, made, counted=False),
        f"{weights}; {metrics.WORDS}: {drawn}; {shared.seeds(made)}",
    ]
    if rows := [row for row in headline if by[row] == EXACT]:
        lines.append(f"cross entropy exact, by {EXACT}: {shared.listed(rows)}")
    if rows := [row for row in headline if by[row] == TRAJECTORIES]:
        count = shared.listed(f"{headline[row].samples:,}" for row in rows)
        text = f"cross entropy by {count} {TRAJECTORIES}, which lies higher than by {IMPORTANCE}"
        lines.append((Strong("Another estimator"), f": {text}: {shared.listed(rows)}"))
    if rows := [row for row, summary in headline.items() if results.unsettled(summary)]:
        moved = "the last doubling of the samples moved the cross entropy by 0.01 nats or more"
        lines.append((Strong("Not settled"), f": {moved}: {shared.listed(rows)}"))
    lines += shared.stale(results, made)
    lines += shared.unlike(results, made)
    form = (
        f"Each cell: {shared.cell_form(made)} ± standard deviation over seeds (standard error; of a cross entropy that "
        "of the\nwords that were drawn and of the samples of each)."
    )
    return [Facts(lines), Paragraph(form)]


def budget(results: Results, made: Sequence[Cell]) -> str:
    """The number of training words of a table's runs, from their records: ``5,007,360 words``, with rows if several."""
    runs = shared.runs_of(made)
    found = {row: [one.settings for one in results.trained(run)] for row, run in runs.items() if results.metrics(run)}
    if not any(found.values()):
        found = {row: [results.params.runs[run][results.scale]["training"]] for row, run in runs.items()}
    rows: dict[str, dict[str, None]] = {}
    for row, blocks in found.items():
        for block in blocks:
            rows.setdefault(f"{block.get('drawn', 0) * block.get('epochs', 0):,} words", {})[row] = None
    return "; ".join(f"{count} ({shared.listed(of)})" if len(rows) > 1 else count for count, of in rows.items())


def notes(made: Sequence[Cell]) -> list[Text]:
    """The distinct notes with their columns or, if not of whole columns, their rows."""
    about: dict[str, list[Cell]] = {}
    for cell in made:
        for note in filter(None, cell.note.split("; ")):
            about.setdefault(note, []).append(cell)
    lines: list[Text] = []
    for note, cells in about.items():
        columns = dict.fromkeys(cell.column for cell in cells)
        whole = len(cells) == sum(cell.column in columns for cell in made)
        names = columns if whole else dict.fromkeys(cell.row for cell in cells)
        lines.append((Emphasis("; ".join(names)), f": {note}."))
    return lines


def halves(results: Results, made: Sequence[Cell]) -> list[Block]:
    """The entropies of the two halves of each dataset, and their cross entropies under the training distribution."""
    runs: dict[str, str] = {}
    for cell in made:
        if cell.summary:
            runs.setdefault(results.dataset(cell.run), cell.run)
    columns = metrics.shown(metrics.HALVES, shared.present(results, runs))
    text = "Entropies and ORACLE in nats a word; unseen: the share of test tokens whose word no training token has."
    shown = shared.metric_table(results, runs, columns, heading="Dataset")
    return shared.section("The halves", text, *shown) if shown else []


def trajectories(results: Results, made: Sequence[Cell]) -> list[Block]:
    """Both cross entropies with S samples, S / 2, and by K prior trajectories."""
    runs = shared.runs_of(made)
    present, blocks = shared.present(results, runs), []
    for block in (metrics.TEST, metrics.TRAIN):
        if metrics.counts(f"cross_entropy_{block}@{{}}", present):
            columns = metrics.shown(block, present)
            blocks += [Paragraph(f"H[P_{block}, P^]:"), *shared.metric_table(results, runs, columns, error=True)]
    if not blocks:
        return []
    text = (
        "Nats a word (standard error). The headline is by importance sampling with S draws of the trained posterior a\n"
        "word: the frequent words each, the others drawn by frequency and paired with what prior trajectories say of\n"
        "them. S / 2: the mean over both halves of the samples. K: prior trajectories that serve every word; their\n"
        "error is that over sets. The log of a mean is biased: few samples lie high, which no error over sets sees.\n"
        "A state-space row without S / 2 has its headline by the largest K. Of the baselines and of hidden Markov\n"
        "models the headline is exact, and the columns of K are a sampled reading: the baselines' of states that\n"
        "their own symbols drive."
    )
    return shared.section("Cross entropy against the number of samples", text, *blocks)


def readings(results: Results, made: Sequence[Cell]) -> list[Block]:
    """Other readings of the paper's text: of H_gap, of the symbols of a generated word, of the words of V."""
    runs = shared.runs_of(made)
    columns = metrics.shown(metrics.READINGS, shared.present(results, runs))
    if {metric.name for metric in columns} <= LITERAL:
        return []
    text = (
        "H_gap with the marginal of eq. (14), over the noise of one step after each state; and with that of eq. (12),\n"
        "which section 5.2 names, over K whole trajectories. Generated words: of symbols that are drawn, as a model\n"
        "generates them, or of the likeliest symbol of each sampled state. These readings were found by looking for\n"
        "what fits the printed numbers: hypotheses, told for all rows."
    )
    if wide := _wide(results, made):
        text += (
            f"\nV: the training types; the wider V has all words of counts of {wide} and more that are not held out."
        )
    return shared.section("Other readings", text, *shared.metric_table(results, runs, columns))


def _wide(results: Results, made: Sequence[Cell]) -> str:
    """The least count of the words in a wider V; empty if no dataset of the table has one."""
    blocks = [results.params.datasets[results.dataset(cell.run)][results.scale] for cell in made if cell.run]
    return "; ".join(dict.fromkeys(str(block["wide_count"]) for block in blocks if block.get("wide_count")))


def beyond(results: Results, made: Sequence[Cell]) -> list[Block]:
    """Other numbers that the paper does not print: bits, the bound and its estimate, larger sets of words."""
    runs = shared.runs_of(made)
    present = shared.present(results, runs)
    parts = {
        metrics.SETS: "Cross entropies in bits a word; N = types: as many words generated as there are training types.",
        metrics.BOUND: "Nats a word of the test half, over words drawn by frequency and samples of the posterior, a "
        "sample being a pass of Algorithm 1 with the row's K: -ELBO, the bound that was trained, = reconstruction + "
        "KL; ESS: effective sample size.",
    }
    blocks: list[Block] = []
    for block, text in parts.items():
        if shown := shared.metric_table(results, runs, metrics.shown(block, present)):
            blocks += [Paragraph(text), *shown]
            if block == metrics.BOUND and (said := order(results, runs)):
                blocks.append(Paragraph(said))
    return shared.section("Beyond the paper", "", *blocks) if blocks else []


def order(results: Results, runs: Mapping[str, str]) -> str:
    """Why a row may have the worst headline and not the worst bound, worded as hypotheses; "" if no row has."""
    found = {
        row: (results.summary(run, TEST), results.summary(run, "elbo", optional=True)) for row, run in runs.items()
    }
    known = {row: (headline, bound) for row, (headline, bound) in found.items() if headline and bound}
    ranks = sorted(known, key=lambda row: known[row][1].value)
    worst = max(known, key=lambda row: known[row][0].value, default="")
    if len(known) < 2 or worst == ranks[-1]:
        return ""
    above = {row: bound.value - headline.value for row, (headline, bound) in known.items()}
    least, most = (pick(above, key=above.__getitem__) for pick in (min, max))
    last = known[ranks[-1]][1]
    error = math.hypot(last.error, known[worst][1].error)
    text = (
        f"{worst} has the highest headline and place {ranks.index(worst) + 1} of {len(known)} by -ELBO, "
        f"{last.value - known[worst][1].value:.2f} nats\nbelow the highest ({ranks[-1]}; standard error {error:.2f}). "
        f"-ELBO lies {above[least]:.2f} ({least})\nto {above[most]:.2f} nats ({most}) above the headline. "
        "Why is not measured. Hypotheses: with K > 1, training\nrewards what the proposals reach together, not how "
        "near each is to the posterior, which loosens -ELBO"
    )
    if results.estimator(known[worst][0]) == TRAJECTORIES:
        text += (
            ";\nand fewer prior trajectories meet a word where KL is larger, so that a headline by them lies higher "
            f"there.\nThe headline by {IMPORTANCE} would tell"
        )
    return text + "."
