"""`files.check()` of backends: on every kind of store, and where something is wrong with it."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import boto3
import pytest

from fastapi_filestore import ObstoreBackend, StoragePermissionError
from fastapi_filestore.service.check.checked import Outcome
from fastapi_filestore.storage.backend import ObjectInfo
from fastapi_filestore.storage.paths import is_upload_path
from fastapi_filestore.testing import FaultyBackend
from tests.maintenance.checking import checked_backends, left_in, outcomes
from tests.servers.refusing import Answer as ServerAnswer
from tests.servers.refusing import RefusingStore, error_of, run_refusing_store
from tests.servers.seaweedfs import SeaweedFS
from tests.storage.stores import KINDS, make_backend

OK, WRONG, WEAK, UNKNOWN = Outcome.OK, Outcome.WRONG, Outcome.WEAK, Outcome.UNKNOWN
OF_OBJECTS = ("put", "read", "range", "no overwriting", "copy", "list", "delete")
UNSIGNED = ("memory", "local")


@pytest.fixture
def refusing() -> Iterator[RefusingStore]:
    """A store that answers as it is told to."""
    with run_refusing_store() as store:
        yield store


def backend_at(endpoint: str, **options: object) -> ObstoreBackend:
    """Return a backend of S3 at an endpoint, that gives up soon."""
    keys = {"aws_access_key_id": "key", "aws_secret_access_key": "secret-word", "aws_region": "us-east-1"}
    return ObstoreBackend("s", "s3://bucket", aws_endpoint=endpoint, retry_config={"max_retries": 0}, **keys | options)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_store_that_works(kind: str, request: pytest.FixtureRequest) -> None:
    """Everything is asked of every kind of store, signed URLs are really used, and nothing is left behind."""
    backend = make_backend(kind, request)
    answers = await checked_backends(backend)
    found = outcomes(answers.values())

    assert {name: found[name] for name in OF_OBJECTS} == dict.fromkeys(OF_OBJECTS, OK)
    signs = UNKNOWN if kind in UNSIGNED else OK
    assert (found["sign"], found["sign for upload"], found["clock"]) == (signs, signs, OK)
    assert (answers["sign"].detail == "fetched", answers["sign for upload"].detail == "stored") == (signs is OK,) * 2
    assert found["upload once"] is OK
    assert (answers["upload once"].detail == "stored once, and taken where it lies") == (signs is OK)
    # SeaweedFS tells of no region, and has no rule unless somebody gives it one.
    assert found["region"] is (UNKNOWN if kind == "seaweedfs" else OK)
    assert found["unfinished uploads"] is (WEAK if kind == "seaweedfs" else OK)
    assert await left_in(backend) == []


async def test_a_rule_for_unfinished_uploads(request: pytest.FixtureRequest, seaweedfs: SeaweedFS) -> None:
    """A lifecycle rule of the bucket that drops them is found, and one for another prefix is none."""
    backend = make_backend("seaweedfs", request)
    prefix = backend.url.rpartition("/")[2]
    client = boto3.client(
        "s3",
        endpoint_url=seaweedfs.endpoint,
        aws_access_key_id=seaweedfs.access_key,
        aws_secret_access_key=seaweedfs.secret_key,
        region_name=seaweedfs.region,
    )

    def set_rule(below: str) -> None:
        rule = {
            "ID": "unfinished",
            "Status": "Enabled",
            "Filter": {"Prefix": below},
            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7},
        }
        client.put_bucket_lifecycle_configuration(Bucket=seaweedfs.bucket, LifecycleConfiguration={"Rules": [rule]})

    try:
        set_rule("elsewhere/")
        without = await checked_backends(backend)
        set_rule(f"{prefix}/")
        with_rule = await checked_backends(backend)
    finally:
        client.delete_bucket_lifecycle(Bucket=seaweedfs.bucket)
        client.close()

    assert without["unfinished uploads"].outcome is WEAK
    assert "AbortIncompleteMultipartUpload" in without["unfinished uploads"].detail
    assert with_rule["unfinished uploads"].outcome is OK


WRONG_PLACES = {
    "a wrong secret": ({"aws_secret_access_key": "another-secret"}, "check the secret or account key"),
    "a wrong key": ({"aws_access_key_id": "nobody"}, "check the access key"),
    "nobody there": ({"aws_endpoint": "http://127.0.0.1:1"}, "check the endpoint and that the store is up"),
}


@pytest.mark.parametrize(("options", "remedy"), WRONG_PLACES.values(), ids=WRONG_PLACES.keys())
async def test_a_wrong_option(request: pytest.FixtureRequest, options: dict[str, object], remedy: str) -> None:
    """It is told where something is stored, with the remedy and without the secret; the rest is not asked."""
    answers = await checked_backends(make_backend("seaweedfs", request, **options))

    assert answers["put"].outcome is WRONG
    assert remedy in answers["put"].detail
    assert outcomes(answers.values()) | {"clock": UNKNOWN} == {
        name: WRONG if name == "put" else UNKNOWN for name in answers
    }
    assert "another-secret" not in str(answers)


async def test_a_wrong_bucket(seaweedfs: SeaweedFS) -> None:
    """A bucket that does not exist is called by its name."""
    keys = {"aws_access_key_id": seaweedfs.access_key, "aws_secret_access_key": seaweedfs.secret_key}
    backend = ObstoreBackend("s", "s3://no-such-bucket", aws_endpoint=seaweedfs.endpoint, **keys)

    answers = await checked_backends(backend)

    assert answers["put"].outcome is WRONG
    assert "bucket or container that does not exist: create it" in answers["put"].detail
    assert answers["clock"].outcome is OK


async def test_credentials_that_may_only_read(request: pytest.FixtureRequest, seaweedfs: SeaweedFS) -> None:
    """Credentials that may not store are found out."""
    keys = {
        "aws_access_key_id": seaweedfs.readonly_access_key,
        "aws_secret_access_key": seaweedfs.readonly_secret_key,
    }
    answers = await checked_backends(make_backend("seaweedfs", request, **keys))

    assert answers["put"].outcome is WRONG
    assert "what they permit" in answers["put"].detail


async def test_a_refused_deletion(tmp_path: Path) -> None:
    """It says which objects are left behind, that an audit knows them, and what the store said."""

    def refusal() -> Exception:
        return StoragePermissionError("Backend 'local' refused access.")

    backend = ObstoreBackend("local", tmp_path)
    answers = await checked_backends(FaultyBackend(backend, lambda _, name: name == "delete", error=refusal))
    left = await left_in(backend)

    assert answers["delete"].outcome is WRONG
    assert "Backend 'local' refused access." in answers["delete"].detail
    assert {answers[name].outcome for name in OF_OBJECTS if name != "delete"} == {OK}
    assert len(left) > 1
    assert all(path in answers["delete"].detail for path in left)


@pytest.mark.parametrize(("hours", "words"), [(2, "behind the store's"), (-2, "ahead of the store's")])
async def test_clocks_that_differ(refusing: RefusingStore, hours: int, words: str) -> None:
    """A store whose clock says something else than this machine's is found out, whatever else it answers."""
    then = format_datetime(datetime.now(UTC) + timedelta(hours=hours), usegmt=True)
    refusing.refuse(ServerAnswer(403, error_of("RequestTimeTooSkewed"), {"Date": then}))

    answers = await checked_backends(backend_at(refusing.endpoint))

    assert answers["clock"].outcome is WRONG
    assert words in answers["clock"].detail
    assert "(NTP)" in answers["clock"].detail


