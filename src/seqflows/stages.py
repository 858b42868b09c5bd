"""The table of stages: module, keys, inputs, outputs and dependencies of each.

``dvc.yaml`` is written from it (`pipeline.dvc`); Snakemake's rules, the command line, `pipeline.adopt`, `pipeline.plan`
and `pipeline.status` read it. A new stage is a module with ``run(key, params)`` and a row here.
"""

from __future__ import annotations

import contextlib
import graphlib
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from seqflows import files, paths
from seqflows.config import own
from seqflows.errors import Problem

if TYPE_CHECKING:
    from seqflows.params import Params

WHOLE = "all"  # the name in the key of a stage with one key per scale
SOURCE = Path("src/seqflows")
PACKAGE = Path(__file__).resolve().parent  # the code that runs, wherever the working directory is
TIMED = ("dataset", "seeds", "model")  # parts of a run that the stage speed depends on
RESOLVED = ("datasets", "features", "runs")  # whose blocks the audit reads
TYPES = ("*.py", "*.csv", "*.json", "*.yaml", "*.html")  # of source files
SHARED = ("files.py",)  # source that all stages depend on
LIBRARIES = ("numpy", "scipy", "torch")  # packages that all stages depend on
LARGE = {"demo": 1, "laptop": 2, "paper": 8}  # how much larger a scale is, in time and memory
NOTES = "SEQFLOWS_NOTES"  # names a file to which each stage that ends adds a line of `NOTED`
NOTED = ("stage", "key", "processor_seconds", "peak_gib")
RAISED = 4  # how many times ``memory`` a cluster is asked for at most, one more time with each attempt
GIVEN = (paths.HUMAN,)  # inputs that people make, not stages


class Stage(NamedTuple):
    """A row of the table.

    Attributes:
        module: of its ``run(key, params)``, below seqflows.
        what: its description in ``--help``.
        part: the part of params.yaml, or another attribute of `Params`, whose entries are its keys; "" for one key per
            scale, `WHOLE`.
        code: the source that its outputs depend on, as folders or files below `SOURCE`.
        inputs: ``(params, scale, name)`` -> the files and folders of other stages that it reads.
        outputs: ``(scale, name)`` -> the files and folders that it writes.
        block: ``(params, scale, name)`` -> the part of params.yaml that its outputs depend on, or None.
        usual: minutes that it usually takes with real data; None if records give or estimate it.
        limit, memory: minutes and MB to ask of a cluster for the embedded data.
        computes: whether it uses the scale's threads and device, and more time for larger data.
        raised: whether a cluster is asked for more minutes with each attempt: one that was stopped begins anew.
        alone: whether it needs its machine for itself.
        libraries: packages that its outputs depend on beside those of every stage.
        elsewhere: whether it also writes outside files, so that files do not show whether it is up to date.
        foreach: whether DVC calls it ``<stage>@<key>``, not ``<stage>-<key>``.
        place: ``(params, name)`` -> the kind of data or the paper in whose dvc.yaml below workflow DVC has it; "" for
            the one beside params.yaml.
    """

    module: str
    what: str
    part: str
    code: tuple[str, ...]
    inputs: Callable[[Params, str, str], list[Path]]
    outputs: Callable[[str, str], list[Path]]
    block: Callable[[Params, str, str], Any]
    usual: float | None
    limit: int
    memory: int
    computes: bool = False
    raised: bool = True
    alone: bool = False
    libraries: tuple[str, ...] = ()
    elsewhere: bool = False
    foreach: bool = False
    place: Callable[[Params, str], str] = lambda found, name: ""

    def size(self, scale: str) -> int:
        """The factor of ``limit`` and ``memory`` at a scale, a rough measure."""
        return LARGE[scale] if self.computes else 1

    def keys(self, found: Params) -> list[str]:
        """The names of its keys."""
        return list(getattr(found, self.part)) if self.part else [WHOLE]

    def sources(self, root: Path = SOURCE) -> list[Path]:
        """The source files that its outputs depend on, in a fixed order."""
        return [*(root / name for name in SHARED), *self.own_sources(root)]

    def own_sources(self, root: Path = SOURCE) -> list[Path]:
        """Those that not all stages depend on."""
        files: list[Path] = []
        for part in self.code:
            path = root / part
            found = [file for end in TYPES for file in sorted(path.rglob(end))]
            files += found if path.is_dir() else [path]
        return files

    def checksums(self) -> dict[str, str]:
        """The sha256 of the code that runs, of each of `own_sources`."""
        return {path.relative_to(PACKAGE).as_posix(): files.sha256(path) for path in self.own_sources(PACKAGE)}

    def versions(self) -> dict[str, str | None]:
        """The versions of the packages that its outputs depend on, None of those that are not installed.

        Builds of one version, as of torch for a CPU and for CUDA, count as the same.
        """
        found: dict[str, str | None] = dict.fromkeys((*LIBRARIES, *self.libraries))
        for name in found:
            with contextlib.suppress(metadata.PackageNotFoundError):
                found[name] = metadata.version(name).partition("+")[0]
        return found


