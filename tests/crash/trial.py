"""Run a script with one fault at many points, one process each, and judge what is left after every one of them."""

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Final

from fastapi_filestore.storage.paths import upload_expiry
from tests.crash.child import STORE_CALLS, Fault, Report
from tests.crash.forkserver import Outcome
from tests.crash.judgement import Verdict, judge
from tests.crash.place import Place
from tests.crash.scripts import LITTER, Script
from tests.crash.standings import Course

EXPECTED_ERRORS: Final[Mapping[Fault, frozenset[str | None]]] = {
    "none": frozenset({None}),
    "error": frozenset(
        {
            None,
            "ConnectionResetError",
            "DatabaseFailedError",
            "DatabaseUnavailableError",
            "OperationalError",
            "ProgrammingError",
            "StorageError",
            "StorageUnavailableError",
        }
    ),
    "hang": frozenset({None, "CancelledError"}),
    # An early sweeper takes what a client stored, and ends uploads, too.
    "sweep": frozenset(
        {
            None,
            "IntentLostError",
            "ObjectNotFoundError",
            "StorageUnavailableError",
            "UploadIncompleteError",
            "UploadNotFoundError",
            "UploadPartError",
        }
    ),
    "cancel": frozenset({None, "CancelledError"}),
    "scope": frozenset({None, "CancelledError"}),
}
"""What a unit of work may raise; anything else hides what happened."""


@dataclass
class Tally:
    """What came of the schedules of one script.

    Attributes:
        count: How many were run.
        problems: What was wrong, with the schedule that showed it.
        excused: How many left an object of the documented exception.
        left_to_sweeper: How many left an object or an intent behind for the sweeper.
        locked: How many left SQLite locked for the rest of the process, as cancelled tasks do without us, too.
    """

    count: int = 0
    problems: list[str] = field(default_factory=list)
    excused: int = 0
    left_to_sweeper: int = 0
    locked: int = 0


@dataclass(frozen=True)
class Trial:
    """A script, a fault, and where; `variant` is a broken variant of the library that is expected to fail."""

    place: Place
    script: Script
    fault: Fault = "kill"
    variant: str | None = None
    course: Course = field(default_factory=Course)

    async def labels(self) -> list[str]:
        """Run the script without a fault, check what it leaves, and return the points that it passed."""
        outcome = await self.place.run(self.script.name, variant=self.variant)
        assert outcome.report is not None, outcome.output
        if self.variant is None:
            assert outcome.report.error is None, outcome.report.traceback
            assert len((await self.place.state()).objects) == self.script.objects, "the script did not do its work"
            verdict = await judge(self.place, self.script)
            assert (verdict.problems, verdict.strays) == ([], set()), verdict
            await self._note_course(verdict)
        return outcome.report.labels

    async def _note_course(self, after: Verdict) -> None:
        """Note how far uploads are before the script and after it."""
        self.course.after = after.uploads
        if self.script.arrange is None:
            return
        outcome = await self.place.run(self.script.name, fault="kill", at=1)
        assert outcome.killed, outcome.output
        self.course.before = (await judge(self.place, self.script)).uploads

    async def awaits(self) -> int:
        """Return how many awaits suspend the script."""
        outcome = await self.place.run(self.script.name, fault="cancel", at=0)
        assert outcome.report is not None, outcome.output
        return outcome.report.awaits

    async def points(self) -> list[tuple[int, str]]:
        """Return the numbers of the points where the fault can strike, and what happens there."""
        labels = await self.labels()
        if self.fault in {"cancel", "scope"}:
            return [(number, f"await {number}") for number in range(1, await self.awaits() + 1)]
        if self.fault == "hang":
            # Its number counts all points, but only the store can hang.
            return [(number, label) for number, label in enumerate(labels, 1) if label.split()[-1] in STORE_CALLS]
        return list(enumerate(labels, 1))

    async def run(self, points: Iterable[tuple[int, str]], *, until_caught: bool = False) -> Tally:
        """Run a schedule for each of the points; with `until_caught`, until one has a problem."""
        tally = Tally()
        for number, label in points:
            outcome = await self.place.run(self.script.name, fault=self.fault, at=number, variant=self.variant)
            verdict = await judge(self.place, self.script)
            # Units of work that run at once take another turn each time: only the process knows where it was struck.
            struck_at = outcome.report.label if outcome.report and outcome.report.struck else label
            problems = [*verdict.problems, *self._ending(outcome, verdict, struck_at)]
            problems += self.course.problems(verdict.uploads, may_end=self.fault == "sweep")
            where = f"{self.place.combination} {self.script.name} {self.fault} at {number} ({struck_at})"
            tally.problems += [f"{where}: {problem}" for problem in problems]
            tally.count += 1
            tally.excused += bool(verdict.excused)
            tally.left_to_sweeper += bool(verdict.strays or verdict.intents)
            tally.locked += self._is_locked(outcome.report)
            if until_caught and tally.problems:
                break
        return tally

    def _ending(self, outcome: Outcome, verdict: Verdict, label: str) -> Sequence[str]:
        if self.fault == "kill" and outcome.killed:
            return []
        if outcome.report is None:
            return [f"the process ended without a report: {outcome.output}"]
        if not outcome.report.struck and not self._timing_varies:
            return ["the point was never reached"]
        if self.fault == "kill" or self._is_locked(outcome.report):
            return []
        # Of several units of work that are cancelled at once, another one may have been at its COMMIT.
        doubtful = self.script.concurrent and self.fault == "hang"
        # A sweeper that ends an upload leaves what that held to the next one.
        doomed = verdict.doomed if self.fault == "sweep" else set[str]()
        litter = [] if doubtful or self.script.unledgered else _litter(verdict, label, doomed)
        return [*_complaints(outcome.report, self.fault), *litter]

    @property
    def _timing_varies(self) -> bool:
        # Units of work at once, or parts that wait for the store or do not: no two runs have the same awaits. A file is
        # opened twice where its folder has to be made first.
        awaits_vary = self.script.in_parts and self.fault in {"cancel", "scope"}
        return self.script.concurrent or self.script.on_disk or awaits_vary

    def _is_locked(self, report: Report | None) -> bool:
        # aiosqlite's connection, closed in the middle of a statement, keeps its lock as long as the process lives.
        cancelled = self.fault in {"cancel", "scope"} and self.place.is_sqlite
        return cancelled and report is not None and "database is locked" in (report.afterwards or "")


def _complaints(report: Report, fault: Fault) -> list[str]:
    complaints = []
    if report.hung:
        complaints.append("it did not end when it was cancelled")
    if report.error not in EXPECTED_ERRORS[fault]:
        complaints.append(f"it raised {report.error}: {report.traceback}")
    if report.afterwards is not None:
        complaints.append(f"the session was not usable afterwards: {report.afterwards}")
    return complaints


def _litter(verdict: Verdict, label: str, doomed: AbstractSet[str]) -> list[str]:
    # The process lives on, so it cleans up itself, unless nobody can know what became of a commit or a deletion.
    left = verdict.strays | {upload.path for upload in verdict.unfinished}
    # What a client stored waits for a row until its intent, by which the ledger knows of it, falls due.
    strays = {path for path in left if not path.startswith(LITTER) and not upload_expiry(path)} - doomed
    if strays and not label.endswith(("delete", "drop", "COMMIT")):
        return [f"a process that lived on left objects: {sorted(strays)}"]
    return []
