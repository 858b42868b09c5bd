"""Preparation: what is kept, counted and refused; checksums on load."""

import json
import os
import pickle
import subprocess
import sys

import numpy as np
import pytest

from seqflows import files
from seqflows.data import download, prepare, prepared
from seqflows.data.embedded.chords import mat
from seqflows.data.kinds.shared import lines
from seqflows.data.readers import polyphonic
from seqflows.errors import Problem

TEXT = {"kind": "text", "source": "ptb"}
MUSIC = {"kind": "music", "source": "jsb"}


def raw_folder(folder, contents):
    """A raw folder as download leaves it, with any content."""
    folder.mkdir()
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    checksums = {name: files.sha256(folder / name) for name in contents}
    files.write_json(folder / "checksums.json", {"files": checksums, "sha256": prepared.combined(checksums)})
    return folder


def text_folder(folder, train=b" ab c \n a \n", valid=b" a b \n", test=b" c \n"):
    return raw_folder(folder, {"train.txt": train, "valid.txt": valid, "test.txt": test})


def roll(steps, seed=0):
    return np.random.default_rng(seed).integers(0, 2, (steps, 88)).astype(np.uint8)


def music_folder(folder, train=None, valid=None, test=None):
    splits = {
        "traindata": train or [roll(3), roll(5, 1)],
        "validdata": valid or [roll(4)],
        "testdata": test or [roll(2)],
    }
    return raw_folder(folder, {"JSB_Chorales.mat": mat(splits)})


def refused(block, raw, out, message):
    with pytest.raises(Problem, match=message) as caught:
        prepare.prepare(block, raw, out, "small")
    assert "expected" in str(caught.value) and "got" in str(caught.value) and ";" in str(caught.value)
    assert not out.exists() and not [path for path in out.parent.iterdir() if path.name.startswith(".")]


def test_text_is_stripped_encoded_and_counted(tmp_path):
    raw = text_folder(tmp_path / "raw", train=b" ab c \n\n a \n bbbbbb \n \xc3\xa9 \n")
    prepare.prepare({**TEXT, "max_length": 4}, raw, tmp_path / "out", "small")
    data = prepared.load(tmp_path / "out")
    assert data.kind == "text" and data.vocabulary == [" ", "a", "b", "c", "\u00e9"]
    sentences = ["".join(data.vocabulary[s] for s in data.train.sequence(n)) for n in range(len(data.train))]
    assert sentences == ["ab c", "a", "\u00e9"]
    assert data.train.symbols.dtype == np.uint8 and data.train.source_log_prob is None
    counts = data.statistics["splits"]["train"]
    assert (counts["kept"], counts["dropped_long"], counts["dropped_empty"]) == (3, 1, 1)
    assert (counts["longest"], counts["shortest"], counts["symbols"]) == (4, 1, 6)
    assert counts["share_within_limit"] == 0.75
    assert data.statistics["source_entropy"] is None
    assert data.statistics["raw"]["train.txt"] == files.sha256(raw / "train.txt")
    facts = data.facts()
    assert (facts.emission, facts.symbols, facts.max_length) == ("categorical", 5, 4)
    assert facts.length_counts == (0, 2, 0, 1, 1)


def test_first_sequences_only_with_the_vocabulary_and_support_of_all(tmp_path):
    raw = text_folder(tmp_path / "raw", train=b"a\nbc\nddd\n", valid=b"d\n", test=b"c\na\n")
    prepare.prepare({**TEXT, "train_sequences": 2, "test_sequences": 1}, raw, tmp_path / "out", "small")
    data = prepared.load(tmp_path / "out")
    assert len(data.train) == 2 and len(data.test) == 1 and data.vocabulary == list("abcd")
    assert data.statistics["splits"]["train"]["kept"] == 3
    assert data.facts().max_length == 3 == int(1.25 * 3)


