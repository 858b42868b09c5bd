"""ROUGE-L as the evaluation of COCO computes it (beta 1.2), by pycocoevalcap."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from seqflows.errors import Problem


def scores(hypotheses: Sequence[Sequence[str]], references: Sequence[Sequence[str]]) -> np.ndarray:
    """ROUGE-L of each text against its reference, (N,) from 0 to 1, in lower case; 0 for an empty text.

    (1 + beta^2) P R / (R + beta^2 P), with P and R the longest common subsequence over the words of the text and of
    the reference.
    """
    try:
        from pycocoevalcap.rouge.rouge import Rouge
    except ImportError:
        raise Problem("expected the package pycocoevalcap for ROUGE-L, found none; install it") from None
    rouge, known = Rouge(), dict[tuple[str, str], float]()
    found = np.zeros(len(hypotheses))
    for place, words in enumerate(zip(hypotheses, references, strict=True)):
        pair = hypothesis, reference = tuple(" ".join(text).lower() for text in words)
        if pair not in known:
            known[pair] = float(rouge.calc_score([hypothesis], [reference])) if hypothesis and reference else 0.0
        found[place] = known[pair]
    return found
