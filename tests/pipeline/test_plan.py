"""The plan: a simulation with known answers, minutes that follow the records, and what it refuses."""

import csv
import dataclasses
import re
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import report_world
from seqflows import cli, files, models, params, paths, records, stages
from seqflows.benchmark import epoch
from seqflows.data.prepared import Facts
from seqflows.errors import Problem
from seqflows.kinds import KINDS
from seqflows.pipeline import memory, plan
from seqflows.pipeline.plan import Job, Record, chain, jobs, simulate, ways


def of(*found):
    return {job.key: job for job in found}


def test_a_known_schedule():
    three = of(*(Job("train", name, minutes, "") for name, minutes in (("a", 10), ("b", 10), ("c", 20))))
    assert [simulate(three, count).makespan for count in (1, 2, 3, 9)] == [40, 20, 20, 20]
    assert simulate(three, 2).busy == 40
    line = of(
        Job("prepare", "d", 1, ""),
        Job("train", "a", 10, "", ("prepare d",)),
        Job("evaluate", "a", 5, "", ("train a",)),
        Job("train", "b", 12, "", ("prepare d",)),
        Job("table", "t", 2, "", ("evaluate a", "train b")),
    )
    # one GPU: 1 + 10 + 12 + 5 in either order, and the table; two: the longer chain
    assert [simulate(line, count).makespan for count in (1, 2)] == [30, 18]
    assert [job.key for job in chain(line)] == ["prepare d", "train a", "evaluate a", "table t"]


@st.composite
def graphs(draw):
    made = {}
    for number in range(draw(st.integers(1, 12))):
        after = tuple(key for key in made if draw(st.booleans()))
        stage = draw(st.sampled_from(["train", "table"]))
        job = Job(stage, str(number), draw(st.integers(0, 50)), "", after)
        made[job.key] = job
    return made


@settings(deadline=None, derandomize=True)
@given(graphs(), st.integers(1, 5))
def test_a_schedule_keeps_grahams_bounds(made, gpus):
    found = simulate(made, gpus)
    work = sum(job.minutes for job in made.values() if job.stage == "train")
    longest = max(ways(made).values())
    assert found.busy == work
    assert max(longest, work / gpus) <= found.makespan <= work / gpus + longest
    assert sum(job.minutes for job in chain(made)) == longest


RECORDS = [
    Record("laptop", "ptb-lstm", 33, 20.0, 60.0, "x"),
    Record("laptop", "ptb-af_af", 33, 200.0, 600.0, "x"),
    Record("laptop", "words-tril", 40, 2.5, 50.0, "x"),
    Record("laptop", "words-gru8", 40, 1.0, 30.0, "x"),
    Record("laptop", "jsb-af_af", 60, 5.0, 30.0, "x"),
    Record("laptop", "jsb-lstm", 60, 1.0, 5.0, "x"),
    Record("laptop", "gaussians-nlsq", 100, 0.3, 1.0, "x"),
    Record("paper", "jsb-af_scf", 50, 10.0, 720.0, "y"),
]


@pytest.fixture
def matrix(root, monkeypatch):
    monkeypatch.chdir(root)
    return params.load()


def test_minutes_are_the_records_or_follow_the_work(matrix):
    made = jobs(matrix.at("paper"), "paper", RECORDS, 1.0)
    assert len(made) == len(list(stages.every(matrix.at("paper"))))
    measured = made["train jsb-af_scf"]
    assert (measured.minutes, measured.origin) == (plan.START + 50 * 10 * 3 / 60, "measured, y")  # three seeds
    twice = jobs(matrix.at("paper"), "paper", RECORDS, 2.0)
    for key, job in made.items():
        faster = plan.START + (job.minutes - plan.START) / 2
        assert twice[key].minutes == pytest.approx(job.minutes if job.origin == plan.ASSUMED else faster)
    # the same model on the same words: 50 epochs of 1,000,448 against 40 of 250,368, and three seeds
    words = made["train words-tril"]
    assert words.origin == "estimated from laptop/words-tril, x 1"
    assert words.minutes == pytest.approx(plan.START + 100 / 60 * 3 * (50 * 1000448) / (40 * 250368))
    assert made["evaluate words-tril"].minutes == pytest.approx(plan.START + 50 / 60 * 3)  # the same trajectories
    assert made["train words-gru16"].origin.startswith("estimated from laptop/words-gru8, x 3")


