"""Figures: every kind is drawn, deterministically, and says what it lacks."""

from __future__ import annotations

import subprocess
import sys

import pytest

import report_world
from seqflows import files, params, paths
from seqflows.errors import Problem
from seqflows.report import figures, gaps, inputs
from seqflows.report.inputs import Results
from seqflows.report.plots import curves
from seqflows.report.plots.common import SOURCES, corpus_label

NAMES = (
    *("ziegler2019-figure3b", "ziegler2019-figure5", "ziegler2019-figure6", "ziegler2019-figure7"),
    *("ziegler2019-curves", "schmidt2018-curves", "schmidt2018-figure1", "schmidt2018-figure2"),
    *("schmidt2018-trajectories", "ours-time"),
)


def test_every_kind_is_drawn_the_same_twice(world):
    report_world.write_all("demo", world)
    for name in NAMES:
        figures.run(paths.Key("demo", name))
        png, svg = (path.read_bytes() for path in paths.figure("demo", name))
        if world.figures[name]["kind"] in ("nlsq", "speed", "entropies", "trajectories", "curves", "time"):
            figures.run(paths.Key("demo", name))
            assert [png, svg] == [path.read_bytes() for path in paths.figure("demo", name)], name
        assert png.startswith(b"\x89PNG") and len(png) > 10_000
        assert b"<dc:date>" not in svg and b"<svg" in svg
    assert {world.figures[name]["kind"] for name in NAMES} == set(figures.KINDS) - {"gains"}  # test_report_pairs.py


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_file_is_named_with_its_command(world, name):
    with pytest.raises(Problem, match=r"python -m seqflows (evaluate|speed|train) demo/"):
        figures.run(paths.Key("demo", name))
    assert not paths.figure("demo", name)[0].exists()


