"""The code on the page on workers, with real ones: Celery's, which forks, and procrastinate's."""

from pathlib import Path

import pytest

from tests.project.page_programs import blocks, run
from tests.servers.postgres import Postgres

PROGRAM = """
import json, os, subprocess, sys

if __name__ == "__main__":  # workers import it by its name
    import app as program

    asyncio.run(program.main())
    sys.exit()

from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

import procrastinate
from celery import Celery
from celery.signals import worker_process_init, worker_process_shutdown
from fastapi import BackgroundTasks
from fastapi_filestore import InvalidRecordError, Upload, add_ledger
from sqlalchemy import create_engine, func, select
from sqlalchemy.orm import sessionmaker

ledger = add_ledger(Base.metadata)
engine = create_async_engine(os.environ["ROWS"])
Session = async_sessionmaker(engine, expire_on_commit=False)
BlockingSession = sessionmaker(blocking_engine := create_engine(os.environ["ROWS"].replace("+aiosqlite", "")))
counted = []
{blocks}


async def previews(count):
    async with asyncio.timeout(60):
        while True:
            async with Session() as session:
                found = (await session.scalars(select(Picture).order_by(Picture.title))).all()
            if sum(picture.preview is not None for picture in found) == count:
                return found
            await asyncio.sleep(0.1)


async def intents():
    async with Session() as session:
        return await session.scalar(select(func.count()).select_from(ledger.table))


async def post(path, title):
    sent = {{"params": {{"title": title}}, "data": {{"title": title}}, "files": {{"file": ("a.txt", b"n" * 200)}}}}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        return (await client.post(path, **sent)).status_code


{main}"""

CELERY = """
@worker_process_shutdown.connect
def tell(**_):
    with open("closed", "a") as log:  # after the page's own
        log.write(f"{len(storages)} backends")


async def main():
    async with lifespan(app):
        print([await post("/pictures", title) for title in "abcd"])
        worker = subprocess.Popen(
            [sys.executable, "-m", "celery", "-A", "app.celery", "worker", "--concurrency", "1", "--without-gossip",
             "--without-mingle", "--loglevel", "ERROR"], stdout=sys.stderr,
        )
        try:
            found = await previews(4)
            print({str(picture.preview) for picture in found})
            print([len(await picture.preview.get_content_async()) for picture in found])
            print(await asyncio.to_thread(preview_task.delay(str(uuid4())).get, timeout=60))
        finally:
            worker.terminate()
            print("ended", await asyncio.to_thread(worker.wait, 60))
        print(await post("/counted", "e"), counted)
        print(receive(send(found[0])) == b"n" * 200)
    print_within = files.opened()
    with print_within:
        print_titles()
    print(open("closed").read())
    await engine.dispose()
"""

PROCRASTINATE = """
async def main():
    async with lifespan(app), jobs.open_async():
        await jobs.schema_manager.apply_schema_async()
        print([await post("/jobs/pictures/", title) for title in "ab"])
        async with Session() as session:
            service = PictureService(session)
            await service.create({"title": "never", "file": FileObject(content=b"n")})
            await session.rollback()
        print(len(list(await jobs.job_manager.list_jobs_async())), "jobs")
    worker = asyncio.create_task(work())
    found = await previews(2)
    worker.cancel()
    await asyncio.wait({worker})
    with files.opened():
        print([len(picture.preview.get_content()) for picture in found])
    print("reserved", await intents())
    await engine.dispose()
"""


def program(main: str) -> str:
    """Return the program of the page's code and of what a test does with it."""
    return PROGRAM.format(blocks="\n\n".join(blocks("docs/workers.md")), main=main)


@pytest.mark.works_with("Celery")
def test_celery(tmp_path: Path) -> None:
    """Celery's forked workers read the files of rows by their ids, store others, and close their stores."""
    environment = {
        "ROWS": "sqlite+aiosqlite:///rows.db",
        "JOBS": "",
        "CELERY_BROKER_URL": "sqla+sqlite:///broker.db",
        "CELERY_RESULT_BACKEND": "db+sqlite:///results.db",
    }

    assert run(program(CELERY), tmp_path, **environment).splitlines() == [
        "[201, 201, 201, 201]",
        "{'preview of a.txt'}",
        "[100, 100, 100, 100]",
        "gone",
        "ended 0",
        "201 [200]",
        "True",
        *(f"{title} 200" for title in "abcde"),
        "0 backends",
    ]


@pytest.mark.works_with("procrastinate")
def test_procrastinate(tmp_path: Path, postgres_database: Postgres) -> None:
    """A job that is enqueued in the transaction of its row is there if and only if the row is, and reads its file."""
    environment = {
        "ROWS": postgres_database.url("postgresql+psycopg"),
        "JOBS": postgres_database.url("postgresql"),
        "CELERY_BROKER_URL": "memory://",
    }

    assert run(program(PROCRASTINATE), tmp_path, **environment).splitlines() == [
        "[201, 201]",
        "2 jobs",
        "[100, 100]",
        "reserved 0",
    ]
