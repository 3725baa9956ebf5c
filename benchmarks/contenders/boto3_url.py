"""What people write for uploads straight to a bucket: a URL that boto3 signs to write once, and no row."""

from typing import Any
from uuid import uuid4

import boto3
from botocore.config import Config
from pydantic import BaseModel

from benchmarks.contenders.application import PLACE, application

assert PLACE.bucket is not None
app, bucket = application(), PLACE.bucket
s3 = boto3.client(
    "s3",
    endpoint_url=bucket.endpoint,
    region_name=bucket.region,
    aws_access_key_id=bucket.access_key,
    aws_secret_access_key=bucket.secret_key,
    config=Config(signature_version="s3v4", s3={"addressing_style": "path"}),
)


class Announced(BaseModel):
    """What a client is going to store."""

    content_type: str
    size: int


@app.post("/documents/uploads", status_code=201)
async def sign(announced: Announced) -> dict[str, Any]:
    """Sign a URL for one object."""
    named = {"Bucket": bucket.name, "Key": uuid4().hex, "IfNoneMatch": "*"}
    url = s3.generate_presigned_url("put_object", {**named, "ContentType": announced.content_type})
    headers = {"If-None-Match": "*", "Content-Type": announced.content_type}
    return {"id": named["Key"], "direct": {"url": url, "headers": headers}}