def test_the_nearest_reference_is_taken(matrix, monkeypatch):
    """For the paper's sizes a row of the benchmark, which has them, before a run of other sizes."""
    made = jobs(matrix.at("paper"), "paper", RECORDS, 1.0)
    assert made["train ptb-af_only"].origin.startswith("estimated from benchmark, ptb AF/AF, x 0.8")
    assert made["train musedata-lstm-adam"].origin == "estimated from benchmark, musedata LSTM, x 1"  # not JSB's
    for run in ("jsb-af_scf-dropout", "nottingham-af_scf"):  # before a record, whose seconds include other jobs'
        data = run.partition("-")[0]
        assert made[f"train {run}"].origin == f"estimated from benchmark, {data} AF/SCF, x 1"
    # without epochs a step of uniform lengths
    monkeypatch.setattr(plan, "_of_epochs", lambda _: {})
    made = jobs(matrix.at("paper"), "paper", RECORDS, 1.0)
    assert made["train ptb-iaf_scf"].origin == "estimated from benchmark, PTB, 4 x 100 x 5, x 1"
    symbols = files.read_json(paths.statistics("paper", "ptb"))["splits"]["train"]["symbols"]
    with open("results/benchmark/training.csv") as file:
        rows = [row for row in csv.DictReader(file) if row["shape"].startswith("PTB") and row["model"] == "IAF/SCF"]
    seconds = min(float(row["seconds"]) for row in rows) / (4 * 100 * 5)  # a symbol and posterior sample
    assert made["train ptb-iaf_scf"].minutes == pytest.approx(plan.START + seconds * symbols * 10 * 100 * 3 / 60)
    # flows of language of the paper's size too, of the same structure; before one of another class only if far larger
    flow = made["train squad-flow"]
    assert flow.origin.startswith("estimated from benchmark, Att-AR, x ")
    with open("results/benchmark/language_flow.csv") as file:
        (tokens,) = (float(row["tokens_per_second"]) for row in csv.DictReader(file) if row["model"] == "Att-AR")
    work, ratio = plan._work(matrix.at("paper"), "paper", "squad-flow", "train"), float(flow.origin.rpartition(" ")[2])
    assert flow.minutes == pytest.approx(plan.START + work / tokens * ratio * 3 / 60, rel=0.01)
    assert made["train squad-flow_plus"].origin.startswith("estimated from benchmark, Att-S, x ")
    # scoring has no benchmark: the run's own record, in proportion to the weights
    assert made["evaluate ptb-af_af"].origin.startswith("estimated from laptop/ptb-af_af, x ")


def test_a_plan_agrees_with_the_measured_epochs(matrix):
    """Within a factor of two, recorded or not: ptb-lstm took ten times as long, from a run of a 25th of its weights."""
    matrix = matrix.at("paper")
    found = list(plan._records(matrix))
    made = jobs(matrix, "paper", found, 1.0)
    trained = {one.run: one.epochs for one in found if one.scale == "paper"}
    with open("results/benchmark/epoch.csv") as file:
        rows = list(csv.DictReader(file))
    names = [f"{row['dataset']}-{epoch.MODELS[row['model']]}" for row in rows]
    assert len(set(names)) == 20 and {"jsb-lstm", "jsb-af_scf"} <= trained.keys() & set(names)
    for run, row in zip(names, rows, strict=True):
        block = matrix.run("paper", run)
        epochs = trained.get(run, block["training"]["epochs"])
        wanted = float(row["seconds"]) * epochs * len(block["seeds"]) / 60
        assert wanted / 2 <= made[f"train {run}"].minutes <= 2 * wanted, run
    # the order of the models' steps, which wall seconds of busy machines do not keep
    assert made["train jsb-af_scf"].minutes < made["train jsb-iaf_scf"].minutes