Job = tuple[str, str]  # a stage and the name of one of its keys


def check_code() -> None:
    """Raise `Problem` in a checkout whose code is not what runs, as with an environment made for another one."""
    here = SOURCE.resolve()
    if here.is_dir() and here != PACKAGE:
        raise Problem(
            f"expected the code of this checkout, {here}, got that of {PACKAGE}; "
            "run: export PYTHONPATH=$PWD/src, or use an environment of its own (make venv)"
        )


def every(found: Params) -> Iterator[Job]:
    """Each stage with each of its keys."""
    return ((name, key) for name, stage in TABLE.items() for key in stage.keys(found))


def ordered(found: Params, scale: str) -> dict[Job, list[Job]]:
    """Each stage with each of its keys and those that it waits for, in a valid order.

    Raises `Problem` if a dataset is made from a run that is trained on it.
    """
    jobs = list(every(found))
    writer = {path: job for job in jobs for path in TABLE[job[0]].outputs(scale, job[1])}
    before = {(stage, name): TABLE[stage].inputs(found, scale, name) for stage, name in jobs}
    made = {job: [path for path in read if path not in GIVEN] for job, read in before.items()}
    waits = {job: list(dict.fromkeys(writer[path] for path in read)) for job, read in made.items()}
    try:
        return {job: waits[job] for job in graphlib.TopologicalSorter(waits).static_order()}
    except graphlib.CycleError as error:
        circle = " <- ".join(" ".join(job) for job in error.args[1])
        raise Problem(f"expected stages that do not wait for themselves, got {circle}; change params.yaml") from None


def _download_inputs(found: Params, scale: str, name: str) -> list[Path]:
    """The training of the run that writes a dataset's examples, if there is one; nothing at a scale that lacks it."""
    run = found.datasets[name].get(scale, {}).get("run")
    return [paths.train(scale, run)] if run else []


def _train_inputs(found: Params, scale: str, run: str) -> list[Path]:
    """A run's data, the training of the run that it starts from, and its other contexts, if there are any."""
    other, name = found.runs[run].get("from"), found.runs[run].get("augmented")
    read = [*_data(found, scale, run), *([paths.train(scale, other)] if other else [])]
    return [*read, *_candidates(found, scale, name), paths.filtered(scale, name)] if name else read


def _kind(found: Params, name: str) -> str:
    """The kind of a dataset, or of that of rewritten lines."""
    dataset = found.rewrites[name]["dataset"] if name in found.rewrites else name
    return str(found.datasets[dataset]["kind"])


def _run_kind(found: Params, run: str) -> str:
    """The kind of a run's data."""
    return _kind(found, found.runs[run]["dataset"])


def _paper(found: Params, name: str) -> str:
    """The paper of a table or a figure; none of this project's own."""
    entry = found.tables.get(name) or found.figures[name]
    return str(entry.get("reproduces", ""))


