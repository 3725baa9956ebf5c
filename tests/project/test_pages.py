"""The code on the pages of docs/, run as a program of its own."""

import os
import re
import subprocess
import sys
from pathlib import Path
from textwrap import indent

from tests.web.site import SIGNING_KEY

ROOT = Path(__file__).parents[2]

BEGINNING = """
import asyncio
from typing import Annotated
from uuid import UUID, uuid4

import httpx
from fastapi import Depends, HTTPException, UploadFile
from sqlalchemy import delete
from fastapi_filestore import FileService, ObjectNotFoundError, Uploads, storages
from fastapi_filestore.orm.holders.path_index import path_indexes_on_sqlite
"""

TRANSACTIONS = """
class Album(Base):
    __tablename__ = "albums"
    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    photos: Mapped[list[FileObject]] = mapped_column(StoredObject(multiple=True))


get_document_service, get_album_service = files.service(Document), files.service(Album)
{blocks}


async def main():
    client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test")
    async with lifespan(app), client:
        photos = [("photos", (f"{{name}}.png", name.encode())) for name in "ab"]
        album = await client.post("/albums", files=photos)
        note = await client.post("/notes", files={{"file": ("n.txt", b"note")}})
        await make_preview(UUID(note.json()["id"]))
        documents = (await client.get("/documents/")).json()["items"]
        print(album.status_code, note.status_code, sorted(row["title"] for row in documents))
    await engine.dispose()


asyncio.run(main())
"""

UNDELETE = """
class Paper(Base):
    __tablename__ = "papers"
    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    title: Mapped[str]
    owner_id: Mapped[int | None]
    file: Mapped[FileObject] = mapped_column(StoredObject(backend="documents"))


Document, user_id = Paper, 1
{keep}
{purge_import}


async def undelete(service, path):
{undelete}


async def erase(service, document_id):
{erase}


async def forget(session):
{forget}


async def main():
    async with lifespan(app), Session() as session:
        backend, service = storages.get_backend("documents"), FileService(session, model=Document)
        document = await service.create({{"title": "Report", "file": FileObject(content=b"report"), "owner_id": 1}})
        await service.commit()
        await service.delete(document.id)
        await service.commit()
        await undelete(service, document.file.path)
        await service.commit()
        (again,) = (await service.list()).items
        print(await again.file.get_content_async())
        await erase(service, again.id)
        await service.commit()
        kept = [info async for info in backend.list()]
        await service.create({{"title": "Report", "file": FileObject(content=b"report"), "owner_id": 1}})
        await service.commit()
        await forget(session)
        print(len(kept), len([info async for info in backend.list()]))
    await engine.dispose()


asyncio.run(main())
"""


SHARING = """
class Album(Base):
    __tablename__ = "albums"
    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    photos: Mapped[list[FileObject]] = mapped_column(StoredObject(multiple=True), default=list)


get_album_service = files.service(Album)
{blocks}


async def main():
    client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test")
    async with lifespan(app), client:
        async with Session() as session, FileService(session, model=Album).unit_of_work() as service:
            url = f"/albums/{{(await service.create({{}})).id}}/photos"
        added = [await client.post(url, files={{"photo": (f"{{name}}.png", b"png")}}) for name in "abc"]
        removed = await client.delete(f"{{url}}/b.png")
        async with Session() as session, FileService(session, model=Album).unit_of_work() as service:
            (album,) = (await service.list()).items
            await service.session.refresh(album)
            print([each.status_code for each in (*added, removed)], [photo.filename for photo in album.photos])
        async with engine.connect() as connection:
            indexes = await connection.run_sync(path_indexes_on_sqlite)
            print(list(indexes))
    await engine.dispose()


asyncio.run(main())
"""


UPLOAD_URLS = """
drafts: dict[str, str] = {{}}
get_document_service = files.service(Document)
app.include_router(files.signed_router())
{blocks}


async def main():
    client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test")
    async with lifespan(app), client:
        for name in ("a.txt", "b.txt"):
            signed = (await client.post("/drafts", params={{"filename": name}})).json()
            for content in (name.encode(), b"evil"):
                sent = await client.request(signed["method"], signed["url"], content=content, headers=signed["headers"])
                print(sent.status_code)
        confirmed = await client.post("/drafts/a.txt/confirmed")
        again = await client.post("/drafts/a.txt/confirmed")
        never = await client.post("/drafts/never.txt/confirmed")
        await import_draft("b.txt")
        rows = (await client.get("/documents/")).json()["items"]
        print(confirmed.status_code, again.status_code, never.status_code)
        print(sorted([(await client.get(row["file"]["url"])).text for row in rows]))
        print([info.path async for info in storages.get_backend().list(".filestore-uploads")])
    await engine.dispose()


asyncio.run(main())
"""


TYPES = """
{blocks}


async def main():
    client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test")
    pdf, page = b"%PDF-1.7 1 0 obj", b"<html><script>"
    sent = [
        ("a.pdf", pdf, "application/x-pdf"), ("a", b"\\r\\n" + pdf, "multipart/form-data"),
        ("a.png", page, "image/png"), ("a", page, "image/x-own"), ("a", b"\\0\\1\\2", "image/x-own"),
        ("a", b"PK\\3\\4" + bytes(99), "image/x-own"),
    ]
    async with lifespan(app), client:
        for file in sent:
            answer = await client.post("/scans", files={{"file": file}})
            print(answer.status_code, answer.json().get("kept") or answer.json()["type"].rpartition(":")[2])
    await engine.dispose()


asyncio.run(main())
"""


