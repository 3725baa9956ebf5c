"""Compare stores and rows both ways, in flat memory, while both are in use.

What looks wrong in a listing and a reading that took minutes may be a file that was stored, moved or deleted meanwhile.
So both sides only yield suspects. Before one is reported, the store is asked for the object and the database for the
row and the ledger again, in the order in which a live upload or deletion can't slip through.
"""

from collections import defaultdict
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Collection,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING

from sqlalchemy import Engine, MetaData, select
from sqlalchemy.ext.asyncio import AsyncEngine

from fastapi_filestore.errors import ConfigurationError, StorageError
from fastapi_filestore.orm.ledger.clock import database_time
from fastapi_filestore.orm.ledger.table import seconds_of
from fastapi_filestore.orm.sessions import plain_engine
from fastapi_filestore.service.audit.coverage import Coverage
from fastapi_filestore.service.audit.findings import (
    FIXABLE,
    Finding,
    FindingKind,
    Position,
    RowIdentity,
    finding_at,
    report_repair,
    tell_missing,
    unchecked,
    unknown_class,
    unreadable,
)
from fastapi_filestore.service.audit.inventory import (
    Inventory,
    Progress,
    add_linked,
    add_objects,
    add_rows,
    inventory,
    place_of,
)
from fastapi_filestore.service.audit.observation import Observation, difference, facts, look_at_all, observe
from fastapi_filestore.service.audit.orphans import CONDEMNED_AT_ONCE, OrphanSearch
from fastapi_filestore.service.audit.references import FiledRow, FileTable, ObjectLocation, OtherRegistries, Reference
from fastapi_filestore.service.audit.shared import SharedSearch
from fastapi_filestore.service.audit.tables import (
    Database,
    Known,
    Models,
    file_tables,
    locate,
    mapped_tables,
    metadata_of,
    models_in,
    name_of,
)
from fastapi_filestore.service.audit.uploads import UnfinishedSearch
from fastapi_filestore.service.contention import run_despite_others
from fastapi_filestore.storage.paths import HeldPath
from fastapi_filestore.storage.registry import StorageRegistry, storages
from fastapi_filestore.telemetry import COLLECTOR, names

if TYPE_CHECKING:
    from fastapi_filestore.telemetry.instruments import Told

DEFAULT_GRACE = timedelta(hours=24)
"""How old an object must be to be an orphan: older than any upload with its transaction, with or without a ledger."""
LONGEST_GRACE = 100 * 365 * 86400.0
"""Seconds: nothing in a store is older."""

REFERENCES_AT_ONCE = 200

UNREADABLE, ORPHANS, ROWS, SHARED, UPLOADS = range(-1, 4)
"""The stages of an audit."""

NO_OTHERS: Mapping[Engine | AsyncEngine, Models] = MappingProxyType({})

Findings = AsyncGenerator[Finding, None]


