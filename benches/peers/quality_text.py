"""stories260K and the text that it is judged on: the checkpoint's arrays, token ids, windows, losses.

The tokenizer is llama2.c's, written from its description (merge the neighbours whose joined text scores highest) and
not whit's: both engines must find the same tokens for their losses at f32 to agree, and the comparison asks for that.
"""

import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from shapes import SHAPES, Shape

CHECKPOINT = "stories260K"
TEXT = "tinystories_v2_dev_1000-2315.txt"
MARK = "<|endoftext|>"
# Every twentieth story: the loss of 66 in a row depends on where they stand, by a fifth of a nat.
STRIDE, STORIES, CALIBRATION_OFFSET = 20, 66, 10
BEGIN = 1


def stories(data: Path, offset: int) -> list[str]:
    """The stories from `offset` on that are judged (0) or that scales are calibrated on (10): disjoint."""
    text = (data / "text" / TEXT).read_text(encoding="utf-8")
    every = [story.strip() for story in text.split(MARK) if story.strip()]
    return every[offset::STRIDE][:STORIES]


def joined(texts: list[str]) -> str:
    return f"\n{MARK}\n".join(texts) + "\n"


class Tokenizer:
    """llama2.c's byte-pair encoding by score."""

    def __init__(self, path: Path):
        data, at = path.read_bytes(), 4
        self.pieces, self.scores = [], []
        while at < len(data):
            score, length = struct.unpack_from("<fi", data, at)
            self.pieces.append(data[at + 8 : at + 8 + length])
            self.scores.append(score)
            at += 8 + length
        self.ids = {}
        for token, piece in enumerate(self.pieces):
            self.ids.setdefault(piece, token)

    def encode(self, text: str) -> list[int]:
        """Tokens of `text`, a space put before it. Byte tokens are 3 to 258 and join nothing."""
        tokens = []
        for character in " " + text:
            encoded = character.encode()
            own = self.ids.get(encoded)
            tokens += [own] if own is not None else [byte + 3 for byte in encoded]
        while True:
            merges = (self.ids.get(self.pieces[a] + self.pieces[b]) for a, b in zip(tokens, tokens[1:]))
            best = max(
                ((self.scores[token], -at) for at, token in enumerate(merges) if token is not None),
                default=None,
            )
            if best is None:
                return tokens
            at = -best[1]
            tokens[at : at + 2] = [self.ids[self.pieces[tokens[at]] + self.pieces[tokens[at + 1]]]]


def windows(texts: list[str], tokenizer: Tokenizer, context: int) -> list[tuple[list[int], list[int]]]:
    """(fed, targets) as `whit eval` cuts them: each window starts afresh, every token is predicted once."""
    cut = []
    for text in texts:
        tokens = tokenizer.encode(text)
        for at in range(0, len(tokens), context):
            targets = tokens[at : at + context]
            cut.append(([BEGIN, *targets[:-1]], targets))
    return cut


def checkpoint(path: Path) -> dict[tuple[int | None, str], np.ndarray]:
    """{(layer or None, name): array}, named as in shapes.py; llama2.c's legacy layout."""
    data = path.read_bytes()
    shape: Shape = SHAPES[CHECKPOINT]
    values = np.frombuffer(data, np.float32, offset=28)
    kv = shape.kv_heads * shape.head
    width, wide, layers = shape.hidden, shape.feed_forward, range(shape.layers)
    parts = [
        ("attention_norm", (width,)),
        ("query", (width, width)),
        ("key", (kv, width)),
        ("value", (kv, width)),
        ("attention_output", (width, width)),
        ("feed_forward_norm", (width,)),
        ("gate", (wide, width)),
        ("down", (width, wide)),
        ("up", (wide, width)),
    ]
    order = [(None, "embedding", (shape.vocabulary, width))]
    order += [(layer, name, size) for name, size in parts for layer in layers]
    order += [(None, "final_norm", (width,))]
    arrays, at = {}, 0
    for layer, name, size in order:
        count = int(np.prod(size))
        arrays[layer, name] = values[at : at + count].reshape(size)
        at += count
    return arrays


@dataclass
class Score:
    """Sums over the predicted tokens, against the logits at f32 where they are known."""

    nats: float = 0.0
    divergence: float = 0.0
    tokens: int = 0

    def add(self, logits: np.ndarray, targets: list[int], reference: np.ndarray | None) -> None:
        """Takes in one window: logits [tokens, vocabulary]."""
        logs = log_softmax(logits)
        self.nats -= logs[np.arange(len(targets)), targets].sum()
        self.tokens += len(targets)
        if reference is not None:
            expected = log_softmax(reference)
            self.divergence += (np.exp(expected) * (expected - logs)).sum()

    def figures(self) -> dict:
        return {
            "tokens": self.tokens,
            "nats_per_token": self.nats / self.tokens,
            "kl_divergence": self.divergence / self.tokens,
        }


def log_softmax(logits: np.ndarray) -> np.ndarray:
    logits = logits.astype(np.float64)
    logits -= logits.max(-1, keepdims=True)
    return logits - np.log(np.exp(logits).sum(-1, keepdims=True))
