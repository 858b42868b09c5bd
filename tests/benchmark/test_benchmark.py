"""The benchmark's bookkeeping, at tiny sizes; no test looks at a time."""

import csv
import itertools
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from seqflows import cli, files, models, params
from seqflows.benchmark import (
    contexts,
    epoch,
    goals,
    imports,
    language,
    measure,
    noted,
    parts,
    profiles,
    quality,
    questions,
    readers,
    translation,
    whole,
    words,
)
from seqflows.config.models import LatentSequence
from seqflows.data import prepared
from seqflows.data.batching import Batch
from seqflows.data.prepared import Split
from seqflows.errors import Problem

ROOT = Path(__file__).parents[2]
TINY = {"latent": 4, "embedding": 8, "width": 8, "depth": 1, "flow_width": 8, "position": 4, "layers": 2}


@pytest.fixture(autouse=True)
def few(monkeypatch):
    """Two repeats, small matrices, two short shapes, and torch's threads as they were."""
    monkeypatch.setattr(measure, "REPEATS", 2)
    monkeypatch.setattr(measure, "ATTEMPTS", 2)
    monkeypatch.setattr(measure, "SIDE", 16)
    monkeypatch.setattr(measure, "SAMPLED", 3)
    monkeypatch.setattr(measure, "LONG", 5)
    monkeypatch.setattr(measure, "UNITS", 4)
    monkeypatch.setattr(measure, "KERNELS", ((2, 3),))
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def short():
    return [shape._replace(steps=5, max_length=8) for shape in (measure.shapes()[2], measure.shapes()[3])]


def test_the_shapes_are_those_of_the_specification():
    found = measure.shapes()
    assert [(shape.sequences * shape.steps * shape.samples, shape.reference) for shape in found] == [
        (2000, 157),
        (2000, 152),
        (2000, 245),
        (300, 40.6),
        (300, 37.3),
        (300, 96),
        (1250, 344),
        (468, 382),
        (3744, 8 * 382),
    ]


def test_the_reference_says_where_it_was_timed_and_agrees_with_its_seconds():
    """GFLOP-equivalents are seconds times the rate of the matrix product: 115 to 121 GFLOP/s on that machine."""
    for shape in measure.shapes():
        assert shape.reference_threads == 1 and "AVX-512" in shape.reference_machine
        assert 114 < shape.reference / shape.reference_seconds < 122


def test_the_published_ratios_are_those_of_the_reference():
    """results/benchmark was made with this shapes.csv, none other."""
    known = {(shape.shape, shape.model): shape.reference for shape in measure.shapes()}
    with open(ROOT / "results/benchmark/training.csv") as file:
        rows = {(row["shape"], row["model"]): row for row in csv.DictReader(file)}
    assert set(rows) == set(known)
    for key, row in rows.items():
        assert tuple(row) == measure.TRAINING
        assert float(row["authors_gflop_equivalents"]) == known[key]
        assert float(row["ratio_to_authors"]) == pytest.approx(float(row["gflop_equivalents"]) / known[key], abs=2e-3)
        limit = float(row["arithmetic_gflop"]) / float(row["kernel_gflops"])
        assert float(row["limit_seconds"]) == pytest.approx(limit, rel=2e-3)
        assert float(row["times_limit"]) == pytest.approx(float(row["seconds"]) / limit, rel=2e-3)


@pytest.mark.parametrize("shape", measure.shapes(), ids=lambda shape: f"{shape.shape}-{shape.model}")
def test_parameters_are_the_authors_up_to_the_positions(shape):
    """Everything that reads positions grows with their width here and with the longest sequence there: both are
    taken off. What is left agrees to 3 %: in ours a MADE's outputs also see the context."""
    counts = {width: _parameters(shape.build(position=width)) for width in (500, 501)}
    ours = counts[500] - 500 * (counts[501] - counts[500])
    found = {other.shape.split(",")[0]: other for other in measure.shapes() if other.model == "AF/AF"}
    longest, long = found["MuseData"], found["Nottingham"]
    each = (longest.reference_parameters - long.reference_parameters) / (longest.max_length - long.max_length)
    theirs = shape.reference_parameters - each * shape.max_length
    assert ours / 1e6 == pytest.approx(theirs, rel=0.03)


def _parameters(model):
    return sum(parameter.numel() for parameter in model.parameters())


def test_a_step_trains():
    for shape in short():
        trainer = measure.trainer(shape, "cpu", **TINY)
        before = [parameter.detach().clone() for parameter in trainer.model.parameters()]
        measure.step(trainer)
        assert any(not torch.equal(a, b) for a, b in zip(before, trainer.model.parameters(), strict=True))


def test_training_has_a_row_a_shape_in_the_unit(capsys):
    rows = measure.training([1], short(), **TINY)
    assert [tuple(row) for row in rows] == [measure.TRAINING] * 2
    for row, shape in zip(rows, short(), strict=True):
        assert row["gflop_equivalents"] == pytest.approx(row["seconds"] * row["gemm_gflops"], rel=0.1, abs=0.1)
        assert row["ratio_to_authors"] == pytest.approx(row["gflop_equivalents"] / shape.reference, abs=1e-3)
        assert row["arithmetic_gflop"] == round(measure.of_shape(shape, **TINY) / 1e9, 1)
    assert capsys.readouterr().out.count("the authors' code") == 2


