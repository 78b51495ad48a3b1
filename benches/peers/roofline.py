"""The picture of a comparison as SVG: how near each engine comes to the bound that the machine sets for a model.

Shares of the bound, one row per model, instead of the usual plane: all models of a format have nearly the same bytes
per multiplication and would lie on top of each other. `table.py` hands over the rows.
"""

import math

# Colour, radius, and how far off the middle of the row, so that equal speeds stay visible.
ENGINES = {
    "whit": ("#c2410c", 5.5, 0),
    "llama.cpp": ("#1d4ed8", 4, -7),
    "llama.cpp without AMX": ("#60a5fa", 4, -7),
    "llama.cpp Q4_K_M": ("#7c3aed", 4, -7),
    "CTranslate2 int8": ("#15803d", 4, 7),
    "CTranslate2 int8 without AMX": ("#86efac", 4, 7),
}
ROW, TOP, LEFT, PANEL, GAP = 30, 92, 170, 340, 90
PHASES = {
    "decode": "Decode: read bandwidth ÷ bytes of weights",
    "prefill": "Prefill: integer peak ÷ multiplications",
}


def text(x: float, y: float, content: str, anchor: str = "start", style: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" {style}>{content}</text>'


def dot(x: float, y: float, engine: str) -> str:
    color, radius, _ = ENGINES[engine]
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius}" fill="{color}" stroke="white" stroke-width="1"/>'


class Panel:
    """One phase: a logarithmic axis of per cent of the bound; rows without a bound stay empty."""

    def __init__(self, rows: list, phase: str, left: float):
        self.rows, self.phase, self.left = rows, phase, left
        shares = [self.share(row, line) for row in rows for line in [row.whit, *row.peers.values()]]
        shares = [share for share in shares if math.isfinite(share)] + [100]
        self.low = math.log10(min(shares)) - 0.05
        self.high = math.log10(max(shares)) + 0.05

    def share(self, row, line: dict) -> float:
        return 100 * row.speed(line, self.phase) / row.bound(self.phase)

    def x(self, share: float) -> float:
        return self.left + PANEL * (math.log10(share) - self.low) / (self.high - self.low)

    def axis(self) -> list[str]:
        bottom = TOP + ROW * len(self.rows)
        parts = [text(self.left, TOP - 30, PHASES[self.phase], style='font-weight="bold"')]
        for decade in range(math.floor(self.low), math.ceil(self.high) + 1):
            for step in (1, 2, 5):
                share = step * 10.0**decade
                if self.low <= math.log10(share) <= self.high:
                    x, bound = self.x(share), share == 100
                    shade = 'black" stroke-width="3' if bound else "#ddd"
                    parts.append(f'<path d="M{x:.1f} {TOP - 6}V{bottom}" stroke="{shade}"/>')
                    parts.append(text(x, TOP - 11, f"{share:g} %", "middle", 'font-size="11" fill="#555"'))
        parts.append(text(self.left + PANEL + 6, TOP - 26, "100 % is", style='font-size="11" fill="#555"'))
        return parts

    def row(self, row, y: float) -> list[str]:
        bound = row.bound(self.phase)
        if not math.isfinite(bound):
            return []
        parts = [f'<path d="M{self.left} {y}H{self.x(100):.1f}" stroke="#eee" stroke-width="4"/>']
        for engine, (_, _, offset) in reversed(ENGINES.items()):
            line = row.whit if engine == "whit" else row.peers.get(engine)
            if line:
                parts.append(dot(self.x(self.share(row, line)), y + offset, engine))
        label = f"{bound / 1e6:.2f} M" if bound >= 1e6 else f"{bound:,.0f}"
        return [*parts, text(self.left + PANEL + 6, y + 4, label, style='font-size="11" fill="#555"')]


def legend(engines: list[str], y: float) -> list[str]:
    parts, x = [], LEFT
    for engine in engines:
        parts += [dot(x, y - 4, engine), text(x + 11, y, engine)]
        x += 38 + 7 * len(engine)
    return parts


def picture(rows: list, unit: str) -> str:
    """The whole picture; `unit` is what speeds are per."""
    panels = [Panel(rows, "decode", LEFT), Panel(rows, "prefill", LEFT + PANEL + GAP)]
    bottom = TOP + ROW * len(rows)
    width, height = LEFT + 2 * (PANEL + GAP), bottom + 44
    threads = rows[0].whit["threads"]
    title = f"Share of the bound, tokens per {unit}, {threads} thread{'s' * (threads > 1)}"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="13">',
        '<rect width="100%" height="100%" fill="white"/>',
        text(16, 28, title, style='font-size="17"'),
        *(part for panel in panels for part in panel.axis()),
    ]
    for at, row in enumerate(rows):
        y = TOP + ROW * (at + 0.5)
        parts.append(text(16, y + 4, f"{row.shape} {row.format}"))
        parts += [part for panel in panels for part in panel.row(row, y)]
    present = [name for name in ENGINES if name == "whit" or any(name in row.peers for row in rows)]
    return "\n".join([*parts, *legend(present, bottom + 30), "</svg>"]) + "\n"
