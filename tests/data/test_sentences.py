"""Sentences of paragraphs: their ends by hand, and what holds for any text."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqflows.data import sentences, tokens


@pytest.mark.parametrize(
    "text",
    [
        "The dog ran.|It sat.",
        "Who ran?|The dog!|No.",
        "Mr. Poe, Dr. Lee and St. John met Prof. Ray vs. Gen. Grant.|They left.",
        "It cost $2.50 in 1.5 years.|3 men paid.",
        "J. S. Bach and J.I. Pontanus lived in the U.S. Army.|Then he died.",
        "It was e.g. Moses, i.e. He, of Acme Inc. The end.",
        'He said "Go."|"Why?" she asked.|(He left.)|She stayed.',
        "He said \u201cGo.\u201d|\u201cWhy?\u201d|She left.",
        "In the country.[citation needed]|It is.[2][3]|Then.[note 7]|So.",
        "A pause ... and more.|A pause ...|We had it.",
        "the dog ran .|it sat ?|who ?",
        "a non - issue . . . a `` diversion '' .|`` No '' .",
        "he said `` go . ''|Then `` it '' went .",
        "See fig. 3 and no. 5 at p. 7 of vol. II.|Yes.",
        "\u00c9l ran.|\u00c9mile sat.|\u0417\u0434\u0435\u0441\u044c.",
        "one line without an end",
        "iPhone users wait.|Really?!|Yes.",
    ],
)
def test_ends_of_sentences(text):
    whole = text.replace("|", " ")
    assert [whole[start:end] for start, end in sentences.split(whole)] == text.split("|")


def test_a_sentence_may_begin_a_new_line():
    assert sentences.split(" One.\n\nTwo.\t ") == [(1, 5), (7, 11)]
    assert sentences.split(" ") == []


@settings(max_examples=300, deadline=None)
@given(st.text(st.sampled_from("aB. ?!'\")]1[\n\u201d\u0301"), max_size=40), st.data())
def test_sentences_hold_the_whole_text_and_its_tokens(text, data):
    places = st.integers(0, len(text))
    whole = [tuple(sorted(span)) for span in data.draw(st.lists(st.tuples(places, places), max_size=3))]
    found = sentences.split(text, whole)
    parts = [text[start:end] for start, end in found]
    assert all(part and part == part.strip() for part in parts)
    assert "".join("".join(parts).split()) == "".join(text.split())
    assert [token for part in parts for token in tokens.tokenize(part)] == tokens.tokenize(text)
    free = set(sentences.split(text))
    for start, end in whole:
        inside = [one for one in found if one[0] < end and one[1] > start]
        assert len(inside) <= 1 or not text[start:end].strip()
    assert whole or set(found) == free
