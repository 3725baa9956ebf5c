"""Every failure of a store or a disk says its reason to operators: what it is, its code, and what to do about it."""

import errno
import json
import os
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
from obstore import exceptions as obstore_errors

from fastapi_filestore import (
    BucketNotFoundError,
    InvalidKeyError,
    ObjectExistsError,
    ObjectNotFoundError,
    PreconditionFailedError,
    StorageError,
    StorageFullError,
    StoragePermissionError,
    StorageTimeoutError,
    StorageUnavailableError,
)
from fastapi_filestore.storage.failures.store_codes import CODES
from fastapi_filestore.storage.failures.translate import translate, translating
from fastapi_filestore.storage.obstore_backend import ObstoreBackend
from tests.servers.refusing import QUICK, Answer, RefusingStore, Request, error_of, run_refusing_store
from tests.storage.stores import MIB

KEY = "aa/the-key"
SECRETS = ("SECRET", "wJalr", "AKIAEXAMPLE", "127.0.0.1", "http:", "https:")
ACCOUNT_KEY = "U0VDUkVU"
Make = Callable[[str], ObstoreBackend]


def _s3(endpoint: str) -> ObstoreBackend:
    keys = {"aws_access_key_id": "AKIAEXAMPLE", "aws_secret_access_key": "wJalr", "aws_region": "us-east-1"}
    return ObstoreBackend("docs", "s3://photos", aws_endpoint=endpoint, retry_config=QUICK, **keys)


def _azure(endpoint: str) -> ObstoreBackend:
    options = {"account_name": "account", "account_key": ACCOUNT_KEY, "endpoint": f"{endpoint}/account"}
    return ObstoreBackend("docs", "az://photos", retry_config=QUICK, **options)


def _google(endpoint: str) -> ObstoreBackend:
    account = {"gcs_base_url": endpoint, "disable_oauth": True, "client_email": "", "private_key": "SECRET"}
    text = json.dumps({**account, "private_key_id": ""})
    return ObstoreBackend("docs", "gs://photos", google_service_account_key=text, allow_http=True, retry_config=QUICK)


@pytest.fixture
def store() -> Iterator[RefusingStore]:
    """A store that answers as it is told."""
    with run_refusing_store() as running:
        yield running


async def _listed(backend: ObstoreBackend) -> list[Any]:
    return [info async for info in backend.list()]


OPERATIONS: dict[str, Callable[[ObstoreBackend], Coroutine[Any, Any, Any]]] = {
    "put": lambda backend: backend.put(KEY, b"x"),
    "open": lambda backend: backend.open(KEY),
    "copy": lambda backend: backend.copy(KEY, "aa/another"),
    "delete": lambda backend: backend.delete(KEY),
    "list": _listed,
    "probe": lambda backend: backend.probe(),
}


async def failure(call: Coroutine[Any, Any, Any]) -> StorageError:
    """Return what a call raises, which tells nothing that is secret."""
    with pytest.raises(StorageError) as caught:
        await call
    error = caught.value
    assert not any(secret in f"{error} {vars(error)}" for secret in SECRETS), str(error)
    return error


# -- the codes of stores -----------------------------------------------------------------------------

