"""The stage compare: scores of texts, the same draws for all systems, and inputs that are not what they should be."""

from __future__ import annotations

import functools

import numpy as np
import pytest
import sacrebleu

import compared
from compared import SCALE, TABLE
from seqflows import files, paths, records
from seqflows.comparison import compare, scores, systems
from seqflows.data import download, prepare, prepared
from seqflows.errors import Problem
from seqflows.textscores import bleu, bootstrap, meteor

KEY = paths.Key(SCALE, TABLE)


def made(**options):
    compare.run(KEY, compared.matrix(**options))
    return files.read_sealed(paths.compared(*KEY))


def number(content, run, metric, seed=0):
    (found,) = [one for one in content["metrics"] if (one["run"], one["metric"], one["seed"]) == (run, metric, seed)]
    return found


def test_every_seed_has_records_like_those_of_metrics_json(wrote):
    content = made()
    assert (content["scale"], content["table"], content["sequences"], content["draws"]) == (SCALE, TABLE, 60, 200)
    found = {(one["run"], one["seed"], one["metric"]) for one in content["metrics"]}
    every = ("bleu", "rouge_l", "meteor", "words", "brevity", "answered", "different")
    assert found == {(run, seed, metric) for run, some in wrote.items() for seed in some for metric in every}
    (own,) = files.read_sealed(paths.metrics(SCALE, "flow"))["metrics"]
    for one in content["metrics"]:
        assert one["sequences"] == 60 and one["samples"] == 0 and one["dataset_sha256"] == own["dataset_sha256"]
        assert one["config_hash"] == files.digest(compared.scored(one["run"])) and one["device"] == "cpu"
        shares = dict.fromkeys(("answered", "different", "brevity"), "1")
        assert one["unit"] == (shares | {"words": "words"}).get(one["metric"], "%")
        assert (one["standard_error"] is None) == (one["metric"] == "different")
    assert content["missing"] == {} and content["absent"] == []


def test_the_scores_are_those_of_sacrebleu_and_of_the_texts(wrote):
    content = made()
    asked = compared.questions(60, 2)
    references = [" ".join(words) for words, *_ in asked]
    metric = sacrebleu.BLEU(tokenize="none", lowercase=True, smooth_method="none")
    for run, some in wrote.items():
        for seed, texts in some.items():
            theirs = metric.corpus_score(texts, [references]).score
            assert number(content, run, "bleu", seed)["value"] == pytest.approx(theirs, abs=1e-9)
            lengths = [len(text.split()) for text in texts]
            assert number(content, run, "words", seed)["value"] == pytest.approx(np.mean(lengths))
    assert content["bleu"] == str(metric.get_signature()) and "tok:none" in content["bleu"]
    assert content["meteor"] == "METEOR 1.5 -l en -norm"
    order = [number(content, run, "rouge_l")["value"] for run in ("words", "base", "flow")]
    assert order == sorted(order)


def test_one_meteor_serves_a_table(wrote, light):
    made()
    assert light.starts == 1


@pytest.mark.slow
def test_the_real_meteor_once_a_table(place, monkeypatch):
    """With Java: its own score of the whole corpus is that of the sums, for each system."""
    texts, starts = compared.write_all(8), []

    class Counted(meteor.Meteor):
        def __enter__(self):
            starts.append(self)
            return super().__enter__()

    monkeypatch.setattr(meteor, "Meteor", Counted)
    content = made()
    assert len(starts) == 1 and content["missing"] == {}
    found = [number(content, run, "meteor", seed)["value"] for run, some in texts.items() for seed in some]
    assert all(0 < value < 100 for value in found) and number(content, "flow", "meteor")["value"] > max(found[-1:])


def test_two_comparisons_are_equal_and_another_tables_draws_are_others(wrote):
    first = paths.compared(*KEY)
    made()
    before = {path.name: path.read_bytes() for path in first.parent.iterdir()}
    made()
    assert {path.name: path.read_bytes() for path in first.parent.iterdir()} == before
    assert compare.stream(KEY, "bootstrap") != compare.stream(paths.Key(SCALE, "other"), "bootstrap")
    assert compare.stream(KEY, "bootstrap") != compare.stream(KEY, "examples")


