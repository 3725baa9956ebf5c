"""What else goes wrong with a request of a store: its region, its credentials, its parts, its connection."""

import pytest

from fastapi_filestore import (
    StorageError,
    StorageUnavailableError,
)
from tests.servers.refusing import Answer, RefusingStore, Request, error_of
from tests.storage.refusing import KEY, OPERATIONS, Make, azure, failure, google, s3, store
from tests.storage.stores import MIB

__all__ = ["store"]


@pytest.mark.parametrize(
    "answer",
    [
        Answer(301, error_of("PermanentRedirect"), {"x-amz-bucket-region": "eu-west-1"}),
        Answer(301, error_of("PermanentRedirect", "<Region>eu-west-1</Region>")),
        Answer(301, error_of("PermanentRedirect", "<Endpoint>photos.s3-eu-west-1.amazonaws.com</Endpoint>")),
        Answer(400, error_of("AuthorizationHeaderMalformed", "<Region>eu-west-1</Region>")),
    ],
)
@pytest.mark.parametrize("name", OPERATIONS)
async def test_the_region_that_s3_names(store: RefusingStore, answer: Answer, name: str) -> None:
    """A bucket of another region is told with the region that S3 names, in whatever way, and the setting."""
    store.refuse(answer)
    error = await failure(OPERATIONS[name](s3(store.endpoint)))

    assert type(error) is StorageError
    assert "AWS_REGION" in str(error)
    assert "it is in eu-west-1" in str(error)
    assert error.status == answer.status


async def test_the_region_is_asked_for_once(store: RefusingStore) -> None:
    """Each request that fails because of the region costs one request and no more; without an answer it says less."""
    store.refuse(Answer(301, error_of("PermanentRedirect"), {"x-amz-bucket-region": "eu-west-1"}))
    backend = s3(store.endpoint)
    for _ in range(3):
        await failure(backend.put(KEY, b"x"))
    store.refuse(Answer(301))
    error = await failure(s3(store.endpoint).put(KEY, b"x"))

    assert [request.method for request in store.requests[:4]] == ["PUT", "GET", "PUT", "PUT"]
    assert str(error) == (
        f"Backend 'docs' is in another region, or at another address, than it is asked at for {KEY!r}: set AWS_REGION "
        "to the region of the bucket, or correct the endpoint (301)."
    )


@pytest.mark.parametrize(
    ("name", "setting"), [("put", "AWS_CONDITIONAL_PUT"), ("delete", "AWS_DISABLE_BULK_DELETE=true")]
)
async def test_what_a_store_does_not_know(store: RefusingStore, name: str, setting: str) -> None:
    """NotImplemented names the setting that helps."""
    store.refuse(Answer(501, error_of("NotImplemented")))
    error = await failure(OPERATIONS[name](s3(store.endpoint)))

    assert type(error) is StorageError
    assert setting in str(error)
    assert "501 NotImplemented" in str(error)


def _inside_200(request: Request) -> Answer:
    if request.method == "POST" and "uploads" in request.path:
        return Answer(200, "<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>")
    if request.method == "PUT" and "partNumber" in request.path:
        return Answer(200, headers={"ETag": '"e"'})
    if request.method == "DELETE":
        return Answer(204)
    if request.path.endswith("?delete"):
        inside = f"<Error><Key>{KEY}</Key><Code>InternalError</Code><Message>SECRET</Message></Error>"
        return Answer(200, f"<DeleteResult>{inside}</DeleteResult>")
    if request.method == "HEAD":
        return Answer(200, headers={"ETag": '"e"', "Content-Length": "1"})
    return Answer(200, error_of("InternalError"))


