"""The audit: compares stores and rows both ways, in flat memory, while both are in use.

What looks wrong in a listing and a reading that took minutes may be a file that was stored, moved or deleted meanwhile.
So both sides only yield suspects. Before one is reported, the store is asked for the object and the database for the
row and the ledger again, in the order in which a live upload or deletion can't slip through.
"""

from collections import defaultdict
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Collection, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial

from sqlalchemy import Connection, Engine, MetaData, inspect, select
from sqlalchemy.ext.asyncio import AsyncEngine

from fastapi_filestore.errors import ConfigurationError, FilestoreError, StorageError
from fastapi_filestore.orm.ledger import database_time
from fastapi_filestore.service.contention import run_despite_others
from fastapi_filestore.service.findings import FIXABLE, Finding, FindingKind, Position, RowIdentity
from fastapi_filestore.service.inventory import Inventory, add_objects, add_rows, batches, inventory
from fastapi_filestore.service.observation import Observation, difference, each, facts, observe
from fastapi_filestore.service.references import Database, FileTable, Location, Reference, database
from fastapi_filestore.storage.backend import UnfinishedUpload, UnfinishedUploads
from fastapi_filestore.storage.registry import StorageRegistry, storages

DEFAULT_GRACE = timedelta(hours=24)
"""How old an object must be to be an orphan: older than any upload with its transaction, with or without a ledger."""

SUSPECTS_AT_ONCE = 5000
"""Suspected orphans that one statement looks for in all rows."""
PARAMETERS = 30_000
"""The most that a statement may have, in the database that allows least."""
REFERENCES_AT_ONCE = 200

ORPHANS, ROWS, UPLOADS = range(3)
"""The stages of an audit."""

Findings = AsyncGenerator[Finding, None]