def test_errors_intervals_and_p_are_those_of_the_same_draws(wrote):
    """BLEU of each draw, counted once more from the questions that it has."""
    content = made()
    references = [words for words, *_ in compared.questions(60, 2)]
    draws = np.concatenate(list(bootstrap.counts(60, 200, compare.stream(KEY, "bootstrap")))).astype(int)

    def scored(texts):
        rows = np.array([bleu.statistics(text.split(), words) for text, words in zip(texts, references, strict=True)])
        every = [[n for n, count in enumerate(draw) for _ in range(count)] for draw in draws]
        return np.array([bleu.bleu(rows[places].sum(0)) for places in every])

    seeds = [scored(wrote["base"][seed]) for seed in (0, 1)]
    base, flow = np.mean(seeds, axis=0), scored(wrote["flow"][0])
    assert number(content, "base", "bleu", 1)["standard_error"] == pytest.approx(seeds[1].std(ddof=1))
    (shown,) = [one for one in content["intervals"] if (one["run"], one["metric"]) == ("base", "bleu")]
    assert (shown["low"], shown["high"]) == pytest.approx(tuple(np.quantile(base, [0.025, 0.975])))
    pairs = {(one["first"], one["second"], one["metric"]): one for one in content["pairs"]}
    assert len(pairs) == len(content["pairs"]) == 3 * 6
    gain = pairs["flow", "base", "bleu"]
    of_both = number(content, "flow", "bleu")["value"] - number(content, "base", "bleu", 0)["value"]
    assert gain["difference"] == pytest.approx(of_both)  # over the one seed that both have
    assert gain["standard_error"] == pytest.approx((flow - seeds[0]).std(ddof=1))
    assert gain["p"] == pytest.approx((1 + (flow - seeds[0] <= 0).sum()) / 201)
    assert gain["seeds_error"] is None
    back = pairs["base", "flow", "bleu"]
    assert back["difference"] == -gain["difference"] and back["p"] + gain["p"] >= 1


def test_a_gain_is_over_the_seeds_that_both_have():
    """The second seed of one run alone, a lucky one, does not count; a run without a common seed has no gain."""
    own = {("a", 0): 3.0, ("a", 1): 5.0, ("a", 2): 9.0, ("b", 0): 2.0, ("b", 1): 1.0, ("c", 7): 4.0}
    values = {seed: scores.Draws(value, value + np.arange(4.0)) for seed, value in own.items()}
    (gain, back) = scores.pairs({"bleu": values})
    assert [gain[part] for part in ("first", "second", "difference")] == ["a", "b", 2.5]
    assert gain["seeds_error"] == pytest.approx(1.5) and gain["standard_error"] == 0.0
    assert (back["first"], back["second"], back["difference"]) == ("b", "a", -2.5)


def test_equal_systems_have_no_gain(place, light):
    asked = compared.write_data()
    texts = compared.written(asked, 0.3, 0)
    for run in compared.RUNS:
        compared.write_run(run, {0: texts})
    for one in made()["pairs"]:
        assert one["difference"] == 0 and one["standard_error"] == 0 and one["p"] == 1


def test_empty_texts_score_nothing_and_are_counted(place, light):
    asked = compared.write_data()
    for run, texts in (("base", [""] * 60), ("flow", compared.written(asked, 0, 0)), ("words", ["", "x ||| y"] * 30)):
        compared.write_run(run, {0: texts})
    content = made()
    values = {run: [number(content, run, name)["value"] for name in scores.HEADLINES] for run in compared.RUNS}
    assert values["base"] == [0, 0, 0] and values["flow"] == pytest.approx([100, 100, 100])
    assert number(content, "base", "words")["value"] == 0 and number(content, "base", "different")["value"] == 1 / 60
    facts = {one["run"]: (one["empty"], one["barred"]) for one in content["systems"]}
    assert facts == {"base": (60, 0), "flow": (0, 0), "words": (30, 30)}


