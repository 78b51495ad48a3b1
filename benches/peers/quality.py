"""Quality at equal bits: whit's loss beside llama.cpp's, on one checkpoint, one text and the same token ids.

    LLAMA_CPP_LIB_PATH=DIR python quality.py WHIT DATA FOLDER RESULTS [README]

WHIT is the command, DATA has llama2c/ and text/, FOLDER takes the models. Writes quality.json and quality.svg to RESULTS and
the table between `<!-- quality -->` and `<!-- /quality -->` of README. Exit code 1 if whit loses more at some size than
Q8_0, Q4_0 or Q4_K_M of that size or above.

Increases are over each engine's own loss at f32; those two must agree, or tokens or windows differ. Sizes are of the
tensors, without tokenizer and tables. llama.cpp's cache is f16, its default (head of 8: no other than f32 and f16 is
possible); whit's is f32 where it is judged, as f16 costs nothing that can be measured, and int8, its own default, beside
it.
"""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import machine
import quality_llama
import quality_text
from quality_plot import picture
from shapes import SHAPES
from table import place

CALIBRATED = ["--calibrate", "CALIBRATION", "--split", quality_text.MARK]
ALL_INT4 = ["--weights", "int4", "--embedding", "int4"]


def tensors(encoding: str, *names: str) -> list[str]:
    return [f"--tensor={name}={encoding}" for name in names]


LAYERS = ["attention.qkv", "attention.out", "ffn.up", "ffn.down"]
# 16-bit activations in every product; the head is tied to the embedding.
WIDE_LAYERS = tensors("int8:a16", *LAYERS)
WIDE = [*WIDE_LAYERS, *tensors("int8:a16", "embedding")]
WIDE_INT4 = ["--weights", "int4", *tensors("int4:a16", *LAYERS), *tensors("int8:a16", "embedding")]

# whit's files, from large to small. What is stored how was chosen on the calibration stories, one matrix at a time:
# the output projections of attention and the first layers' gates lose least per byte saved; 16-bit activations cost no
# byte, and of what the size of Q8_0 then leaves, the embedding gains most in f16.
WHIT = {
    "f32": ["--weights", "f32"],
    "f16": ["--weights", "f16"],
    "int8, a16, embedding f16": [*WIDE_LAYERS, *tensors("f16", "embedding")],
    "int8, a16, embedding f16, calibrated": [*WIDE_LAYERS, *tensors("f16", "embedding"), *CALIBRATED],
    "int8": [],
    "int8, down a16": tensors("int8:a16", "ffn.down"),
    "int8, a16": WIDE,
    "int8, a16, calibrated": [*WIDE, *CALIBRATED],
    "int8, out and up of layer 0 int4, calibrated": [
        *tensors("int4", "attention.out", "layers.0.ffn.up"),
        *CALIBRATED,
    ],
    "int8, up int4, calibrated": [*tensors("int4", "ffn.up"), *CALIBRATED],
    "int8, up int4, a16, calibrated": [*WIDE, *tensors("int4:a16", "ffn.up"), *CALIBRATED],
    "int4, groups of 16": ["--weights", "int4", "--group", "16"],
    "int4, groups of 16, calibrated": ["--weights", "int4", "--group", "16", *CALIBRATED],
    "int4, groups of 32": ["--weights", "int4"],
    "int4, groups of 32, calibrated": ["--weights", "int4", *CALIBRATED],
    "int4, groups of 32, a16, calibrated": [*WIDE_INT4, *CALIBRATED],
    "int4, groups of 64, calibrated": ["--weights", "int4", "--group", "64", *CALIBRATED],
    "int4, groups of 16, embedding int4, calibrated": [*ALL_INT4, "--group", "16", *CALIBRATED],
    "int4, groups of 32, embedding int4": ALL_INT4,
    "int4, groups of 32, embedding int4, calibrated": [*ALL_INT4, *CALIBRATED],
}
JUDGED = ["Q8_0", "Q4_K_M", "Q4_0"]


class Whit:
    """The command, and the stories that are judged and that are calibrated on."""

    def __init__(self, command: str, data: Path, folder: Path):
        self.command, self.folder = command, folder
        self.source = [str(data / "llama2c/stories260K.bin"), "--tokenizer", str(data / "llama2c/tok512.bin")]
        self.text, self.calibration = folder / "judged.txt", folder / "calibration.txt"
        for path, offset in [(self.text, 0), (self.calibration, quality_text.CALIBRATION_OFFSET)]:
            path.write_text(quality_text.joined(quality_text.stories(data, offset)), encoding="utf-8")

    def run(self, *args: str) -> dict:
        found = subprocess.run([self.command, *args, "--json"], check=True, capture_output=True)
        return json.loads(found.stdout)

    def make(self, at: int, options: list[str], cache: str) -> str:
        path = str(self.folder / f"{at}-{cache}.whit")
        options = [str(self.calibration) if option == "CALIBRATION" else option for option in options]
        self.run("import", *self.source, *options, "--cache", cache, "-o", path)
        return path

    def line(self, at: int, name: str, options: list[str]) -> dict:
        """What one of the files loses, with both caches."""
        line = {"engine": "whit", "format": name}
        for cache in ["f32", "int8"]:
            path = self.make(at, options, cache)
            args = ["eval", path, "--text", str(self.text), "--split", quality_text.MARK, "--threads", "1"]
            if cache == "f32":
                args += ["--against", str(self.folder / "reference.whit")]
            found = self.run(*args)
            line[cache] = {key: found[key] for key in ("tokens", "nats_per_token", "kl_divergence") if key in found}
        contents = self.run("inspect", path)
        sections = {section["name"]: section["bytes"] for section in contents["sections"]}
        return line | {"bytes": sections["tensor data"], "weights": contents["parameters"]}

    def lines(self) -> list[dict]:
        """One for each file, a few at a time: results do not depend on what else runs."""
        reference = self.make(0, ["--weights", "f32"], "f32")
        Path(reference).rename(self.folder / "reference.whit")
        with ThreadPoolExecutor(4) as pool:
            return list(pool.map(lambda item: self.line(item[0], *item[1]), enumerate(WHIT.items())))


