"""Sweeps that come hours later, by the database's clock."""

import pytest
from sqlalchemy import Engine
from sqlalchemy.ext.asyncio import AsyncEngine

from fastapi_filestore import Ledger, Swept, sweep
from fastapi_filestore.orm.ledger import clock


async def swept_later(engine: Engine | AsyncEngine, ledger: Ledger, *, hours: float) -> list[Swept]:
    """Sweep with a database whose clock is some hours ahead, as the ledger reads it."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("SQLITE_CLOCK", "POSTGRESQL_CLOCK"):
            patch.setattr(clock, name, f"({getattr(clock, name)} + {hours * 3600})")
        # What was compiled before has the clock of now in it.
        ahead = engine.execution_options(compiled_cache=None)
        return [swept async for swept in sweep(ahead, ledger)]
