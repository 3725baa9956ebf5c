"""Names of backends: registering, finding, forgetting, and which one is the default."""

from pathlib import Path
from typing import Any, cast

import pytest
from obstore.store import MemoryStore

from fastapi_filestore import (
    ConfigurationError,
    DuplicateBackendError,
    ObstoreBackend,
    OverlappingBackendsError,
    SigningUnavailableError,
    StorageRegistry,
    StoredObject,
    UnknownBackendError,
)
from fastapi_filestore.storage.paths import generate_upload_path
from fastapi_filestore.storage.signing import UrlSigner


def backend(key: str) -> ObstoreBackend:
    """A backend in memory."""
    return ObstoreBackend(key, "memory://")


@pytest.fixture
def registry() -> StorageRegistry:
    """A registry of two backends."""
    registry = StorageRegistry()
    registry.register_backend(backend("documents"))
    registry.register_backend(backend("images"))
    return registry


def test_finding(registry: StorageRegistry) -> None:
    """A backend is found by its key."""
    assert registry.get_backend("images").key == "images"


def test_iterating(registry: StorageRegistry) -> None:
    """Backends come in the order in which they were registered, and may be taken out meanwhile."""
    keys = [registry.unregister_backend(each.key).key for each in registry]

    assert keys == ["documents", "images"]
    assert len(registry) == 0


def test_containing(registry: StorageRegistry) -> None:
    """A registry says whether it knows a key, and how many."""
    assert "documents" in registry
    assert "videos" not in registry
    assert len(registry) == 2


def test_unknown_key(registry: StorageRegistry) -> None:
    """An unknown key is an error that names it, those that are known, and the remedy."""
    with pytest.raises(UnknownBackendError, match="'videos'") as caught:
        registry.get_backend("videos")

    assert (caught.value.key, caught.value.known) == ("videos", ("documents", "images"))
    assert "'documents', 'images'" in str(caught.value)
    assert "FILESTORE_BACKENDS__VIDEOS__URL" in str(caught.value)
    assert isinstance(caught.value, ConfigurationError)
    assert isinstance(caught.value, LookupError)


def test_nothing_registered() -> None:
    """Asking an empty registry says that nothing is registered."""
    with pytest.raises(UnknownBackendError, match="known: none"):
        StorageRegistry().get_backend()


def test_duplicate_key(registry: StorageRegistry) -> None:
    """A second backend of a key is an error that names it, the known ones and the remedy; the first one stays."""
    first = registry.get_backend("images")
    with pytest.raises(DuplicateBackendError, match=r"'images'.*'documents', 'images'.*replace=True") as caught:
        registry.register_backend(backend("images"))

    assert (caught.value.key, caught.value.known) == ("images", ("documents", "images"))
    assert registry.get_backend("images") is first


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("files", "files"),
        ("files", "files/images"),
        ("files/images", "files"),
        ("files", "linked"),
        ("s3://bucket", "s3://bucket/"),
        ("s3://bucket", "s3://bucket/images"),
        ("s3://bucket/a/b", "s3a://bucket/a"),
        ("gs://bucket/images", "gs://bucket"),
        ("az://container", "az://container/images"),
    ],
)
def test_backends_of_one_place(tmp_path: Path, first: str, second: str) -> None:
    """Two backends that would hold the same objects are refused by both names and places: each would tidy the other."""
    registry = StorageRegistry()
    registry.register_backend(placed("first", first, tmp_path))
    with pytest.raises(OverlappingBackendsError, match=r"'second'.*'first'.*a prefix beside the other's") as caught:
        registry.register_backend(placed("second", second, tmp_path))

    assert (caught.value.key, caught.value.other) == ("second", "first")
    assert len(registry) == 1


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("files", "files2"),
        ("files/a", "files/b"),
        ("s3://bucket/images", "s3://bucket/images2"),
        ("s3://bucket", "s3://other"),
        ("s3://bucket", "gs://bucket"),
        ("memory://", "memory://"),
    ],
)
def test_backends_of_different_places(tmp_path: Path, first: str, second: str) -> None:
    """Backends beside each other are fine, however alike their names are."""
    registry = StorageRegistry()
    registry.register_backend(placed("first", first, tmp_path))
    registry.register_backend(placed("second", second, tmp_path))

    assert len(registry) == 2


def test_a_bucket_of_another_store(tmp_path: Path) -> None:
    """A bucket of the same name at another endpoint is another one; one store under two keys is the same."""
    registry, store = StorageRegistry(), MemoryStore()
    for port in (9000, 9001):
        endpoint = f"http://127.0.0.1:{port}"
        backend = ObstoreBackend(
            f"at {port}",
            "s3://bucket",
            aws_endpoint=endpoint,
            aws_access_key_id="k",
            aws_secret_access_key="s",
            allow_http=True,
        )
        registry.register_backend(backend)
    registry.register_backend(ObstoreBackend("memory", store))
    with pytest.raises(OverlappingBackendsError):
        registry.register_backend(ObstoreBackend("again", store))


def placed(key: str, where: str, folder: Path) -> ObstoreBackend:
    """Return a backend in a bucket, or in a folder of the test's own."""
    (folder / "files").mkdir(exist_ok=True)
    if not (folder / "linked").exists():
        (folder / "linked").symlink_to(folder / "files")
    options: dict[str, str] = {}
    if where.startswith("az:"):
        options = {"azure_storage_account_name": "account", "azure_storage_account_key": "a2V5"}
    return ObstoreBackend(key, where if "://" in where else folder / where, **options)


