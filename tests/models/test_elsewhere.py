"""The cases of `elsewhere_cases`, in processes of their own: torch keeps a device for all that follows."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

CASES = Path(__file__).with_name("elsewhere_cases.py")
WORDS = "tvqa or squad or wmt16 or paraphrase or translations"


@pytest.mark.parametrize(
    ("named", "marked"),
    [
        (WORDS, "not slow"),
        (f"not ({WORDS})", "not slow"),
        pytest.param("", "slow", marks=pytest.mark.slow),
    ],
    ids=["of words", "others", "slow"],
)
def test_every_kind_of_model_is_trained_and_used_elsewhere(named, marked, tmp_path):
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-n0",
        "-p",
        "no:cacheprovider",
        f"--basetemp={tmp_path / 'cases'}",
    ]
    found = subprocess.run([*command, "-k", named, "-m", marked, CASES], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout[-5000:] + found.stderr[-2000:]
    assert " passed" in found.stdout and "skipped" not in found.stdout
