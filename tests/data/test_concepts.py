"""Words of detected things beside lines, and the targets of attention that drawn boxes make of them, by brute force.

Legend: B batch, S words of a statement, M lines, C words beside a line.
"""

from __future__ import annotations

import itertools
import json
from dataclasses import replace

import numpy as np
import pytest

import choices
from raw import SRT, VECTORS, archive, asked, raw_folder
from seqflows.data import concepts, download, prepare, prepared
from seqflows.data.batching import collate
from seqflows.data.concepts import Box, Concepts
from seqflows.data.embedded import dialogues
from seqflows.data.readers import boxes
from seqflows.errors import Problem

BLOCK = {
    "kind": "choices",
    "source": "embedded-dialogues",
    "seed": 3,
    "train": 40,
    "valid": 10,
    "test": 12,
    "concepts": 3,
}


def random_box(rng, label):
    left, top = rng.integers(0, 12, 2).tolist()
    return Box(label, left, top, left + int(rng.integers(1, 9)), top + int(rng.integers(1, 9)))


def pixels(box):
    """The unit squares of a box whose corners are whole numbers."""
    return set(itertools.product(range(int(box.left), int(box.right)), range(int(box.top), int(box.bottom))))


# overlap and time


def test_the_overlap_is_that_of_the_pixels():
    rng = np.random.default_rng(0)
    found = []
    for _ in range(300):
        one, other = random_box(rng, "a"), random_box(rng, "b")
        both, either = pixels(one) & pixels(other), pixels(one) | pixels(other)
        found.append(concepts.iou(one, other))
        assert found[-1] == pytest.approx(len(both) / len(either)) and found[-1] == concepts.iou(other, one)
    assert min(found) == 0 and max(found) > 0.7
    flat = Box("a", 3, 3, 3, 9)
    assert concepts.iou(flat, flat) == 0 == concepts.iou(Box("a", 0, 0, 2, 2), Box("a", 2, 0, 4, 2))


def test_a_frame_is_beside_the_nearest_line_and_a_line_has_its_most_frequent_words():
    times = np.array([[1.0, 2.0], [2.5, 4.0], [9.0, 9.5]])
    labels = {
        1: ["cat"],
        4: ["Red Cat", "dog", "dog"],
        6: ["dog", "ant"],
        7: ["bee"],
        8: ["emu"],
        20: ["fox"],
        27: [""],
    }
    frames = [[Box(label, 0, 0, 1, 1) for label in labels.get(number, ())] for number in range(1, 28)]
    found = concepts.beside(frames, times, 3)
    for number in range(1, 28):  # of the second number / 3
        apart = [max(start - number / 3, number / 3 - end, 0) for start, end in times]
        assert found.line[number - 1] == apart.index(min(apart))
    # frame 7, at 2.33 s, is nearer to the second line; frame 20, at 6.67 s, is nearer to the third
    assert found.words == [["dog", "cat", "ant"], ["bee", "emu"], ["fox"]]
    assert concepts.beside(frames, times, 1).words == [["dog"], ["bee"], ["fox"]]
    nothing = concepts.beside((), times, 3)
    assert nothing.words == [[], [], []] and nothing.line.tolist() == []


def brute(statement, frames, shown, annotated):
    """Each target by all pairs of a word of the statement and a word beside a line, from the definition."""
    found = {}
    for place, line in itertools.product(range(len(statement)), range(len(shown.words))):
        told = []  # of frames beside the line with a pair for the word: the words that are like it, and all
        for number, own in annotated.items():
            if number > len(frames) or shown.line[number - 1] != line:
                continue
            detected = frames[number - 1]
            near = {
                one.label for one in detected for box in own
                if box.label.lower() == statement[place]
                and 2 * len(pixels(one) & pixels(box)) >= len(pixels(one) | pixels(box))
            }  # fmt: skip
            if near:
                told.append((near, {one.label for one in detected}))
        for number, word in enumerate(shown.words[line]):
            if any(word in near for near, _ in told):
                found[place, line, number] = 1
            elif any(word in every for _, every in told):
                found[place, line, number] = -1
    return found


