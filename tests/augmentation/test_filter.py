"""The filter of rewritten contexts: by hand on a judge that is told what to answer, as a stage, and what it refuses."""

from __future__ import annotations

import dataclasses
import shutil

import numpy as np
import pytest
import torch
from torch import nn

import choices
import spans
from conftest import ROOT
from seqflows import compute, files, params, paths
from seqflows.augmentation import filter as filtering
from seqflows.data import filtered, prepared, rewritten, tokens
from seqflows.data.lines import Lines
from seqflows.data.rewritten import Candidates
from seqflows.errors import Problem
from seqflows.models.base import Answered
from staged import make

CPU = compute.Machine(torch.device("cpu"), "cpu", 1, "fp32")
KNOWN = {word: place for place, word in enumerate(spans.vocabulary(12))}


def written(passages, texts, count=2, chosen=None) -> Candidates:
    """Candidates of every free line, of which ``texts(line, number)`` is the text."""
    chosen = rewritten.free_lines(passages) if chosen is None else np.array(chosen)
    numbers = np.tile(np.arange(count), len(chosen))
    of = np.repeat(chosen, count)
    listed = [texts(line, number) for line, number in zip(of, numbers, strict=True)]
    lines = Lines.of(listed, KNOWN)
    if width := passages.lines.width:
        lines = lines.featured(np.zeros((len(lines.words), width), dtype=np.float16))
    return Candidates(lines, of, numbers, {}, "c" * 64)


class Told(nn.Module):
    """A judge that answers with the right text where the context has no word w11, and else with a wrong one."""

    def __init__(self, split):
        super().__init__()
        self.split = split
        self.asked: list[tuple[str, ...]] = []

    def answer(self, given):
        self.asked += given.texts
        places = [self.split.contexts.questions.texts.index(one) for one in given.questions]
        return [
            "none of it" if "w11" in " ".join(text) else self.split.contexts.answers_of(place)[0]
            for place, text in zip(places, given.texts, strict=True)
        ]


def told():
    """A split whose questions differ in their text and whose contexts lack w11, with such a judge."""
    split = spans.split(np.random.default_rng(1), 14, words=11)
    passages = split.contexts
    asked = Lines.of([f"w{4 + place // 4} " * (1 + place % 4) for place in range(14)], KNOWN).featured(
        np.zeros((sum(1 + place % 4 for place in range(14)), 3), dtype=np.float16)
    )
    split = dataclasses.replace(split, contexts=dataclasses.replace(passages, questions=asked))
    assert len(set(asked.texts)) == 14 and not (passages.lines.words == 11).any()
    return split, Told(split)


def test_a_candidate_is_kept_where_the_answer_is_no_worse():
    """Number 0 misleads, number 1 does not, number 2 has the original's tokens: what is kept can be said by hand."""
    split, judge = told()
    passages = split.contexts
    made = written(
        passages, lambda line, n: ("w11 w4", "w4 w4 w5 w6 w7", passages.lines.texts[line].upper())[n], count=3
    )
    seen = filtering.facing(passages, made)
    result = filtering.scored(judge, split, made, seen, CPU)
    some = np.array([passages.free_of(place).any() for place in range(14)])
    assert some.any() and not some.all()
    assert (seen.there == some[:, None]).all() and (seen.other == some[:, None] & [True, True, False]).all()
    assert (result.kept == some[:, None] & [False, True, True]).all()
    assert len(judge.asked) == 14 + 2 * some.sum(), "a context of the original's tokens is not asked again"
    found = filtering.numbers(result, seen)
    assert found["acceptance"] == pytest.approx(2 / 3) and found["acceptance_changed"] == 1 / 2
    assert found["original"] == 1 and found["unfiltered"] == pytest.approx(2 / 3) and found["kept"] == some.mean()


def test_a_candidate_of_the_same_tokens_is_no_other_text():
    """What a model gives back is lower-cased with its tokens apart; a judge that reads tokens is not asked about it."""
    assert tokens.alike("Amy's red door closes.", "amy 's red door closes .")
    assert not tokens.alike("Amy's red door closes.", "amy 's red door opens .")
    kept = filtering.Scored(np.array([0.5, 0.5]), np.array([[0.5 - 1e-8, 0.5], [0.49, np.nan]])).kept
    assert kept.tolist() == [[True, True], [False, False]]


