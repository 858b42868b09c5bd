"""Every example in a docstring runs and says what it shows."""

import doctest
import importlib
import pkgutil
from pathlib import Path

import pytest

import seqflows

ROOT = Path(seqflows.__file__).parent
FOUND = [module.name for module in pkgutil.walk_packages(seqflows.__path__, "seqflows.")]
MODULES = [name for name in FOUND if not name.endswith("__main__")]


def _examples(name):
    """Whether a module's text has a line with an example, without importing it."""
    place = ROOT.parent / Path(*name.split("."))
    path = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
    return any(line.lstrip().startswith(">>> ") for line in path.read_text(encoding="utf-8").splitlines())


WITH_EXAMPLES = [name for name in MODULES if _examples(name)]


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_examples(name):
    module = importlib.import_module(name)
    result = doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE | doctest.IGNORE_EXCEPTION_DETAIL)
    assert result.failed == 0 and result.attempted > 0


def test_no_example_is_left_out():
    """Every module can be imported, and doctest finds no example in one that the test above does not run."""
    finder = doctest.DocTestFinder()
    modules = {name: importlib.import_module(name) for name in MODULES}
    found = {name for name in modules if any(test.examples for test in finder.find(modules[name]))}
    assert found == set(WITH_EXAMPLES) and len(found) >= 10
