"""Records of runs: what was changed since it was written is refused, and what was kept says what the runs said."""

from __future__ import annotations

import csv
import json
import random
import shutil

import pytest

import report_world
from seqflows import files, paths, records, tracking
from seqflows.errors import Problem
from seqflows.report import audit, figures, keep, tables
from seqflows.report.inputs import Results, unpacked

RUN = "jsb-af_af"
LARGE = ("ziegler2019-figure5", "ziegler2019-figure6")  # whose grids are not kept
KINDS = ("conditionals", "nlsq", "prior_grid", "gap_lengths", "entropies")  # that draw from an evaluation


def text(old, new):
    """Change the text of a file, once."""

    def change(path):
        content = path.read_text()
        assert old in content
        path.write_text(content.replace(old, new, 1))

    return change


def metric(name, **changes):
    """Change the records of a metric as if evaluate had written them so."""

    def change(path):
        found = [one | changes if one["metric"] == name else one for one in files.read_sealed(path)["metrics"]]
        report_world.rewrite(path, metrics=found)

    return change


def twice(path):
    report_world.rewrite(path, metrics=files.read_sealed(path)["metrics"] * 2)


def lettered(path):
    found = files.read_sealed(path)["metrics"]
    report_world.rewrite(path, metrics=[found[0] | {"seed": "zero"}, *found[1:]])


def unsealed(path):
    content = files.read_sealed(path)
    files.write_json(path, content)


def another(path):
    shutil.copy(paths.metrics("laptop", "jsb-lstm"), path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (text('"value": 6.528', '"value": 6.028'), "the sha256 of its own content .* another: it was changed since"),
        (unsealed, "the sha256 of its own content .* got none"),
        (text('"value": 6.528', '"value": NaN'), "got the number NaN, which is not finite"),
        (metric("nll", value=6.0), r"nll of seed 0 .* to be its nll@50, 6\.\d+, got 6\.0; evaluate it again"),
        (metric("kl", value=True), "finite number for value of kl of seed 0 .* got True"),
        (metric("kl", value="6.5"), "finite number for value of kl of seed 0 .* got '6.5'"),
        (metric("kl", standard_error="0"), "finite number for standard_error of kl of seed 0 .* got '0'"),
        (lettered, "one record of nll of seed zero"),
        (metric("kl", unit=None), "one record of kl of seed 0 .* with a unit"),
        (twice, "one record of nll of seed 0"),
        (another, "the record of scale laptop, run jsb-af_af in .* that of scale laptop, run jsb-lstm"),
    ],
)
def test_numbers_that_evaluate_did_not_write_are_refused(world, change, message):
    for name in ("jsb-lstm", RUN):
        report_world.write_run("laptop", name, (0, 1))
    assert records.metrics("laptop", RUN)
    path = paths.metrics("laptop", RUN)
    change(path)
    with pytest.raises(Problem, match=message) as refused:
        Results(world, "laptop").metrics(RUN)
    assert str(path) in str(refused.value) and "\n" not in str(refused.value)


def seed(number):
    return paths.seed("laptop", RUN, number)


def copied():
    shutil.rmtree(seed(1))
    shutil.copytree(seed(0), seed(1))


def truncated():
    lines = (seed(1) / "history.csv").read_text().splitlines(keepends=True)
    (seed(1) / "history.csv").write_text("".join(lines[:-3]))


def trained(**changes):
    return lambda: report_world.rewrite(seed(1) / "train.json", **changes)


