"""The command line ``python -m seqflows <stage> <scale>/<key>``, which both engines call.

Heavy imports wait until the stage is known, so that ``--help`` is fast.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import importlib
import os
import resource
import signal
import sys
import time
from collections.abc import Sequence
from typing import Any

from seqflows import __version__, files, paths
from seqflows.errors import Interrupted, Problem, described
from seqflows.stages import NOTED, NOTES, TABLE, WHOLE, check_code

NARROWED = ("train", "evaluate")  # stages that may take some of a run's seeds alone, and another device


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return 0, 1 (a `Problem`, printed on one line), 75 (interrupted; run again) or 2 (usage).

    A command that writes files does not fail because of what it prints. One that only prints returns 1 if it cannot
    print, or 141, a shell's status of SIGPIPE, if the reader of the output, such as `head`, has closed it.
    """
    streams = sys.stdout, sys.stderr
    try:
        given = _parser().parse_args(arguments)
        if given.act not in (_status, _list, _plan, _check, _show, _score, _sample):
            sys.stdout, sys.stderr = map(_BestEffort, streams)
        return _run(given)
    except BrokenPipeError:
        return 128 + signal.SIGPIPE
    finally:
        sys.stdout, sys.stderr = streams
        for stream in filter(None, streams):
            try:
                stream.flush()
            except (OSError, ValueError):
                with contextlib.suppress(OSError, ValueError):
                    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())  # Python flushes once more at its end