@dataclass
class Audit:
    """An audit: iterate it for its findings.

    Attributes:
        databases: Gives the databases whose rows hold files.
        registry: Where backends are looked up.
        grace: How old an orphan, or an unfinished upload, must be.
        verify: Read the bytes, too.
        fix: The kinds of findings to put right.
        backends: Keys of the backends whose every object should belong to a row; those that columns name if None.
        cursor: How far it has come: another audit goes on there, with `after=`.
    """

    databases: Callable[[], Awaitable[Sequence[Database]]]
    registry: StorageRegistry = storages
    grace: timedelta = DEFAULT_GRACE
    verify: bool = False
    fix: Collection[FindingKind | str] = ()
    backends: Collection[str] | None = None
    cursor: str | None = None
    _known: Sequence[Database] = field(init=False, default=())
    _before: datetime = field(init=False)

    def __post_init__(self) -> None:
        Position.decode(self.cursor)
        if unfixable := sorted(set(self.fix) - FIXABLE):
            raise ConfigurationError(f"An audit can't fix {', '.join(unfixable)}, only {', '.join(sorted(FIXABLE))}.")

    async def __aiter__(self) -> AsyncIterator[Finding]:
        self._known = await self.databases()
        self._before = await self._now() - self.grace
        with inventory() as stock:
            for findings in (self._take_stock(stock), self._orphans(stock), self._rows(stock), self._uploads()):
                async with aclosing(findings):
                    async for finding in findings:
                        yield finding

    async def _now(self) -> datetime:
        # The database's clock is the one that all workers share.
        return datetime.fromtimestamp(await run_despite_others(self._known[0].engine, _read_clock), UTC)

    def _start(self, stage: int) -> Location | None:
        """Return where to begin in a stage; None if the stage is behind us."""
        position = Position.decode(self.cursor)
        if position.stage == stage:
            return Location(position.backend, position.path)
        return Location("", "") if position.stage < stage else None

    def _reach(self, stage: int, at: Location | None = None) -> None:
        self.cursor = Position(stage, *(at or ())).encode()

    # -- both sides ------------------------------------------------------------------------------------

    async def _take_stock(self, stock: Inventory) -> Findings:
        """List the objects, then read the rows: what is stored meanwhile is at worst a row without an object."""
        unseen = list[str]()
        for key in self._audited():
            try:
                await add_objects(stock, self.registry.get_backend(key))
            except StorageError as error:
                unseen.append(key)
                yield _unchecked(Position(ORPHANS, key), error)
        for one in self._known:
            for table in one.tables:
                await add_rows(stock, one.engine, table)
        for key in unseen:
            await stock.forget_backend(key)
        await stock.sort()

    def _audited(self) -> list[str]:
        if self.backends is not None:
            return sorted(set(self.backends))
        tables = [table for one in self._known for table in one.tables]
        named = {table.backend_of(column) for table in tables for column in table.columns}
        # Rows of a backend that nobody registered are findings themselves.
        return sorted(key for key in named if key in self.registry)

    # -- objects without rows ----------------------------------------------------------------------------

    async def _orphans(self, stock: Inventory) -> Findings:
        after = self._start(ORPHANS)
        while after and (suspects := await stock.orphans(after=after, before=self._before, limit=self._at_once())):
            held = await self._locations(Database.known, [one.path for one in suspects])
            unknown = [one for one in suspects if one not in held]
            # Asked last: whatever was being deleted is gone now, and whatever was written again is young.
            for finding in await each(self._examine_orphan, unknown):
                if finding is not None:
                    yield finding
            self._reach(ORPHANS, after := suspects[-1])

    def _at_once(self) -> int:
        columns = max((sum(len(table.columns) for table in one.tables) for one in self._known), default=0)
        return min(SUSPECTS_AT_ONCE, PARAMETERS // (columns + 1))

    async def _locations(
        self, ask: Callable[[Database, Sequence[str], Connection], set[Location]], paths: Sequence[str]
    ) -> set[Location]:
        found = set[Location]()
        for one in self._known:
            found |= await run_despite_others(one.engine, partial(ask, one, paths))
        return found

    async def _examine_orphan(self, at: Location) -> Finding | None:
        position, seen = Position(ORPHANS, *at), await observe(self.registry, at)
        if seen.error is not None:
            return _finding(seen.error[0], position, detail=seen.error[1])
        if seen.info is None or seen.info.last_modified >= self._before:
            return None
        finding = partial(_finding, FindingKind.ORPHAN, position)
        detail = f"No row holds it, and no ledger knows of it: {seen.info.size} bytes of {seen.info.last_modified}."
        if FindingKind.ORPHAN not in self.fix:
            return finding(detail=detail)
        return await _fixed(finding, detail, self.registry.get_backend(at.backend).delete(at.path))

    # -- rows without their objects ------------------------------------------------------------------------

    async def _rows(self, stock: Inventory) -> Findings:
        after = self._start(ROWS)
        if after is None:
            return
        look = partial(observe, self.registry, read=self.verify)
        async for batch in stock.references(after=after, everything=self.verify, limit=REFERENCES_AT_ONCE):
            seen = await each(look, [one.location for one in batch])
            # Asked last: a row that still holds a file whose object was missing before has lost it.
            current = await self._reread(batch)
            for reference, observation in zip(batch, seen, strict=True):
                if still := current.get(reference.place):
                    async for finding in self._compare(still, observation):
                        yield finding
            self._reach(ROWS, batch[-1].location)
        self._reach(UPLOADS)

    async def _reread(self, references: Iterable[Reference]) -> dict[tuple[RowIdentity, Location], Reference]:
        identities: dict[str, set[tuple[object, ...]]] = defaultdict(set)
        for one in references:
            identities[one.row.table].add(one.row.identity)
        found: dict[tuple[RowIdentity, Location], Reference] = {}
        for name, keys in identities.items():
            known, table = self._table(name)
            rows = await run_despite_others(known.engine, partial(table.reread, identities=keys))
            found.update((one.place, one) for one in rows)
        return found

    def _table(self, name: str) -> tuple[Database, FileTable]:
        return next((one, table) for one in self._known for table in one.tables if table.table.fullname == name)

    async def _compare(self, reference: Reference, seen: Observation) -> Findings:
        differs = difference(reference, seen)
        if differs is not None:
            kind, detail = differs
            finding = partial(_finding, kind, Position(ROWS, *reference.location), row=reference.row)
            fixes = kind in self.fix
            yield await _fixed(finding, detail, self._correct(reference, seen)) if fixes else finding(detail=detail)

    async def _correct(self, reference: Reference, seen: Observation) -> None:
        known, table = self._table(reference.row.table)
        correct = partial(table.correct, reference=reference, facts=facts(reference, seen))
        await run_despite_others(known.engine, correct)

    # -- uploads without an end ------------------------------------------------------------------------------

    async def _uploads(self) -> Findings:
        for key in self._audited():
            backend = self.registry.get_backend(key)
            if isinstance(backend, UnfinishedUploads):
                try:
                    async for finding in self._unfinished(key, backend):
                        yield finding
                except (ConfigurationError, StorageError) as error:
                    yield _unchecked(Position(UPLOADS, key), error)

    async def _unfinished(self, key: str, backend: UnfinishedUploads) -> Findings:
        async for uploads in batches(backend.unfinished_uploads(), SUSPECTS_AT_ONCE):
            old = [one for one in uploads if one.started < self._before]
            live = await self._locations(Database.intended, [one.path for one in old])
            for upload in old:
                if (key, upload.path) not in live:
                    yield await self._report_unfinished(key, backend, upload)

    async def _report_unfinished(self, key: str, backend: UnfinishedUploads, upload: UnfinishedUpload) -> Finding:
        finding = partial(_finding, FindingKind.UNFINISHED_UPLOAD, Position(UPLOADS, key, upload.path))
        detail = f"It began at {upload.started} and never ended."
        if FindingKind.UNFINISHED_UPLOAD not in self.fix:
            return finding(detail=detail)
        return await _fixed(finding, detail, backend.abort_upload(upload))


def _read_clock(connection: Connection) -> float:
    return float(connection.execute(select(database_time())).scalar_one())


def _finding(
    kind: FindingKind, at: Position, *, row: RowIdentity | None = None, detail: str, fixed: bool = False
) -> Finding:
    return Finding(kind, at.backend, at.path or None, at.encode(), row, detail, fixed)


def _unchecked(at: Position, error: Exception) -> Finding:
    return _finding(FindingKind.UNCHECKED, at, detail=str(error))


async def _fixed(finding: Callable[..., Finding], detail: str, repair: Awaitable[None]) -> Finding:
    try:
        await repair
    except FilestoreError as error:
        return finding(detail=f"{detail} It could not be fixed: {error}")
    return finding(detail=detail, fixed=True)


def audit(
    engine: Engine | AsyncEngine,
    models: type | MetaData | Iterable[type | MetaData],
    *,
    registry: StorageRegistry = storages,
    grace: timedelta = DEFAULT_GRACE,
    verify: bool = False,
    fix: Collection[FindingKind | str] = (),
    backends: Collection[str] | None = None,
    after: str | None = None,
) -> Audit:
    """Compare rows and objects both ways; iterate the answer with `async for` for its findings.

    Memory is flat: both sides go through a temporary file, which takes about 400 bytes for each object with its row.

    Args:
        engine: The database of the rows.
        models: A model, a metadata, or several. All tables of a model's metadata are read, so that no file of another
            table is taken for an orphan; name a model of each metadata whose files share a backend.
        registry: Where backends are looked up.
        grace: How old an object, or an unfinished upload, must be to be garbage. Without a ledger, longer than your
            longest upload with its transaction.
        verify: Read every object and compare its SHA-256 with the row's.
        fix: Kinds of findings to put right: `orphan` and `unfinished_upload` are deleted; for `size`, `etag` and
            `checksum` the row is made to say what the store says. Nothing is changed by default.
        backends: Keys of the backends whose every object should belong to a row; those that the columns name if None.
            Files of rows in any other are looked up one by one, and no orphans are looked for there.
        after: The cursor of a finding, or of an audit, to go on from.

    Raises:
        ConfigurationError: A kind can't be fixed, or a table can't be read.
        InvalidCursorError: `after` is no cursor of an audit.
    """
    plain = engine.sync_engine if isinstance(engine, AsyncEngine) else engine
    given = [models] if isinstance(models, type | MetaData) else list(models)

    async def databases() -> Sequence[Database]:
        return [database(plain, map(metadata_of, given), registry=registry)]

    return Audit(databases, registry, grace, verify, fix, backends, after)


def metadata_of(model: type | MetaData) -> MetaData:
    """Return a metadata itself, or that of a model."""
    return model if isinstance(model, MetaData) else inspect(model).local_table.metadata
