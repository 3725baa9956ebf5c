"""Libraries take a stored file that was opened as they take any open file."""

import io
import zipfile

import boto3
import openpyxl
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from flask import Flask, Response, send_file
from PIL import Image

from fastapi_filestore import FileObject, StorageRegistry
from tests.servers.seaweedfs import SeaweedFS
from tests.storage.stores import make_backend


@pytest.fixture(params=["memory", "local", "seaweedfs"])
def registry(request: pytest.FixtureRequest) -> StorageRegistry:
    """A registry whose one backend is of each kind in turn."""
    registry = StorageRegistry()
    registry.register_backend(make_backend(request.param, request))
    return registry


def stored(registry: StorageRegistry, content: bytes, filename: str) -> FileObject:
    """Return a stored file."""
    return FileObject(None, filename, content=content, registry=registry).save()


@pytest.mark.works_with("Pillow")
def test_pillow(registry: StorageRegistry) -> None:
    """Pillow opens an image, and reads its pixels."""
    picture = io.BytesIO()
    Image.new("RGB", (300, 200), "teal").save(picture, "PNG")
    with stored(registry, picture.getvalue(), "a.png").open() as file, Image.open(file) as image:
        assert (image.size, image.format, image.getpixel((10, 10))) == ((300, 200), "PNG", (0, 128, 128))


@pytest.mark.works_with("pandas")
def test_pandas(registry: StorageRegistry) -> None:
    """Pandas reads CSV as text and in pieces."""
    file = stored(registry, b"name,size\n" + b"".join(b"n%d,%d\n" % (n, n) for n in range(5000)), "a.csv")

    assert pd.read_csv(file.open())["size"].sum() == sum(range(5000))
    assert sum(len(piece) for piece in pd.read_csv(file.open(), chunksize=999)) == 5000


@pytest.mark.works_with("Python's zipfile")
def test_zipfile(registry: StorageRegistry) -> None:
    """An archive is listed, and its members are read."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as target:
        target.writestr("a/b.txt", "hello\n" * 10000)
    with zipfile.ZipFile(stored(registry, archive.getvalue(), "a.zip").open()) as source:
        assert source.testzip() is None
        assert source.read("a/b.txt") == b"hello\n" * 10000


@pytest.mark.works_with("pyarrow")
def test_parquet(registry: StorageRegistry) -> None:
    """Pyarrow reads one column of a Parquet file."""
    table, target = pa.table({"a": list(range(10000)), "b": ["x"] * 10000}), io.BytesIO()
    pq.write_table(table, target)
    with stored(registry, target.getvalue(), "a.parquet").open() as file:
        assert pq.read_table(file, columns=["a"]) == table.select(["a"])


@pytest.mark.works_with("openpyxl")
def test_openpyxl(registry: StorageRegistry) -> None:
    """Openpyxl reads a workbook."""
    book, target = openpyxl.Workbook(), io.BytesIO()
    book.active["B2"] = "früh"
    book.save(target)
    with stored(registry, target.getvalue(), "a.xlsx").open() as file:
        assert openpyxl.load_workbook(file, read_only=True).active["B2"].value == "früh"


@pytest.mark.works_with("boto3")
def test_boto3(registry: StorageRegistry, seaweedfs: SeaweedFS) -> None:
    """boto3 uploads it, in parts."""
    content = bytes(range(256)) * (9 * 4096)
    client = boto3.client(
        "s3",
        endpoint_url=seaweedfs.endpoint,
        aws_access_key_id=seaweedfs.access_key,
        aws_secret_access_key=seaweedfs.secret_key,
        region_name=seaweedfs.region,
    )
    with stored(registry, content, "a.bin").open() as file:
        client.upload_fileobj(file, seaweedfs.bucket, "by-boto3")

    assert client.get_object(Bucket=seaweedfs.bucket, Key="by-boto3")["Body"].read() == content


@pytest.mark.works_with("Flask")
def test_flask(registry: StorageRegistry) -> None:
    """Flask sends it, whole and by range."""
    file, app = stored(registry, b"0123456789" * 1000, "a.txt"), Flask("application")

    @app.get("/")
    def send() -> Response:
        return send_file(file.open(), download_name=str(file.filename), conditional=True)

    client = app.test_client()

    assert client.get("/").data == b"0123456789" * 1000
    assert client.get("/").content_type.startswith("text/plain")