def test_a_tie_stays_also_where_the_original_is_answered_wrongly():
    split, judge = told()
    lines = split.contexts.lines
    bad = Lines.of(["w11"] * len(lines), KNOWN).featured(np.zeros((len(lines), 3), dtype=np.float16))
    symbols = np.tile([0, 0, 0], 14).astype(np.int32)
    split = dataclasses.replace(split, symbols=symbols, contexts=dataclasses.replace(split.contexts, lines=bad))
    judge = Told(split)
    made = written(split.contexts, lambda line, number: "w11 w11")
    seen = filtering.facing(split.contexts, made)
    result = filtering.scored(judge, split, made, seen, CPU)
    assert (result.original == 0).all() and (result.kept == seen.there).all()


def test_a_line_without_candidates_stays_and_without_any_the_question_has_none():
    split, judge = told()
    free = rewritten.free_lines(split.contexts)
    made = written(split.contexts, lambda line, number: "w4", chosen=free[:1])
    seen = filtering.facing(split.contexts, made)
    holds = [free[0] in split.contexts.of(n)[split.contexts.free_of(n)] for n in range(14)]
    assert seen.there[:, 0].tolist() == holds and 0 < sum(holds) < 14
    assert not filtering.scored(judge, split, made, seen, CPU).kept[~np.array(holds)].any()
    closed = dataclasses.replace(split.contexts, free=np.zeros_like(split.contexts.free))
    with pytest.raises(Problem, match="expected candidates for the 14 training questions, got none"):
        filtering.facing(closed, made)


class Chooser(nn.Module):
    """A judge whose right answers have a probability that falls with the words of the context's lines."""

    def choose(self, given):
        words = given.line_lengths.sum(1).double()
        right = torch.exp(-words / 50)
        rest = ((1 - right) / 2)[:, None].repeat(1, 3)
        return Answered(torch.log(rest.scatter(1, given.correct[:, None], right[:, None])), None)


def test_of_choices_the_probability_of_the_right_answer_decides():
    split = choices.split(np.random.default_rng(2), 20)
    passages = split.contexts
    made = written(passages, lambda line, number: ("w4", "w4 w5 w6 w7 w8 w9")[number])
    seen = filtering.facing(passages, made)
    result = filtering.scored(Chooser(), split, made, seen, CPU)
    for place in range(20):
        own, free = passages.of(place), passages.free_of(place)
        lengths = passages.lines.lengths[own]
        for number, length in enumerate((1, 6)):
            words = np.where(free, length, lengths).sum()
            assert result.kept[place, number] == (words <= lengths.sum())
            assert result.candidates[place, number] == pytest.approx(np.exp(-words / 50))
    assert result.kept[:, 0].all() and not result.kept[:, 1].all()


def test_a_score_that_is_not_finite_is_refused(monkeypatch):
    split, judge = told()
    made = written(split.contexts, lambda line, number: "w4")
    monkeypatch.setitem(filtering.SCORES, "span", lambda model, split, batch: np.full(len(batch.x), np.nan))
    with pytest.raises(Problem, match="expected a finite score of every context"):
        filtering.scored(judge, split, made, filtering.facing(split.contexts, made), CPU)


# -- two judges


class Lenient(Told):
    """A judge that knows by heart the answers of the questions that it was trained on, whatever the context."""

    def __init__(self, split, half):
        super().__init__(split)
        self.known = {split.contexts.questions.texts[place] for place in split.contexts.half(half)}
        self.questions: list[str] = []

    def answer(self, given):
        self.questions += given.questions
        places = [self.split.contexts.questions.texts.index(one) for one in given.questions]
        honest = super().answer(given)
        return [
            self.split.contexts.answers_of(place)[0] if one in self.known else answer
            for place, one, answer in zip(places, given.questions, honest, strict=True)
        ]


