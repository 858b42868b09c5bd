"""The Slurm profile: what is asked of sbatch, and what is told to Snakemake."""

import importlib.util
import json
import os
import re
import subprocess
import sys

import pytest
import yaml

from conftest import ROOT

PROFILE = ROOT / "workflow/profiles/slurm"
JOB = {
    "rule": "train",
    "wildcards": {"name": "ptb-af_af"},
    "threads": 4,
    "resources": {"mem_mb": 16000, "runtime": 2880, "gpus": 1, "tmpdir": "/tmp"},
}


def module(name):
    spec = importlib.util.spec_from_file_location(name, PROFILE / f"{name}.py")
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


submit, status = module("submit"), module("status")


def test_resources_become_options():
    found = submit.options(JOB)
    for option in ("--cpus-per-task=4", "--mem=16000M", "--time=2880", "--gres=gpu:1", "--signal=B:TERM@120"):
        assert option in found
    assert "--job-name=seqflows-train-ptb-af_af" in found and "--exclusive" not in found


def test_a_gpu_is_asked_for_only_where_one_is_used():
    without = submit.options(JOB | {"resources": JOB["resources"] | {"gpus": 0, "exclusive": 1, "runtime": 1}})
    assert not any(option.startswith("--gres") for option in without)
    assert "--exclusive" in without and "--signal=B:TERM@30" in without  # half of a minute's limit


def test_the_number_is_printed_and_further_options_are_passed(tmp_path, monkeypatch):
    script = tmp_path / "job.sh"
    script.write_text(f"#!/bin/bash\n# properties = {json.dumps(JOB)}\ntrue\n")
    (tmp_path / "sbatch").write_text('#!/bin/bash\nprintf "%s\\n" "$@" > told\necho "17;lab"\n')
    (tmp_path / "sbatch").chmod(0o755)
    path = {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}", "SEQFLOWS_SBATCH": "--partition=gpu '--comment=a b'"}
    done = subprocess.run(
        [sys.executable, PROFILE / "submit.py", script],
        cwd=tmp_path,
        env=os.environ | path,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (0, "17\n")
    told = (tmp_path / "told").read_text().splitlines()
    assert told[-3:] == ["--partition=gpu", "--comment=a b", str(script)] and "--time=2880" in told
    assert (tmp_path / "logs/slurm").is_dir()


def test_a_script_without_properties_is_refused():
    with pytest.raises(SystemExit, match="expected a line '# properties"):
        submit.properties("#!/bin/bash\ntrue\n")


@pytest.mark.parametrize(
    ("state", "verdict"),
    [("COMPLETED", "success")]
    + [(name, "running") for name in ("PENDING", "RUNNING", "REQUEUED", "STOPPED", "SIGNALING", "SPECIAL_EXIT")]
    + [(name, "failed") for name in ("FAILED", "CANCELLED", "TIMEOUT", "OUT_OF_MEMORY", "NODE_FAIL", "DEADLINE")]
    + [(name, "failed") for name in ("PREEMPTED", "AN_END_OF_A_LATER_SLURM")],
)
def test_states_in_snakemakes_words(state, verdict):
    assert status.verdict(state) == verdict


def test_scontrol_first_then_sacct(monkeypatch):
    answers = {"scontrol": "JobId=5 JobState=TIMEOUT Reason=TimeLimit\n", "sacct": "CANCELLED+\n"}
    monkeypatch.setattr(status, "asked", lambda command: answers.get(command[0]))
    assert status.state("5") == "TIMEOUT"
    del answers["scontrol"]
    assert status.state("5") == "CANCELLED"
    del answers["sacct"]
    assert status.state("5") is None


@pytest.mark.parametrize(
    ("ping", "word"),
    [
        ("Slurmctld(primary) at lab is UP\n", "failed"),
        ("Slurmctld(primary) at lab is DOWN\nSlurmctld(backup) at lab2 is UP\n", "failed"),
        ("Slurmctld(primary) at lab is DOWN\n", "running"),
        (None, "running"),
    ],
)
def test_a_job_is_lost_only_where_the_controller_answers(monkeypatch, ping, word):
    monkeypatch.setattr(status, "asked", lambda command: ping if command == ["scontrol", "ping"] else None)
    monkeypatch.setattr(status.time, "sleep", lambda _: None)
    assert status.told("5") == word


@pytest.mark.parametrize("ping", [None, "Slurmctld(primary) at lab is UP\n"])
def test_a_busy_controller_is_asked_again(monkeypatch, ping):
    """Also one that answers just after it did not."""
    answers = iter([None, ping, "JobId=5 JobState=RUNNING\n"])
    monkeypatch.setattr(status.time, "sleep", lambda _: None)
    monkeypatch.setattr(status, "asked", lambda command: None if command[0] == "sacct" else next(answers))
    assert status.told("5") == "running"


def test_a_missing_command_is_no_answer():
    assert status.asked(["no-such-command-anywhere"]) is None
    assert status.asked([sys.executable, "-c", "raise SystemExit(3)"]) is None


@pytest.mark.parametrize("ending", [0, 1])
@pytest.mark.parametrize("after", ["", " && exit 0 || exit 1"])
def test_the_job_script_ends_as_its_job_and_passes_sigterm_on(tmp_path, ending, after):
    """Whether bash keeps a shell around the job (a list of commands) or becomes it; at once and after a while."""
    for slow in 0, 0, 0.3:
        told = f"(time.sleep({slow}), sys.exit({ending}))"
        job = f"{sys.executable} -c 'import signal, sys, time; signal.signal(15, lambda *_: {told}); " \
              f"print(\"on\", flush=True); time.sleep(60)'{after}"  # fmt: skip
        text = (PROFILE / "jobscript.sh").read_text().replace("{properties}", "{}").replace("{exec_job}", job)
        (tmp_path / "job.sh").write_text(text)
        with subprocess.Popen(["bash", tmp_path / "job.sh"], stdout=subprocess.PIPE, text=True) as running:
            assert running.stdout.readline() == "on\n"
            running.terminate()
            assert running.wait(20) == ending


def test_every_rule_says_what_the_profile_asks_for():
    text = "".join(path.read_text() for path in sorted((ROOT / "workflow/rules").glob("*.smk")))
    rules = re.split(r"\n +rule:|\nrule ", text)[1:]
    assert len(rules) == 1 and "in stages.TABLE.items()" in text  # one rule, made for every row of the table
    for rule in rules:
        for resource in ("mem_mb=", "runtime=", "gpus=", "threads:"):
            assert resource in rule, rule.splitlines()[0]
    content = yaml.safe_load((PROFILE / "config.yaml").read_text())
    for name in ("submit.py", "status.py", "jobscript.sh"):
        assert any(str(value).endswith(f"workflow/profiles/slurm/{name}") for value in content.values())