def endless():
    found = records.trained("laptop", RUN)[1]
    report_world.write_seed(seed(1), [found.history[0] | {"valid_loss": "inf"}], found.record)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (copied, "seed 1 in .*seed-1/train.json, got that of scale laptop, run jsb-af_af, seed 0"),
        (truncated, "history.csv of seed 1 with sha256 .* run: python -m seqflows train laptop/jsb-af_af"),
        (lambda: (seed(1) / "history.csv").unlink(), "history.csv of seed 1 with sha256"),
        (lambda: text('"epochs": 20', '"epochs": 21')(seed(1) / "train.json"), "sha256 of its own content in .*seed-1"),
        (trained(parameters=True), "finite number for parameters in .*seed-1/train.json, got True"),
        (trained(epochs="20"), "finite number for epochs in .*seed-1/train.json, got '20'"),
        (trained(run="jsb-lstm"), "that of scale laptop, run jsb-lstm, seed 1"),
        (endless, "finite number for valid_loss of epoch 1 of seed 1"),
    ],
)
def test_trainings_that_train_did_not_write_are_refused(world, change, message):
    report_world.write_run("laptop", RUN, (0, 1))
    assert [one.seed for one in records.trained("laptop", RUN)] == [0, 1]
    change()
    with pytest.raises(Problem, match=message) as refused:
        records.trained("laptop", RUN)
    assert "\n" not in str(refused.value)
    with pytest.raises(Problem, match=message):
        keep.run("laptop")
    assert not paths.record("laptop", RUN).exists()


def resealed(change):
    """Change a kept record as if `keep` had written it so."""

    def whole(path):
        content = files.read_sealed(path)
        change(content)
        files.write_lines(path, files.sealed(content))

    return whole


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (text('"value": 6.528', '"value": 6.028'), "the sha256 of its own content"),
        (resealed(lambda content: content["history"][0]["values"].__setitem__(3, 9)), "history.csv of seed 0 with"),
        (resealed(lambda content: content["train"][1].update(seed=0)), "history.csv of seed 0 with"),
        (resealed(lambda content: content.update(run="jsb-lstm")), "that of scale laptop, run jsb-lstm"),
    ],
)
def test_kept_records_are_refused_alike(world, change, message):
    report_world.write_run("laptop", RUN, (0, 1))
    keep.run("laptop")
    shutil.rmtree("runs")
    path = paths.record("laptop", RUN)
    assert records.metrics("laptop", RUN) and len(records.trained("laptop", RUN)) == 2
    change(path)
    with pytest.raises(Problem, match=message) as refused:
        Results(world, "laptop").metrics(RUN)
        records.trained("laptop", RUN)
    assert str(path) in str(refused.value)


def split(*seeds):
    """The run as if one machine had trained these seeds alone."""
    shutil.rmtree("runs", ignore_errors=True)
    report_world.write_run("laptop", RUN, (0, 1, 2))
    for folder in (paths.train("laptop", RUN), paths.evaluation("laptop", RUN)):
        for one in folder.glob("seed-*"):
            if int(one.name.removeprefix("seed-")) not in seeds:
                shutil.rmtree(one)
    content = files.read_sealed(paths.metrics("laptop", RUN))
    content["metrics"] = [record for record in content["metrics"] if record["seed"] in seeds]
    if "files" in content:
        content["files"] = {name: sha for name, sha in content["files"].items() if int(name[5]) in seeds}
    files.write_json(paths.metrics("laptop", RUN), files.sealed(content))


def test_a_record_is_not_replaced_by_one_with_fewer_seeds_unless_asked(world):
    split(0, 1, 2)
    keep.run("laptop")
    split(1)
    with pytest.raises(
        Problem, match=r"\[0, 1, 2\], got \[1\], without \[0, 2\]; keep --add .* keep --fewer replaces it"
    ):
        keep.run("laptop")
    assert len(files.read_sealed(paths.record("laptop", RUN))["train"]) == 3
    keep.run("laptop", fewer=True)
    assert [one["seed"] for one in files.read_sealed(paths.record("laptop", RUN))["train"]] == [1]
    split(0, 1)
    keep.run("laptop")  # more are no loss
    split(1)
    report_world.retrained("laptop", RUN, epochs=9)
    keep.run("laptop")  # of other settings one takes the other's place
    assert len(files.read_sealed(paths.record("laptop", RUN))["train"]) == 1


def test_seeds_of_several_machines_join_in_one_record(world):
    split(0, 1, 2)
    keep.run("laptop", add=True)  # nothing to join
    whole = files.read_sealed(paths.record("laptop", RUN))
    paths.record("laptop", RUN).unlink()
    for seeds in ((2,), (0, 1)):
        split(*seeds)
        keep.run("laptop", add=True)
    joined = files.read_sealed(paths.record("laptop", RUN))
    assert {name: value for name, value in joined.items() if name != "scores"} == {
        name: value for name, value in whole.items() if name != "scores"
    }
    if "scores" in whole:
        for one, other in zip(unpacked(joined["scores"]), unpacked(whole["scores"]), strict=True):
            assert one.steps == other.steps and one.nll == pytest.approx(other.nll, rel=1e-6)
    shutil.rmtree("runs")
    assert [one.seed for one in records.trained("laptop", RUN)] == [0, 1, 2]
    assert Results(world, "laptop").metrics(RUN)["nll"].seeds == (0, 1, 2)


