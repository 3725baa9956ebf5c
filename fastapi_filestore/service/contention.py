"""Try transactions again that lose a race against others of the database."""

import asyncio
import random
from collections.abc import Callable
from typing import Final, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from fastapi_filestore.events import SWEEP_GAVE_WAY
from fastapi_filestore.orm.failures.translate import is_contention, translate_outages
from fastapi_filestore.orm.sessions import run_untranslated

T = TypeVar("T")

PAUSES: Final = (0.1, 0.4, 1.6)
"""Seconds before each further try, on top of what the database itself waits."""


async def run_despite_others(engine: Engine, work: Callable[[Connection], T]) -> T:
    """Run a function in a transaction of its own, again after a pause if it loses a race.

    Raises:
        DatabaseUnavailableError: It lost every time, or the database can't be used at all.
    """
    with translate_outages(engine.url):
        return await _retry(engine, work)


async def run_unless_busy(engine: Engine, work: Callable[[Connection], T]) -> T | None:
    """Run a function as `run_despite_others` does; None if it lost every time, for who can leave it to a later day.

    Raises:
        DatabaseUnavailableError: The database can't be used at all.
    """
    with translate_outages(engine.url):
        try:
            return await _retry(engine, work)
        except DBAPIError as error:
            if not is_contention(error):
                raise
            SWEEP_GAVE_WAY.tell(error)
            return None


async def _retry(engine: Engine, work: Callable[[Connection], T]) -> T:
    for pause in PAUSES:
        try:
            return await run_untranslated(engine, work)
        except DBAPIError as error:
            if not is_contention(error):
                raise
        await asyncio.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311 - spreads competitors, keeps no secret
    return await run_untranslated(engine, work)
