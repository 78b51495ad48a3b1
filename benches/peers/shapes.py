"""The model shapes that whit and its peers are compared on, and the random weights that fill them.

Speed does not depend on the values, so no trained weights are needed: every peer builds its own file from
the same seeded numbers. Shapes only; no file format is known here.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Shape:
    """A Llama-family decoder, as its configuration file names it."""

    hidden: int
    feed_forward: int
    layers: int
    heads: int
    kv_heads: int
    vocabulary: int
    context: int
    rope_theta: float = 10000.0
    tied: bool = True

    @property
    def head(self) -> int:
        return self.hidden // self.heads

    @property
    def prompt(self) -> int:
        """Prefill length: 512 tokens, or what the context holds."""
        return min(512, self.context)


SHAPES = {
    "stories260K": Shape(64, 172, 5, 8, 4, 512, 512),
    "stories15M": Shape(288, 768, 6, 6, 6, 32000, 1024),
    "stories110M": Shape(768, 2048, 12, 12, 12, 32000, 1024),
    "SmolLM2-135M": Shape(576, 1536, 30, 9, 3, 49152, 8192, 100000.0),
    "TinyLlama-1.1B": Shape(2048, 5632, 22, 32, 4, 32000, 2048, tied=False),
}

SEED = 1


def weights(shape: Shape):
    """Yields (layer or None, name, array): f32, matrices as [rows (outputs), columns (inputs)].

    Matrices are normal with deviation 1/sqrt(columns), so that activations stay near one; norms are one.
    """
    random = np.random.default_rng(SEED)

    def matrix(rows: int, cols: int) -> np.ndarray:
        return random.standard_normal((rows, cols), dtype=np.float32) / np.float32(cols**0.5)

    kv = shape.kv_heads * shape.head
    yield None, "embedding", matrix(shape.vocabulary, shape.hidden)
    if not shape.tied:
        yield None, "head", matrix(shape.vocabulary, shape.hidden)
    yield None, "final_norm", np.ones(shape.hidden, np.float32)
    for layer in range(shape.layers):
        yield layer, "attention_norm", np.ones(shape.hidden, np.float32)
        yield layer, "query", matrix(shape.hidden, shape.hidden)
        yield layer, "key", matrix(kv, shape.hidden)
        yield layer, "value", matrix(kv, shape.hidden)
        yield layer, "attention_output", matrix(shape.hidden, shape.hidden)
        yield layer, "feed_forward_norm", np.ones(shape.hidden, np.float32)
        yield layer, "gate", matrix(shape.feed_forward, shape.hidden)
        yield layer, "up", matrix(shape.feed_forward, shape.hidden)
        yield layer, "down", matrix(shape.hidden, shape.feed_forward)
