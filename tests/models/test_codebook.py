"""The codebook's parts that the contract does not see: where a free mixture starts, and what is dropped in training."""

import pytest
import torch

from conftest import ROOT
from seqflows import models, params
from seqflows.config.models import MODELS
from seqflows.data.prepared import Facts
from seqflows.paths import SCALES

BLOCK = {"class": "codebook_sequence", "latent": 16, "width": 4, "position": 2}
FREE = BLOCK | {"mixture": "free", "components": 12}
FACTS = Facts("categorical", 12, 3, (0, 2, 5, 1))
MATRIX = params.load(ROOT / "params.yaml")
RUNS = [
    (scale, name, MATRIX.run(scale, name)["model"])
    for scale in SCALES
    for name, run in MATRIX.runs.items()
    if scale in run and run[scale]["model"]["class"] == "codebook_sequence"
]


def built(block):
    torch.manual_seed(0)
    return models.build(block, FACTS)


def nearest(model):
    """The number of the symbol whose Gaussian is nearest to each component's mean, and the distances (M,)."""
    apart = torch.cdist(model.prior.inner.components.means, model.emission.components.means)
    return apart.argmin(1), apart.amin(1)


def test_free_components_start_at_the_codebooks_unless_told_otherwise():
    """At random they start about sqrt(2 * 16) = 5.7 deviations away from each symbol's."""
    symbols, distances = nearest(built(FREE))
    assert symbols.tolist() != list(range(12)) and sorted(symbols.tolist()) == list(range(12))
    assert (distances < 1).all()
    assert nearest(built(FREE | {"start": "random"}))[1].min() > 2
    fewer, _ = nearest(built(FREE | {"components": 5}))
    assert len(set(fewer.tolist())) == 5
    more, _ = nearest(built(FREE | {"components": 30}))
    assert sorted(torch.bincount(more, minlength=12).tolist()) == [2] * 6 + [3] * 6


def test_what_components_are_used_is_counted_in_a_free_mixture_alone():
    model = built(FREE)
    assert built(BLOCK).monitor() == {}
    assert model.monitor()["components_used"] == pytest.approx(12, abs=0.01)
    with torch.no_grad():
        model.prior.inner.components.means[:9] += 100.0
    assert 1 <= model.monitor()["components_used"] <= 3.001
    with torch.no_grad():
        model.prior.inner.components.means[:-1] += 100.0
    assert model.monitor()["components_used"] == pytest.approx(1, abs=1e-6)


def test_the_start_is_a_setting_of_free_mixtures_alone_and_stated_in_their_runs():
    """So that records of components at random are seen to be of other settings, and those of tied ones are not."""
    block = MODELS["codebook_sequence"].block
    for mixture in ("tied", "free", "none"):
        more = {"components": 3} if mixture == "free" else {}
        assert ("start" in block.filled({"mixture": mixture, **more}).idle()) == (mixture != "free")
    assert len(RUNS) > 10
    for *_, model in RUNS:
        assert model.get("start") == ("codebook" if model.get("mixture") == "free" else None)


def test_what_the_lstm_reads_is_dropped_as_in_the_lstm_beside_it():
    """One number for what is read and given, as the baselines have it; of an LSTM alone, and unset without."""
    assert MATRIX.run("laptop", "ptb-codebook")["model"]["input_dropout"] == 0.3
    assert MATRIX.run("laptop", "ptb-lstm-wide")["model"]["dropout"] == 0.3
    for scale, name, model in RUNS:
        lstm = model.get("mixture") != "none" and model.get("network") != "transformer" and scale != "demo"
        assert model.get("input_dropout") == (model["dropout"] if lstm else None), (scale, name)
    block = MODELS["codebook_sequence"].block
    for own in ({}, {"network": "transformer", "input_dropout": 0.1}, {"mixture": "none", "input_dropout": 0.1}):
        assert "input_dropout" in block.filled(own).idle()
    assert "input_dropout" not in block.filled({"input_dropout": 0.1}).idle()
    assert built(BLOCK | {"dropout": 0.3, "input_dropout": 0.1}).prior.input_dropout == 0.1
    assert built(BLOCK).prior.input_dropout == 0


@pytest.mark.parametrize(
    "more",
    [
        {"dropout": 0.4, "input_dropout": 0.4, "depth": 2},
        {"dropout": 0.4, "network": "transformer", "heads": 2, "inner": 8},
        {"dropout": 0.4, "mixture": "none", "layers": 1, "flow_width": 16},
    ],
    ids=["lstm", "transformer", "flow"],
)
def test_the_importance_samples_of_a_sequence_see_the_same_dropout_mask(more):
    """The same z twice in a sequence's draws has the same log p(z); in another sequence, step or call it has not."""
    model = built(BLOCK | more).double()
    z = torch.randn(1, 3, 16, dtype=torch.float64).expand(8, -1, -1)  # 2 sequences of 4 draws
    lengths = torch.full((8,), 3)
    position = model.positions(lengths, 3)
    with torch.no_grad():
        first, second = (model.train().log_prior_of_draws(z, lengths, position, 4).view(2, 4) for _ in range(2))
        assert torch.allclose(first, first[:, :1].expand(2, 4), rtol=0, atol=1e-10)
        assert (first[0, 0] - first[1, 0]).abs() > 1e-6 and (first - second).abs().min() > 1e-6
        apart = model.log_prior(z, lengths, position)
        assert (apart[1:] - apart[0]).abs().min() > 1e-9
        z = torch.randn(8, 3, 16, dtype=torch.float64)
        found = model.eval().log_prior_of_draws(z, lengths, position, 4)
        assert torch.equal(found, model.log_prior(z, lengths, position))


def test_draws_keep_their_order_where_they_share_a_mask():
    """Without dropout the value of training is that of scoring, of sequences of several lengths."""
    model = built(BLOCK | {"dropout": 0.0}).double()
    z, lengths = torch.randn(6, 3, 16, dtype=torch.float64), torch.tensor([3, 3, 3, 1, 1, 1])
    position = model.positions(lengths, 3)
    found = [one.log_prior_of_draws(z, lengths, position, 3) for one in (model.train(), model.eval())]
    assert torch.allclose(*found, rtol=0, atol=1e-12)