@dataclass
class Audit:
    """An audit: iterate it for its findings.

    Attributes:
        databases: Gives the databases whose rows hold files.
        registry: Where backends are looked up.
        grace: How old an orphan, or an unfinished upload, must be, in seconds or as a timedelta.
        verify: Read the bytes, too.
        fix: The kinds of findings to put right.
        backends: Keys of the backends whose every object should belong to a row; those that columns name if None.
        cursor: How far it has come: another audit goes on there, with `after=`.
        at_most: How many orphans of one backend may be deleted; 100 or 1 % of its objects, whichever is more, if None.
        coverage: What it has looked through so far.
    """

    databases: Callable[[], Awaitable[Known]]
    registry: StorageRegistry = storages
    grace: float | timedelta = DEFAULT_GRACE
    verify: bool = False
    fix: Collection[FindingKind | str] = ()
    backends: Collection[str] | None = None
    cursor: str | None = None
    at_most: int | None = None
    coverage: Coverage = field(init=False, default_factory=Coverage)
    _stock: Inventory | None = field(init=False, default=None)
    _known: Known = field(init=False, default=Known(()))
    _others: OtherRegistries = field(init=False)
    _grace: timedelta = field(init=False)
    _before: datetime = field(init=False)

    def __post_init__(self) -> None:
        Position.decode(self.cursor)
        self._grace = timedelta(seconds=min(seconds_of("grace", self.grace), LONGEST_GRACE))
        if isinstance(self.fix, str):
            raise ConfigurationError(f"An audit fixes several kinds of findings: say fix=[{self.fix!r}].")
        if unfixable := sorted(set(self.fix) - FIXABLE):
            raise ConfigurationError(f"An audit can't fix {', '.join(unfixable)}, only {', '.join(sorted(FIXABLE))}.")

    def __aiter__(self) -> AsyncIterator[Finding]:
        if (instruments := COLLECTOR.instruments) is None:
            return self._findings()
        found = 0

        def note(told: "Told", _: Finding) -> None:
            nonlocal found
            told.note(names.FINDINGS, found := found + 1)

        return instruments.steps(names.AUDIT, self._findings(), note)

    async def _findings(self) -> AsyncIterator[Finding]:
        self._known = await self.databases()
        self._others = OtherRegistries((table for _, table in self._tables()), self.registry)
        # The database's clock is the one that all workers share.
        now: float = await run_despite_others(
            self._known.databases[0].engine, lambda connection: connection.execute(select(database_time())).scalar_one()
        )
        self._before = datetime.fromtimestamp(float(now), UTC) - self._grace
        self.coverage = Coverage(sorted({name_of(table) for _, table in self._tables()}), unknown=self._known.unknown)
        with inventory() as stock:
            self._stock = stock
            stages = (self._take_stock(stock), self._unreadable(stock), self._orphans(stock), self._rows(stock))
            fixes = FindingKind.UNFINISHED_UPLOAD in self.fix
            uploads = UnfinishedSearch(self.registry, self._known, self._before, UPLOADS).findings(
                self._audited_keys, fixes=fixes
            )
            for findings in (*stages, self._shared(stock), uploads):
                async with aclosing(findings):
                    async for finding in findings:
                        if finding.kind is FindingKind.MISSING:
                            tell_missing(finding)
                        yield finding

    @property
    def progress(self) -> Progress:
        """How far it has come with what it is doing."""
        return Progress("listing objects") if self._stock is None else self._stock.progress

    def _tables(self) -> Iterator[tuple[Database, FileTable]]:
        return ((database, table) for database in self._known.databases for table in database.tables)

    def _start(self, stage: int) -> ObjectLocation | None:
        """Return where to begin in a stage; None if the stage is behind us."""
        position = Position.decode(self.cursor)
        if position.stage == stage:
            return ObjectLocation(position.backend, position.path)
        return ObjectLocation("", "") if position.stage < stage else None

    def _reach(self, stage: int, at: ObjectLocation | None = None) -> None:
        self.cursor = Position(stage, *(at or ())).encode()

    # -- both sides ------------------------------------------------------------------------------------

    async def _take_stock(self, stock: Inventory) -> Findings:
        """List the objects, then read the rows: what is stored meanwhile is at worst a row without an object."""
        for key in self._audited_keys():
            try:
                await add_objects(stock, self.registry.get_backend(key))
                self.coverage.backends.append(key)
            except StorageError as error:
                yield unchecked(Position(UNREADABLE, key), error)
        for database, table in self._tables():
            await add_rows(stock, database.engine, table, self.coverage.backends, self._others)
        for key, reason in self._others.claims(self.coverage.backends):
            self.coverage.keep([key], reason)
        for name, backends in stock.doubtful.items():
            self.coverage.keep(backends, f"{name} has values that can't be read as files.")
        for key in set(self._audited_keys()).difference(self.coverage.backends):
            await stock.forget_backend(key)
        await stock.sort()
        self.coverage.rows = stock.rows
        for key in self.coverage.backends:
            self.coverage.objects += await stock.count_objects(key)
            await add_linked(stock, self.registry.get_backend(key))

    def _audited_keys(self) -> list[str]:
        if self.backends is not None:
            return sorted(set(self.backends))
        named = {
            key
            for _, table in self._tables()
            for column in table.columns
            if table.is_asked and not self._others.is_elsewhere(table, column.key, key := table.backend_of(column))
        }
        # Rows of a backend that nobody registered are findings themselves.
        return sorted(key for key in named if key in self.registry)

    # -- rows that can't be read ---------------------------------------------------------------------------

    async def _unreadable(self, stock: Inventory) -> Findings:
        after = self._start(UNREADABLE)
        while after and (rows := await stock.unreadable(after=after, limit=REFERENCES_AT_ONCE)):
            # Asked again: somebody may have put it right meanwhile.
            problems = {
                value.row: (table.backend_of(table.table.c[value.row.column]), value.problem)
                async for table, row in self._reread(rows)
                for value in row.unreadable
            }
            for row in rows:
                if still := problems.get(row):
                    yield unreadable(Position(UNREADABLE, *place_of(row)), row, *still)
            after = place_of(rows[-1])
            self._reach(UNREADABLE, after)

    # -- objects without rows ----------------------------------------------------------------------------

    async def _orphans(self, stock: Inventory) -> Findings:
        after = self._start(ORPHANS)
        if after is None:
            return
        search = OrphanSearch(stock, self._known, self._before)
        if FindingKind.ORPHAN in self.fix:
            await search.keep_if_in_doubt(self.coverage, after, self.at_most)
            for name in self._known.unknown:
                yield unknown_class(Position(ORPHANS, *after), name)
        counts = [
            await stock.count_orphans(after=ObjectLocation(key, ""), before=self._before)
            for key in self.coverage.backends
        ]
        while suspects := await search.suspects(after):
            stock.advance("looking at objects without a row", len(suspects), sum(counts))
            unknown = await search.without_rows(suspects)
            for start in range(0, len(unknown), CONDEMNED_AT_ONCE):
                for finding in await self._examine_orphans(search, unknown[start : start + CONDEMNED_AT_ONCE]):
                    yield finding
            self._reach(ORPHANS, after := suspects[-1])

    async def _examine_orphans(self, search: OrphanSearch, suspects: Sequence[ObjectLocation]) -> list[Finding]:
        # The store is asked last: whatever was being deleted is gone now, and whatever was written again is young.
        observations = dict(zip(suspects, await look_at_all(partial(observe, self.registry), suspects), strict=True))
        failed = [
            finding_at(observation.error[0], Position(ORPHANS, *at), detail=observation.error[1])
            for at, observation in observations.items()
            if observation.error
        ]
        infos = {at: observation.info for at, observation in observations.items() if observation.info}
        old = [at for at, info in infos.items() if info.last_modified < self._before]
        fixes = FindingKind.ORPHAN in self.fix
        kept = [at for at in old if not fixes or at.backend in self.coverage.kept]
        async with search.condemning([at for at in old if at not in kept]) as doomed:

            async def report(at: ObjectLocation) -> Finding:
                finding = partial(finding_at, FindingKind.ORPHAN, Position(ORPHANS, *at))
                info = infos[at]
                detail = f"No row holds it, and no ledger knows of it: {info.size} bytes of {info.last_modified}."
                if at in doomed:
                    return await report_repair(
                        finding, detail, self.registry.get_backend(at.backend).delete(HeldPath(at.path))
                    )
                reason = self.coverage.kept.get(at.backend) if fixes else None
                return finding(detail=f"{detail} It was not deleted: {reason}" if reason else detail)

            return failed + await look_at_all(report, [*kept, *doomed])

    # -- rows without their objects ------------------------------------------------------------------------

    async def _rows(self, stock: Inventory) -> Findings:
        after = self._start(ROWS)
        if after is None:
            return
        look = partial(observe, self.registry, read=self.verify)
        references = stock.references(after=after, everything=self.verify, limit=REFERENCES_AT_ONCE)
        async with aclosing(references):
            async for batch in references:
                stock.advance("looking at files of rows", len(batch), stock.files if self.verify else None)
                observations = await look_at_all(look, [reference.location for reference in batch])
                # Asked last: a row that still holds a file whose object was missing before has lost it.
                current = {
                    reference.place: reference
                    async for _, row in self._reread([reference.row for reference in batch])
                    for reference in row.references
                }
                for reference, observation in zip(batch, observations, strict=True):
                    still = current.get(reference.place)
                    if still and (differs := difference(still, observation)):
                        yield await self._report_difference(still, observation, *differs)
                self._reach(ROWS, batch[-1].location)
        self._reach(SHARED)

    async def _reread(self, rows: Iterable[RowIdentity]) -> AsyncIterator[tuple[FileTable, FiledRow]]:
        identities: dict[tuple[Engine, FileTable], set[tuple[object, ...]]] = defaultdict(set)
        for row in rows:
            for place in self._known.tables_of(row):
                identities[place].add(row.identity)
        for (engine, table), keys in identities.items():
            for found_row in await run_despite_others(engine, partial(table.reread, identities=keys)):
                yield table, found_row

    async def _report_difference(
        self, reference: Reference, seen: Observation, kind: FindingKind, detail: str
    ) -> Finding:
        finding = partial(finding_at, kind, Position(ROWS, *reference.location), row=reference.row)
        if kind not in self.fix:
            return finding(detail=detail)

        async def correct() -> None:
            for engine, table in self._known.tables_of(reference.row):
                await run_despite_others(
                    engine, partial(table.correct, reference=reference, facts=facts(reference, seen))
                )

        return await report_repair(finding, detail, correct())

    # -- objects of several rows -----------------------------------------------------------------------------

    async def _shared(self, stock: Inventory) -> Findings:
        if (after := self._start(SHARED)) is not None:
            async with aclosing(SharedSearch(stock, self._known, SHARED).findings(after)) as findings:
                async for finding in findings:
                    yield finding
            self._reach(UPLOADS)


