r"""A pretrained encoder of raw text that answers by a span: BERT with a linear layer for its first and last piece.

Devlin et al. 2019, section 4.2. A context longer than a window is read in several, which overlap. In training each
window is an example, whose answer is its first piece if it does not hold the whole answer. The answer is the best span
within any window.

Legend: B batch, W windows of a batch, n pieces of the longest, S pieces of all windows.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any, NamedTuple

import torch
from torch import Tensor

from seqflows.config.models import BertSpan as Config
from seqflows.data.batching import Batch, Lined
from seqflows.data.lines import JOIN
from seqflows.data.prepared import Facts
from seqflows.errors import Problem, shown
from seqflows.flows import wide
from seqflows.models import pretrained
from seqflows.models.base import Terms, check_emission
from seqflows.models.spans import Reader, best, places

HEAD = "qa_outputs."  # the weights that no pretrained encoder has


class Windows(NamedTuple):
    """The windows of a batch: what the encoder reads, and where its pieces are in the contexts' texts.

    ``inputs`` are its arguments, (W, n) each; ``of`` (W,) the context of each window; ``spans`` (W, n, 2) the first
    character of each piece and the one after its last; ``inside`` (W, n) bool, whether a piece is of the context.
    """

    inputs: dict[str, Tensor]
    of: Tensor
    spans: Tensor
    inside: Tensor


class BertSpan(Reader):
    """Reads the raw text of questions and contexts; see the module.

    The weights are random until `initialise`, which reads the pretrained ones; then only the tokenizer needs files.

    Raises:
        Problem: data of another kind, without the package transformers, or an encoder of other sizes.
    """

    def __init__(self, config: Config, facts: Facts) -> None:
        super().__init__()
        check_emission(facts, ("span",), "bert_span")
        self.config, self.longest = config, config.longest
        transformers = _transformers()
        rates = {"hidden_dropout_prob": config.dropout, "attention_probs_dropout_prob": config.dropout}
        shape = transformers.BertConfig(
            vocab_size=config.vocabulary, hidden_size=config.width, num_hidden_layers=config.depth,
            num_attention_heads=config.heads, intermediate_size=config.inner, max_position_embeddings=config.positions,
            **rates,
        )  # fmt: skip
        self.bert = transformers.AutoModelForQuestionAnswering.from_config(shape)

    @cached_property
    def tokenizer(self) -> Any:
        """The encoder's tokenizer."""
        folder = pretrained.found(self.config.model, self.config.revision)
        try:
            return _transformers().AutoTokenizer.from_pretrained(folder, local_files_only=True)
        except (OSError, ValueError) as error:
            raise Problem(f"expected a tokenizer in {folder}, got {shown(error)}; {pretrained.REMEDY}") from None

    def initialise(self, batch: Batch) -> None:
        """Read the pretrained weights; those of the first and last piece stay as they are."""
        folder = pretrained.found(self.config.model, self.config.revision)
        try:
            made, loading = _transformers().AutoModelForQuestionAnswering.from_pretrained(
                folder, local_files_only=True, use_safetensors=True, dtype=torch.float32, output_loading_info=True
            )
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            raise Problem(f"expected an encoder in {folder}, got {shown(error)}; {pretrained.REMEDY}") from None
        if missing := sorted(name for name in loading["missing_keys"] if not name.startswith(HEAD)):
            raise Problem(f"expected every weight of the encoder in {folder}, got none for {missing[0]}")
        kept = {name: value for name, value in made.state_dict().items() if not name.startswith(HEAD)}
        own = self.bert.state_dict()
        for name in sorted(own.keys() | kept.keys()):
            wanted, got = own.get(name), kept.get(name)
            if not name.startswith(HEAD) and (wanted is None or got is None or wanted.shape != got.shape):
                sizes = [None if one is None else tuple(one.shape) for one in (wanted, got)]
                raise Problem(
                    f"expected {name} of the shape {sizes[0]}, as the model's block says, in {folder}, got {sizes[1]}; "
                    "correct its sizes in params.yaml"
                )
        self.bert.load_state_dict({**own, **kept})

    def windows(self, given: Lined) -> Windows:
        """The windows of a batch's questions with their contexts, on the device of the model."""
        texts = [JOIN.join(lines) for lines in given.texts]
        found = self.tokenizer(
            list(given.questions), texts, truncation="only_second", max_length=self.config.pieces,
            stride=self.config.stride, return_overflowing_tokens=True, return_offsets_mapping=True, padding=True,
            return_tensors="pt",
        )  # fmt: skip
        device = self.bert.device
        inside = [[one == 1 for one in found.sequence_ids(row)] for row in range(len(found["input_ids"]))]
        names = ("input_ids", "token_type_ids", "attention_mask")
        return Windows(
            {name: found[name].to(device) for name in names if name in found},
            found["overflow_to_sample_mapping"].to(device), found["offset_mapping"].to(device),
            torch.tensor(inside, device=device),
        )  # fmt: skip

    def heads(self, windows: Windows) -> tuple[Tensor, Tensor]:
        """The logits of each piece as the first and as the last one, (W, n) each, of whole windows."""
        found = self.bert(**windows.inputs)
        start, end = (wide(one) for one in (found.start_logits, found.end_logits))
        return start, end

    def targets(self, batch: Batch, windows: Windows) -> tuple[Tensor, Tensor]:
        """Whether each piece is the answer's first, and whether it is its last one, (W, n) bool each.

        A piece of several windows is so in each.
        """
        rows = torch.arange(len(batch.x), device=batch.x.device)
        first, last = places(batch).unbind(1)
        start, end = batch.given.characters[rows, first, 0], batch.given.characters[rows, last, 1]
        begins, ends = windows.spans.unbind(-1)
        after = windows.inside & (ends > start[windows.of, None])
        before = windows.inside & (begins < end[windows.of, None])
        far = torch.iinfo(begins.dtype)
        count = len(batch.x)
        least = begins.new_full((count,), far.max).scatter_reduce(
            0, windows.of, begins.masked_fill(~after, far.max).amin(1), "amin"
        )
        most = ends.new_full((count,), far.min).scatter_reduce(
            0, windows.of, ends.masked_fill(~before, far.min).amax(1), "amax"
        )
        return after & (begins == least[windows.of, None]), before & (ends == most[windows.of, None])

    def objective(self, batch: Batch, samples: int) -> Terms:
        """``start`` and ``end``, the mean cross entropies over each question's windows, (B,) each, nats."""
        windows = self.windows(batch.given)
        marks, logits = self.targets(batch, windows), self.heads(windows)
        held = marks[0].any(1) & marks[1].any(1)
        count = torch.bincount(windows.of, minlength=len(batch.x))
        terms = {}
        for name, mark, found in zip(("start", "end"), marks, logits, strict=True):
            place = torch.where(held, mark.int().argmax(1), 0)
            padded = found.masked_fill(windows.inputs["attention_mask"] == 0, -torch.inf)
            loss = -padded.log_softmax(1).gather(1, place[:, None])[:, 0]
            terms[name] = loss.new_zeros(len(count)).index_add(0, windows.of, loss) / count
        return terms

    def log_prob(self, batch: Batch) -> Tensor:
        """log p(answer | context, question), (B,), nats: one softmax over the context's pieces of all windows."""
        windows = self.windows(batch.given)
        found, count = zip(self.targets(batch, windows), self.heads(windows), strict=True), len(batch.x)
        return sum(
            self._pooled(logits, mark, windows, count) - self._pooled(logits, windows.inside, windows, count)
            for mark, logits in found
        )

    @staticmethod
    def _pooled(logits: Tensor, mask: Tensor, windows: Windows, count: int) -> Tensor:
        """The log of the summed exponentials of the masked logits of each context's windows, (B,)."""
        found = logits.masked_fill(~mask, -torch.inf).logsumexp(1)
        return torch.stack([found[windows.of == row].logsumexp(0) for row in range(count)])

    @torch.no_grad()
    def answer(self, given: Lined) -> list[str]:
        """The text of the best span in any window of each context."""
        windows = self.windows(given)
        start, end = (found.masked_fill(~windows.inside, -torch.inf) for found in self.heads(windows))
        spans, totals = best(start, end, self.longest)
        texts = []
        for row, lines in enumerate(given.texts):
            own = (windows.of == row).nonzero()[:, 0]
            window = own[totals[own].argmax()]
            first, last = spans[window].tolist()
            begin, after = int(windows.spans[window, first, 0]), int(windows.spans[window, last, 1])
            texts.append(JOIN.join(lines)[begin:after])
        return texts


def _transformers() -> Any:
    try:
        import transformers
    except ImportError as error:
        raise Problem(f"expected the package transformers, got {error}; pip install transformers") from None
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    return transformers
