"""Every failure of a store becomes the fitting error of ours, and no secret gets out."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import obstore
import pytest
from obstore import exceptions as obstore_errors
from obstore.store import S3Store

from fastapi_filestore.errors import (
    BucketNotFoundError,
    InvalidKeyError,
    ObjectExistsError,
    ObjectNotFoundError,
    PreconditionFailedError,
    RangeNotSatisfiableError,
    StorageError,
    StoragePermissionError,
    StorageTimeoutError,
    StorageUnavailableError,
)
from fastapi_filestore.storage.failures.translate import KINDS, translate, translating
from fastapi_filestore.storage.obstore_backend import ObstoreBackend
from tests.storage.relay import relayed
from tests.storage.stores import MIB, NETWORKED, QUICK_RETRIES, make_backend

EVERY_CLASS = sorted(
    (each for each in vars(obstore_errors).values() if isinstance(each, type) and issubclass(each, BaseException)),
    key=lambda each: each.__name__,
)
READ_BY_TEXT = {"BaseError", "GenericError"}


def _s3(server: Any, **options: object) -> ObstoreBackend:
    given = {
        "aws_endpoint": server.endpoint,
        "aws_access_key_id": server.access_key,
        "aws_secret_access_key": server.secret_key,
        "aws_region": server.region,
        "retry_config": QUICK_RETRIES,
    }
    bucket, prefix = options.pop("bucket", server.bucket), options.pop("prefix", uuid4().hex)
    return ObstoreBackend("s3", f"s3://{bucket}/{prefix}", **(given | options))


def _azure(server: Any, **options: object) -> ObstoreBackend:
    given = {"account_name": server.account, "account_key": server.account_key, "endpoint": server.endpoint}
    container = options.pop("container", server.container)
    return ObstoreBackend("az", f"az://{container}", **(given | {"retry_config": QUICK_RETRIES} | options))


def _operations(backend: ObstoreBackend) -> list[Any]:
    async def listing() -> list[Any]:
        return [info async for info in backend.list()]

    return [
        backend.put("k", b"x"),
        backend.put("k", b"x", if_absent=True),
        backend.put("k", b"x" * 6 * MIB, use_multipart=True),
        backend.open("k"),
        backend.open("k", start=1, end=2),
        backend.head("k"),
        backend.copy("k", "l"),
        backend.delete("k"),
        backend.delete("k", "l"),
        listing(),
        backend.probe(),
    ]


async def _assert_each(backend: ObstoreBackend, kind: type[StorageError]) -> None:
    for operation in _operations(backend):
        with pytest.raises(StorageError) as caught:
            await operation

        assert type(caught.value) is kind, operation
        assert caught.value.backend == backend.key
        assert caught.value.__cause__ is None


@pytest.mark.parametrize("error", EVERY_CLASS)
def test_none_is_unmapped(error: type[BaseException]) -> None:
    """Every exception class of obstore has an entry of its own; only the two general ones are told by their text."""
    mapped = {source for source, _ in KINDS}
    result = translate(error("some text"), backend="docs", path="k")

    assert (error in mapped) is (error.__name__ not in READ_BY_TEXT)
    assert isinstance(result, StorageError)
    assert (result.backend, result.path) == ("docs", "k")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (FileNotFoundError("x"), ObjectNotFoundError),
        (obstore_errors.AlreadyExistsError("x"), ObjectExistsError),
        (obstore_errors.PreconditionError("x"), PreconditionFailedError),
        (obstore_errors.PermissionDeniedError("x"), StoragePermissionError),
        (obstore_errors.UnauthenticatedError("x"), StoragePermissionError),
        (obstore_errors.InvalidPathError("x"), InvalidKeyError),
        (obstore_errors.GenericError("status code: 503 Service Unavailable"), StorageUnavailableError),
        (obstore_errors.GenericError("status code: 429 Too Many Requests"), StorageUnavailableError),
        (obstore_errors.GenericError("status code: 504 Gateway Timeout"), StorageTimeoutError),
        (obstore_errors.GenericError("status code: 403 <Code>AccessDenied</Code>"), StoragePermissionError),
        (obstore_errors.GenericError("status code: 404 <Code>NoSuchBucket</Code>"), BucketNotFoundError),
        (obstore_errors.GenericError("status code: 416 Range Not Satisfiable"), RangeNotSatisfiableError),
        (obstore_errors.GenericError("HTTP error: operation timed out"), StorageTimeoutError),
        (obstore_errors.GenericError("HTTP error: error sending request"), StorageUnavailableError),
        (obstore_errors.GenericError("something else"), StorageError),
        (NotImplementedError("x"), StorageError),
        (ValueError("x"), StorageError),
    ],
)
def test_most_specific(error: BaseException, expected: type[StorageError]) -> None:
    """The class is the most specific one that obstore's class or text allows."""
    assert type(translate(error, backend="docs")) is expected


