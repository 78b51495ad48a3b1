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
    span = lambda values: (math.log10(min(values)) - 0.11, math.log10(max(values)) + 0.07)
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
    dots = [(x(line["bytes"]), y(added(line)), line["engine"], short(line)) for line in shown]
    # Dots, and the legend.
    taken = [(at - 5, up - 5, at + 5, up + 5) for at, up, _, _ in dots] + [(0, 0, WIDTH, 72)]
    for at, up, engine, label in dots:
        parts += dot(at, up, engine) + text(at, up, engine, label, taken)
    for i, (engine, (name, _, _)) in enumerate(KINDS.items()):
        at = LEFT + 10 + (0, 150, 420)[i]
        parts += dot(at, 60, engine) + text(at, 60, engine, name, [])
    return "\n".join([*parts, "</svg>"]) + "\n"


def dot(x: float, y: float, engine: str) -> list[str]:
    _, color, shape = KINDS[engine]
    if shape == "circle":
        return [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" fill="{color}"/>']
    return [f'<rect x="{x - 4:.1f}" y="{y - 4:.1f}" width="8" height="8" fill="{color}"/>']


def text(x: float, y: float, engine: str, label: str, taken: list[tuple]) -> list[str]:
    """A label at the place around its dot that touches least, the nearest first; what it covers joins `taken`."""
    width = 6.6 * len(label)
    places = []
    for rise in (0, -13, 13, -26, 26, -39, 39, -52, 52, -65, 65):
        reach = 9 + abs(rise) / 3
        places += [(x + reach, rise), (x - reach - width, rise)]
    overlap = lambda a, b: max(0, min(a[2], b[2]) - max(a[0], b[0])) * max(0, min(a[3], b[3]) - max(a[1], b[1]))
    box = lambda left, rise: (left, y + rise - 7, left + width, y + rise + 6)
    outside = lambda left: 1e4 * (left < LEFT or left + width > WIDTH - 4)
    cost = lambda place: sum(overlap(box(*place), other) for other in taken) + outside(place[0])
    left, rise = min(places, key=cost)
    taken.append(box(left, rise))
    color = KINDS[engine][1]
    parts = [f'<text x="{left:.1f}" y="{y + rise + 4:.1f}" fill="{color}">{label}</text>']
    if rise:
        end = left if left > x else left + width
        parts.append(f'<path d="M{x:.1f} {y:.1f}L{end:.1f} {y + rise:.1f}" stroke="{color}" stroke-width="0.6"/>')
    return parts
