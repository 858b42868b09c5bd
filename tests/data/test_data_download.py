"""Download: mirror, cache, network; checksums; nothing left behind after a failure."""

import concurrent.futures
import contextlib
import functools
import gzip
import hashlib
import http.server
import io
import json
import subprocess
import sys
import tarfile
import threading
import time
import zipfile

import pytest

from seqflows import files, paths
from seqflows.config import corpora, own, registry
from seqflows.config.registry import File, Source
from seqflows.data import download, embedded
from seqflows.data.readers import glove, lexicon, tvqa, unpacking
from seqflows.errors import Problem

CONTENT = {f"{split}.txt": f" some {split} text \n".encode() for split in ("train", "valid", "test")}


def sha(content):
    return hashlib.sha256(content).hexdigest()


def source(url, member="simple-examples/data/{}"):
    listed = [File(n, f"small/{n}", url, sha(c), member.format(n) if member else None) for n, c in CONTENT.items()]
    return Source("text", tuple(listed), "none", "nobody", "nowhere")


def archive(members):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


@contextlib.contextmanager
def served(folder):
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def use(monkeypatch, tmp_path):
    """Register a source; the cache is below tmp_path, no mirror, no proxy."""
    monkeypatch.delenv("SEQFLOWS_MIRROR", raising=False)
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.chdir(tmp_path)

    def register(new):
        monkeypatch.setitem(registry.SOURCES, "small", new)
        monkeypatch.setitem(corpora.KINDS, "small", new.kind)
        monkeypatch.setitem(corpora.SOURCES, "small", corpora.Text)
        return {"kind": new.kind, "source": "small"}

    return register


def leftovers(folder):
    return sorted(path.name for path in folder.rglob("*")) if folder.exists() else []


def test_from_the_mirror(use, tmp_path, monkeypatch):
    block = use(source("http://127.0.0.1:9/none.tgz"))
    (tmp_path / "mirror/small").mkdir(parents=True)
    for name, content in CONTENT.items():
        (tmp_path / "mirror/small" / name).write_bytes(content)
    monkeypatch.setenv("SEQFLOWS_MIRROR", str(tmp_path / "mirror"))
    download.fetch(block, tmp_path / "raw", tmp_path / "cache")
    assert {name: (tmp_path / "raw" / name).read_bytes() for name in CONTENT} == CONTENT
    listed = json.loads((tmp_path / "raw/checksums.json").read_text())["files"]
    assert listed["train.txt"] == sha(CONTENT["train.txt"]) and "registry.json" in listed
    assert not (tmp_path / "cache").exists()


def test_an_altered_mirror_file_stops_and_leaves_nothing(use, tmp_path, monkeypatch):
    block = use(source("http://127.0.0.1:9/none.tgz"))
    (tmp_path / "mirror/small").mkdir(parents=True)
    for name, content in CONTENT.items():
        (tmp_path / "mirror/small" / name).write_bytes(content[:-1] if name == "test.txt" else content)
    monkeypatch.setenv("SEQFLOWS_MIRROR", str(tmp_path / "mirror"))
    with pytest.raises(Problem) as caught:
        download.fetch(block, tmp_path / "out/raw", tmp_path / "cache")
    message = str(caught.value)
    assert sha(CONTENT["test.txt"]) in message and sha(CONTENT["test.txt"][:-1]) in message
    assert "test.txt" in message and "replace" in message
    assert leftovers(tmp_path / "out") == []


def test_one_archive_by_the_network_fills_the_cache_for_all_its_members(use, tmp_path):
    members = {f"./simple-examples/data/{name}": content for name, content in CONTENT.items()}
    (tmp_path / "site").mkdir()
    (tmp_path / "site/a.tgz").write_bytes(archive({"../evil.txt": b"evil", "/abs.txt": b"evil", **members}))
    with served(tmp_path / "site") as address:
        block = use(source(f"{address}/a.tgz"))
        download.fetch(block, tmp_path / "out/raw", tmp_path / "cache")
    assert leftovers(tmp_path / "cache") == sorted(sha(content) for content in CONTENT.values())
    assert (tmp_path / "out/raw/train.txt").read_bytes() == CONTENT["train.txt"]
    assert not list(tmp_path.rglob("evil.txt"))
    download.fetch(block, tmp_path / "out/again", tmp_path / "cache")  # the server is gone: the cache answers
    assert (tmp_path / "out/again/test.txt").read_bytes() == CONTENT["test.txt"]