@pytest.mark.parametrize("name", ["put", "copy", "delete"])
async def test_an_error_inside_a_200(store: RefusingStore, name: str) -> None:
    """S3 begins some answers with 200 and finds out later: CompleteMultipartUpload, CopyObject and DeleteObjects."""
    store.answer = _inside_200
    backend = s3(store.endpoint)
    in_parts = backend.put(KEY, b"x" * 6 * MIB, use_multipart=True) if name == "put" else None
    error = await failure(in_parts or OPERATIONS[name](backend))

    assert type(error) is StorageUnavailableError
    assert "InternalError" in str(error)


@pytest.mark.parametrize("make", [s3, azure, google])
async def test_an_answer_without_an_entity_tag(store: RefusingStore, make: Make) -> None:
    """A proxy that drops the header is told as that."""
    store.refuse(Answer(200))
    error = await failure(make(store.endpoint).put(KEY, b"x"))

    assert type(error) is StorageError
    assert "without the entity tag" in str(error)


async def test_a_confirmed_object_that_is_not_there(store: RefusingStore) -> None:
    """A plain PUT whose answer of 200 holds an error has stored nothing: that is the store's fault, and passes."""
    store.answer = lambda request: Answer(200, error_of("InternalError")) if request.method == "PUT" else Answer(404)
    error = await failure(s3(store.endpoint).put(KEY, b"x"))

    assert type(error) is StorageUnavailableError
    assert "has no such object" in str(error)


@pytest.mark.parametrize(
    ("words", "action"),
    [
        (
            "User: arn:aws:iam::1:user/SECRET is not authorized to perform: kms:GenerateDataKey on it",
            "kms:GenerateDataKey",
        ),
        ("SECRET does not have storage.objects.create access to the object.", "storage.objects.create"),
    ],
)
async def test_the_action_that_credentials_lack(store: RefusingStore, words: str, action: str) -> None:
    """Who may not do something is told what it is, and nothing else of the store's words."""
    store.refuse(Answer(403, error_of("AccessDenied", f"<Message>{words}</Message>")))

    assert f"(403 AccessDenied they lack {action})" in str(await failure(s3(store.endpoint).put(KEY, b"x")))


async def test_a_bucket_that_wants_checksums(store: RefusingStore) -> None:
    """A bucket with Object Lock wants a checksum: the setting for it is named."""
    words = "Content-MD5 OR x-amz-checksum- HTTP header is required for Put Object requests with Object Lock parameters"
    store.refuse(Answer(400, error_of("InvalidRequest", f"<Message>{words}</Message>")))

    assert "set AWS_CHECKSUM_ALGORITHM=SHA256 (400 InvalidRequest)" in str(
        await failure(s3(store.endpoint).put(KEY, b"x"))
    )


async def test_parts_that_are_gone(store: RefusingStore) -> None:
    """An upload whose parts are dropped meanwhile is no missing object, though its end is a 404."""

    def answer(request: Request) -> Answer:
        is_of_parts = "uploadId" in request.path
        return Answer(404, error_of("NoSuchUpload") if request.method != "DELETE" else "") if is_of_parts else begun

    begun = _inside_200(Request("POST", "/photos/k?uploads"))
    store.answer = answer
    error = await failure(s3(store.endpoint).put(KEY, b"x" * 6 * MIB, use_multipart=True))

    assert type(error) is StorageUnavailableError
    assert "lost the parts" in str(error)


@pytest.mark.parametrize(
    ("endpoint", "expected", "words"),
    [
        ("https://no-such-host.invalid", StorageUnavailableError, "host is not known"),
        ("https{}", StorageError, "speaks no TLS"),
        ("http://127.0.0.1:1", StorageUnavailableError, "Connection refused, ECONNREFUSED"),
    ],
)
async def test_connections_that_fail(
    store: RefusingStore, endpoint: str, expected: type[StorageError], words: str
) -> None:
    """What keeps a connection from being made is told: the name, TLS, or the port."""
    error = await failure(s3(endpoint.format(store.endpoint.removeprefix("http"))).put(KEY, b"x"))

    assert type(error) is expected
    assert words in str(error)
