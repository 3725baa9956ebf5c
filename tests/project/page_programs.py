"""The code on a page of docs/, in a program that begins with the README's application."""

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.web.site import SIGNING_KEY

ROOT = Path(__file__).parents[2]


BEGINNING = """
import asyncio
from typing import Annotated
from uuid import UUID, uuid4

import httpx
from fastapi import Depends, HTTPException, UploadFile
from sqlalchemy import delete
from fastapi_filestore import Announcement, FileService, ObjectNotFoundError, Uploads, storages
from fastapi_filestore.orm.holders.path_index import path_indexes_on_sqlite
"""


def blocks(page: str) -> list[str]:
    """Return the Python on a page."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return re.findall(r"```python\n(.*?)```", text, re.DOTALL)


def run(program: str, folder: Path, **environment: str) -> str:
    """Run a program that begins with the README's application, and return what it prints."""
    script = folder / "app.py"
    script.write_text(BEGINNING + blocks("README.md")[0] + program, encoding="utf-8")
    settings = {**os.environ, "FILESTORE_SIGNING_KEYS": SIGNING_KEY, "PYTHONPATH": str(ROOT), **environment}
    done = subprocess.run(
        [sys.executable, script], cwd=folder, env=settings, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
