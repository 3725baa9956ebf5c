"""Tell the URL that a bucket's objects are below: with the bucket in its path or in the name of its host.

obstore makes that URL up. It takes a part of it from the environment, and shows none of that in a store's
configuration. To ask it for a signed URL would start its threads, and a process that is forked later could use no
store.

obstore takes an endpoint of that style as it is: unless its host names the bucket, the bucket is lost, and the first
part of a path is taken for one. So the bucket is put before the host that is given. One that begins with the bucket's
name may be the bucket's own, or that of a store which happens to be called like the bucket (s3://minio at minio.local):
it is taken where the rest is known to be a store's, and refused elsewhere.
"""

import json
import os
import re
from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

from obstore.store import AzureStore, GCSStore, S3Store

from fastapi_filestore.errors import ConfigurationError
from fastapi_filestore.storage.backend import Place

BucketStore = S3Store | GCSStore | AzureStore

S3_VARIABLES: Mapping[str, str] = {
    "AWS_CONDITIONAL_PUT": "conditional_put",
    "AWS_DEFAULT_REGION": "default_region",
    "AWS_ENDPOINT": "endpoint",
    "AWS_ENDPOINT_URL": "endpoint",
    "AWS_ENDPOINT_URL_S3": "endpoint_url_s3",
    "AWS_REGION": "region",
    "AWS_SKIP_SIGNATURE": "skip_signature",
    "AWS_VIRTUAL_HOSTED_STYLE_REQUEST": "virtual_hosted_style_request",
}
AZURE_VARIABLES: Mapping[str, str] = {
    "AZURE_ENDPOINT": "endpoint",
    "AZURE_STORAGE_ACCOUNT_NAME": "account_name",
    "AZURE_STORAGE_ENDPOINT": "endpoint",
    "AZURE_STORAGE_USE_EMULATOR": "use_emulator",
    "AZURE_USE_FABRIC_ENDPOINT": "use_fabric_endpoint",
    "AZURITE_BLOB_STORAGE_URL": "emulator_url",
}
GCS_VARIABLES: Mapping[str, str] = {
    "GOOGLE_APPLICATION_CREDENTIALS": "application_credentials",
    "GOOGLE_BASE_URL": "base_url",
    "GOOGLE_SERVICE_ACCOUNT": "service_account",
    "GOOGLE_SERVICE_ACCOUNT_KEY": "service_account_key",
    "GOOGLE_SERVICE_ACCOUNT_PATH": "service_account",
    "SERVICE_ACCOUNT": "service_account",
}
"""Variables that obstore reads, and the options that they stand for; of two for one option the later set counts."""

EMULATOR_URL = "http://127.0.0.1:10000"
EMULATOR_ACCOUNT = "devstoreaccount1"
GCS_URL = "https://storage.googleapis.com"
DEFAULT_REGION = "us-east-1"
AMAZON = (".amazonaws.com", ".amazonaws.com.cn")
"""Ends of Amazon's hosts."""
STANDARD_PORTS = {80, 443, None}
TRUE = frozenset({"1", "on", "true", "y", "yes"})
"""What obstore reads as true."""
THIS_MACHINE = ("127.0.0.1", "::1", "localhost")


def place_in(store: BucketStore, bucket: str, prefix: str | None) -> Place:
    """Return the place of a prefix in a bucket: the same for all usual ways to write the address of its server.

    Neither scheme nor standard port matter, nor capitals, nor whether host or path names the bucket.
    """
    url = urlsplit(bucket_url(store, bucket))
    steps = [unquote(step) for step in url.path.split("/") if step]
    try:
        host = str(ip_address(url.hostname or ""))
    except ValueError:
        # Azure's two services for an account show the same objects.
        host = (url.hostname or "").lower().rstrip(".").replace(".dfs.core.", ".blob.core.")
    if host in THIS_MACHINE:
        host = "localhost"
    if isinstance(store, S3Store):
        in_host = f"{bucket.lower()}."
        if host.startswith(in_host) and (is_virtual_hosted(store) or host.endswith(AMAZON)):
            host, steps = host.removeprefix(in_host), [bucket, *steps]
        if host.endswith(AMAZON):
            # In each of Amazon's partitions, all regions share the names of buckets.
            in_government = ".us-gov-" in host
            host = "cn.amazonaws.com" if host.endswith(".cn") else f"{'us-gov.' if in_government else ''}amazonaws.com"
    port = None if url.port in STANDARD_PORTS else url.port
    return Place((host, port), (*steps, *filter(None, (prefix or "").split("/"))))