def llama(data: Path, folder: Path) -> list[dict]:
    """One line for each of llama.cpp's formats, as made and as if rows were no obstacle."""
    arrays = quality_text.checkpoint(data / "llama2c/stories260K.bin")
    tokenizer = quality_text.Tokenizer(data / "llama2c/tok512.bin")
    stories = quality_text.stories(data, 0)
    windows = quality_text.windows(stories, tokenizer, SHAPES[quality_text.CHECKPOINT].context)
    weights = sum(array.size for array in arrays.values())
    lines, reference = [], None
    for form in ["F32", "F16", *quality_llama.FILE_TYPES]:
        score, size, logits = quality_llama.evaluate(quality_llama.made(arrays, folder, form), windows, reference)
        reference = reference or logits
        lines.append({"engine": "llama.cpp", "format": form, "bytes": size, "weights": weights, "f16": score.figures()})
    for form in quality_llama.IDEAL:
        path, size = quality_llama.ideal(arrays, folder, form)
        score, _, _ = quality_llama.evaluate(path, windows, reference)
        line = {"engine": "ideal", "format": f"{form} without fall-backs", "bytes": size, "weights": weights}
        lines.append(line | {"f16": score.figures()})
    return lines


def increases(lines: list[dict]) -> None:
    """Adds what each file loses over f32 of its engine, and its bits per weight."""
    bases = {}
    for line in lines:
        line["bits_per_weight"] = 8 * line["bytes"] / line["weights"]
        for cache in ("f32", "f16", "int8"):
            if cache in line:
                base = bases.setdefault(line["engine"] == "whit", line[cache]["nats_per_token"])
                line[cache]["increase"] = line[cache]["nats_per_token"] - base
    ours, theirs = bases[True], bases[False]
    if abs(ours - theirs) > 2e-5:
        raise SystemExit(f"the losses at f32 differ, {ours} and {theirs}: not the same tokens and windows")


def verdicts(lines: list[dict]) -> list[dict]:
    """For each judged format the best of whit's files that is not larger."""
    found = []
    for peer in (line for line in lines if line["engine"] == "llama.cpp" and line["format"] in JUDGED):
        ours = [line for line in lines if line["engine"] == "whit" and line["bytes"] <= peer["bytes"]]
        best = min(ours, key=lambda line: line["f32"]["increase"])
        holds = best["f32"]["increase"] <= peer["f16"]["increase"]
        found.append({"peer": peer, "whit": best, "holds": holds})
    return found


def markdown(about: dict, lines: list[dict]) -> str:
    tokens = lines[0]["f32"]["tokens"]
    base = lines[0]["f32"]["nats_per_token"]
    text = [
        "",
        f"stories260K on {tokens:,} tokens of TinyStories, {base:.5f} nats per token at f32 in both engines; "
        f"whit {about['commit']}, llama.cpp of llama-cpp-python {about['llama']}, {about['date']}.",
        "",
        "| engine | format | bytes | bits per weight | nats added | KL divergence | nats added, int8 cache |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    names = {"whit": "**whit**", "llama.cpp": "llama.cpp", "ideal": "ggml’s rounding"}
    for line in sorted(lines, key=lambda line: -line["bytes"]):
        score = line.get("f32") or line["f16"]
        int8 = f"{line['int8']['increase']:+.5f}" if "int8" in line else "–"
        text.append(
            f"| {names[line['engine']]} | {line['format']} | {line['bytes']:,} | {line['bits_per_weight']:.2f} "
            f"| {score['increase']:+.5f} | {score['kl_divergence']:.5f} | {int8} |"
        )
    text += ["", "| bar | bytes | nats added | whit's best that is not larger | bytes | nats added | holds |"]
    text += ["| --- | ---: | ---: | --- | ---: | ---: | --- |"]
    for verdict in verdicts(lines):
        peer, ours = verdict["peer"], verdict["whit"]
        text.append(
            f"| {peer['format']} | {peer['bytes']:,} | {peer['f16']['increase']:+.5f} | {ours['format']} "
            f"| {ours['bytes']:,} | {ours['f32']['increase']:+.5f} | {'yes' if verdict['holds'] else '**no**'} |"
        )
    return "\n".join([*text, "", ""])


def main() -> None:
    if len(sys.argv) not in (5, 6):
        raise SystemExit("usage: quality.py WHIT DATA FOLDER RESULTS [README]")
    command, data, folder, results = sys.argv[1], *map(Path, sys.argv[2:5])
    folder.mkdir(parents=True, exist_ok=True)
    lines = [*Whit(command, data, folder).lines(), *llama(data, folder)]
    increases(lines)
    about = {"commit": machine.git("rev-parse", "--short=12", "HEAD"), "date": machine.datetime.date.today().isoformat()}
    about["llama"] = quality_llama.llama_cpp.__version__
    (results / "quality.json").write_text(json.dumps({"about": about, "lines": lines}, indent=1) + "\n")
    (results / "quality.svg").write_text(picture(lines))
    place(Path(sys.argv[5]) if len(sys.argv) == 6 else None, "quality", markdown(about, lines))
    failed = [verdict["peer"]["format"] for verdict in verdicts(lines) if not verdict["holds"]]
    if failed:
        raise SystemExit(f"whit loses more at the size of {', '.join(failed)}")


if __name__ == "__main__":
    main()
