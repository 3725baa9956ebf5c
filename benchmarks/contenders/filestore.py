"""filestore as its documentation shows it: a dependency that stores; it knows no database, so the row is by hand."""

from typing import Annotated, Any

import boto3
from fastapi import Depends, HTTPException
from filestore import FileStore, LocalEngine, S3Engine, Store
from sqlalchemy.ext.asyncio import AsyncSession

from benchmarks.contenders.application import PLACE, application, guards
from benchmarks.contenders.rows import Document, get_session, lifespan
from benchmarks.place import Bucket

app = application(lifespan=lifespan)


def _in_bucket(bucket: Bucket) -> Any:
    client = boto3.client(
        "s3",
        endpoint_url=bucket.endpoint,
        region_name=bucket.region,
        aws_access_key_id=bucket.access_key,
        aws_secret_access_key=bucket.secret_key,
    )
    return S3Engine(bucket=bucket.name, client=client)


engine = LocalEngine(base_dir=PLACE.folder) if PLACE.bucket is None else _in_bucket(PLACE.bucket)
storage = FileStore("file", required=True, engine=engine, config={"max_file_size": PLACE.limit})


@app.post("/documents/", status_code=201, dependencies=guards())
async def upload(
    store: Annotated[Store, Depends(storage)], session: Annotated[AsyncSession, Depends(get_session)]
) -> dict[str, Any]:
    """Keep the row of a file that is stored."""
    if not store:
        raise HTTPException(413, store.error)
    file = store.flat_files[0]
    document = Document(
        title="A file", key=file.key, filename=file.filename, content_type=file.content_type, size=file.size
    )
    session.add(document)
    await session.commit()
    return {"id": document.id, "filename": file.filename, "size": file.size}