def test_each_number_of_threads_has_its_row_and_its_limit(monkeypatch, capsys):
    """The limit is the arithmetic at the fastest kernel found with as many threads; goals are by one."""
    rates = {1: {"product": 100.0, "LSTM": 200.0}, 2: {"product": 190.0, "LSTM": 400.0}}
    seconds = {1: 2.0, 2: 1.5}
    monkeypatch.setattr(measure, "kernels", lambda: rates[torch.get_num_threads()])
    monkeypatch.setattr(
        measure, "steady", lambda call, known: measure.Measured(seconds[torch.get_num_threads()], 100.0)
    )
    monkeypatch.setattr(measure, "of_shape", lambda shape, **sizes: 100e9)
    rows = measure.training((1, 2), short()[:1], **TINY)
    assert [(row["threads"], row["seconds"]) for row in rows] == [(1, 2.0), (2, 1.5)]
    for row in rows:
        threads = row["threads"]
        assert row["gflop_equivalents"] == 100 * seconds[threads]  # by the product's rate with one thread, for either
        assert (row["kernel_gflops"], row["limit_seconds"]) == (200.0 * threads, 0.5 / threads)
        assert row["times_limit"] == pytest.approx(seconds[threads] / (0.5 / threads))
    out = capsys.readouterr().out
    assert "1 thread(s): 2.000 s" in out and "2 thread(s): 1.500 s" in out
    steps = [goal for goal in goals.GOALS if goal.file == "training"]
    assert steps and all(goal.where["threads"] == "1" for goal in steps)


@pytest.mark.parametrize("load, counts", [(0.3, [1, 2]), (1.0, [1]), (7.0, [1])])
def test_two_threads_are_not_tried_on_a_busy_machine(monkeypatch, capsys, load, counts):
    monkeypatch.setattr(parts.os, "getloadavg", lambda: (load, 0.0, 0.0))
    monkeypatch.setattr(parts, "cores", lambda: 2)
    assert parts.tried() == counts
    assert ("2 threads left out" in capsys.readouterr().out) == (counts == [1])


def test_the_models_are_those_of_scale_paper():
    """But for dropout, which the music runs of IAF/SCF have and the benchmark's has not."""
    matrix = params.load(ROOT / "params.yaml")
    for shape in measure.shapes():
        run = f"{shape.shape.split(',')[0].lower()}-{shape.model.replace('/', '_').lower()}"
        ours, theirs = (
            LatentSequence(**{name: value for name, value in block.items() if name not in ("class", "dropout")})
            for block in (shape.block, matrix.run("paper", run)["model"])
        )
        assert ours == theirs, run


def test_one_thread_is_timed_by_the_processor_and_the_unit_by_one_thread(monkeypatch):
    """What else runs on the machine adds to the wall's seconds, not to the processor's."""
    monkeypatch.setattr(measure.time, "process_time", lambda: 7.0)
    monkeypatch.setattr(measure.time, "perf_counter", lambda: 9.0)
    monkeypatch.setattr(measure, "matrix_rate", lambda: float(torch.get_num_threads()))
    found = {}
    for threads in (1, 2):
        torch.set_num_threads(threads)
        found[threads] = (measure.clock(), measure.steady(lambda: None).gemm_gflops)
        assert torch.get_num_threads() == threads
    assert found == {1: (7.0, 1.0), 2: (9.0, 1.0)}


def test_a_number_of_threads_that_is_much_slower_is_not_repeated(monkeypatch):
    monkeypatch.setattr(measure, "matrix_rate", lambda: 100.0)
    monkeypatch.setattr(measure, "clock", iter(range(100)).__next__)  # a second a call
    for known, calls in ((1.0, 2 + measure.REPEATS), (0.7, 2)):
        called = []
        assert measure.steady(lambda called=called: called.append(1), known).seconds == 1.0
        assert len(called) == calls


def test_kernels_have_a_rate_by_their_own_arithmetic(monkeypatch):
    """Each timed at one second: the rate is then the arithmetic, an LSTM's twice that of the linear map to 4 W."""
    monkeypatch.setattr(measure, "best", lambda call, *rest, **more: (call(), 1.0)[1])
    found = measure.kernels()
    assert set(found) == {"product", "linear 2 x 3", "LSTM 2 x 3"}
    assert found["product"] == pytest.approx(2 * 16**3 / 1e9)
    assert found["linear 2 x 3"] == pytest.approx(2 * (2 * 3) * 4 * (4 * 4) / 1e9)
    assert found["LSTM 2 x 3"] == pytest.approx(2 * found["linear 2 x 3"])


def test_a_restless_machine_is_told(monkeypatch, capsys):
    rates = iter([100.0, 50.0] * 2)
    monkeypatch.setattr(measure, "matrix_rate", lambda: next(rates))
    measured = measure.steady(lambda: None)
    assert measured.gemm_gflops in (100.0, 50.0)
    assert "the matrix rate varied by 50 % in the calmest of 2" in capsys.readouterr().err


def test_a_measurement_with_a_calm_matrix_rate_is_not_repeated(monkeypatch, capsys):
    rates = iter([100.0, 95.0])
    monkeypatch.setattr(measure, "matrix_rate", lambda: next(rates))
    assert measure.steady(lambda: None).gemm_gflops in (100.0, 95.0)
    assert capsys.readouterr().err == ""


def test_operations_are_counted():
    """Three passes through a linear map and an LSTM's 8 W (I + W), by hand for the encoder of one model."""
    shape = short()[1]
    total = measure.of_shape(shape, **TINY)
    rows, width, position, embedding = shape.sequences * shape.steps, 8, 4, 8
    encoder = 3 * 2 * 8 * rows * width * (embedding + position + width)
    assert encoder < total < 100 * encoder
    doubled = measure.of_shape(shape._replace(sequences=2 * shape.sequences), **TINY)
    assert doubled == pytest.approx(2 * total, rel=0.01)


def test_sampling_is_exact_and_every_known_time_has_a_row(capsys):
    rows = measure.sampling(**TINY)
    known = [shape for shape in measure.shapes() if shape.reference_sampling]
    assert [tuple(row) for row in rows] == [measure.SAMPLING] * len(known)
    assert {row["model"] for row in rows} >= {"PTB AF/AF", "PTB AF/SCF", "PTB IAF/SCF", "JSB AF/AF"}
    model = measure.shapes()[0].build(**TINY).eval()
    assert measure.inversion_error(model) < 1e-5
    assert capsys.readouterr().out.count("times as fast") == len(known)