def _candidates(found: Params, scale: str, name: str) -> list[Path]:
    """The candidates that a filter chooses from, and their features, if there are any."""
    contexts = found.filtering(name).contexts
    encoded = [paths.features(scale, contexts)] if found.encoder(scale, contexts) else []
    return [paths.rewritten(scale, contexts), *encoded]


def _filter_inputs(found: Params, scale: str, name: str) -> list[Path]:
    """The data and the models of the judges, and the candidates."""
    judges = found.filtering(name).judges
    models = [paths.train(scale, judge) for judge in judges]
    return [*_data(found, scale, judges[0]), *models, *_candidates(found, scale, name)]


def _train_block(found: Params, scale: str, name: str) -> dict[str, Any]:
    run = found.run(scale, name)
    parts = {part: run[part] for part in ("seeds", "model", "training", "from", "augmented") if part in run}
    return parts | {"compute": found.compute(scale)}


def _speed_block(found: Params, scale: str, name: str) -> dict[str, Any]:
    block = found.speed(scale, name)
    timed = {run: found.run(scale, run) for run in block["runs"]}
    models = {run: {part: timed[run][part] for part in TIMED} for run in timed}
    return block | {"models": models, "compute": found.compute(scale)}


def _table_block(found: Params, scale: str, name: str) -> dict[str, Any]:
    """A table's block, with the pairs of its runs that people judge."""
    human = found.comparisons.get(name, {}).get("human")
    return found.table(name) | ({"human": human} if human else {})


def _figure_block(found: Params, scale: str, name: str) -> dict[str, Any]:
    """A figure's block, with the tasks or rows of the table that it draws."""
    block = found.figure(name)
    table = found.table(block["table"]) if "table" in block else {}
    return block | {part: table[part] for part in ("tasks", "rows") if part in table}


def _audit_block(found: Params, scale: str, _: str) -> dict[str, Any]:
    """The whole content of a scale, since the audit prints how its settings differ from the paper's."""
    blocks = {part: {name: entry[scale] for name, entry in getattr(found, part).items()} for part in RESOLVED}
    human = {name: entry.get("human") or {} for name, entry in found.comparisons.items()}
    return {"tables": found.tables, "scale": found.scales[scale], "human": human, **blocks}


def _data(found: Params, scale: str, run: str) -> list[Path]:
    """A run's prepared dataset, and the features of its contexts, if there are any."""
    dataset = found.runs[run]["dataset"]
    encoded = [paths.features(scale, dataset)] if found.encoder(scale, dataset) else []
    return [paths.prepared(scale, dataset), *encoded]


def _speed_inputs(found: Params, scale: str, name: str) -> list[Path]:
    return list(dict.fromkeys(path for run in found.speeds[name]["runs"] for path in _data(found, scale, run)))


def _generate_inputs(found: Params, scale: str, name: str) -> list[Path]:
    run = found.texts[name]["run"]
    return [*_data(found, scale, run), paths.train(scale, run)]


def _features_inputs(found: Params, scale: str, name: str) -> list[Path]:
    """A dataset; or candidates for its lines, and the dataset itself."""
    if name not in found.rewrites:
        return [paths.prepared(scale, name)]
    return [paths.prepared(scale, found.rewrites[name]["dataset"]), paths.rewritten(scale, name)]


def _rewrite_inputs(found: Params, scale: str, name: str) -> list[Path]:
    """The lines, the runs that rewrite them with their data, and what else the generator is made from."""
    block = found.rewrites[name]
    read = [paths.prepared(scale, block["dataset"])]
    for run in block.get("runs", ()):
        read += [*_data(found, scale, run), paths.train(scale, run)]
    read += [paths.prepared(scale, block["words"])] if "words" in block else []
    read += [paths.rewritten(scale, block["like"])] if "like" in block else []
    return list(dict.fromkeys(read))


