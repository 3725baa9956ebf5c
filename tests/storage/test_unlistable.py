"""An object of somebody else's whose name obstore can't take keeps a bucket from being listed: it is named."""

import urllib.request
from datetime import timedelta
from typing import Any

import pytest
from obstore.store import AzureStore

from fastapi_filestore import InvalidKeyError
from fastapi_filestore.storage.obstore.signing import sign_blob
from fastapi_filestore.storage.obstore_backend import ObstoreBackend
from tests.storage.conftest import boto, s3
from tests.storage.stores import make_backend

__all__ = ["boto", "s3"]

REMEDY = r"Rename or delete it with the store's own tools"


async def listed(backend: ObstoreBackend) -> list[str]:
    """Return the paths in a backend."""
    return [info.path async for info in backend.list()]


@pytest.mark.parametrize("name", ["a\tb", "deep/a\nb", 'quo"ted\x7f'])
async def test_on_s3(s3: ObstoreBackend, boto: Any, seaweedfs: Any, name: str) -> None:
    """The error of a listing shows the whole name of the object, escaped, and what to do."""
    key = f"{s3.url.rpartition('/')[2]}/{name}"
    boto.put_object(Bucket=seaweedfs.bucket, Key=key, Body=b"x")
    with pytest.raises(InvalidKeyError, match=REMEDY) as caught:
        await listed(s3)

    assert ascii(key) in str(caught.value)
    boto.delete_object(Bucket=seaweedfs.bucket, Key=key)
    assert await listed(s3) == []


@pytest.mark.parametrize("name", ["x//y", "a\tb", "a/../b"])
async def test_on_azure(request: pytest.FixtureRequest, azurite: Any, name: str) -> None:
    """On Azure, where two slashes stay two, the error shows the whole name as well."""
    backend = make_backend("azurite", request)
    prefix = backend.url.rpartition("/")[2]
    config: Any = {"account_name": azurite.account, "account_key": azurite.account_key, "endpoint": azurite.endpoint}
    store = AzureStore(azurite.container, prefix=prefix, config=config, client_options={"allow_http": True})
    url = sign_blob(store, name, method="PUT", expires_in=timedelta(minutes=1))
    assert url is not None
    put = urllib.request.Request(url, b"x", {"x-ms-blob-type": "BlockBlob"}, method="PUT")
    with urllib.request.urlopen(put) as answer:  # noqa: ASYNC210 - nothing else runs
        assert answer.status == 201
    with pytest.raises(InvalidKeyError, match=REMEDY) as caught:
        await listed(backend)

    assert ascii(f"{prefix}/{name}") in str(caught.value)


async def test_a_prefix_that_is_none(s3: ObstoreBackend) -> None:
    """A prefix that no object can have is not blamed on an object."""
    with pytest.raises(InvalidKeyError) as caught:
        [info async for info in s3.list("a\tb")]

    assert "somebody stored" not in str(caught.value)
