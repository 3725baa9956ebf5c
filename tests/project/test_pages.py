"""The code on the pages of docs/, run as a program of its own."""

from pathlib import Path
from textwrap import indent

from tests.project.page_programs import blocks, run

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
        letter = (await client.post("/letters", params={{"filename": "c.txt", "size": 1}})).json()
        print((await client.put(letter["url"], content=b"c", headers=letter["headers"])).status_code)
        print((await client.post("/drafts/c.txt/confirmed")).status_code)
        stored = await FileObject(filename="d.txt", content=b"d").save_async()
        upload, staging = (await sign_both(stored))[1], stored.upload_path
        print((await client.put(upload, content=b"D", headers={{"content-type": "text/plain"}})).status_code)
        print((await (await stored.confirm_async()).get_content_async()).decode())
        await storages.get_backend().delete(staging)
        print([info.path async for info in storages.get_backend().list(".filestore-uploads")])
    await engine.dispose()


asyncio.run(main())
"""


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

    assert run(program, tmp_path) == "201\n409\n201\n409\n201 404 404\n['a.txt', 'b.txt']\n201\n201\n201\nD\n[]\n"
