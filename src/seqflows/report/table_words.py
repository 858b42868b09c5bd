"""The page of a table of models of words: cross entropies under shared trajectories, and what stands beside them."""

from __future__ import annotations

from collections.abc import Sequence

from seqflows.report.cells import Cell
from seqflows.report.inputs import EXACT, IMPORTANCE, TRAJECTORIES, Results, devices
from seqflows.report.layout import NOTHING, number, table
from seqflows.report.table_parts import cell_form, corpus, listed, reported_block, runs_of, seeds, stale, units, unlike

TEST, TRAIN = "cross_entropy_test", "cross_entropy_train"
# (metric, heading, digits): what the paper does not print, a table each.
BITS = (("cross_entropy_train_bits", "train, bits", 3), ("cross_entropy_test_bits", "test, bits", 3))
BOUND = (
    ("elbo", "-ELBO", 3), ("reconstruction", "reconst.", 3), ("kl", "KL", 3),
    ("kl_share", "KL / -ELBO", 3), ("ess", "ESS", 1), ("excess", "excess (nats/sequence)", 3),
    ("parameters", "parameters", 0),
)  # fmt: skip
SETS = (
    ("unique", "distinct words", 3), ("unique_known_all", "w unique, N = types", 3),
    ("known_all", "w in V, N = types", 3), ("unique_all", "distinct words, N = types", 3),
    ("perplexity_3_tokens", "P_3-gram of tokens", 2), ("perplexity_5_tokens", "P_5-gram of tokens", 2),
    ("entropy_marginal", "H_marginal", 3), ("entropy_expected", "H_expected", 3),
)  # fmt: skip
READINGS = (
    ("entropy_gap", "H_gap, eq. (14)", 3), ("known", "w in V", 3), ("known_wide", "wider V", 3),
    ("known_likeliest", "likeliest", 3), ("known_likeliest_wide", "likeliest, wider V", 3),
    ("unique_known", "w unique", 3), ("unique_known_wide", "wider V", 3), ("unique_known_likeliest", "likeliest", 3),
    ("unique_known_likeliest_wide", "likeliest, wider V", 3),
)  # fmt: skip
WHOLE = "entropy_gap_whole"
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
    parts = (halves(results, made), trajectories(results, made), readings(results, made), beyond(results, made))
    for block in parts:
        lines += [*block, ""] if block else []
    return "\n".join(lines).rstrip() + "\n"


def header(results: Results, made: Sequence[Cell]) -> list[str]:
    """Scale, corpora, device, units, trajectories and seeds, and how to read a cell."""
    summaries = [cell.summary for cell in made if cell.summary]
    names = list(dict.fromkeys(results.dataset(cell.run) for cell in made if cell.run))
    headline = {cell.row: cell.summary for cell in made if cell.summary and cell.metric == TEST}
    by = {row: results.estimator(summary) for row, summary in headline.items()}
    counts = listed(str(headline[row].samples) for row in headline if by[row] == IMPORTANCE)
    sets = [results.summary(run, "unique", optional=True) for run in runs_of(made).values()]
    drawn = listed(str(s.samples) for s in sets if s)
    lines = [
        f"- scale **{results.scale}**; device {devices(summaries)}; unit {units(made)}",
        f"- trained on {budget(results, made)}, the epoch of the lowest validation loss kept",
        *(f"- corpus {corpus(results, name, summaries)}" for name in names),
        f"- importance samples of a word for the cross entropy: {counts}; generated words: {drawn}; {seeds(made)}",
    ]
    if rows := [row for row in headline if by[row] == EXACT]:
        lines.append(f"- cross entropy exact, by {EXACT}: {listed(rows)}")
    if rows := [row for row in headline if by[row] == TRAJECTORIES]:
        count = listed(f"{headline[row].samples:,}" for row in rows)
        text = f"cross entropy by {count} {TRAJECTORIES}, which lies higher than by {IMPORTANCE}"
        lines.append(f"- **Another estimator**: {text}: {listed(rows)}")
    if rows := [row for row, summary in headline.items() if results.unsettled(summary)]:
        lines.append(
            "- **Not settled**: the last doubling of the samples moved the cross entropy by 0.01 nats or more: "
            + listed(rows)
        )
    lines += stale(results, made)
    lines += unlike(results, made, "- The corpus, or more, is not the paper's; the audit lists what, run by run.")
    return [
        *lines,
        "",
        f"Each cell: {cell_form(made)} ± standard deviation over seeds (standard error; of a cross entropy that of the",
        "words that were drawn and of the samples of each).",
    ]


