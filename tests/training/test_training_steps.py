"""What one step of training does, which model is kept, and what a seed decides: each against a calculation by hand.

Legend: T length of a sequence, w the KL weight.
"""

import copy
import itertools
import json

import pytest
import torch
from safetensors.torch import load_file

import tiny
from seqflows import compute, models, paths
from seqflows.config.training import Training
from seqflows.data import prepared
from seqflows.data.batching import collate, order
from seqflows.errors import Interrupted
from seqflows.training import loop
from seqflows.training.progress import Progress
from seqflows.training.trainer import Trainer

CPU = compute.Machine(torch.device("cpu"), "cpu", 1, "fp32")
PLAIN = {"epochs": 3, "batch_size": 4, "learning_rate": 0.05, "optimizer": "sgd"}
MODELS = {"text": tiny.LATENT, "music": tiny.LATENT, "words": tiny.STATE_SPACE}


@pytest.fixture(scope="module")
def datasets(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    tiny.project(folder)
    return lambda name: prepared.load(folder / paths.prepared("demo", name))


def trainer(dataset, folder, block=None, seed=0, **training):
    torch.manual_seed(seed)
    model = models.build(block or MODELS[dataset.name], dataset.facts())
    return Trainer(model, dataset, Training.of({**PLAIN, **training}, "training"), seed, CPU, folder)


def trained(made, stop=None):
    """Train to the end; the rows of the history."""
    whole = tiny.Cut()
    whole.left = 10**9
    progress = Progress("test", made.settings.epochs)
    made.run(progress, stop or whole, lambda row: None)
    return made.history


def by_hand(model, dataset, group, weight, samples):
    """The gradient of the mean over all sequences of (reconstruction + w kl + length) / (T + 1); of words undivided."""
    total, count = 0.0, sum(map(len, group))
    for indices in group:
        batch = collate(dataset.train, indices)
        terms = model.objective(batch, samples)
        assert set(terms) - {"length"} == {"reconstruction", "kl"}
        loss = terms["reconstruction"] + weight * terms["kl"] + terms.get("length", 0.0)
        total = total + (loss if dataset.kind == "words" else loss / (batch.lengths + 1)).sum() / count
    return torch.autograd.grad(total, list(model.parameters()), allow_unused=True)


@pytest.mark.parametrize("weight", [0.3, 1.0])
@pytest.mark.parametrize("name", MODELS)
def test_a_step_of_sgd_is_the_gradient_made_by_hand(datasets, tmp_path, name, weight):
    dataset = datasets(name)
    made = trainer(dataset, tmp_path, samples=2)
    model, places = copy.deepcopy(made.model).train(), dataset.train.lengths.argsort()
    group = [places[[0, 4, -1]], places[[1, -2]]]  # of unequal sizes and lengths
    assert all(len(set(dataset.train.lengths[part])) > 1 for part in group)
    made.model.train()
    torch.manual_seed(5)
    made.step(group, weight)
    torch.manual_seed(5)
    gradients = by_hand(model, dataset, group, weight, samples=2)
    moved = 0.0
    for before, after, gradient in zip(model.parameters(), made.model.parameters(), gradients, strict=True):
        wanted = before if gradient is None else before - 0.05 * gradient
        assert torch.allclose(after, wanted, atol=1e-7, rtol=1e-5)
        moved += float((after - before).detach().abs().sum())
    assert moved > 0.01


def test_a_model_is_initialised_by_the_first_batch_of_all_and_by_no_other(datasets, tmp_path, monkeypatch):
    """Not again where steps are taken one by one, as the benchmark does: its flows would be timed with a pass more."""
    made, seen = trainer(datasets("text"), tmp_path), []
    monkeypatch.setattr(made.model, "initialise", lambda batch: seen.append(batch.lengths.tolist()))
    for group in ([range(4), range(4, 7)], [range(7, 9)]):
        made.step([torch.tensor(part).numpy() for part in group], 1.0)
    assert made.steps == 2 and seen == [made.dataset.train.lengths[:4].tolist()]


def test_a_clipped_step_is_as_long_as_the_rate_times_the_clip(datasets, tmp_path):
    made = trainer(datasets("text"), tmp_path, clip=1e-3)
    before = [parameter.detach().clone() for parameter in made.model.parameters()]
    made.step([torch.arange(4).numpy()], 1.0)
    steps = [(a - b).detach() for a, b in zip(made.model.parameters(), before, strict=True)]
    norm = torch.cat([step.flatten().double() for step in steps]).norm()
    assert float(norm) == pytest.approx(0.05 * 1e-3, rel=1e-2)


def test_the_training_loss_is_its_weighted_terms(datasets, tmp_path):
    made = trainer(datasets("text"), tmp_path, epochs=2, kl_free_epochs=2, kl_floor=0.3)
    row = trained(made)[0]
    assert row["kl_weight"] == pytest.approx(0.3) and abs(row["train_kl"]) > 0.1
    wanted = row["train_reconstruction"] + 0.3 * row["train_kl"] + row["train_length"]
    assert row["train_loss"] == pytest.approx(wanted, rel=1e-6)
    assert row["valid_loss"] == pytest.approx(row["valid_reconstruction"] + row["valid_kl"] + row["valid_length"])


@pytest.mark.parametrize("name", ["text", "words"])
def test_losses_of_the_history_are_those_of_the_whole_split(datasets, tmp_path, name):
    """At a rate of 0: sums over sequences divided by sums of T + 1, of words by their number."""
    dataset = datasets(name)
    block = tiny.GRU if name == "words" else tiny.LSTM | {"dropout": 0.0}
    made = trainer(dataset, tmp_path, block, epochs=1, **({"drawn": 12} if name == "words" else {}))
    made.plateau.rate = 0.0
    (row,) = trained(made)
    drawn = [n for some in order(dataset.train, 4, 0, 0, made.settings.drawn) for n in some]
    for part, split, places in (("train", dataset.train, drawn), ("valid", dataset.valid, range(len(dataset.valid)))):
        places = list(places)
        with torch.no_grad():
            terms = made.model.objective(collate(split, places), 1)
        divisor = len(places) if name == "words" else (split.lengths[places] + 1).sum()
        assert row[f"{part}_loss"] == pytest.approx(float(sum(t.sum() for t in terms.values())) / divisor, rel=1e-5)


EM = {"optimizer": "em", "learning_rate": 0.5, "epochs": 2, "drawn": 12, "full_steps": 60, "full_gain": 1e-3}


def hmm(dataset, folder, **training):
    return trainer(dataset, folder, {"class": "hidden_markov", "states": 3}, **EM | training)


def test_a_full_step_is_expectation_maximisation_by_the_counts_of_all_words(datasets, tmp_path, monkeypatch):
    """In batches of 2 words, each word as often as its count says; the loss is the cross entropy before the step."""
    monkeypatch.setattr("seqflows.training.trainer.FULL_BATCH", 2)
    dataset = datasets("words")
    made, split = hmm(dataset, tmp_path), dataset.train
    assert len(split) > 4 and len(set(split.counts.tolist())) > 1
    share = torch.from_numpy(split.counts / split.counts.sum())
    loss = (made.model.objective(collate(split, range(len(split))), 1)["nll"] * share).sum()
    counts = torch.autograd.grad(loss, list(made.model.parameters()))
    made.epoch, whole = made.settings.epochs, tiny.Cut()
    whole.left = 10**9
    made._pass(Progress("test", 3), whole)
    assert made.steps == 1 and made.optimizer.rate == 1
    assert float(made.sums[0]) / made.seen[1] == pytest.approx(loss.item(), rel=1e-5)
    for table, counted in zip(made.model.parameters(), counts, strict=True):
        wanted = -counted / -counted.sum(-1, keepdim=True)
        assert torch.allclose(table.exp(), wanted, rtol=0, atol=1e-5)


def test_full_steps_follow_the_epochs_until_one_gains_too_little(datasets, tmp_path):
    """Or until there are as many as asked for; a training that was interrupted among them ends the same."""
    dataset, epochs = datasets("words"), EM["epochs"]
    rows = trained(hmm(dataset, tmp_path / "whole"))
    full = rows[epochs:]
    assert 3 < len(full) < EM["full_steps"] and {row["learning_rate"] for row in full} == {1.0}
    assert [row["steps"] for row in full] == [full[0]["steps"] + n for n in range(len(full))]
    gains = [a["train_loss"] - b["train_loss"] for a, b in itertools.pairwise(full)]
    assert -1e-6 < gains[-1] < EM["full_gain"] <= min(gains[:-1])
    assert trained(hmm(dataset, tmp_path / "few", full_steps=3))[-1]["epoch"] == epochs + 3
    assert len(trained(hmm(dataset, tmp_path / "none", full_steps=None, full_gain=None))) == epochs
    made, stop = hmm(dataset, tmp_path / "cut"), tiny.Cut()
    stop.left = full[2]["steps"] + 6
    with pytest.raises(Interrupted):
        trained(made, stop)
    again = hmm(dataset, tmp_path / "cut")
    assert again.resume() and epochs < again.epoch < len(rows)
    assert [row["train_loss"] for row in trained(again)] == [row["train_loss"] for row in rows]


@pytest.mark.parametrize("rule", [{}, {"warmup": 50}, {"inverse_root": 4}, {"cosine_from": 0.0}])
def test_the_rate_of_the_history_is_that_of_an_epochs_last_step(datasets, tmp_path, rule):
    made, rates = trainer(datasets("text"), tmp_path, tiny.LSTM, **rule), []
    step = made.optimizer.step

    def seen():
        rates.append(made.optimizer.rate)
        step()

    made.optimizer.step = seen
    rows = trained(made)
    assert [row["learning_rate"] for row in rows] == [rates[row["steps"] - 1] for row in rows]
    assert len(rates) == rows[-1]["steps"] and (len(set(rates)) > 1) == bool(rule)


def test_validation_has_the_same_noise_in_every_epoch(datasets, tmp_path):
    made = trainer(datasets("text"), tmp_path)
    made.plateau.rate = 0.0
    losses = [row["valid_loss"] for row in trained(made)]
    assert len(losses) == 3 and len(set(losses)) == 1
    other = trainer(datasets("text"), tmp_path, seed=0)
    other.seed, other.plateau.rate = 1, 0.0
    assert trained(other)[0]["valid_loss"] != losses[0]  # the same weights under the noise of another seed


def test_validation_leaves_the_training_noise_alone_and_draws_no_dropout(datasets, tmp_path):
    made = trainer(datasets("text"), tmp_path, tiny.LSTM | {"dropout": 0.5})
    whole = tiny.Cut()
    whole.left = 10**9
    state = torch.get_rng_state()
    first, again = made._validate(whole, {}), made._validate(whole, {})
    assert first == again and torch.equal(torch.get_rng_state(), state)
    with torch.no_grad():
        wanted = made.model.eval().objective(collate(made.dataset.valid, range(5)), 1)
    assert first["nll"] == pytest.approx(float(wanted["nll"].sum()) / (made.dataset.valid.lengths + 1).sum(), rel=1e-5)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_a_run_cut_after_the_rate_fell_goes_on_at_the_lower_rate(datasets, tmp_path, optimizer):
    def make(folder):
        rate = {"sgd": 0.5, "adam": 0.02}[optimizer]
        chosen = {"optimizer": optimizer, "drops": [0.3], "epochs": 3, "decay": 50.0, "learning_rate": rate}
        return trainer(datasets("text"), folder, tiny.LSTM, **chosen)

    whole, cut = make(tmp_path / "whole"), tiny.Cut()
    rows = trained(whole)
    assert rows[1]["learning_rate"] == pytest.approx(rows[0]["learning_rate"] / 50)
    cut.left = 5  # three steps and a look at the validation split, then one step of the second epoch
    first = make(tmp_path / "cut")
    with pytest.raises(Interrupted):
        trained(first, cut)
    assert (first.epoch, first.position) == (1, 1)
    second = make(tmp_path / "cut")
    assert second.resume() and second.optimizer.rate == second.plateau.rate == rows[1]["learning_rate"]
    times = ("seconds", "symbols_per_second")
    for row, wanted in zip(trained(second), rows, strict=True):
        assert {k: v for k, v in row.items() if k not in times} == {k: v for k, v in wanted.items() if k not in times}
    for name, value in second.model.state_dict().items():
        assert torch.equal(value, whole.model.state_dict()[name])


def test_every_checkpoint_gives_the_memory_that_is_free_back(datasets, tmp_path, monkeypatch):
    """Else it grows from step to step as it falls to pieces, see `compute.reuse_memory`."""
    calls = []
    monkeypatch.setattr(compute, "give_back", lambda: calls.append((tmp_path / "checkpoint.json").exists()))
    made, cut = trainer(datasets("text"), tmp_path), tiny.Cut()
    cut.left = 1
    with pytest.raises(Interrupted):
        trained(made, cut)
    assert calls == [True]


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SEQFLOWS_CHECKPOINTS", raising=False)
    tiny.project(tmp_path)
    return tmp_path


def test_the_saved_model_is_the_best_on_the_validation_split(project):
    """Trained until it gets worse: what is saved scores on valid what the best row says, and no row says less."""
    block = tiny.LSTM | {"dropout": 0.0}
    training = {"epochs": 30, "batch_size": 12, "learning_rate": 0.1, "patience": 99}
    chosen = {"kl_free_epochs": 0, "kl_ramp_epochs": 0, "samples": 1}
    tiny.write_matrix(project, {"x": tiny.run("text", block, training | chosen)})
    loop.run(paths.Key("demo", "x"))
    folder = paths.seed("demo", "x", 0)
    lines = (folder / "history.csv").read_text().splitlines()
    place = lines[0].split(",").index("valid_loss")
    losses = [float(line.split(",")[place]) for line in lines[1:]]
    best = json.loads((folder / "train.json").read_text())["best_epoch"]
    dataset = prepared.load(paths.prepared("demo", "text"))
    model = models.build(block, dataset.facts()).eval()
    model.load_state_dict(load_file(folder / "model.safetensors"))

    def loss(split):
        with torch.no_grad():
            terms = model.objective(collate(split, range(len(split))), 1)
        return float(sum(value.sum() for value in terms.values())) / (split.lengths + 1).sum()

    assert losses[best - 1] == min(losses) < losses[-1] - 0.01
    assert loss(dataset.valid) == pytest.approx(losses[best - 1], rel=1e-5)
    assert abs(loss(dataset.valid) - loss(dataset.test)) > 1e-3  # or it would not be seen which split was asked


def test_a_seed_decides_the_first_weights(project, monkeypatch):
    """With the order of the batches out of it: what each seed of a run starts from."""
    seen = []

    class Begun(Trainer):
        def run(self, *_):
            seen.append({name: value.clone() for name, value in self.model.state_dict().items()})
            raise Interrupted("seen")

    monkeypatch.setattr(loop, "Trainer", Begun)
    for seed in (0, 1, 0):
        torch.manual_seed(77)
        tiny.write_matrix(project, {"x": tiny.run("text", tiny.LSTM, seeds=(seed,))})
        with pytest.raises(Interrupted):
            loop.run(paths.Key("demo", "x"))
    assert all(torch.equal(seen[0][name], seen[2][name]) for name in seen[0])
    differing = [name for name in seen[0] if not torch.equal(seen[0][name], seen[1][name])]
    assert {"emission.weight", "positions.table.weight"} <= set(differing)


def test_a_seed_decides_the_order_of_the_batches(datasets, tmp_path, monkeypatch):
    """With the same first weights: another order for each seed and each epoch."""
    orders = {}
    for seed in (0, 1):
        made = trainer(datasets("text"), tmp_path)
        made.seed, seen, step = seed, [], made.step

        def stepped(group, *rest, seen=seen, step=step):
            seen.append(group)
            step(group, *rest)

        monkeypatch.setattr(made, "step", stepped)
        trained(made)
        places = [tuple(int(n) for batch in group for n in batch) for group in seen]
        for epoch in range(3):
            orders[seed, epoch] = places[3 * epoch : 3 * epoch + 3]
            assert sorted(n for batch in orders[seed, epoch] for n in batch) == list(range(12))
    assert len({tuple(found) for found in orders.values()}) == len(orders) == 6
