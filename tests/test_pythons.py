"""The page of Pythons that were tried."""

import doctest
import platform

import pytest

import pythons

REPORT = """<?xml version="1.0" encoding="utf-8"?>
<testsuites><testsuite name="pytest" errors="1" failures="2" skipped="30" tests="1040" time="9"/></testsuites>
"""


def test_a_report_is_counted_and_becomes_the_row_of_this_python(tmp_path):
    path = tmp_path / "report.xml"
    path.write_text(REPORT)
    assert pythons.counts(path) == {"passed": 1007, "skipped": 30, "failed": 3}
    found = pythons.row(path, "abc1234")
    assert set(found) == set(pythons.HEADER)
    assert found["Python"] == platform.python_version() and found["passed"] == "1,007"
    assert found["numpy"][0].isdigit() and found["revision"] == "abc1234"


def test_a_python_has_one_row():
    assert doctest.testmod(pythons).failed == 0
    assert doctest.testmod(pythons).attempted


@pytest.mark.parametrize("text", ["", "<testsuites/>"])
def test_a_report_without_tests_is_no_success(tmp_path, text):
    path = tmp_path / "report.xml"
    path.write_text(text)
    with pytest.raises(SystemExit, match="expected tests in .*report.xml, found none; run make test-python"):
        pythons.row(path, "abc1234")
