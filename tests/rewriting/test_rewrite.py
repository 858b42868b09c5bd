"""The stage rewrite: from trained runs and lines to candidates, their header, and what it refuses."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

from seqflows import files, params, paths
from seqflows.data import prepared, rewritten, tokens
from seqflows.data.embedded.clauses import NAMES, NOUNS, VERBS
from seqflows.data.lines import Lines, Passages
from seqflows.errors import Problem
from seqflows.rewriting import measure, rewrite
from staged import make

WORDS = [*NAMES[:8], *VERBS[:8], *NOUNS[:8], "the", "."]
PLACES = {word: place for place, word in enumerate([*tokens.SPECIAL, *WORDS])}
SIZE = {"train": 12, "valid": 6, "test": 6}  # passages of two lines, each with a question on the first
SETTINGS = {"count": 2, "measured": 8}
SCALE = "demo"


def passages(name: str, seed: int) -> Passages:
    """Passages of two sentences, with a question each; its answer is in the first, but in the last passage in both."""
    rng, count = np.random.default_rng(seed), SIZE[name]
    texts = [
        f"{NAMES[rng.integers(8)]} {VERBS[rng.integers(8)]} the {NOUNS[rng.integers(8)]} ." for _ in range(2 * count)
    ]
    free = np.tile([False, True], count)
    free[-1] = False
    one = Lines.of(["the"] * count, PLACES)
    ids = np.array([f"{name}-{place}" for place in range(count)])
    return Passages(
        Lines.of(texts, PLACES), 2 * np.arange(count + 1), ids, np.arange(count, dtype=np.int32), ids, one, one,
        np.arange(count + 1), free,
    )  # fmt: skip


LINES = SimpleNamespace(
    **{name: SimpleNamespace(contexts=passages(name, seed)) for seed, name in enumerate(SIZE)},
    vocabulary=list(PLACES), sha256="d" * 64,
)  # fmt: skip
ENTRIES = {
    "flow": {"generator": "flow", "runs": ["squad-flow"], "settings": {"noise": "tuned", "beam": 2}},
    "printed": {"generator": "flow", "runs": ["squad-flow"], "settings": {"noise": 0.5, "beam": 1}},
    "plus": {"generator": "flow_decoder", "runs": ["squad-flow_plus"], "settings": {"noise": 0.5, "beam": 2}},
    "paraphrase": {"generator": "paraphrase", "runs": ["paraphrase"], "settings": {"beam": 3}},
    "neighbours": {"generator": "neighbours", "words": "squad_sentences", "settings": {"cosine": 0.2}},
    "random": {"generator": "random_words", "like": "flow", "settings": {}},
    "same": {"generator": "same", "settings": {}},
    "some": {"generator": "same", "settings": {"share": 0.5}},
    "wrong": {"generator": "flow_decoder", "runs": ["squad-flow"], "settings": {}},
    "untrained": {"generator": "flow", "runs": ["tvqa-flow"], "settings": {}},
}
TRAINED = {"squad-flow": "squad_sentences", "squad-flow_plus": "squad_sentences", "paraphrase": "paraphrases"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with the three runs, each trained for an epoch."""
    found = tmp_path_factory.mktemp("staged")
    data = [(stage, name) for name in dict.fromkeys(TRAINED.values()) for stage in ("download", "prepare")]
    make(found, TRAINED, [*data, *(("train", run) for run in TRAINED)])
    return found


@pytest.fixture
def stage(folder, monkeypatch):
    """Run the stage for an entry; give its candidates."""
    monkeypatch.chdir(folder)
    read = prepared.load
    lines = paths.prepared(SCALE, "lines")
    monkeypatch.setattr(prepared, "load", lambda path, *rest: LINES if path == lines else read(path, *rest))
    matrix = params.load()
    rewrites = {
        name: {"dataset": "lines", **entry, SCALE: SETTINGS | entry["settings"]} for name, entry in ENTRIES.items()
    }
    matrix = dataclasses.replace(matrix, rewrites=rewrites)

    def run(name: str, again: bool = False) -> rewritten.Candidates:
        if again or not paths.rewritten(SCALE, name).is_dir():
            rewrite.run(paths.Key(SCALE, name), matrix)
        return rewritten.of(matrix, SCALE, name, LINES.sha256)

    return run


FREE = [place for place in range(1, 2 * SIZE["train"], 2)][:-1]


