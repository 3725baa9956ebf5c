"""The three invariants: as they stand when the process has died, and after a sweep."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from fastapi_filestore.orm.ledger.ledger import DELETION
from fastapi_filestore.storage.backend import UnfinishedUpload
from fastapi_filestore.storage.paths import upload_expiry
from tests.crash.place import Place, State
from tests.crash.scripts import Script
from tests.crash.standings import Standing, problems_of, standings


@dataclass
class Verdict:
    """What is wrong after a schedule.

    Attributes:
        problems: In words.
        excused: Objects of the documented exception, and keys of uploads that it left unfinished.
        strays: Objects that no row holds.
        unfinished: What uploads left that did not come to their end.
        intents: What the ledger knows.
        uploads: How far uploads are.
    """

    problems: list[str] = field(default_factory=list)
    excused: set[str] = field(default_factory=set)
    strays: set[str] = field(default_factory=set)
    unfinished: list[UnfinishedUpload] = field(default_factory=list)
    intents: dict[str, str] = field(default_factory=dict)
    uploads: Mapping[str, Standing] = field(default_factory=dict)

    @property
    def doomed(self) -> set[str]:
        """What the ledger knows to go."""
        return {path for path, kind in self.intents.items() if kind == DELETION}

    def note(self, what: str, paths: object) -> None:
        """Note a problem if there are paths that have it."""
        if paths:
            self.problems.append(f"{what}: {sorted(paths)}")  # type: ignore[call-overload]


async def judge(place: Place, script: Script) -> Verdict:
    """Check the invariants, let the sweeper settle everything, and check that rows and objects agree exactly."""
    verdict, state = Verdict(), await place.state()
    verdict.strays, verdict.intents = state.stray - state.awaited, state.intents
    verdict.uploads = standings(state.uploads)
    sees_unfinished = place.is_local or script.in_parts
    verdict.unfinished = await place.unfinished() if sees_unfinished else []
    awaited = state.awaited & state.objects.keys()
    _check_invariants(verdict, state, place, script)
    if verdict.excused:
        # The ledger does not know of these: it takes a comparison of the store with the rows to find them.
        await place.backend.delete(*verdict.excused)
        await place.drop(upload for upload in verdict.unfinished if upload.path in verdict.excused)
    failed = [swept for swept in await place.sweep() if swept.error is not None]
    verdict.note("the sweeper failed at", [f"{one.path}: {one.error}" for one in failed])
    settled = await place.state()
    await _check_agreement(verdict, settled, place)
    verdict.note("after the sweep, uploads without what clients stored", awaited - settled.objects.keys())
    if state.uploads:
        await _end_uploads(verdict, place)
    if sees_unfinished:
        verdict.note("after the sweep, halves of uploads", [upload.upload_id for upload in await place.unfinished()])
    return verdict


def _check_invariants(verdict: Verdict, state: State, place: Place, script: Script) -> None:
    verdict.note("committed rows point to missing bytes", state.missing)
    verdict.note("intents cover objects that committed rows hold", state.intents.keys() & state.referenced)
    verdict.note("objects that two places in rows hold", state.twice)
    verdict.note("uploads that do not agree with what they hold", problems_of(state.uploads, state.titles))
    unknown = (state.stray | {upload.path for upload in verdict.unfinished}) - state.intents.keys()
    if script.unledgered:
        verdict.excused = unknown
    elif place.is_sqlite:
        # The one exception: SQLite has one writer, so an upload inside a transaction may have no intent of its own.
        verdict.excused = unknown & place.uploaded_inside()
    verdict.note("objects and halves of uploads that the ledger does not know", unknown - verdict.excused)


async def _check_agreement(verdict: Verdict, state: State, place: Place) -> None:
    verdict.note("after the sweep, objects that no row points to", state.stray - state.awaited)
    verdict.note("after the sweep, rows that point to missing bytes", state.missing)
    # Of what a client may still store, one stays until it can't.
    verdict.note("after the sweep, intents", {path for path in state.intents if not upload_expiry(path)})
    if not state.missing:
        verdict.note("bytes that are not what their row says", await place.torn(state.records))


async def _end_uploads(verdict: Verdict, place: Place) -> None:
    """Sweep when the time of all uploads is over: nothing is left of them, and all of what rows took."""
    failed = [swept for swept in await place.end_uploads() if swept.error is not None]
    verdict.note("the sweeper failed, in the end, at", [f"{one.path}: {one.error}" for one in failed])
    state = await place.state()
    verdict.note("in the end, uploads", state.uploads)
    verdict.note("in the end, objects that no row points to", state.stray)
    verdict.note("in the end, rows that point to missing bytes", state.missing)
