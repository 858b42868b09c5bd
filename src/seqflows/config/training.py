"""The blocks of training: settings, seeds and device."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from seqflows.config.typed import Block, choice, entry, number, several, whole

MOST_SEED = 2**32 - 1  # torch's generator of the CPU reads no more bits: 0 and 2^32 would be the same model
SHARE = number(above=0, below=1)
# What selects the kept epoch: the loss, its term -log p of the texts alone, BLEU of questions, F1 of answers, or the
# accuracy of choices.
SCORED = ("bleu", "f1", "accuracy")  # of what a model writes or chooses; they do not contain the KL weight
KEEP = ("loss", "generation", *SCORED)


@dataclass(frozen=True, kw_only=True)
class Compute(Block):
    """The device, threads and precision of a scale's stages."""

    device: str = entry(choice("auto", "cpu", "cuda"))
    threads: int = entry(whole(1))
    precision: str = entry(choice("fp32", "bf16"))


@dataclass(frozen=True, kw_only=True)
class Seeds(Block):
    """The seeds of a run, trained one after another."""

    seeds: tuple[int, ...] = entry(several(whole(0, MOST_SEED), "seeds from 0 to 2^32 - 1 that differ", differ=True))


# What is minimised is minus a bound on the log-likelihood by samples: the method of a model that gives it.
BOUNDS = {
    "elbo": "objective",  # the mean of their log-weights
    "importance": "weighted_objective",  # the log of their mean weight
    "filtering": "filtered_objective",  # the same of each step, by a particle filter
}