async def test_another_region(refusing: RefusingStore) -> None:
    """A bucket that is in another region is told with the setting that is to be changed."""
    refusing.refuse(ServerAnswer(301, error_of("PermanentRedirect"), {"x-amz-bucket-region": "eu-west-1"}))

    answers = await checked_backends(backend_at(refusing.endpoint))

    assert answers["region"].outcome is WRONG
    assert "set AWS_REGION=eu-west-1" in answers["region"].detail


async def test_a_host_of_browsers_only(request: pytest.FixtureRequest) -> None:
    """URLs that are signed for a host which only browsers reach may be fine, and everything else is asked."""
    answers = await checked_backends(make_backend("seaweedfs", request, public_endpoint="http://127.0.0.1:1"))
    found = outcomes(answers.values())

    assert {name: found[name] for name in OF_OBJECTS} == dict.fromkeys(OF_OBJECTS, OK)
    assert (found["sign"], found["sign for upload"]) == (WEAK, WEAK)
    assert "PUBLIC_ENDPOINT" in answers["sign"].detail
    assert "Signature" not in answers["sign"].detail


async def test_a_store_that_hangs(tmp_path: Path) -> None:
    """Each question has its time, and then the next one is asked."""
    backend = FaultyBackend(ObstoreBackend("local", tmp_path), lambda *_: False, delay=30)

    answers = await checked_backends(backend, limit=0.05)

    assert answers["put"].outcome is WRONG
    assert "no answer within 0.05 s" in answers["put"].detail
    assert {answer.outcome for answer in answers.values()} == {WRONG, UNKNOWN}


class Forgetful(ObstoreBackend):
    """A backend whose copies are empty, and which overwrites what it must not."""

    async def copy(self, source: str, target: str) -> None:
        """Store nothing."""
        await super().put(target, b"")

    async def put(self, path: str, content: Any, **options: Any) -> ObjectInfo:
        """Store whatever is there."""
        return await super().put(path, content, **options | {"if_absent": False})

    async def list(self, prefix: str = "", *, after: str | None = None) -> AsyncIterator[ObjectInfo]:
        """List nothing."""
        for path in tuple[str, ...]():
            yield await self.head(path)


async def test_a_store_that_is_none() -> None:
    """What a store only says that it does is found out."""
    found = outcomes((await checked_backends(Forgetful("odd", "memory://"))).values())

    assert {name for name, outcome in found.items() if outcome is WRONG} == {"no overwriting", "copy", "list"}


async def test_a_check_that_is_cut_off(tmp_path: Path) -> None:
    """Nothing is left behind by a check that is cancelled."""
    backend = ObstoreBackend("local", tmp_path)
    reading = asyncio.Event()

    class Slow(FaultyBackend):
        async def open(self, path: str, **options: Any) -> Any:
            reading.set()
            await asyncio.sleep(60)

    task = asyncio.create_task(checked_backends(Slow(backend, lambda *_: False)))
    await reading.wait()
    assert len(await left_in(backend)) == 1
    task.cancel()
    await asyncio.wait({task})

    assert await left_in(backend) == []


async def test_what_is_stored_is_known_to_audits(tmp_path: Path) -> None:
    """The paths are those of client uploads, which an audit clears away some time after they expired."""
    paths = list[str]()

    class Noting(ObstoreBackend):
        async def put(self, path: str, content: Any, **options: Any) -> ObjectInfo:
            paths.append(path)
            return await super().put(path, content, **options)

    await checked_backends(Noting("local", tmp_path))

    assert len(paths) > 1
    assert all(map(is_upload_path, paths))
