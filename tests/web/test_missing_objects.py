"""A row whose object is gone: an error in the log, whoever meets it, with the request that did."""

import pytest

from fastapi_filestore import FileObject, ObjectNotFoundError, audit
from tests.web.models import Document
from tests.web.site import Site

REQUEST = {"X-Request-ID": "req-7"}


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the lines that say so, and forget them."""
    lines = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    caplog.clear()
    return [line for line in lines if line.startswith("fastapi_filestore.object_missing ")]


async def lose(site: Site) -> str:
    """Store a document, delete its object behind the library's back, and return its key."""
    await site.upload(filename="lost file.txt")
    (key,) = await site.keys()
    await site.backend.delete(key)
    return key


async def test_a_download_tells(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    """GET, with or without a range, and HEAD are a 404 and a line with object and request."""
    key = await lose(site)
    for method, headers in (("GET", {}), ("GET", {"Range": "bytes=0-1"}), ("HEAD", {})):
        answer = await site.client.request(method, "/documents/1/file", headers={**REQUEST, **headers})
        (line,) = told(caplog)

        assert answer.status_code == 404
        assert f'backend=web object={key} file="lost file.txt"' in line
        assert f"method={method} path=/documents/1/file request_id=req-7" in line
    await site.client.delete("/documents/1")


async def test_a_copy_tells(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    """So does whoever copies, looks at or reads the file of a row, where there is no request."""
    key = await lose(site)
    async with site.session() as session:
        row = await session.get(Document, 1)
        for use in (row.file.copy_async, row.file.head_async, row.file.get_content_async):
            with pytest.raises(ObjectNotFoundError):
                await use()
            (line,) = told(caplog)
            assert f"object={key}" in line
            assert "method=" not in line
    await site.client.delete("/documents/1")


async def test_an_audit_tells(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    """An audit logs each row that it finds without its object, with table, column and primary key."""
    key = await lose(site)
    found = [finding.kind async for finding in audit(site.sessions.kw["bind"], Document)]
    (line,) = told(caplog)

    assert found == ["missing"]
    assert f"backend=web object={key} table=documents column=file row=1" in line
    await site.client.delete("/documents/1")


async def test_what_no_row_holds_is_no_error(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    """A path that nobody stored, a file that is not in a row yet, and a row that goes without its object are none."""
    await lose(site)
    assert (await site.client.put("/documents/1/file", files={"file": ("b.txt", b"new")})).status_code == 200
    assert (await site.client.delete("/documents/1")).status_code == 204
    fresh = await FileObject("web", "a.txt", content=b"a").save_async()
    await site.backend.delete(str(fresh.path))
    for file in (fresh, FileObject("web", "a.txt", path="no/such/object")):
        with pytest.raises(ObjectNotFoundError):
            await file.head_async()

    assert told(caplog) == []