class _BestEffort:
    """A stream that drops what it cannot write; None if the process has no such stream."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def isatty(self) -> bool:
        return self._stream is not None and self._stream.isatty()

    def write(self, text: str) -> int:
        with contextlib.suppress(OSError, ValueError, AttributeError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError, ValueError, AttributeError):
            self._stream.flush()


def _run(given: argparse.Namespace) -> int:
    key = getattr(given, "key", None) or getattr(given, "scale", None)
    said = " ".join(["seqflows", given.command, *([key] if key else [])])
    try:
        check_code()
        given.act(given)
        if sys.stdout is not None:
            sys.stdout.flush()
        _note(given)
    except (OSError, MemoryError, RecursionError) as error:
        if isinstance(error, BrokenPipeError) and not isinstance(sys.stdout, _BestEffort):
            raise
        print(f"{said}: {described(error)}", file=sys.stderr)
        return 1
    except Problem as problem:
        print(f"{said}: {problem}", file=sys.stderr)
        return 1
    except Interrupted as interrupted:
        _note(given)
        print(f"{said}: {interrupted or 'interrupted'}; run it again to go on", file=sys.stderr)
        return Interrupted.exit_status
    except KeyboardInterrupt:
        _note(given)
        print(f"{said}: interrupted; run it again", file=sys.stderr)
        return Interrupted.exit_status
    return 0


def _note(given: argparse.Namespace) -> None:
    """Add what this process took, in a line of `NOTED`, to the file that ``$SEQFLOWS_NOTES`` names, if it does."""
    if (path := os.environ.get(NOTES)) and given.command in TABLE:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        row = (given.command, given.key, f"{time.process_time():.2f}", f"{peak:.3f}")
        with contextlib.suppress(OSError), open(path, "a", newline="", encoding="utf-8") as file:
            csv.writer(file, lineterminator="\n").writerows(([] if file.tell() else [NOTED]) + [row])


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="seqflows",
        description="Normalizing flows for sequences, reproduced and audited. Keys are defined in params.yaml.",
        epilog="example: python -m seqflows train demo/ptb-af_af",
    )
    parser.add_argument("--version", action="version", version=f"seqflows {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="<command>", parser_class=_Parser)

    def add(name: str, what: str) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=what, description=what)

    for stage, row in TABLE.items():
        command = add(stage, row.what)
        command.add_argument("key", metavar="<scale>/<key>", help=f"one of: python -m seqflows list {stage}")
        names = ("--force", "--restart") if stage == "train" else ("--force",)
        also = ", checkpoints and seeds that are done too" if stage == "train" else ""
        command.add_argument(*names, action="store_true", help=f"make it anew even if it is up to date{also}")
        if stage in NARROWED:
            command.add_argument(
                "--seeds", type=int, nargs="+", default=[], metavar="N", help="some of its seeds alone"
            )
            also = "in place of the scale's, such as cpu for scale paper"
            command.add_argument("--device", default="", metavar="<device>", help=also)
        command.set_defaults(act=_stage)
    status = add("status", "list the made, stale and missing keys of a scale")
    listed = add("list", "print the keys of a stage")
    listed.add_argument("stage", choices=TABLE, metavar="<stage>", help=", ".join(TABLE))
    for command, act in ((status, _status), (listed, _list)):
        command.add_argument("scale", nargs="?", choices=paths.SCALES, help="the scale (that of params.yaml)")
        command.set_defaults(act=act)
    matrix = add("matrix", "validate params.yaml and write each stage's part of it")
    matrix.set_defaults(act=_matrix)
    dvc = add("dvc", "write dvc.yaml from params.yaml and the table of stages")
    dvc.set_defaults(act=lambda given: importlib.import_module("seqflows.pipeline.dvc").run())
    show = add("show", "print the place of a scale's results and its first table")
    show.add_argument("scale", choices=paths.SCALES)
    show.set_defaults(act=_show)
    keep = add("keep", "copy a scale's records beside its tables, to be committed")
    keep.add_argument("scale", choices=paths.SCALES)
    also = "join the seeds here to those kept, of the same settings and data, in place of replacing them"
    keep.add_argument("--add", action="store_true", help=also)
    keep.add_argument("--fewer", action="store_true", help="replace records that have more seeds than those here")
    keep.set_defaults(act=_keep)
    score = add("score", "print -log p of each line of a file under a trained model, nats")
    sample = add("sample", "print new sequences of a trained model")
    for command in (score, sample):
        command.add_argument("key", metavar="<scale>/<run>", help="a trained run of text, words or language")
        command.add_argument("--seed", type=int, help="of the training (the first)")
    score.add_argument("file", help="a sequence per line; - reads standard input")
    score.set_defaults(act=_score)
    sample.add_argument("-n", type=int, default=5, metavar="N", help="how many (5)")
    what = "scale of the noise of flows and latents; of others divisor of the logits, 0: the likeliest symbols (1)"
    sample.add_argument("--temperature", type=float, default=1.0, metavar="T", help=what)
    sample.set_defaults(act=_sample)
    weights = add("weights", "write weights/<scale> of all trained runs, for use without data")
    weights.add_argument("scale", choices=paths.SCALES)
    weights.set_defaults(act=_weights)
    crate = add("crate", "write crates/<scale>, an RO-Crate of the results, and other exports")
    crate.add_argument("scale", choices=paths.SCALES)
    crate.set_defaults(act=_crate)
    readme = add("readme", "update README.md, docs and the lists of each scale's pages from the results")
    readme.set_defaults(act=lambda given: importlib.import_module("seqflows.report.readme").run())
    benchmark = add("benchmark", "time training, sampling and scoring against the authors' code")
    benchmark.add_argument(
        "part",
        nargs="*",
        help="training, words, ... (all but whole, the tests and the demo in a fresh clone, whole:snakemake being a "
        "part of it, and stages:<file>), see docs/benchmark.md",
    )
    benchmark.set_defaults(act=_benchmark)
    witness = add("witness", "show, by computations, which printed numbers cannot be")
    witness.set_defaults(act=lambda given: importlib.import_module("seqflows.witness.pages").run())
    plan = add("plan", "simulate the time of a scale on some GPUs; no stage is run")
    plan.add_argument("--gpus", type=int, nargs="+", default=[1, 8, 32], metavar="N", help="numbers of GPUs (1 8 32)")
    plan.add_argument("--scale", choices=paths.SCALES, default="paper", help="(paper)")
    plan.add_argument(
        "--faster", type=float, metavar="X", help="speed of a GPU, the device of the records being 1 (without it: CPUs)"
    )
    plan.set_defaults(act=_plan)
    preload = add("preload", "run a command, such as dvc repro, whose stages find torch loaded")
    preload.add_argument("engine", nargs=argparse.REMAINDER, metavar="<command>", help="with its arguments")
    preload.set_defaults(act=_preload)
    repro = add("repro", "make everything by DVC, parts that share no stage side by side")
    repro.add_argument("-j", type=int, default=2, metavar="N", dest="jobs", help="calls of dvc repro at once (2)")
    repro.set_defaults(act=lambda given: importlib.import_module("seqflows.pipeline.repro").run(given.jobs))
    adopt = add("adopt", "hand Snakemake's outputs to DVC")
    adopt.set_defaults(act=_adopt)
    check = add("check", "validate params.yaml, and that dvc.yaml matches it")
    also = "also that each printed cell has a number and none is better than its source: for demo, whose is known"
    check.add_argument("--results", metavar="<scale>", choices=paths.SCALES, help=also)
    check.set_defaults(act=_check)
    return parser


class _Parser(argparse.ArgumentParser):
    """A parser that ends a stage's help with an example key."""

    def format_help(self) -> str:
        """The help; only a stage's reads params.yaml."""
        stage = self.prog.split()[-1]
        if stage in TABLE:
            from seqflows import params

            with contextlib.suppress(Problem):  # without a params.yaml there are no keys
                found = (whole := params.load()).at(whole.scale)
                keys = TABLE[stage].keys(found)
                self.epilog = f"example: python -m seqflows {stage} {found.scale}/{keys[0]}" if keys else None
        return super().format_help()


