"""RESULTS.md: the targets, and a table of medians for each work."""

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.charts import FASTER, FOLDER
from benchmarks.contenders import CONTENDERS
from benchmarks.results import Results
from benchmarks.targets import targets
from benchmarks.works import Work

PREFACE = """\
# Results

`make bench` writes this file. Every contender is a uvicorn process of its own (one worker, the same flags; where it
says so, Granian's), started anew in an empty place for every measurement; one client drives all, in a process of its
own, with bodies that lie in memory. Contenders alternate in every round. Numbers are medians of the rounds;
[results.json](results.json) has all. Each table says when it was measured, and on which commit.

- **time** is until every byte is in the store, **answered** until the answer: ⚠ marks who answers before it has stored.
- **memory** is the peak of resident memory above what it was after one small upload.
- **written** is what the process made the file system write for each byte received, temporary files included
  (`write_bytes` of the kernel); what an S3 server writes is not in it.
- **ping** is the longest time of `GET /ping` meanwhile, every 4 ms on another connection: the median of the rounds'
  longest.
- **ours ÷** says how many times as fast ours is.
"""


@dataclass(frozen=True, slots=True)
class Column:
    """How a metric is shown."""

    title: str
    form: str


COLUMNS = {
    "answered": Column("answered s", "{:.2f}"),
    "seconds": Column("time s", "{:.2f}"),
    "speed": Column("MiB/s", "{:.0f}"),
    "memory": Column("memory MiB", "+{:.0f}"),
    "written": Column("written", "{:.2f}"),
    "cpu": Column("CPU s", "{:.2f}"),
    "ping": Column("ping ms", "{:.0f}"),
    "rate": Column("per s", "{:.0f}"),
    "p50": Column("median ms", "{:.1f}"),
    "p99": Column("99 % ms", "{:.0f}"),
    "errors": Column("errors", "{:.0f}"),
    "status": Column("status", "{:.0f}"),
    "milliseconds": Column("answered ms", "{:.0f}"),
    "read": Column("read MB", "{:.2f}"),
    "head": Column("HEAD ms", "{:.0f}"),
    "served": Column("went on ms", "{:.0f}"),
}


def render(results: Results, works: Sequence[Work]) -> str:
    """Return the whole file."""
    measured = [work for work in works if work.name in results.works]
    parts = [PREFACE, _targets(results, works), *(_work(results, work) for work in measured)]
    return "\n".join(parts)


def _targets(results: Results, works: Sequence[Work]) -> str:
    titles = {work.name: work.title for work in works}
    rows = [[titles[each.work], each.text, *each.verdict(results)] for each in targets()]
    return "## Targets\n\n" + _table(["work", "target", "measured", ""], rows)


def _work(results: Results, work: Work) -> str:
    cases, facts = results.cases(work.name), results.works[work.name]
    compared = next((metric for metric in work.columns if metric in FASTER), None)
    head = ["", *(["case"] if cases != [""] else []), *(COLUMNS[each].title for each in work.columns)]
    rows = [
        _row(results, work, who, case, compared)
        for case in cases
        for who in results.contenders(work.name)
        if any(results.values(work.name, who, metric, case) for metric in work.columns)
    ]
    table = _table([*head, *(["ours ÷"] if compared else [])], rows)
    measured = f"{facts['date']}, on {facts.get('commit') or 'a commit that was not noted'}"
    note = f"{measured}, medians of {facts['rounds']}. {facts['machine']}. {facts['versions']}."
    failures = "".join(f"\n{CONTENDERS[name].title} failed: {text}\n" for name, text in _failures(facts))
    chart = f"![{work.title}]({FOLDER}/{work.name}.svg)\n\n" if compared else ""
    return f"## {work.title}\n\n{chart}{table}{failures}\n<sub>`--only {work.name}`, {note}</sub>\n"


def _failures(facts: dict[str, str]) -> list[tuple[str, str]]:
    prefix = "failed "
    return [(name.removeprefix(prefix), text) for name, text in facts.items() if name.startswith(prefix)]


def _row(results: Results, work: Work, who: str, case: str, compared: str | None) -> list[str]:
    early = results.median(work.name, who, "early", case)
    row = [CONTENDERS[who].title + (" ⚠" if early else ""), *([case] if case else [])]
    for metric in work.columns:
        value = results.median(work.name, who, metric, case)
        row.append("" if value is None else COLUMNS[metric].form.format(value))
    if compared:
        ours, theirs = (results.median(work.name, each, compared, case) for each in (work.ours, who))
        row.append(f"{ours / theirs:.2f}" if ours and theirs else "")
    return row


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
