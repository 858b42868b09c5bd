"""The stage features, of a small BERT in a folder: against plain transformers, word by word, and with bad input.

Nothing is downloaded: `conftest` sets HF_HUB_OFFLINE.
"""

import dataclasses
import json
import shutil
import time

import numpy as np
import pytest
import torch
import transformers
import yaml
from safetensors.torch import load_file, save_file

import pairs
import tiny as projects
from seqflows import compute, params, paths
from seqflows.config.features import Encoder, Tiny, encoder
from seqflows.data import batching, prepared
from seqflows.data.prepared import SPLITS
from seqflows.errors import Problem
from seqflows.evaluation import loading
from seqflows.features import encode, tiny, windows
from seqflows.features.encoder import opened
from seqflows.training import loop

ACCENT = "\u0301"  # a combining accent alone: the tokenizer strips it and has no piece left
WORDS = ("the", "castle", "didn", "n't", "rebuilt", ACCENT, "1,066", "castles")  # 4 known, the others in pieces
LAYERS = (-3, -1)
POSITIONS = 16
CPU = compute.Machine(torch.device("cpu"), "cpu", 1, "fp32")
KEY = paths.Key("demo", "questions")


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    """The folder of a BERT of two layers with an input of 16 pieces."""
    folder = tmp_path_factory.mktemp("bert")
    tiny.write(folder, WORDS[:4], Tiny(model="tiny", layers=LAYERS, positions=POSITIONS))
    return folder


def block(folder, **others):
    return {"model": str(folder), "layers": list(LAYERS), **others}


def data(seed=0, window=6):
    """A dataset of such words, with paragraphs of ``window`` to twice as many."""
    made = pairs.dataset(seed, 10, words=4 + len(WORDS), outputs=8, window=window, features=0)
    return dataclasses.replace(made, vocabulary=[*made.vocabulary[:4], *WORDS], name=KEY.name)


def written(folder, dataset):
    """The folder of a prepared dataset."""
    statistics = dataset.statistics | {"dataset": KEY.name}
    splits = {name: getattr(dataset, name) for name in SPLITS}
    prepared.save(folder, dataset.vocabulary, splits, statistics, dataset.vectors)
    return folder


@pytest.fixture
def project(tmp_path, monkeypatch, bert):
    """A project with the dataset, its features by the BERT of the folder, and a run."""
    monkeypatch.chdir(tmp_path)
    content = projects.matrix({}) | {"speeds": {}}
    source = {"source": "squad-questions", "window": 12, "question_length": 5, "vocabulary_size": 4, "dimensions": 4}
    source |= {"glove": "6B-50d"}
    content["datasets"] = {KEY.name: {"kind": "pairs", "demo": source}}
    content["features"] = {KEY.name: {"demo": block(bert)}}
    training = {"epochs": 1, "batch_size": 4, "learning_rate": 0.01}
    model = {"class": "encoder_decoder", "units": 4, "decoder_units": 4, "layers": 1}
    run = {"seeds": [0], "model": model, "training": training, "evaluation": {}}
    content["runs"] = {"qg": {"reproduces": "tang2021", "dataset": KEY.name, "demo": run}}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(content))
    written(paths.prepared(*KEY), data(window=12))
    return content


def loaded(encoder=None):
    return prepared.load(paths.prepared(*KEY), paths.features(*KEY), encoder)


def paragraphs(dataset, name):
    contexts = getattr(dataset, name).contexts
    for start, size in zip(contexts.offsets, contexts.lengths, strict=True):
        yield start, [dataset.vocabulary[word] for word in contexts.words[start : start + size]]


