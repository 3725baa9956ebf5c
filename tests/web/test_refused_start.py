"""What an operator reads of an application that does not start: sentences."""

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from fastapi_filestore.web.refused_start import SERVER_LOG, told_in_sentences

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


def output_of(folder: Path, *, backend: str = "", lifespan: str = "lifespan", **variables: str) -> list[str]:
    """Return the lines that uvicorn prints while the application does not start."""
    (folder / "application.py").write_text(APPLICATION.format(backend=backend, lifespan=lifespan))
    done = subprocess.run(
        [sys.executable, "-m", "uvicorn", "application:app", "--port", "0"],
        cwd=folder,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 3
    assert done.stdout == ""
    return done.stderr.splitlines()


@pytest.mark.parametrize("lifespan", ["lifespan", "files.lifespan"])
@pytest.mark.parametrize(
    ("backend", "variables", "texts"),
    [
        ("", {"FILESTORE_MAX_UPLOAD_SIZE": "big"}, ["FILESTORE_MAX_UPLOAD_SIZE"]),
        ("", {"FILESTORE_SIGNING_KEYS": "change-me-to-your-own-32-characters"}, ["the placeholder of an example"]),
        ("'archive'", FOLDER, ["Document.file (backend 'archive')", "FILESTORE_BACKENDS__ARCHIVE__URL"]),
        ("", {**FOLDER, "FILESTORE_PROBE": "1"}, ["The database lacks documents, filestore_intents:"]),
        (
            "",
            {"FILESTORE_BACKENDS__DEFAULT__URL": "file:///dev/null/files", "FILESTORE_PROBE": "1"},
            ["/dev/null/files"],
        ),
    ],
)
def test_a_refused_start_is_its_sentences(
    lifespan: str, backend: str, variables: dict[str, str], texts: list[str], tmp_path: Path
) -> None:
    """Uvicorn prints what is wrong and what to do, with the library's lifespan and with one of the user's own."""
    lines = output_of(tmp_path, backend=backend, lifespan=lifespan, **variables)

    (first,) = [number for number, line in enumerate(lines) if "The application does not start." in line]
    assert [text for text in texts if text not in "\n".join(lines[first:])] == []
    assert [line for line in lines if "Traceback" in line or line.startswith("  File ")] == []
    assert len(lines) <= 8


def test_what_is_no_error_of_the_library_keeps_its_traceback(caplog: pytest.LogCaptureFixture) -> None:
    """A start that fails for a reason of the application's is told as before, and so is any other line."""
    with pytest.raises(ZeroDivisionError), told_in_sentences():
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