def test_of_an_embedded_source_what_can_be_reached_is_beside_them(place, light):
    """That of the likeliest question of each paragraph and answer: of its two forms, the one that the verb prefers."""
    block = {
        "kind": "pairs", "source": "embedded-questions", "seed": 3, "train": 30, "valid": 10, "test": 40, "window": 20,
        "question_length": 8, "vocabulary_size": 24, "dimensions": 4, "lexicon": 24,
    }  # fmt: skip
    raw, folder = paths.raw(SCALE, "asked"), paths.prepared(SCALE, "asked")
    download.fetch(block, raw)
    prepare.prepare(block, raw, folder, "asked")
    dataset = prepared.load(folder)
    asked = systems.questions(dataset)
    best = systems.likeliest(dataset)
    equal = [text == question.words for text, question in zip(best.texts, asked, strict=True)]
    assert 0.5 < np.mean(equal) < 1
    for question, text in zip(asked, best.texts, strict=True):
        assert text[-1] in ".?" and text[0] in ("what", "name") and question.context[question.answer[0] - 2] in text
    compared.write_run("base", {0: [" ".join(text) for text in best.texts]})
    content = made()
    own = {metric: number(content, "base", metric)["value"] for metric in content["reachable"]}
    assert own == content["reachable"] and 50 < own["bleu"] < 100
    assert {one["run"] for one in content["metrics"]} == {"base"} and content["pairs"] == []


def test_what_the_questions_themselves_have_is_beside_them(wrote):
    content = made()
    assert content["reachable"] == {} and content["reference"]["words"] > 8 and content["reference"]["answered"] == 0
    assert 0.5 < content["reference"]["different"] <= 1


class Dying:
    """A METEOR that cannot be started, or that dies after some texts."""

    def __init__(self, left):
        self.left = left

    def __enter__(self):
        if not self.left:
            raise Problem("expected Java for METEOR, found none; install it")
        return self

    def __exit__(self, *_):
        pass

    def statistics(self, *_):
        self.left -= 1
        if not self.left:
            raise Problem("expected METEOR to go on, but its Java ended with status -9: killed")
        return np.zeros(meteor.COUNTS)

    def score(self, *_):
        return 0.0


@pytest.mark.parametrize(("left", "reason"), [(0, "expected Java"), (100, "its Java ended with status -9")])
def test_without_meteor_the_other_metrics_stand(wrote, monkeypatch, left, reason):
    before = made()
    monkeypatch.setattr(meteor, "Meteor", lambda: Dying(left))
    content = made()
    assert list(content["missing"]) == ["meteor"] and reason in content["missing"]["meteor"]
    assert content["metrics"] == [one for one in before["metrics"] if one["metric"] != "meteor"]
    assert {one["metric"] for one in content["pairs"]} == {"bleu", "rouge_l"}


def test_a_meteor_that_disagrees_with_its_sums_is_missing(wrote, light, monkeypatch):
    monkeypatch.setattr(light, "score", lambda *_: 0.5)
    assert "expected METEOR of base to be that of its sums, 0." in made()["missing"]["meteor"]


def test_examples_are_drawn_by_the_tables_name(wrote):
    content = made()
    assert len(content["examples"]) == 3
    asked = {f"test-{place}": one for place, one in enumerate(compared.questions(60, 2))}
    for one in content["examples"]:
        words, context, (first, after) = asked[one["id"]]
        assert one["reference"] == " ".join(words) and one["answer"] == " ".join(context[first:after])
        assert f"{one['before']} {one['answer']} {one['after']}" == " ".join(context)
        assert one["texts"] == {run: some[0][int(one["id"][5:])] for run, some in wrote.items()}


def test_a_long_context_is_cut_about_its_answer():
    question = systems.Question("q", ["who"], [f"w{n}" for n in range(100)], (50, 52))
    written = [systems.System("flow", 0, [["it"]], {}, "")]
    (one,) = compare.examples(KEY, written, [question], 1)
    assert one["answer"] == "w50 w51" and one["before"].split()[:2] == ["...", "w30"] and one["before"].endswith("w49")
    assert one["after"].split()[0] == "w52" and one["after"].split()[-2:] == ["w71", "..."]


def test_contexts_without_answers_are_compared_too(place, light):
    """As translation has them: no share of texts that hold their answer."""
    compared.write_all(12)
    dataset = prepared.load(paths.prepared(SCALE, "asked"))
    asked = [question._replace(answer=None) for question in systems.questions(dataset)]
    read = functools.partial(systems.questions_of, ids=[question.id for question in asked])
    written = systems.systems(SCALE, "flow", dataset, read)
    content = compare.compared(KEY, written, asked, compare.Comparison(draws=100, examples=1))
    assert "answered" not in {one["metric"] for one in content["metrics"]} | content["reference"].keys()
    assert content["examples"][0]["answer"] == content["examples"][0]["after"] == ""