def budget(results: Results, made: Sequence[Cell]) -> str:
    """How many words the runs of a table were trained on, by their records: ``5,007,360 words``."""
    found = [one.settings for run in runs_of(made).values() if results.metrics(run) for one in results.trained(run)]
    blocks = found or [results.params.runs[run][results.scale]["training"] for run in runs_of(made).values()]
    return listed(f"{block.get('drawn', 0) * block.get('epochs', 0):,} words" for block in blocks)


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
    """Both cross entropies with S samples, S / 2, and by K prior trajectories."""
    runs, lines = runs_of(made), []
    present = [metric for run in runs.values() for metric in results.metrics(run) or {}]
    for metric, half in ((TEST, "test"), (TRAIN, "train")):
        counts = sorted({int(name.partition("@")[2]) for name in present if name.startswith(f"{metric}@")})
        chosen = [(metric, "headline", 3), (f"{metric}_half", "S / 2", 3)]
        chosen += [("trajectories_above", "largest K - headline", 3)] if metric == TEST else []
        chosen += [(f"{metric}@{count}", f"K={count}", 3) for count in counts]
        if counts:
            lines += [f"H[P_{half}, P^]:", "", *block(results, runs, chosen, error=True), ""]
    if not lines:
        return []
    text = [
        "Nats a word (standard error). The headline is by importance sampling with S draws of the trained posterior a",
        "word: the frequent words each, the others drawn by frequency and paired with what prior trajectories say of",
        "them. S / 2: the mean over both halves of the samples. K: prior trajectories that serve every word; their",
        "error is that over sets. The log of a mean is biased: few samples lie high, which no error over sets sees.",
        "A row without S / 2 has its headline by the largest K. Of the baselines the headline is exact, and the",
        "columns of K are their sampled reading: the states that their own symbols drive.",
    ]
    return ["## Cross entropy against the number of samples", "", *text, "", *lines[:-1]]


def readings(results: Results, made: Sequence[Cell]) -> list[str]:
    """What the text admits beside the literal reading: H_gap, the symbols of a generated word, the words of V."""
    runs = runs_of(made)
    counts = sorted({count for run in runs.values() for count in results.by_count(run, WHOLE)})
    chosen = [READINGS[0], *((f"{WHOLE}@{count}", f"(12), K={count}", 3) for count in counts), *READINGS[1:]]
    names = {name for run in runs.values() for name in results.metrics(run) or {}}
    others = {name for name, *_ in chosen} - {"entropy_gap", "known", "unique_known"}
    if not names & others:
        return []
    text = [
        "H_gap with the marginal of eq. (14), over the noise of one step after each state; and with that of eq. (12),",
        "which section 5.2 names, over K whole trajectories. Generated words: of symbols that are drawn, as a model",
        "generates them, or of the likeliest symbol of each sampled state. V: the training types; the wider V has all",
        f"words of counts of {_wide(results, made)} and more that are not held out. These readings were found by",
        "looking for what fits the printed numbers: hypotheses, told for all rows.",
    ]
    return ["## Other readings", "", *text, "", *block(results, runs, chosen)]


def _wide(results: Results, made: Sequence[Cell]) -> str:
    names = dict.fromkeys(results.dataset(cell.run) for cell in made if cell.run)
    return listed(str(results.params.datasets[name][results.scale].get("wide_count", NOTHING)) for name in names)


def beyond(results: Results, made: Sequence[Cell]) -> list[str]:
    """What else the paper does not print: bits, the bound and its estimate, larger sets of generated words."""
    runs = runs_of(made)
    parts = (
        (
            "Cross entropies in bits a word; N = types: as many words generated as there are training types.",
            BITS + SETS,
        ),
        (
            "Nats a word of the test half, over the words and samples of the headline, a sample being a pass of "
            "Algorithm 1 with the row's K: -ELBO, the bound that was trained, = reconstruction + KL; ESS: effective "
            "sample size.",
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
                number(found[m], digits, error=error or m == "excess") if m in found else NOTHING
                for m, _, digits in columns
            ),
        ]
        for label, found in metrics.items()
    ]
    return table([heading, *(name for _, name, _ in columns)], rows)
