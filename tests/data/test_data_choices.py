"""Choices: the embedded dialogues and their rule, what is prepared of TVQA's files, and what is gathered of it."""

import collections
import json

import numpy as np
import pytest

from raw import SRT, VECTORS, archive, asked, lines, raw_folder
from seqflows.data import download, prepare, prepared, tokens
from seqflows.data.batching import collate, order
from seqflows.data.embedded import dialogues
from seqflows.data.kinds import choices
from seqflows.data.lines import Lines, Replacement
from seqflows.data.readers import tvqa
from seqflows.errors import Problem

BLOCK = {"kind": "choices", "source": "embedded-dialogues", "seed": 3, "train": 60, "valid": 15, "test": 20}
REAL = {"kind": "choices", "source": "tvqa-choices-descriptions", "dimensions": 3, "glove": "6B-50d"}
OPTIONS = {"lexicon": 24, "lines": 6, "met": 3, "asked": 2, "dimensions": 8, "concepts": 0}


@pytest.fixture(scope="module")
def embedded(tmp_path_factory):
    folder = tmp_path_factory.mktemp("embedded")
    download.fetch(BLOCK, folder / "raw")
    prepare.prepare(BLOCK, folder / "raw", folder / "out", "small")
    return folder / "raw", prepared.load(folder / "out")


def source(**changes):
    return dialogues.build(OPTIONS | changes, np.random.default_rng(1))


# the embedded source


def in_words(split, known):
    return [choices.in_words(split.contexts, n, known, int(split.symbols[n])) for n in range(len(split))]


def test_a_reader_of_the_rule_is_always_right(embedded):
    raw, data = embedded
    found = prepare.embedded.read(raw)
    for name, count in (("train", 60), ("valid", 15), ("test", 20)):
        told = in_words(getattr(data, name), data.vocabulary)
        assert len(told) == count
        assert [found.right(one.lines, one.question, one.answers) for one in told] == [one.correct for one in told]
        assert (getattr(data, name).source_log_prob == 0).all()
    assert found.entropy() == 0 and data.statistics["source_entropy"]["nats_per_symbol"] == 0


def test_all_words_of_all_answers_stand_in_the_dialogue(embedded):
    _, data = embedded
    for one in in_words(data.train, data.vocabulary):
        said = collections.Counter(word for line in one.lines for word in line)
        nouns = [answer[1] for answer in one.answers]
        assert [said[noun] for noun in nouns] == [1] * 5 and len(set(nouns)) == 5
        names, verbs = ({line[place] for line in one.lines} for place in (0, 3))
        assert max(len(names), len(verbs)) <= 3 < len(one.lines)  # neither alone tells the line


def test_right_answers_are_everywhere_and_a_question_is_of_one_or_two_lines(embedded):
    _, data = embedded
    split = data.train
    assert set(split.symbols.tolist()) == set(range(5))
    sizes = set()
    for n, one in enumerate(in_words(split, data.vocabulary)):
        free = split.contexts.free_of(n)
        sizes.add(int(free.sum()))
        (place,) = [i for i, line in enumerate(one.lines) if [line[0], line[3]] == list(one.question[2:4])]
        assert free[place] and one.answers[one.correct][1] == one.lines[place][5]
        inside = split.contexts.times[split.contexts.of(n)][free]
        assert split.contexts.spans[n].tolist() == [inside[0, 0], inside[-1, 1]]
    assert sizes == {1, 2}


def test_every_other_test_question_is_in_the_second_set(embedded):
    raw, data = embedded
    assert data.train.contexts.plus is None and data.valid.contexts.plus is None
    assert data.test.contexts.plus.tolist() == [True, False] * 10
    listed = [str(question.id) for question in tvqa.questions(raw / dialogues.PLUS)]
    assert listed == data.test.contexts.ids[::2].tolist()
    counts = data.statistics["splits"]
    assert (counts["test"]["plus"], counts["test"]["plus_missing"]) == (10, 0) and "plus" not in counts["train"]


def test_what_the_rule_does_not_tell_is_impossible():
    found = source()
    line = ["anna", ":", "i", "put", "the", "book", "."]
    question, answers = ["what", "did", "anna", "put", "?"], [["the", "book"], ["the", "door"]]
    told = [
        dialogues.Told([line], question, answers, 0),
        dialogues.Told([line], question, answers, 1),  # another answer
        dialogues.Told([line, line], question, answers, 0),  # told twice
        dialogues.Told([line], ["what", "did", "ben", "put", "?"], answers, 0),
        dialogues.Told([line], question[:4], answers, 0),
        dialogues.Told([line], question, answers[:1] * 2, 0),
    ]
    assert found.log_probs(told).tolist() == [0, *[-np.inf] * 5]


