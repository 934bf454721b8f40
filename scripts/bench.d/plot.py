# SPDX-License-Identifier: GPL-2.0
"""Writes the results as a plot in SVG: for each row and hypervisor a bar of root instructions, on a logarithmic scale."""
import math
from xml.sax.saxutils import escape

import rows
import show

NAMES, WIDTH, VALUES = 190, 620, 90     # columns: the row's name, the bars, the numbers at their ends
BAR, GAP, HEADING = 9, 6, 34            # heights
OLD = " (older)"          # behind the name of what was not counted anew
COLORS = {"kvm": "#b0b0b0", "droste": "#2f6f9f"}


def text(x, y, words, size=11, anchor="start", weight="normal"):
    return (f'<text x="{x:.0f}" y="{y:.0f}" font-size="{size}" text-anchor="{anchor}" font-weight="{weight}">'
            f"{escape(words)}</text>")


def scale(found):
    """Returns the powers of ten between which all bars end."""
    values = [max(1, result["root"]) for part in found.values() for result in part.values()]
    return 0, max(1, math.ceil(math.log10(max(values, default=1))))


def bars(found, where, y, low, high):
    """The bars of one row, one below the other."""
    parts = [text(NAMES - 6, y + BAR * len(found) / 2 + 4, where[1], anchor="end")]
    for n, hypervisor in enumerate(h for h in ("kvm", "droste") if h in found):
        result = found[hypervisor].get(where)
        if not result:
            continue
        length = WIDTH * (math.log10(max(1, result["root"])) - low) / (high - low)
        top = y + n * BAR
        parts.append(f'<rect x="{NAMES}" y="{top}" width="{max(1, length):.1f}" height="{BAR - 1}" fill="{COLORS[hypervisor]}"/>')
        parts.append(text(NAMES + max(1, length) + 4, top + BAR - 1, show.number(result["root"]), 9))
    return parts


def svg(results):
    """Returns the plot."""
    found = show.by_hypervisor(results)
    low, high = scale(found)
    parts, level, y = [], None, 40
    for where in show.order(found):
        if where[0] != level:
            level = where[0]
            y += HEADING
            parts.append(text(NAMES, y - 8, rows.TITLES[level], 13, weight="bold"))
        parts += bars(found, where, y, low, high)
        y += BAR * len(found) + GAP
    lines = []
    for power in range(low, high + 1):
        x = NAMES + WIDTH * (power - low) / (high - low)
        lines.append(f'<line x1="{x:.0f}" y1="52" x2="{x:.0f}" y2="{y}" stroke="#dddddd"/>')
        lines.append(text(x, 50, f"{10 ** power:,}", 9, "middle"))
    legend = [text(NAMES, 18, "Root instructions of one operation, on a logarithmic scale", 14, weight="bold")]
    for n, hypervisor in enumerate(h for h in ("kvm", "droste") if h in found):
        legend.append(f'<rect x="{NAMES + n * 110}" y="26" width="10" height="10" fill="{COLORS[hypervisor]}"/>')
        legend.append(text(NAMES + n * 110 + 14, 35, show.NAMES[hypervisor]))
    width, height = NAMES + WIDTH + VALUES, y + 10
    return "\n".join([f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif">',
                      f'<rect width="{width}" height="{height}" fill="white"/>', *lines, *legend, *parts, "</svg>", ""])
