"""The code on the pages on lists and archives, run as a program of its own."""

from pathlib import Path

import pytest

from tests.project.page_programs import blocks, run

ZIP = """
import io, zipfile

get_document_service = files.service(Document)
{blocks}


async def main():
    client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test")
    async with lifespan(app), client:
        for content in (b"one", b"two"):
            await client.post("/documents/", data={{"title": "a"}}, files={{"file": ("a.txt", content)}})
        archive = await client.get("/reports.zip")
        head = await client.head("/reports.zip")
        print(sorted(zipfile.ZipFile(io.BytesIO(archive.content)).namelist()))
        print(head.headers["content-length"] == str(len(archive.content)))
    await engine.dispose()


asyncio.run(main())
"""

LISTS = """
from sqlalchemy import DateTime, text

Document.created_at = mapped_column(DateTime, server_default=text("'2026-01-01 00:00:00.000000'"))  # the same for all
{blocks}


async def main():
    client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test")
    async with lifespan(app), client:
        for title in ("Report", "Note", "Receipt", "Remark"):
            await client.post("/documents/", data={{"title": title}}, files={{"file": ("a.txt", b"a")}})
        for path in (
            "/sorted/?sort=-title", "/documents-by-time/", "/documents-by-time/?sort=title", "/filtered/?sort=-title",
            "/filtered/?title__like=Re%25&sort=title", "/filtered/?title__in=Note,Remark&sort=-title",
            "/filtered/?title__like=Re%25&sort=-title&limit=2",
        ):
            page = (await client.get(path)).json()
            print(*[row["title"] for row in page["items"]])
        rest = {{"title__like": "Re%", "sort": "-title", "limit": 2, "after": page["next_cursor"]}}
        print(*[row["title"] for row in (await client.get("/filtered/", params=rest)).json()["items"]])
        print((await client.get("/sorted/?sort=size")).json()["detail"])
    await engine.dispose()


asyncio.run(main())
"""


FOLDERS = """
{blocks}


async def main():
    client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test")
    async with lifespan(app), client:
        for title, name, path in (("a", "photos/2026/a.jpg", "null"), ("b", "b.jpg", "photos/b.jpg")):
            data = {{"title": title, "relativePath": path}}
            row = (await client.post("/trees/", data=data, files={{"file": (name, b"image")}})).json()
            print(row["file"]["filename"], row["file"]["metadata"])
    await engine.dispose()


asyncio.run(main())
"""


def test_the_page_on_clients(tmp_path: Path) -> None:
    """Its router keeps the folders of files, from their names and from what Uppy sends."""
    program = FOLDERS.format(blocks="\n".join(blocks("docs/clients.md")))

    assert run(program, tmp_path).splitlines() == [
        "a.jpg {'folder': 'photos/2026'}",
        "b.jpg {'folder': 'photos'}",
    ]


@pytest.mark.works_with("fastapi-filter")
def test_the_page_on_lists(tmp_path: Path) -> None:
    """Its routes sort by the columns that they name, and filter with fastapi-filter."""
    program = LISTS.format(blocks="\n".join(blocks("docs/lists.md")))

    assert run(program, tmp_path).splitlines() == [
        "Report Remark Receipt Note",
        "Note Receipt Remark Report",
        "Note Receipt Remark Report",
        "Report Remark Receipt Note",
        "Receipt Remark Report",
        "Remark Note",
        "Report Remark",
        "Receipt",
        "query.sort: Sort by created_at, title, with - before it for descending; not by 'size'",
    ]


def test_the_page_on_archives(tmp_path: Path) -> None:
    """Its route serves the files of all rows, under names of their own."""
    program = ZIP.format(blocks="\n".join(blocks("docs/zip.md")))

    assert run(program, tmp_path).splitlines() == ["['a (2).txt', 'a.txt']", "True"]


SEVERAL = """
from fastapi_filestore import StoredObject
from sqlalchemy.orm import Mapped, mapped_column
{blocks}


async def main():
    client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test")
    async with lifespan(app), client:
        pages = [("pages", (name, name.encode())) for name in ("1.txt", "2.txt")]
        made = await client.post("/reports/", data={{"title": "May"}}, files=[("cover", ("c", b"c")), *pages])
        async with Session() as session, FileService(session, model=Report).unit_of_work() as service:
            await first_page_last(service, made.json()["id"])
        print([file["filename"] for file in (await client.get("/reports/1/pages")).json()])
        print((await client.delete("/reports/1/cover")).status_code, (await client.get("/reports/1/cover")).text)
    await engine.dispose()


asyncio.run(main())
"""


def test_the_page_on_several_files(tmp_path: Path) -> None:
    """Its router takes a form of all columns, and its function edits a list."""
    program = SEVERAL.format(blocks="\n".join(blocks("docs/several-files.md")))

    assert run(program, tmp_path).splitlines() == ["['2.txt', 'new.txt', 'end.txt']", "422 c"]