def test_no_dialogue_is_in_two_splits_and_a_block_decides_the_files(embedded, tmp_path):
    raw, _ = embedded
    said = [tuple(line.text for line in told) for told in tvqa.subtitles(raw / dialogues.SUBTITLES).values()]
    assert len(set(said)) == len(said) == 30 + 8 + 10
    download.fetch(BLOCK, tmp_path / "again")
    for path in raw.iterdir():
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes(), path.name


@pytest.mark.parametrize("changes", [{"lines": 4}, {"lines": 10, "met": 3}, {"met": 9, "lexicon": 24}, {"lines": 9}])
def test_sizes_without_room_are_refused(changes):
    with pytest.raises(Problem, match="expected lines of at least 5, .* got lines"):
        source(**changes)


def test_more_things_than_sorts_are_refused():
    assert source(concepts=6).concepts == 6 and len(source(concepts=6).vocabulary) == len(source().vocabulary) + 6
    with pytest.raises(Problem, match="expected concepts of at most the sorts of things, 6, for .*, got 7; correct"):
        source(concepts=7)


def test_too_few_dialogues_are_refused(tmp_path):
    small = source(lexicon=15, lines=5)
    seen = set()
    monotone = type("Rng", (), {"permutation": lambda _, value: np.array(value if np.ndim(value) else range(value)),
                                "integers": lambda _, *a: np.full(a[2], 20) if len(a) > 2 else 0})()  # fmt: skip
    small._another(monotone, seen)
    with pytest.raises(Problem, match="expected another dialogue than the 1 there are"):
        small._another(monotone, seen)


# what is prepared of TVQA's files


def described(clip, *told):
    return [{"vid_name": clip, "desc": text, "ts": [start, end]} for start, end, text in told]


CLIPS = [f"s01e01_seg01_clip_{number:02d}" for number in range(12)]
TOLD = ((0, 2, "The dog ran."), (3, 5, "It did what the dog did?"), (4, 9, "The end."))


def raw_of(tmp_path, questions, descriptions, name="raw"):
    contents = {
        "tvqa_plus_val.json": json.dumps(questions), "tvr_val_release.jsonl": lines(*descriptions),
        "glove.txt": VECTORS,
    }  # fmt: skip
    return raw_folder(tmp_path / name, contents)


def a_corpus(**changes):
    found = [asked(clip, qid=number, **changes) for number, clip in enumerate(CLIPS)]
    return found, [row for clip in CLIPS for row in described(clip, *TOLD)]


def prepared_of(tmp_path, questions, descriptions, block=REAL):
    prepare.prepare(block, raw_of(tmp_path, questions, descriptions), tmp_path / "out", "x")
    return prepared.load(tmp_path / "out")


def test_questions_have_all_lines_of_their_clips_and_those_of_their_time_are_free(tmp_path):
    questions, descriptions = a_corpus()
    times = ([2.5, 3.5], [2, 3], [4.5, 4.8], [20, 30], [0, 9], [3, 3])
    for question, time in zip(questions, [*times, *times], strict=True):
        question["ts"] = time
    data = prepared_of(tmp_path, questions, descriptions)
    wanted = {(2.5, 3.5): [1], (2, 3): [0], (4.5, 4.8): [1, 2], (20, 30): [2], (0, 9): [0, 1, 2], (3, 3): [1]}
    seen = 0
    for split in (data.train, data.valid, data.test):
        passages = split.contexts
        assert split.symbols.tolist() == [3] * len(split) and split.source_log_prob is None
        for n in range(len(split)):
            assert [passages.lines.texts[line] for line in passages.of(n)] == [text for *_, text in TOLD]
            assert passages.times[passages.of(n)].tolist() == [[start, end] for start, end, _ in TOLD]
            assert np.flatnonzero(passages.free_of(n)).tolist() == wanted[tuple(passages.spans[n].tolist())]
            assert passages.answers_of(n) == tuple(f"It ran {number}." for number in range(5))
            assert passages.questions.texts[n] == "What did the dog do?"
            seen += 1
    assert seen == 12
    clips = [set(split.contexts.sources.tolist()) for split in (data.train, data.valid, data.test)]
    assert set.union(*clips) == set(CLIPS) and sum(map(len, clips)) == 12
    counts = data.statistics["splits"].values()
    assert sum(one["beyond"] for one in counts) == 2  # from 20 to 30 s
    assert sum(one["nearest"] for one in counts) == 6  # those, from 2 to 3 s, and at 3 s
    assert data.vocabulary[:4] == list(tokens.SPECIAL) and data.vocabulary[4:] == sorted(data.vocabulary[4:])
    assert data.facts().emission == "chosen" and data.facts().vectors.shape == (len(data.vocabulary), 3)


