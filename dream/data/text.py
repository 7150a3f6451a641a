"""Captions as token ids: CLIP's BPE if its files are given, else a small BPE trained on the captions.

Both are saved as one file of `tokenizers` and a small one of our own, so that a checkpoint is self-contained; next to
them lie the words that a BPE was trained on. Only this file and `model/conditioning.py` use `transformers`.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from torch import Tensor

from dream.data.cleaning import check_cleaning, cleaned
from dream.data.words import TrainingWords
from dream.errors import InputError
from dream.files import replace_text
from dream.json_text import read_json_object
from dream.plain_text import fault_in, printable
from dream.pointer_files import refuse_pointer
from dream.weights.hub import how_to_bring, hub_options, local_model

PAD_ID = 0
BYTES = 256
SPECIAL = ("<pad>", "<begin>", "<end>")
SMALLEST_VOCABULARY = BYTES + len(SPECIAL)
_TOKENS, _ABOUT, _WORDS = "tokenizer.json", "captions.json", "words.json"


class Piece(NamedTuple):
    """A token of a caption."""

    id: int
    token: str
    """Its spelling in the vocabulary."""
    text: str
    """The part of the caption that it encodes."""
    word: int
    """Number of the word (or run of punctuation) that it belongs to."""
    start: int
    end: int
    """Its place in the caption: first character, and the one after its last."""


class CaptionTokenizer:
    """Captions to ids (B, context_length) and back. `end_id` is the largest id, as CLIP's text tower requires."""

    pad_id = PAD_ID

    def __init__(
        self,
        tokens: Tokenizer,
        context_length: int,
        begin_id: int | None,
        end_id: int | None,
        words: TrainingWords | None = None,
        cleaning: str = "none",
    ) -> None:
        """Raises InputError if the end token is not the last of the vocabulary, or if it cannot clean captions so."""
        check_cleaning(cleaning)
        if context_length < 3:
            raise InputError(f"text.context_length must be at least 3, got {context_length}")
        size = tokens.get_vocab_size()
        if begin_id is None or end_id != size - 1 or not 0 <= begin_id < end_id:
            raise InputError(
                f"the begin and end tokens of a caption tokenizer must be in its vocabulary, and the end token must be "
                f"the last of its {size} ids; got {begin_id} and {end_id}"
            )
        self._tokens = tokens
        self._tokens.encode_special_tokens = True  # "<end>" within a caption is plain text
        self._tokens.no_padding()
        self._tokens.no_truncation()
        self.context_length = context_length
        self.begin_id = begin_id
        self.end_id = end_id
        self.vocab_size = size
        self.cleaning = cleaning
        """How captions are cleaned before (`data/cleaning.py`)."""
        self.words = words
        """The words of the captions that it was trained on; None for CLIP's, and where no file has them."""

    @property
    def room(self) -> int:
        """Number of tokens of a caption that are read, without begin and end."""
        return self.context_length - 2

    def token_ids(self, captions: Sequence[str]) -> Tensor:
        """Ids (B, context_length) long: begin, tokens, end, then zeros; captions that are too long are truncated.

        Raises InputError for a caption with half of a character, which is no text.
        """
        ids = torch.full((len(captions), self.context_length), PAD_ID, dtype=torch.long)
        for row, encoded in zip(ids, self._encoded(captions), strict=True):
            kept = [self.begin_id, *encoded[: self.room], self.end_id]
            row[: len(kept)] = torch.tensor(kept)
        return ids

    def text_of(self, ids: Tensor) -> list[str]:
        """Captions of ids (B, T): the text before the end token, in lower case."""
        return [self._text(row) for row in ids.tolist()]

    def pieces(self, caption: str) -> list[Piece]:
        """All tokens of a caption, not truncated, without begin and end; places are those in the cleaned caption.

        Raises InputError as `token_ids`.
        """
        _refuse_halves([caption])
        caption = cleaned(caption, self.cleaning)
        encoding = self._tokens.encode(caption, add_special_tokens=False)
        words = [-1 if word is None else word for word in encoding.word_ids]
        fields = zip(encoding.ids, encoding.tokens, words, encoding.offsets, strict=True)
        return [Piece(id, token, caption[start:end], word, start, end) for id, token, word, (start, end) in fields]

    def lengths(self, captions: Sequence[str]) -> list[int]:
        """Number of tokens per caption, not truncated, without begin and end."""
        return [len(ids) for ids in self._encoded(captions)]

    def to_json(self) -> str:
        """The vocabulary and its rules, in the format of `tokenizers`."""
        return self._tokens.to_str()

    def save(self, folder: Path) -> None:
        """Writes the files that `load_tokenizer` reads into `folder`."""
        folder.mkdir(parents=True, exist_ok=True)
        about: dict[str, Any] = {
            "context_length": self.context_length,
            "begin_id": self.begin_id,
            "end_id": self.end_id,
        }
        if self.cleaning != "none":
            about["cleaning"] = self.cleaning
        replace_text(folder / _TOKENS, self.to_json())
        replace_text(folder / _ABOUT, json.dumps(about, indent=1))
        if self.words is not None:
            replace_text(folder / _WORDS, self.words.to_json())

    def _encoded(self, captions: Sequence[str]) -> list[list[int]]:
        _refuse_halves(captions)
        texts = [cleaned(caption, self.cleaning) for caption in captions]
        return [e.ids for e in self._tokens.encode_batch_fast(texts, add_special_tokens=False)]

    def _text(self, ids: list[int]) -> str:
        ids = ids[: ids.index(self.end_id)] if self.end_id in ids else ids
        kept = [i for i in ids if i != self.begin_id]
        if self.end_id not in ids:  # truncated: only trailing zeros can be padding
            while kept and kept[-1] == PAD_ID:
                kept.pop()
        return self._tokens.decode(kept, skip_special_tokens=False).strip()