def crosswise(split, order=(0, 1)):
    """Two lenient judges in an order, their blocks, what the questions face, and the verdict."""
    judges = [Lenient(split, half) for half in order]
    blocks = {f"half{half}": {"training": {"half": half}} for half in order}
    candidates = written(split.contexts, lambda line, n: ("w11 w4", "w4 w4 w5 w6 w7")[n])
    seen, by = filtering.facing(split.contexts, candidates), filtering.readers(split.contexts, [*blocks.values()])
    results = [filtering.scored(judge, split, candidates, seen, CPU, by == n) for n, judge in enumerate(judges)]
    return judges, blocks, seen, by, filtering.crossed(results, by)


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_every_question_is_judged_by_the_run_that_was_not_trained_on_it(order):
    """Each judge keeps anything for the questions that it knows: what misleads is found for all of them."""
    split, _ = told()
    judges, _, seen, by, result = crosswise(split, order)
    for judge, half in zip(judges, order, strict=True):
        others = {split.contexts.questions.texts[place] for place in split.contexts.half(1 - half)}
        assert set(judge.questions) == others and not others & judge.known
    assert (np.array(order)[by] != split.contexts.halves).all()
    assert (result.kept == seen.there & [False, True]).all() and np.isfinite(result.original).all()
    misleading = written(split.contexts, lambda line, number: "w11 w4")
    alone = filtering.scored(Lenient(split, 0), split, misleading, seen, CPU)
    known = split.contexts.halves == 0
    assert (alone.kept == seen.there & known[:, None]).all(), "a judge that has seen the question is lenient"


def test_a_single_judge_reads_all_and_has_no_halves():
    split, judge = told()
    by = filtering.readers(split.contexts, [{"training": {}}])
    assert (by == 0).all()
    made = written(split.contexts, lambda line, number: "w4 w4")
    seen = filtering.facing(split.contexts, made)
    alone = filtering.scored(judge, split, made, seen, CPU)
    again = filtering.crossed([filtering.scored(judge, split, made, seen, CPU, by == 0)], by)
    for one, other in zip(alone, again, strict=True):
        np.testing.assert_array_equal(one, other)
    assert filtering.by_half(alone, seen, by, {"base": {"training": {}}}) == {}


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_the_numbers_of_the_halves_are_those_of_their_questions(order):
    split, _ = told()
    _, blocks, seen, by, result = crosswise(split, order)
    rows = filtering.by_half(result, seen, by, blocks)["halves"]
    assert [(row["half"], row["judge"]) for row in rows] == [(0, "half1"), (1, "half0")]
    whole = filtering.numbers(result, seen)
    sizes = [seen.there[split.contexts.halves == half].sum() for half in (0, 1)]
    assert [row["questions"] for row in rows] == [len(split.contexts.half(half)) for half in (0, 1)]
    acceptance = [row["acceptance"] for row in rows]
    assert np.average(acceptance, weights=sizes) == pytest.approx(whole["acceptance"]) == pytest.approx(0.5)
    bare = filtering.Facing(seen.there & (split.contexts.halves == 0)[:, None], seen.other)
    with pytest.raises(Problem, match="expected candidates for questions of both halves, got none of half 1"):
        filtering.by_half(result, bare, by, blocks)


def test_a_judge_that_was_trained_on_its_questions_is_refused():
    split, _ = told()
    passages = split.contexts
    records = [{"scale": "demo", "half": passages.halved(half)} for half in (0, 1)] + [{"scale": "demo"}]
    read = passages.halves == 1
    filtering.unseen(passages, "squad-qa-half0", records[0], read)
    filtering.unseen(passages, "squad-qa", records[2], np.ones(14, dtype=bool))
    for record, some in ((records[1], read), (records[2], read), (records[0], np.ones(14, dtype=bool))):
        with pytest.raises(
            Problem, match="expected judge to be trained on the questions that it does not judge, .*got"
        ):
            filtering.unseen(passages, "judge", record, some)


# -- the stage