def test_stages_at_once_download_an_archive_once(use, tmp_path, monkeypatch):
    (tmp_path / "site").mkdir()
    members = {f"simple-examples/data/{name}": content for name, content in CONTENT.items()}
    (tmp_path / "site/a.tgz").write_bytes(archive(members))
    asked, retrieved, both = [], download._retrieved, threading.Barrier(2)

    @contextlib.contextmanager
    def slowly(file, cache):
        asked.append(file.url)
        with retrieved(file, cache) as arrived:
            time.sleep(0.3)
            yield arrived

    def zipped(file):  # asked for just before the cache
        if file.name == "train.txt":
            both.wait()

    monkeypatch.setattr(download, "_retrieved", slowly)
    monkeypatch.setattr(download, "_zipped", zipped)
    with served(tmp_path / "site") as address, concurrent.futures.ThreadPoolExecutor() as pool:
        block = use(source(f"{address}/a.tgz"))
        fetches = [pool.submit(download.fetch, block, tmp_path / f"raw{n}", tmp_path / "cache") for n in range(2)]
        for one in fetches:
            one.result()
    assert len(asked) == 1
    assert all((tmp_path / f"raw{n}/train.txt").read_bytes() == CONTENT["train.txt"] for n in range(2))


def test_a_damaged_cache_is_named(use, tmp_path):
    block = use(source("http://127.0.0.1:9/none.tgz"))
    (tmp_path / "cache").mkdir()
    for content in CONTENT.values():
        (tmp_path / "cache" / sha(content)).write_bytes(b"damaged")
    with pytest.raises(Problem, match="cache.*delete it and run download again"):
        download.fetch(block, tmp_path / "out/raw", tmp_path / "cache")


def test_no_network_names_both_remedies(use, tmp_path):
    block = use(source("http://127.0.0.1:9/none.tgz"))
    with pytest.raises(Problem, match="SEQFLOWS_MIRROR is not set.*put the file at small/train.txt"):
        download.fetch(block, tmp_path / "out/raw", tmp_path / "cache")
    assert leftovers(tmp_path / "out") == leftovers(tmp_path / "cache") == []


