"""`Filestore`: backends from settings for as long as an application runs, and bindings that say what is wrong."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from pydantic import SecretStr

from fastapi_filestore import (
    BackendSettings,
    ConfigurationError,
    DuplicateBackendError,
    FileObject,
    Filestore,
    FilestoreSettings,
    ObstoreBackend,
    StorageError,
    StorageRegistry,
)
from fastapi_filestore.storage.signing import UrlSigner
from fastapi_filestore.testing import FrozenClock
from tests.web.filestores import memory, settings
from tests.web.site import SIGNING_KEY


async def test_backends_live_as_long_as_the_application() -> None:
    """They are registered at the start, and unregistered and closed at the end."""
    registry = StorageRegistry()
    files = Filestore(
        settings=FilestoreSettings(**settings(a=memory(), b=memory()), default_backend="b"), registry=registry
    )
    async with files.lifespan(FastAPI()):
        first = registry.get_backend("a")
        assert ({each.key for each in registry}, registry.default_key) == ({"a", "b"}, "b")

    assert len(registry) == 0
    with pytest.raises(StorageError):
        await first.put("x", b"x")


async def test_a_lifespan_can_run_again() -> None:
    """Tests start an application many times."""
    registry = StorageRegistry()
    files = Filestore(settings=FilestoreSettings(**settings(a=memory())), registry=registry)
    for _ in range(3):
        async with files.lifespan(FastAPI()):
            await registry.get_backend("a").put("x", b"x")

    assert len(registry) == 0


async def test_a_lifespan_composes() -> None:
    """Called from a lifespan of the user's, it ends with it, errors included."""
    registry, seen = StorageRegistry(), []
    files = Filestore(settings=FilestoreSettings(**settings(a=memory())), registry=registry)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with files.lifespan(app):
            seen.append(len(registry))
            yield

    app = FastAPI(lifespan=lifespan)
    async with app.router.lifespan_context(app):
        pass
    with pytest.raises(ZeroDivisionError):
        async with lifespan(app):
            raise ZeroDivisionError

    assert (seen, len(registry)) == ([1, 1], 0)


async def test_a_start_that_fails_leaves_nothing_registered() -> None:
    """A key that is taken stops the start, and the backends before it are gone again."""
    registry = StorageRegistry()
    mine = ObstoreBackend("b", "memory://")
    registry.register_backend(mine)
    files = Filestore(settings=FilestoreSettings(**settings(a=memory(), b=memory())), registry=registry)

    with pytest.raises(DuplicateBackendError, match=r"by the application's code, .*registry=mine"):
        async with files.lifespan(FastAPI()):
            pass
    assert list(registry) == [mine]


async def test_two_applications_of_one_environment() -> None:
    """Two Filestores, such as one for each database, share the backends of their settings till the last one ends."""
    registry = StorageRegistry()
    one, two = (
        Filestore(settings=FilestoreSettings(**settings(a=memory(), b=memory())), registry=registry) for _ in range(2)
    )
    async with AsyncExitStack() as first:
        await first.enter_async_context(one.lifespan(FastAPI()))
        shared = list(registry)
        second = two.lifespan(FastAPI())
        await second.__aenter__()
        assert list(registry) == shared
    assert list(registry) == shared
    await second.__aexit__(None, None, None)

    assert list(registry) == []


BUCKET = {"url": "s3://bucket", "aws_access_key_id": "k", "aws_secret_access_key": "first"}


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        ({"url": "s3://bucket"}, {"url": "memory://"}, r"differ in URL \(s3://bucket there, memory:// here\): give"),
        (BUCKET, {**BUCKET, "aws_secret_access_key": "second"}, "differ in AWS_SECRET_ACCESS_KEY: give"),
        (BUCKET, {**BUCKET, "public_url": "https://cdn.example.com"}, "differ in PUBLIC_URL: give"),
    ],
)
async def test_two_applications_that_differ(first: dict[str, Any], second: dict[str, Any], said: str) -> None:
    """Of two that mean something else by one name, the second is refused by what differs, without secrets."""
    registry = StorageRegistry()
    one, two = (
        Filestore(settings=FilestoreSettings(**settings(a=BackendSettings(**each))), registry=registry)
        for each in (first, second)
    )

    async with one.lifespan(FastAPI()):
        with pytest.raises(DuplicateBackendError, match=said) as caught:
            async with two.lifespan(FastAPI()):
                pass
    assert "registry=mine" in str(caught.value)
    assert "second" not in str(caught.value)


