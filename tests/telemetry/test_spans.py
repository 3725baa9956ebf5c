"""Spans: of an upload, a flush, a download, a sweep and an audit, each below what it was done for."""

import asyncio
from collections.abc import Mapping
from contextlib import aclosing
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.trace import SpanKind, StatusCode
from sqlalchemy import create_engine, insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from fastapi_filestore import FileObject, StorageUnavailableError
from fastapi_filestore.orm.ledger.ledger import DELETION
from fastapi_filestore.testing import FaultyBackend
from tests.telemetry.conftest import LEDGER, REGISTRY, Note, Traced

FILE = {"file": ("secret-name.txt", b"x" * 100, "text/plain")}


@pytest.mark.works_with("OpenTelemetry")
async def test_an_upload(traced: Traced) -> None:
    """The store's span is below the upload's, which is below the request's; it has backend, size and outcome."""
    assert (await traced.client.post("/notes/", files=FILE)).status_code == 201

    (put,), (upload,) = traced.spans("filestore.put"), traced.spans("filestore.upload")
    assert traced.parent_of(put) == "filestore.upload"
    assert put.context is not None
    assert upload.context is not None
    assert put.context.trace_id == upload.context.trace_id
    (request,) = [span for span in traced.exporter.get_finished_spans() if span.kind is SpanKind.SERVER]
    assert request.context is not None
    assert request.context.trace_id == put.context.trace_id
    assert dict(put.attributes or {}) == {
        "filestore.backend": "shelf",
        "filestore.operation": "put",
        "filestore.outcome": "ok",
        "filestore.size": 100,
    }
    assert put.kind is SpanKind.CLIENT
    assert dict(upload.attributes or {}) == {
        "filestore.backend": "shelf",
        "filestore.outcome": "ok",
        "filestore.size": 100,
    }


async def test_a_download(traced: Traced) -> None:
    """Opening a range is a span of the request's, with the bytes that are read."""
    row = (await traced.client.post("/notes/", files=FILE)).json()["id"]
    traced.exporter.clear()

    answer = await traced.client.get(f"/notes/{row}/file", headers={"Range": "bytes=10-19"})

    (opened,) = traced.spans()
    assert answer.content == b"x" * 10
    assert (opened.name, (opened.attributes or {})["filestore.size"]) == ("filestore.open", 10)
    assert opened.parent is not None


async def test_a_flush(traced: Traced) -> None:
    """A flush of a session of one's own is a span above its uploads; one without files tells nothing."""
    async with AsyncSession(traced.engine) as session:
        session.add(note := Note(file=FileObject(content=b"one", registry=REGISTRY)))
        await session.flush()
        (put,) = traced.spans("filestore.put")
        (upload,) = traced.spans("filestore.upload")
        assert (traced.parent_of(put), traced.parent_of(upload)) == ("filestore.upload", "filestore.flush")
        await session.commit()
        traced.exporter.clear()
        await session.delete(note)
        await session.commit()

    assert [span.name for span in traced.spans()] == ["filestore.flush", "filestore.delete"]


async def test_a_blocking_session(traced: Traced) -> None:
    """A session that blocks a thread tells the same: the span that is current there is above its own."""
    engine = create_engine(str(traced.engine.url).replace("+aiosqlite", ""))
    tracer = trace.get_tracer("own", tracer_provider=traced.tracers)

    def work() -> None:
        with tracer.start_as_current_span("filestore.own"), Session(engine) as session:
            session.add(Note(file=FileObject(content=b"one", registry=REGISTRY)))
            session.commit()

    await asyncio.to_thread(work)
    engine.dispose()

    (put,), (flush,) = traced.spans("filestore.put"), traced.spans("filestore.flush")
    assert (traced.parent_of(put), traced.parent_of(flush)) == ("filestore.upload", "filestore.own")


async def test_a_store_that_fails(traced: Traced) -> None:
    """It is an error of the class that was raised, without its text, in the span of the store and of the upload."""
    inner = REGISTRY.get_backend("shelf")
    REGISTRY.register_backend(
        FaultyBackend(inner, lambda _, name: name == "put", error=lambda: StorageUnavailableError("secret-text")),
        replace=True,
    )
    answer = await traced.client.post("/notes/", files=FILE)
    REGISTRY.register_backend(inner, replace=True)

    assert answer.status_code == 503
    for name in ("filestore.put", "filestore.upload"):
        (span,) = traced.spans(name)
        attributes = dict(span.attributes or {})
        assert span.status.status_code is StatusCode.ERROR
        assert (attributes["filestore.outcome"], attributes["error.type"]) == ("failed", "StorageUnavailableError")
        assert span.events == ()
        assert "secret" not in span.to_json()


