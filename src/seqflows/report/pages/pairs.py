"""The page of a table of systems that write a text for each context: question generation."""

from __future__ import annotations

from collections.abc import Sequence

from seqflows import metrics, paths, records
from seqflows.report.cells import NOT_RUN, NOTHING, Cell, human
from seqflows.report.comparisons import Comparison, Judged, sign_test
from seqflows.report.inputs import Results
from seqflows.report.page import (
    Block,
    Facts,
    Page,
    Paragraph,
    Status,
    Strong,
    Table,
    Text,
    listed,
)  # fmt: skip
from seqflows.report.pages import compared, corpora, shared

HEADLINES = ("bleu", "rouge_l", "meteor")
IDLE = 0.1  # nats a word of the KL term, below which next to nothing of a question is in its latent
REACHABLE = "the likeliest questions"
TRUE = "the questions themselves"
EXAMPLES = "the context around the answer, which stands\nin brackets, the true question"


def page(results: Results, title: str, cells: Sequence[Cell]) -> Page:
    """The whole page of a table."""
    made = [cell for cell in cells if cell.status != "human"]
    found = results.present(cells[0].table) if cells else None
    blocks = [*top(results, made, found), compared.scores(results, made, found, REACHABLE)]
    blocks += listed(shared.notes(made))
    blocks += judged(results, cells, found)
    if found:
        blocks += compared.gains(results, made, found, HEADLINES, "questions")
    blocks += beyond(results, made, found)
    if found:
        blocks += compared.examples(made, found, "Test questions", EXAMPLES)
    return Page(corpora.titled(results, title, made), blocks)


def top(results: Results, made: Sequence[Cell], found: Comparison | None) -> list[Block]:
    """Scale, corpora, features, steps, seeds, and how the texts were scored."""
    runs = [run for run in shared.runs_of(made).values() if results.metrics(run)]
    items: list[Text] = [
        shared.scale_line(results, made),
        *corpora.lines(results, made, sizes=lambda name: trained(name, found)),
        *shared.features(results, made),
        f"steps of training: {shared.listed(shared.steps(results, run) for run in runs)}; {shared.seeds(made)}",
        *scored(results, made, found),
        *shared.stale(results, made),
        *shared.unlike(results, made),
        *idle(results, runs),
    ]
    form = (
        f"Each cell: {shared.cell_form(made)} ± standard deviation over seeds (standard error over test questions, by "
        "the bootstrap)."
    )
    return [Facts(items), Paragraph(form)]


def idle(results: Results, runs: Sequence[str]) -> list[Text]:
    """A line with the models whose latent is hardly used: the KL term on validation in the epoch that was kept."""
    found = []
    for run in runs:
        for seed, record, history in records.trained(results.scale, run):
            if history and "valid_kl" in history[0]:
                kl = float(history[int(record.get("best_epoch", len(history))) - 1]["valid_kl"])
                found += [f"{run} seed {seed}: {kl:.2f} nats a word"] * (kl < IDLE)
    return [(Strong("Latent hardly used"), f", by the KL term on validation: {', '.join(found)}")] if found else []


def trained(name: str, found: Comparison | None) -> str:
    """The numbers of questions of a dataset that a comparison's runs were trained and chosen on."""
    if found is None or found.trained["dataset"] != name:
        return ""
    return f", {found.trained['train']:,} training and {found.trained['valid']:,} validation questions"


def scored(results: Results, made: Sequence[Cell], found: Comparison | None) -> list[Text]:
    """How the texts were scored, and whatever was missing in doing so."""
    if found is None:
        return [(Strong("Not compared"), f": run python -m seqflows compare {results.scale}/{made[0].table}")]
    lines: list[Text] = [
        f"BLEU-4: sacrebleu {found.signatures['bleu']}; ROUGE-L: beta 1.2; {found.signatures['meteor']}; intervals and "
        f"p-values by a paired bootstrap, {found.draws:,} draws of {found.sequences:,} questions"
    ]
    for metric, reason in found.missing.items():
        lines.append((Strong(f"No {metrics.find(metric).heading}"), f": {reason}"))
    lines += compared.absent(results, found)
    for key, what in (("empty", "texts without a word, which score 0"), ("barred", "texts with |||, cut for METEOR")):
        counts = [f"{one['run']} seed {one['seed']}: {one[key]}" for one in found.systems if one[key]]
        if counts:
            lines.append((Strong(what[0].upper() + what[1:]), f": {', '.join(counts)}"))
    return lines


