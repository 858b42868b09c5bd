"""Candidates by a sequence-to-sequence model of transformers, from a folder or the hub."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from seqflows import files
from seqflows.config.features import FOLDER
from seqflows.config.rewrites import Paraphrase
from seqflows.errors import Problem, shown
from seqflows.rewriting.base import Generator

BATCH = 16  # texts at once
FILES = ("config.json", "model.safetensors", "generation_config.json", "tokenizer.json", "spiece.model")


class Named(Generator):
    """The ``count`` best hypotheses of a named model for a prefix and the text, by its own beam search.

    ``files`` are the sha256 of its files by name, for the record. A text of more than ``longest`` pieces stays as it
    is.

    Raises:
        Problem: no package transformers, or no such model.
    """

    def __init__(self, settings: Paraphrase, device: torch.device) -> None:
        super().__init__()
        self.settings, self.device = settings, device
        folder = _folder(settings)
        try:
            from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

            self.tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
            self.model = AutoModelForSeq2SeqLM.from_pretrained(folder, local_files_only=True, dtype=torch.float32)
        except (OSError, ValueError, KeyError, TypeError, RuntimeError, ImportError) as error:
            raise Problem(
                f"expected a sequence-to-sequence model of transformers in {folder}, got {shown(error)}; correct model "
                "in params.yaml, or put the files of another there"
            ) from None
        self.model.to(device).eval()
        self.files = {name: files.sha256(folder / name) for name in FILES if (folder / name).is_file()}

    @torch.inference_mode()
    def candidates(self, texts: Sequence[str], count: int) -> list[list[str]]:
        """Texts of the model's own search, best first."""
        found: list[list[str]] = []
        for start in range(0, len(texts), BATCH):
            found += self._written(texts[start : start + BATCH], count)
        return found

    def _written(self, texts: Sequence[str], count: int) -> list[list[str]]:
        """Those of texts within the limit; a longer one, which the model may have no positions for, stays as it is."""
        settings = self.settings
        sizes = [len(self.tokenizer(settings.prefix + text)["input_ids"]) for text in texts]
        short = [text for text, size in zip(texts, sizes, strict=True) if size <= settings.longest]
        made = iter(self._generated(short, count) if short else [])
        return [
            next(made) if size <= settings.longest else self.kept(text, count)
            for text, size in zip(texts, sizes, strict=True)
        ]

    def _generated(self, texts: Sequence[str], count: int) -> list[list[str]]:
        settings = self.settings
        asked = self.tokenizer([settings.prefix + text for text in texts], padding=True, return_tensors="pt")
        written = self.model.generate(
            **asked.to(self.device), num_beams=max(settings.beam, count), num_return_sequences=count,
            max_new_tokens=settings.longest, do_sample=False,
        )  # fmt: skip
        rows = self.tokenizer.batch_decode(written, skip_special_tokens=True)
        return [rows[place * count : (place + 1) * count] for place in range(len(texts))]


def _folder(settings: Paraphrase) -> Path:
    """The folder of a model's files; those of a name of the hub are downloaded unless they are in its cache."""
    assert settings.model is not None
    if settings.model.startswith(FOLDER):
        return Path(settings.model).expanduser()
    try:
        from huggingface_hub import snapshot_download

        return Path(snapshot_download(settings.model, revision=settings.revision))
    except Exception as error:  # requests, the hub and the file system raise different classes
        raise Problem(
            f"expected the model {settings.model} at {settings.revision} of the hub, got {shown(error)}; connect to "
            "the network, or put its files into a folder and name it as ./<path> for model in params.yaml"
        ) from None
