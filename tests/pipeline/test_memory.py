"""The estimate of memory: by hand for a small model, and beside what was measured."""

import csv
import subprocess
import sys

import pytest

from seqflows import params
from seqflows.benchmark import measure
from seqflows.config.evaluation import EVALUATIONS
from seqflows.config.training import Training
from seqflows.evaluation import likelihood, trie
from seqflows.pipeline import memory, plan

SIZE = memory.Size(multiplied=900, parameters=1000, outputs=50, exact=False)
TEXT = {"kind": "text", "max_length": 12, "splits": {"train": {"longest": 10}}}
# The kernel's peak of this process alone: ru_maxrss begins with that of the process that starts it.
STEP = """
import sys
from pathlib import Path
import torch
from seqflows.benchmark import measure

def peak():
    return 1024 * int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])

torch.set_num_threads(1)
before = peak()
trainer = measure.trainer(measure.shapes()[int(sys.argv[1])], "cpu")
for _ in range(2):
    measure.step(trainer)
trainer._keep()
print(peak() - before)
"""


def settings(**entries):
    return Training(**{"epochs": 1, "batch_size": 4, "learning_rate": 0.1, "samples": 3, **entries})


def test_training_has_its_weights_and_the_largest_of_the_rest():
    """Value, gradient, two moments and the best epoch's; then 4 x 10 x 3 symbols of 50 outputs."""
    found = memory.training(SIZE, settings(), TEXT, host=False)
    assert found == 4 * (5 * 1000 + max(4 * 10 * 3, 0.25 * 64 * 10) * 50)
    assert memory.training(SIZE, settings(samples=6), TEXT, host=False) == 4 * (5000 + 4 * 10 * 6 * 50)
    # a checkpoint in the same memory: value, moments and the best's, twice
    assert memory.training(SIZE, settings(), TEXT, host=True) == 4 * (5000 + max(160 * 50, 2 * 4 * 1000))
    large = SIZE._replace(parameters=100_000)
    assert memory.training(large, settings(), TEXT, host=True) == 4 * (5 + 8) * 100_000
    assert memory.training(large, settings(), TEXT, host=False) == 4 * (500_000 + 160 * 50)


@pytest.mark.parametrize(
    ("entries", "copies"),
    [
        ({"optimizer": "sgd"}, 3),
        ({"optimizer": "sgd", "momentum": 0.9}, 4),
        ({"average": 3, "epochs": 3}, 8),
    ],
)
def test_other_optimisers_and_averages_keep_other_copies(entries, copies):
    less = memory.training(SIZE, settings(**entries), TEXT, host=False)
    more = memory.training(SIZE._replace(parameters=2000), settings(**entries), TEXT, host=False)
    assert more - less == 4 * copies * 1000


def test_batches_of_a_step_that_are_merged_are_in_memory_together():
    apart, merged = (memory.training(SIZE, settings(accumulate=n, samples=9), TEXT, host=False) for n in (1, 5))
    assert merged - apart == 4 * 50 * 4 * (4 * 10 * 9)
    most = memory.training(SIZE, settings(accumulate=10**6), TEXT, host=False)
    assert most == 4 * (5000 + memory.optimise.MERGED_STEPS * 50)


def test_contexts_count_as_symbols():
    pairs = {"kind": "pairs", "max_length": 12, "window": 20, "splits": {"train": {"longest": 10}}}
    more = memory.training(SIZE, settings(), pairs, host=False) - memory.training(SIZE, settings(), TEXT, host=False)
    assert more == 4 * 50 * (0.25 * 64 * 30 - 0.25 * 64 * 10)
    spans = {"kind": "spans", "max_length": 3, "window": 99, "splits": {"train": {"longest": 3, "longest_passage": 20}}}
    assert memory._symbols(spans, 1) == 23 and memory._symbols(spans, 2) == 26  # all samples read one context
    scored = EVALUATIONS["pairs"](samples=5)
    assert memory.evaluation(SIZE, scored, pairs) == 4 * (1000 + 0.25 * likelihood.BATCH * (5 * 10 + 20) * 50)


def test_evaluation_has_the_largest_batch():
    scored = EVALUATIONS["text"](samples=20, headline=20, chunk=2000)
    assert memory.evaluation(SIZE, scored, TEXT) == 4 * (1000 + 0.25 * 2000 * 50)
    exact = memory.evaluation(SIZE._replace(exact=True), scored, TEXT)
    assert exact == 4 * (1000 + 0.25 * likelihood.BATCH * 10 * 50)
    words = {"kind": "words", "max_length": 13, "types": 10**6, "splits": {"train": {"mean_length": 5}}}
    found = memory.evaluation(SIZE, EVALUATIONS["words"](trajectories=(1,)), words)
    assert found == 4 * (1000 + 2 * trie.AT_ONCE * 10**6)


def test_the_estimate_of_scoring_is_what_was_measured(root):
    """The committed row, less the process itself: within a factor of two."""
    with open(root / "results/benchmark/memory.csv") as file:
        (row,) = csv.DictReader(file)
    shape = measure.shapes()[0]
    size = plan._size(plan._frozen(shape.block), shape.kind)
    samples, chunk = int(row["samples"]), int(row["chunk"])
    data = {"kind": "text", "max_length": 288, "splits": {"train": {"longest": 288}}}
    found = memory.evaluation(size, EVALUATIONS["text"](samples=samples, headline=50, chunk=chunk), data)
    assert 0.5 < found / (float(row["peak_gib"]) * 2**30 - 0.3e9) < 2


@pytest.mark.parametrize("number", [pytest.param(0, marks=pytest.mark.slow), 3], ids=["PTB", "JSB"])
def test_the_estimate_of_a_training_step_is_what_a_process_takes(number):
    shape = measure.shapes()[number]
    size = plan._size(plan._frozen(shape.block), shape.kind)
    given = Training(epochs=1, batch_size=shape.sequences, learning_rate=1e-4, samples=shape.samples)
    data = {"kind": shape.kind, "max_length": shape.steps, "splits": {"train": {"longest": shape.steps}}}
    found = memory.training(size, given, data, host=False)
    took = int(subprocess.run([sys.executable, "-c", STEP, str(number)], check=True, capture_output=True).stdout)
    assert 0.5 < found / took < 2, (found, took)


def test_every_run_has_an_estimate_and_a_gpu_no_checkpoint(root, monkeypatch):
    monkeypatch.chdir(root)
    matrix = params.load()
    for run in matrix.at("paper").runs:
        with_host, without = (plan.peak_memory(matrix, "paper", run, host) for host in (True, False))
        trained = plan.model_size(matrix, "paper", matrix.run("paper", run)).parameters > 0  # but for a trigram
        assert trained == (without[0] > 0) and without[0] <= with_host[0] < 40e9 and without[1] == with_host[1], run
    at = {host: plan.peak_memory(matrix, "paper", "squad-flow", host)[0] for host in (True, False)}
    assert at[False] < 0.6 * at[True]
