"""Measure works: every round, every contender in turn."""

import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from obstore.exceptions import BaseError as StoreError

from benchmarks.actions import TOKEN, Measured, WrongAnswerError
from benchmarks.charts import FOLDER, draw
from benchmarks.contenders import CONTENDERS
from benchmarks.machine import facts
from benchmarks.report import COLUMNS, render
from benchmarks.results import Results
from benchmarks.server import make_source, open_place, serving, store_source
from benchmarks.works import Work
from tests.servers.postgres import Postgres, run_postgres
from tests.servers.process import ServerStartError

Say = Callable[[str], None]
FAILURES = (WrongAnswerError, ServerStartError, TimeoutError, subprocess.CalledProcessError, StoreError)
"""What a contender, or the store that it was too much for, can do wrong; the others go on."""


class NoSpaceError(Exception):
    """The disk has too little room for a work."""


class Bench:
    """A run: where things go, who takes part, and who is told of the progress."""

    def __init__(
        self, results: Results, *, only: Iterable[str] = (), parent: str | None = None, say: Say = print
    ) -> None:
        self._results = results
        self._only = frozenset(only) or frozenset(CONTENDERS)
        self._parent = parent
        self._say = say

    def measure(self, work: Work) -> None:
        """Measure one work, in place of what was known of it."""
        free = shutil.disk_usage(self._parent or tempfile.gettempdir()).free
        if free < work.space:
            raise NoSpaceError(f"{work.name} needs {work.space:,} bytes of disk, {free:,} are free.")
        told = facts()
        self._results.begin(work.name, {**told, "rounds": str(work.rounds)})
        with ExitStack() as stack:
            postgres = stack.enter_context(run_postgres(fsync=True)) if work.database == "postgresql" else None
            for number in range(1, work.rounds + 1):
                self._round(work, number, postgres)

    def _round(self, work: Work, number: int, postgres: Postgres | None) -> None:
        for name in work.contenders:
            failed = f"failed {name}"
            if name not in self._only or failed in self._results.works[work.name]:
                continue
            try:
                measured = self._contender(work, name, postgres)
            except FAILURES as error:
                self._results.works[work.name][failed] = type(error).__name__
                self._say(f"{work.name} {number}/{work.rounds} {name} failed: {str(error).strip().splitlines()[-1]}")
                continue
            for case, values in measured.items():
                self._results.add(work.name, name, case, values)
                self._say(f"{work.name} {number}/{work.rounds} {name} {case} {_line(work, values)}")

    def _contender(self, work: Work, name: str, postgres: Postgres | None) -> Measured:
        with open_place(work.store, postgres, self._parent) as opened:
            place = opened if work.limit is None else replace(opened, token=TOKEN, limit=work.limit)
            if work.source and name in {"put_file", "file_response", "obstore_stream"}:
                make_source(place, work.source)
                if name != "put_file":
                    store_source(place)
            with serving(CONTENDERS[name], place, work.program) as server:
                return work.measure(server)


def _line(work: Work, values: object) -> str:
    assert isinstance(values, dict)
    shown = [(COLUMNS[metric], values[metric]) for metric in work.columns if metric in values]
    return "  ".join(f"{column.title} {column.form.format(value)}" for column, value in shown)


def publish(results: Results, works: list[Work], folder: Path) -> None:
    """Write results.json, RESULTS.md and its pictures."""
    results.save()
    (folder / FOLDER).mkdir(exist_ok=True)
    for work in works:
        if (chart := draw(results, work)) is not None:
            (folder / FOLDER / f"{work.name}.svg").write_text(chart)
    (folder / "RESULTS.md").write_text(render(results, works))