def test_importance_sampling_stays_in_its_chunk_whatever_k():
    """Scored in a process of its own, as the memory is measured."""
    (few,) = measure.memory(sequences=2, samples=4, chunk=300, **TINY)
    (many,) = measure.memory(sequences=2, samples=64, chunk=300, **TINY)
    assert tuple(few) == measure.MEMORY and many["samples"] == 64
    assert many["peak_gib"] < 1.2 * few["peak_gib"]


def test_questions_are_trained_and_written(root, monkeypatch):
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(questions, "REPEATS", 1)
    names = ["squad-qg", "squad-qg-lang_flow", "squad-qg-flowseq"]
    *rows, parallel = questions.run(2, 2, names, text=3, words=8100, width=4)
    assert [row["model"] for row in (*rows, parallel)] == names
    assert all(tuple(row) == questions.QUESTIONS for row in (*rows, parallel)) and parallel["written_steps"] is None
    plain, flow = rows
    assert plain["written_steps"] == flow["written_steps"] == 3  # whatever an untrained model makes of its end
    assert 0 < plain["gflop"] < flow["gflop"] and 0 < plain["written_gflop"] < flow["written_gflop"]
    assert all(row[name] > 0 for row in rows for name in questions.QUESTIONS[2:])


def test_contexts_are_rewritten_by_every_generator(monkeypatch):
    monkeypatch.chdir(ROOT)
    rows = contexts.run(2, 2, 300)
    assert [row["generator"] for row in rows] == list(contexts.GENERATORS)
    assert all(tuple(row) == contexts.CONTEXTS and row["contexts_per_second"] > 0 for row in rows)


def test_translations_are_trained_and_written_beside_torchs_own(root, monkeypatch):
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(translation, "REPEATS", 1)
    monkeypatch.setattr(translation, "MORE", 2)
    monkeypatch.setattr("seqflows.models.translator.MORE", 2)
    names = ["wmt16-nmt", "wmt16-nmt-lang_flow"]
    rows = translation.run(2, 2, names, text=4, symbols=40)
    assert [row["model"] for row in rows] == [*names, translation.REFERENCE]
    assert all(tuple(row) == translation.TRANSLATION for row in rows)
    assert rows[0]["gflop"] < rows[1]["gflop"] and {row["written_steps"] for row in rows} == {6}
    assert all(row[name] > 0 for row in rows for name in ("sentences_per_second", "seconds", "written_per_second"))
    assert all(row["written_gflop"] > 0 and row["written_times_limit"] > 0 for row in rows[:-1])
    assert rows[-1]["written_gflop"] == rows[-1]["written_times_limit"] == ""  # unknown, as its gflop


def test_readers_are_trained_and_answer(root, monkeypatch):
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(readers, "REPEATS", 1)
    rows = readers.run(2, words=4, width=6)
    assert [row["model"] for row in rows] == list(readers.RUNS) and all(tuple(row) == readers.READERS for row in rows)
    assert [row["words"] for row in rows] == [readers.SENTENCES * 4, readers.LINES * 4]
    assert all(row[name] > 0 for row in rows for name in readers.READERS[1:])
    assert all(row["answered_gflop"] < row["gflop"] for row in rows)
    twice = readers.run(4, words=4, width=6)
    for few, many in zip(rows, twice, strict=True):
        assert many["gflop"] == pytest.approx(2 * few["gflop"], abs=0.02)


def test_the_operations_of_an_lstm_are_counted_by_hand():
    lstm = torch.nn.LSTM(5, 7, num_layers=2, batch_first=True, bidirectional=True)
    with measure.lstm_flops(lstm) as counted:
        lstm(torch.zeros(3, 11, 5))
    steps = 2 * 3 * 11  # of both directions
    assert counted[0] == 3 * 8 * steps * 7 * (5 + 7) + 3 * 8 * steps * 7 * (14 + 7)
    lstm(torch.zeros(1, 1, 5))
    assert counted[0] == 3 * 8 * steps * 7 * (12 + 21)


def test_an_unknown_part_is_refused(root, capsys, monkeypatch):
    monkeypatch.chdir(root)
    assert cli.main(["benchmark", "trainings"]) == 1
    assert (
        "expected parts among training, epoch, time_to_quality, sampling, passes, memory, words, trajectories, "
        "markov, language_flow, questions, contexts, translation, readers, imports, profiles, stages, whole, goals, "
        "got trainings" in capsys.readouterr().err
    )


def test_sampling_is_beside_one_pass_of_the_density():
    """Which reads as many steps as are drawn."""
    model = short()[0].build(**TINY).eval()
    rows = measure.passes(**TINY)
    assert [(row["model"], row["steps"]) for row in rows[:2]] == [("PTB AF/AF", 3), ("PTB AF/AF", 5)] and len(rows) == 6
    for row in rows:
        assert tuple(row) == measure.PASSES
        assert row["times_pass"] == pytest.approx(row["seconds"] / row["pass_seconds"], rel=0.2)
    seen = measure.density(model, 4)()
    assert seen.shape == (1,) and torch.isfinite(seen).all() and not seen.requires_grad
    assert measure.sampler(model, 4)().lengths.tolist() == [4]


def test_a_stage_begins_beside_its_largest_library(monkeypatch):
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(imports, "REPEATS", 1)
    monkeypatch.setattr(imports, "STAGES", {"table": "", "prepare": "numpy"})
    rows = imports.run()
    assert [(row["stage"], row["needs"]) for row in rows] == [("table", ""), ("prepare", "numpy")]
    assert all(tuple(row) == imports.IMPORTS and row["seconds"] > row["alone"] > 0 for row in rows)
    with pytest.raises(imports.subprocess.CalledProcessError):
        imports.cost("raise SystemExit(3)")


