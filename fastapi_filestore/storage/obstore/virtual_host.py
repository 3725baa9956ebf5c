"""Buckets in the name of the host (`bucket.endpoint`), as Alibaba's and Tencent's stores ask for.

obstore takes an endpoint of that style as it is: unless its host names the bucket, the bucket is lost, and the first
part of a path is taken for one.
"""

import re
from ipaddress import ip_address
from urllib.parse import urlsplit, urlunsplit

from obstore.store import S3Store

from fastapi_filestore.errors import ConfigurationError
from fastapi_filestore.storage.obstore.address import is_virtual_hosted, s3_endpoint

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
    if host.startswith(f"{bucket.lower()}."):
        return None
    if _is_address(host):
        raise ConfigurationError(
            f"aws_virtual_hosted_style_request puts the bucket {bucket!r} into the name of the host, and aws_endpoint "
            f"has the address {host} in its place: give the endpoint by its name, or leave "
            "aws_virtual_hosted_style_request out."
        )
    if not HOST_LABELS.fullmatch(bucket):
        raise ConfigurationError(
            f"aws_virtual_hosted_style_request puts the bucket before the host of aws_endpoint, and {bucket!r} can't "
            "be in such a name: leave aws_virtual_hosted_style_request out, so that the path names it."
        )
    port = "" if parts.port is None else f":{parts.port}"
    return urlunsplit(parts._replace(netloc=f"{bucket}.{host}{port}"))


def refuse_lost_bucket(store: S3Store, bucket: str) -> None:
    """Raise `ConfigurationError` if a store that somebody else made loses its bucket."""
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
