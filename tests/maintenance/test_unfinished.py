"""Uploads that a killed process left half done: found where a store keeps them, dropped on demand, live ones spared."""

import re
import sys
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import JSON, insert, type_coerce, update

from fastapi_filestore import Finding, FindingKind, ObstoreBackend, audit, storages, sweep
from tests.maintenance.conftest import Site
from tests.maintenance.models import LEDGER, Report
from tests.maintenance.unfinished import begin, bucket, make
from tests.storage.conftest import boto as boto  # noqa: PLC0414 - a fixture

__all__ = ["bucket"]

NOW = timedelta(seconds=-10)
"""A grace that makes everything old: clocks of stores keep whole seconds."""


async def found(site: Site, **options: Any) -> list[Finding]:
    """Return the unfinished uploads that an audit finds."""
    return [one async for one in audit(site.engine, Report, **options) if one.kind is FindingKind.UNFINISHED_UPLOAD]


@pytest.mark.parametrize("site", ["sqlite-async", "postgres-sync"], indirect=True)
async def test_in_a_bucket(site: Site, bucket: ObstoreBackend, boto: Any, seaweedfs: Any) -> None:
    """An old multipart upload is found and, on demand, aborted; of other prefixes nothing is seen."""
    begin(boto, seaweedfs, bucket, "ab/c")
    begin(boto, seaweedfs, make(seaweedfs, "other"), "ab/d")

    [finding] = await found(site, grace=NOW)
    assert (finding.backend, finding.path, finding.fixed) == ("shelf", "ab/c", False)
    assert await found(site) == []

    [fixed] = await found(site, grace=NOW, fix=["unfinished_upload"])

    assert (fixed.path, fixed.fixed) == ("ab/c", True)
    assert await found(site, grace=NOW) == []


@pytest.mark.parametrize("site", ["sqlite-async", "postgres-sync"], indirect=True)
async def test_a_live_upload(site: Site, bucket: ObstoreBackend, boto: Any, seaweedfs: Any) -> None:
    """An upload that the ledger knows of is on its way, however long it takes."""
    begin(boto, seaweedfs, bucket, "ab/c")
    await site.execute(insert(LEDGER.table).values(backend="shelf", path="ab/c", kind="upload", due_at=10**10))

    assert await found(site, grace=NOW, fix=["unfinished_upload"]) == []


@pytest.mark.parametrize("site", ["sqlite-async"], indirect=True)
async def test_in_a_folder(site: Site) -> None:
    """What obstore left half written in a folder is found, and removed on demand; objects are not."""
    site.place("ab/c#1")
    site.place("ab/young#2", age=timedelta(0))
    row = await site.add()

    [finding] = await found(site, fix=["unfinished_upload"])

    assert (finding.path, finding.fixed) == ("ab/c", True)
    assert site.objects() == {"ab/young#2", row.file.path}


THEIRS = ["Invoice #12", "Invoice #1234567890123", "docs/Scan #7"]
"""Names that other programs give, and that only uploads seem to have."""


@pytest.mark.parametrize("site", ["sqlite-async", "postgres-sync"], indirect=True)
@pytest.mark.parametrize("name", THEIRS)
@pytest.mark.parametrize("spelled", ["{}", "/{}", ".//{}"])
async def test_an_object_of_another_program_that_looks_like_one(site: Site, name: str, spelled: str) -> None:
    """What a row holds is no upload, whatever its name looks like: an audit leaves it alone."""
    site.place(name)
    row = await site.add()
    await site.execute(update(Report).values(file=type_coerce({"filename": spelled.format(name)}, JSON)))
    await row.file.delete_async()

    assert await found(site, fix=["unfinished_upload"]) == []
    assert site.objects() == {name}


@pytest.mark.parametrize("site", ["sqlite-async", "postgres-sync"], indirect=True)
@pytest.mark.parametrize("name", THEIRS)
async def test_a_sweep_beside_such_an_object(site: Site, name: str) -> None:
    """An upload that never ended takes only its own remains along; where a row holds what looks like some, none."""
    path = name.rpartition("#")[0]
    site.place(name)
    site.place("other#1")
    row = await site.add()
    await site.execute(update(Report).values(file=type_coerce({"filename": name}, JSON)))
    await row.file.delete_async()
    for intended in (path, "other"):
        await site.execute(insert(LEDGER.table).values(backend="shelf", path=intended, kind="upload", due_at=0))

    assert {one.error async for one in sweep(site.engine, LEDGER)} == {None}
    assert site.objects() == {name}


@pytest.mark.parametrize("site", ["sqlite-async"], indirect=True)
async def test_without_boto3(site: Site, bucket: ObstoreBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the extra, the audit says that it could not look, and how it can."""
    monkeypatch.setitem(sys.modules, "boto3.session", None)

    [finding] = await site.audit()

    assert (finding.kind, finding.backend) == (FindingKind.UNCHECKED, "shelf")
    assert 'pip install "fastapi-filestore[aws]"' in finding.detail


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"aws_access_key_id": "stranger", "aws_secret_access_key": "wrong"}, "s3:ListBucketMultipartUploads"),
        ({"aws_endpoint": "http://127.0.0.1:9"}, r"could not list its unfinished uploads \(EndpointConnectionError\)"),
    ],
)
@pytest.mark.parametrize("site", ["sqlite-async"], indirect=True)
async def test_a_store_that_refuses(site: Site, seaweedfs: Any, options: Any, problem: str) -> None:
    """A store that refuses, or can't be reached, is a finding in words of ours."""
    backend = make(seaweedfs, "shelf", retry_config={"max_retries": 0}, **options)
    storages.register_backend(backend, replace=True)

    findings = await site.audit()

    assert {finding.kind for finding in findings} == {FindingKind.UNCHECKED}
    assert any(re.search(problem, finding.detail) for finding in findings)


async def test_stores_that_need_none() -> None:
    """A store that drops unfinished uploads by itself has none to show."""
    assert [upload async for upload in ObstoreBackend("memory", "memory://").unfinished_uploads()] == []