def _stage(given: argparse.Namespace) -> None:
    """Validate the matrix and the key, take the key's lock, and run the stage unless it is up to date."""
    from seqflows import params

    key = paths.Key.parse(given.key)
    matrix, row = params.load(), TABLE[given.command]
    known, here = row.keys(matrix), matrix.at(key.scale)
    if key.name not in known:
        from seqflows.names import near

        where = f"a key among {row.part} of params.yaml" if row.part else f"{key.scale}/{WHOLE}"
        raise Problem(f"expected {where}, got {key.name!r}{near(key.name, known)}")
    if key.name not in row.keys(here):
        _absent(given.command, key)
        return
    if given.command in NARROWED:
        here = here.narrowed(key.scale, key.name, given.seeds, given.device)
    with _checkout(), files.lock(paths.lock(given.command, key)):
        status = importlib.import_module("seqflows.pipeline.status")
        found = status.Status(here, key.scale)
        if not (given.force or row.elsewhere) and found.of(given.command, key.name).state == status.MADE:
            print(f"{given.command} {key} is up to date; --force makes it anew")
            return
        options: dict[str, Any] = {}
        if given.command == "train":
            options = {"restart": given.force, "tracker": _tracker(matrix.tracking(key.scale))}
        wanted = found.wanted(given.command, key.name)
        importlib.import_module(f"seqflows.{row.module}").run(key, here, **options)
        found.record(given.command, key.name, wanted)
        if given.command in NARROWED and here.run(*key)["seeds"] != matrix.run(*key)["seeds"]:
            # Older than any input, so that Snakemake, too, sees that they are not the whole run's; to it 0 is no time.
            for path in filter(os.path.exists, row.outputs(*key)):
                os.utime(path, (1, 1))


def _score(given: argparse.Namespace) -> None:
    """Print the nats of each line, and at last their mean."""
    from seqflows import trained

    lines = files.lines(given.file)
    model = _lined(trained.load(given.key, given.seed))
    if model.known.kind == "language" and (strange := model.unknown(lines)):
        print(f"seqflows score {given.key}: <unk> stands for {', '.join(strange[:20])}", file=sys.stderr)
    nats = model.score(lines)
    for line, value in zip(lines, nats.tolist(), strict=True):
        print(f"{value:.4f}\t{line}")
    print(f"mean of {len(lines)}: {nats.mean():.4f} nats a sequence, seed {model.seed} of {model.name}")


def _sample(given: argparse.Namespace) -> None:
    from seqflows import trained

    if given.n < 1:
        raise Problem(f"expected -n of at least 1, got {given.n}")
    for line in _lined(trained.load(given.key, given.seed)).sample(given.n, temperature=given.temperature):
        print(line)


def _lined(model: Any) -> Any:
    """The model, if its sequences are lines; else a `Problem`."""
    if model.known.kind in ("music", "vectors"):
        raise Problem(f"expected a model of text, words or language, got one of {model.known.kind}; use seqflows.load")
    return model


def _weights(given: argparse.Namespace) -> None:
    from seqflows import trained

    done = trained.pack(given.scale)
    if not done:
        raise Problem(f"expected trained runs in runs/{given.scale}, found none; train some first")
    print("\n".join(f"weights/{name}" for name in done))