def train_tokenizer(
    captions: Sequence[str], vocab_size: int, context_length: int, every_caption: bool = True
) -> CaptionTokenizer:
    """Trains a lower-case byte-level BPE of at most `vocab_size` ids: <pad> = 0, bytes, merges, <begin>, <end>.

    The same captions give the same ids. There are fewer ids if the captions have no more pairs to merge. It keeps the
    words of the captions, and whether these are `every_caption` of the training. Raises InputError without captions,
    or if the vocabulary is too small for all bytes.
    """
    if vocab_size < SMALLEST_VOCABULARY:
        raise InputError(f"text.vocab_size must be at least {SMALLEST_VOCABULARY}, got {vocab_size}")
    if not any(caption.strip() for caption in captions):
        raise InputError("there are no captions to train a tokenizer on")
    tokens = _empty_bpe()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size - 2,
        special_tokens=[SPECIAL[0]],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokens.train_from_iterator(captions, trainer, length=len(captions))
    tokens.add_special_tokens(list(SPECIAL[1:]))
    begin, end = (tokens.token_to_id(name) for name in SPECIAL[1:])
    return CaptionTokenizer(tokens, context_length, begin, end, TrainingWords.of(captions, every_caption))


def load_tokenizer(folder_or_hub: str | Path, context_length: int, cleaning: str = "none") -> CaptionTokenizer:
    """Loads a tokenizer that `save` wrote, or CLIP's from a folder with its files or from the hub.

    `cleaning` is that of CLIP's; a saved one has its own. Raises InputError if there is none, or for damaged files.
    """
    folder = Path(folder_or_hub).expanduser()
    if not folder.is_dir() and str(folder_or_hub).startswith(("/", ".", "~")):
        raise InputError(f"there is no folder '{folder}' with a caption tokenizer")
    for name in (_ABOUT, _TOKENS, "vocab.json", "merges.txt"):
        refuse_pointer(folder / name)
    if (folder / _ABOUT).is_file():
        return _load_saved(folder, context_length)
    if folder.is_dir():
        missing = [name for name in ("vocab.json", "merges.txt") if not (folder / name).is_file()]
        if missing:
            raise InputError(
                f"no caption tokenizer in '{folder}': {' and '.join(missing)} missing (expected CLIP's "
                f"vocab.json and merges.txt, or a tokenizer that a run saved)"
            )
    return _load_clip(str(folder if folder.is_dir() else folder_or_hub), context_length, cleaning)


def _load_saved(folder: Path, context_length: int) -> CaptionTokenizer:
    try:
        about = read_json_object(folder / _ABOUT)
        tokens = Tokenizer.from_str((folder / _TOKENS).read_text(encoding="utf-8"))
        begin, end, cleaning = int(about["begin_id"]), int(about["end_id"]), str(about.get("cleaning", "none"))
        words = None
        if (folder / _WORDS).is_file():
            words = TrainingWords.from_json((folder / _WORDS).read_text(encoding="utf-8"))
    except OSError:
        raise
    except Exception as error:  # `tokenizers` raises bare Exception
        raise InputError(f"the caption tokenizer in '{folder}' is damaged ({error})") from error
    return CaptionTokenizer(tokens, context_length, begin, end, words, cleaning)


def _load_clip(name: str, context_length: int, cleaning: str) -> CaptionTokenizer:
    from transformers import CLIPTokenizer

    try:
        clip: Any = CLIPTokenizer.from_pretrained(local_model(name), **hub_options(name))
        tokens = Tokenizer.from_str(clip.backend_tokenizer.to_str())
        if tokens.get_vocab_size() <= BYTES:  # transformers makes an empty one where it finds no files
            raise FileNotFoundError("no vocab.json and merges.txt")
    except Exception as error:  # no network, no such name, other files: each its own type
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise InputError(
            f"cannot load CLIP's tokenizer from '{name}' (text.tokenizer): "
            f"{how_to_bring(name, 'vocab.json and merges.txt', 'text.tokenizer')}; text.tokenizer=bpe trains a small "
            f"one on the captions ({reason})"
        ) from error
    words = decoders.Replace("</w>", " ")  # transformers does this step of decoding outside `tokenizers`
    tokens.decoder = decoders.Sequence([decoders.ByteLevel(), words])
    return CaptionTokenizer(tokens, context_length, clip.bos_token_id, clip.eos_token_id, cleaning=cleaning)


def _refuse_halves(captions: Sequence[str]) -> None:
    for caption in captions:
        if fault := fault_in(caption):
            raise InputError(f"a text is not plain text: '{printable(caption[:60])}' has {fault}; type it again")


def _empty_bpe() -> Tokenizer:
    tokens = Tokenizer(models.BPE())
    tokens.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Lowercase(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Strip()]
    )
    tokens.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)  # the first word is encoded like any other
    tokens.decoder = decoders.ByteLevel()
    return tokens
