"""Joint subwords of two languages: byte-pair encoding by sentencepiece, and decoding without it.

Text is not normalised but for its white space, characters that are too rare are spelled in bytes, and every text of one
line comes back from its subwords. Ids 0 to 3 are the project's special tokens.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Sequence
from typing import Any

from seqflows.data.tokens import SPECIAL
from seqflows.errors import Problem

FILE = "subwords.model"  # of a prepared dataset
SPACE = "\u2581"  # in a piece, that a word begins
BYTE = re.compile(r"<0x([0-9A-F]{2})>\Z")
COVERAGE = 0.9995  # of the characters of the text have pieces of their own
LONGEST = 2**20  # bytes of a sentence that is learned from


def spaced(text: str) -> str:
    """A text with single spaces between its words and none around.

    >>> spaced(" one\u00a0two  three ")
    'one two three'
    """
    return " ".join(text.split())


def learn(texts: Sequence[str], size: int, where: str) -> bytes:
    """The model file of ``size`` pieces, the special ones and 256 bytes included, from spaced ``texts``.

    A function of its arguments: one thread, and the texts in their order.

    Raises:
        Problem: a size that the texts do not fill, or that their characters exceed; sentencepiece is missing.
    """
    package, model = _package(), io.BytesIO()
    pad, unknown, start, end = SPECIAL
    names = {"pad_piece": pad, "unk_piece": unknown, "bos_piece": start, "eos_piece": end}
    places = {"pad_id": 0, "unk_id": 1, "bos_id": 2, "eos_id": 3}
    try:
        package.SentencePieceTrainer.train(
            sentence_iterator=iter(texts), model_writer=model, model_type="bpe", vocab_size=size, byte_fallback=True,
            normalization_rule_name="identity", remove_extra_whitespaces=False, character_coverage=COVERAGE,
            num_threads=1, shuffle_input_sentence=False, max_sentence_length=LONGEST, minloglevel=2, **names, **places,
        )  # fmt: skip
    except RuntimeError as error:
        said = " ".join(str(error).split())
        raise Problem(
            f"expected text in {where} for vocabulary_size: {size}, got sentencepiece's error {said[-200:]!r}; "
            "change vocabulary_size in params.yaml"
        ) from None
    return model.getvalue()


def _package() -> Any:
    try:
        import sentencepiece
    except ImportError:
        raise Problem("expected the package sentencepiece for subwords, found none; install it") from None
    return sentencepiece


class Encoder:
    """A model file as an encoder of texts.

    Raises:
        Problem: a file that is no such model, or pieces other than ``vocabulary``, those of a prepared dataset.
    """

    def __init__(self, model: bytes, vocabulary: Sequence[str] | None = None, where: str = "the subword model") -> None:
        self._processor = _package().SentencePieceProcessor()
        try:
            self._processor.LoadFromSerializedProto(model)
        except RuntimeError as error:
            said = " ".join(str(error).split())
            raise Problem(
                f"expected a model of sentencepiece in {where}, got {said[:200]!r}; run prepare again"
            ) from None
        count = self._processor.get_piece_size()
        self.vocabulary = [self._processor.id_to_piece(place) for place in range(count)]
        if vocabulary is not None and list(vocabulary) != self.vocabulary:
            raise Problem(
                f"expected in {where} the {len(vocabulary)} subwords of the dataset's vocabulary, got {count}, not "
                "the same: a model of another corpus; run prepare again"
            )

    def encode(self, texts: Sequence[str], where: str) -> list[list[int]]:
        """The ids of each text; a text that does not come back is a `Problem`, with ``where`` it is from."""
        found = self._processor.encode([spaced(text) for text in texts], out_type=int)
        for place, (text, ids) in enumerate(zip(texts, found, strict=True)):
            if (back := decode(ids, self.vocabulary)) != spaced(text):
                raise Problem(
                    f"expected text {place + 1} of {where} to come back from its subwords, {spaced(text)[:80]!a}, got "
                    f"{back[:80]!a}; correct the text (U+2581 stands for a space)"
                )
        return found


def decode(ids: Iterable[int], vocabulary: Sequence[str]) -> str:
    """The text of some ids; bytes that are no UTF-8 become U+FFFD, and special tokens nothing.

    >>> decode([4, 5, 6, 7, 3], [*SPECIAL, SPACE + "a", SPACE + "b", "<0xC3>", "<0xA9>"])
    'a b\u00e9'
    """
    text = bytearray()
    for place in ids:
        if place < len(SPECIAL):
            continue
        piece = vocabulary[place]
        byte = BYTE.match(piece)
        text += bytes([int(byte[1], 16)]) if byte else piece.encode()
    return spaced(text.decode("utf-8", errors="replace").replace(SPACE, " "))
