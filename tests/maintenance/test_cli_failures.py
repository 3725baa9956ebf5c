"""What the commands answer when they are used wrongly, or a database or store is down, or they are interrupted."""

import json
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine

from fastapi_filestore import FindingKind, ObstoreBackend, StorageUnavailableError, __version__
from fastapi_filestore.cli import ALL_IS_WELL, FOUND, INTERRUPTED, UNAVAILABLE, UNCHECKED, WRONG_USE, main
from tests.maintenance.commands import APPLICATION, Command, classes_of_the_application, environment, folder, run
from tests.maintenance.models import LEDGER

__all__ = ["classes_of_the_application", "folder", "run"]


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["sweep", "--app", "nowhere:files"], "'nowhere:files' can't be imported: No module named 'nowhere'"),
        (["sweep", "--app", "application:missing"], "has no attribute 'missing'"),
        (["audit", "--app", "application:Report"], "name the Filestore of your application"),
        (["audit", "--app", "application:files", "--after", "nonsense"], "cursor"),
        (["audit", "--app", "application:files", "--backend", "nowhere"], "No backend 'nowhere' is registered"),
    ],
)
def test_wrong_use(run: Command, capsys: pytest.CaptureFixture[str], arguments: Any, problem: str) -> None:
    """What can't be run is one line that says why, and the answer 2."""
    assert main(arguments) == WRONG_USE

    error = capsys.readouterr().err
    assert error.startswith("filestore: ")
    assert problem in error


DOWN = {
    "no folder": """
engine = create_engine("sqlite:////no/such/folder/rows.db")
files = Filestore(sessionmaker(engine))
""",
    "nobody there": """
engine = create_engine("postgresql+psycopg://user:secret-word@127.0.0.1:1/rows")
files = Filestore(sessionmaker(engine))
""",
    "nobody there, async": """
own = create_async_engine("postgresql+asyncpg://user:secret-word@127.0.0.1:1/rows")
engine, files = own.sync_engine, Filestore(async_sessionmaker(own))
""",
}


@pytest.mark.parametrize("database", DOWN.values(), ids=DOWN.keys())
@pytest.mark.parametrize("command", ["sweep", "audit"])
def test_a_database_that_is_down(command: str, database: str, folder: Path, run: Command) -> None:
    """It is one line that says so, and the answer 3."""
    imports, service = APPLICATION.partition("\nengine")[0], "files.service(Report)\n"
    also = "from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine\n"
    (folder / "application.py").write_text(imports + also + database + service)

    output, complaint, code = run(command)

    assert (output, code) == ("", UNAVAILABLE)
    assert complaint.startswith("filestore: The database can't be used")
    assert complaint.count("\n") == 1
    assert "secret-word" not in complaint


def test_a_ledger_that_was_never_created(folder: Path, run: Command) -> None:
    """A sweep says which table is missing and how it comes to be; that is no outage."""
    engine = create_engine(f"sqlite:///{folder}/rows.db")
    LEDGER.table.drop(engine)
    engine.dispose()

    _, complaint, code = run("sweep")

    assert complaint.startswith(f"filestore: The ledger's table {LEDGER.table.name!r} is missing: create it with ")
    assert code == WRONG_USE


def test_what_could_not_be_checked_was_not_found(run: Command, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """An audit that a store lets see nothing answers 4; with something found beside it, 1."""

    async def refuse(self: object, *arguments: object, **options: object) -> AsyncIterator[object]:
        for each in arguments[1:]:
            yield each
        raise StorageUnavailableError("It is down.")

    monkeypatch.setattr(ObstoreBackend, "list", refuse)
    output, _, code = run("audit", "--json")

    assert [json.loads(line)["kind"] for line in output.splitlines()] == [FindingKind.UNCHECKED, "summary"]
    assert code == UNCHECKED


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    """The command says what it is for, what it can do and what it answers, and which release it is."""
    for option in ("--help", "--version"):
        with pytest.raises(SystemExit) as caught:
            main([option])
        assert caught.value.code == 0
    text = capsys.readouterr().out

    assert "Keeps the rows of an application and the objects in its stores in step" in text
    assert all(f"\n  {code}  " in text for code in (ALL_IS_WELL, FOUND, WRONG_USE, UNAVAILABLE, UNCHECKED, INTERRUPTED))
    assert text.endswith(f"\nfastapi-filestore {__version__}\n")


def test_interrupted(folder: Path) -> None:
    """An audit that is interrupted says where to go on."""
    slow = (
        "import asyncio, os, signal\n"
        "from fastapi_filestore.cli import main\n"
        "from fastapi_filestore.service.audit import audit\n"
        "async def add_rows(*arguments):\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "    await asyncio.sleep(60)\n"
        "audit.add_rows = add_rows\n"
        "raise SystemExit(main(['audit', '--app', 'application:files']))\n"
    )
    command = [sys.executable, "-c", slow]
    done = subprocess.run(
        command, cwd=folder, env=environment(folder), capture_output=True, text=True, check=False, timeout=60
    )

    assert done.returncode == INTERRUPTED
    assert done.stderr.startswith("filestore: go on with --after")
