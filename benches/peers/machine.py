"""Prints one JSON line about this machine and the commit measured: the first line of a results file.

    python machine.py

What the system does not tell is null.
"""

import datetime
import json
import os
import platform
import subprocess
from pathlib import Path

# What matters to integer products.
FEATURES = ["avx2", "avx_vnni", "avx512f", "avx512_vnni", "amx_int8", "asimddp", "i8mm", "sve"]


def processor() -> dict:
    """Model and features from /proc/cpuinfo; family and model tell more than a virtual machine's name."""
    fields = {}
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace").splitlines():
            key, _, value = line.partition(":")
            fields.setdefault(key.strip(), value.strip())
    except OSError:
        pass
    flags = (fields.get("flags") or fields.get("Features") or "").split()
    return {
        "cpu": fields.get("model name") or platform.processor() or platform.machine(),
        "cpu_family_model": [fields.get("cpu family"), fields.get("model")],
        "features": [feature for feature in FEATURES if feature in flags],
        "amx": "amx_int8" in flags,
    }


def caches() -> dict:
    """Sizes as the kernel writes them ("2048K"), by level; data and unified caches."""
    sizes = {}
    for index in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        read = lambda name: (index / name).read_text(encoding="ascii").strip()
        if read("type") != "Instruction":
            sizes["L" + read("level")] = read("size")
    return sizes


def git(*arguments: str) -> str | None:
    """What git prints, in the repository that holds this file."""
    try:
        command = ["git", "-C", str(Path(__file__).parent), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def main() -> None:
    dirty = git("status", "--porcelain", "--untracked-files=no", "--", ":/", ":/!benches/results")
    machine = {
        "machine": processor()
        | {"cores": os.cpu_count(), "caches": caches(), "load_before": round(os.getloadavg()[0], 2)},
        "commit": git("rev-parse", "--short=12", "HEAD"),
        "modified": bool(dirty),
        "date": datetime.date.today().isoformat(),
    }
    print(json.dumps(machine))


if __name__ == "__main__":
    main()
