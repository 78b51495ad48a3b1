"""Medians and ratios of a results file of `compare.sh`, as Markdown and as a picture.

    python table.py RESULTS.jsonl [README]

Puts the tables, and kernels.txt beside RESULTS where it is there, between `<!-- NAME -->` and
`<!-- /NAME -->` of README, NAME being that of the file; what has no place there is printed. Draws
roofline.svg, or NAME with `roofline` for `threads`, beside RESULTS. One thread is compared per CPU second, several per second of wall clock.
Standard library only.
"""

import json
import re
import statistics
import sys
from collections import defaultdict
from pathlib import Path

import roofline

# A neighbour can only lower them: the best of all runs counts.
LIMITS = {"read_bandwidth_gb_per_s", "integer_peak_gmac_per_s"}
# Of each column: the engine, its build, and its format beside each of whit's.
ALIKE = {"int8": "q8_0", "int4": "q4_0", "int4-all": "q4_0-pure"}
EIGHT_BITS = dict.fromkeys(ALIKE, "int8")
PEERS = {
    "llama.cpp": ("llama.cpp", "default", ALIKE),
    "llama.cpp without AMX": ("llama.cpp", "no-amx", ALIKE),
    "llama.cpp Q4_K_M": ("llama.cpp", "default", {"int4": "q4_k_m"}),
    "CTranslate2 int8": ("CTranslate2", "default", EIGHT_BITS),
    "CTranslate2 int8 without AMX": ("CTranslate2", "no-amx", EIGHT_BITS),
}


def read(path: str) -> tuple[dict, dict]:
    """The machine, and {(engine, build, shape, format): median of each number over all lines}."""
    machine, *lines = [json.loads(line) for line in Path(path).read_text().splitlines()]
    runs = defaultdict(list)
    for line in lines:
        runs[line["engine"], line.get("build"), line["shape"], line["format"]].append(line)
    return machine, {key: medians(lines) for key, lines in runs.items()}


def medians(lines: list[dict]) -> dict:
    """The median of every number, the best of a limit, the first of what is no number; and how many lines."""
    merged = dict(lines[0]) | {"lines": len(lines)}
    for key, value in lines[0].items():
        if key in LIMITS and value is not None:
            merged[key] = max(line[key] for line in lines)
        elif isinstance(value, int):
            merged[key] = statistics.median_low(line[key] for line in lines)
        elif isinstance(value, float):
            merged[key] = statistics.median(line[key] for line in lines)
    return merged


class Row:
    """A model in one of whit's formats, and every engine on it."""

    def __init__(self, results: dict, shape: str, form: str):
        self.shape, self.format = shape, form
        self.whit = results["whit", None, shape, form]
        self.per = "cpu_s" if self.whit["threads"] == 1 else "s"
        self.peers = {
            column: line
            for column, (engine, build, theirs) in PEERS.items()
            if (line := results.get((engine, build, shape, theirs.get(form))))
        }

    def speed(self, line: dict, phase: str) -> float:
        return line[f"{phase}_tokens_per_{self.per}"]

    def bound(self, phase: str) -> float:
        """Tokens per second that reading the weights (decode) or multiplying (prefill) allow at most."""
        if phase == "decode":
            return self.whit["read_bandwidth_gb_per_s"] * 1e9 / self.whit["weight_bytes_per_token"]
        peak = self.whit["integer_peak_gmac_per_s"]
        return peak * 1e9 / self.whit["prefill_macs_per_token"] if peak else float("nan")


def number(value: float) -> str:
    """Three figures at least, none invented."""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def cell(row: Row, engine: str, phase: str) -> str:
    """A peer's speed, and how many times as fast whit is."""
    line = row.peers.get(engine)
    if line is None:
        return "–"
    speed = row.speed(line, phase)
    return f"{number(speed)} ({row.speed(row.whit, phase) / speed:.2f}×)"


def table(rows: list[Row], phase: str) -> list[str]:
    """One phase: whit, its bound, and the peers."""
    engines = [engine for engine in PEERS if any(engine in row.peers for row in rows)]
    what = "bytes per token" if phase == "decode" else "MACs per token"
    head = ["model", "format", what, "bound", "whit", "of bound", *engines]
    lines = [head, ["---"] * 2 + ["---:"] * (len(head) - 2)]
    for row in rows:
        mine, bound = row.speed(row.whit, phase), row.bound(phase)
        work = row.whit["weight_bytes_per_token" if phase == "decode" else "prefill_macs_per_token"]
        lines.append(
            [row.shape, row.format, f"{work / 1e6:.3g} M", number(bound), f"**{number(mine)}**"]
            + [f"{100 * mine / bound:.0f} %", *(cell(row, engine, phase) for engine in engines)]
        )
    return ["| " + " | ".join(line) + " |" for line in lines]


