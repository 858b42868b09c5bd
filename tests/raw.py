"""Raw folders as download leaves them, and small files of SQuAD, TVQA and word vectors."""

from __future__ import annotations

import io
import json
import tarfile

from seqflows import files
from seqflows.data import prepared

VECTORS = "what 1 0 0\ndid 0 1 0\n? 0 0 1\nthe 1 1 0\ndog 1 0 1.5\nran 0 1 -1\n"


def written(folder, content, name):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def raw_folder(folder, contents):
    """A raw folder as download leaves it, with any content."""
    folder.mkdir()
    for name, content in contents.items():
        written(folder, content, name)
    checksums = {name: files.sha256(folder / name) for name in contents}
    files.write_json(folder / "checksums.json", {"files": checksums, "sha256": prepared.combined(checksums)})
    return folder


def article(title, *contexts, qas=None):
    return {"title": title, "paragraphs": [{"context": text, "qas": qas or []} for text in contexts]}


def qas(text="dog", start=4, **changes):
    return [{"id": "q1", "question": "Who ran?", "answers": [{"text": text, "answer_start": start}], **changes}]


def as_squad(*articles):
    return json.dumps({"data": list(articles), "version": "1.1"}, indent=1)


def asked(clip="s01e01_seg01_clip_00", text="What did the dog do?", qid=1, **changes):
    answers = {f"a{n}": f"It ran {n}." for n in range(5)}
    return {"qid": qid, "q": text, "vid_name": clip, "ts": "1.5-4", "answer_idx": 3, **answers, **changes}


def lines(*entries):
    return "".join(f"{json.dumps(entry)}\n" for entry in entries)


SRT = (
    "1\r\n00:00:01,200 --> 00:00:03,000\r\n(Penny:)Where did\r\n<i>the dog</i> go?\r\n\r\n"
    "2\r\n00:00:04,500 --> 00:01:05,250\r\nIt ran.\r\n"
)


def archive(path, members):
    with tarfile.open(path, "w:gz") as tar:
        for name, content in members.items():
            content = content if isinstance(content, bytes) else content.encode()
            entry = tarfile.TarInfo(f"tvqa_subtitles/{name}")
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return path
