"""The three invariants: as they stand when the process has died, and after a sweep."""

from dataclasses import dataclass, field

from fastapi_filestore.storage.backend import UnfinishedUpload
from fastapi_filestore.storage.paths import upload_expiry
from tests.crash.place import Place, State
from tests.crash.scripts import Script


@dataclass
class Verdict:
    """What is wrong after a schedule.

    Attributes:
        problems: In words.
        excused: Objects of the documented exception, and keys of uploads that it left unfinished.
        strays: Objects that no row holds.
        unfinished: What uploads left that did not come to their end.
        intents: What the ledger knows.
    """

    problems: list[str] = field(default_factory=list)
    excused: set[str] = field(default_factory=set)
    strays: set[str] = field(default_factory=set)
    unfinished: list[UnfinishedUpload] = field(default_factory=list)
    intents: dict[str, str] = field(default_factory=dict)

    def note(self, what: str, paths: object) -> None:
        """Note a problem if there are paths that have it."""
        if paths:
            self.problems.append(f"{what}: {sorted(paths)}")  # type: ignore[call-overload]


async def judge(place: Place, script: Script) -> Verdict:
    """Check the invariants, let the sweeper settle everything, and check that rows and objects agree exactly."""
    verdict, state = Verdict(), await place.state()
    verdict.strays, verdict.intents = state.stray, state.intents
    sees_unfinished = place.is_local or script.in_parts
    verdict.unfinished = await place.unfinished() if sees_unfinished else []
    _check_invariants(verdict, state, place, script)
    if verdict.excused:
        # The ledger does not know of these: it takes a comparison of the store with the rows to find them.
        await place.backend.delete(*verdict.excused)
        await place.drop(upload for upload in verdict.unfinished if upload.path in verdict.excused)
    failed = [swept for swept in await place.sweep() if swept.error is not None]
    verdict.note("the sweeper failed at", [f"{one.path}: {one.error}" for one in failed])
    await _check_agreement(verdict, await place.state(), place)
    if sees_unfinished:
        verdict.note("after the sweep, halves of uploads", [upload.upload_id for upload in await place.unfinished()])
    return verdict


def _check_invariants(verdict: Verdict, state: State, place: Place, script: Script) -> None:
    verdict.note("committed rows point to missing bytes", state.missing)
    verdict.note("intents cover objects that committed rows hold", state.intents.keys() & state.referenced)
    unknown = (state.stray | {upload.path for upload in verdict.unfinished}) - state.intents.keys()
    if script.unledgered:
        verdict.excused = unknown
    elif place.is_sqlite:
        # The one exception: SQLite has one writer, so an upload inside a transaction may have no intent of its own.
        verdict.excused = unknown & place.uploaded_inside()
    verdict.note("objects and halves of uploads that the ledger does not know", unknown - verdict.excused)


async def _check_agreement(verdict: Verdict, state: State, place: Place) -> None:
    verdict.note("after the sweep, objects that no row points to", state.stray)
    verdict.note("after the sweep, rows that point to missing bytes", state.missing)
    # Of what a client may still store, one stays until it can't.
    verdict.note("after the sweep, intents", {path for path in state.intents if not upload_expiry(path)})
    if not state.missing:
        verdict.note("bytes that are not what their row says", await place.torn(state.records))