def test_key_that_looks_like_an_error() -> None:
    """A key's own words are never taken for the store's."""
    key = "<Code>NoSuchBucket</Code> status code: 503"
    error = translate(FileNotFoundError(f"Object at location {key} not found"), backend="docs", path=key)

    assert type(error) is ObjectNotFoundError


def test_text_stays_inside() -> None:
    """Whatever obstore says, URLs and signatures in it are not repeated."""
    text = "Error performing GET https://host/b/k?X-Amz-Signature=SECRET&sig=SECRET status code: 500 <Code>Oops</Code>"
    error = translate(obstore_errors.GenericError(text), backend="docs", path="k")

    assert str(error) == (
        "Backend 'docs' failed inside the store for 'k': look into the store's own log, a full disk is a frequent "
        "cause, and try again later (500 Oops)."
    )


def test_others_pass() -> None:
    """What is no store's failure is left alone, and so is what stops a program."""
    for error in (KeyError("x"), KeyboardInterrupt(), asyncio.CancelledError(), RuntimeError("x")):
        with pytest.raises(type(error)), translating("docs"):
            raise error


async def test_panic(seaweedfs: Any) -> None:
    """A crash inside the driver, which is no Exception, becomes a StorageError."""
    keys = {"access_key_id": seaweedfs.access_key, "secret_access_key": seaweedfs.secret_key}
    store = S3Store(
        seaweedfs.bucket, endpoint=seaweedfs.endpoint, region="x", client_options={"allow_http": True}, **keys
    )
    with pytest.raises(StorageError, match="report") as caught, translating("docs", "k"):
        await obstore.put_async(store, "k", b"x", attributes={"a": "new\nline"})

    assert (caught.value.backend, caught.value.path) == ("docs", "k")


async def test_missing_bucket_on_s3(seaweedfs: Any) -> None:
    """A missing bucket is told from a missing object by every operation."""
    await _assert_each(_s3(seaweedfs, bucket="no-such-bucket"), BucketNotFoundError)


async def test_missing_container_on_azure(azurite: Any) -> None:
    """A missing container is told from a missing blob by every operation."""
    await _assert_each(_azure(azurite, container="no-such-container"), BucketNotFoundError)


@pytest.mark.parametrize("wrong", [{"aws_secret_access_key": "wrong"}, {"aws_access_key_id": "wrong"}])
async def test_wrong_keys_on_s3(seaweedfs: Any, wrong: dict[str, str]) -> None:
    """Wrong credentials are a permission error from every operation."""
    await _assert_each(_s3(seaweedfs, **wrong), StoragePermissionError)


async def test_wrong_key_on_azure(azurite: Any) -> None:
    """A wrong account key or SAS token is a permission error from every operation, and is not shown."""
    await _assert_each(_azure(azurite, account_key="d3Jvbmc="), StoragePermissionError)
    sas = "sv=2023-11-03&ss=b&srt=sco&sp=rwdlac&se=2099-01-01T00:00:00Z&sig=SECRETSIGNATURE"
    backend = _azure(azurite, account_key=None, sas_token=sas)
    for operation in _operations(backend):
        with pytest.raises(StoragePermissionError) as caught:
            await operation

        assert "SECRETSIGNATURE" not in str(caught.value)


