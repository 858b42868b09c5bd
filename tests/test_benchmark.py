"""The benchmark's bookkeeping, at tiny sizes; no test looks at a time."""

import csv
from pathlib import Path

import pytest
import torch

from seqflows import cli, files, models
from seqflows.benchmark import language, measure, parts, words
from seqflows.data.batching import Batch

ROOT = Path(__file__).parent.parent
TINY = {"latent": 4, "embedding": 8, "width": 8, "depth": 1, "flow_width": 8, "position": 4, "layers": 2}


@pytest.fixture(autouse=True)
def few(monkeypatch):
    """Two repeats, small matrices, two short shapes, and torch's threads as they were."""
    monkeypatch.setattr(measure, "REPEATS", 2)
    monkeypatch.setattr(measure, "ATTEMPTS", 2)
    monkeypatch.setattr(measure, "SIDE", 16)
    monkeypatch.setattr(measure, "SAMPLED", 3)
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
        assert float(row["reference"]) == known[key]
        assert float(row["ratio"]) == pytest.approx(float(row["gflop_equivalents"]) / known[key], abs=1e-3)


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
        assert row["ratio"] == pytest.approx(row["gflop_equivalents"] / shape.reference, abs=1e-3)
    assert capsys.readouterr().out.count("the authors' code") == 2


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


def test_an_unknown_part_is_refused(root, capsys, monkeypatch):
    monkeypatch.chdir(root)
    assert cli.main(["benchmark", "trainings"]) == 1
    assert (
        "expected parts among training, sampling, memory, words, trajectories, language_flow, got trainings"
        in capsys.readouterr().err
    )


def test_the_files_are_written(tmp_path, monkeypatch):
    for part, columns in {"sampling": measure.SAMPLING, "words": words.TRAINING}.items():
        monkeypatch.setitem(parts.MEASURES, part, lambda columns=columns: [dict.fromkeys(columns, 1)])
        parts.run([part], tmp_path)
        with open(tmp_path / f"{part}.csv") as file:
            assert list(csv.DictReader(file)) == [dict.fromkeys(columns, "1")]
    machine = files.read_json(tmp_path / "machine.json")
    assert set(machine) == {"sampling", "words"}
    assert all({"revision", "torch", "processor", "cores"} <= set(part) for part in machine.values())
    assert set(parts.MEASURES) == set(parts.COLUMNS)


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


SHORT = {"batch": 3, "length": 8, "dimensions": 4, "vocabulary": 9}
SMALL = {"width": 8, "inner": 8, "heads": 2, "hidden": 8, "steps": 2}


@pytest.mark.parametrize("name", language.MODELS)
def test_a_flow_of_language_has_a_row(name, capsys):
    scales = {} if "AR" in name else {"scales": 2}
    (row,) = language.run(1, SHORT, [name], **SMALL, **scales)
    assert tuple(row) == language.LANGUAGE and row["model"] == name
    assert row["tokens_per_second"] == pytest.approx(3 * 8 / row["seconds"], rel=0.2)
    assert row["gflop_equivalents"] == pytest.approx(row["seconds"] * row["gemm_gflops"], rel=0.3, abs=0.1)
    assert ("goal 2.5" in capsys.readouterr().out) == ("Att" in name)


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