def _compare_inputs(found: Params, scale: str, name: str) -> list[Path]:
    """The questions, what each system wrote for them, and the rewritten contexts that it learns from or judges."""
    runs = found.table_runs(name)
    data = dict.fromkeys(paths.prepared(scale, found.runs[run]["dataset"]) for run in runs)
    read = [*data, *(folder(scale, run) for run in runs for folder in (paths.metrics, paths.evaluation))]
    for other in found.contexts(name, runs):
        read += [*_data(found, scale, found.filtering(other).judges[0]), *_candidates(found, scale, other)]
        read += [paths.filtered(scale, other)]
    return list(dict.fromkeys(read))


def _table_inputs(found: Params, scale: str, name: str) -> list[Path]:
    """Metrics, of tasks also the trainings, and comparisons; or texts and the models that wrote them."""
    runs, texts = found.table_runs(name), found.table_texts(name)
    if not texts:
        names = dict.fromkeys([*([name] if name in found.comparisons else []), *map(found.compared, runs)])
        compared = [paths.comparison(scale, one) for one in names if one is not None]
        people = [paths.HUMAN] if found.comparisons.get(name, {}).get("human") else []
        timed = [paths.train(scale, run) for run in runs] if "tasks" in found.table(name) else []
        return [*(paths.metrics(scale, run) for run in runs), *timed, *compared, *people]
    return [paths.text(scale, text) for text in texts] + [paths.train(scale, run) for run in runs]


def _figure_inputs(found: Params, scale: str, name: str) -> list[Path]:
    kind, drawn = found.figure(name)["kind"], []
    folders = {
        "curves": (paths.train,),
        "time": (paths.train,),
        "entropies": (paths.train, paths.evaluation),
        "gains": (),
    }
    for run in found.figure_runs(name):
        drawn += [paths.metrics(scale, run)]
        drawn += [folder(scale, run) for folder in folders.get(kind, (paths.evaluation,))]
    drawn += [paths.comparison(scale, found.figure(name)["table"])] if kind == "gains" else []
    return drawn + [paths.speed(scale, speed) for speed in found.figure_speeds(name)]


def _audit_inputs(found: Params, scale: str, _: str) -> list[Path]:
    metrics = [paths.metrics(scale, run) for run in found.runs]
    speeds = [paths.speed(scale, speed) for speed in found.speeds]
    tables = [paths.table(scale, table)[0] for table in found.tables]
    characters = [paths.prepared(scale, "ptb")] if "ptb" in found.datasets else []  # a claim is about their lengths
    compared = [paths.comparison(scale, name) for name in found.comparisons]
    people = [paths.HUMAN] if any(entry.get("human") for entry in found.comparisons.values()) else []
    return [*characters, *metrics, *speeds, *tables, *compared, *people]


def _whole_inputs(found: Params, scale: str, _: str) -> list[Path]:
    """All results of a scale."""
    metrics = [paths.metrics(scale, run) for run in found.runs]
    tables = [path for table in found.tables for path in paths.table(scale, table)]
    figures = [path for figure in found.figures for path in paths.figure(scale, figure)]
    return [*metrics, *tables, *figures, *paths.audit(scale)]


