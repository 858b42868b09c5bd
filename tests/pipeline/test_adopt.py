"""What `adopt` hands to DVC: outputs of the present params.yaml alone, and only those whose inputs are there."""

import shutil
import subprocess
from types import SimpleNamespace

import pytest

import staged
from seqflows import cli, params, paths, stages
from seqflows.pipeline import adopt

RUN, WRITER, TEXT = "gaussians-affine", "tvqa-att_s", "tvqa-att_s-samples"
ASKED, ASKER = "squad_questions", "squad-qg"
MADE = {
    *(("download", "gaussians"), ("prepare", "gaussians"), ("train", RUN), ("evaluate", RUN)),
    *(("download", "tvqa"), ("prepare", "tvqa"), ("train", WRITER), ("generate", TEXT)),
    *(("download", ASKED), ("prepare", ASKED), ("features", ASKED), ("train", ASKER)),
}


ALONE = {("features", "squad_questions"), ("train", ASKER)}  # which read other than most keys do
KIND = {RUN: "vectors", "gaussians": "vectors", ASKER: "pairs", ASKED: "pairs"}  # of others: language


def named(stage, name):
    """DVC's name of a stage with a key."""
    between = "-" if (stage, name) in ALONE else "@"
    return f"workflow/{KIND.get(name, 'language')}/dvc.yaml:{stage}{between}{name}"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with a run, a model and its text, made by the stages themselves."""
    folder = tmp_path_factory.mktemp("made")
    staged.make(folder, (RUN, WRITER, ASKER), sorted(MADE, key=lambda one: list(stages.TABLE).index(one[0])))
    return folder


@pytest.fixture
def there(made, tmp_path, monkeypatch):
    """A copy of it as the working directory, and what is said to DVC, which is not run."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    told = []

    def run(command, **options):
        told.append(command)
        return SimpleNamespace(returncode=0, stderr="")

    monkeypatch.setattr(adopt, "subprocess", SimpleNamespace(run=run, PIPE=None, DEVNULL=None))
    return told


def change(alter):
    content = params.read("params.yaml")
    alter(content)
    staged.write(content)


def test_what_is_of_the_present_params_is_handed_over(there, capsys):
    assert cli.main(["adopt"]) == 0
    assert "taken over 12 stages of scale demo" in capsys.readouterr().out
    ((*command, first), handed) = there[0][:4], there[0][4:]
    assert (command, first) == (["dvc", "commit", "--force"], "matrix")
    assert set(handed) == {named(*one) for one in MADE}


TRAINED = ("train", "evaluate")


@pytest.mark.parametrize(
    ("alter", "stages"),
    [
        (lambda content: content["runs"][RUN]["demo"]["model"].update(flow_width=77), TRAINED),
        (lambda content: content["runs"][RUN]["demo"].update(seeds=[0, 1]), TRAINED),
        (lambda content: content["runs"][RUN]["demo"].update(seeds=[1]), TRAINED),
        (lambda content: content["runs"][RUN]["demo"]["evaluation"].update(chunk=77), TRAINED[1:]),
        (lambda content: content["texts"][TEXT]["demo"].update(count=2), ("generate",)),
        (lambda content: content["features"][ASKED]["demo"].update(layers=[-2]), ("features", "train")),
    ],
)
def test_outputs_of_other_settings_are_refused_by_name(there, capsys, alter, stages):
    """And so is what was made of them."""
    change(alter)
    assert cli.main(["adopt"]) == 1
    said = capsys.readouterr().err
    names = {"generate": (TEXT,), "features": (ASKED, ASKER)}.get(stages[0], (RUN, RUN))
    keys = [f"{stage} demo/{name}" for stage, name in zip(stages, names, strict=False)]
    assert f"expected outputs that are up to date, got stale ones of {', '.join(keys)} (made of other " in said
    assert f"; run: {' && '.join(f'python -m seqflows {key}' for key in keys)} && snakemake" in said
    assert said.count("\n") == 1 and not there


def test_what_was_changed_or_made_before_a_change_of_code_is_refused(there, capsys, monkeypatch):
    """Whatever it says of its own settings, and so would be handed on as if DVC had made it."""
    metrics = paths.metrics("demo", RUN)
    metrics.write_text(metrics.read_text() + " ")
    assert cli.main(["adopt"]) == 1
    assert f"got stale ones of evaluate demo/{RUN} (made of other outputs); run: " in capsys.readouterr().err
    assert cli.main(["evaluate", f"demo/{RUN}"]) == 0 and cli.main(["adopt"]) == 0
    handed = there.pop()
    monkeypatch.setattr("seqflows.stages.metadata.version", lambda name: "0")
    assert cli.main(["adopt"]) == 1
    said = capsys.readouterr().err
    assert said.count("&& python -m") == len(handed) - 5 and "(made of other libraries)" in said and not there


def test_results_without_what_they_were_made_of_stay_out(there, capsys):
    """As in a fresh clone, which has committed tables and no runs."""
    shutil.rmtree(paths.prepared("demo", "tvqa"))
    table = paths.table("demo", "ziegler2019-table1")
    table[0].parent.mkdir(parents=True)
    for path in table:
        path.write_text("kept")
    assert cli.main(["adopt"]) == 0
    kept = {named(*one) for one in MADE if "tvqa" not in one[1]}
    assert set(there[0][4:]) == kept | {named("download", "tvqa")}
    shutil.rmtree("runs")
    shutil.rmtree("data")
    assert cli.main(["adopt"]) == 1
    assert "expected outputs of scale demo, " in capsys.readouterr().err


def test_what_dvc_says_is_shown(there, capsys, monkeypatch, tmp_path):
    """For real: in a folder that is no repository."""
    monkeypatch.setattr(adopt, "subprocess", subprocess)
    assert cli.main(["adopt"]) == 1
    said = capsys.readouterr().err
    assert "ERROR: you are not inside of a DVC repository" in said
    assert said.splitlines()[-1].endswith("stages over, got status 253; see above")
