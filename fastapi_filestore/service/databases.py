"""Where an application's rows are: the engines behind its session dependency."""

from collections import defaultdict
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Collection, Generator, Iterable
from contextlib import asynccontextmanager
from inspect import Parameter, signature
from typing import Any

from sqlalchemy import Engine, MetaData, Table, inspect, update
from sqlalchemy.exc import UnboundExecutionError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_scoped_session
from sqlalchemy.orm import Session, registry, scoped_session

from fastapi_filestore.errors import ConfigurationError
from fastapi_filestore.orm.bridge import plain_session
from fastapi_filestore.orm.ledger import LedgerAccess, ledger_of
from fastapi_filestore.service.audit import metadata_of
from fastapi_filestore.service.references import Database, database, file_tables
from fastapi_filestore.storage.registry import StorageRegistry

REMEDY = "Give the engine of the rows: Filestore(get_session, engine=engine)."


class Databases:
    """The databases of some models: all in one engine, or wherever a session of the application takes them."""

    def __init__(
        self,
        models: Collection[type],
        *,
        registry: StorageRegistry,
        engine: Engine | AsyncEngine | None,
        get_session: Callable[..., Any] | None,
    ) -> None:
        self._models, self._registry = models, registry
        self._engine = engine.sync_engine if isinstance(engine, AsyncEngine) else engine
        self._get_session = get_session

    @property
    def are_known(self) -> bool:
        """Whether there is an engine, or a ledger, that somebody gave for a reason."""
        metadatas = (metadata_of(model) for model in self._models)
        return bool(self._models) and (self._engine is not None or any(ledger_of(one) for one in metadatas))

    async def find(self) -> list[Database]:
        """Return the databases.

        Raises:
            ConfigurationError: There is no model to look for, or no engine is known.
        """
        metadatas = {metadata_of(model): None for model in self._models}
        if not metadatas:
            raise ConfigurationError(
                "No model is known yet: give Filestore.service or Filestore.router each model, where the application "
                "is put together."
            )
        if self._engine is not None:
            return [database(self._engine, metadatas, registry=self._registry)]
        async with _opened(self._get_session) as session:
            return self._behind(session, metadatas)

    async def ledgers(self) -> list[LedgerAccess]:
        """Return the ledgers, each with its engine; `ConfigurationError` if there is none."""
        accesses = [LedgerAccess(ledger, one.engine) for one in await self.find() for ledger in one.ledgers]
        if not accesses:
            raise ConfigurationError(
                "There is nothing to sweep: the models have no ledger. Call add_ledger(Base.metadata) where Base is."
            )
        return accesses

    def _behind(self, session: Session, metadatas: Iterable[MetaData]) -> list[Database]:
        registries: set[registry] = {inspect(model).registry for model in self._models}
        mappers: dict[Any, Any] = {one.local_table: one for mapped in registries for one in mapped.mappers}
        engines: dict[Engine, set[Table]] = defaultdict(set)
        for metadata in metadatas:
            for table in file_tables(metadata):
                engines[_engine_of(session, mapper=mappers.get(table), clause=update(table))].add(table)
        return [
            database(engine, metadatas, registry=self._registry, is_here=tables.__contains__)
            for engine, tables in engines.items()
        ]


def _engine_of(session: Session, **target: Any) -> Engine:
    try:
        bind = session.get_bind(**target)
    except UnboundExecutionError:
        bind = None
    if not isinstance(bind, Engine):
        raise ConfigurationError(f"The session of get_session is bound to no engine. {REMEDY}")
    return bind


@asynccontextmanager
async def _opened(get_session: Callable[..., Any] | None) -> AsyncIterator[Session]:
    """Call a session dependency as FastAPI would, if it asks for nothing."""
    if get_session is None or any(not _is_rest(one) for one in signature(get_session).parameters.values()):
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


def _is_rest(parameter: Parameter) -> bool:
    return parameter.kind in {Parameter.VAR_KEYWORD, Parameter.VAR_POSITIONAL}


def _session(given: Any) -> Session:
    # Nothing is executed with it, so it holds no connection and need not be closed.
    if not isinstance(given, Session | AsyncSession | scoped_session | async_scoped_session):
        raise ConfigurationError(f"get_session gave a {type(given).__name__}, which is no session. {REMEDY}")
    return plain_session(given)
