"""The training of one seed; it can stop after any step and resume from a checkpoint.

B sequences of a batch, K posterior samples. Of text, music and vectors, losses of the history are
sums over sequences divided by sums of (T + 1), and the step's own loss is the mean over sequences of
(sum of weighted terms) / (T + 1). Of all other kinds (`kinds.Kind.loss_per_symbol`) both are per
sequence: a word, a text, an answer or a choice. Terms are in nats, those of language in bits per dimension.
"""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from seqflows import compute, kinds
from seqflows.compute import Machine, own_noise
from seqflows.config.training import BOUNDS, Training
from seqflows.data.batching import Batch, collate, order, order_by_length, order_by_symbols, transposed
from seqflows.data.filtered import Augmentation
from seqflows.data.lines import Replacement
from seqflows.data.prepared import Dataset
from seqflows.errors import Interrupted, Problem
from seqflows.models.base import Terms
from seqflows.models.search import written
from seqflows.textscores import answers, bleu
from seqflows.training import checkpoint, optimise
from seqflows.training.progress import Progress
from seqflows.training.schedules import Plateau, cosine, kl_weight, warm
from seqflows.training.stopping import Stop

SAVE_SECONDS = 60.0  # between checkpoints inside an epoch
EPOCH_SECONDS = 5.0  # between checkpoints at the ends of epochs
VALIDATION_STEPS = 16384  # the largest padded size (sequences x time x samples) of a validation batch
STATE = ("epoch", "position", "steps", "seconds", "wall", "names", "seen", "history")  # attributes in a checkpoint
VALIDATION_TEXTS = 128  # written at once
FULL_BATCH = 8192  # words at once of a step with all counts, 0.7 GB with 512 states
WINDOW = 20  # steps whose losses are checked together on a GPU, since each check waits for it