@dataclass(frozen=True, kw_only=True)
class Training(Block):
    """Training of a model; an epoch is a pass over the training split, or ``drawn`` sequences by frequency."""

    epochs: int = entry(whole(1))
    batch_size: int = entry(whole(1))
    learning_rate: float = entry(number(above=0))
    group_rates: tuple[float, ...] | None = entry(  # of each group of the model's parameters, before schedules
        several(number(above=0), "a list of numbers above 0"), None
    )
    optimizer: str = entry(choice("adam", "sgd", "em"), "adam")  # em: learning_rate is the weight of a step's counts
    beta1: float = entry(number(least=0, below=1), 0.9)  # of Adam
    beta2: float = entry(number(least=0, below=1), 0.999)  # of Adam
    epsilon: float = entry(number(above=0), 1.0e-8)  # of Adam
    momentum: float = entry(number(least=0, below=1), 0.0)  # of SGD
    warmup: int | None = entry(whole(2), None)  # steps in which the rate rises by their logarithm
    rise: int | None = entry(whole(1), None)  # steps of a linear rise of the rate
    inverse_root: int | None = entry(whole(1), None)  # steps of a linear rise; then it falls by the root of the steps
    keep: str = entry(choice(*KEEP), "loss")  # what selects the kept epoch in validation: see KEEP
    average: int = entry(whole(1), 1)  # last epochs, the mean of whose weights is validated and kept
    decoded: int = entry(whole(1), 1000)  # texts of it, evenly over all, written greedily, or answers
    accumulate: int = entry(whole(1), 1)  # batches per step
    clip: float | None = entry(number(above=0), None)  # largest norm of the gradient
    samples: int = entry(whole(1), 1)  # posterior samples per sequence
    bound: str = entry(choice(*BOUNDS), "elbo")
    validation_samples: int = entry(whole(1), 1)
    kl_free_epochs: float = entry(number(least=0), 0)  # epochs with KL weight 0
    kl_ramp_epochs: float = entry(number(least=0), 0)  # epochs in which it rises to 1
    kl_floor: float = entry(number(least=0, below=1), 0.0)  # KL weight in the free epochs
    decay: float = entry(number(above=1), 4.0)  # divisor of the learning rate
    patience: int | None = entry(whole(1), None)  # epochs without a better validation loss before a decay; None: never
    drops: tuple[float, ...] | None = entry(  # shares of the epochs after which it decays, whatever the losses
        several(SHARE, "a list of rising shares of the epochs between 0 and 1"), None
    )
    cosine_from: float | None = entry(number(least=0, below=1), None)  # share after which the rate falls by a cosine
    stop_rate: float | None = entry(number(above=0), None)  # stop once the rate has fallen below
    full_steps: int | None = entry(whole(1), None)  # of em, after the epochs: at most so many with all counts, rate 1
    full_gain: float | None = entry(number(above=0), None)  # they end once one lowers the training loss by less, nats
    drawn: int | None = entry(whole(1), None)  # sequences per epoch, for a training split with counts
    replace: float | None = entry(number(above=0, most=1), None)  # probability of another context, of an augmented run
    transpose: int | None = entry(whole(1, 87), None)  # semitones, the most by which a piece is moved
    half: int | None = entry(whole(0, 1), None)  # of the sequences with contexts, whole articles, clips or paragraphs

    @property
    def most_epochs(self) -> int:
        """The most epochs of the history, steps with all counts included."""
        return self.epochs + (self.full_steps or 0)

    @property
    def drop_epochs(self) -> set[int]:
        """The epochs, from 1, after which ``drops`` divides the rate."""
        return {max(1, round(share * self.epochs)) for share in self.drops or ()}

    def contradictions(self) -> Iterator[tuple[str, str]]:
        """Yield two rules for the rate, a KL weight that stays below 1, and an epoch below one batch."""
        names = ("patience", "drops", "cosine_from", "inverse_root")
        rules = [name for name in names if getattr(self, name) is not None]
        if len(rules) > 1:
            yield rules[1], f"expected one rule for the learning rate, got {' and '.join(rules)}; keep one"
        if self.drops is not None and list(self.drops) != sorted(set(self.drops)):
            yield "drops", f"expected rising shares of the epochs, got {list(self.drops)}"
        if (schedule := self.kl_free_epochs + self.kl_ramp_epochs) > self.epochs:
            yield (
                "kl_ramp_epochs",
                f"expected a KL weight that reaches 1 within the {self.epochs} epochs, got {self.kl_free_epochs:g} "
                f"+ {self.kl_ramp_epochs:g} = {schedule:g} of them",
            )
        rises = [name for name in ("rise", "warmup", "inverse_root") if getattr(self, name) is not None]
        if len(rises) > 1:
            yield rises[0], f"expected one rise of the learning rate, got {' and '.join(rises)}; keep one"
        if self.average > self.epochs:
            yield "average", f"expected at most the {self.epochs} epochs, got {self.average}"
        if self.group_rates is not None and self.learning_rate not in self.group_rates:
            yield (
                "learning_rate",
                f"expected one of group_rates, {list(self.group_rates)}, got {self.learning_rate:g}",
            )
        if self.optimizer == "em" and self.learning_rate > 1:
            yield "learning_rate", f"expected the weight of a step's counts, at most 1, got {self.learning_rate:g}"
        if self.optimizer == "em" and self.clip is not None:
            yield "clip", f"expected null with optimizer: em, whose gradients are counts, got {self.clip:g}"
        if self.full_steps is not None and self.optimizer != "em":
            yield "full_steps", f"expected none with optimizer: {self.optimizer}, got {self.full_steps}"
        if (self.full_steps is None) != (self.full_gain is None):
            missing, given = ("full_gain", "full_steps") if self.full_gain is None else ("full_steps", "full_gain")
            yield missing, f"expected a number with {given}, got none"
        if self.momentum and self.optimizer != "sgd":
            yield "momentum", f"expected 0 with optimizer: {self.optimizer}, got {self.momentum:g}"
        if self.drawn is not None and self.drawn < self.batch_size:
            yield "drawn", f"expected a whole number of at least batch_size ({self.batch_size}), got {self.drawn}"
        if self.stop_rate is not None and self.stop_rate >= self.learning_rate:
            yield "stop_rate", f"expected a rate below learning_rate ({self.learning_rate:g}), got {self.stop_rate:g}"