def test_tables_and_audits_begin_without_torch_and_numpy(monkeypatch):
    """What their goal rests on, on any machine."""
    monkeypatch.chdir(ROOT)
    for stage in ("table", "audit", "figure"):
        names = ["seqflows.pipeline.status", f"seqflows.{imports.TABLE[stage].module}"]
        imports.cost(imports.BEGIN.format(names=names) + "import sys\nassert not {'torch', 'numpy'} & set(sys.modules)")


def test_the_time_of_a_call_is_shared_among_sorts_of_operators():
    """What another process takes of a core counts as between: no share is compared with it."""
    a, lstm, rows = torch.randn(400, 400), torch.nn.LSTM(64, 64), torch.randn(20, 8, 64)
    for call, most in (
        (lambda: [a @ a for _ in range(20)], "products"),
        (lambda: lstm(rows), "lstm"),
        (lambda: [torch.cat([a] * 20) for _ in range(20)], "copies"),
        (lambda: [torch.tanh(a) for _ in range(20)], "elementwise"),
        (lambda: [a.normal_() for _ in range(20)], "noise"),
    ):
        found = profiles.shares(call)
        assert tuple(found) == profiles.PROFILES[2:] and sum(found.values()) == pytest.approx(1, abs=0.05)
        assert max(profiles.PROFILES[2:-1], key=found.get) == most and found[most] > 0
    assert profiles.shares(lambda: sum(range(1000))) == {column: column == "between" for column in found}


