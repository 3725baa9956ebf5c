"""The sweeper, alone and beside others, among what earlier processes left."""

from typing import cast

from sqlalchemy import insert
from sqlalchemy.orm import Session

from fastapi_filestore import storages
from fastapi_filestore.orm.ledger.ledger import DELETION, UPLOAD
from fastapi_filestore.service.sweep.sweep import sweep
from fastapi_filestore.storage.local.folder import STAGED
from tests.crash.application import Application
from tests.crash.models import BACKEND, LEDGER, Note, pending
from tests.crash.points import PointedBackend
from tests.crash.scripts.script import change_much, named, script, together, unit

LITTER = "litter-"
"""Begins the keys of what earlier processes left, for a sweeper to settle."""


async def leave_litter(application: Application) -> None:
    """Leave what crashed processes leave: objects with intents of either kind, intents without one, halves of files."""
    backend = cast("PointedBackend", storages.get_backend(BACKEND))
    litter = {f"{LITTER}{number}": DELETION if number % 2 else UPLOAD for number in range(5)}
    for path in list(litter)[:3]:
        await backend.put(path, b"litter")
    if (folder := backend.folder) is not None:
        for path, kind in litter.items():
            if kind == UPLOAD:
                (folder / f"{path}{STAGED}1").write_bytes(b"half")
    intents = [{"backend": BACKEND, "path": path, "kind": kind, "due_at": 0.0} for path, kind in litter.items()]
    async with application.work() as work:
        await work.do(lambda session: session.execute(insert(LEDGER.table), intents))
        await work.commit()


async def sweep_all(application: Application) -> None:
    """Settle what is due, two intents at a time."""
    async for _ in sweep(application.engine, LEDGER, batch=2):
        pass


@script(0, arrange=leave_litter, on_disk=True)
async def sweeper(application: Application) -> None:
    """The sweeper alone."""
    await sweep_all(application)


@script(1, arrange=leave_litter, concurrent=True)
async def sweeper_beside(application: Application) -> None:
    """The sweeper beside a unit of work, in one process."""

    def change(session: Session) -> None:
        change_much(session, "new")
        session.add(Note(document_id=named(session, "parent").id, file=pending("note")))

    await together(sweep_all(application), unit(change)(application))


@script(0, arrange=leave_litter, concurrent=True)
async def two_sweepers(application: Application) -> None:
    """Two sweepers at once."""
    await together(sweep_all(application), sweep_all(application))
