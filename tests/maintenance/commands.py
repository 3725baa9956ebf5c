"""The commands, run in the folder of an application."""

import os
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from weakref import WeakSet

import pytest
from sqlalchemy import create_engine

from fastapi_filestore.cli import main
from tests.maintenance.conftest import OLD
from tests.maintenance.models import Base

APPLICATION = """
from sqlalchemy import create_engine
from sqlalchemy.orm import sessionmaker

from fastapi_filestore import Filestore
from tests.maintenance.models import Report

engine = create_engine("sqlite:///rows.db", connect_args={"check_same_thread": False})
files = Filestore(sessionmaker(engine))
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
