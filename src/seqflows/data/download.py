"""The stage ``download``: raw files with known checksums, never edited afterwards.

A real file is looked for in ``$SEQFLOWS_MIRROR`` (laid out as ``<dataset>/<file>``, gzipped or not), then in
``data/cache/<sha256>``, then on the network, and then cached; files of a package are
taken from the installed package instead of the network. A user's own files are copied from the project or the mirror.
An embedded source generates its files and needs neither mirror nor network.
"""

from __future__ import annotations

import contextlib
import gzip
import importlib.util
import os
import posixpath
import shutil
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

from seqflows import files, kinds, params, paths
from seqflows.config import corpora, own, registry
from seqflows.config.registry import File, Source
from seqflows.data import embedded
from seqflows.data.prepared import seal
from seqflows.data.readers import unpacking
from seqflows.errors import Problem, shown

CACHE = Path("data/cache")
LARGEST = 2**30  # bytes of an archive member; more is a mistake or an attack


def run(key: paths.Key, found: params.Params | None = None) -> None:
    """Make ``data/raw/<scale>/<dataset>/``."""
    fetch((found or params.load()).dataset(key.scale, key.name), paths.raw(key.scale, key.name))


def fetch(block: Mapping[str, Any], out: Path, cache: Path = CACHE) -> None:
    """Make the raw folder ``out`` of a dataset block atomically.

    Its ``checksums.json`` lists every file's sha256; `prepare` verifies them.
    """
    corpora.block(block)
    with files.replacing_folder(Path(out)) as folder:
        given: dict[str, str] = {}
        if block["source"] in embedded.MODULES:
            embedded.generate(dict(block), folder)
        else:
            source = registry.SOURCES[block["source"]]
            listed, given = registry.files(block), _own(block, folder)
            for file in listed:
                expected = file.sha256 or _given(block, file)
                if (zipped := _zipped(file)) is not None:
                    _unzip(zipped, folder / file.name, expected)
                    continue
                shutil.copyfile(_locate(file, block, source, cache), folder / file.name)
                _verify(folder / file.name, expected, f"free disk space and run download again for {file.name}")
            content = _provenance(block["source"], source, listed)
            content["addresses"] |= own.listed(block)
            files.write_json(folder / "registry.json", content)
        if given:
            _try(block, folder, Path(out).name)
        seal(folder)
        own.record(given)


def _own(block: Mapping[str, Any], folder: Path) -> dict[str, str]:
    """Copy a user's own files into a raw folder; the sha256 of each by its path in params.yaml."""
    found = {}
    for name, path in own.listed(block).items():
        shutil.copyfile(own.located(path), folder / name)
        found[path] = files.sha256(folder / name)
        own.verify(block, path, found[path])
    return found


def _try(block: Mapping[str, Any], folder: Path, dataset: str) -> None:
    """Prepare own files, so that one with an error is neither recorded nor kept, and can be corrected.

    An error names the file where its owner has it.
    """
    try:
        kinds.load(kinds.of(block["kind"]).data).prepare(block, folder, None, dataset)
    except Problem as problem:
        said = str(problem)
        for name, path in own.listed(block).items():
            said = said.replace(str(folder / name), path)
        raise Problem(said.replace(str(folder), f"the files of {dataset}")) from None


def _given(block: Mapping[str, Any], file: File) -> str:
    given, hint = block.get("sha256"), "<64 hex digits>"
    if len(registry.files(block)) > 1:  # one by one
        given, hint = given.get(file.name) if isinstance(given, Mapping) else None, f"{{{file.name}: {hint}}}"
    if not isinstance(given, str) or len(given) != 64:
        raise Problem(
            f"expected sha256: {hint} beside source: {block['source']} in params.yaml, got {given!r}; "
            f"no checksum is published for {file.name}: compute that of your copy with sha256sum"
        )
    return given.lower()


