"""A pretrained encoder, from a package, a folder or the hub, with its tokenizer.

Legend: B windows of a batch, n pieces of the longest, F numbers of a piece's state.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from seqflows.compute import Machine
from seqflows.config.features import Encoder, Tiny
from seqflows.errors import Problem, shown
from seqflows.features import tiny
from seqflows.models.pretrained import MODEL, REMEDY, TOKENIZER, digests, found

POOLER = "pooler."  # weights that the states of the layers do not depend on


@dataclass(frozen=True)
class Opened:
    """An encoder ready for use: the sum of some ``layers`` of ``model`` is a piece's state.

    ``model_files`` and ``tokenizer_files`` are the sha256 of its files by name.
    """

    model: Any
    tokenizer: Any
    layers: tuple[int, ...]
    device: torch.device
    model_files: dict[str, str]
    tokenizer_files: dict[str, str]

    @property
    def longest(self) -> int:
        """The most pieces of a window, with the special ones."""
        return min(self.model.config.max_position_embeddings, self.tokenizer.model_max_length)

    @property
    def width(self) -> int:
        """F."""
        return int(self.model.config.hidden_size)

    def states(self, ids: Sequence[np.ndarray]) -> np.ndarray:
        """(B, n, F) float32, the states of some windows' pieces, padded at the end."""
        lengths = torch.tensor([len(one) for one in ids])
        mask = torch.arange(int(lengths.max())) < lengths[:, None]
        padded = torch.full(mask.shape, self.tokenizer.pad_token_id or 0)
        padded[mask] = torch.from_numpy(np.concatenate(ids))
        with torch.inference_mode():
            found = self.model(
                input_ids=padded.to(self.device),
                attention_mask=mask.long().to(self.device),
                output_hidden_states=True,
            ).hidden_states
            return sum(found[layer] for layer in self.layers).float().cpu().numpy()


@contextlib.contextmanager
def opened(block: Encoder | Tiny, words: Sequence[str], machine: Machine) -> Iterator[Opened]:
    """The encoder of a block; one of random weights knows the ``words``.

    Raises:
        Problem: an encoder that is not there or is incomplete, other files than the block pins, or too few layers.
    """
    try:
        import transformers
    except ImportError as error:
        raise Problem(f"expected the package transformers, got {error}; pip install transformers") from None
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    with contextlib.ExitStack() as stack:
        if isinstance(block, Tiny):
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            tiny.write(folder, words, block)
        else:
            folder = found(block.model, block.revision)
        yield _loaded(folder, block, machine)


def _loaded(folder: Path, block: Encoder | Tiny, machine: Machine) -> Opened:
    """The encoder of a folder, with no missing weights, of the files that the block pins."""
    from safetensors import SafetensorError
    from transformers import AutoModel, AutoTokenizer

    model_files, tokenizer_files = (digests(folder, names) for names in (MODEL, TOKENIZER))
    if model_files.keys() != {*MODEL} or not tokenizer_files.keys() & {"tokenizer.json", "vocab.txt"}:
        there = ", ".join([*model_files, *tokenizer_files]) or ("none of them" if folder.is_dir() else "no such folder")
        raise Problem(f"expected {', '.join(MODEL)} and tokenizer.json in {folder}, got {there}; {REMEDY}")
    pinned = block.sha256 if isinstance(block, Encoder) and block.sha256 else {}
    for name, wanted in pinned.items():
        if (got := {**model_files, **tokenizer_files}.get(name, "none")) != wanted:
            raise Problem(f"expected {folder / name} with sha256 {wanted}, got {got}; correct params.yaml or the file")
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        model, loading = AutoModel.from_pretrained(
            folder, local_files_only=True, use_safetensors=True, dtype=torch.float32, output_loading_info=True
        )
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
        raise Problem(f"expected an encoder of transformers in {folder}, got {shown(error)}; {REMEDY}") from None
    if missing := sorted(name for name in loading["missing_keys"] if not name.startswith(POOLER)):
        raise Problem(f"expected every weight of the encoder in {folder}, got none for {missing[0]}; {REMEDY}")
    if not tokenizer.is_fast:
        raise Problem(f"expected a fast tokenizer in {folder}, which knows the words of pieces, got another; {REMEDY}")
    depth = int(model.config.num_hidden_layers)
    if min(block.layers) < -depth - 1:
        raise Problem(
            f"expected layers from {-depth - 1}, the embeddings, to -1, which the encoder in {folder} has, "
            f"got {min(block.layers)}; change layers in params.yaml"
        )
    return Opened(
        model.to(machine.device).eval(), tokenizer, block.layers, machine.device, model_files, tokenizer_files
    )