def test_without_pooch_the_mirror_is_the_remedy(use, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(Problem, match="the package pooch .*SEQFLOWS_MIRROR"):
        download.fetch(use(source("http://127.0.0.1:9/none.tgz")), tmp_path / "out/raw", tmp_path / "cache")


@pytest.mark.parametrize("damage", ["missing member", "altered member", "no archive"])
def test_a_bad_archive_stops_and_leaves_nothing(use, tmp_path, damage):
    members = {f"simple-examples/data/{name}": content for name, content in CONTENT.items()}
    if damage == "missing member":
        del members["simple-examples/data/train.txt"]
    if damage == "altered member":
        members["simple-examples/data/train.txt"] = b"other"
    (tmp_path / "site").mkdir()
    (tmp_path / "site/a.tgz").write_bytes(b"no archive" if damage == "no archive" else archive(members))
    with (
        served(tmp_path / "site") as address,
        pytest.raises(Problem, match="^expected .*got .*; .*MIRROR.*$") as caught,
    ):
        download.fetch(use(source(f"{address}/a.tgz")), tmp_path / "out/raw", tmp_path / "cache")
    assert "\n" not in str(caught.value)
    assert leftovers(tmp_path / "out") == []
    assert sha(b"other") not in leftovers(tmp_path / "cache")


def test_a_plain_file_with_another_checksum_is_refused(use, tmp_path):
    (tmp_path / "site").mkdir()
    (tmp_path / "site/x").write_bytes(b"other")
    with served(tmp_path / "site") as address, pytest.raises(Problem, match=f"got {sha(b'other')}"):
        download.fetch(use(source(f"{address}/x", member=None)), tmp_path / "out/raw", tmp_path / "cache")
    assert leftovers(tmp_path / "cache") == []


def test_links_in_an_archive_are_not_followed(tmp_path):
    path = tmp_path / "a.tgz"
    with tarfile.open(path, "w:gz") as tar:
        entry = tarfile.TarInfo("data/train.txt")
        entry.type, entry.linkname = tarfile.SYMTYPE, "/etc/hostname"
        tar.addfile(entry)
    wanted = File("train.txt", "small/train.txt", "http://x/a.tgz", "0" * 64, "data/train.txt")
    with pytest.raises(Problem, match="expected data/train.txt"):
        download._store_members(path, [wanted], tmp_path / "cache")


def test_a_source_without_a_published_checksum_asks_for_one(tmp_path):
    block = {"kind": "music", "source": "jsb-pickle"}
    with pytest.raises(Problem, match="sha256: <64 hex digits>"):
        download.fetch(block, tmp_path / "out/raw", tmp_path / "cache")


@pytest.mark.parametrize("source", ["embedded-text", "embedded-chords", "embedded-gaussians"])
def test_embedded_sources_are_the_same_bytes_every_time_without_the_network(source, tmp_path, monkeypatch):
    def refuse(*arguments, **options):
        raise AssertionError("the network was used")

    monkeypatch.setattr("socket.socket.connect", refuse)
    block = {"kind": corpora.KINDS[source], "source": source, "train": 20, "valid": 5, "test": 5}
    download.fetch(block, tmp_path / "a")
    monkeypatch.setattr("time.time", lambda: 2e9)
    monkeypatch.setattr("time.asctime", lambda *arguments: "another time")
    download.fetch(block, tmp_path / "b")
    assert leftovers(tmp_path / "a") == leftovers(tmp_path / "b")
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes(), path.name
    download.fetch({**block, "seed": 2}, tmp_path / "c")
    checksums = [json.loads((tmp_path / folder / "checksums.json").read_text())["sha256"] for folder in "ac"]
    assert checksums[0] != checksums[1]


def test_more_sequences_leave_the_source_as_it_is(tmp_path):
    block = {"kind": "text", "source": "embedded-text", "train": 20, "valid": 5, "test": 5}
    download.fetch(block, tmp_path / "a")
    download.fetch({**block, "train": 40}, tmp_path / "b")
    chains = [json.loads((tmp_path / folder / "source.json").read_text())["chain"] for folder in "ab"]
    assert chains[0] == chains[1]


@pytest.mark.parametrize(
    ("block", "message"),
    [
        ({"kind": "text", "source": "ptbb"}, "nearest: ptb"),
        ({"kind": "music", "source": "ptb"}, "expected kind: text"),
        ({"kind": "text", "source": "ptb", "max_lenght": 3}, "nearest: max_length"),
        ({"kind": "music", "source": "jsb", "max_length": 3}, "got 'max_length'"),
        ({"kind": "text", "source": "ptb", "max_length": 0}, "at least 1, got 0"),
        ({"kind": "text", "source": "ptb", "train_sequences": "all"}, "whole number"),
    ],
)
def test_a_bad_block_is_refused(block, message, tmp_path):
    with pytest.raises(Problem, match=message):
        download.fetch(block, tmp_path / "raw")


def test_every_registered_source_has_a_block_of_its_kind_and_every_embedded_one_its_generator():
    real = {name: source.kind for name, source in registry.SOURCES.items()}
    assert real.items() <= corpora.KINDS.items()
    assert set(corpora.SOURCES) - set(real) == set(embedded.MODULES)
    unpinned = {name for name, one in registry.SOURCES.items() if not all(file.sha256 for file in one.files)}
    assert all("sha256" in corpora.SOURCES[name].entries() for name in unpinned)


def test_every_registered_file_has_an_address_a_licence_and_a_citation():
    for name, entry in registry.SOURCES.items():
        assert entry.licence and entry.citation, name
        if name in own.ENDS:  # whoever owns them knows where from
            assert not entry.files
            continue
        assert entry.homepage.startswith("http"), name
        for file in entry.files:
            if file.url is None:  # compiled: what from has to stand in the citation
                assert any(site in entry.homepage + entry.citation for site in ("github.com", "norvig.com")), name
            assert (file.url is None or file.url.startswith("http")) and "/" in file.mirror
            assert file.sha256 is None or len(file.sha256) == 64
            # a member of an archive without a checksum: the dataset's block may state it
            assert file.sha256 is not None or file.member is None or entry.kind in ("translation", "choices")


def test_a_file_that_only_a_mirror_has(tmp_path, monkeypatch):
    monkeypatch.delenv("SEQFLOWS_MIRROR", raising=False)
    block = {"kind": "words", "source": "gutenberg-words"}
    with pytest.raises(
        Problem, match="wordfreq/gutenberg98_unigrams.tsv.gz below the folder SEQFLOWS_MIRROR, got no such"
    ):
        download.fetch(block, tmp_path / "out", tmp_path / "cache")
    assert not (tmp_path / "out").exists()
    monkeypatch.setenv("SEQFLOWS_MIRROR", str(tmp_path))
    with pytest.raises(Problem, match=f"got {tmp_path} without it"):
        download.fetch(block, tmp_path / "out", tmp_path / "cache")


def test_run_reads_the_block_of_its_scale(tmp_path, monkeypatch):
    pytest.importorskip("seqflows.params", reason="seqflows.params is not there yet")
    from seqflows import params
    from seqflows.data import prepare, prepared

    class Matrix:
        def dataset(self, scale, name):
            assert (scale, name) == ("demo", "ptb")
            return {"kind": "text", "source": "embedded-text", "train": 20, "valid": 5, "test": 5}

    monkeypatch.setattr(params, "load", lambda *arguments: Matrix())
    monkeypatch.chdir(tmp_path)
    key = paths.Key("demo", "ptb")
    download.run(key)
    prepare.run(key)
    assert len(prepared.load(paths.prepared("demo", "ptb")).train) == 20


@contextlib.contextmanager
def cut_short(content):
    """A server that promises more than it sends."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Length", str(len(content) + 1000))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *arguments):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.fault("a download that is cut short or killed")
def test_a_download_that_is_cut_short_names_address_and_remedy_whole_and_leaves_nothing(use, tmp_path):
    with cut_short(b"half") as address, pytest.raises(Problem) as caught:
        url = f"{address}/{'folder/' * 60}a.tgz"
        download.fetch(use(source(url)), tmp_path / "out/raw", tmp_path / "cache")
    said = str(caught.value)
    assert f"expected train.txt at {url}, got " in said and "\n" not in said
    assert said.endswith("put the file at small/train.txt below a folder and set SEQFLOWS_MIRROR to it")
    assert leftovers(tmp_path / "out") == leftovers(tmp_path / "cache") == []


@pytest.mark.fault("a download that is cut short or killed")
def test_what_a_killed_download_left_goes_with_the_next(use, tmp_path, monkeypatch):
    process = subprocess.Popen(["true"])
    process.wait()
    with monkeypatch.context() as own:
        own.setattr(files.os, "getpid", lambda: process.pid)
        left = files._temporary(tmp_path / "cache/retrieved")
    left.mkdir()
    (left / "arrived").write_bytes(b"half")
    with pytest.raises(Problem, match="expected train.txt at"):
        download.fetch(use(source("http://127.0.0.1:9/none.tgz")), tmp_path / "out/raw", tmp_path / "cache")
    assert leftovers(tmp_path / "cache") == []


ZEROS = bytes(unpacking.SMALL + 2**20)


@pytest.mark.fault("a small pickle, archive or list that stands for much")
def test_a_gzip_bomb_in_the_mirror_stops_at_the_limit(use, tmp_path, monkeypatch):
    (tmp_path / "mirror/small").mkdir(parents=True)
    for name in CONTENT:
        (tmp_path / "mirror/small" / f"{name}.gz").write_bytes(gzip.compress(ZEROS))
    monkeypatch.setenv("SEQFLOWS_MIRROR", str(tmp_path / "mirror"))
    with pytest.raises(
        Problem, match=f"at most {unpacking.SMALL} bytes to come out of .*train.txt.gz, .*replace the f"
    ):
        download.fetch(use(source("http://x")), tmp_path / "out/raw", tmp_path / "cache")
    assert leftovers(tmp_path / "out") == []


@pytest.mark.parametrize("what", ["a member beside", "a header", "after the end"])
@pytest.mark.fault("a small pickle, archive or list that stands for much")
def test_a_tar_bomb_stops_at_the_limit(tmp_path, what):
    path = tmp_path / "a.tgz"
    with tarfile.open(path, "w:gz", format=tarfile.PAX_FORMAT) as tar:
        entry = tarfile.TarInfo("other")
        if what == "a header":
            entry.pax_headers = {"comment": ZEROS.decode()}
        elif what == "a member beside":
            entry.size = len(ZEROS)
        tar.addfile(entry, io.BytesIO(ZEROS))
    if what == "after the end":
        path.write_bytes(path.read_bytes() + gzip.compress(ZEROS))
    wanted = File("train.txt", "small/train.txt", "http://x/a.tgz", "0" * 64, "data/train.txt")
    stops = "bytes to come out of .*a.tgz, got more" if what != "after the end" else "expected data/train.txt"
    with pytest.raises(Problem, match=stops):
        download._store_members(path, [wanted], tmp_path / "cache")
    with pytest.raises(Problem, match="bytes to come out of .*a.tgz, got more"):
        tvqa.subtitles(path)


@pytest.mark.fault("a small pickle, archive or list that stands for much")
def test_zip_and_counts_stop_at_the_limit(tmp_path):
    with zipfile.ZipFile(tmp_path / "vectors.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("vectors.txt", ZEROS)
    with pytest.raises(Problem, match="bytes to come out of .*vectors.zip, got more"):
        glove.read(tmp_path / "vectors.zip", 2)
    for name in ("counts.tsv.gz", "counts.csv.gz"):
        (tmp_path / name).write_bytes(gzip.compress(ZEROS))
        with pytest.raises(Problem, match=f"bytes to come out of .*{name}, got more"):
            lexicon.read(tmp_path / name)


def test_counts_are_read_as_a_stream(tmp_path):
    """A wrong line is told before what follows it is unpacked."""
    (tmp_path / "counts.tsv.gz").write_bytes(gzip.compress(b"a\t1\nb\n" + ZEROS))
    with pytest.raises(Problem, match="in line 2 of .*counts.tsv.gz, got 1 fields"):
        lexicon.read(tmp_path / "counts.tsv.gz")


def test_the_limit_lets_every_known_file_pass():
    assert unpacking.LARGEST > 2 * 5.65e9  # GloVe's 840B
    assert unpacking.RATIO > 10