def test_targets_are_those_of_all_pairs():
    rng = np.random.default_rng(1)
    seen = set()
    for _ in range(60):
        lines = np.cumsum(rng.uniform(0.2, 2, (3, 2))).reshape(-1, 2)
        frames = [[random_box(rng, f"d{rng.integers(6)}") for _ in range(rng.integers(0, 5))] for _ in range(12)]
        shown = concepts.beside(frames, lines, int(rng.integers(1, 5)))
        statement = [f"w{rng.integers(4)}" for _ in range(5)]
        annotated = {}
        for number in rng.integers(1, 15, 6).tolist():  # some beyond the last frame
            near = [box._replace(label=f"W{rng.integers(4)}") for box in frames[min(number, 12) - 1]]
            annotated[number] = [*near, random_box(rng, "w0"), random_box(rng, "w0 w1")]
        rows = concepts.targets(statement, frames, shown, annotated)
        made = {row[:3]: row[3] for row in rows}
        assert len(made) == len(rows) and made == brute(statement, frames, shown, annotated)
        seen |= set(made.values())
    assert seen == {1, -1}


@pytest.mark.parametrize(("shift", "like"), [(5, True), (6, False)])
def test_the_least_overlap_is_one_half(shift, like):
    detected, box = Box("man", 0, 0, 15, 1), Box("Raj", shift, 0, shift + 15, 1)  # 10 / 20, and 9 / 21
    frames = [[detected, Box("cup", 40, 0, 41, 1)]]
    shown = concepts.beside(frames, np.array([[0.0, 1.0]]), 5)
    found = concepts.targets(["did", "raj"], frames, shown, {1: [box]})
    assert shown.words == [["cup", "man"]]
    assert found == ([(1, 0, 0, -1), (1, 0, 1, 1)] if like else [])


# files


def write(tmp_path, content, name="d.json"):
    path = tmp_path / name
    path.write_text(json.dumps(content))
    return path


def test_detections_are_read_of_the_clips_that_are_asked_for(tmp_path):
    content = {
        "a": {"boxes": [[[1, 2, 3, 4.5]], []], "object": [["tennis court"], []], "counts": [1, 0]},
        "b": {"boxes": "of no use", "object": 3},
    }
    found = boxes.detected(write(tmp_path, content), {"a", "c"})
    assert found == {"a": [[Box("tennis court", 1, 2, 3, 4.5)], []]}
    assert concepts.name(found["a"][0][0]) == "court"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([], "expected an object by clip in .*, got list; replace the file"),
        ({"z": {}}, "expected detections of the 1 clips in .*, got none of them; replace the file"),
        ({"a": {"boxes": []}}, "expected the key object in clip a of"),
        ({"a": {"boxes": [[]], "object": []}}, "expected labels of 1 frames in clip a of .*, got those of 0; replace"),
        ({"a": {"boxes": [[], [[1, 2, 3, 4]]], "object": [[], []]}}, "one of as many labels in frame 2 of clip a of"),
        (
            {"a": {"boxes": [[[1, 2, 3]]], "object": [["x"]]}},
            "expected four finite numbers as a box in frame 1 of clip a",
        ),
        ({"a": {"boxes": [[[1, 2, 3, "4"]]], "object": [["x"]]}}, "expected four finite numbers as a box in frame 1"),
        ({"a": {"boxes": [[[1, 2, 3, 4]]], "object": [[5]]}}, "expected a text as a box's label in frame 1 of clip a"),
    ],
)
def test_other_detections_are_refused(tmp_path, content, message):
    with pytest.raises(Problem, match=message) as error:
        boxes.detected(write(tmp_path, content), {"a"})
    assert "\n" not in str(error.value)


def drawn_box(**changes):
    return {"img_id": 4, "left": 1, "top": 2, "width": 3, "height": 4, "label": "Raj"} | changes


def test_drawn_boxes_are_read_by_question_and_frame(tmp_path):
    rows = [asked(qid=7, bbox={"4": [drawn_box()], "10": []}), asked(qid=8)]
    wanted = {7: {4: [Box("Raj", 1, 2, 4, 6)], 10: []}, 8: {}}
    assert boxes.drawn(write(tmp_path, rows)) == wanted
    path = tmp_path / "d.jsonl"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    assert boxes.drawn(path) == wanted


