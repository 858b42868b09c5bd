"""What a stage's set-up leaves in its process."""

import os
import platform
import subprocess
import sys

import pytest

# Page faults of five tensors of 64 MiB the third time that they are made, each time a little smaller, as an aligned one
# does not fit where one of its size was; and the memory (KiB) that the system has back.
TENSORS = """
import resource
import sys
from pathlib import Path
import torch
from seqflows import compute

def resident():
    return int(Path("/proc/self/status").read_text().split("VmRSS:")[1].split()[0])

compute.prepare({"device": "cpu"}, "demo", training=sys.argv[1] == "training")
for size in (2**24, 2**24 - 2**10, 2**24 - 2**11):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    tensors = [torch.ones(size) for _ in range(5)]
    faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
    del tensors
before = resident()
compute.give_back()
print(faults, before - resident())
"""


def measured(what, **stated):
    command = [sys.executable, "-c", TENSORS, what]
    found = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **stated}, check=False)
    assert found.returncode == 0, found.stderr[-2000:]
    return map(int, found.stdout.split())


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc gives freed memory back so early")
def test_a_training_keeps_the_memory_of_freed_tensors_unless_the_environment_says_otherwise():
    faults, back = measured("scoring")
    assert faults >= 5 * 32  # of 2 MiB each at most
    assert back < 64 * 1024
    reused, back = measured("training")
    assert reused < faults / 4
    assert back > 4 * 64 * 1024
    stated, back = measured("training", MALLOC_TRIM_THRESHOLD_="131072")
    assert stated > faults / 2
    assert back < 64 * 1024
