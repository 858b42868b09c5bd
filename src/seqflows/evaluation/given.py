"""Likelihoods of texts given their contexts.

Legend: N sequences, K importance samples.
"""

from __future__ import annotations

import numpy as np
import torch

from seqflows.compute import Machine, own_noise
from seqflows.data.batching import collate, order_by_length
from seqflows.data.prepared import Split
from seqflows.errors import Problem
from seqflows.evaluation.likelihood import BATCH, importance_nll
from seqflows.models import Model


@torch.no_grad()
def likelihoods(
    model: Model, split: Split, samples: int, machine: Machine, seed: int
) -> tuple[np.ndarray, np.ndarray | None]:
    """-log p(y | x) of each text, (N,), nats, and bits per dimension of its context under the model's flow, if any.

    Raises:
        Problem: a likelihood, or a density of a context, that is not finite.
    """
    nll, bits, flow = np.zeros(len(split)), np.zeros(len(split)), False
    with own_noise(machine.device, seed):
        for indices in order_by_length(split, BATCH):
            batch = collate(split, indices).to(machine.device)
            with machine.autocast():
                if model.exact:
                    found = -model.log_prob(batch)
                else:
                    found = importance_nll(model.log_weights(batch, samples), samples)
                density = model.context_bits(batch.given)
            nll[indices] = found.double().cpu().numpy()
            if density is not None:
                flow = True
                bits[indices] = density.double().cpu().numpy()
    for what, values in (("likelihood of every test sequence", nll), ("density of every context", bits)):
        if not np.isfinite(values).all():
            place = int(np.flatnonzero(~np.isfinite(values))[0])
            raise Problem(f"expected a finite {what}, got {values[place]} for sequence {place}")
    return nll, bits if flow else None
