"""What answers keep to themselves, and what they tell browsers not to guess."""

import asyncio
import re
from pathlib import Path
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI, Header, HTTPException

from fastapi_filestore import FileObject, Filestore, ObstoreBackend, StorageRegistry
from fastapi_filestore.web.serving.headers import validators_of
from tests.web.conftest import Serve
from tests.web.models import Document
from tests.web.site import SIGNING_KEY

TYPE = "x-content-type-options"


def authorize(token: Annotated[str, Header()] = "") -> None:
    """Refuse strangers, as a user's dependency does."""
    if token != "good":
        raise HTTPException(401, "<script>alert(1)</script>")


def guarded(app: FastAPI, files: Filestore) -> None:
    """Mount the routes behind an authorization, and a route of the user's own that raises."""
    app.include_router(files.router(Document, dependencies=[Depends(authorize)]), prefix="/documents")
    app.include_router(files.signed_router())


async def test_no_answer_is_guessed_at(serve: Serve) -> None:
    """Every answer of our routes says `nosniff`, once: rows, lists, files, problems, and others' refusals."""
    async with serve(build=guarded, signing_keys=[SIGNING_KEY], shared=True) as site:
        site.client.headers["token"] = "good"
        created = await site.upload()
        url = f"/documents/{created.json()['id']}"
        file = FileObject("web", "a.bin")
        signed = await file.sign_async(for_upload=True)
        answers = [
            created,
            await site.client.get("/documents/"),
            await site.client.get(url),
            await site.client.head(url),
            await site.client.get(f"{url}/file"),
            await site.client.patch(url, json={"title": "new"}),
            await site.client.patch(url, json={"title": 1}),
            await site.client.get("/documents/7"),
            await site.client.get("/documents/?limit=x"),
            await site.client.put("/documents/"),
            await site.client.get("/documents/", headers={"token": "bad"}),
            await site.client.put(signed, content=b"x", headers={"Content-Type": "application/octet-stream"}),
            await site.client.get("/filestore?sig=nothing"),
            await site.client.delete(url),
        ]
        await site.backend.delete(str(file.path))

    assert [answer.headers.get_list(TYPE) for answer in answers] == [["nosniff"]] * len(answers)
    assert {answer.status_code for answer in answers} >= {200, 201, 204, 401, 403, 404, 405, 422}


def test_a_tag_tells_nothing_of_the_disk() -> None:
    """The tag of a file in a local folder, which holds its inode's number, is shown as another one that is as good."""
    tags: set[str | None] = set()
    for etag in ('"1f-5f-7"', '"20-5f-7"'):
        for path in ("a", "b"):
            file = FileObject(filename="a", path=path)
            file.etag = etag
            tags.add(validators_of(file).etag)
            assert validators_of(file).etag == validators_of(file).etag
            assert validators_of(file).alias == etag

    assert len(tags) == 4
    assert all(tag is not None and len(tag) == 34 and "-" not in tag for tag in tags)


@pytest.mark.parametrize("etag", ['"5d41402abc4b2a76b9719d911017c592"', '"5d41402abc4b2a76-2"', '"0x8DE0"', '"1"'])
def test_a_tag_of_another_store_is_shown(etag: str) -> None:
    """Tags of other stores are as their clients know them."""
    file = FileObject(filename="a", path="a")
    file.etag = etag

    assert validators_of(file).etag == etag


async def test_a_client_that_stored_a_file_sees_no_inode(serve: Serve, tmp_path: Path) -> None:
    """The tags of a signed upload, and of the download of its copy, tell no inode, and conditions heed them."""
    local = ObstoreBackend("web2", tmp_path / "store")
    registry = StorageRegistry()
    registry.register_backend(local)

    def build(app: FastAPI, files: Filestore) -> None:
        app.include_router(Filestore(_no_session, settings=files.settings, registry=registry).signed_router())

    async with serve(build=build, signing_keys=[SIGNING_KEY]) as site:
        registry.signer = site.files.registry.signer
        file = FileObject("web2", "a.bin", registry=registry)
        put = await file.sign_async(for_upload=True)
        stored = await site.client.put(put, content=b"x", headers={"Content-Type": file.content_type})
        uploaded = _inode(tmp_path / "store" / str(file.path))
        await file.confirm_async()
        got = await site.client.get(await file.sign_async())
        again = await site.client.get(await file.sign_async(), headers={"If-None-Match": got.headers["etag"]})

    assert again.status_code == 304
    assert not stored.headers["etag"].startswith(f'"{uploaded}-')
    assert not got.headers["etag"].startswith(f'"{_inode(tmp_path / "store" / str(file.path))}-')


def _inode(path: Path) -> str:
    return f"{path.stat().st_ino:x}"


DOCS = Path(__file__).parents[2] / "docs" / "security.md"


@pytest.mark.parametrize(
    ("method", "comes_from", "status"),
    [
        ("POST", "cross-site", 403),
        ("POST", "same-site", 403),
        ("DELETE", "cross-site", 403),
        ("POST", "same-origin", 422),
        ("POST", None, 422),
        ("DELETE", "none", 404),
        ("GET", "cross-site", 404),
    ],
)
async def test_forms_of_other_sites_can_be_refused(
    serve: Serve, method: str, comes_from: str | None, status: int
) -> None:
    """The dependency of docs/security.md lets in what comes from the application's own pages, and links."""
    (code,) = re.findall(r"```python\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    names: dict[str, Any] = {}
    exec(code, names)  # noqa: S102 - of our own page

    def build(app: FastAPI, files: Filestore) -> None:
        app.include_router(files.router(Document, dependencies=[Depends(names["own_pages"])]), prefix="/documents")

    async with serve(build=build) as site:
        url = "/documents/" if method == "POST" else "/documents/7"
        headers = {} if comes_from is None else {"Sec-Fetch-Site": comes_from}
        files = {"file": ("a.txt", b"x")} if method == "POST" else None
        answer = await site.client.request(method, url, headers=headers, files=files)

        assert answer.status_code == status
        await site.check_empty()


async def test_a_hard_link_is_never_written_through(tmp_path: Path) -> None:
    """What a hard link in a local folder shares with a file outside stays as it is, whatever is done to the object."""
    outside = tmp_path / "outside"
    await asyncio.to_thread(outside.write_text, "outside")
    local = ObstoreBackend("local", tmp_path / "root")
    for _ in range(2):
        await asyncio.to_thread((tmp_path / "root" / "k").hardlink_to, outside)
        await local.put("k", b"new")
        await local.delete("k")
        await asyncio.to_thread((tmp_path / "root" / "k").hardlink_to, outside)
        await local.copy("k", "copied")
        await local.copy("copied", "k")
        await local.delete("k", "copied")

    assert await asyncio.to_thread(outside.read_text) == "outside"


async def _no_session() -> None:
    raise NotImplementedError
