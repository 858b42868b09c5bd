"""Tables of text: what models wrote, side by side, and only what the present models wrote."""

import hashlib

import pytest

import report_world
from seqflows import paths
from seqflows.errors import Problem
from seqflows.report import inputs, keep, tables

SCALE = "laptop"
ENTRY = "tvqa-att_ar-samples"
AGAIN = f"run: python -m seqflows generate {SCALE}/{ENTRY}"


@pytest.fixture
def written(world):
    for run in dict.fromkeys(entry["run"] for entry in world.texts.values()):
        report_world.write_run(SCALE, run)
    for name in world.texts:
        report_world.write_text(SCALE, name)
    return world


def page(number):
    """The csv's rows and the page of a table."""
    key = paths.Key(SCALE, f"tang2021-table{number}")
    tables.run(key)
    csv_path, md_path = paths.table(*key)
    return inputs.read_csv(csv_path), md_path.read_text().splitlines()


def test_samples_stand_beside_one_another(written):
    rows, lines = page(1)
    at = lines.index("|  | Att-S | Att-AR, greedy | Att-AR, beam of 5 |")
    assert lines[at + 2] == (
        "| 1 | tvqa-att\\_s wrote \\| 1 all steps at once | tvqa-att\\_ar wrote \\| 1 greedy "
        "| tvqa-att\\_ar wrote \\| 1 beam of 5 |"
    )
    assert lines[at + 3].startswith("| 2 |") and lines[at + 4] == ""
    assert [(row["name"], row["label"], row["decoding"]) for row in rows if row["block"] != "numbers"] == [
        ("tvqa-att_s-samples", "1", "all steps at once"),
        ("tvqa-att_s-samples", "2", "all steps at once"),
        *((ENTRY, label, way) for label in "12" for way in ("greedy", "beam of 5")),
    ]
    shown = [row for row in rows if row["block"] == "samples"]
    assert shown[-1]["text"] == "tvqa-att_ar wrote | 2 beam of 5"
    assert rows[0]["model_sha256"] == report_world.MODEL_SHA256 and rows[0]["seed"] == "0"


def test_an_interpolation_stands_between_its_sentences(written):
    rows, lines = page(2)
    at = lines.index("### Pair 1")
    assert lines.count("### Pair 1") == 1  # both models were given the same
    assert lines[at + 2] == "| ratio | Att-S | Att-AR, greedy | Att-AR, beam of 5 |"
    table = [line for line in lines[at + 4 : lines.index("### Numbers")] if line.startswith("|")]
    assert [line.split(" | ")[0] for line in table] == ["| sentence 1", "| 0.6", "| 0.4", "| sentence 2"]
    assert table[0] == "| sentence 1 | the \\<unk> end\\_1 | ″ | ″ |"
    assert {row["label"] for row in rows if row["block"] == "pair 1"} == {"sentence 1", "0.6", "0.4", "sentence 2"}


def test_models_that_were_given_others_have_tables_of_their_own(written):
    path = paths.text(SCALE, "tvqa-att_ar-interpolation")
    head, _, body = path.read_text().partition("\n\n")
    body = body.replace("end_2", "finish")
    head = head[: head.index("# lines_sha256")] + f"# lines_sha256: {hashlib.sha256(body.encode()).hexdigest()}"
    path.write_text(f"{head}\n\n{body}")
    _, lines = page(2)
    assert lines.count("### Pair 1") == 2
    assert "| ratio | Att-S |" in lines and "| ratio | Att-AR, greedy | Att-AR, beam of 5 |" in lines


def test_a_stand_in_is_said_beside_its_corpus(written, monkeypatch):
    monkeypatch.setattr(inputs, "STAND_INS", ("tvqa",))
    assert [line for line in page(3)[1] if line.startswith("## ")] == [
        "## tvqa = tvqa (real): stand-in", "## squad = squad (real)",
    ]  # fmt: skip


