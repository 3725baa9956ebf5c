"""The commands: what they print, and what they answer to the shell."""

import json
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from weakref import WeakSet

import pytest
from sqlalchemy import JSON, create_engine, insert, type_coerce

from fastapi_filestore import FindingKind, ObstoreBackend, StorageUnavailableError, __version__
from fastapi_filestore.cli import ALL_IS_WELL, FOUND, INTERRUPTED, UNAVAILABLE, UNCHECKED, WRONG_USE, main
from fastapi_filestore.orm.ledger.ledger import DELETION
from tests.maintenance.conftest import OLD
from tests.maintenance.models import LEDGER, Base

APPLICATION = """
from sqlalchemy import create_engine
from sqlalchemy.orm import sessionmaker

from fastapi_filestore import Filestore
from tests.maintenance.models import Report

engine = create_engine("sqlite:///rows.db", connect_args={"check_same_thread": False})
files = Filestore(sessionmaker(engine))
get_report_service = files.service(Report)
"""
SCANS = Base.metadata.tables["scans"]
ROOT = Path(__file__).parents[2]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with an application, its database, an old stray object, and a row that lost its own."""
    (tmp_path / "application.py").write_text(APPLICATION)
    engine = create_engine(f"sqlite:///{tmp_path}/rows.db")
    Base.metadata.create_all(engine)
    stray = tmp_path / "shelf" / "ab" / "stray"
    stray.parent.mkdir(parents=True)
    stray.write_bytes(b"stray")
    moment = (datetime.now().astimezone() - OLD).timestamp()
    os.utime(stray, (moment, moment))
    engine.dispose()
    return tmp_path


def intend(folder: Path, path: str, *, backend: str = "shelf", due_at: float = 0) -> None:
    """Write a deletion intent that is due, or falls due at some time."""
    engine = create_engine(f"sqlite:///{folder}/rows.db")
    with engine.begin() as connection:
        connection.execute(insert(LEDGER.table).values(backend=backend, path=path, kind=DELETION, due_at=due_at))
    engine.dispose()


def environment(folder: Path) -> dict[str, str]:
    """Return the environment of a command."""
    own = {"FILESTORE_BACKENDS__SHELF__URL": f"file://{folder}/shelf", "PYTHONPATH": str(ROOT)}
    return {**os.environ, **own}


class Command:
    """The command, run in this process: to start one takes a second."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self.capsys = capsys

    def __call__(self, *arguments: str) -> tuple[str, str, int]:
        """Run it, and return what it printed, what it complained of, and its answer."""
        code = main([*arguments, "--app", "application:files"])
        printed = self.capsys.readouterr()
        return printed.out, printed.err, code


@pytest.fixture(autouse=True)
def classes_of_the_application(own_classes: "WeakSet[Any]") -> None:
    """Let there be no classes but those whose tables the application has."""
    for mapper in list(own_classes):
        if mapper.local_table.metadata is not Base.metadata:
            own_classes.discard(mapper)