@pytest.mark.parametrize(
    ("bbox", "message"),
    [
        ([], "expected bbox as an object by the number of a frame in question 0 of"),
        ({"x": []}, "expected bbox as an object by the number of a frame in question 0 of"),
        ({"3": 1}, "expected a list of boxes for each frame in question 0 of"),
        ({"3": [drawn_box(width=None)]}, "expected four finite numbers as a box in question 0 of"),
        ({"3": [drawn_box(label=3)]}, "expected label to be text in question 0 of"),
    ],
)
def test_other_drawn_boxes_are_refused(tmp_path, bbox, message):
    with pytest.raises(Problem, match=message):
        boxes.drawn(write(tmp_path, [asked(bbox=bbox)]))


# what is prepared


@pytest.fixture(scope="module")
def embedded(tmp_path_factory):
    folder = tmp_path_factory.mktemp("embedded")
    download.fetch(BLOCK, folder / "raw")
    prepare.prepare(BLOCK, folder / "raw", folder / "out", "small")
    return folder / "raw", prepared.load(folder / "out")


def test_the_answer_s_word_is_like_the_sort_of_its_line_s_noun(embedded):
    raw, data = embedded
    source, known = prepare.embedded.read(raw), data.vocabulary
    assert data.facts().concepts == 3 and set(dialogues.SORTS) <= set(known)
    for split in (data.train, data.valid):
        passages, found = split.contexts, split.contexts.concepts
        for n in range(len(split)):
            rows = found.targets[found.first[n] : found.first[n + 1]]
            noun = passages.answers_of(n)[int(split.symbols[n])].split()[-1]
            lines = [passages.lines.texts[line].split() for line in passages.of(n)]
            (place,) = [number for number, line in enumerate(lines) if noun in line]
            assert set(rows[:, 0].tolist()) == {6} and set(rows[:, 1].tolist()) == {place}  # what did x y ? the noun
            own = found.words[found.offsets[passages.of(n)[place]] :][:3]
            assert sorted(rows[:, 2].tolist()) == [0, 1, 2]
            for _, _, number, sign in rows.tolist():
                assert (sign == 1) == (known[own[number]] == source.sort(noun))
    counts = data.statistics["splits"]
    assert [counts[name]["supervised"] for name in prepared.SPLITS] == [40, 10, 0]
    assert counts["train"]["mean_concepts"] == 3


def test_targets_and_words_are_gathered(embedded):
    _, data = embedded
    passages, indices = data.train.contexts, np.array([3, 30, 7])
    given = collate(data.train, indices).given
    assert given.seen.words.shape == (3, 6, 3) and given.seen.wanted.shape == (3, given.statements.shape[2], 6, 3)
    for row, n in enumerate(indices.tolist()):
        for place, line in enumerate(passages.of(n)):
            own = passages.concepts.words[slice(*passages.concepts.offsets[line : line + 2])]
            assert given.seen.words[row, place].tolist() == own.tolist()
        rows = passages.concepts.targets[slice(*passages.concepts.first[n : n + 2])].tolist()
        assert int(given.seen.wanted[row].abs().sum()) == len(rows)
        assert all(given.seen.wanted[row, word, line, number] == sign for word, line, number, sign in rows)


def test_lines_without_words_are_padded():
    made = choices.split(np.random.default_rng(3), 6, concepts=4)
    given = collate(made, np.arange(6)).given
    passages = made.contexts
    assert given.seen.mask.sum(-1).equal(given.seen.lengths) and (given.seen.words * ~given.seen.mask == 0).all()
    assert 0 in passages.concepts.lengths
    for n in range(6):
        own = passages.concepts.lengths[passages.of(n)].tolist()
        assert given.seen.lengths[n].tolist() == own + [0] * (given.seen.lengths.shape[1] - len(own))


def test_concepts_of_other_lines_or_questions_are_refused():
    passages = choices.split(np.random.default_rng(3), 6, concepts=4).contexts
    own = passages.concepts
    with pytest.raises(Problem, match="expected detected words beside .* lines, got those of others"):
        replace(passages, concepts=replace(own, lengths=np.append(own.lengths, 0)))
    with pytest.raises(Problem, match="expected .* detected words beside lines, got"):
        replace(own, lengths=own.lengths + 1)
    with pytest.raises(Problem, match="expected four numbers for each of .* targets of attention, got the shape"):
        replace(own, targets=own.targets[1:])
    assert isinstance(Concepts.from_arrays(own.arrays()), Concepts)