def test_a_recorded_training_is_its_epochs_times_a_quiet_one(matrix, tmp_path, monkeypatch):
    """Of all seeds together; the benchmark's epoch is taken if it is shorter."""
    monkeypatch.chdir(tmp_path)
    ended = {"device": "cpu", "device_name": "x", "threads": 1, "best_epoch": 1, "wall_seconds": 9e9, "parameters": 1}
    metrics = [{"seed": seed, "wall_seconds": wall} for seed, wall in enumerate((3.0, 90.0, 4.0))]
    trained = []
    for seed, seconds in enumerate(([10, 10, 11, 900], [500, 500], [10, 12, 12])):
        rows = [{"epoch": str(place), "seconds": str(one)} for place, one in enumerate(seconds, 1)]
        trained.append(records.Trained(seed, ended | {"epochs": len(seconds)}, rows))
    found = plan._record("paper", "jsb-lstm", trained, metrics)
    assert found == Record("paper", "jsb-lstm", 3, 10.0, 4.0, "x (cpu, 1 thread)") and found.train == 30.0
    # an older history has no seconds
    older = [one._replace(history=[{"epoch": "1"}], record=one.record | {"wall_seconds": 60.0}) for one in trained]
    assert plan._record("paper", "jsb-lstm", older, metrics).train == 60.0


def test_of_a_record_and_the_benchmarks_epoch_the_shorter_is_taken(matrix):
    """jsb AF/SCF: 14.7 s by the benchmark."""

    def train(seconds, scale="paper"):
        found = [*RECORDS[:-1], Record(scale, "jsb-af_scf", 50, seconds, 720.0, "y")]
        return jobs(matrix.at(scale), scale, found, 1.0)["train jsb-af_scf"]

    busy, quiet = train(80.0), train(14.0)
    assert busy.origin == "measured, an epoch by the benchmark"
    assert busy.minutes == pytest.approx(plan.START + 50 * 14.7 * 3 / 60, rel=1e-3)
    assert (quiet.minutes, quiet.origin) == (plan.START + 50 * 14 * 3 / 60, "measured, y")
    assert train(80.0, "laptop").origin == "measured, y"  # of another scale
    # an epoch less is no less work per epoch: what a run stopped early took is a rate of its own epochs
    rates = [
        one.rate for one in plan._Clock(matrix, "paper", [RECORDS[-1]], 1.0).references if "jsb-af_scf" in one.source
    ]
    symbols = files.read_json(paths.statistics("paper", "jsb"))["splits"]["train"]["symbols"]
    assert rates[0] == pytest.approx(10.0 / symbols)


def test_every_job_comes_after_what_it_reads(matrix):
    made = jobs(matrix.at("paper"), "paper", RECORDS, 1.0)
    seen = set()
    for key, job in made.items():
        assert set(job.after) <= seen
        seen.add(key)
    assert set(made["table ziegler2019-table1"].after) == {
        f"evaluate {run}" for run in matrix.table_runs("ziegler2019-table1")
    }
    assert set(made["speed ptb"].after) == {"prepare ptb"}
    assert made["features squad_questions"].after == ("prepare squad_questions",)
    assert set(made["train squad-qg"].after) == {"prepare squad_questions", "features squad_questions"}
    assert set(made["generate tvqa-att_s-samples"].after) == {"train tvqa-att_s", "prepare tvqa"}
    texts, runs = matrix.table_texts("tang2021-table1"), matrix.table_runs("tang2021-table1")
    assert set(made["table tang2021-table1"].after) == {f"generate {n}" for n in texts} | {f"train {n}" for n in runs}
    assert "audit all" in made["track all"].after