def test_labels_of_boxes_reach_nothing(tmp_path):
    """The files with other labels, or with none, give the same dataset but for the raw files' checksums."""
    found = []
    for name, labels in (("a", ["dog", "3"]), ("b", ["zebra"]), ("c", [])):
        folder = tmp_path / name
        folder.mkdir()
        questions, descriptions = a_corpus()
        for question in questions:
            boxes = [{"img_id": 1, "top": 2, "left": 3, "width": 4, "height": 5, "label": label} for label in labels]
            question["bbox"] = {"1": boxes}
        prepared_of(folder, questions, descriptions)
        listed = {path.name: path.read_bytes() for path in (folder / "out").iterdir()}
        statistics = json.loads(listed.pop("statistics.json"))
        listed.pop("checksums.json")
        found.append((listed, {**statistics, "raw": None}))
        assert b"zebra" not in b"".join(listed.values())
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"answer_idx": None}, r"expected a right answer of the question \d+ in the train split of .*, got none for"),
        ({"answer_idx": 7}, "expected answer_idx of 0 to 4 in question 0"),
        ({"qid": 5}, "expected each question's id once in the train split of .*, got 5 again"),
        ({"a2": " "}, "expected words in an answer, got ' '; replace it"),
        ({"ts": [5, 4]}, "expected ts as a finite start and an end that is not before it in question 0"),
    ],
)
def test_questions_that_cannot_be_used_are_refused(tmp_path, changes, message):
    questions, descriptions = a_corpus()
    with pytest.raises(Problem, match=message) as error:
        prepared_of(tmp_path, [question | changes for question in questions], descriptions)
    assert "\n" not in str(error.value) and not (tmp_path / "out").exists()


def test_a_clip_without_a_file_of_lines_is_refused(tmp_path):
    questions, descriptions = a_corpus()
    with pytest.raises(Problem, match=f"expected the clip {CLIPS[3]} in .*tvr_val_release.jsonl, got none"):
        prepared_of(tmp_path, questions, [row for row in descriptions if row["vid_name"] != CLIPS[3]])


def released(tmp_path, train, valid, members, plus=False, second=None):
    ends, write = ("json", json.dumps) if plus else ("jsonl", lambda rows: lines(*rows))
    name = "tvqa_plus" if plus else "tvqa"
    contents = {f"{name}_{split}.{ends}": write(rows) for split, rows in (("train", train), ("val", valid))}
    if not plus:
        contents["tvqa_plus_val.json"] = json.dumps(valid[:1] if second is None else second)
    path = archive(tmp_path / "s.tar.gz", members)
    return raw_folder(tmp_path / "raw", contents | {"tvqa_subtitles.tar.gz": path.read_bytes(), "glove.txt": VECTORS})


@pytest.mark.parametrize("plus", [False, True])
def test_released_files_validate_on_training_clips_and_test_on_the_validation_split(tmp_path, plus):
    clips = [f"s01e01_seg01_clip_{number:02d}" for number in range(40)]
    train = [asked(clip, qid=number) for number, clip in enumerate(clips[:30])]
    test = [asked(clip, qid=100 + number) for number, clip in enumerate(clips[30:])]
    raw = released(tmp_path, train, test, {f"{clip}.srt": SRT for clip in clips}, plus)
    block = REAL | {"source": "tvqa-plus-choices" if plus else "tvqa-choices"}
    prepare.prepare(block, raw, tmp_path / "out", "x")
    data = prepared.load(tmp_path / "out")
    assert data.test.contexts.ids.tolist() == [str(100 + n) for n in range(10)]
    held = {clip for clip in clips[:30] if tvqa.part(clip) in tvqa.VALID}
    assert set(data.valid.contexts.sources.tolist()) == held and len(data.train) == 30 - len(held)
    assert data.test.contexts.lines.texts[:2] == ("Penny: Where did the dog go?", "It ran.")
    with pytest.raises(Problem, match="expected other clips in .*_val.* got s01e01_seg01_clip_00 in both"):
        folder = tmp_path / "again"
        folder.mkdir()
        again = released(folder, train, train, {f"{clip}.srt": SRT for clip in clips}, plus)
        prepare.prepare(block, again, folder / "out", "x")


