"""A test that leaves something to the next one fails by the name of it, and the next one sees nothing of it."""

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.servers.postgres import Postgres

ROOT = Path(__file__).parents[2]
PLANTED = """
import asyncio, logging, os, sys
from pathlib import Path
from sqlalchemy import Column, Integer, Table, create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from fastapi_filestore import FileObject, ObstoreBackend, StoredObject, add_ledger, storages
from fastapi_filestore.orm.ledger import reservations
from fastapi_filestore.orm.ledger.ledger import BoundLedger
from fastapi_filestore.orm.ledger.reservations import reservations_of
from fastapi_filestore.concurrency.blocking import run_blocking
from fastapi_filestore.storage.budget import upload_memory
from tests import isolation

isolation.PATIENCE = 0.5

class Base(DeclarativeBase): ...
LEDGER = add_ledger(Base.metadata)
class Document(Base):
    __tablename__ = "documents"
    id: Mapped[int] = mapped_column(primary_key=True)
    file: Mapped[FileObject | None] = mapped_column(StoredObject())

FOLDER, LOG = os.getcwd(), logging.getLogger("fastapi_filestore")

def backend(): storages.register_backend(ObstoreBackend("left", "memory://"))
def default(): storages._default = "left"
def signer(): storages.signer = object()
def reservation(): reservations_of(BoundLedger(LEDGER, create_engine("sqlite://")), "left").paths.append((0.0, "path"))
def memory(): upload_memory._held += 5
def level(): LOG.setLevel(logging.DEBUG)
def handler(): logging.getLogger().addHandler(logging.NullHandler())
def ledger(): Base.metadata.info.clear()
def table(): Table("left", Base.metadata, Column("id", Integer))
def variable(): os.environ["LEFT_BEHIND"] = "here"
def folder(): os.chdir("/")
def path(): sys.path.append("left")
ENGINES = []
def connection():
    ENGINES.append(create_engine(os.environ["PLANTED_DATABASE"]))
    ENGINES[-1].connect().close()

def test_backend(): backend()
def test_default_backend(): default()
def test_signer(): signer()
def test_reserved_paths(): reservation()
def test_held(): memory()
def test_fastapi_filestore(): level()
def test_root(): handler()
def test_info(): ledger()
def test_tables(): table()
def test_LEFT_BEHIND(): variable()
def test_working_directory(): folder()
def test_sys_path(): path()
def test_open_connection(): connection()

TASKS = []

async def test_task():
    TASKS.append(asyncio.create_task(asyncio.sleep(600), name="task left behind"))

def test_task_of_the_library():
    async def begin(): TASKS.append(asyncio.create_task(asyncio.sleep(600), name="task left behind"))
    run_blocking(begin())

def test_that_fails():
    for plant in (
        backend, default, signer, reservation, memory, level, handler, ledger, table, variable, folder, path, connection
    ):
        plant()
    raise ValueError("its own error")

async def test_that_fails_with_a_task():
    TASKS.append(asyncio.create_task(asyncio.sleep(600)))
    raise ValueError("its own error")

async def test_that_ends_what_it_began():
    asyncio.create_task(asyncio.sleep(0.01))

def test_nothing_is_left():
    assert (list(storages), storages._default, storages.signer, upload_memory.held) == ([], None, None, 0)
    assert not reservations._reservations
    assert (LOG.level, [type(one).__name__ for one in logging.getLogger().handlers].count("NullHandler")) == (0, 0)
    assert list(Base.metadata.info) == ["fastapi_filestore.ledger"]
    assert "left" not in Base.metadata.tables
    assert ("LEFT_BEHIND" in os.environ, os.getcwd(), "left" in sys.path) == (False, FOLDER, False)
    assert [one.pool.checkedin() and one.pool.connect().dbapi_connection.closed for one in ENGINES] == [True, True]
    assert len(TASKS) == 3
    assert all(task.cancelled() for task in TASKS)
"""


def test_what_a_test_leaves_behind_is_told_and_taken_away(tmp_path: Path, postgres_database: Postgres) -> None:
    """Each planted leak is an error of its test that names it; a test that failed has its own failure alone."""
    (tmp_path / "test_planted.py").write_text(PLANTED)
    environment = {**os.environ, "PLANTED_DATABASE": postgres_database.url("postgresql+psycopg")}
    options = ("-p", "tests.isolation", "-o", "anyio_mode=auto", "-p", "no:cacheprovider", "-p", "no:schemathesis")
    command = (sys.executable, "-m", "pytest", "-rA", *options, "-c", "/dev/null", "--rootdir", tmp_path, tmp_path)
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    outcomes = re.findall(r"^(PASSED|FAILED|ERROR) .*test_planted.py::test_(\w+)", done.stdout, re.MULTILINE)

    heading = r"ERROR at teardown of test_(\w+)\S* _+\n+The test leaves to those after it:\n- (.*)"
    told = dict(re.findall(heading, done.stdout))
    passed = {name for outcome, name in outcomes if outcome == "PASSED"}
    assert {name for outcome, name in outcomes if outcome == "FAILED"} == {"that_fails", "that_fails_with_a_task"}
    assert passed - told.keys() == {"that_ends_what_it_began", "nothing_is_left"}, done.stdout
    assert len(told) == 15
    for name, leak in told.items():
        assert name.removesuffix("_of_the_library").split("_")[0] in leak.replace(".", "_"), (name, leak)