async def test_a_missing_object(traced: Traced) -> None:
    """An object that is not there is no failure of the store's."""
    with pytest.raises(FileNotFoundError):
        await FileObject("shelf", path="ab/none", registry=REGISTRY).head_async()

    spans = traced.spans("filestore.head")
    assert [(span.attributes or {})["filestore.outcome"] for span in spans] == ["missing"]
    assert spans[0].status.status_code is StatusCode.UNSET


async def test_a_file_that_is_refused(traced: Traced) -> None:
    """A file that breaks a rule is refused, which is no failure either."""
    assert (await traced.client.post("/notes/", files={"file": ("a", b"x" * 2000)})).status_code == 413

    (upload,) = traced.spans("filestore.upload")
    assert (upload.attributes or {})["filestore.outcome"] == "refused"
    assert upload.status.status_code is StatusCode.UNSET


async def test_a_sweep(traced: Traced) -> None:
    """A sweep is one span, with what it settled; the store's spans are below it, and the caller's are not."""
    traced.folder.mkdir(exist_ok=True)
    async with traced.engine.begin() as connection:
        gone = [{"backend": name, "path": f"ab/{name}", "kind": DELETION, "due_at": 0} for name in ("shelf", "nowhere")]
        await connection.execute(insert(LEDGER.table), gone)

    async for _ in traced.files.sweep():
        await FileObject(content=b"of the caller", registry=REGISTRY).save_async()

    (sweep,), (delete,) = traced.spans("filestore.sweep"), traced.spans("filestore.delete")
    attributes = dict(sweep.attributes or {})
    assert traced.parent_of(delete) == "filestore.sweep"
    assert {span.parent for span in traced.spans("filestore.put")} == {None}
    assert attributes == {"filestore.objects": 2, "filestore.failed": 1, "filestore.outcome": "ok"}


async def test_an_audit(traced: Traced) -> None:
    """An audit is one span, with how much it found, above the listing of the store."""
    await FileObject(content=b"stray", registry=REGISTRY).save_async()

    found = [finding async for finding in traced.files.audit(grace=-1)]

    (audit,), (listing,) = traced.spans("filestore.audit"), traced.spans("filestore.list")
    assert traced.parent_of(listing) == "filestore.audit"
    assert (listing.attributes or {})["filestore.objects"] == 1
    assert (audit.attributes or {}).get("filestore.findings", 0) == len(found)


async def test_a_listing_that_is_cut_short(traced: Traced) -> None:
    """Whoever has seen enough of a listing ends its span, and that is no failure."""
    for _ in range(2):
        await FileObject(content=b"one", registry=REGISTRY).save_async()
    infos: Any = REGISTRY.get_backend("shelf").list()
    async with aclosing(infos):
        await anext(infos)

    (listing,) = traced.spans("filestore.list")
    attributes = dict(listing.attributes or {})
    assert (attributes["filestore.outcome"], attributes["filestore.objects"]) == ("ok", 1)
    assert "error.type" not in attributes
    assert traced.metric("filestore.store.duration")["shelf", "list", "ok"] == 1


async def test_no_path_unless_asked(traced: Traced) -> None:
    """No span and no metric has a path, a filename, a column or what an error says."""
    created = await traced.client.post("/notes/", files=FILE)
    await traced.client.get(f"/notes/{created.json()['id']}/file")
    paths = [info.path async for info in REGISTRY.get_backend("shelf").list()]
    metrics = traced.reader.get_metrics_data()
    told = "".join(span.to_json() for span in traced.exporter.get_finished_spans())
    told += metrics.to_json() if metrics else ""

    assert len(paths) == 1
    assert not any(secret in told for secret in (*paths, "secret-name", str(traced.folder)))


@pytest.mark.parametrize("options", [{"telemetry_paths": True}])
async def test_paths_that_are_asked_for(traced: Traced, options: Mapping[str, Any]) -> None:
    """With FILESTORE_TELEMETRY_PATHS, spans have the path of their object."""
    await traced.client.post("/notes/", files=FILE)

    (path,) = [info.path async for info in REGISTRY.get_backend("shelf").list()]
    (put,) = traced.spans("filestore.put")
    assert (put.attributes or {})["filestore.path"] == path