ENTRY, SCALE = "squad-same", "demo"
DATA = [("download", "squad_answers"), ("prepare", "squad_answers"), ("features", "squad_answers")]
JOBS = [("rewrite", ENTRY), ("features", ENTRY), ("train", "squad-qa"), ("filter", ENTRY)]
JOBS += [("train", "squad-qa-same"), ("evaluate", "squad-qa-same")]
HALVES = ["squad-qa-half0", "squad-qa-half1"]
JOBS += [("train", half) for half in HALVES]
RUNS = ("squad-qa", "squad-qa-same")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with the filter alone made by the stages, and a run trained on it."""
    found = tmp_path_factory.mktemp("filtered")
    every = params.load(ROOT / "params.yaml").at(SCALE).runs
    make(found, [run for run in every if run.startswith("squad-qa")], [*DATA, *JOBS])  # of equal steps
    return found


@pytest.fixture
def world(folder, tmp_path, monkeypatch):
    """A copy of it that a test may change, with its matrix and dataset."""
    shutil.copytree(folder, tmp_path / "world")
    monkeypatch.chdir(tmp_path / "world")
    monkeypatch.setenv("SEQFLOWS_CHECKPOINTS", str(tmp_path / "world/checkpoints"))
    matrix = params.load()
    return matrix, prepared.of(matrix, SCALE, "squad_answers")


def test_the_filter_alone_leaves_the_training_as_it_is(world):
    """Every context of it is the original: all are kept, and the run is the judge again, to the bit."""
    matrix, dataset = world
    found = filtered.of(matrix, SCALE, ENTRY, dataset)
    free = [dataset.train.contexts.free_of(place).any() for place in range(len(dataset.train))]
    assert (found.kept[0] == np.array(free)[:, None]).all() and found.header["without_candidates"] == free.count(False)
    assert found.header["equal"] == found.header["candidates"] == 2 * sum(free)
    (row,) = found.header["seeds"]
    assert row["acceptance"] == 1 and row["acceptance_changed"] is None and row["original"] == row["unfiltered"]
    one, other = (files.read_sealed(paths.seed(SCALE, run, 0) / "train.json") for run in RUNS)
    assert one["files"]["model.safetensors"] == other["files"]["model.safetensors"]
    assert one["epochs"] == other["epochs"] and "kept_sha256" not in one
    assert other["candidates_sha256"] == found.candidates.sha256 and other["augmented"] == ENTRY
    assert other["candidates_features_sha256"] == prepared.combined(
        files.read_json(paths.features(SCALE, ENTRY) / "checksums.json")["files"]
    )
    assert found.origin(0).items() <= other.items() and len(found.origin(0)) == 3


def test_neither_validation_nor_test_is_read(world, monkeypatch):
    """With both halves taken away the stage makes the same folder again."""
    matrix, dataset = world
    before = filtered.of(matrix, SCALE, ENTRY, dataset).sha256
    bare = dataclasses.replace(dataset, valid=None, test=None)
    bare.__dict__["_facts"] = dataset.facts()  # of the model, whose lengths are those of training and validation
    monkeypatch.setattr(prepared, "of", lambda *rest: bare)
    shutil.rmtree(paths.filtered(SCALE, ENTRY))
    filtering.run(paths.Key(SCALE, ENTRY), matrix)
    assert filtered.of(matrix, SCALE, ENTRY, dataset).sha256 == before


CROSSED = "squad-same-crossfit"


@pytest.fixture
def crossed(world):
    """The same with a filter by two judges, each trained on one half of the questions."""
    matrix, dataset = world
    matrix = dataclasses.replace(matrix, crossfits={CROSSED: {"contexts": ENTRY, "judges": HALVES}})
    filtering.run(paths.Key(SCALE, CROSSED), matrix)
    return matrix, dataset


def test_two_judges_leave_a_header_and_a_verdict_on_every_question(crossed):
    matrix, dataset = crossed
    found, single = (filtered.of(matrix, SCALE, name, dataset) for name in (CROSSED, ENTRY))
    assert (found.kept[0] == single.kept[0]).all() and found.candidates.sha256 == single.candidates.sha256
    trained = [files.read_sealed(paths.seed(SCALE, half, 0) / "train.json") for half in HALVES]
    assert found.header["judge"] == HALVES and found.header["rewriting"] == ENTRY
    assert found.header["models"] == {"0": [one["files"]["model.safetensors"] for one in trained]}
    (row,) = found.header["seeds"]
    assert [one["judge"] for one in row["halves"]] == HALVES[::-1] and row["acceptance"] == 1
    assert sum(one["questions"] for one in row["halves"]) == len(dataset.train)
    assert "halves" not in single.header["seeds"][0] and single.header["judge"] == "squad-qa"
    for number, one in enumerate(trained):
        assert one["half"] == dataset.train.contexts.halved(number) and one["half"]["of_sequences"] == 800
        assert one["half"]["sequences"] == 400
    assert "half" not in files.read_sealed(paths.seed(SCALE, "squad-qa", 0) / "train.json")


def test_a_judge_of_the_wrong_half_or_trained_anew_is_refused(crossed, monkeypatch):
    matrix, dataset = crossed
    folder = paths.filtered(SCALE, CROSSED)
    models = files.read_json(folder / "filter.json")["models"]["0"]
    resealed(folder, models={"0": [models[0], "0" * 64]})
    with pytest.raises(Problem, match="by the present model of squad-qa-half1, seed 0, .*, got those by 000000000000"):
        filtered.of(matrix, SCALE, CROSSED, dataset)
    resealed(folder, judge="squad-qa")
    with pytest.raises(Problem, match="that squad-qa-half0 and squad-qa-half1 judged, got those of squad-qa; run: "):
        filtered.of(matrix, SCALE, CROSSED, dataset)
    turned = dataclasses.replace(dataset.train.contexts)
    turned.__dict__["halves"] = 1 - dataset.train.contexts.halves
    other = dataclasses.replace(dataset, train=dataclasses.replace(dataset.train, contexts=turned))
    monkeypatch.setattr(prepared, "of", lambda *rest: other)
    wanted = (
        "expected squad-qa-half0 to be trained on the questions that it does not judge, .*; run: .*train demo/squad-qa"
    )
    with pytest.raises(Problem, match=wanted):
        filtering.run(paths.Key(SCALE, CROSSED), matrix)


def resealed(folder, name="filter.json", **changes):
    """Change entries of a header, and its checksums with it."""
    files.write_json(folder / name, files.read_json(folder / name) | changes)
    (folder / "checksums.json").unlink()
    prepared.seal(folder)


PARTS = [
    ("dataset_sha256", "the prepared data"), ("features_sha256", "the features"),
    ("candidates_sha256", "the candidates"), ("candidates_features_sha256", "the candidates' features"),
]  # fmt: skip


@pytest.mark.parametrize(("part", "what"), PARTS)
def test_candidates_of_other_data_are_refused(world, part, what):
    matrix, dataset = world
    resealed(paths.filtered(SCALE, ENTRY), **{part: "0" * 64})
    with pytest.raises(Problem, match=f"of {what} with sha256 .*, got those of 000000000000.*filter {SCALE}/{ENTRY} "):
        filtered.of(matrix, SCALE, ENTRY, dataset)


def test_another_judge_or_one_trained_anew_is_refused(world):
    matrix, dataset = world
    folder = paths.filtered(SCALE, ENTRY)
    models = files.read_json(folder / "filter.json")["models"]
    resealed(folder, models={"0": "0" * 64})
    with pytest.raises(Problem, match="by the present model of squad-qa, seed 0, .*, got those by 000000000000"):
        filtered.of(matrix, SCALE, ENTRY, dataset)
    resealed(folder, models=models, judge="tvqa-qa")
    with pytest.raises(Problem, match="that squad-qa judged, got those of tvqa-qa; run: python -m seqflows filter"):
        filtered.of(matrix, SCALE, ENTRY, dataset)


def test_a_changed_file_or_an_array_of_another_shape_is_refused(world):
    matrix, dataset = world
    folder = paths.filtered(SCALE, ENTRY)
    np.savez(folder / "kept.npz", **{"seed-0": np.ones((3, 2), dtype=bool)})
    with pytest.raises(Problem, match=r"kept.npz with sha256"):
        filtered.of(matrix, SCALE, ENTRY, dataset)
    resealed(folder)
    with pytest.raises(Problem, match=r"whether each of \(800, 2\) candidates .* of the shape \(3, 2\) for seed"):
        filtered.of(matrix, SCALE, ENTRY, dataset)
    shutil.rmtree(folder)
    with pytest.raises(Problem, match="the filtered candidates .*, found none; run: python -m seqflows filter"):
        filtered.of(matrix, SCALE, ENTRY, dataset)


def test_a_run_of_a_seed_that_has_not_judged_is_not_trained(world):
    from seqflows.training import loop

    matrix, dataset = world
    key = paths.Key(SCALE, "squad-qa-same")
    block = matrix.run(SCALE, key.name) | {"seeds": [0, 5]}
    with pytest.raises(Problem, match=r"judged by each seed of demo/squad-qa-same, got none by \[5\]"):
        loop.contexts(key, matrix, block, dataset)


def test_a_model_trained_with_other_contexts_is_not_scored(world):
    from seqflows.evaluation import loading

    matrix, dataset = world
    key = paths.Key(SCALE, "squad-qa-same")
    loading.load(key, matrix.run(SCALE, key.name), 0, dataset, CPU)
    resealed(paths.filtered(SCALE, ENTRY), candidates_sha256="1" * 64)
    with pytest.raises(Problem, match="the present contexts of squad-same, candidates_sha256 111111111111"):
        loading.load(key, matrix.run(SCALE, key.name), 0, dataset, CPU)
