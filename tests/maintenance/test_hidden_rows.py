"""Rows that no mapped class shows: a view leaves them out, and their objects are held all the same."""

import json
from pathlib import Path

import pytest
from sqlalchemy import Column, Integer, MetaData, Table, create_engine

from fastapi_filestore import ObstoreBackend, StorageRegistry, StoredObject, audit
from fastapi_filestore.service.audit import audit as auditing
from tests.maintenance.conftest import keys


async def test_what_a_row_behind_a_view_holds_is_no_orphan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a class that is mapped to a view of some rows, an audit keeps the others' files, too."""
    monkeypatch.setattr(auditing, "mapped_tables", dict)
    registry, metadata = StorageRegistry(), MetaData()
    backend = ObstoreBackend("docs", tmp_path / "store")
    registry.register_backend(backend)
    file: Column[object] = Column("file", StoredObject("docs", registry=registry))
    Table("docs", metadata, Column("id", Integer, primary_key=True), file)
    shown, hidden, orphan = keys(3)
    engine = create_engine(f"sqlite:///{tmp_path}/rows.db")
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE all_docs (id INTEGER PRIMARY KEY, file JSON, gone BOOLEAN)")
        connection.exec_driver_sql("CREATE VIEW docs AS SELECT id, file FROM all_docs WHERE NOT gone")
        for path, gone in ((shown, False), (hidden, True)):
            record = json.dumps({"backend": "docs", "path": path, "filename": "a"})
            connection.exec_driver_sql("INSERT INTO all_docs (file, gone) VALUES (?, ?)", (record, gone))
    for path in (shown, hidden, orphan):
        await backend.put(path, b"content")

    found = [one.path async for one in audit(engine, metadata, registry=registry, grace=-10, at_most=9, fix=["orphan"])]
    engine.dispose()

    assert orphan in found
    assert hidden not in found
    assert {info.path async for info in backend.list()} == {shown, hidden}