def test_weights_are_those_that_are_multiplied(matrix):
    for name in ("ptb-af_af", "jsb-iaf_scf", "words-tril2-k10", "gaussians-nlsq"):
        block = matrix.run("demo", name)
        kind = matrix.datasets[block["dataset"]]["kind"]
        symbols = {"text": 50, "music": 88, "vectors": 2, "words": 28}[kind]
        model = models.build(block["model"], Facts(KINDS[kind].emission, symbols, 2, (1, 1, 1)))
        tables = sum(m.weight.numel() for m in model.modules() if isinstance(m, torch.nn.Embedding))
        matrices = sum(p.numel() for p in model.parameters() if p.dim() > 1)
        assert plan._size(plan._frozen(block["model"]), kind).multiplied == matrices - tables


def test_the_weights_of_question_generation_follow_its_data_and_features(matrix):
    block = matrix.run("demo", "squad-qg")
    facts = Facts("conditional", 28, 8, (1,) * 9, np.ones((28, 8), np.float32), 28, 32, 24)
    matrices = sum(p.numel() for p in models.build(block["model"], facts).parameters() if p.dim() > 1)
    weights = plan.model_size(matrix, "demo", block).multiplied
    assert matrices * 0.9 < weights <= matrices
    assert plan.model_size(dataclasses.replace(matrix, features={}), "demo", block).multiplied < weights


def test_the_plan_of_a_fresh_clone(matrix, capsys):
    """From what is committed: the records of scale laptop and the sizes of the paper's datasets."""
    assert cli.main(["plan", "--gpus", "1", "8", "32"]) == 0
    said = capsys.readouterr().out
    rows = [line for line in said.splitlines() if line.startswith(("|    1 |", "|    8 |", "|   32 |"))]
    assert len(rows) == 3 and "longest chain" in said and "nan" not in said
    assert all(f"| {run} " in said for run in matrix.at("paper").runs)
    (row,) = [line.split(" | ") for line in said.splitlines() if line.startswith("| squad-flow ")]
    peaks = plan.peak_memory(matrix, "paper", "squad-flow", host=True)
    assert [float(value.strip(" |")) for value in row[-2:]] == [round(peak / 1e9, 2) for peak in peaks]
    # Nothing of GPUs, whose speed is not measured; and what no cluster would let end is named.
    assert "how fast a GPU is was not measured: these are days of such CPUs" in said and "GPU time" not in said
    assert re.search(
        r"more than workflow/profiles/slurm/config.yaml allows.*train ptb-iaf_scf, at most 12 d 00 h", said, re.S
    )


def test_a_measured_factor_makes_a_plan_of_gpus(matrix, capsys):
    assert cli.main(["plan", "--gpus", "1", "--faster", "1000"]) == 0
    said = capsys.readouterr().out
    assert "a GPU taken as 1000 times as fast" in said and "| GPUs |" in said and "not measured" not in said
    assert "more than workflow" not in said


def test_what_does_not_end_on_a_cluster():
    """A training has its limit with each of the profile's five restarts, another stage once."""
    limit, once = stages.TABLE["train"].limit, stages.TABLE["evaluate"].limit
    made = of(
        Job("train", "short", 6 * limit, ""), Job("train", "long", 6 * limit + 1, ""),
        Job("evaluate", "short", once, ""), Job("evaluate", "long", once + 1, ""),
    )  # fmt: skip
    assert [(job.key, minutes) for job, minutes in plan.too_short(made, "demo")] == [
        ("train long", 6 * limit), ("evaluate long", once),
    ]  # fmt: skip
    assert not plan.too_short(made, "laptop")  # twice as much


def test_jobs_that_need_more_memory_than_asked_for_are_named():
    there = plan.room("demo", host=True)
    assert there == {stage: 1e6 * stages.TABLE[stage].memory for stage in ("train", "evaluate")}
    most = there["train"] - memory.PROCESS
    peaks = {"small": (most, most), "large": (2 * most, 3 * most)}
    assert plan.too_large(peaks, there) == [
        ("evaluate large", 3 * most + memory.PROCESS, there["evaluate"]),
        ("train large", 2 * most + memory.PROCESS, there["train"]),
    ]
    assert plan.too_large(peaks, {}) == []


