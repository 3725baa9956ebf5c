"""Transactions that lose a race against others of the database, and are worth another try."""

import asyncio
import random
from collections.abc import Callable
from typing import Final, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from fastapi_filestore.orm.engines import run_on_engine

T = TypeVar("T")

SQLITE_BUSY: Final = frozenset({5, 6})
"""Primary result codes of a database, or a table, that somebody else is writing to."""
LOST_RACES: Final = frozenset({"40001", "40P01", "55P03"})
"""SQL states of a serialization failure, a deadlock and a lock that was not to be had."""
PAUSES: Final = (0.1, 0.4, 1.6)
"""Seconds before each further try, on top of what the database itself waits."""


def is_contention(error: DBAPIError) -> bool:
    """Tell whether a statement failed only because of what other transactions were doing."""
    code = getattr(error.orig, "sqlite_errorcode", None)
    if code is not None:
        return int(code) & 0xFF in SQLITE_BUSY
    return getattr(error.orig, "sqlstate", None) in LOST_RACES


async def run_despite_others(engine: Engine, work: Callable[[Connection], T]) -> T:
    """Run a function in a transaction of its own, again after a pause if it loses a race."""
    for pause in PAUSES:
        try:
            return await run_on_engine(engine, work)
        except DBAPIError as error:
            if not is_contention(error):
                raise
        await asyncio.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311 - spreads competitors, keeps no secret
    return await run_on_engine(engine, work)