def detections(label="man"):
    frame = {"boxes": [[0, 0, 10, 10], [50, 50, 60, 60]], "object": [label, "cup"]}
    return {name: [[], *[frame[name]] * 11] for name in frame}


def of_release(tmp_path, name, bbox, seen=None, block=None):
    """TVQA+ with a detector that sees the same in each frame, and the same boxes of each question."""
    folder = tmp_path / name
    folder.mkdir()
    clips = [f"s01e01_seg01_clip_{number:02d}" for number in range(40)]
    rows = [asked(clip, qid=number, bbox=bbox) for number, clip in enumerate(clips)]
    made = archive(folder / "s.tar.gz", {f"{clip}.srt": SRT for clip in clips})
    contents = {
        "tvqa_plus_train.json": json.dumps(rows[:30]), "tvqa_plus_val.json": json.dumps(rows[30:]),
        "tvqa_bbt_frcn_vg_hq_20_100.json": json.dumps({clip: seen or detections() for clip in clips[1:]}),
        "tvqa_subtitles.tar.gz": made.read_bytes(), "glove.txt": VECTORS,
    }  # fmt: skip
    raw = raw_folder(folder / "raw", contents)
    settings = {"kind": "choices", "source": "tvqa-plus-concepts", "dimensions": 3, "glove": "6B-50d", "concepts": 5}
    prepare.prepare(settings | (block or {}), raw, folder / "out", "x")
    return prepared.load(folder / "out")


def test_labels_of_drawn_boxes_are_targets_of_training_and_no_input(tmp_path):
    """Other labels, other boxes or none leave every array as it is, and the vocabulary, but the training's targets."""
    near = drawn_box(left=1, top=0, width=10, height=10)
    found = {
        "dog": of_release(tmp_path, "a", {"5": [near | {"label": "Dog"}]}),
        "zebra": of_release(tmp_path, "b", {"5": [near | {"label": "zebra"}]}),
        "none": of_release(tmp_path, "c", {}),
        "far": of_release(tmp_path, "d", {"5": [drawn_box(left=300, label="dog")]}),
    }
    assert "zebra" not in found["zebra"].vocabulary and {"man", "cup"} <= set(found["none"].vocabulary)
    for name in prepared.SPLITS:
        made = {key: getattr(data, name).contexts.arrays() for key, data in found.items()}
        targets = {key: arrays.pop("concepts_targets") for key, arrays in made.items()}
        firsts = {key: arrays.pop("concepts_first") for key, arrays in made.items()}
        for key, arrays in made.items():
            assert arrays.keys() == made["none"].keys()
            assert all(np.array_equal(arrays[one], made["none"][one]) for one in arrays), key
            assert found[key].vocabulary == found["none"].vocabulary
            assert np.array_equal(found[key].vectors, found["none"].vectors)
            supervised = key == "dog" and name != "test"
            assert (len(targets[key]) > 0) == supervised == bool(firsts[key][-1])
    data = found["dog"]
    wanted = collate(data.train, np.array([1])).given.seen
    # what did the dog do ? it ran 3 .: the fourth word, with man and not with cup
    rows = wanted.wanted[0, 3]
    words = [data.vocabulary[word] for word in wanted.words[0, 0].tolist()]
    assert words == ["cup", "man"] and rows[0].tolist() == [-1, 1] and int(wanted.wanted.abs().sum()) == 2


def test_a_clip_that_was_not_detected_has_no_words(tmp_path):
    data = of_release(tmp_path, "a", {"5": [drawn_box(left=1, top=0, width=10, height=10, label="dog")]})
    splits = [data.train, data.valid]
    (split,) = [one for one in splits if "0" in one.contexts.ids.tolist()]
    n = split.contexts.ids.tolist().index("0")
    passages, found = split.contexts, split.contexts.concepts
    assert found.lengths[passages.of(n)].tolist() == [0, 0] and found.first[n] == found.first[n + 1]


@pytest.mark.parametrize(
    ("block", "message"),
    [
        ({"source": "tvqa-plus-concepts", "concepts": 0}, "concepts: expected a whole number of at least 1, got 0"),
        ({"source": "tvqa-plus-choices", "concepts": 3}, "expected one of the keys .*, got 'concepts'"),
    ],
)
def test_detected_words_are_for_the_source_with_detections_alone(tmp_path, block, message):
    with pytest.raises(Problem, match=message):
        of_release(tmp_path, "a", {}, block=block)