def rewritten(**changes):
    return lambda: report_world.rewrite(seed(1) / "train.json", **changes)


@pytest.mark.parametrize(
    ("seeds", "change", "message"),
    [
        ((0, 1), lambda: None, r"seeds that its kept record does not have for laptop/jsb-af_af, got \[0\] in both"),
        ((1,), rewritten(config={"model": {}}), "the settings of its kept record for laptop/jsb-af_af"),
        ((1,), rewritten(dataset_sha256="0" * 64), "the data of its kept record for laptop/jsb-af_af"),
    ],
)
def test_seeds_that_differ_do_not_join(world, seeds, change, message):
    split(0)
    keep.run("laptop")
    before = paths.record("laptop", RUN).read_bytes()
    split(*seeds)
    change()
    with pytest.raises(Problem, match=message + ".*; keep without --add, which replaces the record"):
        keep.run("laptop", add=True)
    assert paths.record("laptop", RUN).read_bytes() == before


def test_a_flipped_bit_is_refused_by_name_or_changes_nothing(world):
    """Nothing: the case of the e of a number, if at all."""
    report_world.write_run("laptop", RUN, (0, 1))
    keep.run("laptop")
    rng, kept = random.Random(3), paths.record("laptop", RUN)
    made = [paths.metrics("laptop", RUN), seed(1) / "train.json", seed(1) / "history.csv"]

    def read():
        return records.metrics("laptop", RUN), records.trained("laptop", RUN)

    before, refused = read(), 0
    for path in [*made, kept]:
        if path == kept:
            shutil.rmtree("runs")
        whole = path.read_bytes()
        for _ in range(60):
            content = bytearray(whole)
            content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
            path.write_bytes(content)
            try:
                assert read() == before
            except Problem as problem:
                assert path.name in str(problem) and "\n" not in str(problem)
                refused += 1
        if path != kept:
            path.write_bytes(whole)
    assert refused > 230


def outputs(scale, world):
    """Every table, figure and the audit of a scale: a stage, a name and its files."""
    found = [(tables, name, paths.table(scale, name)) for name in world.tables]
    found += [(figures, name, paths.figure(scale, name)) for name in world.figures]
    return [*found, (audit, "all", paths.audit(scale))]


def content(written):
    """The bytes of all files, in folders too."""
    inside = [file for path in written for file in ([path] if path.suffix else sorted(path.iterdir()))]
    return {str(file): file.read_bytes() for file in inside}


def test_a_clone_with_what_was_kept_says_what_the_runs_said(world):
    report_world.write_all("laptop", world, (0, 1))
    for name in [name for name, block in world.figures.items() if block["kind"] not in KINDS]:
        del world.figures[name]
    made = {}
    for stage, name, written in outputs("laptop", world):
        stage.run(paths.Key("laptop", name))
        made[name] = content(written)
    entries = {entry.id: entry for entry in tracking.entries("laptop")}
    scores = Results(world, "laptop").scores(RUN)
    assert len(scores) == 40 and len(made["all"]) == 9
    full = made["all"]["results/laptop/audit.md"].split(b"### Claims")[1]
    assert b"(errors not paired)" not in full.split(b"affine lies")[0]
    keep.run("laptop")
    shutil.rmtree("runs")
    for stage, name, written in outputs("laptop", world):
        if name in LARGE:
            with pytest.raises(
                Problem, match="npz, found none; kept records lack it, so train laptop/.* evaluate laptop/"
            ):
                stage.run(paths.Key("laptop", name))
        else:
            stage.run(paths.Key("laptop", name))
        assert content(written) == made[name], name
    again = {entry.id: entry for entry in tracking.entries("laptop")}
    for name, entry in entries.items():
        kept = again.pop(name)
        assert (kept.metrics, kept.params, kept.tags, kept.curves) == (
            entry.metrics, entry.params, entry.tags, entry.curves,
        )  # fmt: skip
        assert name == "laptop/results" or [path.suffix for path in kept.artifacts] == [".json"]
    assert Results(world, "laptop").scores(RUN) == scores
    assert not again and entries[f"laptop/{RUN}/1"].metrics["final/nll"]


