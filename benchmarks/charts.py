"""The tables as pictures: a bar for each contender's speed, in an SVG that is readable on light and dark pages."""

from collections.abc import Iterator
from html import escape
from itertools import count

from benchmarks.contenders import CONTENDERS
from benchmarks.results import Results
from benchmarks.works import Work

FASTER = {"speed": "MiB/s", "rate": "per second"}
"""The metrics that ours is divided by, and their units."""
FOLDER = "charts"
WIDTH, LEFT, RIGHT, TOP, LINE = 860, 400, 70, 40, 22
STYLE = (
    "text{font:13px system-ui,sans-serif;fill:#24292f}.title{font-weight:600}.case,.value{fill:#57606a}"
    "rect{fill:#afb8c1}.ours{fill:#0969da}"
    "@media(prefers-color-scheme:dark){text{fill:#e6edf3}.case,.value{fill:#9198a1}rect{fill:#484f58}"
    ".ours{fill:#4493f8}}"
)


def draw(results: Results, work: Work) -> str | None:
    """Return the picture of a work's table, None if it tells no speed."""
    metric = next((metric for metric in work.columns if metric in FASTER), None)
    bars = [
        (who, case, value)
        for case in results.cases(work.name)
        for who in results.contenders(work.name)
        if metric is not None and (value := results.median(work.name, who, metric, case)) is not None
    ]
    if metric is None or not bars:
        return None
    lines = list(_lines(bars, longest=max(value for _, _, value in bars)))
    height = TOP + LINE * (len(bars) + sum(bool(case) for case in {case for _, case, _ in bars}))
    title = escape(f"{work.title}: {FASTER[metric]}")
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" role="img">',
            f"<title>{title}</title>",
            f"<style>{STYLE}</style>",
            f'<text class="title" x="0" y="16">{title}</text>',
            *lines,
            "</svg>\n",
        ]
    )


def _lines(bars: list[tuple[str, str, float]], *, longest: float) -> Iterator[str]:
    rows, before = (TOP + LINE * number for number in count()), ""
    for who, case, value in bars:
        if case != before:
            before = case
            plural = "" if case == "1" else "s"
            yield f'<text class="case" x="0" y="{next(rows) + 11}">{escape(case)} connection{plural}</text>'
        top, length = next(rows), (WIDTH - LEFT - RIGHT) * value / longest
        name = escape(CONTENDERS[who].title.replace("**", "").replace("`", ""))
        yield f'<text x="{LEFT - 8}" y="{top + 11}" text-anchor="end">{name}</text>'
        kind = ' class="ours"' if who.startswith("ours") else ""
        yield f'<rect{kind} x="{LEFT}" y="{top}" width="{max(length, 1):.1f}" height="14" rx="2"/>'
        yield f'<text class="value" x="{LEFT + length + 6:.1f}" y="{top + 11}">{value:.0f}</text>'