OF_S3: list[tuple[int, str, type[StorageError]]] = [
    (403, "AccessDenied", StoragePermissionError),
    (403, "AccountProblem", StoragePermissionError),
    (403, "InvalidAccessKeyId", StoragePermissionError),
    (403, "SignatureDoesNotMatch", StoragePermissionError),
    (400, "ExpiredToken", StoragePermissionError),
    (400, "InvalidToken", StoragePermissionError),
    (403, "RequestTimeTooSkewed", StoragePermissionError),
    (403, "InvalidObjectState", StorageError),
    (400, "KMS.DisabledException", StoragePermissionError),
    (400, "KMS.NotFoundException", StoragePermissionError),
    (403, "QuotaExceeded", StorageFullError),
    (507, "XMinioStorageFull", StorageFullError),
    (400, "XMinioAdminBucketQuotaExceeded", StorageFullError),
    (400, "EntityTooLarge", StorageFullError),
    (503, "SlowDown", StorageUnavailableError),
    (503, "ServiceUnavailable", StorageUnavailableError),
    (500, "InternalError", StorageUnavailableError),
    (400, "RequestTimeout", StorageTimeoutError),
    (409, "OperationAborted", StorageUnavailableError),
    (404, "NoSuchBucket", BucketNotFoundError),
    (404, "NoSuchUpload", StorageUnavailableError),
    (412, "PreconditionFailed", PreconditionFailedError),
    (400, "BadDigest", StorageUnavailableError),
    (400, "KeyTooLongError", InvalidKeyError),
    (400, "InvalidBucketName", StorageError),
    (405, "MethodNotAllowed", StorageError),
    (400, "SomethingNewInTheYear2031", StorageError),
]
OF_AZURE: list[tuple[int, str, type[StorageError]]] = [
    (403, "AuthenticationFailed", StoragePermissionError),
    (403, "AuthorizationPermissionMismatch", StoragePermissionError),
    (403, "AuthorizationFailure", StoragePermissionError),
    (403, "AccountIsDisabled", StoragePermissionError),
    (403, "AuthorizationSourceIPMismatch", StoragePermissionError),
    (403, "KeyVaultEncryptionKeyNotFound", StoragePermissionError),
    (409, "BlobArchived", StorageError),
    (409, "BlobImmutableDueToPolicy", StoragePermissionError),
    (412, "LeaseIdMissing", StoragePermissionError),
    (404, "ContainerNotFound", BucketNotFoundError),
    (409, "ContainerBeingDeleted", BucketNotFoundError),
    (503, "ServerBusy", StorageUnavailableError),
    (500, "OperationTimedOut", StorageTimeoutError),
    (413, "RequestBodyTooLarge", StorageFullError),
    (400, "AccountRequiresHttps", StorageError),
]
OF_GOOGLE: list[tuple[int, str, type[StorageError]]] = [
    (400, "UserProjectMissing", StoragePermissionError),
    (403, "AccessDenied", StoragePermissionError),
    (403, "SecurityPolicyViolated", StoragePermissionError),
    (403, "ObjectUnderActiveHold", StoragePermissionError),
    (429, "SlowDown", StorageUnavailableError),
    (401, "AuthenticationRequired", StoragePermissionError),
    (404, "NoSuchBucket", BucketNotFoundError),
    (503, "ServiceUnavailable", StorageUnavailableError),
    (400, "CustomerEncryptionKeyIsIncorrect", StoragePermissionError),
]


@pytest.mark.parametrize(
    ("make", "status", "code", "expected"),
    [
        pytest.param(make, *row, id=f"{name}-{row[1]}")
        for name, make, rows in (("s3", _s3, OF_S3), ("azure", _azure, OF_AZURE), ("google", _google, OF_GOOGLE))
        for row in rows
    ],
)
async def test_codes_of_stores(
    store: RefusingStore, make: Make, status: int, code: str, expected: type[StorageError]
) -> None:
    """Whatever is asked, an answer's code decides what is raised, and it is told with the status and a remedy."""
    store.refuse(Answer(status, error_of(code)))
    backend = make(store.endpoint)
    for name in ("put", "delete", "list", "probe"):
        error = await failure(OPERATIONS[name](backend))

        assert type(error) is expected, name
        assert f"({status} {code})" in str(error)
        assert (error.code, error.status) == (code, status), name
        assert error.cause
        assert "failed for" not in str(error)


def test_there_are_many_codes() -> None:
    """A code means one thing, and more are known than are tried here."""
    assert len({code for _, code, _ in OF_S3 + OF_AZURE + OF_GOOGLE}) >= 40
    assert len(CODES) >= 150