def _provenance(name: str, source: Source, listed: tuple[File, ...]) -> dict[str, Any]:
    addresses = {
        file.name: (file.url or file.package or "mirror only") + (f"#{file.member}" if file.member else "")
        for file in listed
    }
    return {
        "source": name,
        "addresses": addresses,
        "licence": source.licence,
        "citation": source.citation,
        "homepage": source.homepage,
    }


def _verify(path: Path, expected: str, remedy: str) -> Path:
    found = files.sha256(path)
    if found != expected:
        raise Problem(f"expected {path} with sha256 {expected}, got {found}; {remedy}")
    return path


def _zipped(file: File) -> Path | None:
    """The gzipped copy of ``file`` in the mirror, if the mirror has no plain one."""
    mirror = os.environ.get("SEQFLOWS_MIRROR")
    if not mirror or (Path(mirror) / file.mirror).is_file():
        return None
    path = Path(mirror) / f"{file.mirror}.gz"
    return path if path.is_file() else None


def _unzip(zipped: Path, path: Path, expected: str) -> None:
    """Write ``path`` from a mirror's gzipped copy; ``expected`` is the content's sha256."""
    remedy = "replace the file in the mirror, or unset SEQFLOWS_MIRROR to use the network"
    try:
        with unpacking.gunzipped(zipped) as content:
            _copy(content, path)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise Problem(f"expected a whole gzip file in {zipped}, got {error}; {remedy}") from None
    found = files.sha256(path)
    if found != expected:
        raise Problem(f"expected sha256 {expected} of the content of {zipped}, got {found}; {remedy}")


def _locate(file: File, block: Mapping[str, Any], source: Source, cache: Path) -> Path:
    """A verified copy of ``file`` from the mirror, else the cache, else the network."""
    expected = file.sha256 or _given(block, file)
    mirror = os.environ.get("SEQFLOWS_MIRROR")
    if mirror and (Path(mirror) / file.mirror).is_file():
        remedy = "replace the file in the mirror, or unset SEQFLOWS_MIRROR to use the network"
        return _verify(Path(mirror) / file.mirror, expected, remedy)
    cached = cache / expected
    if file.package is not None and not cached.is_file():
        return _verify(_packaged(file), expected, f"reinstall it: pip install --force-reinstall {file.package}")
    if not cached.is_file() and file.url is None:
        raise Problem(
            f"expected {file.mirror} below the folder SEQFLOWS_MIRROR, got {mirror or 'no such variable'} without it; "
            f"this file was compiled ({source.citation}) and has no address of its own: put a copy there, or take "
            "a source of the same kind that has one (for words: fiction-words, for language: squad-articles-full, "
            "for pairs: squad-questions-full, for translation: wmt16-roen)"
        )
    if not cached.is_file():
        _retrieve(file, block, source, cache)
    return _verify(cached, expected, "delete it and run download again")


def _retrieve(file: File, block: Mapping[str, Any], source: Source, cache: Path) -> None:
    """Bring ``file`` and others of its archive from the network into the cache, unless another stage has meanwhile."""
    expected = file.sha256 or _given(block, file)
    lock = paths.lock(f"address-{files.digest(file.url)[:16]}")
    with files.lock(lock, f"another stage downloads {shown(str(file.url))}"):
        if (cache / expected).is_file():
            return
        with _retrieved(file, cache) as arrived:
            if file.member is not None:
                siblings = [other for other in source.files if other.url == file.url]
                _store_members(
                    arrived, [replace(one, sha256=one.sha256 or _given(block, one)) for one in siblings], cache
                )
            elif file.url.endswith(".gz") and not file.name.endswith(".gz"):
                _store_unzipped(arrived, expected, file, cache)
            else:
                _verify_arrived(files.sha256(arrived), expected, file.url)
                with files.replacing(cache / expected) as temporary:
                    shutil.copyfile(arrived, temporary)