@pytest.mark.parametrize("name", ("flow", "printed", "plus", "paraphrase", "neighbours", "random", "same"))
def test_every_free_line_of_training_has_its_candidates(stage, name):
    if name == "random":
        stage("flow")
    found = stage(name)
    assert found.of.tolist() == [line for line in FREE for _ in range(2)]
    assert found.number.tolist() == [0, 1] * len(FREE) and all(text.strip() for text in found.lines.texts)
    header, texts = found.header, [LINES.train.contexts.lines.texts[line] for line in FREE]
    rows = [found.lines.texts[start : start + 2] for start in range(0, len(found.of), 2)]
    assert header["numbers"] == measure.numbers(texts, rows, LINES.train.contexts.lines.texts)
    assert (header["lines"], header["free"], header["rewritten"]) == (24, 11, 11) and header["kept_questions"] == 1
    assert header["generator"] == ENTRIES[name]["generator"] and header["dataset_sha256"] == LINES.sha256
    for one in header["runs"]:
        record = files.read_sealed(paths.seed(SCALE, one["run"], one["seed"]) / "train.json")
        assert one["model_sha256"] == record["files"]["model.safetensors"]
        assert one["dataset_sha256"] == record["dataset_sha256"]
    assert [one["run"] for one in header["runs"]] == ENTRIES[name].get("runs", [])
    assert bool(header["noise"]) == (name in ("flow", "printed", "plus"))
    if name == "same":
        assert header["numbers"]["equal"] == 1 and header["numbers"]["changed"] == 0
        assert header["exceptions"]["equal to the original"] == 22


def test_the_noise_is_told_and_a_flow_without_it_gives_the_lines_back(stage):
    tuned, printed = (stage(name).header["noise"] for name in ("flow", "printed"))
    assert tuned["right"] == printed["right"] == 1.0  # an exact inverse, whatever the model has learned
    assert printed["variance"] == 0.5 and printed["shares"]["0.5"] == printed["changed_at_printed"] > 0
    share = tuned["shares"][f"{tuned['variance']:g}"]
    assert tuned["within"] == (0.1 <= share <= 0.3) and tuned["below_the_grid"] == (tuned["variance"] < 0.1)


def test_only_lines_of_training_are_rewritten_and_only_lines_of_validation_measured(stage, monkeypatch):
    asked = {}
    original = rewrite.flows.Flow.rewrite

    def spied(generator, texts, count):
        asked.setdefault(count, []).append(list(texts))
        return original(generator, texts, count)

    monkeypatch.setattr(rewrite.flows.Flow, "rewrite", spied)
    stage("flow", again=True)
    assert asked[2] == [[LINES.train.contexts.lines.texts[line] for line in FREE]]
    measured = [LINES.valid.contexts.lines.texts[line] for line in range(1, 11, 2)]
    assert all(texts == measured for texts in asked[1]) and len(asked[1]) > 2
    assert asked.keys() == {1, 2}


def test_random_words_change_as_much_as_the_flow(stage):
    flow, other = stage("flow"), stage("random")
    texts = [LINES.train.contexts.lines.texts[line] for line in FREE]
    written = [[found.lines.texts[start : start + 2] for start in range(0, 22, 2)] for found in (flow, other)]
    changed = measure.changed(texts, written[0])
    cut = [tokens.tokenize(text) for text in texts]
    words = np.array([[sum(token.isalpha() for token in text)] for text in cut])
    others = [  # place by place: one replaced by the next of its text would count less in the fewest changes
        [sum(a != b for a, b in zip(text, tokens.tokenize(one), strict=True)) for one in row]
        for text, row in zip(cut, written[1], strict=True)
    ]
    assert (np.array(others) == np.minimum(changed, words)).all() and changed.any()


def test_a_share_of_the_lines_is_rewritten(stage):
    found = stage("some")
    assert set(found.of.tolist()) < set(FREE) and found.header["rewritten"] == round(11 / 2)


def test_the_same_content_every_time(stage):
    for name in ("printed", "neighbours"):
        assert stage(name).sha256 == stage(name, again=True).sha256


def test_runs_of_another_class_or_untrained_are_refused_and_nothing_is_left(stage):
    with pytest.raises(Problem, match="a run of flow_decoder for generator: flow_decoder, got another"):
        stage("wrong")
    with pytest.raises(Problem, match=r"run: python -m seqflows download demo/tvqa_sentences"):
        stage("untrained")
    assert not any(paths.rewritten(SCALE, name).exists() for name in ("wrong", "untrained"))


def test_without_lines_of_validation_no_noise_is_measured(stage, monkeypatch):
    given = LINES.valid.contexts
    monkeypatch.setattr(LINES.valid, "contexts", dataclasses.replace(given, free=np.zeros_like(given.free)))
    with pytest.raises(Problem, match="lines of validation .*, on which the noise of squad-flow is measured, got none"):
        stage("flow", again=True)


def test_candidates_of_a_model_trained_anew_are_refused(stage, folder):
    found = stage("flow")
    path = paths.rewritten(SCALE, "flow")
    header = found.header | {"runs": [found.header["runs"][0] | {"model_sha256": "0" * 64}]}
    files.write_json(path / "candidates.json", header)
    (path / "checksums.json").unlink()
    prepared.seal(path)
    with pytest.raises(Problem, match="by the present model of squad-flow with sha256 .*, got those by 000000000000"):
        stage("random", again=True)