@pytest.fixture
def run(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Command]:
    """The command in the folder of the application."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setenv("FILESTORE_BACKENDS__SHELF__URL", f"file://{folder}/shelf")
    sys.modules.pop("application", None)
    yield Command(capsys)
    if application := sys.modules.pop("application", None):
        application.engine.dispose()


def test_in_a_shell(folder: Path) -> None:
    """The program is installed, finds the application in its folder, and answers the shell."""
    intend(folder, "ab/stray")
    program = Path(sys.executable).with_name("filestore")
    command: list[str | Path] = [program, "sweep", "--app", "application"]
    done = subprocess.run(
        command, cwd=folder, env=environment(folder), capture_output=True, text=True, check=False, timeout=60
    )

    assert done.stdout.splitlines()[0] == "deleted  shelf:ab/stray"
    assert (done.stderr, done.returncode) == ("", ALL_IS_WELL)


def test_sweep(folder: Path, run: Command) -> None:
    """A sweep prints a line for each object that went, sums up, and answers 0."""
    intend(folder, "ab/stray")
    output, complaint, code = run("sweep")
    first, last = output.splitlines()

    assert first == "deleted  shelf:ab/stray"
    assert re.fullmatch(r"swept  due: 1  oldest: \d+ s  deleted: 1  failed: 0  waiting: 0  failing: 0", last)
    assert (complaint, code) == ("", ALL_IS_WELL)
    assert run("sweep") == (
        "swept  due: 0  oldest: none  deleted: 0  failed: 0  waiting: 0  failing: 0\n",
        "",
        ALL_IS_WELL,
    )
    assert not (folder / "shelf" / "ab" / "stray").exists()


def test_a_sweep_that_fails(folder: Path, run: Command) -> None:
    """What could not be deleted is printed with the reason, and the answer is 1."""
    intend(folder, "ab/stray", backend="nowhere")
    intend(folder, "ab/kept", due_at=4e9)

    output, _, code = run("sweep", "--json")

    swept, summary = map(json.loads, output.splitlines())
    assert summary.pop("oldest") > 1e9
    assert summary == {"kind": "summary", "due": 1, "deleted": 0, "failed": 1, "waiting": 2, "failing": 1}
    assert (swept["backend"], swept["path"], swept["attempts"]) == ("nowhere", "ab/stray", 1)
    assert "No backend 'nowhere' is registered" in swept["error"]
    assert code == FOUND


def test_audit(run: Command) -> None:
    """An audit prints a line for each finding and answers 1; once they are fixed, it prints none and answers 0."""
    found, _, found_code = run("audit")
    fixed, _, fixed_code = run("audit", "--fix", "orphan")

    assert found.startswith("orphan  shelf:ab/stray  No row holds it")
    assert fixed.endswith("(fixed)\ncoverage  tables: reports, scans  backends: shelf\n")
    assert (found_code, fixed_code) == (FOUND, FOUND)
    assert run("audit") == ("", "", ALL_IS_WELL)


def test_audit_in_json(run: Command) -> None:
    """As JSON, a finding has a cursor, and the audit goes on behind it."""
    finding = json.loads(run("audit", "--json", "--verify")[0])

    assert (finding["kind"], finding["path"], finding["row"], finding["fixed"]) == ("orphan", "ab/stray", None, False)
    assert run("audit", "--after", finding["cursor"]) == ("", "", ALL_IS_WELL)


def test_what_was_covered_in_json(run: Command) -> None:
    """As JSON, the last line says what the deletion of orphans was based on, and what was kept."""
    *_, coverage = run("audit", "--json", "--fix", "orphan", "--at-most", "0")[0].splitlines()

    assert json.loads(coverage) == {
        "kind": "coverage",
        "tables": ["reports", "scans"],
        "backends": ["shelf"],
        "unknown": [],
        "kept": {"shelf": json.loads(coverage)["kept"]["shelf"]},
    }
    assert json.loads(coverage)["kept"]["shelf"].startswith("1 of its 1 objects would go.")


def test_too_many_orphans(folder: Path, run: Command) -> None:
    """A backend of which too much would go is named with the option that allows it."""
    output, _, code = run("audit", "--fix", "orphan", "--at-most", "0")

    assert output.splitlines()[-1].startswith("kept  shelf  no orphan was deleted: 1 of its 1 objects would go.")
    assert "--at-most 1" in output
    assert code == FOUND
    assert (folder / "shelf" / "ab" / "stray").exists()


def test_a_row(folder: Path, run: Command) -> None:
    """A finding about a row names its table, column and primary key."""
    engine = create_engine(f"sqlite:///{folder}/rows.db")
    gone = {"backend": "shelf", "path": "ab/gone", "filename": "gone"}
    with engine.begin() as connection:
        connection.execute(insert(SCANS).values(owner="me", number=7, file=type_coerce(gone, JSON)))
    engine.dispose()

    output, _, _ = run("audit", "--fix", "orphan")

    assert output.splitlines()[1] == "missing  shelf:ab/gone  scans.file me, 7  The object is missing."


@pytest.mark.parametrize(
    ("option", "value"),
    [("--grace", "inf"), ("--grace", "nan"), ("--grace", "1e12"), ("--grace", "day"), ("--at-most", "-1")],
)
def test_a_number_that_is_none(run: Command, capsys: pytest.CaptureFixture[str], option: str, value: str) -> None:
    """A number that can't be meant is refused by name, before anything is read."""
    with pytest.raises(SystemExit) as caught:
        run("audit", f"{option}={value}")

    assert caught.value.code == 2
    assert f"argument {option}: {value!r} is no number" in capsys.readouterr().err


def test_a_very_long_grace(run: Command) -> None:
    """Nothing is older than a century, and nothing is found."""
    assert run("audit", "--grace", "1e8")[0] == ""


def test_the_grace(run: Command) -> None:
    """The age of garbage is given in hours."""
    assert run("audit", "--grace", str(OLD / timedelta(hours=1) + 1))[0] == ""


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

    assert [json.loads(line)["kind"] for line in output.splitlines()] == [FindingKind.UNCHECKED]
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
