"""The three invariants: as they stand when the process has died, and after a sweep."""

from dataclasses import dataclass, field

from tests.crash.place import Place, State
from tests.crash.scripts import Script


@dataclass
class Verdict:
    """What is wrong after a schedule; `excused` are strays of the documented exception."""

    problems: list[str] = field(default_factory=list)
    excused: set[str] = field(default_factory=set)
    strays: set[str] = field(default_factory=set)
    intents: dict[str, str] = field(default_factory=dict)

    def note(self, what: str, paths: object) -> None:
        """Note a problem if there are paths that have it."""
        if paths:
            self.problems.append(f"{what}: {sorted(paths)}")  # type: ignore[call-overload]


async def judge(place: Place, script: Script) -> Verdict:
    """Check the invariants, let the sweeper settle everything, and check that rows and objects agree exactly."""
    verdict, state = Verdict(), await place.state()
    verdict.strays, verdict.intents = state.stray, state.intents
    _check_invariants(verdict, state, place, script)
    if verdict.excused:
        # The ledger does not know of these: it takes a comparison of the store with the rows to find them.
        await place.backend.delete(*verdict.excused)
    failed = [swept for swept in await place.sweep() if swept.error is not None]
    verdict.note("the sweeper failed at", [f"{one.path}: {one.error}" for one in failed])
    await _check_agreement(verdict, await place.state(), place)
    return verdict


def _check_invariants(verdict: Verdict, state: State, place: Place, script: Script) -> None:
    verdict.note("committed rows point to missing bytes", state.missing)
    verdict.note("intents cover objects that committed rows hold", state.intents.keys() & state.referenced)
    unknown = state.stray - state.intents.keys()
    if script.unledgered:
        verdict.excused = unknown
    elif place.is_sqlite:
        # The one exception: SQLite has one writer, so an upload inside a transaction may have no intent of its own.
        verdict.excused = unknown & place.uploaded_inside()
    verdict.note("stray objects that the ledger does not know", unknown - verdict.excused)


async def _check_agreement(verdict: Verdict, state: State, place: Place) -> None:
    verdict.note("after the sweep, objects that no row points to", state.stray)
    verdict.note("after the sweep, rows that point to missing bytes", state.missing)
    verdict.note("after the sweep, intents", state.intents)
    if not state.missing:
        verdict.note("bytes that are not what their row says", await place.torn(state.records))