def test_scores_that_are_listed_and_gone_are_missed(world):
    """A difference would lose its pairing in silence, and a verdict with it."""
    for name in ("ptb-lstm", "ptb-af_af"):
        report_world.write_run("laptop", name)
        folder = paths.evaluation("laptop", name)
        listed = {p.relative_to(folder).as_posix(): files.sha256(p) for p in folder.rglob("*") if p.is_file()}
        report_world.rewrite(paths.metrics("laptop", name), files=listed)
    shutil.rmtree(paths.evaluation("laptop", "ptb-lstm"))
    for stage in (lambda: audit.run(paths.Key("laptop", "all")), lambda: keep.run("laptop")):
        with pytest.raises(Problem, match=r"scores.csv, which .* lists, found none; .* evaluate laptop/ptb-lstm"):
            stage()
    assert not paths.audit("laptop")[1].exists()


@pytest.mark.parametrize("change", [lambda path: path.write_text(path.read_text().replace("1", "2", 1)), "unlisted"])
def test_what_was_kept_for_figures_is_verified(world, change):
    report_world.write_words("laptop", world)
    keep.run("laptop")
    shutil.rmtree("runs")
    run = "words-tril2-k10"
    if change == "unlisted":
        resealed(lambda content: content.pop("drawn"))(paths.record("laptop", run))
    else:
        change(paths.drawn("laptop", run) / "seed-0/gaps.csv")
    for stage, name in ((figures, "schmidt2018-figure1"), (audit, "all")):
        with pytest.raises(Problem, match="expected results/laptop/drawn/.*/gaps.csv with sha256"):
            stage.run(paths.Key("laptop", name))


def test_times_are_finite(world):
    report_world.write_speed("laptop", "ptb")
    path = paths.speed("laptop", "ptb")
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    files.write_csv(path, [*rows[:-1], rows[-1] | {"seconds": "nan"}], tuple(rows[0]))
    with pytest.raises(Problem, match=r"finite seconds of ptb-iaf_scf at length 200 in .*ptb.csv, got nan"):
        figures.run(paths.Key("laptop", "ziegler2019-figure7"))


def test_committed_results_are_those_of_the_committed_records(root, tmp_path, monkeypatch):
    """In a clone each stage writes what is committed, or refuses and leaves it.

    What is left cannot be marked as of earlier settings once they change, so that such a figure is not committed.
    """
    from seqflows import params

    matrix = params.load(root / "params.yaml")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(params, "load", lambda *_: matrix)
    for scale in ("laptop", "paper"):  # whose audits read each other's records
        shutil.copytree(root / paths.results(scale), paths.results(scale))
    for scale in ("laptop", "paper"):
        for stage, name, written in outputs(scale, matrix):
            if not all(path.exists() for path in written):
                continue
            before, refused = content(written), ""
            try:
                stage.run(paths.Key(scale, name))
            except Problem as problem:
                refused = str(problem)
            after = content(written)  # of some 100 kB: a difference is named, not shown
            other = [path for path in before.keys() | after.keys() if before.get(path) != after.get(path)]
            assert not other, (scale, name, refused)
            assert not refused or (stage is figures and "found none" in refused), refused
            runs = matrix.figures[name]["runs"] if refused else []
            assert not [run for run in runs if Results(matrix, scale).earlier(run)], (scale, name)


def test_a_line_a_record(world):
    """Adding a metric adds a line."""
    report_world.write_run("laptop", RUN)
    keep.run("laptop")
    path = paths.record("laptop", RUN)
    lines = path.read_text().splitlines()
    assert json.loads("".join(lines)) == files.read_json(path)
    assert [json.loads(line.rstrip(",")) for line in lines if '"metric": ' in line] == files.read_json(path)["metrics"]
