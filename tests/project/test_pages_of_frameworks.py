"""The code on the pages on admins, SQLModel and Litestar, run as a program of its own."""

from pathlib import Path

from tests.project.page_programs import blocks, run

ADMINS = """
{blocks}


async def main():
    client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test", follow_redirects=True)
    async with lifespan(app), client:
        for folder in ("admin", "staff"):
            token = (await client.get(f"/{{folder}}/")).cookies.get("starlette_admin_csrftoken") or ""
            answer = await client.post(
                f"/{{folder}}/document/create",
                data={{"title": folder}},
                files={{"file": ("a.txt", folder.encode())}},
                headers={{"X-CSRFToken": token}},
            )
            print(answer.status_code)
        async with Session() as session:
            rows = (await FileService(session, model=Document).list()).items
            print(sorted([await row.file.get_content_async() for row in rows]))
    await engine.dispose()


asyncio.run(main())
"""

SQLMODEL = """
{blocks}


async def main():
    client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test")
    async with engine.begin() as connection:
        await connection.run_sync(SQLModel.metadata.create_all)
    async with lifespan(app), letter_files.lifespan(app), client:
        sent = {{"file": ("a.txt", b"letter", "text/plain")}}
        letter = (await client.post("/letters/", data={{"title": "One"}}, files=sent)).json()
        answer = await client.post("/letters/1/pages", files={{"pages": ("1.txt", b"page")}})
        print(letter["title"], letter["file"]["filename"], [page["filename"] for page in answer.json()["pages"]])
        print((await client.get("/letters/1/file")).text)
    await engine.dispose()


asyncio.run(main())
"""

LITESTAR = """
import warnings
from litestar.testing import AsyncTestClient

warnings.simplefilter("ignore")  # of what may be inferred no more in its next version
{blocks}


async def main():
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    async with AsyncTestClient(litestar_app) as client:
        document = (await client.post("/upload", files={{"data": ("a.txt", b"letter", "text/plain")}})).json()
        print(document["title"], document["file"]["size"])
        print((await client.get(f"/documents/{{document['id']}}/file")).text)
    await engine.dispose()


asyncio.run(main())
"""


def test_the_page_on_admins(tmp_path: Path) -> None:
    """Either admin adds a row with its file."""
    program = ADMINS.format(blocks="\n\n".join(blocks("docs/admins.md")))

    assert run(program, tmp_path) == "200\n200\n[b'admin', b'staff']\n"


def test_the_page_on_sqlmodel(tmp_path: Path) -> None:
    """Letters come by the router, and their pages by a route of one's own."""
    program = SQLMODEL.format(blocks="\n\n".join(blocks("docs/sqlmodel.md")))

    assert run(program, tmp_path) == "One a.txt ['1.txt']\nletter\n"


def test_the_page_on_litestar(tmp_path: Path) -> None:
    """A handler stores an upload, and another one sends it."""
    program = LITESTAR.format(blocks="\n\n".join(blocks("docs/litestar.md")))

    assert run(program, tmp_path) == "a.txt 6\nletter\n"