PROCESSES = """
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from fastapi_filestore import BlockingCallError, ObstoreBackend, Upload
from sqlalchemy import create_engine
from sqlalchemy.orm import sessionmaker

BlockingSession = sessionmaker(blocking_engine := create_engine("sqlite:///app.db"), expire_on_commit=False)
{blocks}


@app.post("/stopped")
async def stopped(upload: Annotated[Upload, Depends(files.upload())]) -> str:
    file = FileObject(filename=upload.filename, content=upload)
    try:
        return file.save().filename
    except BlockingCallError:
        return (await file.save_async()).filename + " was awaited"


async def main():
    client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test")
    async with lifespan(app), client:
        for path in ("/scans", "/slides", "/stopped"):
            response = await client.post(path, files={{"file": ("n.txt", b"note")}})
            print(response.status_code, response.json() if path == "/stopped" else len(response.json()))
        async with Session() as session:
            photos = [FileObject(content=b"p"), FileObject(content=b"q")]
            await add_documents(service := FileService(session, model=Document), photos)
            print(len((await service.list()).items))
    await engine.dispose()
    blocking_engine.dispose()


if __name__ == "__main__":
    print([file.filename for file in store_reports()])
    begin_process()
    print([file.get_content() for file in store_reports()])
    asyncio.run(main())
"""


PLACES = """
{blocks}

get_bill_service = files.service(Bill, defaults={{"tenant": lambda: "acme"}})


async def main():
    async with lifespan(app), Session() as session:
        service = FileService(session, model=Bill, defaults={{"tenant": "acme"}})
        bill = await service.create({{"scan": FileObject(content=b"scan"), "receipt": FileObject(content=b"receipt")}})
        await service.commit()
        print(sorted([info.path.rsplit("/", 2)[0] async for info in storages.get_backend().list()]))
    await engine.dispose()


asyncio.run(main())
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


def test_the_page_on_transactions(tmp_path: Path) -> None:
    """Several files in one request, a unit of work of one's own, and a service in a `def` endpoint."""
    program = TRANSACTIONS.format(blocks="\n".join(blocks("docs/transactions.md")))

    assert run(program, tmp_path) == "201 201 ['Preview of n.txt', 'n.txt']\n"


def test_the_page_on_undeleting(tmp_path: Path) -> None:
    """A deleted file is taken back, one is erased at once, and so is what a statement takes out of rows."""
    keep, undelete, erase, forget = blocks("docs/undelete.md")
    purge_import, forget = forget.split("\n", 1)
    program = UNDELETE.format(
        keep=keep,
        purge_import=purge_import,
        undelete=indent(undelete, "    "),
        erase=indent(erase, "    "),
        forget=indent(forget, "    "),
    )
    folder = tmp_path / "documents"

    printed = run(program, tmp_path, FILESTORE_BACKENDS__DOCUMENTS__URL=folder.as_uri())
    assert printed == "b'report'\n0 0\n"


def test_the_page_on_sharing(tmp_path: Path) -> None:
    """Photos are added to a list and taken out of it, and a column has an index."""
    program = SHARING.format(blocks="\n".join(blocks("docs/sharing.md")))

    assert run(program, tmp_path) == "[204, 204, 204, 204] ['a.png', 'c.png']\n['filestore_invoices_file_path']\n"


def test_the_page_on_upload_urls(tmp_path: Path) -> None:
    """A client stores by itself, by way of the service and by way of a session, and what it stored is cleared away."""
    program = UPLOAD_URLS.format(blocks="\n".join(blocks("docs/upload-urls.md")))

    assert run(program, tmp_path) == "201\n409\n201\n409\n201 404 404\n['a.txt', 'b.txt']\n[]\n"


def test_the_page_on_places(tmp_path: Path) -> None:
    """Files of a row lie in a folder of their tenant, and in one of their column."""
    program = PLACES.format(blocks="\n".join(blocks("docs/places.md")))

    assert run(program, tmp_path) == "['receipts', 'tenants/acme']\n"


def test_the_page_on_types(tmp_path: Path) -> None:
    """Its route keeps an honest file with the type that tells most, and refuses pages and archives as pictures."""
    program = TYPES.format(blocks="\n\n".join(blocks("docs/types.md")))

    assert run(program, tmp_path).splitlines() == [
        "201 application/x-pdf",
        "201 application/pdf",
        "415 type-mismatch",
        "415 type-mismatch",
        "201 image/x-own",
        "415 unsupported-upload",
    ]


def test_the_page_on_processes(tmp_path: Path) -> None:
    """Endpoints that block store uploads, or are told what to await; tasks share a unit, and processes store files."""
    program = PROCESSES.format(blocks="\n".join(blocks("docs/processes.md")))

    assert run(program, tmp_path).splitlines() == [
        "['0.txt', '1.txt', '2.txt', '3.txt']",
        "[b'0', b'1', b'2', b'3']",
        "201 1",
        "201 1",
        "200 n.txt was awaited",
        "4",
    ]
