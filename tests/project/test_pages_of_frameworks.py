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


def test_the_page_on_admins(tmp_path: Path) -> None:
    """Either admin adds a row with its file."""
    program = ADMINS.format(blocks="\n\n".join(blocks("docs/admins.md")))

    assert run(program, tmp_path) == "200\n200\n[b'admin', b'staff']\n"
