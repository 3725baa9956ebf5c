"""Find where an application's rows are: the engines behind its session dependency."""

from collections import defaultdict
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Collection, Generator, Iterable, Mapping
from contextlib import asynccontextmanager
from inspect import Parameter, signature

from sqlalchemy import Engine, MetaData, Table, inspect, update
from sqlalchemy.exc import SQLAlchemyError, UnboundExecutionError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_scoped_session
from sqlalchemy.ext.horizontal_shard import ShardedSession
from sqlalchemy.orm import Session, registry, scoped_session

from fastapi_filestore.errors import ConfigurationError
from fastapi_filestore.orm.column.attributes import file_mappers
from fastapi_filestore.orm.ledger.ledger import BoundLedger, ledger_of
from fastapi_filestore.orm.mapped_types import AnyMapper
from fastapi_filestore.orm.sessions import plain_engine, plain_session
from fastapi_filestore.service.audit.tables import (
    Database,
    Known,
    database,
    file_tables,
    locate,
    mapped_tables,
    metadata_of,
)
from fastapi_filestore.storage.registry import StorageRegistry

Places = Mapping[Engine, Collection[Table]]
"""Databases, each with the tables that may be in it."""
FAILURES = (SQLAlchemyError, OSError)
"""What a database raises that can't be used as it is; a driver may let the socket's own error through."""
REMEDY = "Give the engine of the rows: Filestore(get_session, engine=engine)."

SHARDS = "Sweep each with sweep(engine, ledger); audit them together: audit(one, Model, also={other: Model})."


class Databases:
    """The databases of some models: all in one engine, or wherever a session of the application takes them."""

    def __init__(
        self,
        models: Collection[type],
        *,
        registry: StorageRegistry,
        engine: Engine | AsyncEngine | None,
        get_session: Callable[..., object] | None,
    ) -> None:
        self._models, self._registry = models, registry
        self._engine = None if engine is None else plain_engine(engine)
        self._get_session = get_session

    @property
    def are_known(self) -> bool:
        """Tell whether there is an engine, or a ledger, that somebody gave for a reason."""
        metadatas = (metadata_of(model) for model in self._models)
        return bool(self._models) and (self._engine is not None or any(ledger_of(metadata) for metadata in metadatas))

    async def of_models(self) -> list[Database]:
        """Return the databases of the models' metadata, without asking them.

        Raises:
            ConfigurationError: There is no model to look for, or no engine is known.
        """
        places, _ = await self._candidates(self._metadatas(), every_class=False)
        return [database(engine, tables, asked=tables, registry=self._registry) for engine, tables in places.items()]

    async def engines(self) -> list[Engine]:
        """Return the engines of the models, or the one that was given where there are no models; it asks none of them.

        Raises:
            ConfigurationError: No engine is known for the models.
        """
        if not self._models:
            return [] if self._engine is None else [self._engine]
        return [database.engine for database in await self.of_models()]

    async def find(self) -> Known:
        """Find the tables of the models' metadata, and of every other mapped class of this process with files.

        Raises:
            ConfigurationError: There is no model to look for, no engine is known, or a model's tables are not there.
        """
        metadatas = self._metadatas()
        places, nowhere = await self._candidates(metadatas, every_class=True)
        return await locate(places, metadatas, nowhere=nowhere, registry=self._registry)

    async def ledgers(self) -> list[BoundLedger]:
        """Return the ledgers, each with its engine; `ConfigurationError` if there is none."""
        databases = await self.of_models()
        accesses = [BoundLedger(ledger, database.engine) for database in databases for ledger in database.ledgers]
        if not accesses:
            raise ConfigurationError(
                "There is nothing to sweep: the models have no ledger. Call add_ledger(Base.metadata) where Base is."
            )
        return accesses

    def _metadatas(self) -> list[MetaData]:
        if not self._models:
            raise ConfigurationError(
                "No model is known yet: give Filestore.service or Filestore.router each model, where the application "
                "is put together."
            )
        return list(dict.fromkeys(map(metadata_of, self._models)))

    async def _candidates(self, metadatas: Collection[MetaData], *, every_class: bool) -> tuple[Places, list[Table]]:
        """Return the tables by the database where they may be, and those that no database is known for."""
        own = [table for metadata in metadatas for table in file_tables(metadata)]
        others: Iterable[Table] = mapped_tables() if every_class else ()
        tables = list(dict.fromkeys([*own, *others]))
        if self._engine is not None:
            return {self._engine: tables}, []
        async with _opening(self._get_session) as session:
            if isinstance(session, ShardedSession):
                raise ConfigurationError(f"The session of get_session has its rows in several shards. {SHARDS}")
            registries: set[registry] = {inspect(model).registry for model in self._models}
            mapped = [*file_mappers(), *(mapper for bases in registries for mapper in bases.mappers)]
            mappers: dict[object, AnyMapper] = {mapper.local_table: mapper for mapper in mapped}
            places, nowhere = defaultdict[Engine, list[Table]](list), list[Table]()
            for table in tables:
                try:
                    bind = session.get_bind(mapper=mappers.get(table), clause=update(table))
                except UnboundExecutionError:
                    bind = None
                (places[bind] if isinstance(bind, Engine) else nowhere).append(table)
            if tables and not places:
                raise ConfigurationError(f"The session of get_session is bound to no engine. {REMEDY}")
            return places, nowhere


@asynccontextmanager
async def _opening(get_session: Callable[..., object] | None) -> AsyncIterator[Session]:
    """Call a session dependency as FastAPI would, if it asks for nothing."""
    rest = {Parameter.VAR_KEYWORD, Parameter.VAR_POSITIONAL}
    if get_session is None or any(given.kind not in rest for given in signature(get_session).parameters.values()):
        raise ConfigurationError(
            f"The engine can't be found through get_session, which has parameters of its own or is missing. {REMEDY}"
        )
    given = get_session()
    if isinstance(given, AsyncGenerator):
        try:
            yield _session(await anext(given))
        finally:
            await given.aclose()
    elif isinstance(given, Generator):
        try:
            yield _session(next(given))
        finally:
            given.close()
    else:
        yield _session(await given if isinstance(given, Awaitable) else given)


def _session(given: object) -> Session:
    # Nothing is executed with it, so it holds no connection and need not be closed.
    if not isinstance(given, Session | AsyncSession | scoped_session | async_scoped_session):
        raise ConfigurationError(f"get_session gave a {type(given).__name__}, which is no session. {REMEDY}")
    return plain_session(given)
