"""A small BERT with random weights, written to a folder as a pretrained one is: for the demo and the tests."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import torch
from safetensors.torch import save

from seqflows import files
from seqflows.config.features import Tiny

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
HEADS = 2


def write(folder: Path, words: Iterable[str], block: Tiny) -> None:
    """Write the encoder of a block: config.json, model.safetensors, and a tokenizer of some ``words``.

    Its pieces are the words and all their characters, so that other words of these are spelt in pieces.
    """
    from transformers import BertConfig, BertModel, BertTokenizer

    listed = list(words)
    letters = sorted({letter for word in listed for letter in word})
    pieces = dict.fromkeys([*SPECIAL, *listed, *letters, *(f"##{letter}" for letter in letters)])
    tokenizer = BertTokenizer(
        vocab={piece: place for place, piece in enumerate(pieces)}, model_max_length=block.positions
    )
    config = BertConfig(
        vocab_size=len(pieces), hidden_size=block.width, num_hidden_layers=block.depth, num_attention_heads=HEADS,
        intermediate_size=2 * block.width, max_position_embeddings=block.positions,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(block.seed)
        weights = BertModel(config).state_dict()
    files.write_bytes(folder / "model.safetensors", save(weights, {"format": "pt"}))
    config.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
