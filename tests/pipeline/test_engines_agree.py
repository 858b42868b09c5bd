"""Four runs, trained and scored for real by each engine from the same seed, end in the same tables."""

import json

from engines import keep
from seqflows import paths, preload

TABLE = "ziegler2019-table1"
ROWS = ("LSTM (sentence-wise)", "AF / AF", "Codebook")
AFFINE = "ptb-af_af-affine"
UNTIMED = ("wall_seconds",)


def shorten(content):
    """The runs of three rows and one beside them, and two epochs of each on a few sentences."""
    table = content["tables"][TABLE]
    keep(content, {TABLE: table | {"rows": {row: table["rows"][row] for row in ROWS}}}, [AFFINE])
    content["datasets"]["ptb"]["demo"].update(train=48, valid=16, test=16)
    for run in content["runs"].values():
        run["demo"]["training"].update(epochs=2)
        run["demo"]["evaluation"].update(samples=4, at=[1, 4], headline=4)
        if "kl_free_epochs" in run["demo"]["training"]:
            run["demo"]["training"].update(kl_free_epochs=0, kl_ramp_epochs=1)


def numbers(folder, run):
    """What metrics.json says, without what measures time."""
    content = json.loads((folder / paths.metrics("demo", run)).read_text())
    return [{name: value for name, value in record.items() if name not in UNTIMED} for record in content["metrics"]]


def test_both_engines_end_in_the_same_tables(project):
    by_dvc, by_snakemake = project("dvc"), project("snakemake")
    runs = []
    for scratch in (by_dvc, by_snakemake):
        scratch.params(shorten)
        scratch.params(lambda content: runs.append(list(content["runs"])))
        del scratch.env[preload.VARIABLE]  # Snakemake loads torch by itself
    assert len(runs[0]) == len(ROWS) + 1 and runs[0] == runs[1]
    targets = (f"workflow/ziegler2019/dvc.yaml:table-{TABLE}", f"workflow/text/dvc.yaml:evaluate@{AFFINE}")
    by_dvc.run("python", "-m", "seqflows", "preload", "dvc", "repro", "-q", *targets)
    table = [str(path) for path in paths.table("demo", TABLE)]
    targets = [*table, str(paths.metrics("demo", AFFINE))]
    by_snakemake.run("snakemake", "-j", "2", "--quiet", "all", "--", *targets)
    for path in table:
        assert (by_dvc.folder / path).read_bytes() == (by_snakemake.folder / path).read_bytes(), path
    for run in runs[0]:
        found = numbers(by_dvc.folder, run)
        assert found == numbers(by_snakemake.folder, run) and len(found) > 4
    history = paths.seed("demo", AFFINE, 0) / "model.safetensors"
    assert (by_dvc.folder / history).read_bytes() == (by_snakemake.folder / history).read_bytes()
    check_dvc_shows(by_dvc, runs[0])


def check_dvc_shows(made, runs):
    """DVC's own habits find the numbers, the curves and a changed param."""
    shown = json.loads(made.run("dvc", "metrics", "show", "--json"))[""]["data"]
    assert {path for path, found in shown.items() if "data" in found} == {
        str(paths.summary("demo", run)) for run in runs
    }
    for run in runs:
        found = shown[str(paths.summary("demo", run))]["data"]
        (nll,) = [record for record in numbers(made.folder, run) if record["metric"] == "nll"]
        wanted = {name: nll[name] for name in ("metric", "unit", "value", "standard_error")}
        assert found == {**wanted, "seeds": 1}
    made.run("git", "add", "--all")
    made.run("git", "-c", "user.name=a", "-c", "user.email=a@b", "commit", "--quiet", "-m", "made")
    made.params(lambda content: content["runs"][AFFINE]["demo"]["training"].update(epochs=3))
    changed = json.loads(made.run("dvc", "params", "diff", "--json"))["params.yaml"]
    assert changed == {f"runs.{AFFINE}.demo.training.epochs": {"old": 2, "new": 3, "diff": 1}}
    plots = json.loads(made.run("dvc", "plots", "show", "--json"))["data"]
    (curves,) = plots["ptb: validation loss"]
    points = curves["content"]["data"]["values"]
    assert len({point["filename"] for point in points}) == len(runs)
    assert {point["epoch"] for point in points} == {"1", "2"} and all(float(one["valid_loss"]) > 0 for one in points)