def test_on_a_gpu_its_memory_is_the_limit(monkeypatch):
    monkeypatch.setattr(plan.torch.cuda, "is_available", lambda: False)
    assert plan.room("paper", host=False) == {}
    monkeypatch.setattr(plan.torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(plan.torch.cuda, "get_device_properties", lambda _: SimpleNamespace(total_memory=8))
    assert plan.room("paper", host=False) == {"train": 8, "evaluate": 8}


def test_the_plan_of_an_embedded_scale(matrix, tmp_path, monkeypatch, capsys):
    """The sizes are those of the embedded corpora, made or not; not those of the real ones of another scale."""
    shutil.copytree("results", tmp_path / "results", ignore=shutil.ignore_patterns("demo"))
    shutil.copytree("workflow", tmp_path / "workflow")
    shutil.copy("params.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    plan._sizes.cache_clear()
    frames = plan._made(matrix.dataset("demo", "musedata"), "musedata")["splits"]["train"]["symbols"]
    epochs = matrix.run("demo", "musedata-lstm")["training"]["epochs"]
    assert frames < 3000 and plan._work(matrix, "demo", "musedata-lstm", "train") == epochs * frames
    assert cli.main(["plan", "--scale", "demo", "--gpus", "1"]) == 0
    said = capsys.readouterr().out
    other = next(line for line in said.splitlines() if line.startswith("| squad-flow_plus "))
    (source,) = re.findall(r"estimated from laptop/([^ ,]+), ", other)
    assert matrix.datasets[matrix.runs[source]["dataset"]]["kind"] == "language"  # not of a reader, nearer in size
    assert f"{len(jobs(matrix.at('demo'), 'demo', RECORDS, 1.0))} jobs, each on a CPU;" in said and "GPU" not in said
    assert float(re.search(r"\|    1 \| +([0-9.]+) min ", said)[1]) <= 35
    plan._sizes.cache_clear()


def test_on_cpus_every_job_takes_one():
    two = of(Job("prepare", "a", 5, ""), Job("prepare", "b", 5, ""))
    assert simulate(two, 1).makespan == 5 and simulate(two, 1, None).makespan == 10


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--gpus", "0"], "expected at least 1 GPU, got --gpus 0"),
        (["--faster", "0"], "expected --faster to be a positive number, got 0"),
        (["--faster", "nan"], "expected --faster to be a positive number, got nan"),
    ],
)
def test_impossible_plans_are_refused(matrix, capsys, arguments, message):
    assert cli.main(["plan", *arguments]) == 1
    assert message in capsys.readouterr().err


def test_a_plan_without_records_or_sizes_says_what_to_run(matrix, tmp_path, monkeypatch):
    made = jobs(matrix.at("paper"), "paper", [record for record in RECORDS if "words-tril" not in record.run], 1.0)
    assert made["train words-tril"].origin.endswith(", another model")
    with pytest.raises(Problem, match="expected the record of a run in .*, found none; train and evaluate one"):
        jobs(matrix.at("paper"), "paper", [], 1.0)
    monkeypatch.chdir(tmp_path)
    plan._sizes.cache_clear()
    with pytest.raises(Problem, match="expected the sizes of ptb in .*; run: python -m seqflows download"):
        jobs(matrix.at("paper"), "paper", RECORDS, 1.0)
    plan._sizes.cache_clear()


def test_records_are_the_runs_made_here_or_those_kept(matrix, root, tmp_path, monkeypatch):
    record = next(r for r in plan._records(matrix) if (r.scale, r.run) == ("laptop", "jsb-lstm"))
    kept = paths.record("laptop", "jsb-lstm")
    (tmp_path / kept.parent).mkdir(parents=True)
    shutil.copy(root / kept, tmp_path / kept)
    monkeypatch.chdir(tmp_path)
    assert list(plan._records(matrix)) == [record]
    # a run made here goes before what was kept
    for one in records.trained("laptop", "jsb-lstm"):
        rows = [{name: value or None for name, value in row.items()} for row in one.history]
        folder = paths.seed("laptop", "jsb-lstm", one.seed)
        rows = [row | {"seconds": 7.0} for row in rows]
        report_world.write_seed(folder, rows, one.record)
    assert [found.epoch for found in plan._records(matrix)] == [7.0]