def test_a_large_vocabulary_takes_wider_integers(tmp_path):
    many = "".join(map(chr, range(0x4E00, 0x4E00 + 300)))
    raw = text_folder(tmp_path / "raw", train=f"{many}\n".encode(), valid=many[:3].encode(), test=many[-2:].encode())
    prepare.prepare(TEXT, raw, tmp_path / "out", "small")
    data = prepared.load(tmp_path / "out")
    assert data.train.symbols.max() == 299 and data.test.symbols.tolist() == [298, 299]


@pytest.mark.parametrize(
    ("contents", "block", "message"),
    [
        ({"valid": b" a \n b\xff \n"}, TEXT, "UTF-8 in line 2 of .*valid.txt, got byte 0xff"),
        ({"train": b""}, TEXT, "train.txt, got no text"),
        ({"test": b" \n \n"}, TEXT, "test.txt, got no text"),
        ({"train": b"abcabc\nabcd\n"}, {**TEXT, "max_length": 3}, "only longer ones .the shortest has 4"),
        ({"test": b"xyz\n"}, TEXT, "3 characters of the training|4 characters of the training"),
        ({"test": b"aaaaaaaaaaaaaaaa\n"}, TEXT, "at most 5 steps in the test split.*got 16"),
    ],
)
def test_bad_text_is_refused(tmp_path, contents, block, message):
    (tmp_path / "o").mkdir()
    refused(block, text_folder(tmp_path / "raw", **contents), tmp_path / "o/small", message)


def test_text_read_alone_names_the_byte(tmp_path):
    (tmp_path / "x.txt").write_bytes("fa\u00e7ade\n".encode("latin-1"))
    with pytest.raises(Problem, match="line 1 of .*, got byte 0xe7; convert"):
        lines(tmp_path / "x.txt")


@pytest.mark.parametrize("change", ["truncated", "altered", "removed", "list altered"])
def test_a_changed_raw_file_is_refused(tmp_path, change):
    raw = text_folder(tmp_path / "raw")
    path = raw / "train.txt"
    if change == "truncated":
        path.write_bytes(path.read_bytes()[:-3])
    elif change == "altered":
        path.write_bytes(path.read_bytes().replace(b"a", b"b"))
    elif change == "removed":
        path.unlink()
    else:
        listed = json.loads((raw / "checksums.json").read_text())
        listed["files"]["train.txt"] = "0" * 64
        (raw / "checksums.json").write_text(json.dumps(listed))
    (tmp_path / "o").mkdir()
    refused(TEXT, raw, tmp_path / "o/small", "run download again")


def test_prepare_before_download_says_so(tmp_path):
    with pytest.raises(Problem, match="found none; run: python -m seqflows download .*/raw$"):
        prepare.prepare(TEXT, tmp_path / "raw", tmp_path / "out", "small")


def test_a_failed_preparation_leaves_the_old_one(tmp_path):
    prepare.prepare(TEXT, text_folder(tmp_path / "raw"), tmp_path / "out", "small")
    before = prepared.load(tmp_path / "out").sha256
    with pytest.raises(Problem):
        prepare.prepare(TEXT, text_folder(tmp_path / "bad", valid=b"\xff"), tmp_path / "out", "small")
    assert prepared.load(tmp_path / "out").sha256 == before


def test_preparing_twice_gives_the_same_bytes(tmp_path):
    raw = text_folder(tmp_path / "raw")
    first = prepare.prepare(TEXT, raw, tmp_path / "a", "small")
    assert first == prepare.prepare(TEXT, raw, tmp_path / "b", "small") == prepared.load(tmp_path / "b").sha256


def test_music_keeps_silent_frames(tmp_path):
    silent = np.zeros((4, 88), dtype=np.uint8)
    prepare.prepare(MUSIC, music_folder(tmp_path / "raw", valid=[silent]), tmp_path / "out", "small")
    data = prepared.load(tmp_path / "out")
    assert data.valid.sequence(0).shape == (4, 88) and not data.valid.symbols.any()
    assert data.statistics["splits"]["valid"]["silent_steps"] == 4
    np.testing.assert_array_equal(data.train.sequence(1), roll(5, 1))
    facts = data.facts()
    assert (facts.emission, facts.symbols, facts.max_length) == ("bernoulli", 88, 6)
    assert data.vocabulary == {"low": 21, "high": 108} and sum(facts.length_counts) == 3