def bucket_url(store: BucketStore, bucket: str) -> str:
    """Return the URL that the objects of a bucket are below."""
    match store:
        case S3Store():
            own, region = is_virtual_hosted(store), s3_region(store)
            if (endpoint := s3_endpoint(store)) is None:
                return (
                    f"https://{bucket}.s3.{region}.amazonaws.com"
                    if own
                    else f"https://s3.{region}.amazonaws.com/{bucket}"
                )
            return endpoint if own else f"{endpoint}/{bucket}"
        case AzureStore():
            return f"{azure_endpoint(store)}/{bucket}"
        case GCSStore():
            return f"{gcs_endpoint(store)}/{bucket}"


def settings_of(store: BucketStore) -> Mapping[str, str]:
    """Return the options of a store, those that it took from the environment included."""
    variables = (
        S3_VARIABLES
        if isinstance(store, S3Store)
        else AZURE_VARIABLES
        if isinstance(store, AzureStore)
        else GCS_VARIABLES
    )
    return environment(variables) | {name: str(value) for name, value in store.config.items()}


def environment(variables: Mapping[str, str]) -> dict[str, str]:
    """Return the options that some variables of the environment stand for."""
    # obstore reads it, whatever we do: to know what it found is to read the same.
    return {variables[name]: value for name, value in os.environ.items() if name in variables}  # noqa: TID251


def is_set(settings: Mapping[str, object], name: str) -> bool:
    """Tell whether an option is there and true."""
    return str(settings.get(name, "")).strip().lower() in TRUE


def s3_endpoint(store: S3Store) -> str | None:
    """Return the endpoint that a store was given; None for Amazon's own."""
    settings = settings_of(store)
    endpoint = settings.get("endpoint_url_s3") or settings.get("endpoint")
    return endpoint.rstrip("/") if endpoint else None


def s3_region(store: S3Store) -> str:
    """Return the region that requests are signed for."""
    settings = settings_of(store)
    return settings.get("region") or settings.get("default_region") or DEFAULT_REGION


def is_virtual_hosted(store: S3Store) -> bool:
    """Tell whether the host of the store's requests is the bucket's own, so that their path does not name it."""
    return is_set(settings_of(store), "virtual_hosted_style_request")


def azure_endpoint(store: AzureStore) -> str:
    """Return the URL of an account."""
    settings = settings_of(store)
    account = settings.get("account_name")
    if is_set(settings, "use_emulator"):
        return f"{settings.get('emulator_url', EMULATOR_URL).rstrip('/')}/{account or EMULATOR_ACCOUNT}"
    if endpoint := settings.get("endpoint"):
        return endpoint.rstrip("/")
    domain = "blob.fabric.microsoft.com" if is_set(settings, "use_fabric_endpoint") else "blob.core.windows.net"
    return f"https://{account}.{domain}"


def gcs_endpoint(store: GCSStore) -> str:
    """Return the URL of the service: that given, that of the service account, or Google's own."""
    settings, account = settings_of(store), dict[str, str]()
    if not settings.get("base_url"):
        text = settings.get("service_account_key")
        if text is None and (path := settings.get("service_account")):
            text = Path(path).read_text(encoding="utf-8")
        account = json.loads(text) if text else account
    return (settings.get("base_url") or account.get("gcs_base_url") or GCS_URL).rstrip("/")


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
    try:
        ip_address(host)
    except ValueError:
        pass
    else:
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
