"""Lifespans beside and after each other: of several Filestores, several applications, and one that starts again."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from sqlalchemy import Engine, create_engine, func, insert, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from fastapi_filestore import (
    BackendSettings,
    FileObject,
    Filestore,
    FilestoreSettings,
    StorageRegistry,
    StoredObject,
    add_ledger,
)
from tests.web.site import SIGNING_KEY


def memory() -> BackendSettings:
    """Return the settings of a backend in memory."""
    return BackendSettings(url="memory://")


def settings(**backends: BackendSettings) -> dict[str, Any]:
    """Return the arguments of settings with some backends."""
    return {"_env_file": None, "backends": backends}


async def test_two_applications_with_nothing_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder that stands in for missing settings is shared as any other backend, till the last one ends."""
    monkeypatch.chdir(tmp_path)
    registry = StorageRegistry()
    one, two = (Filestore(registry=registry).lifespan(FastAPI()) for _ in range(2))
    await one.__aenter__()
    await two.__aenter__()
    await one.__aexit__(None, None, None)
    assert [backend.key for backend in registry] == ["default"]
    await registry.get_backend().put("k", b"x")
    await two.__aexit__(None, None, None)

    assert list(registry) == []


@pytest.mark.parametrize("first_to_end", [0, 1])
async def test_what_settings_say_of_a_shared_registry(first_to_end: int) -> None:
    """Whichever of two applications ends first, the other goes on by its own settings."""
    registry, own = StorageRegistry(), [77, 88]
    shared: dict[str, Any] = settings(a=memory(), b=memory())
    given = [
        {**shared, "url_expiry": seconds, "signing_keys": [f"{SIGNING_KEY}{seconds}"], "default_backend": name}
        for seconds, name in zip(own, ("a", "b"), strict=True)
    ]
    lifespans = [Filestore(settings=FilestoreSettings(**each), registry=registry).lifespan(FastAPI()) for each in given]
    for lifespan in lifespans:
        await lifespan.__aenter__()
    assert (registry.url_seconds, registry.default_key) == (88, "b")
    await lifespans.pop(first_to_end).__aexit__(None, None, None)

    assert (registry.url_seconds, registry.default_key) == (own[1 - first_to_end], "ba"[first_to_end])
    assert registry.signer is not None
    await lifespans.pop().__aexit__(None, None, None)
    assert (registry.url_seconds, len(registry)) == (3600, 0)
    assert vars(registry)["signer"] is None


async def test_an_application_entered_twice() -> None:
    """One application may be entered again while it runs, as test clients do, and lives until the last one leaves."""
    registry = StorageRegistry()
    files = Filestore(settings=FilestoreSettings(**settings(a=memory())), registry=registry)
    app = FastAPI(lifespan=files.lifespan)
    async with app.router.lifespan_context(app):
        async with app.router.lifespan_context(app):
            await registry.get_backend("a").put("x", b"x")

        assert (await registry.get_backend("a").head("x")).size == 1
    assert len(registry) == 0


async def test_settings_are_read_at_each_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the environment says when an application starts again is what counts, whatever it said before."""
    registry = StorageRegistry()
    files, seen = Filestore(registry=registry), list[tuple[str, int]]()
    for key in ("a", "b"):
        with monkeypatch.context() as environment:
            environment.setenv(f"FILESTORE_BACKENDS__{key}__URL", "memory://")
            environment.setenv("FILESTORE_URL_EXPIRY", str(ord(key)))
            async with files.lifespan(FastAPI()):
                seen += [(backend.key, files.settings.url_expiry) for backend in registry]

    assert seen == [("a", 97), ("b", 98)]


async def test_each_lifespan_sweeps_its_own_databases(tmp_path: Path) -> None:
    """Two applications of one registry sweep, each the ledger beside its own rows, until they end."""
    registry = StorageRegistry()
    given: dict[str, Any] = settings(main=memory()) | {"sweep_every": 0.01}
    applications = [_swept(registry, FilestoreSettings(**given), tmp_path / name) for name in ("a", "b")]
    async with AsyncExitStack() as stack:
        for files, engine, ledger in applications:
            with engine.begin() as connection:
                connection.execute(insert(ledger.table).values(backend="main", path="k", kind="upload", due_at=0))
            await stack.enter_async_context(files.lifespan(FastAPI()))
        for _, engine, ledger in applications:
            while _rows(engine, ledger):  # noqa: ASYNC110 - a database sends no event
                await asyncio.sleep(0.01)

        assert [_rows(engine, ledger) for _, engine, ledger in applications] == [0, 0]
    for _, engine, _ in applications:
        engine.dispose()


def _swept(registry: StorageRegistry, given: FilestoreSettings, path: Path) -> Any:
    class Base(DeclarativeBase):
        pass

    ledger = add_ledger(Base.metadata)

    class Item(Base):
        __tablename__ = "items"
        id: Mapped[int] = mapped_column(primary_key=True)
        file: Mapped[FileObject] = mapped_column(StoredObject(registry=registry))

    engine = create_engine(f"sqlite:///{path}")
    Base.metadata.create_all(engine)
    files = Filestore(lambda: Session(engine), settings=given, registry=registry)
    files.service(Item)
    return files, engine, ledger


def _rows(engine: Engine, ledger: Any) -> int:
    with engine.connect() as connection:
        return connection.execute(select(func.count()).select_from(ledger.table)).scalar_one()
