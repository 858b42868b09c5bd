"""A user's own data: by params.yaml alone, with checksums of their first use, and errors that name the file."""

import gzip
import json
import os

import numpy as np
import pytest
import yaml

from seqflows import cli, files, params, paths, stages
from seqflows.config import corpora, own
from seqflows.data import download, prepare, prepared
from seqflows.data.prepared import SPLITS
from seqflows.errors import Problem

TEXT = {"kind": "text", "source": "own-text", "path": "own/mine.txt"}
MUSIC = {"kind": "music", "source": "own-music", "path": "own/mine.npz"}
WORDS = {"kind": "words", "source": "own-words", "path": "own/mine.tsv", "valid_tokens": 5}
LANGUAGE = {"kind": "language", "source": "own-language", "path": "own/mine.txt", "vectors": "own/vectors.txt"}
LANGUAGE |= {"length": 6, "dimensions": 3}
VECTORS = "a 1 0 0\nb 0 1 0\nc 0 0 1\nd 1 1 0\n"
LINES = [f"{number} {'ab' * (number % 5 + 1)}" for number in range(40)]


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty project and an empty mirror."""
    (tmp_path / "project/own").mkdir(parents=True)
    (tmp_path / "mirror").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    monkeypatch.setenv("SEQFLOWS_MIRROR", str(tmp_path / "mirror"))
    return tmp_path


def put(path, content):
    target = files.Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content if isinstance(content, bytes) else content.encode())
    return files.sha256(target)


def made(block, name="mine"):
    download.fetch(block, files.Path("raw") / name)
    prepare.prepare(block, files.Path("raw") / name, files.Path("out") / name, name)
    return prepared.load(files.Path("out") / name)


def texts(data, split):
    part = getattr(data, split)
    return ["".join(data.vocabulary[symbol] for symbol in part.sequence(n)) for n in range(len(part))]


def refused(block, message):
    """Nothing is left or recorded."""
    with pytest.raises(Problem, match=message) as raised:
        download.fetch(block, files.Path("raw/mine"))
    assert len(str(raised.value).splitlines()) == 1 and ".tmp" not in str(raised.value)
    assert not list(files.Path().glob("raw/*")) and not own.RECORD.exists()


def test_a_text_is_divided_by_its_shares_and_the_seed(here):
    put("own/mine.txt", "\n".join([*LINES, "", ""]))
    data = made(TEXT | {"valid_share": 0.2, "test_share": 0.1})
    parts = {name: texts(data, name) for name in SPLITS}
    assert [len(parts[name]) for name in SPLITS] == [28, 8, 4]
    assert sorted(line for part in parts.values() for line in part) == sorted(LINES)
    assert all(part == [line for line in LINES if line in part] for part in parts.values())  # in the file's order
    assert data.vocabulary == sorted(set("".join(LINES)))  # a digit in one split alone is no error
    assert data.statistics["splits"]["train"]["dropped_empty"] == 1
    assert data.statistics["max_length"] == int(1.25 * max(map(len, LINES)))
    again = made(TEXT | {"valid_share": 0.2, "test_share": 0.1}, "again")
    assert {name: texts(again, name) for name in SPLITS} == parts
    other = made(TEXT | {"valid_share": 0.2, "test_share": 0.1, "seed": 1}, "other")
    assert texts(other, "test") != parts["test"]


def test_a_file_for_each_split(here):
    for name, lines in (("train", "abc\ncab\n"), ("valid", "a\n"), ("test", "bb\nccccccc\n")):
        put(f"own/{name}.txt", lines)
    block = TEXT | {"path": {name: f"own/{name}.txt" for name in SPLITS}}
    data = made(block)
    assert [texts(data, name) for name in SPLITS] == [["abc", "cab"], ["a"], ["bb", "ccccccc"]]
    put("own/others.txt", "axa\n")
    (files.Path("out") / "mine").rename("kept")
    with pytest.raises(Problem, match=r"expected only the 3 characters of the training text in .*test split, got 'x'"):
        made(block | {"path": {**block["path"], "test": "own/others.txt"}}, "others")
    assert not files.Path("raw/others").exists() and "own/others.txt" not in own.recorded()
    swapped = {"train": "own/valid.txt", "valid": "own/train.txt", "test": "own/test.txt"}
    with pytest.raises(Problem, match="characters of the training text"):
        made(block | {"path": swapped}, "swapped")


@pytest.mark.parametrize(
    ("block", "message"),
    [
        (TEXT | {"path": "/etc/passwd"}, "path: expected a path relative to the project or to SEQFLOWS_MIRROR"),
        (TEXT | {"path": "own/../../mirror/x.txt"}, "without leading out of it, or such paths by train, valid, test"),
        (TEXT | {"path": "~/x.txt"}, "path: expected a path relative"),
        (TEXT | {"path": {"train": "a.txt", "valid": "b.txt"}}, "or such paths by train, valid, test"),
        (TEXT | {"path": {"train": "a.txt", "valid": "b.txt", "test": "a.txt"}}, "expected files that differ"),
        (TEXT | {"valid_share": 0.5, "test_share": 0.6}, "expected less than 1 with valid_share, got 1.1"),
        (TEXT | {"sha256": "abc"}, "sha256: expected the file's sha256, 64 hex digits"),
        (TEXT | {"sha256": {"own/x.txt": 64 * "0"}}, "expected those of own/mine.txt, got one of own/x.txt"),
        (LANGUAGE | {"sha256": 64 * "0"}, "expected one for each of own/mine.txt, own/vectors.txt, by path, got one"),
        (LANGUAGE | {"vectors": "own/vectors.vec"}, "vectors: expected a path .* ends with .txt or .zip, or one of 6B"),
        (
            MUSIC | {"path": "own/mine.mid"},
            "expected a path that ends with .npz or .json or .zip, got 'own/mine.mid'; conv",
        ),
        (
            MUSIC | {"path": "own/mine.zip"},
            "step: expected the time step of the MIDI files, in quarter notes, got none",
        ),
        (MUSIC | {"step": 0.5}, "step: expected none without .zip files of MIDI, got 0.5"),
        (MUSIC | {"path": "own/mine.zip", "step": 0}, "step: expected a finite number above 0, got 0"),
        (WORDS | {"path": "own/mine.txt"}, "expected a path that ends with .tsv.gz or .tsv or .csv"),
        (TEXT, "expected the file own/mine.txt in the project .* or in the mirror .*, found none"),
        (TEXT | {"path": "own"}, "expected a file at own, got a folder"),
        (TEXT | {"pth": "x"}, "expected one of the keys .*, got 'pth'; nearest: path"),
    ],
)
def test_a_wrong_block_or_path_is_refused(here, block, message):
    refused(block, message)


def test_a_link_that_leads_out_is_refused_and_one_into_the_mirror_is_not(here):
    put(here / "secret.txt", "x\n")
    os.symlink(here / "secret.txt", "own/mine.txt")
    refused(TEXT, "expected a path relative .*, got own/mine.txt, a link to .*secret.txt; copy the file itself")
    files.Path("own/mine.txt").unlink()
    put(here / "mirror/texts/mine.txt", "\n".join(LINES))
    os.symlink(here / "mirror/texts/mine.txt", "own/mine.txt")
    assert len(made(TEXT).train) == 32
    assert len(made(TEXT | {"path": "texts/mine.txt"}, "there").train) == 32  # without a link
    put("texts/mine.txt", "\n".join(LINES[:20]))
    os.remove(own.RECORD)
    assert len(made(TEXT | {"path": "texts/mine.txt"}, "near").train) == 16  # the project's comes first


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "expected a sentence a line in own/mine.txt, got no text"),
        ("\n \n", "expected a sentence a line in own/mine.txt, got no text"),
        (b"abc\n\xff\n", "expected UTF-8 in line 2 of own/mine.txt, got byte 0xff"),
        ("a\nb\nc\nd\n", "expected at least 6 sequences in own/mine.txt for valid_share 0.1 and test_share 0.1, got 4"),
    ],
)
def test_a_wrong_text_is_refused_and_can_be_corrected(here, content, message):
    put("own/mine.txt", content)
    refused(TEXT, message)
    put("own/mine.txt", "\n".join("abcdef"))
    assert len(made(TEXT).train) == 4


def test_the_least_number_that_is_told_is_enough(here):
    for valid, test in ((0.1, 0.1), (0.45, 0.45), (0.01, 0.9), (0.3, 0.05)):
        block = TEXT | {"valid_share": valid, "test_share": test}
        put("own/mine.txt", "a\n")
        with pytest.raises(Problem, match="expected at least") as raised:
            made(block)
        least = int(str(raised.value).split("at least ")[1].split()[0])
        for count in (least - 1, least):
            put("own/mine.txt", "a\n" * count)
            if count == least:
                made(block)
                own.RECORD.unlink()
            else:
                with pytest.raises(Problem, match="expected at least"):
                    made(block)


def test_a_changed_file_is_told_with_both_checksums_and_the_remedy(here):
    first = put("own/mine.txt", "\n".join(LINES))
    made(TEXT)
    assert json.loads(own.RECORD.read_text()) == {"own/mine.txt": first}
    second = put("own/mine.txt", "\n".join(LINES[1:]))
    wanted = f"expected own/mine.txt with sha256 {first}, as own-data.json has since its first use, got {second}"
    with pytest.raises(Problem, match=f"{wanted}: .*; restore it or, .*, write sha256: {second} beside its path"):
        made(TEXT)
    assert len(prepared.load(files.Path("out/mine")).train) == 32  # the former data are left
    made(TEXT | {"sha256": second.upper()})  # what params.yaml states wins, and is recorded
    assert own.recorded() == {"own/mine.txt": second}
    with pytest.raises(Problem, match=f"with sha256 {first}, as params.yaml states, got {second}"):
        made(TEXT | {"sha256": first})
    put("own/mine.txt", "\n".join(LINES))
    with pytest.raises(Problem, match=f"with sha256 {second}, as own-data.json has since"):
        made(TEXT, "other")
    own.RECORD.write_text('{"own/mine.txt": "0"}')
    with pytest.raises(Problem, match=r"expected the sha256 of files by path in own-data.json, got other content"):
        made(TEXT)


def test_of_several_files_the_checksum_is_stated_by_path(here):
    put("own/mine.txt", "\n".join("abcd" * 5))
    put("own/vectors.txt", VECTORS)
    made(LANGUAGE)
    new = put("own/vectors.txt", VECTORS.replace("a 1", "a 2"))
    with pytest.raises(Problem, match=f"write sha256: {{own/vectors.txt: {new}}} beside"):
        made(LANGUAGE)
    data = made(LANGUAGE | {"sha256": {"own/vectors.txt": new}})
    assert data.vectors[data.vocabulary.index("a")].tolist() == [2, 0, 0]


def test_words_are_counted_anywhere(here):
    lines = "the\t60\nof\t40\nand\t30\na\t99\n"
    for name, content in (
        ("mine.tsv", lines), ("mine.tsv.gz", gzip.compress(lines.encode(), mtime=0)),
        ("mine.csv", "ngram,freq\n" + lines.replace("\t", ",")),
    ):  # fmt: skip
        put(f"own/{name}", content)
        data = made(WORDS | {"path": f"own/{name}"}, name.replace(".", "_"))
        assert data.statistics["types"] == 3 and data.statistics["tokens"] == 130  # of two letters and more
    put("own/mine.tsv", "the 60\n")
    with pytest.raises(Problem, match=r"with sha256 .*, as own-data.json has"):
        made(WORDS)
    own.RECORD.unlink()
    with pytest.raises(Problem, match=r"expected a word and its count in line 1 of own/mine.tsv, got 1 fields"):
        made(WORDS)


def rolls(*lengths):
    rng = np.random.default_rng(0)
    return [(rng.random((length, 88)) < 0.05).astype(np.uint8) for length in lengths]


def test_piano_rolls_of_npz_and_of_json_are_the_same(here):
    pieces = rolls(3, 9, 4, 5, 6, 7, 8, 4, 3, 10)
    np.savez("own/mine.npz", *pieces)
    put("own/mine.json", json.dumps([[[key + 21 for key in np.flatnonzero(f).tolist()] for f in p] for p in pieces]))
    data, other = made(MUSIC), made(MUSIC | {"path": "own/mine.json"}, "other")
    for split in SPLITS:
        for n, piece in enumerate(
            found := [getattr(data, split).sequence(n) for n in range(len(getattr(data, split)))]
        ):
            assert any(np.array_equal(piece, one) for one in pieces)
            assert np.array_equal(piece, getattr(other, split).sequence(n))
        assert len(found) == {"train": 8, "valid": 1, "test": 1}[split]
    np.savez_compressed("own/packed.npz", **{f"piece {n}": piece.astype(float) for n, piece in enumerate(pieces)})
    assert len(made(MUSIC | {"path": "own/packed.npz"}, "packed").train) == 8


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("mine.npz", {"a": np.zeros((3, 128))}, r"\(T, 88\) numbers in the array a of own/mine.npz, got \(3, 128"),
        ("mine.npz", {"a": np.zeros(88)}, r"expected \(T, 88\) numbers in the array a of own/mine.npz, got \(88,\)"),
        ("mine.npz", {"b": np.full((2, 88), 64)}, "expected zeros and ones in the array b of own/mine.npz, got 64"),
        ("mine.npz", {"b": np.zeros((0, 88))}, "expected at least one frame in the array b of own/mine.npz"),
        ("mine.npz", {"all": np.array([[1], [2, 3]], object)}, r"\(T, 88\) of numbers as all of own/mine.npz, got Obj"),
        ("mine.npz", {}, "expected pieces in own/mine.npz, got none"),
        ("mine.npz", b"not a zip", "expected arrays in .npz in own/mine.npz, got File is not a zip file"),
        ("mine.json", b"{}", "expected a list of pieces in own/mine.json, got dict"),
        ("mine.json", b"[]", "expected pieces in own/mine.json, got none"),
        ("mine.json", b"[[[60, 200]]]", "expected MIDI notes of 21 to 108 in piece 0 of own/mine.json, got 200"),
        ("mine.json", b"[[60, 61]]", "expected a list of frames in piece 0 of own/mine.json"),
        ("mine.json", b"[[", "expected JSON in line 1 of own/mine.json"),
    ],
    ids=str,
)  # fmt: skip
def test_wrong_piano_rolls_are_refused(here, name, content, message):
    if isinstance(content, bytes):
        put(f"own/{name}", content)
    else:
        np.savez(f"own/{name}", **content)
    refused(MUSIC | {"path": f"own/{name}"}, message)


def test_a_small_npz_that_unpacks_to_a_large_one_is_refused(here):
    np.savez_compressed("own/mine.npz", np.zeros((2**20, 88), np.uint8))
    refused(MUSIC, "expected fewer bytes to come out of own/mine.npz, got 92274")


def test_unknown_words_and_words_without_a_vector_are_told(here, capsys):
    put("own/train.txt", "a b c\na b zz\na d d d d d c\n")
    put("own/valid.txt", "a b\n")
    put("own/test.txt", "x a x y\n")
    put("own/vectors.txt", VECTORS)
    block = LANGUAGE | {"path": {name: f"own/{name}.txt" for name in SPLITS}}
    data = made(block)
    said = capsys.readouterr().out.splitlines()
    assert "mine, test: <unk> stands for 3 of 4 words: x, y" in said and not any(", valid:" in line for line in said)
    assert "mine: random vectors, since the file has none, for 1 of 5 words: zz" in said
    splits = data.statistics["splits"]
    assert splits["test"]["unknown"] == {"words": 3, "types": 2, "examples": ["x", "y"]}
    assert splits["train"]["unknown"] == splits["valid"]["unknown"] == {"words": 0, "types": 0, "examples": []}
    assert data.statistics["without_vector"] == {"words": 1, "types": 1, "examples": ["zz"]}
    assert len(said) == 2  # once, though they were prepared twice
    rare = made(block | {"min_count": 2}, "rare")
    assert rare.statistics["splits"]["train"]["unknown"] == {
        "words": 2,
        "types": 2,
        "examples": ["c", "zz"],
    }  # the second c is cut off
    assert rare.statistics["splits"]["train"]["share_unknown"] == pytest.approx(2 / 11)


@pytest.mark.parametrize(
    ("vectors", "message"),
    [
        ("a 1 0 0\nb 0 1\n", "expected a word and 3 numbers in line 2 of own/vectors.txt, got 2 numbers"),
        ("a 1 0 0\nb 0 1 0 0\n", "expected a word and 3 numbers in line 2 of own/vectors.txt, got 4 numbers"),
        ("a 1 0 nan\n", "expected finite float32 numbers in line 1 of own/vectors.txt"),
        ("", "expected lines of a word and 3 numbers in own/vectors.txt, got none"),
        (
            "x 1 0 0\ny 0 1 0\n",
            "expected vectors for the words .* in own/vectors.txt, got 0 for 8 words",
        ),
    ],
)
def test_wrong_vectors_are_refused(here, vectors, message):
    put("own/mine.txt", "\n".join("abcd" * 5))
    put("own/vectors.txt", vectors)
    refused(LANGUAGE, message)


def project(datasets, runs=None):
    """A params.yaml of these datasets and runs alone."""
    compute = {"compute": {"device": "cpu", "threads": 1, "precision": "fp32"}, "tracking": "files"}
    content = {"scale": "laptop", "scales": dict.fromkeys(paths.SCALES, compute), "datasets": datasets}
    content |= {"features": {}, "runs": runs or {}, "speeds": {}, "texts": {}, "tables": {}, "figures": {}}
    files.Path("params.yaml").write_text(yaml.safe_dump(content | {"comparisons": {}}, sort_keys=False))
    return params.load()


def test_a_change_makes_the_download_stale_and_check_tells_it(here, capsys):
    first = put("own/mine.txt", "\n".join(LINES))
    found = project({"mine": {"kind": "text", "laptop": {"source": "own-text", "path": "own/mine.txt"}}})
    key = "laptop/mine"
    assert [cli.main([stage, key]) for stage in ("download", "prepare", "check")[:2]] == [0, 0]
    assert cli.main(["download", key]) == 0 and "is up to date" in capsys.readouterr().out
    block = stages.TABLE["download"].block(found, "laptop", "mine")
    assert block["files"] == {"own/mine.txt": first}
    files.Path("own/mine.txt").rename("own/away.txt")
    assert stages.TABLE["download"].block(found, "laptop", "mine") == block  # as recorded
    assert cli.main(["check"]) == 0
    second = put("own/mine.txt", "\n".join(LINES[1:]))
    for command in (["download", key], ["check"]):
        assert cli.main(command) == 1
        assert f"expected own/mine.txt with sha256 {first}" in (said := capsys.readouterr().err) and second in said
    assert stages.TABLE["download"].block(found, "laptop", "mine") != block


def test_a_run_that_starts_from_a_base_may_be_of_one_scale_alone(here):
    put("own/mine.txt", "\n".join(LINES))
    block = {"seeds": [0], "model": {"class": "recurrent_baseline"}, "evaluation": {"samples": 50}}
    block |= {"training": {"epochs": 1, "batch_size": 5, "learning_rate": 1.0}}
    runs = {"usual": {"reproduces": "own", "dataset": "usual", **block}}
    runs |= {"mine": {"base": "usual", "dataset": "mine", "demo": None, "paper": None, "laptop": {"seeds": [1]}}}
    usual = {"kind": "text", "source": "embedded-text"}
    mine = {"kind": "text", "laptop": {"source": "own-text", "path": "own/mine.txt"}}
    found = project({"usual": usual, "mine": mine}, runs)
    assert [scale for scale in paths.SCALES if "mine" in found.at(scale).runs] == ["laptop"]
    assert found.run("laptop", "mine")["seeds"] == [1] and found.run("laptop", "usual")["seeds"] == [0]
    with pytest.raises(Problem, match="runs.mine.demo: expected the dataset mine at scale demo, got none"):
        project({"usual": usual, "mine": mine}, {**runs, "mine": {"base": "usual", "dataset": "mine"}})


def test_every_own_source_has_its_kind_and_formats():
    assert {name for name, kind in corpora.KINDS.items() if name.startswith("own-")} == set(own.ENDS)
    assert all(f"own-{corpora.KINDS[name]}" == name for name in own.ENDS)
