"""The page of a table of models of words: cross entropies under shared trajectories, and what stands beside them."""

from __future__ import annotations

from collections.abc import Sequence

from seqflows.report.cells import Cell
from seqflows.report.inputs import Results, Summary, devices
from seqflows.report.layout import NOTHING, number, table
from seqflows.report.table_parts import cell_form, corpus, listed, reported_block, runs_of, seeds, stale, units, unlike

TEST, TRAIN = "cross_entropy_test", "cross_entropy_train"
# (metric, heading, digits): what the paper does not print, a table each.
BITS = (("cross_entropy_train_bits", "train, bits", 3), ("cross_entropy_test_bits", "test, bits", 3))
BOUND = (
    ("nll", "NLL", 3), ("elbo", "-ELBO", 3), ("reconstruction", "reconst.", 3), ("kl", "KL", 3),
    ("kl_share", "KL / -ELBO", 3), ("ess", "ESS", 1), ("excess", "excess (nats/sequence)", 3),
    ("parameters", "parameters", 0),
)  # fmt: skip
SETS = (
    ("unique", "distinct words", 3), ("unique_known_all", "w unique, N = types", 3),
    ("known_all", "w in V, N = types", 3), ("unique_all", "distinct words, N = types", 3),
    ("perplexity_3_tokens", "P_3-gram of tokens", 2), ("perplexity_5_tokens", "P_5-gram of tokens", 2),
    ("entropy_marginal", "H_marginal", 3), ("entropy_expected", "H_expected", 3),
)  # fmt: skip
HALVES = (
    ("train_entropy", "H[P_train]", 3), ("test_entropy", "H[P_test]", 3), ("oracle_train", "ORACLE on train", 3),
    ("oracle_test", "ORACLE on test", 3), ("oracle_unseen", "unseen test tokens", 4),
)  # fmt: skip


def of_words(results: Results, made: Sequence[Cell]) -> bool:
    """Whether a table shows models of words."""
    return any(cell.run and results.params.datasets[results.dataset(cell.run)]["kind"] == "words" for cell in made)


def page(results: Results, title: str, made: Sequence[Cell]) -> str:
    """The whole page of a table of words."""
    lines = [f"# {title}", "", *header(results, made), "", *reported_block(results, made), ""]
    found = notes(made)
    lines += [f"- {note}" for note in found] + ([""] if found else [])
    for block in (halves(results, made), trajectories(results, made), beyond(results, made)):
        lines += [*block, ""] if block else []
    return "\n".join(lines).rstrip() + "\n"


def header(results: Results, made: Sequence[Cell]) -> list[str]:
    """Scale, corpora, device, units, trajectories and seeds, and how to read a cell."""
    summaries = [cell.summary for cell in made if cell.summary]
    names = list(dict.fromkeys(results.dataset(cell.run) for cell in made if cell.run))
    headline = {cell.row: cell.summary for cell in made if cell.summary and cell.metric == TEST}
    counts = listed(str(s.samples) for s in headline.values() if not exact(s))
    sets = [results.summary(run, "unique", optional=True) for run in runs_of(made).values()]
    drawn = listed(str(s.samples) for s in sets if s)
    lines = [
        f"- scale **{results.scale}**; device {devices(summaries)}; unit {units(made)}",
        f"- trained on {budget(results, made)}, the epoch of the lowest validation loss kept",
        *(f"- corpus {corpus(results, name, summaries)}" for name in names),
        f"- trajectories of the cross entropy: {counts}; generated words: {drawn}; {seeds(made)}",
    ]
    if rows := [row for row, summary in headline.items() if exact(summary)]:
        lines.append(f"- cross entropy exact, by the chain rule: {listed(rows)}")
    if rows := [row for row, summary in headline.items() if results.unsettled(summary)]:
        lines.append(
            "- **Not settled**: the last doubling of the trajectories moved the cross entropy by 0.01 nats or more: "
            + listed(rows)
        )
    lines += stale(results, made)
    lines += unlike(results, made, "- The corpus, or more, is not the paper's; the audit lists what, run by run.")
    return [
        *lines,
        "",
        f"Each cell: {cell_form(made)} ± standard deviation over seeds (standard error; of a cross entropy the one",
        "over independent sets of trajectories).",
    ]


