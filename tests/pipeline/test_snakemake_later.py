"""The Snakefile and the Slurm profile under Snakemake 8 or 9, in an environment of its own: `make test-snakemake`."""

import os
import shutil
from pathlib import Path

import pytest
from test_workflow import Snakemake, expected, schedule

from engines import by_snakemake
from seqflows import params, paths

LATER = os.environ.get("SEQFLOWS_SNAKEMAKE", "")
pytestmark = pytest.mark.skipif(
    not LATER, reason="Snakemake 8 and 9 have environments of their own: run make test-snakemake"
)
EXECUTORS = {
    "local": (),
    "cluster": ("--cluster", "sbatch"),
    "cluster-generic": ("--executor", "cluster-generic", "--cluster-generic-submit-cmd", "sbatch"),
    "slurm": ("--executor", "slurm"),
    "the profile": ("--profile", "workflow/profiles/slurm"),
}


def test_it_is_a_later_snakemake(project):
    assert project().run(LATER, "--version").partition(".")[0] in ("8", "9")


@pytest.mark.parametrize("scale", paths.SCALES)
@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_dry_run_has_the_jobs_of_the_usual_snakemake(project, scale, executor):
    scratch = project()
    asked = ("-n", "-p", "-j", "32", "--config", f"scale={scale}")
    found = by_snakemake(scratch.run(LATER, *EXECUTORS[executor], *asked))
    there = by_snakemake(scratch.run("snakemake", *asked))
    assert [name for name in found.keys() | there.keys() if found.get(name) != there.get(name)] == []
    assert set(found) == expected(params.load(scratch.folder / "params.yaml"), scale)


PLUGIN = "src/snakemake_executor_plugin_cluster/__init__.py"
WITHOUT = """
import importlib.abc
import pkgutil
import sys

NAME, listed = "snakemake_executor_plugin_cluster_generic", pkgutil.iter_modules


class Absent(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name == NAME:
            raise ModuleNotFoundError(name)


sys.meta_path.insert(0, Absent())
pkgutil.iter_modules = lambda *given: (found for found in listed(*given) if found.name != NAME)
"""


def test_the_options_of_snakemake_7_are_translated(project):
    python = str(Path(LATER).with_name("python"))
    project().run(python, "-m", "doctest", PLUGIN)


def test_without_the_package_only_a_cluster_is_refused(project):
    """Snakemake imports every plugin: one that fails would end a run without a cluster, too."""
    scratch = project()
    (scratch.folder / "src/sitecustomize.py").write_text(WITHOUT)
    assert "train" in scratch.run(LATER, "-n", "-q", "rules", "-j", "2")
    said = scratch.run(LATER, "-n", "-j", "2", "--cluster", "sbatch", status=1)
    assert "expected the package snakemake-executor-plugin-cluster-generic for --cluster, found none" in said
    assert "Traceback" not in said


@pytest.mark.parametrize("form", ["cluster", "the profile"])
def test_a_cluster_runs_jobs_to_their_ends(project, form):
    """For real, with a scheduler that is a shell script."""
    made = Snakemake(project())
    folder = schedule(made.scratch)
    assert shutil.which("sbatch", path=made.scratch.env["PATH"]) == str(folder / "sbatch")
    target = paths.train("demo", "ptb-af_af")
    made.scratch.run(LATER, "-j", "32", *EXECUTORS[form], str(target))
    assert made.ran() == {"download demo/ptb", "prepare demo/ptb", "train demo/ptb-af_af"}
