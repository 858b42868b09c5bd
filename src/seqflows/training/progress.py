"""Progress: a live line on a terminal, elsewhere a plain line every EVERY seconds."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import Any

EVERY = 10.0  # seconds between plain lines


def _clock(seconds: float) -> str:
    seconds = max(0, round(seconds))
    if seconds < 120:
        return f"{seconds} s"
    return f"{seconds // 60} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def line(row: Mapping[str, Any], epochs: int, left: float) -> str:
    """One epoch as text: losses and terms in nats per (T + 1) or per sequence, as in the history (`trainer`)."""
    terms = ", ".join(
        f"{name.removeprefix('valid_')} {value:.4f}"
        for name, value in row.items()
        if name.startswith("valid_") and name != "valid_loss"
    )
    return (
        f"epoch {row['epoch']}/{epochs}  train {row['train_loss']:.4f}  valid {row['valid_loss']:.4f} ({terms})  "
        f"KL weight {row['kl_weight']:.2f}  rate {row['learning_rate']:.2g}  "
        f"{row['symbols_per_second']:,.0f} symbols/s  {_clock(left)} left"
    )


class Progress:
    """Shows the progress of one seed's training; imports rich only on a terminal."""

    def __init__(self, title: str, epochs: int) -> None:
        self.title, self.epochs = title, epochs
        self._told = 0.0
        self._bar: Any = None
        if sys.stdout.isatty():
            from rich.progress import BarColumn, Progress, TextColumn

            columns = (TextColumn("{task.description}"), BarColumn(20), TextColumn("{task.fields[text]}"))
            self._bar = Progress(*columns, transient=True, refresh_per_second=4)
            self._task = self._bar.add_task(title, total=1.0, text="")
            self._bar.start()
            self._text = ""

    def step(self, epoch: int, position: int, steps: int) -> None:
        """Show that step ``position`` of ``steps`` of ``epoch`` (from 0) is done."""
        if self._bar is not None:
            text = self._text or f"epoch {epoch + 1}/{self.epochs}"
            self._bar.update(self._task, completed=(epoch + position / max(1, steps)) / self.epochs, text=text)

    def epoch(self, row: Mapping[str, Any], seconds: float) -> None:
        """Show the end of an epoch; ``seconds`` is the mean time of one."""
        text = line(row, self.epochs, seconds * (self.epochs - row["epoch"]))
        if self._bar is not None:
            self._text = text
            self._bar.update(self._task, completed=row["epoch"] / self.epochs, text=text)
        elif row["epoch"] in (1, self.epochs) or time.monotonic() - self._told > EVERY:
            self._told = time.monotonic()
            print(f"{self.title}: {text}", flush=True)

    def close(self, text: str) -> None:
        """Replace the live line by a final one."""
        if self._bar is not None:
            self._bar.stop()
        if text:
            print(f"{self.title}: {text}", flush=True)
