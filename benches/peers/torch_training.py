"""Programs A and B of the training bench in PyTorch, on one thread of the CPU: one JSON line each.

    python torch_training.py [--steps N]

CPU seconds of the process for each step, after a warm-up, and the peak of its memory. Same shapes, optimizer and clipping as
`benches/training.rs`; attention is `scaled_dot_product_attention`, the fused one.
"""

import argparse
import json
import resource
import sys
import time

import torch
import torch.nn.functional as F
from torch import nn

VOCABULARY = 65


class Block(nn.Module):
    """Pre-norm block of GPT-2."""

    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x):
        batch, time_, width = x.shape
        qkv = self.qkv(self.norm1(x)).view(batch, time_, 3, self.heads, width // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        attended = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(attended.transpose(1, 2).reshape(batch, time_, width))
        return x + self.down(F.gelu(self.up(self.norm2(x)), approximate="tanh"))


class Transformer(nn.Module):
    """Program A."""

    batch, time = 16, 128

    def __init__(self, width=128, layers=4, heads=4):
        super().__init__()
        self.tokens, self.positions = nn.Embedding(VOCABULARY, width), nn.Embedding(self.time, width)
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(layers))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, VOCABULARY, bias=False)

    def forward(self, x):
        x = self.tokens(x) + self.positions(torch.arange(x.shape[1]))
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))


class Lstm(nn.Module):
    """Program B."""

    batch, time = 32, 64

    def __init__(self, width=256, layers=2):
        super().__init__()
        self.tokens = nn.Embedding(VOCABULARY, width)
        self.lstm = nn.LSTM(width, width, layers, batch_first=True)
        self.head = nn.Linear(width, VOCABULARY)

    def forward(self, x):
        return self.head(self.lstm(self.tokens(x))[0])


def measure(name, program, steps):
    torch.manual_seed(1)
    model = program()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.01)
    x = torch.randint(VOCABULARY, (program.batch, program.time))
    y = torch.randint(VOCABULARY, (program.batch, program.time))

    def step():
        optimizer.zero_grad(set_to_none=True)
        loss = F.cross_entropy(model(x).view(-1, VOCABULARY), y.view(-1))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()

    for _ in range(3):
        step()
    seconds = []
    for _ in range(steps):
        start = time.process_time()
        step()
        seconds.append(time.process_time() - start)
    seconds.sort()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    tokens = program.batch * program.time
    median = seconds[len(seconds) // 2]
    line = {
        "engine": f"PyTorch {torch.__version__}",
        "program": name,
        "seconds": median,
        "least_seconds": seconds[0],
        "tokens_per_cpu_second": tokens / median,
        "peak_bytes": peak,
    }
    print(json.dumps(line), flush=True)


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("program", choices=["transformer", "lstm"])
    arguments.add_argument("--steps", type=int, default=20)
    arguments = arguments.parse_args()
    torch.set_num_threads(1)
    program = {"transformer": Transformer, "lstm": Lstm}[arguments.program]
    measure(arguments.program, program, arguments.steps)


if __name__ == "__main__":
    sys.exit(main())