async def test_what_google_says_in_json(store: RefusingStore) -> None:
    """The reason in JSON is as good as a code in XML."""
    store.refuse(Answer(400, json.dumps({"error": {"code": 400, "errors": [{"reason": "userProjectMissing"}]}})))
    error = await failure(_google(store.endpoint).put(KEY, b"x"))

    assert (type(error), error.code) == (StoragePermissionError, "userProjectMissing")
    assert "who pays" in str(error)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (400, StorageError),
        (401, StoragePermissionError),
        (403, StoragePermissionError),
        (405, StorageError),
        (408, StorageTimeoutError),
        (413, StorageFullError),
        (418, StorageError),
        (429, StorageUnavailableError),
        (500, StorageUnavailableError),
        (501, StorageError),
        (502, StorageUnavailableError),
        (503, StorageUnavailableError),
        (504, StorageTimeoutError),
        (507, StorageFullError),
        (599, StorageUnavailableError),
    ],
)
@pytest.mark.parametrize("make", [_s3, _azure, _google])
async def test_answers_without_a_code(
    store: RefusingStore, make: Make, status: int, expected: type[StorageError]
) -> None:
    """What a proxy in front of a store answers is told by its status, and by what that means."""
    store.refuse(Answer(status, "<html>SECRET page</html>"))
    error = await failure(make(store.endpoint).put(KEY, b"x"))

    assert (type(error), error.status) == (expected, status)
    assert f"({status})" in str(error)
    assert ": " in str(error)


@pytest.mark.parametrize(("make", "place"), [(_s3, "s3://photos"), (_azure, "az://photos"), (_google, "gs://photos")])
@pytest.mark.parametrize("name", OPERATIONS)
async def test_a_bucket_that_is_gone_is_named(store: RefusingStore, make: Make, place: str, name: str) -> None:
    """Whatever is asked of a bucket that is not there, the error says which one it is."""
    code = "ContainerNotFound" if make is _azure else "NoSuchBucket"
    store.refuse(Answer(404, error_of(code)))
    error = await failure(OPERATIONS[name](make(store.endpoint)))

    assert type(error) is BucketNotFoundError
    assert f"points to {place}, a bucket or container that does not exist" in str(error)
    assert (error.backend, error.status) == ("docs", 404)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (
            Answer(504),
            "FILESTORE_BACKENDS__DOCS__TIMEOUT (`timeout` in code) says how long it may be silent, 10 seconds",
        ),
        (Answer(407), "check FILESTORE_BACKENDS__DOCS__PROXY_URL (407)"),
        (
            Answer(500, error_of("InternalError")),
            "own log, a full disk is a frequent cause, and try again later (500 In",
        ),
    ],
)
async def test_a_remedy_in_the_words_of_settings(store: RefusingStore, answer: Answer, said: str) -> None:
    """A remedy names the variable of this backend, and where else to look."""
    store.refuse(answer)

    assert said in str(await failure(_s3(store.endpoint).put(KEY, b"x")))


# -- what S3 says besides ------------------------------------------------------------------------------


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
    error = await failure(OPERATIONS[name](_s3(store.endpoint)))

    assert type(error) is StorageError
    assert "AWS_REGION" in str(error)
    assert "it is in eu-west-1" in str(error)
    assert error.status == answer.status


async def test_the_region_is_asked_for_once(store: RefusingStore) -> None:
    """Each request that fails because of the region costs one request and no more; without an answer it says less."""
    store.refuse(Answer(301, error_of("PermanentRedirect"), {"x-amz-bucket-region": "eu-west-1"}))
    backend = _s3(store.endpoint)
    for _ in range(3):
        await failure(backend.put(KEY, b"x"))
    store.refuse(Answer(301))
    error = await failure(_s3(store.endpoint).put(KEY, b"x"))

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
    error = await failure(OPERATIONS[name](_s3(store.endpoint)))

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
    backend = _s3(store.endpoint)
    in_parts = backend.put(KEY, b"x" * 6 * MIB, use_multipart=True) if name == "put" else None
    error = await failure(in_parts or OPERATIONS[name](backend))

    assert type(error) is StorageUnavailableError
    assert "InternalError" in str(error)


