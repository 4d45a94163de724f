"""Draws the figures of ``bench.proxy --json`` as SVG: python3 -m bench.plots FIGURES.json DIRECTORY.

One picture a kind of figure. A bar is the median of the rounds, the line on it goes from the least to the most.
"""

import html
import json
import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

_BAR, _GAP, _LEFT, _WIDTH = 16, 22, 250, 460
_COLORS = {"product": "#1d7a4c", "nginx": "#8a8f98", "HAProxy": "#b0762a", "Caddy": "#3a6fb0", "aiohttp": "#7d4f9e"}


def drawn(title: str, rows: Mapping[str, Mapping[str, Sequence[float]]], unit: str) -> str:
    """Return a picture: for each row a bar of each program."""
    top = max(max(figures) for programs in rows.values() for figures in programs.values())
    parts, y = [], 44
    for name, programs in rows.items():
        parts.append(f'<text x="0" y="{y + 12}">{html.escape(name)}</text>')
        for program, figures in programs.items():
            low, middle, high = (
                _WIDTH * each / top for each in (min(figures), statistics.median(figures), max(figures))
            )
            color, line = _COLORS.get(program, "#555"), y + _BAR / 2 - 1
            label = f"{html.escape(program)} {statistics.median(figures):.3g}{unit}"
            parts += [
                f'<rect x="{_LEFT}" y="{y}" width="{middle:.1f}" height="{_BAR - 3}" fill="{color}"/>',
                f'<path d="M{_LEFT + low:.1f} {line}H{_LEFT + high:.1f}" stroke="#111" stroke-width="1"/>',
                f'<text x="{_LEFT + max(middle, high) + 6:.1f}" y="{y + 11}" font-size="11">{label}</text>',
            ]
            y += _BAR
        y += _GAP
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{_LEFT + _WIDTH + 140}" height="{y}"'
    style = 'font-family="sans-serif" font-size="13" fill="#222"'
    background = '<rect width="100%" height="100%" fill="#fff"/>'
    caption = f'<text x="0" y="22" font-size="16">{html.escape(title)}</text>'
    return f"{head} {style}>{background}{caption}{''.join(parts)}</svg>\n"


def main() -> int:
    figures, directory = json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2])
    directory.mkdir(parents=True, exist_ok=True)
    for key, title, unit in (
        ("ratio", "CPU of a proxied request, divided by nginx's", ""),
        ("p50", "Time of a proxied request, median, divided by nginx's", ""),
    ):
        rows = {
            case: {name: each[key] for name, each in programs.items()} for case, programs in figures["cases"].items()
        }
        (directory / f"proxy-{key}.svg").write_text(drawn(title, rows, unit))
    return 0


if __name__ == "__main__":
    sys.exit(main())
