"""NADE, the emission of piano rolls whose keys depend on each other, against enumeration (Larochelle & Murray 2011)."""

import itertools

import pytest
import torch

from seqflows.data.prepared import Facts
from seqflows.errors import Problem
from seqflows.models import build
from seqflows.models.networks import Emission, NadeEmission

V = 4
FACTS = Facts("bernoulli", V, 3, (0, 2, 3, 1))
BLOCKS = {
    "latent_sequence": {"latent": 2, "layers": 1, "flow_width": 4},
    "recurrent_baseline": {},
}
SMALL = {"embedding": 5, "width": 6, "depth": 1, "position": 3, "keys": "nade", "nade_width": 7}
EVERY = torch.tensor(list(itertools.product((0.0, 1.0), repeat=V)), dtype=torch.float64)  # (16, V)


def made(seed=0):
    torch.manual_seed(seed)
    nade = NadeEmission(FACTS, 5, 1.0, 7).double()
    with torch.no_grad():
        for parameter in nade.parameters():
            parameter.normal_()
    return nade, torch.randn(3, 5, dtype=torch.float64)


def probabilities(nade, features):
    """(3, 16) of every chord at each step."""
    logits = nade.logits(features)[:, None].expand(-1, len(EVERY), -1)
    return nade.log_prob(EVERY.expand(3, -1, -1), logits).exp()


def test_the_probabilities_of_all_chords_sum_to_one_and_differ_from_independent_keys():
    nade, features = made()
    p = probabilities(nade, features)
    assert torch.allclose(p.sum(1), torch.ones(3, dtype=torch.float64), rtol=0, atol=1e-12)
    marginal = p @ EVERY  # (3, V)
    both = p @ (EVERY[:, 0] * EVERY[:, 3])
    assert ((both - marginal[:, 0] * marginal[:, 3]).abs() > 1e-3).any()


def test_a_key_depends_on_those_below_it_alone():
    """The textbook's sum, key by key."""
    nade, features = made()
    logits = nade.logits(features)
    b, c = logits[:, :V], logits[:, V:]
    x = torch.tensor([1.0, 0.0, 1.0, 1.0], dtype=torch.float64)
    wanted = torch.zeros(3, dtype=torch.float64)
    for v in range(V):
        on = torch.sigmoid(b[:, v] + torch.sigmoid(c + x[:v] @ nade.reading[:v]) @ nade.writing[v])
        wanted = wanted + torch.log(on if x[v] else 1 - on)
    assert torch.allclose(nade.log_prob(x.expand(3, -1), logits), wanted, rtol=0, atol=1e-12)


def test_chords_are_drawn_as_they_are_scored():
    nade, features = made()
    count = 40_000
    with torch.no_grad():
        p = probabilities(nade, features)[0]
        logits = nade.logits(features)[0].expand(count, -1)
        drawn = nade.draw(logits, 1.0, False, torch.Generator().manual_seed(1))
    places = (drawn.double() @ (2.0 ** torch.arange(V - 1, -1, -1, dtype=torch.float64))).long()
    often = torch.bincount(places, minlength=2**V) / count
    assert ((often - p).abs() <= 5 * (p * (1 - p) / count).sqrt() + 1e-4).all()


def test_the_mode_takes_each_likelier_value():
    nade, features = made()
    logits = nade.logits(features)
    found = nade.draw(logits, 1.0, True, None)
    assert torch.equal(found.repeat(50, 1), nade.draw(logits.repeat(50, 1), 0.0, False, None))
    even = torch.zeros(2, V)  # neither value of a key is likelier
    assert torch.equal(Emission(FACTS, 5, 1.0).draw(even, 0.0, False, None), even)
    for step, chord in enumerate(found):
        for v in range(V):
            other = chord.clone()
            other[v] = 1 - other[v]
            kept, changed = (
                probabilities(nade, features)[step][(EVERY[:, : v + 1] == one[: v + 1]).all(1)].sum()
                for one in (chord, other)
            )
            assert kept > changed


@pytest.mark.parametrize("name", BLOCKS)
def test_models_of_music_take_it_and_models_of_text_do_not(name):
    block = {"class": name} | SMALL | BLOCKS[name]
    torch.manual_seed(0)
    model = build(block, FACTS)
    assert isinstance(model.emission, NadeEmission)
    drawn = model.sample(5, generator=torch.Generator().manual_seed(0))
    assert drawn.x.shape[-1] == V and set(drawn.x.unique().tolist()) <= {0.0, 1.0}
    with pytest.raises(Problem, match="keys: independent for one symbol a step, got nade"):
        build(block, Facts("categorical", V, 3, (0, 2, 3, 1)))
