"""Groups the tokens that the decoder reads into the words of the prompt."""

import re
from itertools import groupby
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dream.data.text import CaptionTokenizer
    from dream.model.pretrained import Pretrained

START, END, PADDING = "‹start›", "‹end›", "‹padding›"

_BYTES = re.compile("(?:<0x[0-9A-Fa-f]{2}>)+")

Words = list[tuple[str, list[int]]]
"""Each word with the indices of its tokens; every token occurs once."""


def caption_words(pretrained: "Pretrained", prompt: str) -> Words:
    """Words of the prompt as the decoder reads it, with start, end and padding, in rising order of indices."""
    if pretrained.config.text.conditioning == "learned":
        return _of_caption(pretrained.tokenizer, prompt)
    conditioning: Any = pretrained.conditioning
    return _of_t5(conditioning.tokenizer, prompt, conditioning.length)


def _of_caption(tokenizer: "CaptionTokenizer", prompt: str) -> Words:
    pieces = tokenizer.pieces(prompt)[: tokenizer.room]
    words: Words = [(START, [0])]
    for _, run in groupby(enumerate(pieces, start=1), key=lambda piece: piece[1].word):
        indices, of_word = zip(*run, strict=True)
        text = prompt[of_word[0].start : max(piece.end for piece in of_word)]  # several tokens may be one character
        words.append((" ".join(text.split()), list(indices)))
    return _ended(words, len(pieces) + 1, tokenizer.context_length)


def _of_t5(tokenizer: Any, prompt: str, length: int) -> Words:
    ids = tokenizer(prompt, max_length=length, truncation=True).input_ids
    words: Words = []
    for index, token in enumerate(tokenizer.convert_ids_to_tokens(ids[:-1])):
        if token.startswith("▁") or not words:
            words.append((token.lstrip("▁"), [index]))
        else:
            words[-1] = (words[-1][0] + token, [*words[-1][1], index])
    return _ended([(_bytes_joined(word), indices) for word, indices in words], len(ids) - 1, length)


def _bytes_joined(word: str) -> str:
    """A word with the bytes in it (`<0xC3><0xBC>`), of which T5 makes rare characters, as those characters."""
    return _BYTES.sub(lambda run: bytes.fromhex(re.sub("<0x|>", "", run.group())).decode("utf-8", "replace"), word)


def _ended(words: Words, end: int, length: int) -> Words:
    padding = [(PADDING, list(range(end + 1, length)))] if end + 1 < length else []
    return [*words, (END, [end]), *padding]