@pytest.mark.fault("a figure without matplotlib")
def test_without_matplotlib_a_figure_says_so(world, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(Problem, match="expected the package matplotlib to draw demo/.*; pip install matplotlib$"):
        figures.run(paths.Key("demo", NAMES[0]))


def test_an_unknown_figure_is_refused(world):
    with pytest.raises(Problem, match="figure3"):
        figures.run(paths.Key("demo", "ziegler2019-figure3"))


def drawn(world, name, scale="demo"):
    """A figure of a world, and all that is written in it."""
    from matplotlib import pyplot, text

    figure, _ = figures.draw(Results(world, scale), world.figures[name])
    pyplot.close(figure)
    return figure, [found.get_text() for found in figure.findobj(text.Text) if found.get_text()]


def write_history(run, losses, seed=0):
    rows = [{"epoch": epoch, "valid_loss": loss, "valid_kl": loss / 2} for epoch, loss in enumerate(losses, 1)]
    folder = paths.seed("demo", run, seed)
    report_world.write_seed(folder, rows, files.read_sealed(folder / "train.json"))


def test_curves_leave_out_a_loss_without_a_weight_of_the_kl_and_say_so(world):
    report_world.write_words("demo", world)
    for number, run in enumerate(world.figures["schmidt2018-curves"]["runs"]):
        start = [1.0e6, 2.0e6] if number == 1 else [11.0, 10.9]
        write_history(run, [*start, *(10.5 - 0.05 * epoch + 0.01 * number for epoch in range(10))])
    figure, written = drawn(world, "schmidt2018-curves")
    assert figure.axes[0].get_ylim()[1] < 13 and written.count("above: 2 points to epoch 2") == 2


def test_runs_that_end_close_together_are_enlarged_in_groups_and_the_others_are_named():
    last = {"a": 5.0, "b": 5.1, "c": 9.0, "d": 1.0, "e": 1.05}
    lines = {run: {epoch: [end + 6 - epoch] for epoch in range(1, 7)} for run, end in last.items()}
    assert curves.close(lines, 0.5) == [["b", "a"], ["e", "d"]] and curves.late(lines["a"]) == [4, 5, 6]
    assert curves.close({"a": {1: [3.0]}, "b": {1: [3.0]}}, 0.5) == []


def test_runs_of_several_lengths_are_enlarged_by_the_share_of_their_own_epochs(world):
    """A run's rate falls by its own number of epochs: beside each other are the ends, not the same epochs."""
    report_world.write_words("demo", world)
    runs = world.figures["schmidt2018-curves"]["runs"]
    for number, run in enumerate(runs):
        write_history(run, [11.0 - epoch / (12 if number else 6) for epoch in range(12 if number else 6)])
    figure, written = drawn(world, "schmidt2018-curves")
    assert "share of the run's own epochs" in written and "last third" in written
    _, enlarged, *_ = figure.axes
    ends = {max(line.get_xdata()) for line in enlarged.lines}
    assert ends == {1.0} and {len(line.get_xdata()) for line in enlarged.lines} == {3, 5}
    write_history(runs[0], [11.0 - epoch / 12 for epoch in range(12)])
    assert "epochs 8 to 12" in drawn(world, "schmidt2018-curves")[1]


def test_panels_of_groups_do_not_overlap():
    """Where a line comes from the range of another group, as of a KL that falls, it is cut between the two."""
    from matplotlib import pyplot

    def falling(end, start):
        return {epoch: [start + (end - start) * max(0, epoch - 6) / 3] for epoch in range(1, 10)}

    lines = {"a": falling(7.1, 7.1), "b": falling(7.0, 7.0), "c": falling(5.0, 9.0), "d": falling(4.9, 4.9)}
    looks = dict.fromkeys(lines, ("k", "-"))
    figure = pyplot.figure()
    curves.zoom(figure, figure.add_gridspec(1, 1)[0], [["a", "b"], ["c", "d"]], lines, looks)
    pyplot.close(figure)
    above, below = (axis.get_ylim() for axis in figure.axes)
    assert below[1] == pytest.approx(6.0) and above[0] > 6.9


def test_a_figure_says_which_of_its_runs_are_of_earlier_settings(world):
    report_world.write_words("laptop", world)
    block = world.figures["schmidt2018-figure1"] | {"runs": ["words-tril2-k10"]}
    several = world.figures["schmidt2018-trajectories"]

    def origins():
        return [figures.draw(Results(world, "laptop"), one)[1] for one in (block, several)]

    assert origins() == ["cpu", "cpu"]
    world.runs["words-tril2-k10"]["laptop"]["training"] = {"epochs": 9}
    assert origins() == ["cpu · all runs of earlier settings", "cpu · of earlier settings: words-tril2-k10"]


def test_a_long_origin_lengthens_the_figure_and_is_whole(tmp_path):
    from matplotlib import image, pyplot

    def size(origin):
        figure = pyplot.figure(figsize=(4, 2))
        path = tmp_path / "figure.png"
        figures.save(figure, [path], origin)
        return figure.texts[0].get_text(), image.imread(path).shape[:2]

    long = "scale demo · of earlier settings: " + ", ".join(f"a-run-with-a-name-{number}" for number in range(12))
    (_, short_size), (text, long_size) = size("scale demo · cpu"), size(long)
    assert short_size == (300, 600) and text.replace("\n", " ") == long
    assert long_size == (300 + 15 * text.count("\n"), 600) and text.count("\n") > 1


def test_words_that_are_not_drawn_are_counted(world):
    report_world.write_words("demo", world)
    path = paths.evaluation("demo", "words-tril2-k10") / "seed-0" / "gaps.csv"
    path.write_text(path.read_text() + "9999,0,1,2.0,1.0\n9998,1,1,2.0,1.0\n9998,1,2,2.0,1.0\n")
    record = paths.metrics("demo", "words-tril2-k10")
    content = files.read_json(record)
    if listed := content.get("files"):
        report_world.rewrite(record, files=listed | {"seed-0/gaps.csv": files.sha256(path)})
    words = gaps.read(path)
    short = len([word for word in words if len(word) < 3])
    _, written = drawn(world, "schmidt2018-figure1")
    assert any(f"not drawn: {short} of {len(words):,} words, of length 0/1" in text for text in written)
    _, written = drawn(world, "schmidt2018-figure2")
    assert any(f"of the words still alive, {len(words):,} at step 1" in text for text in written)
    assert {f"{len(found):,}" for found in gaps.at_steps(words).values()} <= set(written)


def test_figures_name_what_they_show(world):
    report_world.write_all("demo", world)
    for run in ("gaussians-nlsq", "gaussians-affine"):
        path = paths.metrics("demo", run)
        record = next(r for r in files.read_json(path)["metrics"] if r["metric"] == "source")
        known = [*files.read_json(path)["metrics"], record | {"metric": "source_entropy", "value": 1.97}]
        report_world.rewrite(path, metrics=known)
    written = drawn(world, "ziegler2019-figure5")[1]
    assert "(c) four Gaussians, true\nentropy 1.970, test 1.980 nats" in written
    assert any("NLSq, " in text and "seed 0\n2.000 nats" in text for text in written)
    assert any("the mean of the posterior" in text for text in drawn(world, "ziegler2019-figure6")[1])
    (title,) = [text for text in drawn(world, "ziegler2019-figure7")[1] if "fresh weights" in text]
    machine = inputs.times("demo", "ptb")[1]
    assert f"on {machine}; bars: 95 % intervals" in title and "what else ran on the machine is not recorded" in title


def test_datasets_have_their_proper_names(root):
    matrix = params.load(root / "params.yaml")
    laptop, demo = Results(matrix, "laptop"), Results(matrix, "demo")
    assert [corpus_label(laptop, name) for name in ("jsb", "tvqa", "words_types")] == [
        "JSB chorales", "TVQA questions", "words of Project Gutenberg, types",
    ]  # fmt: skip
    assert corpus_label(demo, "ptb") == "ptb (embedded)"
    real = [(scale, name) for scale in (laptop, Results(matrix, "paper")) for name in matrix.at(scale.scale).datasets]
    named = {scale.source(name) for scale, name in real if not scale.embedded(name)}
    assert named | {"bookscorpus"} == set(SOURCES)  # which a paper has, and nobody else any more


def test_report_and_tracking_import_without_torch_mlflow_and_matplotlib():
    code = (
        "import sys\n"
        "for name in ('torch', 'mlflow', 'matplotlib', 'pandas'): sys.modules[name] = None\n"
        "import seqflows.report.tables, seqflows.report.figures, seqflows.report.audit, seqflows.tracking\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": ":".join(sys.path), "PATH": ""})
