"""Run the tests of a user, in a process and a folder of their own, with an application that was made at import."""

import os
import subprocess
import sys
import textwrap
import tomllib
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).parents[2]

APPLICATION = """
import os
from contextlib import asynccontextmanager

from fastapi import FastAPI
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from fastapi_filestore import FileObject, Filestore, StoredObject, add_ledger


class Base(DeclarativeBase):
    pass


class Document(Base):
    __tablename__ = "documents"

    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    file: Mapped[FileObject] = mapped_column(StoredObject(backend="documents"))
    picture: Mapped[FileObject | None] = mapped_column(StoredObject())


add_ledger(Base.metadata)
engine = create_async_engine(f"sqlite+aiosqlite:///{os.environ.get('PYTEST_XDIST_WORKER', 'app')}.db")
Session = async_sessionmaker(engine, expire_on_commit=False)


async def get_session():
    async with Session() as session:
        yield session


files = Filestore(get_session)


@asynccontextmanager
async def lifespan(app):
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.drop_all)
        await connection.run_sync(Base.metadata.create_all)
    async with files.lifespan(app):
        yield
    await engine.dispose()


app = FastAPI(lifespan=lifespan)
app.include_router(files.router(Document, field="file"), prefix="/documents")
SENT = {"files": {"file": ("a.txt", b"hello")}, "data": {"title": "t"}}
"""

ENV = """
FILESTORE_BACKENDS__DEFAULT__URL=s3://bucket/
FILESTORE_BACKENDS__DEFAULT__AWS_ACCESS_KEY_ID=key
FILESTORE_BACKENDS__DEFAULT__AWS_SECRET_ACCESS_KEY=secret
FILESTORE_BACKENDS__ARCHIVE__URL=file://./archive
FILESTORE_MAX_UPLOAD_SIZE=nonsense
"""


def install_plugin(folder: Path) -> None:
    """Let pytest find our plugin there as in an environment where the library is installed, by its entry point."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    entries = [f"{name} = {module}\n" for name, module in project["entry-points"]["pytest11"].items()]
    (metadata := folder / "user-1.dist-info").mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: user\nVersion: 1\n")
    (metadata / "entry_points.txt").write_text("[pytest11]\n" + "".join(entries))


def run_tests(
    folder: Path, test: str, *options: str, plugins: str = "", ignored: Iterable[str] = (), **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run a user's test beside the application, with the pytest plugins that are named, and ours."""
    (folder / "app.py").write_text(APPLICATION)
    (folder / ".env").write_text(ENV)
    (folder / "test_user.py").write_text(textwrap.dedent(test))
    install_plugin(folder)
    # Of what is installed here, only what the user has.
    absent = [name for name in ("asyncio", "schemathesis", "faker", "cacheprovider") if name not in plugins]
    left_out = [option for name in absent for option in ("-p", f"no:{name}")]
    warnings = [option for text in ignored for option in ("-W", text)]
    command = [sys.executable, "-m", "pytest", "-q", *left_out, "-W", "error", *warnings, *options, str(folder)]
    variables = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{folder}", **environment}
    return subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, check=False)
