"""The commands: what they print, and what they answer to the shell."""

import json
import os
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, insert

from fastapi_filestore.cli import ALL_IS_WELL, FOUND, INTERRUPTED, WRONG_USE, main
from fastapi_filestore.orm.ledger import DELETION
from tests.maintenance.conftest import OLD
from tests.maintenance.models import LEDGER, Base

APPLICATION = """
from sqlalchemy import create_engine
from sqlalchemy.orm import sessionmaker

from fastapi_filestore import Filestore
from tests.maintenance.models import Report

files = Filestore(sessionmaker(create_engine("sqlite:///rows.db", connect_args={"check_same_thread": False})))
get_report_service = files.service(Report)
"""
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


def intend(folder: Path, path: str, *, backend: str = "shelf") -> None:
    """Write a deletion intent that is due."""
    engine = create_engine(f"sqlite:///{folder}/rows.db")
    with engine.begin() as connection:
        connection.execute(insert(LEDGER.table).values(backend=backend, path=path, kind=DELETION, due_at=0))
    engine.dispose()


def environment(folder: Path) -> dict[str, str]:
    """Return the environment of a command."""
    own = {"FILESTORE_BACKENDS__SHELF__URL": f"file://{folder}/shelf", "PYTHONPATH": str(ROOT)}
    return {**os.environ, **own}


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command as a shell does."""
    program = Path(sys.executable).with_name("filestore")
    return subprocess.run(
        [program, *arguments, "--app", "application:files"],
        cwd=folder,
        env=environment(folder),
        capture_output=True,
        text=True,
        check=False,
    )


def test_sweep(folder: Path) -> None:
    """A sweep prints a line for each object that went, and answers 0."""
    intend(folder, "ab/stray")

    first, second = run(folder, "sweep"), run(folder, "sweep")

    assert (first.stdout, first.stderr, first.returncode) == ("deleted  shelf:ab/stray\n", "", ALL_IS_WELL)
    assert (second.stdout, second.returncode) == ("", ALL_IS_WELL)
    assert not (folder / "shelf" / "ab" / "stray").exists()


def test_a_sweep_that_fails(folder: Path) -> None:
    """What could not be deleted is printed with the reason, and the answer is 1."""
    intend(folder, "ab/stray", backend="nowhere")

    done = run(folder, "sweep", "--json")

    swept = json.loads(done.stdout)
    assert (swept["backend"], swept["path"], swept["attempts"]) == ("nowhere", "ab/stray", 1)
    assert "No backend 'nowhere' is registered" in swept["error"]
    assert done.returncode == FOUND


def test_audit(folder: Path) -> None:
    """An audit prints a line for each finding and answers 1; once they are fixed, it prints none and answers 0."""
    found, fixed, clean = run(folder, "audit"), run(folder, "audit", "--fix", "orphan"), run(folder, "audit")

    assert found.stdout.startswith("orphan  shelf:ab/stray  No row holds it")
    assert fixed.stdout.endswith("(fixed)\n")
    assert (clean.stdout, clean.stderr) == ("", "")
    assert [done.returncode for done in (found, fixed, clean)] == [FOUND, FOUND, ALL_IS_WELL]


def test_audit_in_json(folder: Path) -> None:
    """As JSON, a finding has a cursor, and the audit goes on behind it."""
    finding = json.loads(run(folder, "audit", "--json", "--verify").stdout)

    after = run(folder, "audit", "--after", finding["cursor"])

    assert (finding["kind"], finding["path"], finding["row"], finding["fixed"]) == ("orphan", "ab/stray", None, False)
    assert (after.stdout, after.returncode) == ("", ALL_IS_WELL)


def test_the_grace(folder: Path) -> None:
    """The age of garbage is given in hours."""
    age = str(OLD / timedelta(hours=1) + 1)

    assert run(folder, "audit", "--grace", age).stdout == ""


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
def test_wrong_use(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: Any, problem: str
) -> None:
    """What can't be run is one line that says why, and the answer 2."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setenv("FILESTORE_BACKENDS__SHELF__URL", f"file://{folder}/shelf")
    monkeypatch.delitem(sys.modules, "application", raising=False)

    assert main(arguments) == WRONG_USE

    error = capsys.readouterr().err
    assert error.startswith("filestore: ")
    assert problem in error


def test_interrupted(folder: Path) -> None:
    """An audit that is interrupted says where to go on."""
    slow = (
        "import application, os, signal\n"
        "from fastapi_filestore.cli import main\n"
        "from fastapi_filestore.service import audit\n"
        "async def add_rows(*arguments):\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "audit.add_rows = add_rows\n"
        "raise SystemExit(main(['audit', '--app', 'application:files']))\n"
    )
    command = [sys.executable, "-c", slow]
    done = subprocess.run(
        command, cwd=folder, env=environment(folder), capture_output=True, text=True, check=False, timeout=60
    )

    assert done.returncode == INTERRUPTED
    assert done.stderr.startswith("filestore: go on with --after")
