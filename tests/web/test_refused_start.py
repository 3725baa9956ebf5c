"""What an operator reads of an application that does not start: sentences."""

import json
import logging
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from fastapi_filestore.web.refused_start import SERVER_LOG, failing_in_sentences

APPLICATION = """
from contextlib import asynccontextmanager
from fastapi import FastAPI
from sqlalchemy import create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from fastapi_filestore import FileObject, Filestore, StoredObject, add_ledger


class Base(DeclarativeBase): ...


add_ledger(Base.metadata)


class Document(Base):
    __tablename__ = "documents"
    id: Mapped[int] = mapped_column(primary_key=True)
    file: Mapped[FileObject] = mapped_column(StoredObject({backend}))


engine = create_engine("sqlite:///rows.db")
files = Filestore(lambda: Session(engine))


@asynccontextmanager
async def lifespan(app):
    try:
        async with files.lifespan(app):
            yield
    finally:
        engine.dispose()


app = FastAPI(lifespan={lifespan})
app.include_router(files.router(Document), prefix="/documents")
"""
FOLDER = {"FILESTORE_BACKENDS__DEFAULT__URL": "file://./files"}
REFUSED: Sequence[tuple[str, dict[str, str], str]] = (
    ("", {"FILESTORE_MAX_UPLOAD_SIZE": "big"}, "FILESTORE_MAX_UPLOAD_SIZE"),
    ("", {"FILESTORE_SIGNING_KEYS": "change-me-to-your-own-32-characters"}, "the placeholder of an example"),
    ("'archive'", FOLDER, "Document.file (backend 'archive'): there is default; set FILESTORE_BACKENDS__ARCHIVE__URL"),
    ("", {**FOLDER, "FILESTORE_PROBE": "1"}, "The database lacks documents, filestore_intents:"),
    ("", {"FILESTORE_BACKENDS__DEFAULT__URL": "file:///dev/null/files", "FILESTORE_PROBE": "1"}, "/dev/null/files"),
)
"""What is wrong with an application's backend or environment, and what an operator reads of it."""

STARTS = """
import json, os, sys
import fastapi, fastapi_filestore, sqlalchemy.ext.asyncio, uvicorn.lifespan.on, uvicorn.loops.auto, uvicorn.protocols

for folder, variables in json.load(sys.stdin):
    if not os.fork():
        os.chdir(folder)
        os.environ.update(variables)
        for number, name in ((1, "stdout"), (2, "stderr")):
            os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT), number)
        uvicorn.main(["application:app", "--port", "0"])
    _, status = os.wait()
    print(os.waitstatus_to_exitcode(status))
"""
"""Starts uvicorn in each folder, in a process of its own that need not import everything anew."""


def test_a_refused_start_is_its_sentences(tmp_path: Path) -> None:
    """Uvicorn prints what is wrong and what to do, with the library's lifespan and with one of the user's own."""
    cases = [(*case, lifespan) for case in REFUSED for lifespan in ("lifespan", "files.lifespan")]
    folders = [tmp_path / str(number) for number in range(len(cases))]
    for folder, (backend, _, _, lifespan) in zip(folders, cases, strict=True):
        folder.mkdir()
        (folder / "application.py").write_text(APPLICATION.format(backend=backend, lifespan=lifespan))
    asked = json.dumps([(str(folder), case[1]) for folder, case in zip(folders, cases, strict=True)])
    done = subprocess.run([sys.executable, "-c", STARTS], input=asked, stdout=subprocess.PIPE, text=True, check=True)

    assert done.stdout.split() == ["3"] * len(cases)
    for folder, (_, _, text, _) in zip(folders, cases, strict=True):
        lines = (folder / "stderr").read_text().splitlines()
        (first,) = [number for number, line in enumerate(lines) if "The application does not start." in line]
        assert text in "\n".join(lines[first:])
        assert [line for line in lines if "Traceback" in line or line.startswith("  File ")] == []
        assert len(lines) <= 8
        assert (folder / "stdout").read_text() == ""


def test_what_is_no_error_of_the_library_keeps_its_traceback(caplog: pytest.LogCaptureFixture) -> None:
    """A start that fails for a reason of the application's is told as before, and so is any other line."""
    with pytest.raises(ZeroDivisionError), failing_in_sentences():
        raise ZeroDivisionError("own")
    log = logging.getLogger(SERVER_LOG)
    text = 'Traceback (most recent call last):\n  File "a.py", line 1\nfastapi_filestore.errors.SettingsError: a %s b'
    with caplog.at_level(logging.ERROR, SERVER_LOG):
        log.error("Traceback (most recent call last):\nZeroDivisionError: own")
        log.error("Started")
        log.error(text)

    assert caplog.messages == [
        "Traceback (most recent call last):\nZeroDivisionError: own",
        "Started",
        "The application does not start. a %s b",
    ]
