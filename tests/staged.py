"""A folder with outputs that the stages themselves made, of params.yaml with short trainings."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import yaml

from conftest import ROOT, _Plain
from engines import keep
from seqflows import cli, params


def write(content: Any) -> None:
    """Write params.yaml in the working directory."""
    with open("params.yaml", "w") as file:
        yaml.dump(content, file, Dumper=_Plain)


def make(
    folder: Path, runs: Iterable[str], jobs: Iterable[tuple[str, str]], beside: Iterable[str] | None = None
) -> None:
    """Run the jobs, a stage and a name each, at scale demo in ``folder``; the runs are trained for one epoch.

    With ``beside``, runs, params.yaml has no others and no table.
    """
    with pytest.MonkeyPatch.context() as patch:
        content = params.read(ROOT / "params.yaml")
        if beside is not None:
            keep(content, [], [*runs, *beside])
        patch.chdir(folder)
        patch.setenv("SEQFLOWS_CHECKPOINTS", str(folder / "checkpoints"))
        for run in runs:
            content["runs"][run]["demo"]["training"]["epochs"] = 1
        write(content)
        for stage, name in jobs:
            assert cli.main([stage, f"demo/{name}"]) == 0
