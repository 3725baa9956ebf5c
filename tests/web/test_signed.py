"""The application's own signed URLs: what they allow, and that nothing else is allowed."""

import re

import pytest

from fastapi_filestore import FileObject, ObstoreBackend, storages
from fastapi_filestore.storage.signing import UrlSigner
from tests.web.conftest import Serve
from tests.web.signing import backend, refused, signed, site
from tests.web.site import SIGNING_KEY, Site, problem_in

__all__ = ["backend", "site"]

OTHER_KEY = "another-signing-key-that-is-long-enough"


async def stored(content: bytes = b"content") -> FileObject:
    """Store a file."""
    return await FileObject("web", "ä.txt", content=content).save_async()


async def test_a_signed_url_downloads(site: Site) -> None:
    """GET and HEAD of a signed URL serve the file with its name, type and safe headers."""
    url = await (await stored()).sign_async()
    got, head = await site.client.get(url), await site.client.head(url)

    assert (got.status_code, got.content, got.headers["content-type"]) == (200, b"content", "text/plain")
    assert got.headers["content-disposition"] == "inline; filename=\"_.txt\"; filename*=UTF-8''%C3%A4.txt"
    assert got.headers["content-security-policy"] == "sandbox; default-src 'none'"
    assert (head.status_code, head.headers) == (200, got.headers)


async def test_a_signed_url_of_a_missing_object_is_a_404(site: Site) -> None:
    """A valid signature makes no bytes."""
    file = await stored()
    url = await file.sign_async()
    await file.delete_async()

    problem_in(await site.client.get(url), 404, "object-not-found")


async def test_a_url_for_one_purpose_serves_no_other(site: Site) -> None:
    """A URL that reads can't write, one that writes can't read, and other methods are not there."""
    read = await (await stored()).sign_async()
    write = await FileObject("web", "a.txt").sign_async(for_upload=True)

    await refused(await site.client.put(read, content=b"evil", headers={"content-type": "text/plain"}))
    await refused(await site.client.get(write))
    assert (await site.client.head(write)).status_code == 403
    assert (await site.client.delete(read)).status_code == 405
    assert (await site.client.get(read)).content == b"content"


async def test_every_changed_character_is_refused(site: Site) -> None:
    """Flip, drop or add a character anywhere: the same 403."""
    url = await (await stored()).sign_async()
    start = url.rindex("=") + 1
    flipped = [url[:at] + ("A" if url[at] != "A" else "B") + url[at + 1 :] for at in range(start, len(url))]
    others = [
        url[:-1],
        url[:start] + url[start + 1 :],
        url + "A",
        url + ".",
        url + "%3D",
        url + "%20",
        url[: start + 5],
    ]
    tokens = ["x", ".", "..", "a.b", "ü", "%00", "A" * 5000, "null.", "e30.e30"]

    for forged in [*flipped, *others, *(url[:start] + token for token in tokens if token not in {".", ".."})]:
        await refused(await site.client.get(forged))


async def test_a_url_expires(site: Site) -> None:
    """At its last second a URL works, and never again."""
    now = 1_000_000.0
    storages.signer = UrlSigner([SIGNING_KEY], base_url="/filestore?sig=", clock=lambda: now)
    url = await (await stored()).sign_async(expires_in=60)
    now += 59.9
    before = await site.client.get(url)
    now += 0.2

    assert before.status_code == 200
    await refused(await site.client.get(url))


async def test_the_log_says_why_a_url_is_refused(
    serve: Serve, backend: ObstoreBackend, caplog: pytest.LogCaptureFixture
) -> None:
    """Operators read what clients are not told, each reason in an event with the request, and never a token."""
    caplog.set_level("INFO", "fastapi_filestore")
    now = 1_000_000.0
    async with serve(build=signed, signing_keys=[SIGNING_KEY]) as site:
        old = await (await stored()).sign_async()
    async with serve(build=signed, signing_keys=[OTHER_KEY]) as site:
        signer = storages.signer = UrlSigner([OTHER_KEY], base_url="/filestore?sig=", clock=lambda: now)
        late = signer.sign("web", "a", method="GET", expires_in=60).url
        gone = signer.sign("gone", "a", method="GET", expires_in=600).url
        odd = signer.sign("web", "a", method="PUT", expires_in=600).url
        now += 61
        for url in (old, late, gone, odd, late[:-1], f"{late}%0Ax=", "/filestore"):
            await refused(await site.client.get(url))
        await refused(await site.client.put(odd, content=b""))
        storages.signer = None
        await refused(await site.client.get(late))
    lines = [record.message for record in caplog.records if record.message.startswith("fastapi_filestore.signed_url_")]
    told = [tuple(re.findall(r"signed_url_(\w+) reason=(\S+) method=(\w+) path=/filestore", line)[0]) for line in lines]

    assert told == [
        ("refused", "unknown-key", "GET"),
        ("expired", "expired", "GET"),
        ("refused", "unknown-backend", "GET"),
        ("refused", "another-method", "GET"),
        ("refused", "mangled", "GET"),
        ("refused", "mangled", "GET"),
        ("refused", "no-token", "GET"),
        ("refused", "impossible-path", "PUT"),
        ("refused", "no-signing-keys", "GET"),
    ]
    tokens = [url.partition("=")[2] for url in (old, late, gone, odd)]
    assert not any(part in caplog.text for token in tokens for part in token.split("."))
    assert {record.levelname for record in caplog.records if "reason=expired" in record.message} == {"INFO"}


async def test_keys_rotate(serve: Serve) -> None:
    """The first key signs, every key verifies, and a key that was taken out does not."""
    async with serve(build=signed, signing_keys=[SIGNING_KEY]):
        url = await (await stored()).sign_async()
    async with serve(build=signed, signing_keys=[OTHER_KEY, SIGNING_KEY]) as site:
        rotated = await site.client.get(url)
        newer = await (await stored()).sign_async()
    async with serve(build=signed, signing_keys=[OTHER_KEY]) as site:
        assert rotated.status_code == 200
        assert (await site.client.get(newer)).status_code == 200
        await refused(await site.client.get(url))
    async with serve(build=signed) as site:
        await refused(await site.client.get(newer))


@pytest.mark.parametrize(
    ("where", "path"), [("gone", "a"), ("web", ""), ("web", "../a"), ("web", "a\x00"), ("web", "\ud800")]
)
async def test_a_url_of_what_is_not_there_any_more(site: Site, where: str, path: str) -> None:
    """A good signature for a backend that was taken away, or a path that no store can hold, is the same 403."""
    assert storages.signer is not None
    await refused(await site.client.get(storages.signer.sign(where, path, method="GET", expires_in=60).url))
    await refused(await site.client.put(storages.signer.sign(where, path, method="PUT", expires_in=60).url))


@pytest.mark.parametrize("content_type", ["nonsense", "text/html\r\nX: y", "ü/ü"])
async def test_a_url_of_what_is_no_type(site: Site, content_type: str) -> None:
    """A good signature of a text that is no media type is a problem of the client's."""
    assert storages.signer is not None
    url = storages.signer.sign(
        "web", str((await stored()).path), method="GET", expires_in=60, content_type=content_type
    )

    problem_in(await site.client.get(url.url), 422, "unsupported-content")