def audit(
    engine: Engine | AsyncEngine,
    models: Models,
    *,
    registry: StorageRegistry = storages,
    grace: float | timedelta = DEFAULT_GRACE,
    verify: bool = False,
    fix: Collection[FindingKind | str] = (),
    backends: Collection[str] | None = None,
    after: str | None = None,
    at_most: int | None = None,
    also: Mapping[Engine | AsyncEngine, Models] = NO_OTHERS,
) -> Audit:
    """Compare rows and objects both ways; iterate the answer with `async for` for its findings.

    Memory is flat: both sides go through a temporary file, which takes about 400 bytes for each object with its row.

    Args:
        engine: The database of the rows.
        models: A model, a metadata, or several. All tables of a model's metadata are read, and those of every other
            mapped class of this process that are in the database, so that no file of theirs is taken for an orphan.
        registry: Where backends are looked up.
        grace: How old an object, or an unfinished upload, must be to be garbage, in seconds or as a timedelta. Without
            a ledger, longer than your longest upload with its transaction.
        verify: Read every object and compare its SHA-256 with the row's.
        fix: Kinds of findings to put right: `orphan` and `unfinished_upload` are deleted; for `size`, `etag` and
            `checksum` the row is made to say what the store says. Nothing is changed by default.
        backends: Keys of the backends whose every object should belong to a row; those that the columns name if None.
            Files of rows in any other are looked up one by one, and no orphans are looked for there.
        after: The cursor of a finding, or of an audit, to go on from.
        at_most: How many orphans of one backend may be deleted. If there are more, none is; 100 or 1 % of its objects,
            whichever is more, if None.
        also: Other databases whose rows hold files of the same backends, each with its models.

    Raises:
        ConfigurationError: A kind can't be fixed, a time is none, or a table can't be read.
        InvalidCursorError: `after` is no cursor of an audit.
    """
    wanted = defaultdict[Engine, list[MetaData]](list)
    for place, asked in ((engine, models), *also.items()):
        wanted[plain_engine(place)] += map(metadata_of, models_in(asked))

    async def find() -> Known:
        others = mapped_tables()
        places = {
            place: list(dict.fromkeys([*(table for metadata in metadatas for table in file_tables(metadata)), *others]))
            for place, metadatas in wanted.items()
        }
        return await locate(
            places, [metadata for metadatas in wanted.values() for metadata in metadatas], registry=registry
        )

    return Audit(find, registry, grace, verify, fix, backends, after, at_most)