def budget(results: Results, made: Sequence[Cell]) -> str:
    """How many words the runs of a table were trained on: ``5,007,360 words``."""
    blocks = [results.params.runs[run][results.scale]["training"] for run in runs_of(made).values()]
    return listed(f"{block.get('drawn', 0) * block.get('epochs', 0):,} words" for block in blocks)


def exact(summary: Summary) -> bool:
    """Whether a cross entropy is exact: no trajectory was drawn."""
    return summary.samples == 0


def notes(made: Sequence[Cell]) -> list[str]:
    """Every note once, with the columns or, where it is not of whole columns, the rows that it is about."""
    about: dict[str, list[Cell]] = {}
    for cell in made:
        for note in filter(None, cell.note.split("; ")):
            about.setdefault(note, []).append(cell)
    lines = []
    for note, cells in about.items():
        columns = dict.fromkeys(cell.column for cell in cells)
        whole = len(cells) == sum(cell.column in columns for cell in made)
        lines.append(f"*{'; '.join(columns if whole else dict.fromkeys(cell.row for cell in cells))}*: {note}.")
    return lines


def halves(results: Results, made: Sequence[Cell]) -> list[str]:
    """The entropies of the two halves of each dataset, and what the training distribution scores on them."""
    runs: dict[str, str] = {}
    for cell in made:
        if cell.summary:
            runs.setdefault(results.dataset(cell.run), cell.run)
    shown = block(results, runs, HALVES, heading="Dataset")
    if not shown:
        return []
    text = "Entropies and ORACLE in nats a word; unseen: the share of test tokens whose word no training token has."
    return ["## The halves", "", text, "", *shown]


def trajectories(results: Results, made: Sequence[Cell]) -> list[str]:
    """Both cross entropies at each K, beside the headline."""
    runs, lines = runs_of(made), []
    present = [metric for run in runs.values() for metric in results.metrics(run) or {}]
    for metric, half in ((TEST, "test"), (TRAIN, "train")):
        counts = sorted({int(name.partition("@")[2]) for name in present if name.startswith(f"{metric}@")})
        chosen = [(metric, "headline", 3), *((f"{metric}@{count}", f"K={count}", 3) for count in counts)]
        if counts:
            lines += [f"H[P_{half}, P^]:", "", *block(results, runs, chosen, error=True), ""]
    if not lines:
        return []
    text = [
        "Nats a word, with K trajectories that serve every word (standard error over sets of trajectories). The log of",
        "a mean is biased: a small K lies high. The headline is that of the largest K. Of the baselines it is exact,",
        "and the columns of K are the paper's sampled reading: the states that their own symbols drive.",
    ]
    return ["## Cross entropy against the number of trajectories", "", *text, "", *lines[:-1]]


def beyond(results: Results, made: Sequence[Cell]) -> list[str]:
    """What else the paper does not print: bits, the bound and its estimate, larger sets of generated words."""
    runs = runs_of(made)
    parts = (
        (
            "Cross entropies in bits a word; N = types: as many words generated as there are training types.",
            BITS + SETS,
        ),
        (
            "Nats a word over test tokens drawn by frequency: NLL by importance sampling, a sample being a pass of "
            "Algorithm 1 with the row's K (exact for the baselines); -ELBO, the bound that was trained, = "
            "reconstruction + KL; ESS: effective sample size.",
            BOUND,
        ),
    )
    lines = []
    for text, chosen in parts:
        if shown := block(results, runs, chosen):
            lines += [text, "", *shown, ""]
    return ["## Beyond the paper", "", *lines[:-1]] if lines else []


def block(
    results: Results, runs: dict[str, str], chosen: Sequence[tuple[str, str, int]],
    *, heading: str = "Model", error: bool = False,
) -> list[str]:  # fmt: skip
    """A row a run, a column each of the ``chosen`` metrics that one of them has."""
    metrics = {label: found for label, run in runs.items() if (found := results.metrics(run))}
    columns = [column for column in chosen if any(column[0] in found for found in metrics.values())]
    if not columns:
        return []
    rows = [
        [
            label,
            *(
                number(found[m], digits, error=error or m in ("nll", "excess")) if m in found else NOTHING
                for m, _, digits in columns
            ),
        ]
        for label, found in metrics.items()
    ]
    return table([heading, *(name for _, name, _ in columns)], rows)
