r"""Language Flow and Language Flow+: x^ = f^-1(f(x) + z_0), z_0 ~ N(0, variance I) (Tang et al. 2021, eq. (22)-(23)).

x are the word vectors alone, as in eq. (22): what inverts left to right is given the vectors of the words before,
without the noise u of training, eq. (7). The decoder of Language Flow+ was trained with f(x + u), and is given that,
with u of its own for each candidate.

Legend: N texts, n candidates of each, T time (fixed), D dimensions of a word vector.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from seqflows.data import tokens
from seqflows.errors import Problem
from seqflows.models.flow_decoder import FlowDecoder
from seqflows.models.language_flow import LanguageFlow
from seqflows.rewriting.base import Generator

HYPOTHESES = 640  # at once


class Flow(Generator):
    """Candidates by a model of language, each of noise of its own: by the inverse of a causal flow, or by its decoder.

    They are searched left to right with ``beam`` hypotheses. With ``variance`` 0 they are the reconstruction of
    their text. The noise is drawn from torch's own stream.

    Raises:
        Problem: a model that does not write left to right.
    """

    def __init__(self, model: LanguageFlow, vocabulary: Sequence[str], variance: float, beam: int) -> None:
        super().__init__()
        if not model.causal:
            raise Problem(
                "expected a run of the causal flow (structure: past) or of flow_decoder to rewrite texts, got a flow "
                "that decodes all steps at once; name another run in params.yaml"
            )
        self.model, self.vocabulary, self.variance, self.beam = model, vocabulary, variance, beam
        self.longest = model.length - 2

    @torch.no_grad()
    def candidates(self, texts: Sequence[str], count: int) -> list[list[str]]:
        """Texts of N words' latents with noise."""
        cut = [tokens.tokenize(text) for text in texts]
        ids = torch.from_numpy(tokens.encode(cut, self.vocabulary, self.model.length)).long()
        rows: list[list[int]] = []
        for part in ids.split(max(1, HYPOTHESES // (count * self.beam))):
            part = part.to(self.model.vectors.device)
            if isinstance(self.model, FlowDecoder):
                eps = self.model.encode(part.repeat_interleave(count, 0))
            else:
                eps = self.model.encode(part, noise=False).repeat_interleave(count, 0)
            z_0 = torch.randn_like(eps) if self.variance else torch.zeros_like(eps)
            rows += self.model.decode(eps + self.variance**0.5 * z_0, self.beam).tolist()
        written = [tokens.decode(row, self.vocabulary).split() for row in rows]
        return [
            [self.joined(one, text) for one in written[place * count : (place + 1) * count]]
            for place, text in enumerate(cut)
        ]


def check(model: LanguageFlow, generator: str) -> None:
    """Raise `Problem` unless the model is of the class that a generator is of."""
    if isinstance(model, FlowDecoder) != (generator == "flow_decoder"):
        wanted = "flow_decoder" if generator == "flow_decoder" else "language_flow with structure: past"
        raise Problem(f"expected a run of {wanted} for generator: {generator}, got another; correct params.yaml")