def test_every_step_and_sampling_is_profiled(monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    chosen = [shape for shape in measure.shapes() if shape.reference_sampling][:1]
    trainer, build = measure.trainer, measure.Shape.build
    monkeypatch.setattr(measure, "shapes", lambda: [chosen[0]._replace(steps=5, max_length=8)])
    monkeypatch.setattr(measure, "trainer", lambda shape, device: trainer(shape, device, **TINY))
    monkeypatch.setattr(measure.Shape, "build", lambda self, **sizes: build(self, **TINY | sizes))
    word = [("TRIL", lambda: torch.zeros(1))]
    monkeypatch.setattr(words, "steps", lambda: word)
    for part in (questions, translation):
        monkeypatch.setattr(part, "steps", lambda chosen: [(chosen[0], lambda: torch.zeros(1))])
        monkeypatch.setattr(part, "searches", lambda chosen: [(chosen[0], lambda: torch.zeros(1))])
    built, models_ = language.steps, ("Att-S", "RNN-AR")
    monkeypatch.setattr(language, "steps", lambda: built(SHORT, models_, **SMALL | {"scales": 1}))
    rows = profiles.run()
    assert all(tuple(row) == profiles.PROFILES for row in rows)
    assert [(row["what"], row["model"]) for row in rows] == [
        ("step", "PTB, 4 x 100 x 5: AF/AF"),
        ("step", "TRIL"),
        *[("step", "squad-qg"), ("writing", "squad-qg")] * 2,
        *[("step", "Att-S"), ("step", "RNN-AR"), ("sampling", "RNN-AR"), ("sampling", "PTB AF/AF")],
    ]
    for row in rows:
        assert sum(row[name] for name in profiles.PROFILES[2:]) == pytest.approx(100, abs=3)
    assert capsys.readouterr().out.count("%") == 6 * len(rows)


def test_steps_of_chosen_runs_train(root, monkeypatch):
    monkeypatch.chdir(ROOT)
    for part, names in ((questions, ["squad-qg-no_z"]), (translation, ["wmt16-nmt-no_z"])):
        taken, step = [], part.Trainer.step
        monkeypatch.setattr(part.Trainer, "step", lambda self, *given, taken=taken: taken.append(given[0]))
        found = list(part.steps(2, names))
        assert [name for name, _ in found] == names
        found[0][1]()
        assert [group.tolist() for group in taken[0]] == [[0, 1]]
        monkeypatch.setattr(part.Trainer, "step", step)
        ((name, search),) = part.searches(2, 1, names)
        assert name == names[0] and len(search()) == 2


def test_each_goal_is_of_one_measured_row():
    """In the committed files; and of a column that its part has."""
    columns = parts.COLUMNS | {"authors/side_by_side": ("ratio",)}
    for goal in goals.GOALS:
        assert goal.column in columns[goal.file], goal
    rows = goals.run(ROOT / "results/benchmark")
    assert [row["what"] for row in rows] == [goal.what for goal in goals.GOALS]
    assert {row["met"] for row in rows} <= {"yes", "no", "not measured"}
    missing = [goal for goal, row in zip(goals.GOALS, rows, strict=True) if row["measured"] is None]
    for goal in missing:  # a file older than its column, or a row without a number
        path = ROOT / f"results/benchmark/{goal.file}.csv"
        if path.exists():
            with open(path) as file:
                reader = csv.DictReader(file)
                known = [one[goal.column] for one in reader if goal.where.items() <= one.items() and goal.column in one]
            assert goal.column not in reader.fieldnames or known == [""], goal
    with open(ROOT / "results/benchmark/goals.csv") as file:
        published = list(csv.DictReader(file))
    assert published == [{name: "" if value is None else str(value) for name, value in row.items()} for row in rows]


def test_a_goal_is_met_at_its_bound_and_not_beyond(tmp_path, monkeypatch, capsys):
    (tmp_path / "one.csv").write_text("model,ratio\na,1.5\nb,1.6\nc,2\nc,3\n")
    (tmp_path / "old.csv").write_text("model,seconds\na,1.5\n")
    made = [
        goals.Goal(name, "x", 1.5, file, "ratio", {"model": model}, least)
        for name, file, model, least in (
            ("at", "one", "a", False),
            ("over", "one", "b", False),
            ("more", "one", "b", True),
            ("none", "one", "d", False),
            ("no file", "two", "a", False),
            ("no column", "old", "a", False),
        )
    ]
    monkeypatch.setattr(goals, "GOALS", made)
    rows = goals.run(tmp_path)
    assert [row["met"] for row in rows] == ["yes", "no", "yes", *["not measured"] * 3]
    assert [row["measured"] for row in rows] == [1.5, 1.6, 1.6, None, None, None]
    assert [row["goal"] for row in rows] == ["1.5", "1.5", "at least 1.5", "1.5", "1.5", "1.5"]
    assert "over: 1.6 x, goal 1.5: no" in capsys.readouterr().out
    assert [row["goes to"] for row in rows] == [""] * 6


def test_a_goal_that_is_not_met_says_where_the_time_goes(tmp_path, monkeypatch):
    (tmp_path / "one.csv").write_text("model,ratio\na,1.5\nb,1.6\n")
    (tmp_path / "begins.csv").write_text("stage,needs,seconds,alone\ntrain,torch,1.8,1.5\n")
    (tmp_path / "profiles.csv").write_text(
        "what,model,lstm,products,noise,copies\nstep,a,1,2,3,4\nstep,b,60.4,1,9.6,29\n"
    )
    (tmp_path / "whole.csv").write_text('what,minutes,goes to\nmake test,6,"tests/pipeline 60 %, tests 40 %"\n')
    monkeypatch.setattr(goals, "GOALS", [
        *(goals.Goal(name, "x", 1.5, "one", "ratio", {"model": name}, profile=("step", name)) for name in "ab"),
        goals.Goal("begin", "s", 1, "begins", "seconds", {"stage": "train"}),
        goals.Goal("tests", "min", 5, "whole", "minutes", {"what": "make test"}),
    ])  # fmt: skip
    assert [row["goes to"] for row in goals.run(tmp_path)] == [
        "",
        "lstm 60 %, copies 29 %, noise 10 %",
        "torch alone 1.5",
        "tests/pipeline 60 %, tests 40 %",
    ]


def test_the_largest_stage_is_what_the_goal_of_memory_is_of(tmp_path, monkeypatch):
    (tmp_path / "stages.csv").write_text("stage,key,peak_gib\ntable,a,0.1\ntrain,b,1.4\nfigure,c,0.3\n")
    largest = ("stage", "key")
    limits = [goals.Goal("memory", "GiB", most, "stages", "peak_gib", {}, largest=largest) for most in (1.4, 1.3)]
    monkeypatch.setattr(goals, "GOALS", limits)
    met, more = goals.run(tmp_path)
    assert (met["measured"], met["met"], met["goes to"]) == (1.4, "yes", "")
    assert (more["measured"], more["met"], more["goes to"]) == (1.4, "no", "train b")


def test_a_stage_notes_what_it_took_and_the_most_of_each_is_shown(root, tmp_path, monkeypatch):
    """Not one that failed; a file that cannot be written costs no stage its result."""
    notes = tmp_path / "notes.csv"
    monkeypatch.chdir(root)
    monkeypatch.setenv("SEQFLOWS_NOTES", str(notes))
    for command in ("download", "prepare"):
        for dataset in ("ptb", "words"):
            assert cli.main([command, f"demo/{dataset}"]) == 0
    assert cli.main(["prepare", "demo/none"]) == 1 and cli.main(["status", "demo"]) == 0
    header, *lines = csv.reader(notes.open())
    assert tuple(header) == noted.NOTED
    assert [line[:2] for line in lines] == [
        [command, f"demo/{name}"] for command, name in itertools.product(("download", "prepare"), ("ptb", "words"))
    ]
    assert all(float(seconds) > 0 and 0.01 < float(peak) < 100 for *_, seconds, peak in lines)
    monkeypatch.setenv("SEQFLOWS_NOTES", str(tmp_path))
    assert cli.main(["prepare", "demo/ptb"]) == 0


def test_of_each_stage_the_key_with_most_memory_is_shown(tmp_path):
    notes = tmp_path / "notes.csv"
    lines = ("train,a,5,1.25", "train,b,9,0.5", "train,b,9,1.5", "table,c,0.2,0.125")
    notes.write_text("\n".join((",".join(noted.NOTED), *lines)) + "\n")
    first, second = noted.run(str(notes))
    assert first == dict(zip(noted.STAGES, ("train", 2, "b", 1.5, 9.0), strict=True))
    assert second == dict(zip(noted.STAGES, ("table", 1, "c", 0.125, 0.2), strict=True))
    with pytest.raises(Problem, match="expected stages: with a file that SEQFLOWS_NOTES named .*, got stages:$"):
        noted.run("")
    notes.write_text("stage,key\n")
    with pytest.raises(Problem, match="to have the columns stage, key, processor_seconds, peak_gib, got stage, key"):
        noted.run(str(notes))


def test_two_rows_for_one_goal_are_an_error(tmp_path, monkeypatch):
    (tmp_path / "one.csv").write_text("model,ratio\nc,2\nc,3\n")
    monkeypatch.setattr(goals, "GOALS", [goals.Goal("two", "x", 1, "one", "ratio", {"model": "c"})])
    with pytest.raises(ValueError, match="Expected one row of .*one.csv where .*, got 2"):
        goals.run(tmp_path)


def test_the_files_are_written(tmp_path, monkeypatch):
    for part, columns in {"sampling": measure.SAMPLING, "words": words.TRAINING}.items():
        monkeypatch.setitem(parts.MEASURES, part, lambda columns=columns: [dict.fromkeys(columns, 1)])
        parts.run([part], tmp_path)
        with open(tmp_path / f"{part}.csv") as file:
            assert list(csv.DictReader(file)) == [dict.fromkeys(columns, "1")]
    machine = files.read_json(tmp_path / "machine.json")
    assert set(machine) == {"sampling", "words"}
    assert all({"revision", "torch", "processor", "cores", "load"} <= set(part) for part in machine.values())
    assert set(parts.MEASURES) == set(parts.COLUMNS)


GIT = ("git", "-c", "user.name=a", "-c", "user.email=a@b")


def test_the_whole_is_timed_in_a_fresh_clone(tmp_path, monkeypatch, capsys):
    """Of what is committed, without this shell's settings; a failure shows its end, and the others stand."""
    monkeypatch.setenv("SEQFLOWS_CHECKPOINTS", "elsewhere")
    (tmp_path / "kept").write_text("of the commit")
    for command in (("init", "--quiet"), ("add", "kept"), ("commit", "--quiet", "-m", "one")):
        whole.subprocess.run((*GIT, *command), cwd=tmp_path, check=True)
    (tmp_path / "kept").write_text("changed since")
    (tmp_path / "made").write_text("of no commit")
    python = (whole.sys.executable, "-c")
    seen = "import os, time; assert open('kept').read() == 'of the commit' and not os.path.exists('made')"
    seen += "; assert 'SEQFLOWS_CHECKPOINTS' not in os.environ; time.sleep(1.5)"
    bad = (*python, "print('the reason'); raise SystemExit(3)")
    path, commands = tmp_path / "whole.csv", {"bad": bad, "one": (*python, seen)}
    failed, row = rows = whole.run("", path, tmp_path, commands)
    assert failed == {"what": "bad", "minutes": None, "goes to": None, "revision": files.revision()}
    assert tuple(row) == whole.WHOLE and row["what"] == "one" and 0.02 <= row["minutes"] < 1
    files.write_csv(path, rows, whole.WHOLE)
    first, second = whole.run("ba", path, tmp_path, commands | {"bad": (*python, "")})
    assert first["minutes"] is not None and second == {name: str(value) for name, value in row.items()}
    with pytest.raises(Problem, match="expected whole, or whole: with a part of bad, one, got whole:three"):
        whole.run("three", path, tmp_path, commands)
    said = capsys.readouterr().out
    assert row["goes to"] == "the engine 100 %"
    assert re.search(r"bad left out: .* to succeed in a fresh clone, got exit status 3; .*\nthe reason\n", said)


def test_where_the_whole_goes_is_by_stage_and_by_folder_of_tests(tmp_path):
    """Of an engine beside all that it started; pytest, with workers or without, writes its own report."""
    note = "import os; open(os.environ['SEQFLOWS_NOTES'], 'w').write('stage,key,processor_seconds,peak_gib\\n%s')"
    lines = "train,a,30,1\\ntrain,b,50,1\\ntable,c,20,1\\n"
    found = whole.waited((whole.sys.executable, "-c", note % lines), tmp_path)
    assert found.places == {"train": 80, "table": 20, "the engine": 0} and found.minutes > 0
    assert whole.most(found.places) == "train 80 %, table 20 %, the engine 0 %"
    for folder in ("tests/one", "tests/two"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "test_it.py").write_text("import time\ndef test_it():\n    time.sleep(0.05)\n")
    pytest_here = (whole.sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--import-mode=importlib")
    found = whole.waited(pytest_here, tmp_path)
    assert set(found.places) == {"tests/one", "tests/two"} and min(found.places.values()) >= 0.05


def test_the_whole_is_measured_only_if_named_and_on_a_quiet_machine(tmp_path, monkeypatch, capsys):
    taken = []
    for part in parts.MEASURES:
        if part not in parts.ASKED:
            monkeypatch.setitem(parts.MEASURES, part, lambda part=part: taken.append(part) or [])
    monkeypatch.setattr(whole, "run", lambda word, path: taken.append(f"whole {word}") or rows)
    rows = []
    monkeypatch.setattr(parts, "tried", lambda: [1])
    parts.run(folder=tmp_path)
    assert taken == [part for part in parts.MEASURES if part not in parts.ASKED]
    parts.run(["whole"], tmp_path)
    assert "whole " not in taken and "nothing could be measured" in capsys.readouterr().out
    monkeypatch.setattr(parts, "tried", lambda: [1, 2])
    parts.run(["whole:demo"], tmp_path)
    assert taken[-1] == "whole demo"
    rows += [dict.fromkeys(whole.WHOLE) | {"what": what} for what in ("make test", "make demo")]
    with pytest.raises(Problem, match="expected make demo to succeed, got failures"):
        parts.run(["whole:demo"], tmp_path)
    assert (tmp_path / "whole.csv").read_text().splitlines()[1:] == ["make test,,,", "make demo,,,"]
    with pytest.raises(Problem, match="expected parts among .*, got training:one"):
        parts.run(["training:one"], tmp_path)


def test_a_part_without_rows_leaves_its_file_as_it_was(tmp_path, monkeypatch, capsys):
    """As an epoch where no data is prepared; what is made of committed files says itself where it is from."""
    (tmp_path / "epoch.csv").write_text("kept")
    monkeypatch.setitem(parts.MEASURES, "epoch", list)
    monkeypatch.setitem(parts.MEASURES, "time_to_quality", lambda: [dict.fromkeys(quality.QUALITY, 1)])
    parts.run(["epoch", "time_to_quality"], tmp_path)
    assert (tmp_path / "epoch.csv").read_text() == "kept"
    assert "nothing could be measured" in capsys.readouterr().out
    assert (tmp_path / "time_to_quality.csv").exists() and files.read_json(tmp_path / "machine.json") == {}


def test_products_are_recorded_with_their_shapes():
    a, b, c = torch.randn(3, 4), torch.randn(4, 5, requires_grad=True), torch.randn(2, 3, 4)
    with words.Products() as products:
        (a @ b).sum().backward()  # two products: forward, and the derivative of b alone
        c @ torch.randn(2, 4, 6)
        torch.addmm(torch.zeros(5), a, b)
    assert products.gflop == pytest.approx(2e-9 * (3 * 60 + 2 * 3 * 4 * 6))
    products.alone()()


def test_training_on_words_has_a_row_a_model(capsys):
    rows = words.training(batch=16, stems=4, tokens=500, units=4, width=4)
    assert [row["model"] for row in rows] == list(words.MODELS)
    for row in rows:
        assert tuple(row) == words.TRAINING and row["batch"] == 16 and row["gflop"] >= 0
        assert row["words_per_second"] == pytest.approx(16 / row["seconds"], rel=0.05)
    assert capsys.readouterr().out.count("words/s") == len(words.MODELS)


def test_a_vocabulary_is_scored_in_a_process_of_its_own():
    rows = words.scoring(counts=(1000, 2000), stems=20, tokens=2000)
    assert [tuple(row) for row in rows] == [words.SCORING] * 2
    assert [row["trajectories"] for row in rows] == [1000, 2000] and rows[0]["peak_gib"] > 0
    assert rows[0]["words"] == len(words.vocabulary(20, 2000).words) > 100


def test_a_hidden_markov_model_has_the_time_of_its_whole_training():
    (row,) = words.markov(stems=20, tokens=2000, states=4)
    assert tuple(row) == words.MARKOV and row["model"] == "HMM, 4 states" and row["peak_gib"] > 0
    assert row["words"] == len(words.vocabulary(20, 2000).words) and row["epochs"] == 40
    assert row["steps"] == 16  # 250,368 words in batches of 16,384
    seconds = 40 * 16 * row["seconds_per_step"] + row["full_steps"] * row["seconds_per_full_step"]
    assert row["full_steps"] > 0 and row["minutes"] == pytest.approx(seconds / 60, abs=0.01)


SHORT = {"batch": 3, "length": 8, "dimensions": 4, "vocabulary": 9}
SMALL = {"width": 8, "inner": 8, "heads": 2, "hidden": 8, "steps": 2}


@pytest.mark.parametrize("name", language.MODELS)
def test_a_flow_of_language_has_a_row(name, capsys):
    scales = {} if "AR" in name else {"scales": 2}
    (row,) = language.run(1, SHORT, [name], **SMALL, **scales)
    assert tuple(row) == language.LANGUAGE and row["model"] == name
    assert row["tokens_per_second"] == pytest.approx(3 * 8 / row["seconds"], rel=0.2)
    assert row["gflop_equivalents"] == pytest.approx(row["seconds"] * row["gemm_gflops"], rel=0.3, abs=0.1)
    (said,) = re.findall(rf"  {name}: .* trained, ([\d.]+) x its own", capsys.readouterr().out)
    assert float(said) == pytest.approx(row["ratio"], abs=0.0051)


def test_both_directions_of_an_lstm_are_counted():
    """A BiLSTM of width W over inputs I: 8 W (I + W) a step, sequence and direction, three times with backward."""
    known = language.facts(4, 2, 5)
    block = {"class": "language_flow", "structure": "time", "network": "rnn", "steps": 1, "scales": 1, "width": 6}
    model = models.build(block, known)
    batch = Batch(torch.zeros(3, 4, dtype=torch.long), torch.full((3,), 4), torch.arange(3))
    lstm = 3 * 8 * 2 * (3 * 2) * 6 * (2 + 6)  # two directions over half the steps of three sequences
    last = 3 * 2 * (3 * 2) * 12 * 4
    mixing = 2 * 3 * 2 * 4 * 4 * 2 + 2 * 4**3 * 3  # W z and its gradients; L U and theirs
    assert measure.flops(model, batch) == pytest.approx(lstm + last + mixing, rel=0.05)


# -- epochs


LSTM = {"class": "recurrent_baseline", "embedding": 8, "width": 8, "depth": 1, "position": 4}
BLOCKS = {"lstm": LSTM, "af_af": {"class": "latent_sequence", **TINY, "time": "af", "hidden": "made"}}


class Matrix:
    """params.yaml with tiny models."""

    def run(self, scale, name):
        block = next(block for end, block in BLOCKS.items() if name.endswith(f"-{end}"))
        return {"model": block, "training": {"epochs": 1, "batch_size": 4, "learning_rate": 1e-3, "samples": 2}}


@pytest.fixture
def corpus(tmp_path, monkeypatch):
    """jsb prepared at scale paper, 24 sequences of 1 to 9 steps, and the steps that were taken."""
    monkeypatch.chdir(tmp_path)
    rng, lengths = np.random.default_rng(0), np.arange(24) % 9 + 1
    split = Split("music", lengths, (rng.random((lengths.sum(), 88)) < 0.1).astype(np.uint8))
    splits = dict.fromkeys(prepared.SPLITS, split)
    prepared.save(
        tmp_path / "data/prepared/paper/jsb", [], splits, {"dataset": "jsb", "kind": "music", "max_length": 12}
    )
    monkeypatch.setattr(epoch.params, "load", Matrix)
    monkeypatch.setattr(epoch, "clock", iter(range(10**6)).__next__)  # a second between two looks
    taken, step = [], epoch.Trainer.step
    monkeypatch.setattr(epoch.Trainer, "step", lambda self, *given: (taken.append(given[0]), step(self, *given)))
    return split, taken


def test_an_epoch_is_taken_whole_and_what_is_not_prepared_is_named(corpus, capsys):
    split, taken = corpus
    rows = epoch.run(("ptb", "jsb"), ("LSTM", "AF/AF"))
    out = capsys.readouterr().out
    assert "ptb: left out, expected its data in data/prepared/paper/ptb" in out and "prepare paper/ptb" in out
    assert [(row["dataset"], row["model"]) for row in rows] == [("jsb", "LSTM"), ("jsb", "AF/AF")]
    for row in rows:
        assert tuple(row) == epoch.EPOCH
        assert (row["steps"], row["steps_measured"], row["extrapolated"]) == (6, 6, "no")
        assert (row["sequences"], row["symbols"], row["samples"]) == (24, split.lengths.sum(), 2)
        assert row["seconds"] == 6 and row["symbols_per_second"] == round(row["symbols"] / 6, 1)
    each = 2 + 6  # one step twice, to have allocated and to know the rate, then every sequence once
    assert len(taken) == 2 * each
    for steps in (taken[2:each], taken[each + 2 :]):
        assert sorted(np.concatenate([batch for group in steps for batch in group])) == list(range(24))


def test_a_long_epoch_is_extrapolated_by_padded_symbols_and_says_so(corpus, monkeypatch, capsys):
    split, taken = corpus
    monkeypatch.setattr(epoch, "WHOLE", 0.5)
    monkeypatch.setattr(epoch, "SPENT", 0.0)
    monkeypatch.setattr(epoch, "FEWEST", 2)
    (row,) = epoch.run(("jsb",), ("LSTM",))
    assert (row["steps"], row["steps_measured"], row["extrapolated"]) == (6, 2, "yes")
    padded = [sum(len(batch) * split.lengths[batch].max() for batch in group) for group in taken]
    groups = epoch.optimise.steps(
        epoch.order(split, 4, 0, 0),
        split.lengths,
        epoch.Training.of(Matrix().run("", "x-lstm")["training"], "training"),
    )
    whole = sum(len(batch) * split.lengths[batch].max() for group in groups for batch in group)
    assert row["seconds"] == pytest.approx(2 * whole / sum(padded[2:]), abs=0.1)
    assert "from 2 of 6 steps" in capsys.readouterr().out


def test_the_steps_of_an_estimate_are_spread_over_all_sizes():
    padded = np.random.default_rng(0).permutation(1000) + 1
    assert list(epoch.planned(padded, 0.0)) == list(range(1000))
    taken = epoch.planned(padded, epoch.SPENT * 10 / padded.sum())  # a tenth of the epoch
    assert len(taken) == 100 and len(set(taken)) == 100
    assert padded[taken].mean() == pytest.approx(padded.mean(), rel=0.01)
    assert len(epoch.planned(padded, 1.0)) == epoch.FEWEST


# -- time to quality


def curve(path, losses, start=1):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("epoch,valid_loss\n" + "".join(f"{n},{loss}\n" for n, loss in enumerate(losses, start)))


@pytest.fixture
def curves(tmp_path):
    """One curve of the authors, two of ours on one set."""
    curve(tmp_path / "authors.csv", [20.0, 11.0, 10.0])
    curve(tmp_path / "a.csv", [10.5, 9.0, 8.0])
    curve(tmp_path / "b.csv", [12.0, 11.0, 10.5])
    rows = [("authors", 0, "authors.csv"), ("after", 0, "a.csv"), ("after", 1, "b.csv")]
    rows = [dict(zip(quality.CURVES, ("jsb", *row, "somewhere"), strict=True)) for row in rows]
    files.write_csv(tmp_path / "curves.csv", rows, quality.CURVES)
    costs = [("jsb", "authors", 2, 60, 50, 10, "here"), ("jsb", "after", 1, 30, 20, 10, "here")]
    costs = [dict(zip(quality.COSTS, row, strict=True)) for row in costs]
    files.write_csv(tmp_path / "epoch_costs.csv", costs, quality.COSTS)
    return tmp_path


def test_core_minutes_until_a_bound_are_epochs_times_their_cost(curves):
    rows = quality.run(curves)
    assert all(set(row) == set(quality.QUALITY) for row in rows)
    found = {(row["bound"], row["code"]): row for row in rows}
    assert set(found) == {(bound, code) for bound in (10.0, 11.0) for code in ("authors", "after")}
    theirs, ours = found[11.0, "authors"], found[11.0, "after"]
    assert (theirs["epochs"], theirs["core_minutes"], theirs["ratio"]) == ("2", 4.0, 1.0)  # on two threads
    assert (ours["epochs"], ours["core_minutes"], ours["ratio"]) == ("1 2", 0.75, 0.188)
    assert ours["best_bound"] == "8.000 10.500" and ours["origin"] == "somewhere"


def test_a_bound_that_a_seed_does_not_reach_has_no_mean(curves):
    """A mean over those seeds alone that reach it would flatter."""
    row = next(row for row in quality.run(curves) if (row["bound"], row["code"]) == (10.0, "after"))
    assert (row["seeds"], row["reached"], row["epochs"]) == (2, 1, "2 -")
    assert row["core_minutes"] == row["ratio"] == quality.NEVER


def test_the_published_times_to_quality_are_those_of_the_committed_curves(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    files.write_csv(tmp_path / "new.csv", quality.run(), quality.QUALITY)
    assert (tmp_path / "new.csv").read_text() == (ROOT / "results/benchmark/time_to_quality.csv").read_text()


def test_curves_that_say_too_little_are_refused(curves):
    curve(curves / "b.csv", [9.0], start=2)
    with pytest.raises(Problem, match="expected the epochs 1 to 1"):
        quality.run(curves)
    (curves / "b.csv").unlink()
    with pytest.raises(Problem, match="found none"):
        quality.run(curves)
    curve(curves / "b.csv", [9.0])
    (curves / "epoch_costs.csv").write_text("data,code\njsb,authors\n")
    with pytest.raises(Problem, match="found no .*seconds_per_epoch"):
        quality.run(curves)