def test_runs_that_were_not_evaluated_are_left_out_and_named(wrote):
    content = made(runs=(*compared.RUNS, "later"))
    assert content["absent"] == ["later"] and {one["run"] for one in content["systems"]} == set(compared.RUNS)


def test_without_an_evaluated_run_it_says_what_to_run(place):
    with pytest.raises(Problem, match="expected evaluated runs of own-questions, found none; run: .* demo/base"):
        made()


def test_runs_of_two_datasets_are_refused(wrote):
    matrix = compared.matrix()
    matrix.runs["words"] = matrix.runs["words"] | {"dataset": "other"}
    matrix.datasets["other"] = matrix.datasets["asked"]
    with pytest.raises(Problem, match="expected runs of one dataset in own-questions, got asked, other; make a table"):
        compare.run(KEY, matrix)


def edited(change):
    path = paths.evaluation(SCALE, "flow") / "seed-0/texts.json"
    content = files.read_json(path)
    change(content["questions"])
    files.write_json(path, content)
    listed = files.read_sealed(paths.metrics(SCALE, "flow"))
    files.write_json(
        paths.metrics(SCALE, "flow"), files.sealed(listed | {"files": {"seed-0/texts.json": files.sha256(path)}})
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda some: some.pop(), "expected the 60 test questions in .*texts.json, in their order, got 59; run: "),
        (lambda some: some.reverse(), "expected the 60 test questions in .*, in their order, got 60 others"),
        (lambda some: some[3].pop("hypothesis"), "expected questions with id and hypothesis in .*KeyError"),
        (lambda some: some[3].update(hypothesis=None), "expected questions with id and hypothesis in .*Attribute"),
    ],
)
def test_texts_that_are_not_of_the_questions_are_refused(wrote, change, message):
    made()
    before = paths.compared(*KEY).read_bytes()
    edited(change)
    with pytest.raises(Problem, match=message):
        made()
    assert paths.compared(*KEY).read_bytes() == before  # nothing half-written


def test_texts_that_were_changed_or_are_of_other_data_are_refused(wrote):
    path = paths.evaluation(SCALE, "base") / "seed-1/texts.json"
    before = path.read_text()
    path.write_text(before.replace("where", "when"))
    with pytest.raises(
        Problem, match="expected .*seed-1/texts.json with sha256 .*, as base was evaluated, got .*; run"
    ):
        made()
    path.unlink()
    with pytest.raises(Problem, match="expected .*seed-1/texts.json with sha256 .*, got no file"):
        made()
    path.write_text(before)
    compared.write_data(61)
    with pytest.raises(Problem, match="expected texts of base for the present asked, got those for other data; run"):
        made()


def test_the_records_are_read_as_those_of_a_run(wrote):
    """And refused where they are not of their place, or hold what is no number."""
    content = made()
    assert records.comparison(SCALE, TABLE) == content
    assert records.comparison(SCALE, "other") is None
    path = paths.compared(*KEY)
    for changes, message in (
        (
            {"table": "other"},
            "expected the record of scale demo, table own-questions in .*, got that of",
        ),
        (
            {"metrics": [{**content["metrics"][0], "value": "3"}]},
            "a finite number for value of bleu of seed 0",
        ),
        ({"metrics": content["metrics"][:1] * 2}, "expected one record of bleu of seed 0"),
        ({"pairs": [{**content["pairs"][0], "p": None}]}, "expected a finite number for p of base and flow in bleu"),
        ({"pairs": [{}]}, "expected records of runs, and pairs with first, second, metric"),
    ):
        files.write_json(path, files.sealed(content | changes))
        with pytest.raises(Problem, match=message):
            records.comparison(SCALE, TABLE)
    path.write_text(path.read_text().replace("flow", "flaw", 1))
    with pytest.raises(Problem, match="expected the sha256 of its own content"):
        records.comparison(SCALE, TABLE)
