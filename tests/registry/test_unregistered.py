"""What an application says of columns whose backend nobody has registered, as it starts."""

from collections.abc import Iterator

import pytest
from fastapi import FastAPI
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from fastapi_filestore import (
    ConfigurationError,
    FileObject,
    Filestore,
    FilestoreSettings,
    ObstoreBackend,
    StorageRegistry,
    StoredObject,
)

REGISTRY = StorageRegistry()
OTHER = StorageRegistry()


class Base(DeclarativeBase):
    """Classes that are mapped in this file."""


class Slide(Base):
    """A row with files in the default backend, in one that is named, and in one of another case."""

    __tablename__ = "slides"

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str]
    file: Mapped[FileObject | None] = mapped_column(StoredObject(registry=REGISTRY))

    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "slide"}  # noqa: RUF012


class Photo(Slide):
    """A row that inherits from another, and has a file of its own."""

    picture: Mapped[FileObject | None] = mapped_column(StoredObject("Pictures", registry=REGISTRY))

    __mapper_args__ = {"polymorphic_identity": "photo"}  # noqa: RUF012


class Elsewhere(Base):
    """A row whose column looks in another registry."""

    __tablename__ = "elsewhere"

    id: Mapped[int] = mapped_column(primary_key=True)
    file: Mapped[FileObject | None] = mapped_column(StoredObject("default", registry=OTHER))


@pytest.fixture(autouse=True)
def clean() -> Iterator[None]:
    """Leave no backend behind."""
    yield
    for backend in list(REGISTRY):
        REGISTRY.unregister_backend(backend.key)


def filestore(*names: str, models: tuple[type, ...]) -> Filestore:
    """Return a Filestore with some backends in memory, which serves some models."""
    backends = {name: {"url": "memory://"} for name in names}
    files = Filestore(Session, settings=FilestoreSettings(backends=backends, _env_file=None), registry=REGISTRY)
    for model in models:
        files.service(model)
    return files


async def run(files: Filestore) -> None:
    """Start an application and end it."""
    async with files.lifespan(FastAPI()):
        pass


@pytest.mark.parametrize(
    ("names", "model", "texts"),
    [
        (("a", "b"), Slide, ["Slide.file (backend 'default')", "there is a, b", "FILESTORE_BACKENDS__DEFAULT__URL"]),
        (("default",), Photo, ["Photo.picture (backend 'Pictures')", "FILESTORE_BACKENDS__PICTURES__URL"]),
        (("default",), Slide, ["Photo.picture (backend 'Pictures')"]),
        (("default", "pictures"), Photo, ["registered as 'pictures'"]),
        (("default",), Elsewhere, ["Elsewhere.file (backend 'default')", "StoredObject(registry=...)"]),
    ],
)
async def test_a_column_of_a_served_model_stops_the_start(
    names: tuple[str, ...], model: type, texts: list[str]
) -> None:
    """The start is refused with the column, its backend and the remedy, and nothing stays registered."""
    with pytest.raises(ConfigurationError) as raised:
        await run(filestore(*names, models=(model,)))

    assert [text for text in texts if text not in str(raised.value)] == []
    assert [backend.key for backend in REGISTRY] == []


async def test_a_column_of_another_class_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    """A mapped class that this application does not serve is named in the log, and the application starts."""
    await run(filestore("default", models=()))

    (line,) = [each for each in caplog.messages if each.startswith("fastapi_filestore.backend_not_registered")]
    (record,) = [each for each in caplog.records if each.getMessage() == line]
    assert {"Photo.picture (backend 'Pictures')", "Elsewhere.file (backend 'default')"} <= {*vars(record)["columns"]}
    assert "Slide.file (backend 'default')" not in vars(record)["columns"]


async def test_what_is_registered_in_code_is_enough() -> None:
    """A backend that the application has registered by itself before its start will do."""
    REGISTRY.register_backend(ObstoreBackend("Pictures", fs="memory://"))

    await run(filestore("default", models=(Photo,)))

    assert [backend.key for backend in REGISTRY] == ["Pictures"]