def _absent(stage: str, key: paths.Key) -> None:
    """Handle an entry that a scale lacks: under DVC, whose stages have no scale, write placeholder outputs."""
    said = f"params.yaml has no entry {key.name} at scale {key.scale}"
    if "DVC_STAGE" not in os.environ:
        raise Problem(
            f"expected a key of scale {key.scale}, got one of another: {said}; add a block {key.scale}: to it"
        )
    for path in TABLE[stage].outputs(key.scale, key.name):
        content = "{}" if path.name == paths.SUMMARY else said  # which DVC reads as metrics
        files.write_text(path if path.suffix else path / "absent.txt", content + "\n")
    print(said)


def _matrix(given: argparse.Namespace) -> None:
    with _checkout(), files.lock(paths.lock("matrix")):
        importlib.import_module("seqflows.pipeline.matrix").run()


def _checkout() -> contextlib.AbstractContextManager[int | None]:
    """Lock DVC's stages and Snakemake against each other, since each deletes the other's outputs."""
    if "DVC_STAGE" not in os.environ or paths.HELD in os.environ:  # DVC sets it; `repro` holds the lock
        return contextlib.nullcontext()
    return files.lock(paths.lock("engine"), "Snakemake is running in this checkout")


def _status(given: argparse.Namespace) -> None:
    importlib.import_module("seqflows.pipeline.status").run(given.scale)


def _list(given: argparse.Namespace) -> None:
    from seqflows import params

    found = params.load()
    scale = given.scale or found.scale
    print("\n".join(f"{scale}/{name}" for name in TABLE[given.stage].keys(found.at(scale))))


def _tracker(kind: str) -> Any:
    """The live tracker for training; `training` and `tracking` do not import each other."""
    return importlib.import_module("seqflows.tracking").Live() if kind == "live" else None


def _keep(given: argparse.Namespace) -> None:
    runs, datasets = importlib.import_module("seqflows.report.keep").run(given.scale, given.add, given.fewer)
    for what, names, where in (
        ("records of runs", runs, paths.results(given.scale) / "runs"),
        ("statistics of datasets", datasets, paths.statistics(given.scale, "x").parent),
    ):
        if names:
            print(f"kept the {what} {', '.join(names)} in {where}")


def _crate(given: argparse.Namespace) -> None:
    written = importlib.import_module("seqflows.provenance.crate").run(given.scale)
    print("\n".join(map(str, written)))


def _benchmark(given: argparse.Namespace) -> None:
    importlib.import_module("seqflows.benchmark.parts").run(given.part)


def _plan(given: argparse.Namespace) -> None:
    importlib.import_module("seqflows.pipeline.plan").run(given.scale, given.gpus, given.faster)


def _preload(given: argparse.Namespace) -> None:
    """Refuse a missing command; `seqflows.__main__` runs one before anything of the project is imported."""
    raise Problem("expected a command, such as dvc repro, got none; run: python -m seqflows preload dvc repro")


def _adopt(given: argparse.Namespace) -> None:
    importlib.import_module("seqflows.pipeline.adopt").run()


def _check(given: argparse.Namespace) -> None:
    from seqflows import params
    from seqflows.config import own

    matrix = params.load()
    importlib.import_module("seqflows.pipeline.dvc").check(matrix)
    for scale in paths.SCALES:
        here = matrix.at(scale)
        for name in here.datasets:
            own.compare(here.dataset(scale, name))
    print(
        f"params.yaml is valid: scale {matrix.scale}, {len(matrix.datasets)} datasets, {len(matrix.runs)} runs, "
        f"{len(matrix.speeds)} speeds, {len(matrix.texts)} texts, {len(matrix.tables)} tables, "
        f"{len(matrix.figures)} figures, {len(matrix.comparisons)} comparisons"
    )
    if given.results:
        print(importlib.import_module("seqflows.report.acceptance").run(given.results))


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
        "audit": [path for path in paths.audit(scale)[1::-1] if path.exists()],
        "page": [path for path in [paths.page(scale)] if path.exists()],
    }
    for what, where in listed.items():
        print(f"{what}:")
        print("\n".join(f"  {path}" for path in where) or "  none was made")