@pytest.mark.parametrize("where", ["files", "linked", "s3://bucket/a", "gs://bucket", "az://container"])
def test_start_up_code_that_runs_twice(tmp_path: Path, where: str) -> None:
    """A backend of the same key and place is no duplicate: the newer one is used, and stays the default if it was."""
    registry = StorageRegistry()
    registry.register_backend(placed("other", "elsewhere", tmp_path))
    registry.register_backend(placed("mine", "files" if where == "linked" else where, tmp_path), default=True)
    again = placed("mine", where, tmp_path)
    registry.register_backend(again)

    assert registry.get_backend() is again
    assert len(registry) == 2


def test_start_up_code_that_runs_twice_with_another_place(tmp_path: Path) -> None:
    """One of the same key and another place is a duplicate still: rows would look for their files there."""
    registry = StorageRegistry()
    registry.register_backend(placed("mine", "files/a", tmp_path))
    for where in ("files", "files/b", "s3://bucket"):
        with pytest.raises(DuplicateBackendError):
            registry.register_backend(placed("mine", where, tmp_path))


def test_a_column_is_given_a_backend() -> None:
    """A column that is given a backend and not its key is refused at once, with what to write."""
    with pytest.raises(ConfigurationError, match=r"register it, and say StoredObject\(backend='images'\)"):
        StoredObject(backend=cast("Any", backend("images")))


@pytest.mark.parametrize("backend", [7, object(), ObstoreBackend, ["documents"]])
def test_what_is_no_backend_is_refused_at_once(backend: Any) -> None:
    """A column that is given neither a backend nor a key is refused where it is described."""
    with pytest.raises(ConfigurationError, match="give the key of a registered backend: a text"):
        StoredObject(backend=backend)


def test_registering_the_same_again(registry: StorageRegistry) -> None:
    """Registering the very same backend again changes nothing."""
    registry.register_backend(registry.get_backend("images"))

    assert len(registry) == 2


def test_replacing(registry: StorageRegistry) -> None:
    """A backend takes the place of another when that is asked for."""
    other = backend("images")
    registry.register_backend(other, replace=True)

    assert registry.get_backend("images") is other
    assert len(registry) == 2


def test_unregistering(registry: StorageRegistry) -> None:
    """A forgotten backend is returned, and its key may be used again."""
    forgotten = registry.unregister_backend("images")
    registry.register_backend(backend("images"))

    assert forgotten.key == "images"
    assert registry.get_backend("images") is not forgotten


def test_unregistering_an_unknown_key(registry: StorageRegistry) -> None:
    """Forgetting what is not known is an error that lists what is."""
    with pytest.raises(UnknownBackendError, match=r"'videos'.*'documents'"):
        registry.unregister_backend("videos")


def test_the_only_backend_is_the_default() -> None:
    """A single backend is the default, whatever it is called."""
    registry = StorageRegistry()
    registry.register_backend(backend("documents"))

    assert registry.get_backend().key == "documents"


def test_no_default_among_several(registry: StorageRegistry) -> None:
    """Of several backends none is the default unless one is called so or chosen."""
    with pytest.raises(UnknownBackendError, match=r"'default'.*'documents', 'images'"):
        registry.get_backend()


def test_the_backend_called_default(registry: StorageRegistry) -> None:
    """Of several backends the one called `default` is it."""
    registry.register_backend(backend("default"))

    assert registry.get_backend().key == "default"


def test_a_chosen_default(registry: StorageRegistry) -> None:
    """A default that is chosen when it is registered wins over the name."""
    registry.register_backend(backend("default"))
    registry.register_backend(backend("videos"), default=True)

    assert registry.get_backend().key == "videos"


def test_choosing_a_default_later(registry: StorageRegistry) -> None:
    """The default can be chosen among those that are known, and only among them."""
    registry.default_key = "images"
    with pytest.raises(UnknownBackendError, match="'videos'"):
        registry.default_key = "videos"

    assert registry.default_key == "images"


def test_forgetting_the_default(registry: StorageRegistry) -> None:
    """When the chosen default is forgotten, the other rules decide again."""
    registry.default_key = "images"
    registry.unregister_backend("images")

    assert registry.get_backend().key == "documents"


async def test_two_registries() -> None:
    """Two registries of one process know nothing of each other."""
    one, other = StorageRegistry(), StorageRegistry()
    one.register_backend(backend("documents"))
    other.register_backend(backend("documents"))
    await one.get_backend("documents").put("a", b"x")

    assert [info async for info in other.get_backend("documents").list()] == []


async def test_signing_without_a_signer(registry: StorageRegistry) -> None:
    """Where the store can't sign and there is no signing key, the store's own error says what to do."""
    with pytest.raises(SigningUnavailableError, match="FILESTORE_SIGNING_KEYS"):
        await registry.sign("images", "a", expires_in=60)


async def test_signing_with_a_signer(registry: StorageRegistry) -> None:
    """Where the store can't sign, the application does."""
    registry.signer = UrlSigner(["a-signing-key-that-is-long-enough-for-all"], base_url="/filestore/")
    path = generate_upload_path(60)
    signed = await registry.sign("images", path, method="PUT", expires_in=60)
    claims = registry.signer.verify(signed.url.removeprefix("/filestore/"), method="PUT")

    assert (claims.backend, claims.path) == ("images", path)
