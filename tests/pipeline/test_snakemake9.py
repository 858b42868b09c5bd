"""The Snakefile and the Slurm profile under Snakemake 9, in an environment of its own: `make test-snakemake9`."""

import os
import shutil

import pytest
from test_workflow import Snakemake, expected, schedule

from engines import by_snakemake
from seqflows import params, paths

NINE = os.environ.get("SEQFLOWS_SNAKEMAKE9", "")
pytestmark = pytest.mark.skipif(not NINE, reason="Snakemake 9 has an environment of its own: run make test-snakemake9")
EXECUTORS = {
    "local": (),
    "cluster-generic": ("--executor", "cluster-generic", "--cluster-generic-submit-cmd", "sbatch"),
    "slurm": ("--executor", "slurm"),
    "the profile": ("--profile", "workflow/profiles/slurm"),
}


def test_it_is_snakemake_9(project):
    assert project().run(NINE, "--version").startswith("9.")


@pytest.mark.parametrize("scale", paths.SCALES)
@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_dry_run_has_the_jobs_of_snakemake_7(project, scale, executor):
    scratch = project()
    asked = ("-n", "-p", "-j", "32", "--config", f"scale={scale}")
    found = by_snakemake(scratch.run(NINE, *EXECUTORS[executor], *asked))
    there = by_snakemake(scratch.run("snakemake", *asked))
    assert [name for name in found.keys() | there.keys() if found.get(name) != there.get(name)] == []
    assert set(found) == expected(params.load(scratch.folder / "params.yaml"), scale)


def test_the_profile_submits_and_sees_jobs_end(project):
    """For real, with a scheduler that is a shell script."""
    made = Snakemake(project())
    folder = schedule(made.scratch)
    assert shutil.which("sbatch", path=made.scratch.env["PATH"]) == str(folder / "sbatch")
    target = paths.train("demo", "ptb-af_af")
    made.scratch.run(NINE, "-j", "32", *EXECUTORS["the profile"], str(target))
    assert made.ran() == {"download demo/ptb", "prepare demo/ptb", "train demo/ptb-af_af"}
