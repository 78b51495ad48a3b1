"""Prints the table of training.sh's results: medians of the rounds, and whit's share of PyTorch's.

    python training_table.py results/training.jsonl
"""

import json
import statistics
import sys


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        lines = [json.loads(line) for line in file]
    lines = [line for line in lines if "program" in line]
    print("| program | engine | tokens per CPU second | peak memory, MB |")
    print("|---|---|---:|---:|")
    for program in ("transformer", "lstm"):
        figures = {}
        for line in lines:
            if line["program"] == program:
                figures.setdefault(line["engine"], []).append(line)
        medians = {
            engine: [statistics.median(line[key] for line in of) for key in ("tokens_per_cpu_second", "peak_bytes")]
            for engine, of in figures.items()
        }
        peer = next(medians[engine] for engine in medians if engine != "whit")
        for engine, (speed, memory) in medians.items():
            ratios = f" ({speed / peer[0]:.2f}×)", f" ({memory / peer[1]:.3f}×)"
            shown = ratios if engine == "whit" else ("", "")
            print(f"| {program} | {engine} | {speed:,.0f}{shown[0]} | {memory / 1e6:.0f}{shown[1]} |")


if __name__ == "__main__":
    main()
