"""Draws the figures of ``bench.proxy --json`` as SVG: python3 -m bench.plots FIGURES.json DIRECTORY [PREFIX].

One picture a kind of figure. A bar is the median of the rounds, the line on it goes from the least to the most. All
figures are divided by nginx's, which is the dashed line.
"""

import html
import json
import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

_BAR, _GAP, _MARGIN, _LEFT, _WIDTH = 16, 22, 10, 290, 460
_COLORS = {"wxcontroller": "#1d7a4c", "HAProxy": "#b0762a", "Caddy": "#3a6fb0", "aiohttp": "#7d4f9e"}
_PEER, _NAMES = "nginx", {"product": "wxcontroller"}


def drawn(title: str, rows: Mapping[str, Mapping[str, Sequence[float]]]) -> str:
    """Return a picture: for each row a bar of each program."""
    top = max(max(figures) for programs in rows.values() for figures in programs.values())
    peer = _LEFT + _WIDTH / top
    parts, y = [], 60
    for name, programs in rows.items():
        parts.append(f'<text x="{_MARGIN}" y="{y + 12}">{html.escape(name)}</text>')
        for program, figures in programs.items():
            low, middle, high = (
                _WIDTH * each / top for each in (min(figures), statistics.median(figures), max(figures))
            )
            color, line = _COLORS.get(program, "#555"), y + _BAR / 2 - 1
            label = f"{html.escape(program)} {statistics.median(figures):.2f}"
            beside = max(_LEFT + middle, _LEFT + high, peer) + 6
            parts += [
                f'<rect x="{_LEFT}" y="{y}" width="{middle:.1f}" height="{_BAR - 3}" fill="{color}"/>',
                f'<path d="M{_LEFT + low:.1f} {line}H{_LEFT + high:.1f}" stroke="#111" stroke-width="1"/>',
                f'<text x="{beside:.1f}" y="{y + 11}" font-size="11">{label}</text>',
            ]
            y += _BAR
        y += _GAP
    parts += [
        f'<path d="M{peer:.1f} 52V{y - _GAP}" stroke="#111" stroke-dasharray="3 3"/>',
        f'<text x="{peer:.1f}" y="48" font-size="11" text-anchor="middle">{_PEER}</text>',
    ]
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{_LEFT + _WIDTH + 140}" height="{y}"'
    style = 'font-family="sans-serif" font-size="13" fill="#222"'
    background = '<rect width="100%" height="100%" fill="#fff"/>'
    caption = f'<text x="{_MARGIN}" y="24" font-size="16">{html.escape(title)}</text>'
    return f"{head} {style}>{background}{caption}{''.join(parts)}</svg>\n"


def main() -> int:
    figures, directory = json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2])
    prefix = sys.argv[3] if len(sys.argv) > 3 else "proxy"
    directory.mkdir(parents=True, exist_ok=True)
    for key, kind, title in (
        ("ratio", "cpu", "CPU of a proxied request, divided by nginx's"),
        ("p50", "p50", "Time of a proxied request (p50), divided by nginx's"),
    ):
        rows = {
            case: {_NAMES.get(name, name): each[key] for name, each in programs.items() if name != _PEER}
            for case, programs in figures["cases"].items()
        }
        (directory / f"{prefix}-{kind}.svg").write_text(drawn(title, rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
