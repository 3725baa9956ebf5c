"""A sweeper in a process of its own: `python -m tests.maintenance.sweeper DATABASE_URL FOLDER` prints what it took."""

import asyncio
import sys

from sqlalchemy import create_engine

from fastapi_filestore import ObstoreBackend, storages, sweep
from tests.maintenance.models import LEDGER


async def main(url: str, folder: str) -> None:
    """Wait for the word to begin, then sweep in small batches until nothing is due."""
    storages.register_backend(ObstoreBackend("shelf", folder))
    engine = create_engine(url)
    print("ready", flush=True)  # noqa: T201 - the test reads it
    await asyncio.to_thread(sys.stdin.readline)
    async for one in sweep(engine, LEDGER, batch=5):
        print(one.path, one.error, flush=True)  # noqa: T201 - the same


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
