"""What a whole process costs, from its start to the first and to the 64th token, as JSON lines.

    python whole_process.py PEERS_DIR WHIT [SHAPE…] [README]

WHIT is the `whit` program; models are those that `compare.sh` left in PEERS_DIR/models. llama.cpp is the least
program there is for it, `first_tokens.c`; CTranslate2 has none without a Python interpreter and is left out. One
thread, page cache warm, median of 9 after 2 that do not count. CPU time is user and system time of the child.
With README, the table goes between `<!-- whole-process -->` and its end.
"""

import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from shapes import SHAPES
from table import number, place

FORMATS = {"int8": "q8_0", "int4": "q4_0"}
TOKENS = (1, 64)
WARM, COUNTED = 2, 9


def cost(command: list[str], environment: dict) -> tuple[float, float]:
    """Milliseconds of CPU and of wall clock that one run takes."""
    wall = time.perf_counter()
    child = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        raise SystemExit(f"{command} failed")
    return (usage.ru_utime + usage.ru_stime) * 1e3, (time.perf_counter() - wall) * 1e3


def programs(root: Path, whit: str, shape: str, form: str, tokens: int) -> dict:
    """Command and environment of each engine; those whose model is there."""
    model = lambda suffix: root / "models" / f"{shape}-{suffix}"
    run = [whit, "run", model(f"{form}.whit"), "--temperature", "0", "--threads", "1"]
    commands = {"whit": (run + ["--max-tokens", tokens], {})}
    for build in ("default", "no-amx"):
        command = [root / "bin" / "first_tokens", model(f"{FORMATS[form]}.gguf"), tokens, 1]
        name = "llama.cpp" if build == "default" else "llama.cpp without AMX"
        commands[name] = (command, {"LD_LIBRARY_PATH": str(root / "lib" / build)})
    return {name: ([str(word) for word in command], os.environ | extra) for name, (command, extra) in commands.items()}


def measure(commands: dict) -> dict:
    """Median cost of each engine, measured in turn."""
    costs = {engine: [] for engine in commands}
    for turn in range(WARM + COUNTED):
        for engine, (command, environment) in commands.items():
            spent = cost(command, environment)
            if turn >= WARM:
                costs[engine].append(spent)
    return {engine: tuple(map(statistics.median, zip(*spent))) for engine, spent in costs.items()}


def table(lines: list[dict]) -> str:
    """CPU milliseconds to the first and to the 64th token, and how many times those of whit the others are."""
    engines = list(lines[0]["cpu_ms"])
    head = ["model", "format", *(f"{engine}, {tokens}" for tokens in TOKENS for engine in engines)]
    rows = [head, ["---"] * 2 + ["---:"] * (len(head) - 2)]
    by_model = {}
    for line in lines:
        own = line["cpu_ms"]["whit"]
        cells = [
            f"**{number(spent)}**" if engine == "whit" else f"{number(spent)} ({spent / own:.1f}×)"
            for engine, spent in line["cpu_ms"].items()
        ]
        by_model.setdefault((line["shape"], line["format"]), []).extend(cells)
    rows += [[*model, *cells] for model, cells in by_model.items()]
    return "\n" + "\n".join("| " + " | ".join(row) + " |" for row in rows) + "\n\n"


def main() -> None:
    root, whit, *rest = sys.argv[1:]
    readme = next((Path(word) for word in rest if word.endswith(".md")), None)
    shapes = [word for word in rest if word in SHAPES] or list(SHAPES)
    lines = []
    for shape in shapes:
        for form in FORMATS:
            for tokens in TOKENS:
                costs = measure(programs(Path(root), whit, shape, form, tokens))
                line = {"shape": shape, "format": form, "tokens": tokens, "threads": 1}
                for at, key in enumerate(("cpu_ms", "wall_ms")):
                    line[key] = {engine: round(cost[at], 3) for engine, cost in costs.items()}
                lines.append(line)
                print(json.dumps(line), flush=True)
    if readme:
        place(readme, "whole-process", table(lines))


if __name__ == "__main__":
    main()
