"""What keeps a state-space model from the words of a small source: its bound, its transition or its optimiser.

The words are those of a random hidden Markov chain of four states over two letters, all up to four letters, so that
every loss is a sum over 31 words and the least of it, the entropy, is known. The state has one dimension, so that its
likelihood is a sum over a grid too: the same model is trained on that exact likelihood, on the evidence lower bound and
on the bounds of five passes, and stands beside hidden Markov models. Prints what each lies above the entropy, in nats
a word; a number after the name of the file is that of the steps.
"""

import itertools
import sys

import torch

from seqflows.data.batching import Batch
from seqflows.data.prepared import Facts
from seqflows.flows import standard_normal_log_density
from seqflows.models import build

LONGEST, END = 4, 2
WORDS = ["".join(letters) for size in range(LONGEST + 1) for letters in itertools.product("ab", repeat=size)]
FACTS = Facts("categorical", 3, LONGEST + 1, (0, *[1] * (LONGEST + 1)))
LENGTHS = torch.tensor([len(word) + 1 for word in WORDS])
X = torch.tensor([["ab".index(letter) for letter in word] + [END] + [0] * (LONGEST - len(word)) for word in WORDS])
BATCH = Batch(X, LENGTHS, torch.arange(len(WORDS)))
GRID = torch.linspace(-8, 8, 161)[:, None]
STEPS = int(sys.argv[1]) if len(sys.argv) > 1 else 800


def forward(first: torch.Tensor, onwards: torch.Tensor, symbols: torch.Tensor) -> torch.Tensor:
    """log P of every word, (W,), from p(h_1) (S,), p(h_t | h_{t-1}) (S, S) and P(w_t | h_t) (S, V)."""
    alpha = first * symbols.T[X[:, 0]]
    found = [alpha.sum(1)]
    for t in range(1, LONGEST + 1):
        alpha = (alpha @ onwards) * symbols.T[X[:, t]]
        found.append(alpha.sum(1))
    return torch.stack(found, 1).gather(1, LENGTHS[:, None] - 1)[:, 0].log()


def source(seed: int) -> torch.Tensor:
    """P of every word, (W,): a chain's, with what is longer left out."""
    drawn = torch.Generator().manual_seed(seed)
    rows = [torch.rand(shape, generator=drawn).pow(4) + 1e-3 for shape in ((4,), (4, 4), (4, 3))]
    p = forward(*(row / row.sum(-1, keepdim=True) for row in rows)).exp()
    return p / p.sum()


def exact(model: torch.nn.Module) -> torch.Tensor:
    """log P of every word, (W,), of a state-space model with a state of one dimension, by the trapezium rule."""
    width = float(GRID[1] - GRID[0])

    def density(before: torch.Tensor) -> torch.Tensor:
        pairs = before[:, None].expand(-1, len(GRID), -1).reshape(-1, 1)
        noise, log_det = model.generative.forward(GRID.repeat(len(before), 1), pairs)
        return (standard_normal_log_density(noise).sum(-1) + log_det).view(len(before), -1).exp() * width

    return forward(density(model.start[None])[0], density(GRID), model.to_symbols(GRID).softmax(-1))


def trained(p: torch.Tensor, bound: str, seed: int) -> float:
    """What a state-space model trained on a bound lies above the entropy, by its exact likelihood."""
    torch.manual_seed(seed)
    model = build({"class": "state_space", "state": 1, "embedding": 4, "units": 16, "width": 32}, FACTS)
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    rates = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
    for _step in range(STEPS):
        optimizer.zero_grad()
        loss = -exact(model) if bound == "exact" else sum(getattr(model, bound)(BATCH, 5).values())
        (p * loss).sum().backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 10.0)
        optimizer.step()
        rates.step()
    with torch.no_grad():
        return float((p * (p.log() - exact(model))).sum())


def markov(p: torch.Tensor, states: int, seed: int) -> float:
    """The same of a hidden Markov model by expectation maximisation, the best of five starts."""
    found = []
    for start in range(5):
        torch.manual_seed(10 * seed + start)
        model = build({"class": "hidden_markov", "states": states}, FACTS)
        for _step in range(STEPS // 3):
            model.zero_grad()
            (p * model.objective(BATCH, 1)["nll"]).sum().backward()
            with torch.no_grad():  # minus the gradient is the expected counts
                for table in model.parameters():
                    table.copy_((1e-9 - table.grad).log().log_softmax(-1))
        with torch.no_grad():
            found.append(float((p * (p.log() - model.log_prob(BATCH))).sum()))
    return min(found)


for number in range(3):
    words = source(number)
    print(f"source {number}: entropy {float(-(words * words.log()).sum()):.3f} nats a word")
    for name in ("exact", "objective", "weighted_objective", "filtered_objective"):
        print(f"  state-space model, one dimension, {name}: {trained(words, name, number):.4f}", flush=True)
    for count in (1, 2, 3, 4):
        print(f"  hidden Markov model, {count} states: {markov(words, count, number):.4f}", flush=True)
