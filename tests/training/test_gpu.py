"""Training and scoring on a device: the CPU, and a GPU where torch sees one.

The GPU's cases are marked `gpu` (`make test-gpu`). Those of the CPU run the same code everywhere: on it the comparisons
with the CPU are with itself.
"""

import numpy as np
import pytest
import torch
from torch.overrides import TorchFunctionMode

import tiny
from seqflows import compute, models
from seqflows.benchmark import language
from seqflows.config.evaluation import Sequences
from seqflows.config.training import Training
from seqflows.data.batching import collate
from seqflows.data.prepared import Dataset, Split
from seqflows.errors import Interrupted
from seqflows.evaluation import likelihood
from seqflows.training.progress import Progress
from seqflows.training.trainer import WINDOW, Trainer

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)]
BLOCKS = {
    "latent": tiny.LATENT | {"dropout": 0.0},
    "words": tiny.STATE_SPACE,
    "language": {"class": "language_flow", "structure": "time", "steps": 2, "scales": 2}
    | {"width": 8, "inner": 8, "heads": 2},
}
EPOCHS = 4
DRAWS = 20_000  # importance samples of each sequence, for an error of the estimate

on_each = pytest.mark.parametrize("device", DEVICES)
each_model = pytest.mark.parametrize("name", BLOCKS)


class SameNoise(TorchFunctionMode):
    """Draws of the CPU's generator on any device."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        if func in (torch.randn, torch.rand):
            device = kwargs.pop("device", None) or "cpu"
            return func(*args, **kwargs).to(device)
        if func is torch.randn_like:
            return torch.randn(args[0].shape, dtype=args[0].dtype).to(args[0].device)
        return func(*args, **kwargs)


@pytest.fixture(autouse=True)
def as_before():
    """Precisions and determinism are the process's: later tests have theirs back."""
    precision, mode = torch.get_float32_matmul_precision(), torch.get_deterministic_debug_mode()
    tf32 = torch.backends.cudnn.allow_tf32
    yield
    torch.set_float32_matmul_precision(precision)
    torch.set_deterministic_debug_mode(mode)
    torch.backends.cudnn.allow_tf32 = tf32


def data(name):
    """Forty sequences of a kind, their lengths and symbols random."""
    rng, count = np.random.default_rng(5), 40
    if name == "language":
        vectors = language.facts(8, 4, 9).vectors
        split = Split("language", np.full(count, 8), rng.integers(0, 9, count * 8).astype(np.int32))
        return Dataset("random", "language", [], split, split, split, {"max_length": 8}, "", vectors)
    lengths, end = rng.integers(3, 9, count), 27
    symbols = rng.integers(0, 4, lengths.sum()).astype(np.uint8)
    if name == "latent":
        split = Split("text", lengths, symbols)
        return Dataset("random", "text", list("ab c"), split, split, split, {"max_length": 9}, "")
    symbols[np.cumsum(lengths) - 1] = end
    train = Split("words", lengths, symbols, None, rng.integers(1, 5, count))
    valid = Split("words", lengths, symbols)
    return Dataset("random", "words", ["a"] * 28, train, valid, train, {"max_length": 9}, "")


def made(name, device, folder, precision="fp32", exact=False):
    """A trainer of the smallest model of its kind; ``exact``: without TF32, which training has on a GPU."""
    settings = Training(
        epochs=EPOCHS, batch_size=4, learning_rate=0.01, clip=1.0, samples=1 if name == "language" else 2,
        kl_floor=0.1, drawn=40 if name == "words" else None,
    )  # fmt: skip
    machine = compute.prepare({"device": device, "threads": 1, "precision": precision}, "demo", training=not exact)
    torch.manual_seed(3)
    dataset = data(name)
    model = models.build(BLOCKS[name], dataset.facts()).to(machine.device)
    return Trainer(model, dataset, settings, 3, machine, folder)


def weights(trainer):
    """The bytes of every parameter and buffer."""
    return {key: value.cpu().numpy().tobytes() for key, value in trainer.model.state_dict().items()}


def trained(name, device, folder, precision="fp32", stops=()):
    """A trainer at the end of training that was stopped, and gone on with, at each of ``stops``."""
    for place, left in enumerate((*stops, 10**6)):
        trainer, stop = made(name, device, folder, precision), tiny.Cut()
        assert trainer.resume() == (place > 0)
        stop.left = left
        try:
            trainer.run(Progress(name, EPOCHS), stop, lambda row: None)
        except Interrupted:
            torch.manual_seed(left)  # nothing may hang on the process's own random state
    return trainer


@on_each
@each_model
def test_a_step_is_the_cpus(name, device, tmp_path):
    """Every term and every gradient, with the same noise, to float32's rounding."""
    found = {}
    for where in ("cpu", device):
        trainer = made(name, where, tmp_path, exact=True)
        trainer.optimizer.rate = 0.0
        with SameNoise():
            trainer.model.train()
            torch.manual_seed(11)
            trainer.step([np.arange(12)], 0.5)
        gradients = torch.cat([parameter.grad.flatten().cpu() for parameter in trainer.model.parameters()])
        found[where] = trainer.sums.cpu(), gradients
    (sums, gradients), (theirs, others) = found["cpu"], found[device]
    assert sums.isfinite().all() and gradients.norm() > 0
    assert theirs.tolist() == pytest.approx(sums.tolist(), rel=2e-5, abs=1e-4)
    assert (others - gradients).norm() < 1e-4 * gradients.norm()


