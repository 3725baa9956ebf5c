"""`Filestore`: backends from settings for as long as an application runs, and bindings that say what is wrong."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient
from pydantic import SecretStr
from sqlalchemy import create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from sqlalchemy.pool import StaticPool

from fastapi_filestore import (
    BackendSettings,
    ConfigurationError,
    DuplicateBackendError,
    FileObject,
    Filestore,
    FilestoreSettings,
    ObstoreBackend,
    SettingsError,
    StorageError,
    StorageRegistry,
    StoredObject,
    storages,
)
from fastapi_filestore.storage.signing import UrlSigner
from fastapi_filestore.testing import FrozenClock
from tests.servers.seaweedfs import SeaweedFS
from tests.web.models import Album, Document, Pair, Plain
from tests.web.site import SIGNING_KEY


def settings(**backends: BackendSettings) -> dict[str, Any]:
    """Return the arguments of settings with some backends."""
    return {"_env_file": None, "backends": backends}


def memory() -> BackendSettings:
    """Return the settings of a backend in memory."""
    return BackendSettings(url="memory://")


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


def two_applications() -> list[Any]:
    """Make two applications, each with a registry, a model and a database of its own."""
    return [_application(), _application()]


def _application() -> Any:
    registry = StorageRegistry()

    class Base(DeclarativeBase):
        pass

    class Item(Base):
        __tablename__ = "items"
        id: Mapped[int] = mapped_column(primary_key=True)
        file: Mapped[FileObject] = mapped_column(StoredObject(registry=registry))

    engine = create_engine("sqlite://", connect_args={"check_same_thread": False}, poolclass=StaticPool)
    Base.metadata.create_all(engine)
    files = Filestore(lambda: Session(engine), settings=FilestoreSettings(**settings(main=memory())), registry=registry)
    app = FastAPI(lifespan=files.lifespan)
    app.include_router(files.router(Item), prefix="/items")
    return app, registry, engine


@pytest.mark.filterwarnings("ignore::ResourceWarning")
async def test_two_applications_keep_their_files_apart() -> None:
    """Two registries in one process share nothing, not even the name of a backend."""
    for_both = [*two_applications()]
    for number, (app, registry, engine) in enumerate(for_both):
        async with (
            app.router.lifespan_context(app),
            AsyncClient(transport=ASGITransport(app=app), base_url="http://a") as client,
        ):
            created = await client.post("/items/", files={"file": ("a", b"%d" % number)})
            assert (await client.get(created.json()["file"]["url"])).content == b"%d" % number
            assert len([info async for info in registry.get_backend("main").list()]) == 1
            assert "main" not in storages
        engine.dispose()


# -- the probe -----------------------------------------------------------------------------------------


async def test_a_probe_lists_every_backend_that_fails(
    seaweedfs: SeaweedFS, dead_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FILESTORE_PROBE stops the start with one message: each backend that fails, and why; no secret is in it.

    With `read`, credentials that may only read will do.
    """
    s3 = {"AWS_REGION": seaweedfs.region, "AWS_ALLOW_HTTP": "true"}
    right = {"AWS_ACCESS_KEY_ID": seaweedfs.access_key, "AWS_SECRET_ACCESS_KEY": seaweedfs.secret_key}
    here, dead = {"AWS_ENDPOINT": seaweedfs.endpoint}, {"AWS_ENDPOINT": f"http://127.0.0.1:{dead_port}"}
    backends = {
        "GOOD": {"URL": f"s3://{seaweedfs.bucket}/good"} | s3 | right | here,
        "FORGED": {"URL": f"s3://{seaweedfs.bucket}/forged"}
        | s3
        | right
        | here
        | {"AWS_SECRET_ACCESS_KEY": "forged-secret"},
        "BUCKETLESS": {"URL": "s3://no-such-bucket/"} | s3 | right | here,
        "READER": {"URL": f"s3://{seaweedfs.bucket}/reader"}
        | s3
        | here
        | {"AWS_ACCESS_KEY_ID": seaweedfs.readonly_access_key, "AWS_SECRET_ACCESS_KEY": seaweedfs.readonly_secret_key},
        "DEAD": {"URL": f"s3://{seaweedfs.bucket}/"} | s3 | right | dead,
    }
    for name, options in backends.items():
        for option, value in options.items():
            monkeypatch.setenv(f"FILESTORE_BACKENDS__{name}__{option}", value)
    registry = StorageRegistry()

    for probe, failing in (("1", ["- reader", "- dead"]), ("read", ["- dead"])):
        monkeypatch.setenv("FILESTORE_PROBE", probe)
        with pytest.raises(ConfigurationError) as caught:
            async with Filestore(settings=FilestoreSettings(_env_file=None), registry=registry).lifespan(FastAPI()):
                pass

        lines = str(caught.value).splitlines()
        assert [line.partition(":")[0] for line in lines[1:]] == ["- forged", "- bucketless", *failing]
        assert ("FILESTORE_PROBE=read" in lines[0]) is (probe == "1")
        assert not any(secret in str(caught.value) for secret in ("forged-secret", seaweedfs.secret_key))
        assert len(registry) == 0


# -- misuse --------------------------------------------------------------------------------------------


def nothing() -> None:
    """Stand in for a session dependency."""


def test_binding_reads_no_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Modules can be imported before the environment is complete; what is wrong in it shows at first use."""
    monkeypatch.setenv("FILESTORE_MAX_UPLOAD_SIZE", "nonsense")
    monkeypatch.chdir(tmp_path)
    files = Filestore(nothing)
    files.router(Document)
    files.service(Document)
    files.signed_router()

    assert files.exception_handlers
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(SettingsError, match="FILESTORE_MAX_UPLOAD_SIZE"):
        _ = files.settings


@pytest.mark.parametrize(
    ("model", "options", "remedy"),
    [
        (Plain, {}, "StoredObject"),
        (Album, {}, "field="),
        (Album, {"field": "nothing"}, "cover, booklet, photos"),
        (Album, {"field": "photos"}, "several files"),
        (Document, {"field": "title"}, "file columns: file"),
        (Pair, {}, "by hand"),
    ],
)
def test_a_model_that_no_router_fits_is_refused(model: type[Any], options: dict[str, Any], remedy: str) -> None:
    """The error is raised where the router is made, names the model and says what to do."""
    with pytest.raises(ConfigurationError, match=remedy) as caught:
        Filestore(nothing).router(model, **options)

    assert model.__name__ in str(caught.value)


def test_a_router_without_sessions_is_refused() -> None:
    """Without a session dependency there is nothing to keep rows in."""
    for bind in (Filestore().router, Filestore().service):
        with pytest.raises(ConfigurationError, match=r"Filestore\(get_session\)"):
            bind(Document)
