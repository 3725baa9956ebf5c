"""Columns that are called `file`, which is a path of each row as well."""

import pytest
from fastapi import FastAPI

from fastapi_filestore import Filestore
from tests.web.conftest import Serve
from tests.web.several import Binder, Leaflet


async def test_another_column_is_the_file(serve: Serve) -> None:
    """`field=` says which column is the main one; one that is called `file` keeps its path all the same."""

    def build(app: FastAPI, files: Filestore) -> None:
        app.include_router(files.router(Leaflet, field="scan"), prefix="/leaflets")
        app.include_router(files.router(Leaflet), prefix="/plain")

    async with serve(build=build) as site:
        made = await site.client.post("/leaflets/", files={"scan": ("s.txt", b"scan")})
        both = await site.client.post("/plain/", files={"scan": ("s.txt", b"scan"), "file": ("f.txt", b"file")})

        assert (await site.client.get(made.json()["scan"]["url"])).content == b"scan"
        assert made.json()["scan"]["url"] == "/leaflets/1/scan"
        assert (await site.client.get("/leaflets/1/file")).status_code == 404
        await site.client.put("/leaflets/1/file", files={"file": ("f.txt", b"file")})
        assert (await site.client.get("/leaflets/1/file")).content == b"file"
        assert (await site.client.get("/leaflets/1/scan")).content == b"scan"
        assert (await site.client.get(both.json()["scan"]["url"])).content == b"scan"
        assert both.json()["file"]["url"] == "/plain/2/file"
        assert (await site.client.get("/plain/2/file")).content == b"file"


@pytest.mark.parametrize("only_read", [(), ("file",)])
async def test_a_list_that_is_called_file(serve: Serve, only_read: tuple[str, ...]) -> None:
    """It is at `/file`, and a column of one file beside it at its own name: each with URLs that serve it."""

    def build(app: FastAPI, files: Filestore) -> None:
        app.include_router(files.router(Binder, read_only=only_read), prefix="/binders")

    async with serve(build=build) as site:
        files = [("cover", ("c.txt", b"cover"))]
        lists = [] if only_read else [("file", (name, name.encode())) for name in "ab"]
        made = await site.client.post("/binders/", files=[*files, *lists])
        replaced = await site.client.put("/binders/1/cover", files={"cover": ("c.txt", b"other")})
        added = await site.client.post("/binders/1/file", files=[("file", ("c", b"c"))])
        row, listed = (await site.client.get("/binders/1")).json(), (await site.client.get("/binders/1/file")).json()

        assert (made.status_code, replaced.status_code) == (201, 200)
        assert row["cover"]["url"] == "/binders/1/cover"
        assert (await site.client.get("/binders/1/cover")).content == b"other"
        assert added.status_code == (405 if only_read else 201)
        assert listed == (row["file"] or [])
        assert [file["url"] for file in listed] == [f"/binders/1/file/{file['id']}" for file in listed]
        assert [(await site.client.get(file["url"])).text for file in listed] == ([] if only_read else list("abc"))
        assert (await site.client.delete("/binders/1")).status_code == 204
        assert await site.keys() == set()
        operations = [item for path in site.app.openapi()["paths"].values() for item in path.values()]
        assert len({item["operationId"] for item in operations}) == len(operations)
