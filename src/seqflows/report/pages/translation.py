"""The page of a table of systems that translate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from seqflows import files, metrics, paths
from seqflows.report.cells import Cell
from seqflows.report.comparisons import Comparison
from seqflows.report.inputs import Results
from seqflows.report.page import Block, Facts, Link, Page, Paragraph, Strong, Table, Text, listed, parts, prose
from seqflows.report.pages import compared, corpora, shared
from seqflows.report.papers.base import papers

HEADLINES = ("bleu", "bleu_short", "bleu_tokenized", "bleu_second", "bleu_held_out")
TRUE = "the true translations"


def page(results: Results, title: str, cells: Sequence[Cell]) -> Page:
    """The whole page of a table."""
    found = results.present(cells[0].table) if cells else None
    blocks: list[Block] = [*top(results, cells, found), compared.scores(results, cells, found, "")]
    blocks += listed(shared.notes(cells))
    if found:
        blocks += compared.gains(results, cells, found, HEADLINES, "sentences")
    blocks += beyond(results, cells, found)
    if found:
        what = "the source, the true translation"
        blocks += compared.examples(cells, found, "Test sentences", what)
    return Page(title, blocks)


def top(results: Results, made: Sequence[Cell], found: Comparison | None) -> list[Block]:
    """Scale, corpora, steps, seeds, and how the translations were scored."""
    runs = [run for run in shared.runs_of(made).values() if results.metrics(run)]
    items: list[Text] = [
        shared.scale_line(results, made),
        *corpora.lines(results, made, sizes=lambda name: sizes(results, name)),
        f"steps of training: {shared.listed(shared.steps(results, run) for run in runs)}; {shared.seeds(made)}",
        *scored(results, made, found),
        *shared.stale(results, made),
        *joined(results, shared.runs_of(made)),
        *shared.unlike(results, made),
    ]
    form = (
        f"Each cell: {shared.cell_form(made)} ± standard deviation over seeds (standard error over test sentences, by "
        "the bootstrap)."
    )
    return [Facts(items), Paragraph(form)]


def joined(results: Results, runs: Mapping[str, str]) -> list[Text]:
    """The deviations of what joins the encoding, each of the rows that were trained with the setting it names."""
    made = {label: run for label, run in runs.items() if results.metrics(run)}
    named = {label: f"`fusion: {results.settings(run).get('fusion')}`" for label, run in made.items()}
    lines: list[Text] = []
    for paper in {results.params.runs[run]["reproduces"]: None for run in made.values()}:
        for one in papers()[paper].deviations:
            rows = [label for label, run in made.items() if named[label] in one.here and one.of(run)]
            if rows:
                said = ("in the paper ", *parts(prose(one.paper)), "; here ", *parts(prose(one.here)), ". Why: ")
                audit = Link(paths.audit(results.scale)[1].name)
                lines.append((Strong(one.what.capitalize()), f", of {'; '.join(rows)}: ", *said, audit))
    return lines


def sizes(results: Results, name: str) -> str:
    """Pairs of each split of a dataset, and what was changed in them; "" without its statistics."""
    path = next((p for p in (paths.prepared(results.scale, name) / "statistics.json",
                             paths.statistics(results.scale, name)) if p.exists()), None)  # fmt: skip
    if path is None:
        return ""
    statistics = files.read_json(path)
    train, valid, test = (statistics["splits"][name] for name in ("train", "valid", "test"))
    sets = ", ".join(f"{count:,} of {name}" for name, count in test["parts"].items())
    long = train["pairs"] - train["within"]
    out = [f"{long:,} longer than {statistics['window']} subwords"]
    if tested := statistics["changed"].get("dropped_tested"):
        out.append(f"{tested:,} whose English is a question of SQuAD's development set")
    out.append(f"{train['dropped_held_out']:,} with a held-out sentence")
    return (
        f", {train['sequences']:,} training pairs (left out: {', '.join(out)}), {valid['sequences']:,} held out, "
        f"tested on {sets}; {statistics['vocabulary']:,} joint subwords"
    )


def scored(results: Results, made: Sequence[Cell], found: Comparison | None) -> list[Text]:
    """How the translations were scored, and whatever was missing in doing so."""
    if found is None:
        return [(Strong("Not compared"), f": run python -m seqflows compare {results.scale}/{made[0].table}")]
    lines: list[Text] = [
        f"BLEU: sacrebleu {found.signatures['bleu']} on detokenised text; tokens of Moses: "
        f"{found.signatures['bleu_tokenized']}; intervals and p-values by a paired bootstrap, {found.draws:,} draws of "
        f"{found.sequences:,} sentences"
    ]
    lines += compared.absent(results, found)
    counts = [f"{one['run']} seed {one['seed']}: {one['empty']}" for one in found.systems if one["empty"]]
    if counts:
        lines.append((Strong("Empty translations"), f": {', '.join(counts)}"))
    return lines


def beyond(results: Results, made: Sequence[Cell], found: Comparison | None) -> list[Block]:
    """Nats a subword of the true translations, and the other test sets."""
    runs = shared.runs_of(made)
    present = shared.present(results, runs)
    columns = [row for row in (metrics.find("nll", "nats/piece"),) if row and row.name in present]
    columns += [row for block in (metrics.TEXTS, metrics.GIVEN) for row in metrics.shown(block, present)]
    columns += [row for row in (metrics.find("parameters"),) if row and row.name in present]
    blocks: list[Block] = []
    for start in range(0, len(columns), 6):
        some = columns[start : start + 6]
        for shown in shared.metric_table(results, runs, some):
            rows = list(shown.rows)
            own = [found.reference.get(column.name) for column in some] if found else []
            if any(value is not None for value in own):
                rows.append([TRUE, *("" if v is None else f"{v:.{c.digits}f}" for v, c in zip(own, some, strict=True))])
            blocks.append(Table(shown.header, rows))
    if not blocks:
        return []
    text = (
        "NLL: nats a subword of the true translation, given its source; subwords of different datasets differ, bits a\n"
        "character do not. Short sentences are those within the limit of training on both sides. The brevity penalty\n"
        "is the factor of BLEU that is lost to short translations alone."
    )
    return shared.section("Beyond the paper", text, *blocks)