def memory(rows: list[Row]) -> list[str]:
    """Load time and peak memory, without what the process had before it opened the model."""
    engines = [engine for engine in PEERS if any(engine in row.peers for row in rows)]
    cell = lambda line: (
        f"{number(line['load_ms'])} ms, "
        f"{number((line['peak_rss_bytes'] - line['rss_before_load_bytes']) / 1e6)} MB"
    )
    head = ["model", "format", "file", "whit", *engines]
    lines = [head, ["---"] * 2 + ["---:"] * (len(head) - 2)]
    for row in rows:
        peers = (row.peers.get(engine) for engine in engines)
        lines.append(
            [row.shape, row.format, f"{row.whit['file_bytes'] / 1e6:.3g} MB", cell(row.whit)]
            + [cell(line) if line else "–" for line in peers]
        )
    return ["| " + " | ".join(line) + " |" for line in lines]


def about(machine: dict, rows: list[Row]) -> str:
    """Machine, commit and date in one sentence each."""
    m, whit = machine["machine"], rows[0].whit
    family, model = m["cpu_family_model"]
    mebibytes = lambda size: f"{int(size.rstrip('K')) // 1024} MiB"
    outer = [(level, size) for level, size in m["caches"].items() if level != "L1"]
    caches = ", ".join(f"{level} {mebibytes(size)}" for level, size in outer)
    lines = [line for row in rows for line in row.peers.values()]
    versions = {line["engine"] + " " + line["version"].split()[-1] for line in lines}
    changed = " with uncommitted changes" if machine["modified"] else ""
    threads = "1 thread" if whit["threads"] == 1 else f"{whit['threads']} threads"
    peak = max((row.whit["integer_peak_gmac_per_s"] or 0) for row in rows)
    return (
        f"{m['cpu']} (family {family}, model {model}), {m['cores']} cores, {caches}; {', '.join(m['features'])}; "
        f"AMX {'yes' if m['amx'] else 'no'}. whit {machine['commit']}{changed}, backend {whit['backend']}; "
        f"{', '.join(sorted(versions))}. {machine['date']}, {threads}, integer peak {peak:.0f} GMAC/s, "
        f"load average before: {m['load_before']}. whit measured {whit['lines']} times, "
        f"peers {min((line['lines'] for line in lines), default=0)}, each the median of {whit['repeats']}; medians of those."
    )


def place(readme: Path | None, name: str, text: str) -> None:
    """Replaces what stands between the marks of `name`."""
    whole = readme.read_text() if readme else ""
    marks = re.compile(f"(<!-- {name} -->\\n).*?(<!-- /{name} -->)", re.DOTALL)
    if marks.search(whole):
        readme.write_text(marks.sub(lambda found: found[1] + text + found[2], whole))
    else:
        print(text)


def main() -> None:
    results, readme, *_ = [*map(Path, sys.argv[1:]), None]
    machine, runs = read(results)
    order = [(shape, form) for engine, _, shape, form in runs if engine == "whit"]
    rows = [Row(runs, shape, form) for shape, form in dict.fromkeys(order)]
    unit = "CPU second" if rows[0].per == "cpu_s" else "second"
    text = ["", about(machine, rows), ""]
    for phase, what in (("decode", "128 tokens"), ("prefill", "512 tokens")):
        text.append(
            f"**{phase.capitalize()}**, {what}, tokens per {unit}; beside a peer, how many times as fast whit is:"
        )
        text.append("")
        text += [*table(rows, phase), ""]
    text += ["**Load time and peak memory**, without what the process had before it opened the model:", "", *memory(rows), "", ""]
    place(readme, results.stem, "\n".join(text))
    results.with_name(results.stem.replace("threads-1", "roofline").replace("threads", "roofline") + ".svg").write_text(roofline.picture(rows, unit))
    kernels = results.with_name("kernels.txt")
    if kernels.exists():
        place(readme, "kernels", f"\n```text\n{kernels.read_text()}```\n\n")


if __name__ == "__main__":
    main()