@pytest.mark.parametrize("make", [_s3, _azure, _google])
async def test_an_answer_without_an_entity_tag(store: RefusingStore, make: Make) -> None:
    """A proxy that drops the header is told as that."""
    store.refuse(Answer(200))
    error = await failure(make(store.endpoint).put(KEY, b"x"))

    assert type(error) is StorageError
    assert "without the entity tag" in str(error)


async def test_a_confirmed_object_that_is_not_there(store: RefusingStore) -> None:
    """A plain PUT whose answer of 200 holds an error has stored nothing: that is the store's fault, and passes."""
    store.answer = lambda request: Answer(200, error_of("InternalError")) if request.method == "PUT" else Answer(404)
    error = await failure(_s3(store.endpoint).put(KEY, b"x"))

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

    assert f"(403 AccessDenied they lack {action})" in str(await failure(_s3(store.endpoint).put(KEY, b"x")))


async def test_a_bucket_that_wants_checksums(store: RefusingStore) -> None:
    """A bucket with Object Lock wants a checksum: the setting for it is named."""
    words = "Content-MD5 OR x-amz-checksum- HTTP header is required for Put Object requests with Object Lock parameters"
    store.refuse(Answer(400, error_of("InvalidRequest", f"<Message>{words}</Message>")))

    assert "set AWS_CHECKSUM_ALGORITHM=SHA256 (400 InvalidRequest)" in str(
        await failure(_s3(store.endpoint).put(KEY, b"x"))
    )


async def test_parts_that_are_gone(store: RefusingStore) -> None:
    """An upload whose parts are dropped meanwhile is no missing object, though its end is a 404."""

    def answer(request: Request) -> Answer:
        is_of_parts = "uploadId" in request.path
        return Answer(404, error_of("NoSuchUpload") if request.method != "DELETE" else "") if is_of_parts else begun

    begun = _inside_200(Request("POST", "/photos/k?uploads"))
    store.answer = answer
    error = await failure(_s3(store.endpoint).put(KEY, b"x" * 6 * MIB, use_multipart=True))

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
    error = await failure(_s3(endpoint.format(store.endpoint.removeprefix("http"))).put(KEY, b"x"))

    assert type(error) is expected
    assert words in str(error)


# -- the numbers of this system ------------------------------------------------------------------------

