"""Who may import whom, and what a bare node must be able to do without."""

import subprocess
import sys

from seqflows import kinds

BARE = """
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {blocked!r}:
            raise ImportError(f"{{name}} is blocked")

sys.meta_path.insert(0, Blocked())
{code}
"""
NOT_ON_A_NODE = (
    "dvc",
    "snakemake",
    "mlflow",
    "pydantic",
    "pooch",
    "matplotlib",
    "hypothesis",
    "pytest",
    "transformers",
)


def run(root, code, blocked):
    return subprocess.run(
        [sys.executable, "-c", BARE.format(blocked=blocked, code=code)], cwd=root, capture_output=True, text=True
    )


def test_imports_run_downwards_only(root):
    command = "from importlinter.cli import lint_imports; raise SystemExit(lint_imports(no_cache=True))"
    done = subprocess.run([sys.executable, "-c", command], cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


STAGES = (
    "training.loop",
    "evaluation.evaluate",
    "evaluation.speed",
    "evaluation.generate",
    "data.prepare",
    "features.encode",
)
KINDS = {name.removeprefix("seqflows.") for kind in kinds.KINDS.values() for name in (kind.data, kind.evaluation)}


EACH = """
import importlib, traceback
from seqflows import params
print(params.load().scale)
for name in {modules!r}:
    try:
        importlib.import_module("seqflows." + name)
    except ImportError:
        print(name, traceback.format_exc())
"""


def test_train_and_evaluate_need_no_more_than_a_bare_node_has(root):
    modules = [*STAGES, "pipeline.status", *sorted(KINDS)]
    assert len(modules) > 15
    done = run(root, EACH.format(modules=modules), NOT_ON_A_NODE)
    assert (done.returncode, done.stdout, done.stderr) == (0, "demo\n", "")


def test_the_live_tracker_starts_where_mlflow_is_missing(root):
    code = "from seqflows.tracking import Live\nfrom seqflows.training.live import Guard\nguard = Guard(Live())\n"
    code += "guard.start({'scale': 'demo', 'run': 'a', 'seed': 0})\nguard.close()"
    done = run(root, code, NOT_ON_A_NODE)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("warning") == 1


def test_tables_and_figures_need_no_torch(root):
    modules = ["report.tables", "report.figures", "report.audit", "tracking", "comparison.compare"]
    done = run(root, EACH.format(modules=modules), ("torch", "mlflow", "safetensors"))
    assert (done.returncode, done.stdout, done.stderr) == (0, "demo\n", "")


def test_a_module_that_needs_more_is_named(root):
    done = run(root, EACH.format(modules=["models", "errors", "flows"]), ("torch",))
    assert [line.split()[0] for line in done.stdout.splitlines() if "Traceback" in line] == ["models", "flows"]


def test_the_lock_pins_every_package_and_names_no_index(root):
    """Everything but torch has a version and hashes; torch has a version without a local suffix."""
    lines = (root / "requirements.lock").read_text().splitlines()
    assert not [line for line in lines if "://" in line or line.startswith("-")]
    starts = [number for number, line in enumerate(lines) if line and not line.startswith((" ", "#"))]
    for number in starts:
        assert "==" in lines[number] and lines[number + 1].startswith("    --hash=sha256:"), lines[number]
    pinned = {tuple(lines[number].removesuffix(" \\").lower().split(" ; ")) for number in starts}
    wanted = [line.strip().lower() for line in (root / "requirements.in").read_text().splitlines()]
    asked = {
        tuple(line.replace("python_version", "python_full_version").replace('"', "'").split(" ; ")) for line in wanted
    }
    assert {entry for entry in asked if "==" in entry[0]} <= pinned
    torch = [line for line in (root / "requirements-torch.txt").read_text().splitlines() if not line.startswith("#")]
    assert torch == ["torch==2.13.0"]
