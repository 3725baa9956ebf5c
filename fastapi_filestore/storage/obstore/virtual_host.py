"""Buckets in the name of the host (`bucket.endpoint`), as Alibaba's and Tencent's stores ask for.

obstore takes an endpoint of that style as it is: unless its host names the bucket, the bucket is lost, and the first
part of a path is taken for one. So the bucket is put before the host that is given. One that begins with the bucket's
name may be the bucket's own, or that of a store which happens to be called like the bucket (s3://minio at minio.local):
it is taken where the rest is known to be a store's, and refused elsewhere.
"""

import re
from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit, urlunsplit

from obstore.store import S3Store

from fastapi_filestore.errors import ConfigurationError
from fastapi_filestore.storage.obstore.address import is_virtual_hosted, s3_endpoint

STORES = re.compile(
    r"s3[.-](?:[a-z0-9-]+\.){0,2}amazonaws\.com(?:\.cn)?|oss-[a-z0-9-]+\.aliyuncs\.com|cos\.[a-z0-9-]+\.myqcloud\.com"
)
"""Hosts of stores that are never another store's with a name in front, as their consoles show a bucket's."""
HOST_LABELS = re.compile(r"[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?")


def endpoint_with_bucket(store: S3Store, bucket: str) -> str | None:
    """Return the endpoint whose host names the bucket, if the store needs one and has another; None if it is right.

    Raises:
        ConfigurationError: There is no such host.
    """
    endpoint = s3_endpoint(store)
    if endpoint is None or not is_virtual_hosted(store):
        return None
    parts = urlsplit(endpoint)
    host = parts.hostname or ""
    if _is_address(host):
        raise ConfigurationError(
            f"aws_virtual_hosted_style_request puts the bucket {bucket!r} into the name of the host, and aws_endpoint "
            f"has the address {host} in its place: give the endpoint by its name, or leave "
            "aws_virtual_hosted_style_request out."
        )
    before, _, rest = host.partition(f"{bucket.lower()}.")
    if not before and rest:
        if STORES.fullmatch(rest):
            return None
        raise ConfigurationError(
            f"aws_virtual_hosted_style_request puts the bucket {bucket!r} before the host of aws_endpoint, which has "
            f"that name in front already: if it is the bucket's, give aws_endpoint without it, as {_at(parts, rest)}; "
            "if it is the store's own, leave aws_virtual_hosted_style_request out, so that the path names the bucket."
        )
    if not HOST_LABELS.fullmatch(bucket):
        raise ConfigurationError(
            f"aws_virtual_hosted_style_request puts the bucket before the host of aws_endpoint, and {bucket!r} can't "
            "be in such a name: leave aws_virtual_hosted_style_request out, so that the path names it."
        )
    return _at(parts, f"{bucket}.{host}")


def _at(endpoint: SplitResult, host: str) -> str:
    """Return an endpoint at another host."""
    port = "" if endpoint.port is None else f":{endpoint.port}"
    return urlunsplit(endpoint._replace(netloc=f"{host}{port}"))


def refuse_lost_bucket(store: S3Store, bucket: str) -> None:
    """Raise `ConfigurationError` if a store that somebody else made loses its bucket.

    Whoever gives obstore itself such an endpoint has put the bucket there.
    """
    if (urlsplit(s3_endpoint(store) or "").hostname or "").startswith(f"{bucket.lower()}."):
        return
    if (endpoint := endpoint_with_bucket(store, bucket)) is not None:
        raise ConfigurationError(
            f"virtual_hosted_style_request with an endpoint whose host does not name the bucket: objects of {bucket!r} "
            f"would land in another bucket. Make the S3Store with endpoint={endpoint!r}, or without "
            "virtual_hosted_style_request."
        )


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