SHOWS = [f"{show}s01e01_seg01_clip_{number:02d}" for show in ("", "castle_") for number in range(20)]


def of_shows(tmp_path, second, block=None):
    """TVQA of two shows, with a ``second`` test set: from the 30th on, the clips' questions are the test split."""
    rows = [asked(clip, qid=number) for number, clip in enumerate(SHOWS)]
    members = {f"{clip}.srt": SRT for clip in SHOWS}
    raw = released(tmp_path, rows[:30], rows[30:], members, second=second)
    prepare.prepare(REAL | {"source": "tvqa-choices"} | (block or {}), raw, tmp_path / "out", "x")
    return prepared.load(tmp_path / "out")


def test_questions_of_tvqa_plus_are_marked_among_those_of_tvqa_by_their_ids(tmp_path):
    others = [asked("elsewhere", qid=999), asked(SHOWS[3], qid=3)]  # one of no split, and one of training
    second = [asked(SHOWS[n], text="Other words?", qid=n, bbox={"1": []}) for n in (38, 31)]
    data = of_shows(tmp_path, [*second, *others])
    ids = data.test.contexts.ids
    assert ids.tolist() == [str(n) for n in range(30, 40)]
    assert ids[data.test.contexts.plus].tolist() == ["31", "38"]
    assert data.train.contexts.plus is None and data.valid.contexts.plus is None
    assert "Other words?" not in data.test.contexts.questions.texts
    counts = data.statistics["splits"]["test"]
    assert (counts["plus"], counts["plus_missing"]) == (2, 2)


def test_a_limit_that_leaves_none_of_the_second_set_leaves_it_out(tmp_path):
    data = of_shows(tmp_path, [asked(SHOWS[38], qid=38)], {"test_sequences": 5})
    assert data.test.contexts.plus is None and data.statistics["splits"]["test"]["plus"] == 0


@pytest.mark.parametrize(
    ("second", "message"),
    [
        ([asked(SHOWS[38], qid=38), asked(SHOWS[33], qid=31)], "expected the question 31 in .* to be about the clip "
         f"{SHOWS[31]}, as in the test split, got {SHOWS[33]}; replace the files"),
        ([asked(SHOWS[3], qid=3)], "expected questions of the test split in .*, got none of their ids; replace"),
        ([], "expected questions in .*tvqa_plus_val.json, got none; replace the file"),
    ],
)  # fmt: skip
def test_a_second_set_of_other_questions_is_refused(tmp_path, second, message):
    with pytest.raises(Problem, match=message) as error:
        of_shows(tmp_path, second)
    assert "\n" not in str(error.value) and not (tmp_path / "out").exists()


def test_clips_without_words_and_reversed_times_are_counted(tmp_path):
    clips = [f"s01e01_seg01_clip_{number:02d}" for number in range(40)]
    empty = "1\n00:00:01,000 --> 00:00:02,000\n\n"
    turned = "1\n00:00:05,000 --> 00:00:02,000\nThe dog ran.\n\n2\n00:00:06,000 --> 00:00:07,000\n\n"
    members = {f"{clip}.srt": (empty, turned, SRT)[number % 3] for number, clip in enumerate(clips)}
    raw = released(tmp_path, [asked(clip, qid=n) for n, clip in enumerate(clips[:30])],
                   [asked(clip, qid=n) for n, clip in enumerate(clips[30:], 30)], members)  # fmt: skip
    prepare.prepare(REAL | {"source": "tvqa-choices"}, raw, tmp_path / "out", "x")
    data = prepared.load(tmp_path / "out")
    counts = data.statistics["splits"].values()
    assert sum(one["silent"] for one in counts) == 14 and sum(one["reversed"] for one in counts) == 13
    passages = data.test.contexts
    silent = [n for n in range(len(passages)) if passages.lines.texts[passages.of(n)[0]] == choices.SILENCE]
    assert silent and all(passages.free_of(n).tolist() == [True] for n in silent)
    (place, *_) = [line for line, text in enumerate(passages.lines.texts) if text == "The dog ran."]
    assert passages.times[place].tolist() == [5, 5]