# A change of data, flows or models reaches evaluate and generate through the train folder, whose records differ after
# each training. It is not listed again: DVC rewrites dvc.lock after every stage, and a short list keeps that quick.
TYPED = "config/typed.py"
CORPORA = (TYPED, "config/corpora.py", "config/own.py", "config/registry.py")
MODELS = (TYPED, "config/models.py")
SCORES = (TYPED, "config/evaluation.py")
# What reads lines, for stages with a key that reads no training.
LINES = tuple(f"data/{name}.py" for name in ("concepts", "halves", "lines", "prepared", "rewritten", "tokens"))
TABLE = {
    "download": Stage(
        module="data.download",
        what="fetch or generate a dataset's raw files",
        part="datasets",
        code=(*CORPORA, "data", "kinds.py"),
        inputs=_download_inputs,
        outputs=lambda scale, name: [paths.raw(scale, name)],
        block=lambda found, scale, name: own.stated(found.dataset(scale, name)),
        usual=5.0,
        limit=60,
        memory=1000,
        foreach=True,
        place=_kind,
    ),
    "prepare": Stage(
        module="data.prepare",
        what="turn raw files into arrays, vocabulary and statistics",
        part="datasets",
        code=(*CORPORA, "data", "kinds.py"),
        inputs=lambda found, scale, name: [paths.raw(scale, name)],
        outputs=lambda scale, name: [paths.prepared(scale, name)],
        block=lambda found, scale, name: found.dataset(scale, name),
        usual=2.0,
        limit=60,
        memory=2000,
        libraries=("sacremoses", "sentencepiece"),
        foreach=True,
        place=_kind,
    ),
    "features": Stage(
        module="features.encode",
        what="encode the words of a dataset's contexts, or of rewritten lines, by a pretrained encoder",
        part="encoded",
        code=("compute.py", "kinds.py", TYPED, "config/features.py", *LINES, "features", "models/pretrained.py"),
        inputs=_features_inputs,
        outputs=lambda scale, name: [paths.features(scale, name)],
        block=lambda found, scale, name: found.encoder(scale, name),
        usual=10.0,
        limit=60,
        memory=2000,
        computes=True,
        libraries=("tokenizers", "transformers"),
        foreach=True,
        place=_kind,
    ),
    "train": Stage(
        module="training.loop",
        what="train a run, one seed after another; resumes from its checkpoint",
        part="runs",
        raised=False,
        code=(
            "compute.py",
            "kinds.py",
            "noise.py",
            *MODELS,
            "config/training.py",
            "data",
            "flows",
            "models",
            "textscores/answers.py",
            "textscores/bleu.py",
            "training",
        ),
        inputs=_train_inputs,
        outputs=lambda scale, name: [paths.train(scale, name)],
        block=_train_block,
        usual=None,
        limit=360,
        memory=2000,
        computes=True,
        foreach=True,
        place=_run_kind,
    ),
    "evaluate": Stage(
        module="evaluation.evaluate",
        what="score a run's test set and export data of figures",
        part="runs",
        code=("compute.py", *SCORES, "evaluation", "kinds.py", "noise.py", "textscores/answers.py"),
        inputs=lambda found, scale, name: [*_data(found, scale, name), paths.train(scale, name)],
        outputs=lambda scale, name: [of(scale, name) for of in (paths.metrics, paths.summary, paths.evaluation)],
        block=lambda found, scale, name: found.run(scale, name)["evaluation"],
        usual=None,
        limit=120,
        memory=2000,
        computes=True,
        foreach=True,
        place=_run_kind,
    ),
    "generate": Stage(
        module="evaluation.generate",
        what="write samples, interpolations or regenerations of a model of language",
        part="texts",
        code=("compute.py", *SCORES, "evaluation", "kinds.py", "noise.py"),
        inputs=_generate_inputs,
        outputs=lambda scale, name: [paths.text(scale, name)],
        block=lambda found, scale, name: found.text(scale, name),
        usual=2.0,
        limit=60,
        memory=2000,
        computes=True,
        foreach=True,
        place=lambda found, name: _run_kind(found, found.texts[name]["run"]),
    ),
    "rewrite": Stage(
        module="rewriting.rewrite",
        what="write other lines for those of a dataset's training contexts, by a generator",
        part="rewrites",
        code=(
            "compute.py",
            "kinds.py",
            TYPED,
            "config/rewrites.py",
            *LINES,
            "data/batching.py",
            "data/filtered.py",
            "data/subwords.py",
            "evaluation/likelihood.py",
            "evaluation/loading.py",
            "evaluation/ngrams.py",
            "evaluation/scoring.py",
            "rewriting",
        ),
        inputs=_rewrite_inputs,
        outputs=lambda scale, name: [paths.rewritten(scale, name)],
        block=lambda found, scale, name: found.rewriting(scale, name),
        usual=30.0,
        limit=60,
        memory=2000,
        computes=True,
        libraries=("nltk", "sentencepiece", "transformers"),
        place=_kind,
    ),
    "filter": Stage(
        module="augmentation.filter",
        what="keep the rewritten contexts that a trained run answers from no worse than from the original",
        part="filters",
        code=(
            "augmentation",
            "compute.py",
            "evaluation/kinds/choices.py",
            "evaluation/kinds/spans.py",
            "evaluation/likelihood.py",
            "evaluation/loading.py",
            "evaluation/scoring.py",
            "kinds.py",
            "textscores/answers.py",
        ),
        inputs=_filter_inputs,
        outputs=lambda scale, name: [paths.filtered(scale, name)],
        block=lambda found, scale, name: found.filter(scale, name),
        usual=10.0,
        limit=60,
        memory=2000,
        computes=True,
        place=lambda found, name: _run_kind(found, found.filtering(name).judges[0]),
    ),
    "compare": Stage(
        module="comparison.compare",
        what="compare what the systems of a table wrote: scores, p-values, sheets for raters",
        part="comparisons",
        code=(TYPED, "config/comparisons.py", "comparison", "kinds.py", "records.py", "textscores"),
        inputs=_compare_inputs,
        outputs=lambda scale, name: [paths.comparison(scale, name)],
        block=lambda found, scale, name: found.comparison(scale, name),
        usual=3.0,
        limit=60,
        memory=4000,
        libraries=("sacrebleu",),
        place=_paper,
    ),
    "speed": Stage(
        module="evaluation.speed",
        what="time generation against length",
        part="speeds",
        code=("compute.py", *MODELS, "data", "evaluation", "flows", "models", "kinds.py", "noise.py"),
        inputs=_speed_inputs,
        outputs=lambda scale, name: [paths.speed(scale, name)],
        block=_speed_block,
        usual=10.0,
        limit=60,
        memory=2000,
        computes=True,
        alone=True,
    ),
    "table": Stage(
        module="report.tables",
        what="write a table, reported beside reproduced",
        part="tables",
        code=("config", "metrics.py", "records.py", "report", "kinds.py", "noise.py"),
        inputs=_table_inputs,
        outputs=lambda scale, name: [*paths.table(scale, name)],
        block=_table_block,
        usual=0.5,
        limit=10,
        memory=1000,
        place=_paper,
    ),
    "figure": Stage(
        module="report.figures",
        what="draw a figure",
        part="figures",
        code=("config", "metrics.py", "records.py", "report", "kinds.py", "noise.py"),
        inputs=_figure_inputs,
        outputs=lambda scale, name: [*paths.figure(scale, name)],
        block=_figure_block,
        usual=0.5,
        limit=10,
        memory=1000,
        place=_paper,
    ),
    "audit": Stage(
        module="report.audit",
        what="judge every cell and every claim (key: <scale>/all)",
        part="",
        code=("config", "metrics.py", "records.py", "report", "kinds.py", "noise.py"),
        inputs=_audit_inputs,
        outputs=lambda scale, name: [*paths.audit(scale)],
        block=_audit_block,
        usual=0.5,
        limit=10,
        memory=1000,
    ),
    "page": Stage(
        module="report.index",
        what="write everything of a scale as one HTML page (key: <scale>/all)",
        part="",
        code=("config", "metrics.py", "records.py", "report", "kinds.py", "noise.py"),
        inputs=_whole_inputs,
        outputs=lambda scale, name: [paths.page(scale)],
        block=_audit_block,
        usual=0.5,
        limit=10,
        memory=1000,
    ),
    "track": Stage(
        module="tracking",
        what="bring MLflow up to date from the files (key: <scale>/all)",
        part="",
        code=("kinds.py", "records.py", "tracking"),
        inputs=_whole_inputs,
        outputs=lambda scale, name: [paths.track(scale)],
        block=lambda found, scale, name: None,
        usual=2.0,
        limit=60,
        memory=2000,
        elsewhere=True,
    ),
}