def by_hand(folder, pieces_of):
    """A word's feature where the encoder sees these pieces of each word: plain transformers, a word at a time."""
    tokenizer = transformers.BertTokenizer.from_pretrained(folder)
    model = transformers.BertModel.from_pretrained(folder).eval()
    ids = [tokenizer.cls_token_id, *(piece for pieces in pieces_of for piece in pieces), tokenizer.sep_token_id]
    with torch.no_grad():
        hidden = model(torch.tensor([ids]), output_hidden_states=True).hidden_states
    summed = (hidden[0] + hidden[2])[0]  # of two layers, -3 is the embeddings and -1 the last
    start, found = 1, []
    for pieces in pieces_of:
        end = start + len(pieces)
        found.append(summed[start:end].mean(0).numpy() if pieces else np.zeros(summed.shape[1], np.float32))
        start = end
    return np.array(found)


def pieces(folder, words):
    tokenizer = transformers.BertTokenizer.from_pretrained(folder)
    return [tokenizer.convert_tokens_to_ids(tokenizer.tokenize(word)) for word in words]


def test_features_are_those_of_plain_transformers_word_by_word(tmp_path, bert):
    """Short paragraphs, each of one window; float16 has 11 bits."""
    whole = tmp_path / "whole"
    tiny.write(whole, WORDS[:4], Tiny(model="tiny", layers=LAYERS))
    dataset = data()
    encode.encode(block(whole), dataset, tmp_path / "out", CPU)
    spelt = 0
    for name in SPLITS:
        found = np.load(tmp_path / "out" / f"{name}.npy")
        assert found.dtype == np.float16 and found.shape == (len(getattr(dataset, name).contexts.words), 16)
        for start, words in paragraphs(dataset, name):
            cut = pieces(whole, words)
            spelt += sum(len(one) > 1 for one in cut)
            wanted = by_hand(whole, cut)
            np.testing.assert_allclose(found[start : start + len(words)], wanted, rtol=2e-3, atol=2e-3)
    assert spelt > 20


