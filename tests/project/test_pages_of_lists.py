"""The code on the pages on lists and archives, run as a program of its own."""

from pathlib import Path

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


def test_the_page_on_archives(tmp_path: Path) -> None:
    """Its route serves the files of all rows, under names of their own."""
    program = ZIP.format(blocks="\n".join(blocks("docs/zip.md")))

    assert run(program, tmp_path).splitlines() == ["['a (2).txt', 'a.txt']", "True"]
