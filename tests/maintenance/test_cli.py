"""The commands: what they print, and what they answer to the shell."""

import json
import re
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import JSON, create_engine, insert, type_coerce

from fastapi_filestore.cli import ALL_IS_WELL, FOUND
from fastapi_filestore.orm.ledger.ledger import DELETION, UPLOAD
from fastapi_filestore.service.audit.findings import FindingKind
from tests.maintenance.commands import Command, classes_of_the_application, environment, folder, run
from tests.maintenance.conftest import OLD
from tests.maintenance.models import LEDGER, Base

__all__ = ["classes_of_the_application", "folder", "run"]

SCANS = Base.metadata.tables["scans"]
NOTHING_FOUND = (
    "audited  objects: {objects}  rows: 0  findings: 0  fixed: 0  orphan: 0  missing: 0  size: 0  checksum: 0  "
    "etag: 0  unreadable_row: 0  shared: 0  unknown_backend: 0  unfinished_upload: 0  unchecked: 0\n"
)


def intend(folder: Path, path: str, *, backend: str = "shelf", due_at: float = 0, kind: str = DELETION) -> None:
    """Write an intent that is due, or falls due at some time."""
    engine = create_engine(f"sqlite:///{folder}/rows.db")
    with engine.begin() as connection:
        connection.execute(insert(LEDGER.table).values(backend=backend, path=path, kind=kind, due_at=due_at))
    engine.dispose()


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
    assert re.fullmatch(
        r"swept  due: 1  oldest: \d+ s  deleted: 1  abandoned: 0  failed: 0  waiting: 0  failing: 0  reserved: 0", last
    )
    assert (complaint, code) == ("", ALL_IS_WELL)
    assert run("sweep") == (
        "swept  due: 0  oldest: none  deleted: 0  abandoned: 0  failed: 0  waiting: 0  failing: 0  reserved: 0\n",
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
    counts = {"due": 1, "deleted": 0, "abandoned": 0, "failed": 1, "waiting": 2, "failing": 1, "reserved": 0}
    assert summary == {"kind": "summary", **counts}
    assert (swept["backend"], swept["path"], swept["attempts"]) == ("nowhere", "ab/stray", 1)
    assert "No backend 'nowhere' is registered" in swept["error"]
    assert code == FOUND


def test_reserved_paths(folder: Path, run: Command) -> None:
    """Paths that nobody has used yet are no garbage, and once they fell due nothing is said to have been deleted."""
    intend(folder, "ab/reserved", kind=UPLOAD, due_at=4e9)
    intend(folder, "ab/kept", due_at=4e9)
    intend(folder, "ab/unused", kind=UPLOAD)

    first, last = run("sweep")[0].splitlines()

    assert first == "abandoned  shelf:ab/unused"
    assert last.endswith("deleted: 0  abandoned: 1  failed: 0  waiting: 1  failing: 0  reserved: 1")


def test_audit(run: Command) -> None:
    """An audit prints a line for each finding, sums up, and answers 1; once they are fixed, it finds none: 0."""
    found, _, found_code = run("audit")
    fixed, _, fixed_code = run("audit", "--fix", "orphan")

    assert found.startswith("orphan  shelf:ab/stray  No row holds it")
    assert "\naudited  objects: 1  rows: 0  findings: 1  fixed: 0  orphan: 1  missing: 0  " in found
    assert "(fixed)\ncoverage  tables: reports, scans  backends: shelf\naudited  objects: 1  " in fixed
    assert "  findings: 1  fixed: 1  orphan: 1  " in fixed
    assert (found_code, fixed_code) == (FOUND, FOUND)
    assert run("audit") == (NOTHING_FOUND.format(objects=0), "", ALL_IS_WELL)


def test_audit_in_json(run: Command) -> None:
    """As JSON, a finding has a cursor, and the audit goes on behind it; the last line sums up."""
    finding, summary = map(json.loads, run("audit", "--json", "--verify")[0].splitlines())
    figures = {"objects": 1, "rows": 0, "findings": 1, "fixed": 0}
    kinds = {kind.value: 0 for kind in FindingKind}

    assert (finding["kind"], finding["path"], finding["row"], finding["fixed"]) == ("orphan", "ab/stray", None, False)
    assert summary == {"kind": "summary", **figures, **kinds, "orphan": 1}
    assert run("audit", "--after", finding["cursor"]) == (NOTHING_FOUND.format(objects=1), "", ALL_IS_WELL)


def test_what_was_covered_in_json(run: Command) -> None:
    """As JSON, the last line but one says what the deletion of orphans was based on, and what was kept."""
    *_, coverage, _ = run("audit", "--json", "--fix", "orphan", "--at-most", "0")[0].splitlines()

    assert json.loads(coverage) == {
        "kind": "coverage",
        "tables": ["reports", "scans"],
        "backends": ["shelf"],
        "objects": 1,
        "rows": 0,
        "unknown": [],
        "kept": {"shelf": json.loads(coverage)["kept"]["shelf"]},
    }
    assert json.loads(coverage)["kept"]["shelf"].startswith("1 of its 1 objects would go.")


def test_too_many_orphans(folder: Path, run: Command) -> None:
    """A backend of which too much would go is named with the option that allows it."""
    output, _, code = run("audit", "--fix", "orphan", "--at-most", "0")

    assert output.splitlines()[-2].startswith("kept  shelf  no orphan was deleted: 1 of its 1 objects would go.")
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
    assert output.splitlines()[-1].startswith("audited  objects: 1  rows: 1  findings: 2  fixed: 1  ")


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
    assert run("audit", "--grace", "1e8")[0] == NOTHING_FOUND.format(objects=1)


def test_the_grace(run: Command) -> None:
    """The age of garbage is given in hours."""
    assert run("audit", "--grace", str(OLD / timedelta(hours=1) + 1))[0] == NOTHING_FOUND.format(objects=1)
