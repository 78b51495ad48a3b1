#!/usr/bin/env python3
"""Lists every way into a panic from the functions that a program's generation of text can reach, by its machine code.

    panics.py PROGRAM              prints the list: a function, and how many calls of what begins a panic
    panics.py PROGRAM LIST         compares it with a list, in which lines that begin with # are reasons

Needs arm-none-eabi-objdump (binutils-arm-none-eabi). A function is reached by a call, by a jump, or, from a function that calls
through a pointer, if its address is taken anywhere. Compilers merge calls of one function that are alike, so that a number is
the least of places in the source.
"""
import collections
import re
import subprocess
import sys

ROOT = "whit_firmware::generate::continue_text"
# Functions of `core` that only begin a panic.
BEGINS = re.compile(r"^core::(panicking::\w+|\w+(::\w+)*::(\w+_)?fail(ed)?(_\w+)?)$")
HANDLER = "rust_begin_unwind"


class Program:
    def __init__(self, path):
        text = subprocess.run(
            ["arm-none-eabi-objdump", "-d", "-C", "--no-show-raw-insn", path],
            check=True, capture_output=True, text=True,
        ).stdout
        self.names, self.code = {}, {}
        for line in text.splitlines():
            if head := re.match(r"([0-9a-f]+) <(.+)>:$", line):
                current = int(head[1], 16)
                self.names[current], self.code[current] = head[2], []
            elif instruction := re.match(r" *[0-9a-f]+:\t(\S+)(?:\t(.*))?$", line):
                self.code[current].append((instruction[1], instruction[2] or ""))
        self.words = data_words(path)
        self.taken = self.taken_addresses()

    def calls(self, function):
        """Functions that this one calls or jumps to, as often as it does; None for a call through a pointer."""
        for mnemonic, operands in self.code[function]:
            target = re.search(r"\b([0-9a-f]+) <", operands)
            if mnemonic.startswith("b") and target and (callee := int(target[1], 16)) in self.names:
                if callee != function:
                    yield callee
            elif re.match(r"blx?$|bx$", mnemonic) and re.match(r"(r\d+|ip)\b", operands):
                yield None

    def taken_addresses(self):
        """Functions whose address, with the bit for Thumb, is a word of data or made by MOVW and MOVT."""
        words = set(self.words)
        for code in self.code.values():
            low = {}
            for mnemonic, operands in code:
                if value := re.match(r"(\w+), #(\d+)", operands):
                    if mnemonic == "movw":
                        low[value[1]] = int(value[2])
                    elif mnemonic == "movt":
                        words.add(int(value[2]) << 16 | low.get(value[1], 0))
                    # An address below 2¹⁶ needs no MOVT.
                    if mnemonic in ("movw", "mov.w"):
                        words.add(int(value[2]))
                elif mnemonic == ".word" and (value := re.match(r"0x([0-9a-f]+)", operands)):
                    words.add(int(value[1], 16))
        return [function for function in self.names if function | 1 in words]

    def reached(self, roots):
        """Functions reached from these without a panic."""
        seen, waiting = set(), list(roots)
        while waiting:
            function = waiting.pop()
            if function in seen or BEGINS.match(self.names[function]):
                continue
            seen.add(function)
            for callee in self.calls(function):
                waiting += self.taken if callee is None else [callee]
        return seen


def data_words(path):
    """The words of the program's constants."""
    text = subprocess.run(
        ["arm-none-eabi-objdump", "-s", "-j", ".rodata", path], check=True, capture_output=True, text=True,
    ).stdout
    for line in text.splitlines():
        if dump := re.match(r" [0-9a-f]+ ((?:[0-9a-f]+ ){1,4})", line):
            for word in dump[1].split():
                yield int.from_bytes(bytes.fromhex(word), "little")


def panics(path):
    program = Program(path)
    roots = [function for function, name in program.names.items() if name == ROOT]
    if not roots:
        sys.exit(f"{path} has no function {ROOT}")
    reached = program.reached(roots)
    if any(HANDLER in program.names[function] for function in reached):
        sys.exit("the panic handler is reached in another way than by the functions that begin a panic")
    found = collections.defaultdict(collections.Counter)
    for function in reached:
        for callee in program.calls(function):
            if callee is not None and BEGINS.match(program.names[callee]):
                found[program.names[function]][program.names[callee].rsplit("::", 1)[1]] += 1
    kinds = lambda counts: ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items()))
    return sorted(f"{name}: {kinds(counts)}" for name, counts in found.items())


def main():
    found = panics(sys.argv[1])
    if len(sys.argv) < 3:
        print("\n".join(found))
        return
    with open(sys.argv[2], encoding="utf-8") as file:
        listed = [line.rstrip() for line in file if line.strip() and not line.startswith("#")]
    new, gone = sorted(set(found) - set(listed)), sorted(set(listed) - set(found))
    for line in new:
        print("not in the list: ", line)
    for line in gone:
        print("not in the program: ", line)
    if new or gone:
        sys.exit(f"the ways into a panic are not those of {sys.argv[2]}")


main()
