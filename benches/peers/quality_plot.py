"""The picture of quality at equal bits: nats added over bytes of the tensors, both on logarithmic axes, as SVG."""

import math

KINDS = {
    "whit": ("whit, ✓ calibrated", "#c2410c", "circle"),
    "llama.cpp": ("llama.cpp, as its quantizer makes them", "#1d4ed8", "square"),
    "ideal": ("ggml's rounding, as if rows were no obstacle", "#60a5fa", "square"),
}
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 900, 560, 70, 30, 90, 56
# Less is noise.
LEAST = 1e-4


# In this order.
SHORT = [
    (" without fall-backs", ""), (", groups of ", " g"), ("out and up of layer 0 int4", "some int4"),
    (", embedding int4", ", embedding too"), (", calibrated", " ✓"),
]  # fmt: skip


def short(line: dict) -> str:
    name = line["format"]
    for long, brief in SHORT:
        name = name.replace(long, brief)
    return name


def picture(lines: list[dict]) -> str:
    shown = [line for line in lines if line["bytes"] < 400_000]
    added = lambda line: max((line.get("f32") or line["f16"])["increase"], LEAST)
    span = lambda values: (math.log10(min(values)) - 0.09, math.log10(max(values)) + 0.05)
    (x0, x1), (y0, y1) = span([line["bytes"] for line in shown]), span([added(line) for line in shown])
    x = lambda value: LEFT + (WIDTH - LEFT - RIGHT) * (math.log10(value) - x0) / (x1 - x0)
    y = lambda value: HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * (math.log10(value) - y0) / (y1 - y0)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" '
        f'viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">',
        '<rect width="100%" height="100%" fill="white"/>',
        '<text x="16" y="28" font-size="17">Quality at equal bits: stories260K, nats per token added over f32</text>',
        f'<text x="{WIDTH / 2}" y="{HEIGHT - 12}" text-anchor="middle">kB of tensors</text>',
    ]
    for size in range(100, 400, 20):
        if x0 <= math.log10(size * 1000) <= x1:
            at = x(size * 1000)
            parts.append(f'<path d="M{at:.1f} {TOP}V{HEIGHT - BOTTOM}" stroke="#eee"/>')
            parts.append(f'<text x="{at:.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle" fill="#555">{size}</text>')
    for decade in range(-5, 1):
        for step in (1, 2, 5):
            value = step * 10.0**decade
            if y0 <= math.log10(value) <= y1:
                parts.append(f'<path d="M{LEFT} {y(value):.1f}H{WIDTH - RIGHT}" stroke="#eee"/>')
                parts.append(f'<text x="{LEFT - 8}" y="{y(value) + 4:.1f}" text-anchor="end" fill="#555">{value:g}</text>')
    for line in shown:
        parts += dot(x(line["bytes"]), y(added(line)), line["engine"], short(line), line["engine"] == "whit")
    for at, (engine, (name, _, _)) in enumerate(KINDS.items()):
        parts += dot(LEFT + 10 + (0, 150, 420)[at], 60, engine, name)
    return "\n".join([*parts, "</svg>"]) + "\n"


def dot(x: float, y: float, engine: str, label: str, left: bool = False) -> list[str]:
    _, color, shape = KINDS[engine]
    mark = (
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" fill="{color}"/>'
        if shape == "circle"
        else f'<rect x="{x - 4:.1f}" y="{y - 4:.1f}" width="8" height="8" fill="{color}"/>'
    )
    # whit's labels to the left, the peers' to the right: they meet where both have much to say.
    at, anchor = (x - 8, "end") if left else (x + 8, "start")
    return [mark, f'<text x="{at:.1f}" y="{y + 4:.1f}" text-anchor="{anchor}" fill="{color}">{label}</text>']