async def test_an_option_that_only_the_store_refuses() -> None:
    """What a store calls an option is told with what its variables begin with."""
    given = BackendSettings(url="s3://bucket", proxy_url=SecretStr("::bad"))
    files = Filestore(settings=FilestoreSettings(**settings(docs=given)), registry=StorageRegistry())
    with pytest.raises(ConfigurationError, match=r"proxy_url is not .* begin with FILESTORE_BACKENDS__DOCS__\."):
        async with files.lifespan(FastAPI()):
            pass


@pytest.mark.parametrize("spelling", ["{}/./files/", "{}//files", "{}/other/../files", "{}/linked"])
async def test_two_applications_of_one_folder(tmp_path: Path, spelling: str) -> None:
    """Two spellings of one folder are one backend, with all else equal."""
    registry = StorageRegistry()
    (tmp_path / "files").mkdir()
    (tmp_path / "linked").symlink_to("files")
    urls = [f"file://{tmp_path}/files", f"file://{spelling.format(tmp_path)}"]
    one, two = (
        Filestore(settings=FilestoreSettings(**settings(a=BackendSettings(url=url))), registry=registry) for url in urls
    )
    async with one.lifespan(FastAPI()), two.lifespan(FastAPI()):
        assert len(registry) == 1

    assert list(registry) == []


async def test_backends_registered_by_hand_stay() -> None:
    """With nothing set, no local folder joins them; they and their signer outlive the application."""
    registry = StorageRegistry()
    registry.register_backend(ObstoreBackend("mine", "memory://"))
    async with Filestore(settings=FilestoreSettings(_env_file=None), registry=registry).lifespan(FastAPI()):
        assert [each.key for each in registry] == ["mine"]

    assert [each.key for each in registry] == ["mine"]


async def test_signed_urls_live_as_long_as_settings_say() -> None:
    """FILESTORE_URL_EXPIRY holds for `url`, `sign_async` and `signed_url_async`, until the application ends."""
    registry, clock = StorageRegistry(), FrozenClock()
    given: dict[str, Any] = settings(a=memory()) | {"signing_keys": [SIGNING_KEY], "url_expiry": 77}
    async with Filestore(settings=FilestoreSettings(**given), registry=registry).lifespan(FastAPI()):
        signer = registry.signer = UrlSigner([SIGNING_KEY], base_url="", clock=clock)
        file = await FileObject("a", content=b"x", registry=registry).save_async()
        urls = [file.url, await file.sign_async(), file.sign(), (await file.signed_url_async()).url]
        own = await file.sign_async(expires_in=5)

        assert [signer.verify(str(url), method="GET").expires for url in urls] == [int(clock.now) + 77] * 4
        assert signer.verify(own, method="GET").expires == int(clock.now) + 5

    assert registry.url_seconds == 3600


async def test_the_signer_lives_as_long_as_the_application() -> None:
    """Signing keys sign while it runs, and what was there before is there again."""
    registry = StorageRegistry()
    given: dict[str, Any] = settings(a=memory()) | {"signing_keys": [SIGNING_KEY], "public_url": "https://f.example"}
    async with Filestore(settings=FilestoreSettings(**given), registry=registry).lifespan(FastAPI()):
        assert registry.signer is not None
        assert registry.signer.base_url == "https://f.example/filestore?sig="

    assert registry.signer is None
