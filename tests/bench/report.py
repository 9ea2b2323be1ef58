"""The report: medians over the rounds, ratios between two peers, and tables of both.

A ratio is the median of the rounds' own ratios, not the ratio of the medians: both figures of a round saw the same noise.
"""

from statistics import median

# Each figure with its heading and its number of decimals, in the order of the table.
FIGURES = {
    "req_s": ("req/s", 0),
    "cpu_us": ("CPU µs", 1),
    "user_instructions": ("user instr", 0),
    "kernel_instructions": ("kernel instr", 0),
    "p50_ms": ("p50 ms", 2),
    "p99_ms": ("p99 ms", 2),
    "p999_ms": ("p99.9 ms", 2),
    "rss_mb": ("RSS MB", 1),
    "pss_mb": ("PSS MB", 1),
    "failed": ("failed", 0),
}
COMPARED = [name for name in FIGURES if name != "failed"]


def medians(rounds):
    """Of each figure that every round has; failed requests are added up, since one is one too many."""
    found = {name: median(figures[name] for figures in rounds) for name in COMPARED if all(name in f for f in rounds)}
    return found | {"failed": sum(figures["failed"] for figures in rounds)}


def ratios(ours, theirs):
    return {name: ratio for name in COMPARED if (ratio := ratio_of(name, ours, theirs)) is not None}


def ratio_of(name, ours, theirs):
    """None if a figure is absent on either side."""
    pairs = [(a.get(name), b.get(name)) for a, b in zip(ours, theirs, strict=True)]
    if not pairs or any(a is None or not b for a, b in pairs):
        return None
    return median(a / b for a, b in pairs)


def figures_table(head, rows):
    """`rows`: figures by name, absolute."""
    lines = [[head, *(heading for heading, _ in FIGURES.values())]]
    for name, figures in rows.items():
        lines.append([name, *(number(figures.get(key), places) for key, (_, places) in FIGURES.items())])
    return table(lines)


def ratios_table(head, rows):
    lines = [[head, *(FIGURES[name][0] for name in COMPARED)]]
    for name, found in rows.items():
        lines.append([name, *(number(found.get(key), 2) for key in COMPARED)])
    return table(lines)


def targets_table(targets):
    lines = [["target", "figure", "wanted", ""]]
    for target in targets:
        met = "not measured" if target.met is None else "met" if target.met else "MISSED"
        lines.append([target.name, number(target.figure, target.places), target.wanted, met])
    return table(lines)


def number(value, places):
    return "-" if value is None else f"{value:,.{places}f}"


def table(lines):
    """The first column to the left, the others to the right."""
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    rows = []
    for line in lines:
        cells = [line[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(line[1:], widths[1:]))]
        rows.append("  " + "  ".join(cells).rstrip())
    return "\n".join(rows)