OF_A_NUMBER: dict[str, type[StorageError]] = {
    "ENOSPC": StorageFullError,
    "EDQUOT": StorageFullError,
    "EFBIG": StorageFullError,
    "EROFS": StoragePermissionError,
    "EACCES": StoragePermissionError,
    "EPERM": StoragePermissionError,
    "EMFILE": StorageUnavailableError,
    "ENFILE": StorageUnavailableError,
    "ENOMEM": StorageUnavailableError,
    "EIO": StorageError,
    "ENAMETOOLONG": InvalidKeyError,
    "ENOTDIR": InvalidKeyError,
    "EISDIR": InvalidKeyError,
    "ELOOP": StorageError,
    "ESTALE": StorageUnavailableError,
    "ENOENT": ObjectNotFoundError,
    "EEXIST": ObjectExistsError,
    "EBUSY": StorageUnavailableError,
    "ETIMEDOUT": StorageTimeoutError,
    "ECONNREFUSED": StorageUnavailableError,
    "ECONNRESET": StorageUnavailableError,
    "EBADF": StorageError,
}
SHAPES: dict[str, Callable[[int], BaseException]] = {
    "OSError": lambda number: OSError(number, os.strerror(number), "/srv/SECRET"),
    "text": lambda number: obstore_errors.GenericError(
        f"Generic LocalFileSystem error: Unable to copy data to file: {os.strerror(number)} (os error {number})"
    ),
    "details": lambda number: obstore_errors.GenericError(
        "Generic S3 error: HTTP error: error sending request\n\nDebug source:\nGeneric { source: ConnectError("
        f'"tcp connect error", 127.0.0.1:1, Os {{ code: {number}, kind: Other, message: "SECRET" }})'
    ),
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("number", sorted(errno.errorcode))
def test_numbers_of_this_system(number: int, shape: str) -> None:
    """Every number is told by the system's words and by its name, however it comes, with what can be done."""
    error = translate(SHAPES[shape](number), backend="docs", path=KEY)

    assert error is not None
    assert str(error).endswith(f"({os.strerror(number)}, {errno.errorcode[number]}).")
    assert (error.errno, error.code) == (number, errno.errorcode[number])
    assert "SECRET" not in str(error)
    assert type(error) is OF_A_NUMBER.get(errno.errorcode[number], type(error))


@pytest.mark.parametrize(
    "error",
    [
        obstore_errors.GenericError("something else"),
        obstore_errors.BaseError(""),
        obstore_errors.JoinError("JoinError"),
        obstore_errors.NotSupportedError("x"),
        NotImplementedError("x"),
        ValueError("SECRET"),
        OSError("SECRET"),
        OSError(4242, "SECRET"),
    ],
)
def test_what_nobody_knows(error: BaseException) -> None:
    """A failure that says nothing we know is at least called by its name."""
    told = translate(error, backend="docs", path=KEY)

    assert told is not None
    assert told.cause
    assert told.cause in str(told)
    assert "SECRET" not in str(told)


def test_kinds_of_rust_are_told() -> None:
    """Of what only a driver knows, the kinds of its errors are told, and nothing that they hold."""
    text = (
        'Generic S3 error: oops https://host/k?sig=SECRET\n\nDebug source:\nGeneric { store: "S3", source: '
        'NewlyInvented { kind: Quantum, uri: https://host/Secret(1)?sig=SECRET, text: "Hidden (SECRET)" } }'
    )
    told = translate(obstore_errors.GenericError(text), backend="docs", path=KEY)

    assert str(told) == (
        f"Backend 'docs' failed for {KEY!r}: this is all that is known of it (GenericError NewlyInvented Quantum)."
    )


def test_a_folder_is_named(tmp_path: Path) -> None:
    """A local disk is no bucket, and operators read which folder it is about."""
    with pytest.raises(StorageFullError) as caught, translating("docs", folder=tmp_path):
        raise OSError(errno.ENOSPC, "")

    assert str(caught.value).startswith(f"Backend 'docs' in '{tmp_path}' has no room for its folder: free some")


# -- the probe -----------------------------------------------------------------------------------------


@pytest.fixture
def local(tmp_path: Path) -> ObstoreBackend:
    """A local folder."""
    return ObstoreBackend("docs", tmp_path / "files")


@pytest.mark.parametrize(
    ("number", "words"),
    [(errno.ENOSPC, "No space left"), (errno.EROFS, "read-only"), (errno.EACCES, "owner"), (errno.EIO, "disk")],
)
async def test_the_probe_says_what_the_disk_says(
    local: ObstoreBackend, monkeypatch: pytest.MonkeyPatch, number: int, words: str
) -> None:
    """A folder that can't be written is told by the system's reason, and nothing is left in it."""

    def writev(file: int, pieces: object) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "writev", writev)
    error = await failure(local.probe())

    assert words in str(error)
    assert errno.errorcode[number] in str(error)
    assert local.folder is not None
    assert [*local.folder.iterdir()] == []


async def test_the_probe_leaves_nothing(local: ObstoreBackend) -> None:
    """A folder that can be written is as it was."""
    await local.probe()

    assert local.folder is not None
    assert [*local.folder.iterdir()] == []
