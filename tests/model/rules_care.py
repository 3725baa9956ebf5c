"""Rules: the store fails, a sweeper or an audit comes by, and the end."""

from datetime import timedelta

from sqlalchemy import Connection, Table, select, update

from fastapi_filestore import Finding, FindingKind, audit, sweep
from fastapi_filestore.orm.ledger.ledger import Ledger
from fastapi_filestore.orm.ledger.reservations import release_reservations
from fastapi_filestore.orm.sessions import run_on_engine
from fastapi_filestore.orm.uploads.tables import OPEN, uploads_of
from tests.model.judgement import BrokenError
from tests.model.playing import COIN, PICK, Playing, play

AT_ONCE = timedelta(seconds=-1)
"""The age of what an audit takes for an orphan where nobody writes: any, whatever the clock's resolution."""


class CareRules(Playing):
    """What happens around sessions."""

    @play(after=PICK, calls=PICK, late=COIN)
    def store_fails(self, after: int, calls: int, *, late: bool) -> None:
        """Let the store fail soon, at one call or at several."""
        self.scene.store.arm(after=after % 4, calls=calls % 3 + 1, late=late)

    @play(when=lambda machine: machine.scene.has_ledger)
    def sweep(self) -> None:
        """Let everything fall due that nobody is about to use, and sweep."""
        self._disturb_readers()
        self.scene.run(self._sweep())
        self.judge()

    def _disturb_readers(self) -> None:
        # SQLite refuses to let a transaction write that has read before somebody else wrote.
        for side in (self.side, self.other):
            side.is_disturbed |= self.scene.has_one_writer and side.session.in_transaction()

    async def _sweep(self) -> None:
        ledger = self.scene.family.ledger
        assert ledger is not None
        if not (self.scene.has_one_writer and (self.side.has_written or self.other.has_written)):
            await release_reservations()
            await run_on_engine(self.scene.plain_engine, lambda connection: _let_fall_due(connection, ledger))
        async for _ in sweep(self.scene.engine, ledger):
            pass

    @play()
    def audit(self) -> None:
        """Let an audit delete orphans; where nobody writes, any that it finds."""
        self._disturb_readers()
        self._audit()
        self.judge()

    def _audit(self) -> None:
        is_quiet = not (self.side.has_written or self.other.has_written)
        grace = AT_ONCE if is_quiet else timedelta(hours=1)
        found = self.scene.run(self._findings(grace))
        tripped = self.scene.store.tripped
        if wrong := [one for one in found if one.kind not in {FindingKind.ORPHAN, FindingKind.UNCHECKED}]:
            raise BrokenError(f"the audit found {wrong}")
        if tripped == 0 and any(one.kind is FindingKind.UNCHECKED for one in found):
            raise BrokenError(f"the audit could not look: {found}")

    async def _findings(self, grace: timedelta) -> list[Finding]:
        findings = audit(
            self.scene.engine, self.scene.family.metadata, grace=grace, fix=[FindingKind.ORPHAN], at_most=1000
        )
        return [finding async for finding in findings]

    def teardown(self) -> None:
        """Close both sessions, let the sweeper and an audit have their say, and judge a last time."""
        super().teardown()
        self.scene.store.disarm()
        for side in (self.side, self.other):
            side.do(lambda session: session.close())
            side.note_closed()
        if not self.is_broken:
            with self.told():
                self._settle()

    def _settle(self) -> None:
        self.judge()
        if self.scene.has_ledger:
            self._end_uploads()
            self.scene.run(self._sweep())
        if self.scene.store.left or not self.scene.has_ledger:
            self._audit()
        self.judge(is_settled=True)

    def _end_uploads(self) -> None:
        """Let the time of all uploads be over; a sweep first ends them, and then takes what clients stored for them."""
        self.scene.raw.execute("UPDATE filestore_uploads SET expires = 0")
        for upload in self.uploads.values():
            upload.is_over = True
        self.scene.run(self._sweep())


def _let_fall_due(connection: Connection, ledger: Ledger) -> None:
    """Let intents fall due, but for what clients store, and those that an open transaction is about to remove."""
    table, uploads = ledger.table, _uploads_beside(ledger)
    awaited = select(uploads.c.path).where(uploads.c.state == OPEN, uploads.c.path.is_not(None))
    free = select(table.c.path).with_for_update(skip_locked=True)
    due = connection.scalars(free).all() if connection.dialect.name == "postgresql" else None
    statement = update(table).where(table.c.path.not_in(awaited)).values(due_at=0)
    connection.execute(statement if due is None else statement.where(table.c.path.in_(due)))


def _uploads_beside(ledger: Ledger) -> Table:
    tables = uploads_of(ledger.table.metadata)
    assert tables is not None
    return tables.uploads