def _packaged(file: File) -> Path:
    """A file of an installed package, which is not imported; without it a `Problem` with the remedy."""
    assert file.package is not None and file.member is not None
    folder, _, rest = file.member.partition("/")
    found = importlib.util.find_spec(folder)
    for place in (found.submodule_search_locations or []) if found else []:
        if (Path(place) / rest).is_file():
            return Path(place) / rest
    mirror = os.environ.get("SEQFLOWS_MIRROR")
    raise Problem(
        f"expected {file.mirror} below the folder SEQFLOWS_MIRROR or in the package {file.package}, got "
        f"{mirror or 'no such variable'} without it and {'another' if found else 'no such'} package; "
        f"pip install {file.package}, or put a copy there"
    )


@contextlib.contextmanager
def _retrieved(file: File, cache: Path) -> Iterator[Path]:
    """The file at a URL, by pooch, at a temporary path; a failure is a `Problem` with both remedies."""
    try:
        import pooch
    except ImportError:
        raise Problem(
            f"expected the package pooch to download {file.url}, got none; install it, or put the file at "
            f"{file.mirror} below a folder and set SEQFLOWS_MIRROR to it"
        ) from None
    pooch.get_logger().setLevel("ERROR")
    with files.scratch(cache / "retrieved") as folder:
        try:
            downloader = pooch.HTTPDownloader(timeout=60)
            yield Path(pooch.retrieve(file.url, None, fname="arrived", path=folder, downloader=downloader))
        except Problem:
            raise
        except Exception as error:  # requests, urllib3, pooch and sockets raise different classes
            said, mirror = shown(error), os.environ.get("SEQFLOWS_MIRROR")
            where = f"it is not in the mirror {mirror} either" if mirror else "SEQFLOWS_MIRROR is not set"
            raise Problem(
                f"expected {file.name} at {file.url}, got {type(error).__name__}: {said} ({where}); "
                f"connect to the network, or put the file at {file.mirror} below a folder and set SEQFLOWS_MIRROR to it"
            ) from error


def _verify_arrived(found: str, expected: str, url: str) -> None:
    if found != expected:
        raise Problem(
            f"expected sha256 {expected} from {url}, got {found}; the publisher's file has changed or a proxy "
            "altered it: put the right file into a mirror and set SEQFLOWS_MIRROR to it"
        )


def _store_unzipped(arrived: Path, expected: str, file: File, cache: Path) -> None:
    """Copy what a gzip file holds into the cache."""
    with files.replacing(cache / expected) as temporary:
        try:
            with unpacking.gunzipped(arrived) as content:
                _copy(content, temporary)
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise Problem(
                f"expected a whole gzip file at {file.url}, got {error}; put {file.mirror} into a mirror and set "
                "SEQFLOWS_MIRROR to it"
            ) from None
        _verify_arrived(files.sha256(temporary), expected, file.url)


def _store_members(archive: Path, wanted: list[File], cache: Path) -> None:
    """Copy the wanted members of an archive into the cache, under names independent of the archive."""
    members = {file.member: file for file in wanted}
    with unpacking.members(archive, zipped=str(wanted[0].url).endswith(".zip")) as entries:
        for name, size, opened in entries:
            file = members.get(member_name(name))
            if file is None or size > LARGEST:
                continue
            assert file.sha256 is not None
            with files.replacing(cache / file.sha256) as temporary, opened() as content:
                _copy(content, temporary)
                _verify_arrived(files.sha256(temporary), file.sha256, f"{file.url} ({file.member})")
            members.pop(file.member)
    if members:
        raise Problem(
            f"expected {', '.join(map(str, members))} in {wanted[0].url}, got an archive without; "
            "put the files into a mirror and set SEQFLOWS_MIRROR to it"
        )


def _copy(content: IO[bytes], path: Path) -> None:
    with open(path, "wb") as file:
        shutil.copyfileobj(content, file)


def member_name(name: str) -> str | None:
    """An archive member's normalised name, or None if it would leave the archive.

    >>> member_name("./simple-examples/data/ptb.train.txt")
    'simple-examples/data/ptb.train.txt'
    >>> member_name("../../etc/passwd") is None
    True
    """
    plain = posixpath.normpath(name.replace("\\", "/"))
    return None if plain.startswith(("/", "../")) or plain == ".." else plain
