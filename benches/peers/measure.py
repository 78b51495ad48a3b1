"""Clocks and memory, the same for every peer.

The figure that is compared is tokens per CPU second of the process: on a machine shared with others it
repeats where wall clock does not. With more than one thread it counts waiting threads too, so wall-clock
figures stand beside it.
"""

import statistics
import time


def timed(work, tokens: int) -> tuple[float, float]:
    """Runs `work` once; (tokens per CPU second, tokens per wall second)."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    return tokens / cpu, tokens / wall


def medians(work, tokens: int, repeats: int) -> dict:
    """Runs `work` once to warm up, then `repeats` times; medians and the range seen."""
    work()
    cpu, wall = zip(*(timed(work, tokens) for _ in range(repeats)))
    return {
        "per_cpu_s": round(statistics.median(cpu), 1),
        "per_s": round(statistics.median(wall), 1),
        "range_per_cpu_s": [round(min(cpu), 1), round(max(cpu), 1)],
    }


def phase(name: str, figures: dict) -> dict:
    """`figures` under the keys of a report line."""
    return {
        f"{name}_tokens_per_cpu_s": figures["per_cpu_s"],
        f"{name}_tokens_per_s": figures["per_s"],
        f"{name}_range_per_cpu_s": figures["range_per_cpu_s"],
    }


def peak_rss() -> int:
    """Peak resident bytes of this program alone (`getrusage` would count what the parent had before exec)."""
    with open("/proc/self/status", encoding="ascii") as status:
        for line in status:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    raise SystemExit("no VmHWM in /proc/self/status")