def test_a_context_is_followed_by_what_each_model_made_of_it(written):
    _, lines = page(3)
    assert [line for line in lines if line.startswith("## ")] == [
        "## tvqa = tvqa (real)", "## squad = squad (real)",
    ]  # fmt: skip
    at = lines.index("| noise | model | text |")
    assert [line.split(" | ")[:2] for line in lines[at + 2 : at + 9]] == [
        ["| original", ""], ["| 0.1", "Att-S"], ["| ", "Att-AR, greedy"], ["| ", "Att-AR, beam of 5"],
        ["| 0.5", "Att-S"], ["| ", "Att-AR, greedy"], ["| ", "Att-AR, beam of 5"],
    ]  # fmt: skip


@pytest.mark.parametrize("number", [1, 2, 3])
def test_numbers_stand_beside_the_texts(written, number):
    rows, lines = page(number)
    at = lines.index("### Numbers")
    table = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines[at:] if line.startswith("|")]
    assert table[0] == ["what", "model", "texts", "words", "right", "changed", "perplexity", "distinct"]
    nothing, body = "–", [row for row in table[2:] if row[0] != "what" and not row[0].startswith("--")]
    assert body[0] == ["test sequences", "", "4", "40", nothing, nothing, "55.00 (5.00)", "1.0000"]
    assert ["noise 0", "Att-S", "4", "36", "0.9000 (0.0500)", nothing, "310.00 (20.00)", "0.7500"] in body
    changed = ["4", "36", nothing, "0.9000 (0.0500)", "310.00 (20.00)", "0.7500"]
    assert ["noise 0.5", "Att-AR, beam of 5", *changed] in body
    assert lines.count("### Numbers") == (2 if number == 3 else 1)  # of each corpus
    assert sum(row[0] == "test sequences" for row in body) == lines.count("### Numbers")  # one for all models
    assert {row["block"] for row in rows} >= {"numbers"}


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ({"model_sha256": "0" * 64}, f"with model_sha256 {report_world.MODEL_SHA256}, got 0000.*; {AGAIN}"),
        ({"config_hash": "0" * 64}, f"with config_hash .*, got 0000.*; {AGAIN}"),
        ({"text": "tvqa-att_s-samples"}, f"with text {ENTRY}, got tvqa-att_s-samples; {AGAIN}"),
        ({"scale": "demo"}, f"with scale laptop, got demo; {AGAIN}"),
        ({"seed": "1"}, f"with seed 0, got 1; {AGAIN}"),
    ],
)
def test_what_another_model_wrote_is_refused(written, header, message):
    report_world.write_text(SCALE, ENTRY, header)
    with pytest.raises(Problem, match=message):
        page(1)


def test_a_missing_or_altered_text_is_refused(written):
    path = paths.text(SCALE, ENTRY)
    path.write_text(path.read_text().replace("wrote", "did not write"))
    with pytest.raises(Problem, match=f"with lines_sha256 .*; {AGAIN}"):
        page(1)
    path.write_text("a file of something else")
    with pytest.raises(Problem, match=f", got none; {AGAIN}"):
        page(1)
    path.unlink()
    with pytest.raises(Problem, match=f"expected {path}, found none; {AGAIN}"):
        page(1)


def test_kept_texts_of_other_settings_say_so(written):
    """What stands beside the results is shown as what it is; what is to be made here has to be of today."""
    keep.run(SCALE)
    said = "- **Not as params.yaml says now**"
    assert not any(line.startswith(said) for line in page(1)[1])
    written.texts[ENTRY][SCALE] = {"count": 3}
    with pytest.raises(Problem, match=f"with config_hash .*; {AGAIN}"):
        page(1)
    paths.text(SCALE, ENTRY).unlink()
    assert f"{said}: {ENTRY}: written under other settings" in page(1)[1]
    kept = paths.results(SCALE) / "texts/tvqa-att_s-samples.txt"
    paths.text(SCALE, "tvqa-att_s-samples").unlink()
    head, _, body = kept.read_text().partition("\n\n")
    kept.write_text(f"{head}\n# train_config_hash: {'0' * 64}\n\n{body}")
    line = next(line for line in page(1)[1] if line.startswith(said))
    assert "tvqa-att_s-samples: of a model of other settings" in line and f"{ENTRY}: written under" in line


def test_texts_are_kept_beside_the_tables(written):
    keep.run(SCALE)
    assert (paths.results(SCALE) / "texts" / f"{ENTRY}.txt").read_text() == paths.text(SCALE, ENTRY).read_text()