async def test_read_only_credentials(seaweedfs: Any) -> None:
    """Credentials that may only read pass a probe that does not write, and writing says what is missing."""
    await _s3(seaweedfs, prefix="read-only").put("a", b"x")
    backend = _s3(
        seaweedfs,
        prefix="read-only",
        aws_access_key_id=seaweedfs.readonly_access_key,
        aws_secret_access_key=seaweedfs.readonly_secret_key,
    )
    await backend.probe(write=False)
    for operation in (
        backend.probe(),
        backend.put("k", b"x"),
        backend.delete("k"),
        backend.delete("k", "l"),
        backend.copy("a", "b"),
    ):
        with pytest.raises(StoragePermissionError):
            await operation
    with pytest.raises(ObjectNotFoundError):
        await backend.head("k")


async def test_dead_endpoint(dead_port: int) -> None:
    """A dead port is reported by every operation, within the retries that were asked for."""
    keys = {"aws_access_key_id": "a", "aws_secret_access_key": "SECRET"}
    backend = ObstoreBackend(
        "dead", "s3://b", aws_endpoint=f"http://127.0.0.1:{dead_port}", retry_config={"max_retries": 0}, **keys
    )
    await _assert_each(backend, StorageUnavailableError)


async def test_default_retries(dead_port: int) -> None:
    """With the default retries a dead port is reported well within thirty seconds."""
    keys = {"aws_access_key_id": "a", "aws_secret_access_key": "b"}
    backend = ObstoreBackend("dead", "s3://b", aws_endpoint=f"http://127.0.0.1:{dead_port}", **keys)
    start = time.monotonic()
    with pytest.raises(StorageUnavailableError):
        await backend.put("k", b"x")

    assert time.monotonic() - start < 15


async def test_silent_server(seaweedfs: Any) -> None:
    """A server that accepts and never answers is a timeout, after the wait that was asked for."""
    async with relayed(seaweedfs.endpoint) as relay:
        relay.talks.clear()
        backend = _s3(seaweedfs, aws_endpoint=relay.endpoint, timeout=0.3, retry_config={"max_retries": 0})
        for operation in (backend.head("k"), backend.put("k", b"x"), backend.probe()):
            with pytest.raises(StorageTimeoutError):
                await operation


async def test_slow_reader(seaweedfs: Any) -> None:
    """Who reads slowly is not cut off: the timeout is for the store's silence, not for the length of a download."""
    async with relayed(seaweedfs.endpoint) as relay:
        backend = _s3(seaweedfs, aws_endpoint=relay.endpoint, timeout=0.5)
        await backend.put("k", b"x" * 12 * MIB, chunk_size=5 * MIB, max_concurrency=1)
        size = 0
        async for chunk in await backend.open("k"):
            size += len(chunk)
            await asyncio.sleep(0.03)

    assert size == 12 * MIB


async def test_torn_download(seaweedfs: Any) -> None:
    """A download whose connection goes silent half-way raises, rather than end early."""
    async with relayed(seaweedfs.endpoint) as relay:
        prefix = uuid4().hex
        await _s3(seaweedfs, prefix=prefix).put("k", b"x" * 20 * MIB)
        options = {"aws_endpoint": relay.endpoint, "timeout": 0.5, "retry_config": {"max_retries": 0}}
        stream = aiter(await _s3(seaweedfs, prefix=prefix, **options).open("k"))
        await anext(stream)
        relay.talks.clear()
        with pytest.raises(StorageTimeoutError):
            async for _ in stream:
                pass


async def test_one_request_for_short_content(seaweedfs: Any) -> None:
    """Content shorter than a part costs one request, whatever its form; a head, open and delete cost one each."""

    async def source() -> AsyncIterator[bytes]:
        for _ in range(10):
            yield b"x" * 1024

    async with relayed(seaweedfs.endpoint) as relay:
        backend = _s3(seaweedfs, aws_endpoint=relay.endpoint)
        await backend.put("k", source(), if_absent=True, metadata={"a": "ü"}, content_type="a/b")
        await backend.head("k")
        await (await backend.open("k", start=5)).read()
        await backend.delete("k", "l", "m")

    methods = [request.split()[0] for request in relay.requests]
    assert methods == ["PUT", "HEAD", "GET", "POST"]


@pytest.mark.parametrize("kind", NETWORKED)
async def test_probe_of_a_closed_backend(request: pytest.FixtureRequest, kind: str) -> None:
    """A closed backend says that it is closed, not that the store is down."""
    backend = make_backend(kind, request)
    await backend.aclose()
    with pytest.raises(StorageError, match="closed"):
        await backend.probe()
