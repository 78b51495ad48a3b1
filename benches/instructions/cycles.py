#!/usr/bin/env python3
"""Cycles of the innermost loops of the integer products, as llvm-mca models the cores.

    benches/instructions/cycles.py

Builds the programs that `whit bench --on` runs, disassembles them, and finds the loops by the functions' names and their
branches back. Needs Rust's targets, and llvm-objdump and llvm-mca of LLVM 22 (Debian: llvm-22), or whatever OBJDUMP and
MCA name. What the models know: the Cortex-M4 issues one instruction a cycle, but loads take fewer cycles than its
manual says: beside the model's figure stands the manual's. The M7 and the A53 are in order, with two instructions a
cycle; the A72 has the A57's model; of the A76 there is none of its own, so its server twin, the Neoverse N1, stands in.
All loads are answered by the first-level cache, or by memory without waits.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

OBJDUMP = os.environ.get("OBJDUMP", "llvm-objdump-22")
MCA = os.environ.get("MCA", "llvm-mca-22")
ROOT = Path(__file__).resolve().parents[2]
ITERATIONS = 200

LINUX = "aarch64-unknown-linux-musl"
CORTEX_M = "thumbv7em-none-eabihf"
BUILDS = {
    CORTEX_M: (ROOT / "firmware", ["-p", "whit-emulated", "--features", "cost", "--bin", "cost"]),
    LINUX: (ROOT, ["-p", "whit-benches", "--bin", "counted_model"]),
}

# Of each backend: what it is built for, which functions have the loops, and the cores that run it.
BACKENDS = {
    "dsp": (CORTEX_M, r"\bdsp::rows::units_(i[48])\b", ["cortex-m4", "cortex-m7"]),
    "neon": (LINUX, r"(?i:neon\b).*\bmatmul_(i[48])\b", ["cortex-a53", "cortex-a72"]),
    "dotprod": (LINUX, r"(?i:dotprod\b).*\bmatmul_(i[48])\b", ["neoverse-n1"]),
    # Tiles of many tokens.
    "dotprod tile": (LINUX, r"\bdotprod::(plain|grouped)\b", ["neoverse-n1", "neoverse-n2", "neoverse-v1"]),
    "i8mm tile": (LINUX, r"\bi8mm::(plain|grouped)\b", ["neoverse-n2", "neoverse-v1"]),
}
WEIGHTS = {"i8": "int8", "i4": "int4", "plain": "int8", "grouped": "int4"}
FEATURES = {CORTEX_M: "+dsp", LINUX: "+dotprod,+i8mm"}

CONDITIONS = "eq|ne|cs|cc|hs|lo|mi|pl|vs|vc|hi|ls|ge|lt|gt|le"
BRANCH = re.compile(rf"(?:b\.?(?:{CONDITIONS})(?:\.[nw])?|cbn?z|tbn?z)\s.*?0x([0-9a-f]+) <")


def build(target):
    """The program for a target."""
    folder, what = BUILDS[target]
    # musl and the linker are part of the Rust target: no C cross compiler.
    environment = os.environ | {"CARGO_TARGET_AARCH64_UNKNOWN_LINUX_MUSL_LINKER": "rust-lld"}
    command = ["cargo", "build", "--quiet", "--release", "--target", target, *what]
    subprocess.run(command, cwd=folder, env=environment, check=True)
    output = os.environ.get("CARGO_TARGET_DIR", folder / "target")
    return Path(output) / target / "release" / what[-1]


def functions(target, program):
    """Name and instructions, (address, text), of every function."""
    flags = ["-d", "--no-show-raw-insn", "--demangle", f"--mattr={FEATURES[target]}"]
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
        target = BRANCH.match(text)
        start = index.get(int(target[1], 16)) if target else None
        if start is not None and start <= end:
            loops.append((start, end))
    for start, end in loops:
        if not any((a, b) != (start, end) and start <= a and b <= end for a, b in loops):
            yield [text for _, text in instructions[start : end + 1]]


def products(loop):
    """Products of bytes: 2 for each `smlad`, 16 for each `sdot`, 32 for each `smmla`, 8 for each multiplication to i16."""
    each = {r"smlad\s": 2, r"sdot\s": 16, r"smmla\s": 32, r"sm(ul|la)l2?\s+v\d+\.8h": 8}
    return sum(count for text in loop for pattern, count in each.items() if re.match(pattern, text))


def cycles(loop, target, core):
    """Cycles of one turn."""
    # What a branch jumps to is no matter, but must be there.
    text = "L:\n" + "\n".join(re.sub(r"0x[0-9a-f]+ <.*", "L", line) for line in loop)
    flags = [f"-mtriple={target}", f"-mcpu={core}", f"-mattr={FEATURES[target]}", f"-iterations={ITERATIONS}"]
    told = subprocess.run([MCA, *flags], input=text, check=True, capture_output=True, text=True).stdout
    return int(re.search(r"Total Cycles:\s+(\d+)", told)[1]) / ITERATIONS


def by_the_manual(loop):
    """Cycles of one turn on a Cortex-M4 by the table of its Technical Reference Manual (DDI 0439): n words are loaded in
    1 + n, a branch that is taken refills the pipeline in 1 to 3, of which 2 stand here; everything else here takes one."""
    words = {"ldrd": 2, "ldr": 1}
    return sum(1 + words.get(re.split(r"[.\s]", text)[0], 0) for text in loop) + 2


def loops(backend):
    """Of each encoding the innermost loop with most products."""
    target, name, _ = BACKENDS[backend]
    best = {}
    for function, instructions in DISASSEMBLED[target]:
        found = re.search(name, function)
        if found:
            best.setdefault(WEIGHTS[found[1]], []).extend(innermost_loops(instructions))
    return {weights: max(loops, key=lambda loop: (products(loop), -len(loop))) for weights, loops in best.items()}


def main():
    print("| product | core | instructions | cycles | products | cycles for each |")
    print("|---|---|---:|---:|---:|---:|")
    for backend, (target, _, cores) in BACKENDS.items():
        found = loops(backend)
        if sorted(found) != ["int4", "int8"]:
            sys.exit(f"{backend}: expected the loops of int4 and int8, found {sorted(found)}")
        for weights, loop in sorted(found.items(), reverse=True):
            taken = {core: cycles(loop, target, core) for core in cores}
            if backend == "dsp":
                taken["cortex-m4, by its manual"] = by_the_manual(loop)
            for core, turn in taken.items():
                count = products(loop)
                print(f"| {backend} {weights} | {core} | {len(loop)} | {turn:.1f} | {count} | {turn / count:.3f} |")


if __name__ == "__main__":
    DISASSEMBLED = {target: list(functions(target, build(target))) for target in BUILDS}
    main()
