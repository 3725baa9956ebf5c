"""The code on the pages on tests and on backends of one's own, run as it stands."""

import os
import subprocess
import sys
from pathlib import Path

from tests.project.page_programs import ROOT, blocks, run

OWN = """
from fastapi import Request
{blocks}


class Scan(Base):
    __tablename__ = "scans"
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    file: Mapped[FileObject] = mapped_column(StoredObject(backend="archive"))


get_scan_service = files.service(Scan)


@app.get("/scans.zip")
async def zipped(service: Annotated[FileService[Scan], Depends(get_scan_service)], request: Request):
    return await files.zip_download(request, [scan.file for scan in (await service.list()).items])


@app.post("/links")
async def link(service: Annotated[FileService[Scan], Depends(get_scan_service)]) -> list[str]:
    scan = await service.get(1)
    copied = await scan.file.copy_async()
    return [await scan.file.sign_async(), (await copied.get_content_async()).decode()]


app.include_router(files.router(Scan), prefix="/scans")
app.include_router(files.signed_router())


async def main():
    storages.register_backend(archive := SQLiteBackend("archive", "files.db"))
    client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test")
    async with lifespan(app), client:
        for name in ("a", "b"):
            sent = {{"file": (f"{{name}}.txt", b"scan of " + name.encode())}}
            print((await client.post("/scans/", files=sent, data={{"title": name}})).status_code)
        part = await client.get("/scans/1/file", headers={{"Range": "bytes=5-6"}})
        print(part.status_code, part.content, (await client.get("/scans.zip")).content[:2])
        url, copied = (await client.post("/links")).json()
        print((await client.get(url)).content, copied)
        print((await client.put("/scans/1/file", content=b"new", headers={{"Content-Type": "text/plain"}})).status_code)
        print((await client.delete("/scans/2")).status_code)
        await archive.put("stray", b"x")
        kinds = sorted([finding.kind.value async for finding in files.audit(grace=0, fix=["orphan"])])
        print(kinds, [info.size async for info in archive.list()])
    await archive.aclose()
    await engine.dispose()


asyncio.run(main())
"""


def test_the_page_on_tests(tmp_path: Path) -> None:
    """The application of the page passes the tests of the page."""
    _, application, tests, _ = blocks("docs/testing.md")
    (tmp_path / "notes.py").write_text(application, encoding="utf-8")
    (tmp_path / "test_notes.py").write_text(tests, encoding="utf-8")
    left_out = [option for name in ("asyncio", "cacheprovider", "schemathesis") for option in ("-p", f"no:{name}")]
    # What starlette says of httpx is not the page's.
    warnings = ["-W", "error", "-W", "ignore:Using `httpx`"]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "fastapi_filestore.testing", *left_out, *warnings]
    run = subprocess.run(
        command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False
    )

    assert run.returncode == 0, run.stdout + run.stderr
    assert "4 passed" in run.stdout


def test_the_page_on_own_backends(tmp_path: Path) -> None:
    """Its backend serves columns, routers, ranges, ZIP archives, copies, signed URLs and an audit."""
    example, *_ = blocks("docs/own-backends.md")
    lines = run(OWN.format(blocks=example), tmp_path).splitlines()

    assert lines == [
        "201",
        "201",
        "206 b'of' b'PK'",
        "b'scan of a' scan of a",
        "200",
        "204",
        "['orphan', 'orphan'] [3]",  # the copy, which no row took, and what was put by hand
    ]