class Trainer:
    """Trains ``model`` on ``dataset`` for one ``seed``, with checkpoints in ``folder``.

    With ``augmented`` contexts each training question has one of them, kept by this seed, in place of its own with
    probability ``settings.replace`` (Tang et al. 2021, appendix A.8); weights, order and steps are as without them.
    With ``settings.half`` an epoch is a pass over that half of the training sequences; validation stays whole.
    With ``settings.full_steps`` the epochs are followed by others of one step each, expectation maximisation itself:
    with the counts of all training sequences at rate 1, until a step gains less than ``full_gain``. The training loss
    of such a row is exact, and that before its step.
    """

    def __init__(
        self, model: nn.Module, dataset: Dataset, settings: Training, seed: int, machine: Machine, folder: Path,
        augmented: Augmentation | None = None,
    ) -> None:  # fmt: skip
        self.model, self.dataset, self.settings = model, dataset, settings
        self.seed, self.machine, self.folder, self.augmented = seed, machine, folder, augmented
        self.kind = kinds.of(dataset.kind)
        self.some = None if settings.half is None else dataset.train.contexts.half(settings.half)
        self.plateau = Plateau(settings.learning_rate)
        self.optimizer = optimise.make(model, settings)
        self.best: dict[str, Tensor] = {}
        self.recent: list[dict[str, Tensor]] = []  # parameters at the ends of the epochs before that `average` counts
        self.history: list[dict[str, Any]] = []
        self.epoch = self.position = self.steps = 0  # epochs done, steps done in this one, steps in all
        self.seconds = self.wall = 0.0  # in this epoch, in all
        self.names: list[str] = []
        self.sums: Tensor | None = None  # float64: the weighted loss, then every term
        self.seen = [0, 0]  # symbols, sequences of this epoch
        self._pending: list[tuple[int, list[np.ndarray], Tensor]] = []
        self._validation: list[Batch] | None = None
        self._saved = time.monotonic()

    # -- checkpoints

    def save(self) -> None:
        """Write a checkpoint of the state between two steps."""
        self._look()
        state = {name: getattr(self, name) for name in ("seed", *STATE)}
        state |= {"plateau": self.plateau.state(), "random": checkpoint.random_state()}
        state["sums"] = None if self.sums is None else self.sums.tolist()
        tensors = {f"model/{name}": value for name, value in self.model.state_dict().items()}
        tensors |= {f"optimizer/{name}": value for name, value in self.optimizer.tensors().items()}
        tensors |= {f"best/{name}": value for name, value in self.best.items()}
        for place, weights in enumerate(self.recent):
            tensors |= {f"recent-{place}/{name}": value for name, value in weights.items()}
        checkpoint.write(self.folder, state, tensors)
        compute.give_back()
        self._saved = time.monotonic()

    def resume(self) -> bool:
        """Resume from the folder's checkpoint, if there is one."""
        found = checkpoint.read(self.folder)
        if found is None:
            return False
        state, tensors = found
        parts: dict[str, dict[str, Tensor]] = {"model": {}, "optimizer": {}, "best": {}}
        for name, value in tensors.items():
            part, rest = name.split("/", 1)
            parts.setdefault(part, {})[rest] = value
        self.model.load_state_dict(parts["model"])
        self.optimizer.restore(parts["optimizer"])
        self.best = {name: value.to(self.machine.device) for name, value in parts["best"].items()}
        recent = sorted((part for part in parts if part.startswith("recent-")), key=lambda part: int(part[7:]))
        self.recent = [{name: value.to(self.machine.device) for name, value in parts[part].items()} for part in recent]
        self.plateau = Plateau(**state["plateau"])
        self.optimizer.rate = self.plateau.rate
        for name in STATE:
            setattr(self, name, state[name])
        if state["sums"] is not None:
            self.sums = torch.tensor(state["sums"], dtype=torch.float64, device=self.machine.device)
        checkpoint.set_random_state(state["random"])
        return True

    # -- training

    def run(self, progress: Progress, stop: Stop, on_epoch: Callable[[dict[str, Any]], None]) -> None:
        """Train to the end, calling ``on_epoch`` with each row of the history.

        Raises `Interrupted` after writing a checkpoint when ``stop`` has a reason.
        """
        while not self.finished:
            self._pass(progress, stop)
            row = self._close(stop)
            progress.epoch(row, self.wall / self.epoch)
            on_epoch(row)
            if time.monotonic() - self._saved > EPOCH_SECONDS:
                self.save()
        self.model.load_state_dict(self.best)

    @property
    def full(self) -> bool:
        """Whether the present epoch is a step with all counts."""
        return self.epoch >= self.settings.epochs

    @functools.cached_property
    def _every(self) -> list[np.ndarray]:
        """The batches of a step with all counts, the same for each."""
        return order_by_symbols(self.dataset.train, FULL_BATCH)

    @property
    def finished(self) -> bool:
        """Whether no epoch is left: all are done, the rate has fallen, or a step with all counts gained too little."""
        settings, losses = self.settings, [row["train_loss"] for row in self.history[self.settings.epochs :]]
        converged = len(losses) > 1 and losses[-2] - losses[-1] < settings.full_gain
        return self.epoch >= settings.most_epochs or converged or self.plateau.finished(settings)

    def _halt(self, reason: str) -> None:
        self.save()
        raise Interrupted(
            f"{reason}: stopped in epoch {self.epoch + 1} after {self.position} of its steps; "
            f"the checkpoint is {self.folder / checkpoint.STATE}; the same command goes on from there"
        )

    def _pass(self, progress: Progress, stop: Stop) -> None:
        """Train the remaining steps of this epoch."""
        split, settings = self.dataset.train, self.settings
        if self.full:
            groups = [self._every]
        else:
            batches = order(split, settings.batch_size, self.seed, self.epoch, settings.drawn, self.some)
            groups = optimise.steps(batches, split.lengths, settings)
        self.model.train()
        while self.position < len(groups):
            if reason := stop.reason:
                self._halt(reason)
            started = time.monotonic()
            passed = self.epoch + self.position / len(groups)
            self.optimizer.rate = self._rate(passed, self.steps)
            self.model.free = passed < settings.kl_free_epochs
            before = self.epoch + (self.position - 1) / len(groups)
            begins = not self.model.free and self.steps > 0 and before < settings.kl_free_epochs
            self.step(groups[self.position], self._kl_weight(passed), begins)
            self.position += 1
            if len(self._pending) >= (WINDOW if self.machine.cuda else 1):
                self._look()
            self._spend(started)
            progress.step(self.epoch, self.position, len(groups))
            if time.monotonic() - self._saved > SAVE_SECONDS:
                self.save()

    def _spend(self, started: float) -> None:
        spent = time.monotonic() - started
        self.seconds += spent
        self.wall += spent

    def step(self, group: list[np.ndarray], weight: float, begins: bool = False) -> None:
        """One optimiser step: the gradient of the mean over all sequences of the group's batches.

        Before the first of all steps the model is initialised from its first batch. If this is the first one after the
        epochs without a KL weight (``begins``), the model restarts what it has to and, where it does, the optimiser.
        """
        split, count = self.dataset.train, sum(map(len, group))
        self.optimizer.zero_grad()
        total: Tensor | None = None
        for number, indices in enumerate(group):
            batch = collate(split, indices, self._replaced(indices, number))
            if self.settings.transpose:
                batch = transposed(batch, self.settings.transpose, self.seed, (self.epoch, self.position, number))
            batch = batch.to(self.machine.device)
            if not self.steps and total is None:
                self.model.initialise(batch)
            if begins and total is None and self.model.restart(batch):
                rate, self.optimizer = self.optimizer.rate, optimise.make(self.model, self.settings)
                self.optimizer.rate = rate
            with self.machine.autocast():
                terms = self._objective(batch, self.settings.samples, weight)
            terms = {name: value.float() for name, value in terms.items()}
            if self.full and split.counts is not None:  # of mean 1, so that sums over all are those by frequency
                shares = torch.from_numpy(split.counts[indices] / split.counts.mean()).to(batch.lengths.device)
                terms = {name: value * shares.float() for name, value in terms.items()}
            weighted = sum(weight * value if name == "kl" else value for name, value in terms.items())
            loss = (weighted / self._symbols(batch.lengths)).sum() / count
            if loss.requires_grad:  # not of a model that is made of the data alone
                loss.backward()
            total = loss.detach() if total is None else total + loss.detach()
            self._count(terms, weighted.detach(), int(split.lengths[indices].sum()), len(indices))
        if self.settings.clip:
            for part in self.model.groups():
                norm = nn.utils.clip_grad_norm_(part, self.settings.clip)
                total = total + 0 * norm  # makes the checked loss non-finite if the gradient is
        self._pending.append((self.steps + 1, group, total))
        if not self.machine.cuda:
            self._look()  # before the parameters change
        self.optimizer.step()
        self.steps += 1

    def _replaced(self, indices: np.ndarray, number: int) -> Replacement | None:
        """Other contexts for batch ``number`` of the present step, drawn by epoch and position; None without any."""
        if self.augmented is None:
            return None
        passages, step = self.dataset.train.contexts, (self.epoch, self.position, number)
        return self.augmented.replacement(passages, indices, self.settings.replace, self.seed, step)

    def _rate(self, epochs: float, steps: int) -> float:
        """The learning rate of the step after ``epochs`` passes of ``steps`` steps in all."""
        if self.full:
            return 1.0
        return self.plateau.rate * cosine(epochs, self.settings) * warm(steps, self.settings)

    def _kl_weight(self, epochs: float) -> float:
        """The KL weight after ``epochs`` passes."""
        settings = self.settings
        return kl_weight(epochs, settings.kl_free_epochs, settings.kl_ramp_epochs, settings.kl_floor)

    def _objective(self, batch: Batch, samples: int, weight: float = 1.0) -> Terms:
        """The terms of the loss that training minimises; in the bounds of many samples the KL weight is within."""
        objective = getattr(self.model, BOUNDS[self.settings.bound])
        return objective(batch, samples) if self.settings.bound == "elbo" else objective(batch, samples, weight)

    def _symbols(self, lengths: Tensor) -> Tensor:
        """The divisor of each sequence's loss."""
        return kinds.divisors(lengths, self.kind.loss_per_symbol)

    def _count(self, terms: dict[str, Tensor], weighted: Tensor, symbols: int, sequences: int) -> None:
        values = torch.stack([weighted, *(value.detach() for value in terms.values())]).sum(1, dtype=torch.float64)
        if self.sums is None:
            self.names = list(terms)
            self.sums = values
        else:
            self.sums += values
        self.seen = [self.seen[0] + symbols, self.seen[1] + sequences]

    def _look(self) -> None:
        """Raise `Problem` if an unchecked loss is not finite."""
        pending, self._pending = self._pending, []
        if not pending:
            return
        values = [pending[0][2].item()] if len(pending) == 1 else torch.stack([loss for *_, loss in pending]).tolist()
        for (step, group, _), value in zip(pending, values, strict=True):
            if not math.isfinite(value):
                indices = [int(index) for batch in group for index in batch]
                last = self.folder / checkpoint.STATE
                kept = f"the last good checkpoint is {last}" if last.exists() else "no checkpoint was written yet"
                raise Problem(
                    f"expected a finite loss and gradient, got {value} in epoch {self.epoch + 1}, step {step}, "
                    f"training sequences {indices}; {kept}; lower training.learning_rate or clip, then train again"
                )

    # -- the end of an epoch

    def _close(self, stop: Stop) -> dict[str, Any]:
        """Validate, update the schedules and begin the next epoch. Returns the history's row."""
        self._look()
        settings, started = self.settings, time.monotonic()
        own = self._average()
        valid = self._validate(stop, own)
        scores = {"bleu": self._bleu, "f1": self._f1, "accuracy": self._accuracy}
        score = {f"valid_{settings.keep}": scores[settings.keep]()} if settings.keep in scores else {}
        self._spend(started)
        symbols, sequences = self.seen
        values = (self.sums / (symbols + sequences if self.kind.loss_per_symbol else sequences)).tolist()
        row = {
            "epoch": self.epoch + 1,
            "steps": self.steps,
            # of its last step
            "learning_rate": self._rate(self.epoch + (self.position - 1) / self.position, self.steps - 1),
            "kl_weight": self._kl_weight(self.epoch + 1),
            "train_loss": values[0],
            **{f"train_{name}": value for name, value in zip(self.names, values[1:], strict=True)},
            "valid_loss": sum(valid.values()),
            **{f"valid_{name}": value for name, value in valid.items()},
            **self.model.monitor(),
            **score,
            "seconds": self.seconds,
            "symbols_per_second": symbols / max(self.seconds, 1e-9),
        }
        selects = valid["generation"] if settings.keep == "generation" else row["valid_loss"]
        loss = -next(iter(score.values())) if score else selects
        keep, dropped = self.plateau.update(settings, self.epoch + 1, loss)
        if keep:
            self._keep()
        self._restore(own)
        if dropped:
            self.optimizer.drop(self.plateau.rate)
        self.history.append(row)
        self.epoch, self.position, self.seconds = self.epoch + 1, 0, 0.0
        self.sums, self.seen = None, [0, 0]
        return row

    def _keep(self) -> None:
        state = self.model.state_dict()
        if not self.best:
            self.best = {name: value.detach().clone() for name, value in state.items()}
        for name, value in self.best.items():
            value.copy_(state[name])

    def _average(self) -> dict[str, Tensor]:
        """Give the model the mean of its weights at the ends of the last ``average`` epochs; return its own, a copy.

        Buffers stay, and without averaging everything does and nothing is copied.
        """
        if self.settings.average == 1:
            return {}
        own = {name: value.detach().clone() for name, value in self.model.named_parameters()}
        with torch.no_grad():
            for name, parameter in self.model.named_parameters():
                parameter.copy_(torch.stack([weights[name] for weights in (*self.recent, own)]).mean(0))
        return own

    def _restore(self, own: dict[str, Tensor], ended: bool = True) -> None:
        """Give the model its ``own`` weights again; if the epoch has ended, they count for the next ones' means."""
        if self.settings.average > 1:
            with torch.no_grad():
                for name, parameter in self.model.named_parameters():
                    parameter.copy_(own[name])
            if ended:
                self.recent = [*self.recent, own][1 - self.settings.average :]

    def _validate(self, stop: Stop, own: dict[str, Tensor]) -> dict[str, float]:
        """The terms of the validation split with KL weight 1 and the same noise in every epoch.

        Asked to stop, the model gets its ``own`` weights back first.
        """
        self.model.eval()
        batches = self._validation or (batch.to(self.machine.device) for batch in self._validation_batches())
        if not self.kind.conditional:  # whose features would fill the memory
            batches = self._validation = list(batches)
        totals: dict[str, Any] = {}
        reason = None
        with own_noise(self.machine.device, self.seed), torch.no_grad():
            for batch in batches:
                if reason := stop.reason:
                    break
                for name, value in self._objective(batch, self.settings.validation_samples).items():
                    totals[name] = totals.get(name, 0) + value.sum(dtype=torch.float64)
        if reason:
            self._restore(own, ended=False)
            self._halt(reason)
        count = int(self._symbols(torch.from_numpy(self.dataset.valid.lengths)).sum())
        found = {name: value.item() / count for name, value in totals.items()}
        if not all(map(math.isfinite, found.values())):
            raise Problem(
                f"expected finite validation losses, got {found} after epoch {self.epoch + 1}, step {self.steps}; "
                "lower training.learning_rate or clip, then train again"
            )
        return found

    def _decoded(self) -> np.ndarray:
        """The places of ``decoded`` texts of validation, evenly over all: its first ones are of few articles."""
        length = len(self.dataset.valid)
        return np.linspace(0, length - 1, min(self.settings.decoded, length)).astype(int)

    def _bleu(self) -> float:
        """BLEU-4 of ``decoded`` texts of validation, written greedily, with the same noise in each epoch."""
        split, known, places = self.dataset.valid, self.dataset.vocabulary, self._decoded()
        self.model.eval()
        sums = np.zeros(bleu.COUNTS, dtype=np.int64)
        with own_noise(self.machine.device, self.seed):
            texts = written(self.model, split, places, 1, VALIDATION_TEXTS, self.machine.device)
        for place, text in zip(places, texts, strict=True):
            reference = split.sequence(place)[:-1].tolist()
            sums += bleu.statistics(*([known[word] for word in words] for words in (text, reference)))
        return bleu.bleu(sums)

    def _f1(self) -> float:
        """The mean F1 of the answers to ``decoded`` questions of validation, in percent."""
        split, places, found = self.dataset.valid, self._decoded(), []
        places = places[np.argsort(split.contexts.sizes[places], kind="stable")]
        self.model.eval()
        for start in range(0, len(places), self.kind.validation_batch):
            part = places[start : start + self.kind.validation_batch]
            texts = self.model.answer(collate(split, part).given.to(self.machine.device))
            right = map(split.contexts.answers_of, part)
            found += [answers.f1(text, one) for text, one in zip(texts, right, strict=True)]
        return 100 * float(np.mean(found))

    def _accuracy(self) -> float:
        """The share of validation questions, in percent, whose right answer is the most probable."""
        split, right = self.dataset.valid, 0
        self.model.eval()
        with own_noise(self.machine.device, self.seed):
            for indices in order_by_length(split, self.kind.validation_batch):
                given = collate(split, indices).to(self.machine.device).given
                right += int((self.model.choose(given).log_probs.argmax(-1) == given.correct).sum())
        return 100 * right / len(split)

    def _validation_batches(self) -> Iterator[Batch]:
        split = self.dataset.valid
        for indices in order_by_length(split, self.kind.validation_batch):
            size = int(split.lengths[indices].max()) * self.settings.validation_samples
            width = max(1, VALIDATION_STEPS // size)
            for start in range(0, len(indices), width):
                yield collate(split, indices[start : start + width])
