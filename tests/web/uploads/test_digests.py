"""An announced SHA-256 is that of the row's file, by whatever way its bytes come: others are refused, and not kept."""

from collections.abc import AsyncIterator, Awaitable, Callable
from hashlib import sha256
from typing import Any

import pytest

from fastapi_filestore import ObstoreBackend, storages
from tests.storage.stores import MAKERS
from tests.web.conftest import Serve
from tests.web.models import Document
from tests.web.site import SIGNING_KEY, Site, problem_in
from tests.web.tus_sending import begin_tus, id_of, patch
from tests.web.uploading import AT, begin, send
from tests.web.uploads.conftest import taking_uploads

CONTENT = b"content of a file"
RIGHT, WRONG = sha256(CONTENT).hexdigest(), sha256(b"another").hexdigest()
Way = Callable[[Site, str], Awaitable[str]]


async def directly(site: Site, digest: str) -> str:
    """Store it by the URL that was signed."""
    return str((await send(site.client, CONTENT, sha256=digest))["id"])


async def announced_and_patched(site: Site, digest: str) -> str:
    """Begin it by JSON, and send it by tus."""
    upload = str((await begin(site.client, size=len(CONTENT), sha256=digest.upper()))["id"])
    await patch(site.client, upload, [CONTENT])
    return upload


async def at_once(site: Site, digest: str) -> str:
    """Send it by tus in one request."""
    upload = id_of(await begin_tus(site.client, len(CONTENT), filename="a.txt", sha256=digest))
    await patch(site.client, upload, [CONTENT])
    return upload


async def in_pieces(site: Site, digest: str) -> str:
    """Send it by tus in two requests."""
    upload = id_of(await begin_tus(site.client, len(CONTENT), filename="a.txt", sha256=digest.upper()))
    await patch(site.client, upload, [CONTENT[:5], CONTENT[5:]])
    return upload


async def in_parts(site: Site, digest: str) -> str:
    """Join it of two uploads, which say nothing that is heeded."""
    parts = []
    for content in (CONTENT[:5], CONTENT[5:]):
        parts.append(id_of(await begin_tus(site.client, len(content), concat="partial", sha256=RIGHT)))
        await patch(site.client, parts[-1], [content])
    concat = f"final;{' '.join(f'{AT}/{part}' for part in parts)}"
    return id_of(await begin_tus(site.client, 0, concat=concat, filename="a.txt", sha256=digest))


WAYS: list[Way] = [directly, announced_and_patched, at_once, in_pieces, in_parts]


@pytest.fixture(params=["memory"])
async def site(request: pytest.FixtureRequest, serve: Serve, backend: ObstoreBackend) -> AsyncIterator[Site]:
    """Documents that take uploads, in a store of some kind."""
    fs, options = MAKERS[request.param](request)
    store = ObstoreBackend(key="web", fs=fs, **options)
    async with serve(backend=store, build=taking_uploads, signing_keys=[SIGNING_KEY], shared=True) as site:
        storages.register_backend(store, replace=True)
        yield site
        await site.check()
        storages.register_backend(backend, replace=True)


@pytest.mark.parametrize("way", WAYS)
async def test_the_row_has_it(site: Site, way: Way) -> None:
    """What is right is the checksum of the row's file."""
    upload = await way(site, RIGHT)
    created = await site.client.post("/documents/", json={"title": "t", "upload": upload})

    assert created.status_code == 201, created.text
    assert created.json()["file"]["checksum"] == RIGHT


@pytest.mark.parametrize("site", ["local"], indirect=True)
@pytest.mark.parametrize("way", WAYS)
async def test_other_bytes_are_refused(site: Site, way: Way) -> None:
    """The client learns both digests, the upload has ended, and no byte of it is left but those of its parts."""
    upload = await way(site, WRONG)
    claim: Any = {"json": {"title": "t", "upload": upload}}
    answers = [await site.client.post("/documents/", **claim) for _ in range(2)]

    problem = problem_in(answers[0], 409, "upload-digest")
    assert (problem["announced"], problem["actual"]) == (WRONG, RIGHT)
    assert "begin a new one" in problem["detail"]
    assert "location" not in answers[0].headers
    problem_in(answers[1], 404, "upload-not-found")
    assert await site.rows(Document) == 0
    if way is in_parts:
        await site.check()
    else:
        await site.check_empty()


@pytest.mark.parametrize("verb", ["complete", "replace"])
async def test_other_bytes_are_refused_by_each_verb(site: Site, verb: str) -> None:
    """Whoever judges an upload compares it, and a row's file stays."""
    location = (await site.upload()).headers["location"]
    upload = await announced_and_patched(site, WRONG)
    if verb == "complete":
        answer = await site.client.post(f"{AT}/{upload}/complete")
    else:
        answer = await site.client.put(f"{location}/file", json={"upload": upload})

    problem_in(answer, 409, "upload-digest")
    problem_in(await site.client.get(f"{AT}/{upload}"), 404, "upload-not-found")
    assert (await site.client.get(f"{location}/file")).content == b"content"
    assert len(await site.keys()) == 1


async def test_a_digest_that_is_none(site: Site) -> None:
    """Clients of tus are told how to write it, too."""
    answer = await begin_tus(site.client, 5, filename="a.txt", sha256="47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=")

    assert "64 hexadecimal digits" in problem_in(answer, 400, "malformed-upload")["detail"]
