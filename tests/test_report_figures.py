"""Figures: every kind is drawn, deterministically, and says what it lacks."""

from __future__ import annotations

import subprocess
import sys

import pytest

import report_world
from seqflows import paths
from seqflows.errors import Problem
from seqflows.report import figures

NAMES = (
    *("ziegler2019-figure3b", "ziegler2019-figure5", "ziegler2019-figure6", "ziegler2019-figure7"),
    *("ziegler2019-curves", "schmidt2018-curves", "schmidt2018-figure1", "schmidt2018-figure2"),
    "schmidt2018-trajectories",
)


def test_every_kind_is_drawn_the_same_twice(world):
    report_world.write_all("demo", world)
    for name in NAMES:
        figures.run(paths.Key("demo", name))
        png, svg = (path.read_bytes() for path in paths.figure("demo", name))
        if world.figures[name]["kind"] in ("nlsq", "speed", "entropies", "trajectories"):
            figures.run(paths.Key("demo", name))
            assert [png, svg] == [path.read_bytes() for path in paths.figure("demo", name)], name
        assert png.startswith(b"\x89PNG") and len(png) > 10_000
        assert b"<dc:date>" not in svg and b"<svg" in svg
    assert {world.figures[name]["kind"] for name in NAMES} == set(figures.KINDS)


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_file_is_named_with_its_command(world, name):
    with pytest.raises(Problem, match=r"python -m seqflows (evaluate|speed|train) demo/"):
        figures.run(paths.Key("demo", name))
    assert not paths.figure("demo", name)[0].exists()


def test_an_unknown_figure_is_refused(world):
    with pytest.raises(Problem, match="figure3"):
        figures.run(paths.Key("demo", "ziegler2019-figure3"))


def test_report_and_tracking_import_without_torch_mlflow_and_matplotlib():
    code = (
        "import sys\n"
        "for name in ('torch', 'mlflow', 'matplotlib', 'pandas'): sys.modules[name] = None\n"
        "import seqflows.report.tables, seqflows.report.figures, seqflows.report.audit, seqflows.tracking\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": ":".join(sys.path), "PATH": ""})
