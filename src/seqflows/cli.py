"""``python -m seqflows <stage> <scale>/<key>``: the one command line, which both engines call.

Nothing heavy is imported before a stage is known: ``--help`` answers at once.
"""

from __future__ import annotations

import argparse
import importlib
import os
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from seqflows import files, paths
from seqflows.errors import Interrupted, Problem

# Stage -> its module below seqflows and what it does. Each module offers ``run(key)``.
STAGES = {
    "download": ("data.download", "fetch or generate a dataset's raw files"),
    "prepare": ("data.prepare", "turn raw files into arrays, vocabulary and statistics"),
    "train": ("training.loop", "train a run, one seed after another; resumes from its checkpoint"),
    "evaluate": ("evaluation.evaluate", "score a run's test set and export what figures draw"),
    "speed": ("evaluation.speed", "time generation against length"),
    "generate": ("evaluation.texts", "write what a model of language samples, interpolates or regenerates"),
    "table": ("report.tables", "write a table, reported beside reproduced"),
    "figure": ("report.figures", "draw a figure"),
    "audit": ("report.audit", "judge every cell and every claim (key: <scale>/all)"),
    "track": ("tracking", "bring MLflow up to date from the files (key: <scale>/all)"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; 0, 1 (a `Problem`, told in one line), 75 (interrupted, to be run again) or 2 (usage).

    141, as a shell says of whom SIGPIPE ended, where the reader of what it prints has gone, such as `head`.
    """
    try:
        try:
            return _run(arguments)
        finally:
            _flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes once more at its end
        return 128 + signal.SIGPIPE


def _flush() -> None:
    """Meet a reader that has gone now; of whatever else ails stdout, Python itself tells at its end."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except (OSError, AttributeError):  # None where the process has no stdout
        pass


def _run(arguments: Sequence[str] | None) -> int:
    given = _parser().parse_args(arguments)
    said = " ".join(["seqflows", given.command, getattr(given, "key", None) or getattr(given, "scale", "")]).strip()
    try:
        given.act(given)
    except Problem as problem:
        print(f"{said}: {problem}", file=sys.stderr)
        return 1
    except Interrupted as interrupted:
        print(f"{said}: {interrupted or 'interrupted'}; run it again to go on", file=sys.stderr)
        return Interrupted.exit_status
    except KeyboardInterrupt:
        print(f"{said}: interrupted; run it again", file=sys.stderr)
        return Interrupted.exit_status
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="seqflows",
        description="Normalizing flows for sequences, reproduced and audited. What a key means stands in params.yaml.",
        epilog="example: python -m seqflows train demo/ptb-af_af",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="<command>")
    for stage, (_, what) in STAGES.items():
        command = commands.add_parser(stage, help=what, description=what)
        command.add_argument("key", metavar="<scale>/<key>", help="such as demo/ptb-af_af")
        if stage == "train":
            command.add_argument("--restart", action="store_true", help="ignore the checkpoint of an earlier start")
        command.set_defaults(act=_stage)
    matrix = commands.add_parser("matrix", help="validate params.yaml and give each stage its part of it")
    matrix.set_defaults(act=_matrix)
    show = commands.add_parser("show", help="say where a scale's results are, and print its first table")
    show.add_argument("scale", choices=paths.SCALES)
    show.set_defaults(act=_show)
    keep = commands.add_parser("keep", help="copy a scale's records beside its tables, to be committed")
    keep.add_argument("scale", choices=paths.SCALES)
    keep.set_defaults(act=_keep)
    readme = commands.add_parser("readme", help="copy the tables that README.md shows from the results")
    readme.set_defaults(act=lambda given: importlib.import_module("seqflows.report.readme").run())
    benchmark = commands.add_parser("benchmark", help="time training, sampling and scoring beside the authors' code")
    benchmark.add_argument(
        "part",
        nargs="*",
        help="training, epoch, time_to_quality, sampling, memory, words, trajectories, language_flow (all)",
    )
    benchmark.set_defaults(act=_benchmark)
    plan = commands.add_parser("plan", help="simulate how long a scale takes on some GPUs; no stage is run")
    plan.add_argument("--gpus", type=int, nargs="+", default=[1, 8, 32], metavar="N", help="how many (1 8 32)")
    plan.add_argument("--scale", choices=paths.SCALES, default="paper", help="(paper)")
    plan.add_argument(
        "--faster", type=float, default=1.0, metavar="X", help="a GPU against the device of the records (1)"
    )
    plan.set_defaults(act=_plan)
    adopt = commands.add_parser("adopt", help="hand what Snakemake made to DVC")
    adopt.set_defaults(act=_adopt)
    check = commands.add_parser("check", help="validate params.yaml")
    check.set_defaults(act=_check)
    return parser


def _stage(given: argparse.Namespace) -> None:
    """Validate the matrix and the key, take the key's lock, and run the stage."""
    from seqflows import params

    key = paths.Key.parse(given.key)
    matrix = params.load()
    part = params.KEYED.get(given.command)
    known = getattr(matrix, part) if part else [params.WHOLE]
    if key.name not in known:
        from seqflows.names import near

        where = f"a key among {part} of params.yaml" if part else f"{key.scale}/{params.WHOLE}"
        raise Problem(f"expected {where}, got {key.name!r}{near(key.name, known)}")
    options: dict[str, Any] = {}
    if given.command == "train":
        options = {"restart": given.restart, "tracker": _tracker(matrix.tracking(key.scale))}
    run: Callable[..., None] = importlib.import_module(f"seqflows.{STAGES[given.command][0]}").run
    with _checkout(), files.lock(paths.lock(given.command, key)):
        run(key, **options)


def _matrix(given: argparse.Namespace) -> None:
    with _checkout(), files.lock(paths.lock("matrix")):
        importlib.import_module("seqflows.matrix").run()


def _checkout() -> AbstractContextManager[None]:
    """Held by a stage that DVC runs, and by Snakemake from start to end: each takes away what the other just made."""
    if "DVC_STAGE" not in os.environ:  # DVC sets it
        return nullcontext()
    return files.lock(paths.lock("engine"), "Snakemake is at work in this checkout")


def _tracker(kind: str) -> Any:
    """What training feeds while it runs; `training` and `tracking` do not know each other."""
    return importlib.import_module("seqflows.tracking").Live() if kind == "live" else None


def _keep(given: argparse.Namespace) -> None:
    kept = importlib.import_module("seqflows.report.keep").run(given.scale)
    print(f"kept the records of {', '.join(kept)} in {paths.results(given.scale) / 'runs'}")


def _benchmark(given: argparse.Namespace) -> None:
    parts = importlib.import_module("seqflows.benchmark.parts")
    parts.run(given.part or parts.MEASURES)


def _plan(given: argparse.Namespace) -> None:
    importlib.import_module("seqflows.plan").run(given.scale, given.gpus, given.faster)


def _adopt(given: argparse.Namespace) -> None:
    importlib.import_module("seqflows.adopt").run()


def _check(given: argparse.Namespace) -> None:
    from seqflows import params

    matrix = params.load()
    print(
        f"params.yaml is valid: scale {matrix.scale}, {len(matrix.datasets)} datasets, {len(matrix.runs)} runs, "
        f"{len(matrix.speeds)} speeds, {len(matrix.texts)} texts, {len(matrix.tables)} tables, "
        f"{len(matrix.figures)} figures"
    )


def _show(given: argparse.Namespace) -> None:
    """Name the results of a scale and print the first table and the head of the audit."""
    from seqflows import params

    matrix, scale = params.load(), given.scale
    found = [path for name in matrix.tables if (path := paths.table(scale, name)[1]).exists()]
    if not found:
        raise Problem(f"expected tables in {paths.results(scale)}, found none; make them first, by make {scale}")
    print(found[0].read_text(encoding="utf-8").rstrip(), end="\n\n")
    listed = {
        "tables": found,
        "figures": [path for name in matrix.figures if (path := paths.figure(scale, name)[0]).exists()],
        "audit": [path for path in paths.audit(scale)[::-1] if path.exists()],
    }
    for what, where in listed.items():
        print(f"{what}:")
        print("\n".join(f"  {path}" for path in where) or "  none was made")
