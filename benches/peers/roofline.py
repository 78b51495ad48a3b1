"""The picture of a comparison as SVG: for every model the bound that the machine sets, and each engine under it.

A roofline per row instead of one plane: all models of a format have nearly the same bytes per multiplication, so in
the usual plane they would lie on top of each other. `table.py` hands over the rows.
"""

import math

ENGINES = {
    "whit": ("#c2410c", 6.0),
    "llama.cpp": ("#1d4ed8", 4.5),
    "llama.cpp without AMX": ("#60a5fa", 4.5),
    "CTranslate2": ("#15803d", 4.5),
    "CTranslate2 without AMX": ("#86efac", 4.5),
}
ROW, TOP, LEFT, PANEL, GAP = 26, 92, 170, 380, 40
PHASES = {
    "decode": "Decode: bound = read bandwidth / bytes of weights",
    "prefill": "Prefill: bound = integer peak / multiplications",
}


def text(x: float, y: float, content: str, anchor: str = "start", style: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" {style}>{content}</text>'


def dot(x: float, y: float, engine: str) -> str:
    color, radius = ENGINES[engine]
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius}" fill="{color}" stroke="white" stroke-width="1"/>'


class Panel:
    """One phase: a logarithmic axis of tokens per second over all rows."""

    def __init__(self, rows: list, phase: str, left: float):
        self.rows, self.phase, self.left = rows, phase, left
        speeds = [row.bound(phase) for row in rows if math.isfinite(row.bound(phase))]
        speeds += [row.speed(line, phase) for row in rows for line in [row.whit, *row.peers.values()]]
        self.low = math.log10(min(speeds)) - 0.1
        self.high = math.log10(max(speeds)) + 0.1

    def x(self, speed: float) -> float:
        return self.left + PANEL * (math.log10(speed) - self.low) / (self.high - self.low)

    def axis(self) -> list[str]:
        bottom = TOP + ROW * len(self.rows)
        parts = [text(self.left, TOP - 28, PHASES[self.phase], style='font-weight="bold"')]
        for decade in range(math.floor(self.low), math.ceil(self.high) + 1):
            for step in (1, 2, 5):
                speed = step * 10.0**decade
                if self.low <= math.log10(speed) <= self.high:
                    x = self.x(speed)
                    shade = "#bbb" if step == 1 else "#e8e8e8"
                    parts.append(f'<path d="M{x:.1f} {TOP - 6}V{bottom}" stroke="{shade}"/>')
                    label = f"{speed / 1e6:g}M" if speed >= 1e6 else f"{speed / 1e3:g}k" if speed >= 1e3 else f"{speed:g}"
                    parts.append(text(x, TOP - 11, label, "middle", 'font-size="11" fill="#555"'))
        return parts

    def row(self, row, y: float) -> list[str]:
        bound, parts = row.bound(self.phase), []
        if math.isfinite(bound):
            x = self.x(bound)
            parts.append(f'<path d="M{self.left} {y}H{x:.1f}" stroke="#ddd" stroke-width="6"/>')
            parts.append(f'<path d="M{x:.1f} {y - 9}V{y + 9}" stroke="black" stroke-width="3"/>')
        for engine in reversed(ENGINES):
            line = row.whit if engine == "whit" else row.peers.get(engine)
            if line:
                parts.append(dot(self.x(row.speed(line, self.phase)), y, engine))
        return parts


def legend(engines: list[str], y: float) -> list[str]:
    parts, x = [f'<path d="M{LEFT} {y - 12}V{y + 4}" stroke="black" stroke-width="3"/>'], LEFT + 10
    parts.append(text(x, y, "bound"))
    x += 64
    for engine in engines:
        parts += [dot(x, y - 4, engine), text(x + 11, y, engine)]
        x += 38 + 7 * len(engine)
    return parts


def picture(rows: list, unit: str) -> str:
    """The whole picture; `unit` is what speeds are per."""
    panels = [Panel(rows, "decode", LEFT), Panel(rows, "prefill", LEFT + PANEL + GAP)]
    bottom = TOP + ROW * len(rows)
    width, height = LEFT + 2 * PANEL + GAP + 30, bottom + 44
    threads = rows[0].whit["threads"]
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="13">',
        '<rect width="100%" height="100%" fill="white"/>',
        text(16, 28, f"Tokens per {unit}, {threads} thread{'s' * (threads > 1)}", style='font-size="17"'),
        *(part for panel in panels for part in panel.axis()),
    ]
    for at, row in enumerate(rows):
        y = TOP + ROW * (at + 0.5)
        parts.append(text(16, y + 4, f"{row.shape} {row.format}"))
        parts += [part for panel in panels for part in panel.row(row, y)]
    present = [name for name in ENGINES if name == "whit" or any(name in row.peers for row in rows)]
    return "\n".join([*parts, *legend(present, bottom + 30), "</svg>"]) + "\n"
