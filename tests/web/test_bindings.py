"""Bindings of a file store read no environment, keep applications apart and say what is wrong."""

from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient
from sqlalchemy import create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from sqlalchemy.pool import StaticPool

from fastapi_filestore import (
    ConfigurationError,
    FileObject,
    Filestore,
    FilestoreSettings,
    SettingsError,
    StorageRegistry,
    StoredObject,
    storages,
)
from tests.servers.seaweedfs import SeaweedFS
from tests.web.filestores import memory, nothing, settings
from tests.web.models import Album, Document, Pair, Plain


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
