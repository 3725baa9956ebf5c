"""Audits of one registry, in a database whose columns are of several: each looks after its own."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import Column, Engine, Integer, MetaData, Table, create_engine, text

from fastapi_filestore import Finding, FindingKind, ObstoreBackend, StorageRegistry, StoredObject, audit
from fastapi_filestore.service.audit import audit as auditing
from tests.maintenance.conftest import keys


@dataclass
class Shop:
    """A database with a table for each of two registries.

    Attributes:
        engine: The database.
        folder: Where backends have their folders.
        first: The registry of documents.
        second: The registry of images.
        metadata: The tables.
    """

    engine: Engine
    folder: Path
    first: StorageRegistry
    second: StorageRegistry
    metadata: MetaData

    def register(self, registry: StorageRegistry, key: str, folder: str) -> ObstoreBackend:
        """Register a backend of a folder."""
        backend = ObstoreBackend(key, self.folder / folder)
        registry.register_backend(backend)
        return backend

    async def add(self, table: str, backend: ObstoreBackend) -> str:
        """Store a file with its row, and return its path."""
        [path] = keys(1)
        info = await backend.put(path, b"content")
        record = {"backend": backend.key, "path": path, "filename": "a", "size": 7, "etag": info.etag}
        with self.engine.begin() as connection:
            connection.execute(text(f"INSERT INTO {table} (file) VALUES (:file)"), {"file": json.dumps(record)})
        return path

    async def audit(self, registry: StorageRegistry) -> list[Finding]:
        """Audit one of the registries, and delete what seems to be an orphan."""
        return [one async for one in audit(self.engine, self.metadata, registry=registry, grace=-10, fix=["orphan"])]


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    """Tables that no class is mapped to, for other tests' audits would look for them; nor does this look for theirs."""
    monkeypatch.setattr(auditing, "mapped_tables", dict)
    first, second, metadata = StorageRegistry(), StorageRegistry(), MetaData()
    for name, key, registry in (("doc", "docs", first), ("image", None, second)):
        file: Column[object] = Column("file", StoredObject(backend=key, registry=registry))
        Table(name, metadata, Column("id", Integer, primary_key=True), file)
    engine = create_engine(f"sqlite:///{tmp_path}/shop.db")
    metadata.create_all(engine)
    yield Shop(engine, tmp_path, first, second, metadata)
    engine.dispose()


@pytest.mark.parametrize("key", ["docs", "images"])
async def test_rows_of_another_registry(shop: Shop, key: str) -> None:
    """Rows whose files are in another registry's place are not missed, whatever the key; orphans beside them go."""
    docs, images = shop.register(shop.first, "docs", "docs"), shop.register(shop.second, key, "images")
    doc, image = await shop.add("doc", docs), await shop.add("image", images)
    await docs.put("stray/doc", b"x")
    await images.put("stray/image", b"x")

    found = [await shop.audit(registry) for registry in (shop.first, shop.second)]

    assert [[(one.kind, one.path, one.fixed) for one in some] for some in found] == [
        [(FindingKind.ORPHAN, "stray/doc", True)],
        [(FindingKind.ORPHAN, "stray/image", True)],
    ]
    assert (await docs.head(doc)).size == (await images.head(image)).size == 7


@pytest.mark.parametrize(("key", "folder"), [("images", "docs"), ("images", "docs/inner"), ("docs", "docs/inner")])
async def test_one_place_in_two_registries(shop: Shop, key: str, folder: str) -> None:
    """Where two registries share a place under two names, neither's audit deletes an orphan, and says why."""
    docs, images = shop.register(shop.first, "docs", "docs"), shop.register(shop.second, key, folder)
    doc, image = await shop.add("doc", docs), await shop.add("image", images)

    found = [one for registry in (shop.first, shop.second) for one in await shop.audit(registry)]

    assert {(one.kind, one.fixed) for one in found} == {(FindingKind.ORPHAN, False)}
    assert all("of another registry is at file:///" in one.detail for one in found)
    assert (await docs.head(doc)).size == (await images.head(image)).size == 7


async def test_one_backend_in_two_registries(shop: Shop) -> None:
    """One place under one name in both is one place: files of both tables are held, and orphans go."""
    docs, again = shop.register(shop.first, "docs", "docs"), shop.register(shop.second, "docs", "docs")
    doc, image = await shop.add("doc", docs), await shop.add("image", again)
    await docs.put("stray/doc", b"x")

    [finding] = await shop.audit(shop.first)

    assert (finding.path, finding.fixed) == ("stray/doc", True)
    assert await shop.audit(shop.second) == []
    assert [info.path async for info in docs.list()] == sorted([doc, image])


async def test_an_empty_registry(shop: Shop) -> None:
    """A column whose registry has no such backend is looked after by the registry that the audit is given."""
    docs = shop.register(shop.first, "docs", "docs")
    await shop.add("image", docs)
    [path] = [info.path async for info in docs.list()]
    await docs.delete(path)

    assert [(one.kind, one.path) for one in await shop.audit(shop.first)] == [(FindingKind.MISSING, path)]