@on_each
@each_model
def test_bf16_trains_with_log_determinants_of_float32(name, device, tmp_path):
    trainer = trained(name, device, tmp_path, "bf16")
    values = [value for row in trainer.history for key, value in row.items() if key.endswith("_loss")]
    assert len(values) == 2 * EPOCHS and np.isfinite(values).all()
    model, batch = trainer.model, collate(trainer.dataset.train, np.arange(12)).to(trainer.machine.device)
    with trainer.machine.autocast(), torch.no_grad():
        if name == "latent":
            context = model.positions(batch.lengths, batch.x.shape[1])
            z = torch.randn(*context.shape[:2], model.config.latent, device=context.device)
            _, log_det = model.prior.forward(z, context)
        elif name == "words":
            like = {"dtype": torch.float32, "device": trainer.machine.device}
            shape = (7, model.generative.dim)
            context = torch.randn(7, model.generative.context, **like)
            _, log_det = model.generative.forward(torch.randn(shape, **like), context)
        else:
            _, log_det = model.flow.forward(model.vectors[batch.x])
    assert log_det.dtype == torch.float32 and log_det.isfinite().all()


@on_each
@each_model
def test_the_same_seed_gives_the_same_bytes(name, device, tmp_path):
    first, again = (weights(trained(name, device, tmp_path / folder)) for folder in "ab")
    assert first == again != weights(made(name, device, tmp_path))


@on_each
@each_model
def test_training_in_pieces_is_the_whole(name, device, tmp_path):
    """Cut in the middle of epochs and in validations, as the losses of a GPU are looked at in windows of steps."""
    whole = trained(name, device, tmp_path / "whole")
    assert whole.steps == EPOCHS * 10 > WINDOW
    pieces = trained(name, device, tmp_path / "pieces", stops=(3, 11, 9, 1))
    assert weights(pieces) == weights(whole)
    times = ("seconds", "symbols_per_second")
    rows, others = (
        [{key: value for key, value in row.items() if key not in times} for row in one.history]
        for one in (whole, pieces)
    )
    assert rows == others


@on_each
def test_scores_are_the_cpus(device, tmp_path):
    """With the same noise to rounding; with other noise within five standard errors of both."""
    settings, found, means = Sequences(samples=50, headline=50, at=(10, 50), chunk=256), {}, {}
    for seed, where in enumerate(("cpu", device)):
        trainer = made("latent", where, tmp_path, exact=True)
        with SameNoise():
            scored = likelihood.score(trainer.model, trainer.dataset.test, settings, trainer.machine, 0)
        found[where] = np.stack([scored.nll, scored.reconstruction, scored.kl, scored.nll_at[10]])
        batch = collate(trainer.dataset.test, np.arange(8)).to(trainer.machine.device)
        torch.manual_seed(seed)
        with torch.no_grad():
            means[seed] = torch.stack(_mean(likelihood.draw(trainer.model, batch, DRAWS, 1000)[0])).cpu()
    assert found[device] == pytest.approx(found["cpu"], rel=1e-5, abs=1e-4)
    (ours, error), (theirs, other) = means[0], means[1]
    assert (error < 0.02).all() and (other > 0).all()
    assert ((ours - theirs).abs() < 5 * (error**2 + other**2).sqrt()).all() and not torch.equal(ours, theirs)


@on_each
def test_noise_of_its_own_leaves_the_generators_as_they_were(device):
    device = torch.device(device)

    def states():
        return [torch.get_rng_state(), *([torch.cuda.get_rng_state(device)] if device.type == "cuda" else [])]

    def drawn():
        return [torch.rand(3), torch.rand(3, device=device).cpu()]

    torch.manual_seed(4)
    wanted = drawn()
    torch.manual_seed(5)
    before = states()
    with compute.own_noise(device, 4):
        found = drawn()
    with compute.own_noise(device):
        compute.seed_noise(device, 4)
        again = drawn()
    assert all(map(torch.equal, states(), before))
    assert all(map(torch.equal, found, wanted)) and all(map(torch.equal, again, wanted))


def _mean(log_weights):
    """The log of the mean weight of each sequence, and its standard error (the delta method)."""
    count = log_weights.shape[1]
    mean = log_weights.logsumexp(1, keepdim=True) - np.log(count)
    return mean[:, 0], (log_weights - mean).exp().std(1) / count**0.5


@on_each
def test_samples_follow_their_generator_on_any_device(device, tmp_path):
    """The same noise of the CPU's generator gives the same symbols."""
    drawn = []
    for where in ("cpu", device):
        trainer = made("latent", where, tmp_path, exact=True)
        generator = torch.Generator().manual_seed(1)
        drawn.append(trainer.model.eval().sample(20, generator=generator))
    ours, theirs = drawn
    assert torch.equal(ours.lengths, theirs.lengths.cpu())
    assert (ours.x == theirs.x.cpu()).float().mean() > 0.99  # a draw at the edge of two symbols may differ
