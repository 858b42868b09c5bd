"""The walk through of docs/own-data.md: its entries and its commands as they stand, on fewer sentences."""

import re
import subprocess
from pathlib import Path

from seqflows import files, params
from seqflows.pipeline import dvc

PAGE = "docs/own-data.md"
FEWER = "path: own/sentences.txt, train_sequences: 64, valid_sequences: 8, test_sequences: 8"


def test_the_walk_through_leads_from_a_text_to_its_model(project, root):
    page = (root / PAGE).read_text(encoding="utf-8")
    scratch = project()
    (scratch.folder / "tests").symlink_to(root / "tests")
    matrix = scratch.folder / "params.yaml"
    written = matrix.read_text(encoding="utf-8")
    entries = re.findall(r"```yaml (\w+)\n(.*?)```", page, re.DOTALL)
    assert [part for part, _ in entries] == ["datasets", "runs", "tables"]
    for part, block in entries:
        assert f"`{part}:`" in page and written.count(f"\n{part}:\n") == 1
        block = block.replace("path: own/sentences.txt", FEWER).replace("epochs: 40", "epochs: 9")
        written = written.replace(f"\n{part}:\n", f"\n{part}:\n{block}")
    assert FEWER in written and "epochs: 9, batch_size: 32" in written
    matrix.write_text(written, encoding="utf-8")
    said = [scratch.run("bash", "-e", "-c", block) for block in re.findall(r"```sh\n(.*?)```", page, re.DOTALL)]
    assert len(said) == 4 and "params.yaml is valid" in said[1] and " bpc" in said[1]
    assert re.search(r"^\| AF / AF +\|.* \d\.\d", said[3], re.MULTILINE), said[3]
    *samples, first, second, third, mean = said[2].splitlines()
    assert len(samples) == 5 and mean.startswith("mean of 3: ")
    lines = (scratch.folder / "own/sentences.txt").read_text().splitlines()
    assert [line.partition("\t")[2] for line in (first, second, third)] == lines[:3]
    recorded = files.read_json(scratch.folder / "own-data.json")
    assert recorded == {"own/sentences.txt": files.sha256(scratch.folder / "own/sentences.txt")}
    engines = re.findall(r"`((?:snakemake|dvc repro) .*?)`", page, re.DOTALL)
    assert len(engines) == 2
    scratch.run(*engines[0].split(), "-n")
    found = params.load(matrix)
    assert engines[1].split()[-1] == dvc.addresses(found)["evaluate", "sentences-af_af"]
    assert "sentences-af_af" not in found.at("demo").runs and "sentences" not in found.at("paper").datasets
    assert subprocess.run(["git", "check-ignore", "-q", "own/x"], cwd=scratch.folder, check=False).returncode == 0


def test_the_sources_are_those_of_the_page(root):
    from seqflows.config import corpora, own

    page = (root / PAGE).read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(own-\w+)` \| `(\w+)` \|", page, re.MULTILINE))
    assert rows == {name: corpora.KINDS[name] for name in own.ENDS}
    for name, ends in own.ENDS.items():
        row = next(line for line in page.splitlines() if line.startswith(f"| `{name}`"))
        assert all(f"`{end}`" in row for end in ends if end and end != ".txt"), row
    matrix = params.load(root / "params.yaml")
    text = page[page.index("A run of `own-text`") : page.index("**Piano rolls.**")]
    named = re.findall(r"`([a-z0-9_]+-[a-z0-9_]+)`", text)
    runs = [name for name in named if not name.startswith("own-")]
    kinds = [matrix.datasets[matrix.runs[run]["dataset"]]["kind"] for run in runs]
    assert kinds == ["text", "text", "music", "words", "language"]


def test_every_command_of_the_page_is_in_a_block_that_runs(root):
    page = (root / PAGE).read_text(encoding="utf-8")
    rest = re.sub(r"```.*?```", "", page, flags=re.DOTALL)
    assert "python -m seqflows" not in rest.replace("`python -m seqflows check`", "")
    assert Path(root / "mkdocs.yml").read_text(encoding="utf-8").count(PAGE) == 1