@pytest.mark.parametrize(
    ("pieces", "message"),
    [
        ([np.zeros((0, 88), np.uint8), roll(2)], "at least one frame in piece 0 of traindata"),
        ([roll(2), roll(3) * 2], "zeros and ones in piece 1 of traindata"),
        ([roll(2)[:, :80]], r"\(T, 88\) numbers"),
    ],
)
def test_bad_music_is_refused(tmp_path, pieces, message):
    (tmp_path / "o").mkdir()
    refused(MUSIC, music_folder(tmp_path / "raw", train=pieces), tmp_path / "o/small", message)


def test_a_mat_without_the_keys_or_cut_short_is_refused(tmp_path):
    from scipy.io import savemat

    savemat(tmp_path / "x.mat", {"traindata": np.zeros((1, 2)), "other": 1})
    with pytest.raises(Problem, match="the keys validdata, testdata in .*x.mat, got traindata, other"):
        polyphonic.read(tmp_path / "x.mat")
    savemat(tmp_path / "y.mat", {f"{split}data": np.zeros((3, 88)) for split in prepared.SPLITS})
    with pytest.raises(Problem, match="cell array"):
        polyphonic.read(tmp_path / "y.mat")
    whole = mat({f"{split}data": [roll(3), roll(4)] for split in prepared.SPLITS})
    for size in (0, 60, 200, len(whole) // 2, len(whole) - 5):
        (tmp_path / "z.mat").write_bytes(whole[:size])
        with pytest.raises(Problem, match="z.mat"):
            polyphonic.read(tmp_path / "z.mat")


NOTES = {"train": [[(60, 64), ()], [[21, 108]]], "valid": [[(60,)]], "test": [[[72]]]}


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_pickles_of_notes_become_rolls(tmp_path, protocol):
    (tmp_path / "x.pickle").write_bytes(pickle.dumps(NOTES, protocol))
    splits = polyphonic.read(tmp_path / "x.pickle")
    assert splits["train"][0].shape == (2, 88) and splits["train"][0][0].nonzero()[0].tolist() == [39, 43]
    assert not splits["train"][0][1].any()
    assert splits["train"][1][0].nonzero()[0].tolist() == [0, 87]


def test_a_pickle_dataset_is_prepared(tmp_path, monkeypatch):
    content = pickle.dumps({**NOTES, "test": [[[72], [74]]]}, 2)
    (tmp_path / "mirror/polymusic").mkdir(parents=True)
    path = tmp_path / "mirror/polymusic/JSB_Chorales.pickle"
    path.write_bytes(content)
    monkeypatch.setenv("SEQFLOWS_MIRROR", str(tmp_path / "mirror"))
    block = {"kind": "music", "source": "jsb-pickle", "sha256": files.sha256(path)}
    download.fetch(block, tmp_path / "raw")
    prepare.prepare(block, tmp_path / "raw", tmp_path / "out", "small")
    assert prepared.load(tmp_path / "out").train.lengths.tolist() == [2, 1]


class Evil:
    def __reduce__(self):
        return os.system, ("echo evil > evil.txt",)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({**NOTES, "train": Evil()}, r"(posix|nt|os)\.system"),
        ({**NOTES, "train": np.zeros(3)}, "numpy"),
        ({"train": [], "valid": []}, "the lists train, valid, test"),
        ([1, 2], "got list"),
        ({**NOTES, "valid": [[]]}, "piece 0 of valid .*empty piece"),
        ({**NOTES, "valid": []}, "pieces in valid"),
        ({**NOTES, "valid": [[[20]]]}, "MIDI notes of 21 to 108 .* got 20"),
        ({**NOTES, "valid": [[["c"]]]}, "got 'c'"),
        ({**NOTES, "valid": [7]}, "list of frames"),
    ],
)
def test_bad_pickles_are_refused(tmp_path, monkeypatch, content, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.pickle").write_bytes(pickle.dumps(content, 2))
    with pytest.raises(Problem, match=message) as caught:
        polyphonic.read(tmp_path / "x.pickle")
    assert "x.pickle" in str(caught.value) and not (tmp_path / "evil.txt").exists()


def shared(depth, make):
    """A container of containers, each twice the one within."""
    found = 60
    for _ in range(depth):
        found = make((found, found))
    return found


def notes(*train):
    """A pickle of these pieces."""
    return pickle.dumps({"train": list(train), "valid": [[[60]]], "test": [[[60]]]}, 2)


TUPLES = pickle.dumps(shared(200, tuple), 2)[2:-1]
BOMBS = {
    "frames": (
        notes(*[[[60]] * 1000] * 2000),
        "expected at most 1048576 frames and 8388608 notes in x.pickle, got 2000",
    ),
    "notes": (notes([[60] * 10000] * 1000), "expected at most 1048576 frames and 8388608 notes in x.pickle, got 10000"),
    "a note of lists": (
        notes([[shared(100, list)]]),
        "expected MIDI notes of 21 to 108 in piece 0 of train of x.pickle",
    ),
    "a key of tuples": (b"\x80\x02}" + TUPLES + b"K\x01s.", "x.pickle: expected a dict of splits by name"),
    "keys of tuples": (b"\x80\x02}(" + TUPLES + b"K\x01u.", "x.pickle: expected a dict of splits by name"),
    "a dict of tuples": (b"\x80\x02(" + TUPLES + b"K\x01d.", "x.pickle: expected a dict of splits by name"),
    "a set of tuples": (
        b"\x80\x04\x8f(" + TUPLES + b"\x90.",
        "x.pickle: expected only lists, tuples, numbers and a dict",
    ),
    "depth": (
        b"\x80\x02" + b"]" * 100000 + b"a" * 99999 + b".",
        "expected a dict of the lists train, valid, test in x.p",
    ),
    "a place beyond": (
        b"\x80\x02K\x01r\xff\xff\xff\x7f.",
        "expected a dict of the lists train, valid, test in x.pickle",
    ),
}


@pytest.mark.parametrize("name", BOMBS)
@pytest.mark.fault("a small pickle, archive or list that stands for much")
def test_a_small_pickle_that_stands_for_much_is_refused_at_once(tmp_path, name):
    content, message = BOMBS[name]
    (tmp_path / "x.pickle").write_bytes(content)
    code = (
        "import resource, sys\nfrom pathlib import Path\nfrom seqflows.data.readers import polyphonic\n"
        "from seqflows.errors import Problem\nresource.setrlimit(resource.RLIMIT_AS, (2**31, 2**31))\n"
        "try:\n    polyphonic.read(Path('x.pickle'))\nexcept Problem as problem:\n    print(problem)\n"
        "print(int(Path('/proc/self/status').read_text().split('VmHWM:')[1].split()[0]) < 2**20)\n"  # since its start
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=10)
    said, small = done.stdout.splitlines()
    assert said.startswith(message) and "; " in said and small == "True", done.stderr


def test_a_pickle_cut_short_is_refused(tmp_path):
    whole = pickle.dumps(NOTES, 2)
    for size in (0, 1, len(whole) // 2, len(whole) - 1):
        (tmp_path / "x.pickle").write_bytes(whole[:size])
        with pytest.raises(Problem, match="expected a pickle in .*x.pickle"):
            polyphonic.read(tmp_path / "x.pickle")


def embedded(tmp_path, source, kind, **options):
    block = {"kind": kind, "source": source, "train": 60, "valid": 20, "test": 30, **options}
    download.fetch(block, tmp_path / "raw")
    prepare.prepare(block, tmp_path / "raw", tmp_path / "out", "small")
    return prepared.load(tmp_path / "out")


@pytest.mark.parametrize(
    ("source", "kind", "emission"),
    [
        ("embedded-text", "text", "categorical"),
        ("embedded-chords", "music", "bernoulli"),
        ("embedded-gaussians", "vectors", "real"),
    ],
)
def test_embedded_sources_come_with_their_probabilities(tmp_path, source, kind, emission):
    data = embedded(tmp_path, source, kind)
    assert [len(split) for split in (data.train, data.valid, data.test)] == [60, 20, 30]
    assert data.facts().emission == emission
    entropy = data.statistics["source_entropy"]
    assert entropy["nats_per_symbol"] == entropy["nats_per_sequence"] / entropy["mean_length_plus_one"]
    nll = -data.train.source_log_prob
    assert nll.dtype == np.float64 and np.isfinite(nll).all()
    assert abs(nll.mean() - entropy["nats_per_sequence"]) < 4 * nll.std() / np.sqrt(len(nll))
    if kind == "vectors":
        assert data.train.symbols.dtype == np.float32 and data.facts().length_counts == (0, 80)


def test_embedded_text_has_the_raw_format_of_ptb(tmp_path):
    embedded(tmp_path, "embedded-text", "text")
    lines = (tmp_path / "raw/train.txt").read_text().split("\n")
    assert lines.pop() == "" and len(lines) == 60
    assert all(line == f" {line.strip()} " for line in lines)


def test_an_embedded_source_is_not_cut(tmp_path):
    with pytest.raises(Problem, match="falsify the known probabilities"):
        embedded(tmp_path, "embedded-text", "text", max_length=12)


def test_a_sentence_that_the_source_cannot_make_is_found(tmp_path):
    block = {"kind": "text", "source": "embedded-text", "train": 20, "valid": 5, "test": 5}
    download.fetch(block, tmp_path / "raw")
    with open(tmp_path / "raw/test.txt", "a") as file:
        file.write(" not its words \n")
    listed = json.loads((tmp_path / "raw/checksums.json").read_text())["files"]
    listed["test.txt"] = files.sha256(tmp_path / "raw/test.txt")
    files.write_json(tmp_path / "raw/checksums.json", {"files": listed, "sha256": prepared.combined(listed)})
    with pytest.raises(Problem, match="another as number 5"):
        prepare.prepare(block, tmp_path / "raw", tmp_path / "out", "small")


@pytest.mark.parametrize("name", ["train.npz", "valid.npz", "test.npz", "vocabulary.json", "statistics.json"])
def test_one_flipped_bit_in_a_prepared_file_is_found(tmp_path, name):
    prepare.prepare(TEXT, text_folder(tmp_path / "raw"), tmp_path / "out", "small")
    path = tmp_path / "out" / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(Problem, match=f"expected .*{name} with sha256 .*got .*run its prepare stage again"):
        prepared.load(tmp_path / "out")


def test_missing_prepared_files_are_named(tmp_path):
    with pytest.raises(
        Problem, match="found none; run: python -m seqflows download (.*) && python -m seqflows prepare "
    ):
        prepared.load(tmp_path / "none")
    prepare.prepare(TEXT, text_folder(tmp_path / "raw"), tmp_path / "out", "small")
    (tmp_path / "out/test.npz").unlink()
    with pytest.raises(Problem, match="test.npz with sha256 .*got no file"):
        prepared.load(tmp_path / "out")
    (tmp_path / "out/checksums.json").write_text("{")
    with pytest.raises(Problem, match="expected JSON"):
        prepared.load(tmp_path / "out")


def test_lengths_must_fit_the_symbols():
    with pytest.raises(Problem, match="sum to 3 symbols, got a sum of 4"):
        prepared.Split("text", np.array([1, 3]), np.zeros(3, np.uint8))
    with pytest.raises(Problem, match="at least 1"):
        prepared.Split("text", np.array([0, 3]), np.zeros(3, np.uint8))


def test_preparing_imports_neither_torch_nor_pandas_nor_pooch():
    program = (
        "import sys; from seqflows.data import download, prepare, prepared; "
        "print(sorted({'torch', 'pandas', 'pooch', 'scipy', 'mlflow', 'pydantic'} & set(sys.modules)))"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment)
    assert found.stdout.strip() == "[]", found.stderr