def test_a_word_of_a_long_context_is_taken_where_it_stands_most_central(tmp_path, bert):
    """Its windows found by brute force: of 14 pieces, each seven after the other."""
    dataset, room = data(window=12), POSITIONS - 2
    encode.encode(block(bert), dataset, tmp_path / "out", CPU)
    header = json.loads((tmp_path / "out" / "header.json").read_text())
    assert header["longest"] == POSITIONS
    several = 0
    for start, words in paragraphs(dataset, "train"):
        cut = pieces(bert, words)
        flat = [(word, piece) for word, own in enumerate(cut) for piece in own]
        starts = [0]
        while starts[-1] + room < len(flat):
            starts.append(starts[-1] + room // 2)
        several += len(starts) > 2
        found = np.load(tmp_path / "out" / "train.npy")[start : start + len(words)]
        seen = [flat[first : first + room] for first in starts]
        values = []
        for part in seen:  # whole words and cut ones alike
            there = sorted({word for word, _ in part})
            own = [[piece for word, piece in part if word == one] for one in there]
            values.append(dict(zip(there, by_hand(bert, own), strict=True)))
        for word, own in enumerate(cut):
            if not own:
                assert not found[word].any()
                continue
            scores = []
            for part in seen:
                at = [place for place, (one, _) in enumerate(part) if one == word]
                scores.append((min(at[0], len(part) - 1 - at[-1]), len(at)) if at else (-1, 0))
            best = scores.index(max(scores))
            assert scores[best][1] == len(own)  # never a word that is cut
            np.testing.assert_allclose(found[word], values[best][word], rtol=2e-3, atol=2e-3)
    assert several > 2


@pytest.mark.parametrize(
    ("parts", "wanted"),
    [
        ([[0, 1, 2, 3], [2, 3, 4, 5]], [0, 0, 0, 1, 1, 1]),
        ([[0, 1, 2, 3, 4], [3, 4, 5]], [0, 0, 0, 0, 1, 1]),  # 3: one before and one after, against none before
        ([[0, 1, 1], [1, 1, 1, 2]], [0, 1, 1]),  # 1 is cut in the first
        ([[0, 2, 3]], [0, -1, 0, 0]),
    ],
)
def test_owners(parts, wanted):
    special = [np.array([-1, *part, -1]) for part in parts]
    assert windows.owners(special, len(wanted)).tolist() == wanted


def test_batches_have_all_windows_by_length_within_the_limit():
    made = [windows.Window(np.arange(size), np.arange(size), np.arange(size)) for size in (3, 9, 2, 8, 30, 1)]
    found = windows.batches(made, 20)
    assert [[len(one.ids) for one in batch] for batch in found] == [[30], [9, 8], [3, 2, 1]]


def test_the_stage_writes_features_its_header_and_checksums(project, bert, capsys):
    matrix = params.load()
    encode.run(KEY, matrix)
    folder, dataset = paths.features(*KEY), prepared.load(paths.prepared(*KEY))
    names = {"train.npy", "valid.npy", "test.npy", "header.json", "checksums.json"}
    assert {path.name for path in folder.iterdir()} == names
    header = json.loads((folder / "header.json").read_text())
    assert (header["dataset"], header["dataset_sha256"], header["width"]) == (KEY.name, dataset.sha256, 16)
    assert header["encoder"] == block(bert) and header["model"].keys() == {"config.json", "model.safetensors"}
    assert "tokenizer.json" in header["tokenizer"]
    assert header["versions"].keys() == {"python", "numpy", "tokenizers", "torch", "transformers"}
    accents = {name: int((getattr(dataset, name).contexts.words == 4 + WORDS.index(ACCENT)).sum()) for name in SPLITS}
    assert {name: header["splits"][name]["without_pieces"] for name in SPLITS} == accents and min(accents.values()) > 0
    assert "without pieces" in capsys.readouterr().out
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    encode.run(KEY, matrix)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_features_are_mapped_into_the_contexts_and_their_batches(project):
    encode.run(KEY)
    bare, found = prepared.load(paths.prepared(*KEY)), prepared.of(params.load(), *KEY)
    assert bare.features_sha256 is None and bare.origin() == {"dataset_sha256": bare.sha256}
    assert found.origin() == {"dataset_sha256": bare.sha256, "features_sha256": found.features_sha256}
    assert (bare.facts().features, found.facts().features) == (0, 16)
    for name in SPLITS:
        contexts = getattr(found, name).contexts
        assert isinstance(contexts.features, np.memmap) and not contexts.features.flags.writeable
    given = batching.collate(found.train, np.array([3, 0])).given
    rows = found.train.contexts.rows(3)
    size = rows.stop - rows.start
    assert np.array_equal(given.features[0, :size].numpy(), found.train.contexts.features[rows].astype(np.float32))


def test_the_random_encoder_is_a_function_of_its_seed_and_of_the_words(tmp_path):
    dataset, sums = data(), []
    for seed in (0, 0, 1):
        settings = {"model": "tiny", "layers": [-1], "width": 8, "seed": seed}
        sums.append(encode.encode(settings, dataset, tmp_path / "out", CPU))
    assert sums[0] == sums[1] != sums[2]
    assert np.load(tmp_path / "out" / "train.npy").shape[1] == 8


REFUSED = {
    "of a folder that is not there": ({"model": "./none"}, r"expected config.json, .* in none, got no such folder"),
    "of a package that is not there": (
        {"model": "package:no_such_package/model"},
        "expected the installed package no_such_package with an encoder, got no such package; .*make laptop-packages",
    ),
    "of a package without the folder": ({"model": "package:seqflows/model"}, "got no such folder; .*laptop-packages"),
    "of the hub, without network": (
        {"model": "bert-base-uncased", "revision": "86b5e0934494bd15c9632b12f734a8a67f723594"},
        r"expected the encoder bert-base-uncased at revision 86b5.* in the cache or on the hub, got .*; .*as \./<path>",
    ),
    "of too few layers": ({"layers": [-4]}, "expected layers from -3, the embeddings, to -1, .* got -4; change layers"),
    "of another file": ({"sha256": {"config.json": "0" * 64}}, "config.json with sha256 0000.*, got [0-9a-f]"),
    "of no such file": ({"sha256": {"vocab.txt": "0" * 64}}, "vocab.txt with sha256 0000.*, got none"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_an_encoder_is_refused(tmp_path, bert, what):
    others, message = REFUSED[what]
    started = time.monotonic()
    with pytest.raises(Problem, match=message):
        encode.encode(block(bert) | others, data(), tmp_path / "out", CPU)
    assert time.monotonic() - started < 5 and not (tmp_path / "out").exists()


def without(folder, name):
    (folder / name).unlink()


def without_weight(folder, name):
    """Less one tensor, for which transformers would draw random numbers."""
    kept = load_file(folder / "model.safetensors")
    del kept[name]
    save_file(kept, folder / "model.safetensors", {"format": "pt"})


def larger(folder, name):
    kept = load_file(folder / "model.safetensors")
    save_file(kept | {name: kept[name] * 1e6}, folder / "model.safetensors", {"format": "pt"})


def cut(folder, name):
    (folder / name).write_bytes((folder / name).read_bytes()[:-100])


LAST = "encoder.layer.1.output.LayerNorm.weight"
DAMAGED = [
    (without, "config.json", "expected config.json, model.safetensors and tokenizer.json in .*, got model.safe"),
    (without, "tokenizer.json", "got config.json, model.safetensors, tokenizer_config.json; install the encoder"),
    (without_weight, LAST, f"expected every weight of the encoder in .*, got none for {LAST}"),
    (cut, "model.safetensors", "expected an encoder of transformers in "),
    (cut, "config.json", "expected an encoder of transformers in "),
    (larger, LAST, "expected features within the range of float16, 65504, got .* for the word '"),
]


@pytest.mark.parametrize(("damage", "name", "message"), DAMAGED, ids=lambda value: getattr(value, "__name__", None))
def test_a_damaged_encoder_is_refused(tmp_path, bert, damage, name, message):
    shutil.copytree(bert, tmp_path / "bert")
    damage(tmp_path / "bert", name)
    with pytest.raises(Problem, match=message):
        encode.encode(block(tmp_path / "bert"), data(), tmp_path / "out", CPU)
    assert {path.name for path in tmp_path.iterdir()} == {"bert"}


def test_no_weight_of_the_pooler_is_needed(tmp_path, bert):
    shutil.copytree(bert, tmp_path / "bert")
    without_weight(tmp_path / "bert", "pooler.dense.weight")
    with opened(Encoder.of(block(tmp_path / "bert"), ""), [], CPU) as found:
        assert found.longest == POSITIONS


AGAIN = "run: python -m seqflows features demo/questions"


def test_features_of_something_else_are_refused(project, bert, tmp_path):
    with pytest.raises(Problem, match=f"expected the features data/features/demo/questions, found none; {AGAIN}"):
        loaded()
    encode.run(KEY)
    stated = params.load().encoder(*KEY)
    assert loaded(stated).features_sha256 == loaded().features_sha256
    for other, message in (
        ({"layers": [-1]}, r"with layers: \[-1\], got layers: \[-3, -1\]"),
        ({"model": "./other"}, "with model: ./other, got model: .*"),
        ({"revision": "ab" * 20}, "with revision: abab.*, got revision: None"),
    ):
        with pytest.raises(
            Problem, match=f"expected features in data/features/demo/questions {message}; {AGAIN} --force"
        ):
            loaded(stated | other)
    written(paths.prepared(*KEY), data(seed=1, window=12))
    with pytest.raises(Problem, match=f"of the prepared data with sha256 [0-9a-f]+..., got those of .*; {AGAIN}"):
        loaded()


def test_features_by_another_tokenizer_than_the_pinned_one_are_refused(project, bert):
    """As of a folder that was copied here: its header says what its tokenizer was."""
    encode.run(KEY)
    folder = paths.features(*KEY)
    header = json.loads((folder / "header.json").read_text())
    stated = params.load().encoder(*KEY) | {"sha256": {"tokenizer.json": header["tokenizer"]["tokenizer.json"]}}
    header |= {"encoder": stated}
    (folder / "header.json").write_text(json.dumps(header))
    (folder / "checksums.json").unlink()
    prepared.seal(folder)
    assert loaded(stated).facts().features == 16
    header["tokenizer"]["tokenizer.json"] = "0" * 64
    (folder / "header.json").write_text(json.dumps(header))
    (folder / "checksums.json").unlink()
    prepared.seal(folder)
    with pytest.raises(Problem, match=f"by tokenizer.json with sha256 [0-9a-f]+, got 0000.*; {AGAIN}"):
        loaded(stated)


@pytest.mark.parametrize("name", ["train.npy", "test.npy", "header.json"])
def test_one_flipped_bit_in_features_is_found(project, name):
    encode.run(KEY)
    path = paths.features(*KEY) / name
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)
    with pytest.raises(Problem, match=f"expected data/features/demo/questions/{name} with sha256 .*{AGAIN}"):
        loaded()


def test_an_array_of_another_shape_is_refused(project):
    encode.run(KEY)
    folder = paths.features(*KEY)
    right = np.load(folder / "train.npy")
    for wrong, message in (
        (right[1:], f"expected features of {len(right)} words, got {len(right) - 1}; run the stage features again"),
        (right.astype(np.float32), "expected float16 features .* in .*train.npy, got float32 of shape"),
        (right[:, 0], r"expected float16 features \(words, F\)"),
    ):
        np.save(folder / "train.npy", wrong)
        (folder / "checksums.json").unlink()
        prepared.seal(folder)
        with pytest.raises(Problem, match=message):
            loaded()


def test_a_model_is_of_the_features_that_it_was_trained_on(project, tmp_path, monkeypatch):
    """train.json has their sha256, and a model of others, or of none, is not scored."""
    monkeypatch.setenv("SEQFLOWS_CHECKPOINTS", str(tmp_path / "checkpoints"))
    with pytest.raises(Problem, match=f"expected the features .*, found none; {AGAIN}"):
        loop.run(paths.Key("demo", "qg"))
    encode.run(KEY)
    loop.run(paths.Key("demo", "qg"))
    matrix, key = params.load(), paths.Key("demo", "qg")
    dataset = prepared.of(matrix, *KEY)
    _, record = loading.load(key, matrix.run(*key), 0, dataset, CPU)
    assert record["features_sha256"] == dataset.features_sha256 and record["dataset_sha256"] == dataset.sha256
    other = dataclasses.replace(dataset, features_sha256="0" * 64)
    with pytest.raises(
        Problem, match=r"trained on the features with sha256 000000000000\.\.\., got [0-9a-f]{12}\.\.\."
    ):
        loading.load(key, matrix.run(*key), 0, other, CPU)
    with pytest.raises(Problem, match=r"trained on the features with sha256 none\.\.\., got [0-9a-f]{12}\.\.\."):
        loading.load(key, matrix.run(*key), 0, prepared.load(paths.prepared(*KEY)), CPU)


def test_a_seed_trained_on_other_features_is_not_taken_from_its_checkpoint(project, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("SEQFLOWS_CHECKPOINTS", str(tmp_path / "checkpoints"))
    encode.run(KEY)
    loop.run(paths.Key("demo", "qg"))
    assert "trained before" not in capsys.readouterr().out
    loop.run(paths.Key("demo", "qg"))
    assert "trained before" in capsys.readouterr().out
    project["features"][KEY.name]["demo"]["layers"] = [-2]
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(project))
    encode.run(KEY)
    loop.run(paths.Key("demo", "qg"))
    assert "trained before" not in capsys.readouterr().out


def test_a_block_is_of_its_type():
    assert encoder({"model": "tiny"}) is Tiny and encoder({"model": "./tiny"}) is Encoder and encoder(None) is Encoder