def test_limits_keep_the_first_questions(tmp_path):
    data = prepared_of(tmp_path, *a_corpus(), block=REAL | {"train_sequences": 3})
    assert len(data.train) == 3 and data.statistics["splits"]["train"]["questions"] == 9


# what is gathered


def test_statements_and_lines_are_gathered_with_the_right_answer_and_its_lines(embedded):
    _, data = embedded
    split, indices = data.train, np.array([5, 0, 41, 17])
    batch = collate(split, indices)
    given = batch.given
    assert batch.x[:, 0].tolist() == given.correct.tolist() == split.symbols[indices].tolist()
    told = in_words(split, data.vocabulary)
    for row, index in enumerate(indices.tolist()):
        one = told[index]
        for number, answer in enumerate(one.answers):
            size = int(given.statement_lengths[row, number])
            words = [data.vocabulary[word] for word in given.statements[row, number, :size].tolist()]
            assert words == [*one.question, *answer] and (given.statements[row, number, size:] == 0).all()
        for number, line in enumerate(one.lines):
            size = int(given.line_lengths[row, number])
            assert [data.vocabulary[word] for word in given.lines[row, number, :size].tolist()] == list(line)
        free = np.flatnonzero(split.contexts.free_of(index))
        assert given.span[row].tolist() == [free[0], free[-1]]
    assert given.statement_mask.sum(-1).equal(given.statement_lengths)
    assert given.line_mask.sum(-1).equal(given.line_lengths)


def test_lines_of_unequal_number_and_length_are_padded(tmp_path):
    questions, descriptions = a_corpus()
    short = [row for row in descriptions if row["vid_name"] != CLIPS[0] or row["desc"] == "The end."]
    data = prepared_of(tmp_path, questions, short)
    split = next(one for one in (data.train, data.valid, data.test) if CLIPS[0] in one.contexts.sources)
    given = collate(split, np.arange(len(split))).given
    place = split.contexts.sources[split.contexts.passage].tolist().index(CLIPS[0])
    assert given.line_lengths[place].tolist() == [3, 0, 0][: given.line_lengths.shape[1]]
    assert (given.lines[place, 1:] == 0).all()


def test_replaced_lines_stand_where_theirs_stood(embedded):
    _, data = embedded
    split, places = data.train, {word: n for n, word in enumerate(data.vocabulary)}
    pool = Lines.of(["anna : i put the book .", "the the the"], places)
    free = np.flatnonzero(split.contexts.free_of(7))
    chosen = np.full(6, -1)
    chosen[free[0]] = 1
    plain = collate(split, np.array([7, 8])).given
    given = collate(split, np.array([7, 8]), Replacement(pool, [chosen, None])).given
    assert given.lines[0, free[0], :4].tolist() == [places["the"]] * 3 + [0] and given.line_lengths[0, free[0]] == 3
    kept = [line for line in range(6) if line != free[0]]
    assert given.lines[0, kept].equal(plain.lines[0, kept]) and given.lines[1].equal(plain.lines[1])
    assert given.statements.equal(plain.statements) and given.span.equal(plain.span)
    fixed = np.full(6, -1)
    fixed[np.flatnonzero(~split.contexts.free_of(7))[0]] = 0
    with pytest.raises(Problem, match="expected replacements of the"):
        collate(split, np.array([7]), Replacement(pool, [fixed]))


def test_an_epoch_has_each_question_once_in_batches_of_like_statements(tmp_path):
    questions, descriptions = a_corpus()
    questions = [question | {"qid": 100 * n + question["qid"], "q": "What did the dog do? " * (1 + 5 * n)}
                 for n in range(4) for question in questions]  # fmt: skip
    data = prepared_of(tmp_path, questions, descriptions)
    batches = order(data.train, 9, 0, 1)
    assert sorted(np.concatenate(batches).tolist()) == list(range(len(data.train)))
    assert all(len(set(data.train.contexts.questions.lengths[batch].tolist())) == 1 for batch in batches)
    again = order(data.train, 9, 0, 2)
    assert [one.tolist() for one in again] != [one.tolist() for one in batches]