def judged(results: Results, cells: Sequence[Cell], found: Comparison | None) -> list[Block]:
    """What people said of two systems' questions: the paper's counts and ours, each by the same sign test."""
    counted = [cell for cell in cells if cell.status == "human"]
    if not counted:
        return []
    table, sheets = counted[0].table, human(results.params, counted[0].table)
    blocks: list[Block] = []
    for row in dict.fromkeys(cell.row for cell in counted):
        own = [cell for cell in counted if cell.row == row]
        sheet = next((sheets[cell.row, cell.column][0] for cell in own if (cell.row, cell.column) in sheets), "")
        said = results.judged(table, sheet) if sheet else None
        header = [row, *(cell.column for cell in own), "p of the sign test"]
        wins, losses = (int(float(cell.reported)) for cell in own[:2])
        lines = [["paper", *(cell.reported for cell in own), compared.p_text(sign_test(wins, losses))]]
        lines.append(["ours", *(_count(cell) for cell in own), compared.p_text(said.p) if said else NOTHING])
        blocks += [Table(header, lines), Facts([_raters(results, sheet, found, said)])]
    text = "Pairs in which people found the question of one system better, or neither; the sign test leaves ties out."
    return shared.section("Human judgement", text, *blocks)


def _count(cell: Cell) -> Text:
    return f"{cell.summary.value:.0f}" if cell.summary else Status("not judged", NOT_RUN)


def _raters(results: Results, sheet: str, found: Comparison | None, said: Judged | None) -> str:
    """How ours was judged, or where the sheet is and where it goes."""
    drawn = found.human.get(sheet) if found else None
    if drawn is None:
        return "ours: no pairs were drawn"
    pairs = f"{drawn['pairs']} pairs, identical and left out: {drawn['identical']}"
    if said is None:
        page, goes = paths.raters_page(results.scale, found.table, sheet), paths.judged(results.scale, sheet)
        made = f"python -m seqflows compare {results.scale}/{found.table} writes, and keep copies to {paths.kept(page)}"
        return f"ours: {pairs}; {page}, which {made}, is for raters; what it exports goes to {goes}"
    kappa = "" if said.agreement is None else f", Fleiss' kappa {said.agreement:.2f}"
    return f"ours: {pairs}; {len(said.raters)} rater{'s' * (len(said.raters) > 1)}{kappa}"


def beyond(results: Results, made: Sequence[Cell], found: Comparison | None) -> list[Block]:
    """Nats a word of the true questions, and what n-grams do not say of the written ones."""
    runs = shared.runs_of(made)
    present = shared.present(results, runs)
    columns = [row for row in (metrics.find("nll", "nats/word"),) if row and row.name in present]
    columns += [row for block in (metrics.TEXTS, metrics.GIVEN) for row in metrics.shown(block, present)]
    columns += [row for row in (metrics.find("parameters"),) if row and row.name in present]
    tables = shared.metric_table(results, runs, columns)
    if not tables:
        return []
    (shown,) = tables
    rows = list(shown.rows)
    if found:
        own = [found.reference.get(column.name) for column in columns]
        texts = (NOTHING if value is None else f"{value:.{c.digits}f}" for value, c in zip(own, columns, strict=True))
        rows.append([TRUE, *texts])
    text = (
        "NLL: nats a word of the true question, given its context and answer (of a latent model a bound). Then of the\n"
        "written questions: the share that holds a word of its answer, function words aside, the share of different\n"
        "ones, their length in words, and the brevity penalty, the factor of BLEU that is lost to short ones alone."
    )
    return shared.section("Beyond the paper", text, Table(shown.header, rows))
