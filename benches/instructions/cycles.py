#!/usr/bin/env python3
"""Cycles of the innermost loops of the AArch64 products, as llvm-mca models three cores.

    cargo run --release -p whit-benches --bin instructions    # builds what is read here
    benches/instructions/cycles.py [target/aarch64-unknown-linux-musl/release/counted]

Needs llvm-objdump and llvm-mca of LLVM 22 (Debian: llvm-22), or whatever OBJDUMP and MCA name. What the models know:
the A53 is in order; of the A76 there is none of its own, so its server twin, the Neoverse N1, stands in. All loads
are answered by the first-level cache.
"""

import os
import re
import subprocess
import sys

OBJDUMP = os.environ.get("OBJDUMP", "llvm-objdump-22")
MCA = os.environ.get("MCA", "llvm-mca-22")
PROGRAM = "target/aarch64-unknown-linux-musl/release/counted"
CORES = {"neon": ["cortex-a53", "cortex-a72"], "dotprod": ["neoverse-n1"]}
ITERATIONS = 200


def functions(program):
    """Name and instructions, (address, text), of every function."""
    flags = ["-d", "--no-show-raw-insn", "--demangle", "--mattr=+dotprod"]
    text = subprocess.run([OBJDUMP, *flags, program], check=True, capture_output=True, text=True).stdout
    for part in re.split(r"^[0-9a-f]+ <", text, flags=re.M)[1:]:
        name, _, body = part.partition(">:\n")
        lines = re.findall(r"^ *([0-9a-f]+):\s+(.+)$", body, flags=re.M)
        yield name, [(int(address, 16), instruction) for address, instruction in lines]


def innermost_loops(instructions):
    """The stretches that a branch at their end repeats and that hold no other such stretch."""
    index = {address: i for i, (address, _) in enumerate(instructions)}
    loops = []
    for end, (_, text) in enumerate(instructions):
        target = re.match(r"(?:b\.\w+|cbn?z|tbn?z)\s.*?0x([0-9a-f]+)", text)
        start = index.get(int(target[1], 16)) if target else None
        if start is not None and start <= end:
            loops.append((start, end))
    for start, end in loops:
        if not any((a, b) != (start, end) and start <= a and b <= end for a, b in loops):
            yield [text for _, text in instructions[start : end + 1]]


def products(loop):
    """Products of bytes: 16 for each `sdot`, 8 for each multiplication to i16."""
    return sum(16 * text.startswith("sdot") + 8 * bool(re.match(r"sm(ul|la)l2?\s+v\d+\.8h", text)) for text in loop)


def cycles(loop, core):
    """Cycles of one turn."""
    # What a branch jumps to is no matter, but must be there.
    text = "L:\n" + "\n".join(re.sub(r"0x[0-9a-f]+ <.*>", "L", line) for line in loop)
    flags = ["-mtriple=aarch64", f"-mcpu={core}", "-mattr=+dotprod", f"-iterations={ITERATIONS}"]
    told = subprocess.run([MCA, *flags], input=text, check=True, capture_output=True, text=True).stdout
    return int(re.search(r"Total Cycles:\s+(\d+)", told)[1]) / ITERATIONS


def main():
    program = sys.argv[1] if len(sys.argv) > 1 else PROGRAM
    print("| product | core | instructions | cycles | products | products per cycle |")
    print("|---|---|---:|---:|---:|---:|")
    for name, instructions in functions(program):
        found = re.search(r"(neon|dotprod)\b.*\bmatmul_(i[48])\b", name, flags=re.I)
        if not found:
            continue
        backend, weights = found[1].lower(), found[2].replace("i", "int")
        loop = max(innermost_loops(instructions), key=lambda loop: (products(loop), -len(loop)))
        for core in CORES[backend]:
            count, taken = products(loop), cycles(loop, core)
            print(f"| {backend} {weights} | {core} | {len(loop)} | {taken:.1f} | {count} | {count / taken:.1f} |")


if __name__ == "__main__":
    main()
