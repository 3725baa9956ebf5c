"""Every code of a store says its reason to operators: what it is, and what to do about it."""

import json

import pytest

from fastapi_filestore import (
    BucketNotFoundError,
    InvalidKeyError,
    PreconditionFailedError,
    StorageError,
    StorageFullError,
    StoragePermissionError,
    StorageTimeoutError,
    StorageUnavailableError,
)
from fastapi_filestore.storage.failures.store_codes import CODES
from tests.servers.refusing import Answer, RefusingStore, error_of
from tests.storage.refusing import KEY, OPERATIONS, Make, azure, failure, google, s3, store

__all__ = ["store"]

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
        for name, make, rows in (("s3", s3, OF_S3), ("azure", azure, OF_AZURE), ("google", google, OF_GOOGLE))
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
    error = await failure(google(store.endpoint).put(KEY, b"x"))

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
@pytest.mark.parametrize("make", [s3, azure, google])
async def test_answers_without_a_code(
    store: RefusingStore, make: Make, status: int, expected: type[StorageError]
) -> None:
    """What a proxy in front of a store answers is told by its status, and by what that means."""
    store.refuse(Answer(status, "<html>SECRET page</html>"))
    error = await failure(make(store.endpoint).put(KEY, b"x"))

    assert (type(error), error.status) == (expected, status)
    assert f"({status})" in str(error)
    assert ": " in str(error)


@pytest.mark.parametrize(("make", "place"), [(s3, "s3://photos"), (azure, "az://photos"), (google, "gs://photos")])
@pytest.mark.parametrize("name", OPERATIONS)
async def test_a_bucket_that_is_gone_is_named(store: RefusingStore, make: Make, place: str, name: str) -> None:
    """Whatever is asked of a bucket that is not there, the error says which one it is."""
    code = "ContainerNotFound" if make is azure else "NoSuchBucket"
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

    assert said in str(await failure(s3(store.endpoint).put(KEY, b"x")))
