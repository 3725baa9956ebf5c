"""The code on the pages on places, types and processes, run as a program of its own."""

from pathlib import Path

from tests.project.page_programs import blocks, run

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
        svg, png = b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"\\x89PNG\\r\\n\\x1a\\n\\0\\0\\0\\rIHDR"
        for file in [("a.svg", svg, "image/svg+xml"), ("a.png", svg), ("a.png", png)]:
            print((await client.post("/pictures", files={{"file": file}})).status_code)
        print((await client.post("/scans", files={{"file": ("a.svg", svg, "image/svg+xml")}})).json()["kept"])
        (drawing,) = [row for row in (await client.get("/documents/")).json()["items"] if row["title"] == "a.svg"]
        headers = (await client.get(f"/documents/{{drawing['id']}}/file")).headers
        print(headers["Content-Disposition"].partition(";")[0], headers["Content-Security-Policy"])
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


OPEN_FILES = """
import io, zipfile
{blocks}


async def main():
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("a.txt", "one")
        archive.writestr("b.txt", "two")
    async with lifespan(app):
        upload = await FileObject(None, "a.zip", content=content.getvalue()).save_async()
        text = await FileObject(None, "a.txt", content=b"one\\ntwo\\n").save_async()
        print(await list_upload(upload), await count_lines(text))
    await engine.dispose()


asyncio.run(main())
"""


def test_the_page_on_places(tmp_path: Path) -> None:
    """Files of a row lie in a folder of their tenant, and in one of their column."""
    program = PLACES.format(blocks="\n".join(blocks("docs/places.md")))

    assert run(program, tmp_path) == "['receipts', 'tenants/acme']\n"


def test_the_page_on_types(tmp_path: Path) -> None:
    """Its route keeps an honest file with the type that tells most; pages are no pictures, and SVG is a download."""
    program = TYPES.format(blocks="\n\n".join(blocks("docs/types.md")))

    assert run(program, tmp_path).splitlines() == [
        "201 application/x-pdf",
        "201 application/pdf",
        "415 type-mismatch",
        "415 type-mismatch",
        "201 image/x-own",
        "415 unsupported-upload",
        "415",
        "415",
        "201",
        "image/svg+xml",
        "attachment sandbox; default-src 'none'",
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


def test_the_page_on_open_files(tmp_path: Path) -> None:
    """An archive is listed in a thread, and a program counts the lines of a file at a path."""
    program = OPEN_FILES.format(blocks="\n\n".join(blocks("docs/open-files.md")))

    assert run(program, tmp_path) == "['a.txt', 'b.txt'] 2\n"
