"""Ask S3 by boto3 for what obstore can't ask: at the same server, in the same way."""

from collections.abc import AsyncIterator, Mapping
from contextlib import ExitStack, asynccontextmanager, suppress
from functools import partial
from ipaddress import ip_address, ip_network
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from obstore.store import S3Store

from fastapi_filestore.concurrency.threads import THREADS
from fastapi_filestore.errors import ConfigurationError
from fastapi_filestore.storage.backend import READ_TIMEOUT
from fastapi_filestore.storage.failures.credentials import explaining_missing_credentials
from fastapi_filestore.storage.failures.translate import translating
from fastapi_filestore.storage.obstore.opening.address import (
    environment,
    is_set,
    is_virtual_hosted,
    s3_endpoint,
    s3_region,
    settings_of,
)
from fastapi_filestore.storage.obstore.opening.client import CONNECT_TIMEOUT
from fastapi_filestore.storage.obstore.opening.credentials import StaticCredentials, find_boto_session, keys_of

BOTO_MISSING = (
    "Unfinished multipart uploads of backend {backend!r} can't be listed without boto3: "
    'pip install "fastapi-filestore[aws]".'
)
CLIENT_VARIABLES: Mapping[str, str] = {
    "AWS_ALLOW_INVALID_CERTIFICATES": "allow_invalid_certificates",
    "AWS_PROXY_CA_CERTIFICATE": "proxy_ca_certificate",
    "AWS_PROXY_EXCLUDES": "proxy_excludes",
    "AWS_PROXY_URL": "proxy_url",
}
"""What obstore takes from the environment where it is given no options for its HTTP client."""


@asynccontextmanager
async def bucket_client(store: S3Store, *, backend: str) -> AsyncIterator[Any]:
    """Give boto3's client of the bucket of a store.

    Raises:
        ConfigurationError: boto3 is not installed.
    """
    with translating(backend):
        session = find_boto_session()
    if session is None:
        raise ConfigurationError(BOTO_MISSING.format(backend=backend))
    with translating(backend), explaining_missing_credentials():
        # Without any, boto3 looks where the store itself does: environment, profiles, roles.
        keys = await keys_of(store)
    with ExitStack() as files:
        transport = await THREADS.run(partial(_transport, store, files))
        client = await THREADS.run(partial(_make_client, session, store, keys, transport))
        try:
            yield client
        finally:
            client.close()


def _make_client(session: Any, store: S3Store, keys: StaticCredentials | None, transport: dict[str, Any]) -> Any:
    from botocore import UNSIGNED  # noqa: PLC0415 optional extra
    from botocore.config import Config  # noqa: PLC0415 optional extra

    endpoint, verify = s3_endpoint(store), transport.pop("verify")
    virtual_hosted = is_virtual_hosted(store)
    client = session.client(
        "s3",
        endpoint_url=endpoint,
        region_name=s3_region(store),
        verify=verify,
        config=Config(
            signature_version=UNSIGNED if is_set(settings_of(store), "skip_signature") else "s3v4",
            s3={
                "addressing_style": "virtual" if virtual_hosted and endpoint is None else "path",
                "us_east_1_regional_endpoint": "regional",
            },
            # Of ~/.aws/config, which obstore does not read.
            ignore_configured_endpoint_urls=True,
            connect_timeout=CONNECT_TIMEOUT.total_seconds(),
            read_timeout=READ_TIMEOUT.total_seconds(),
            **transport,
        ),
        aws_access_key_id=keys and keys.access_key_id,
        aws_secret_access_key=keys and keys.secret_access_key,
        aws_session_token=keys and keys.session_token,
    )

    def leave_out_bucket(request: Any, **_: object) -> None:
        url, below = urlsplit(request.url), urlsplit(endpoint or "").path
        path = below + (url.path.removeprefix(f"{below}/{store.config.get('bucket', '')}") or "/")
        request.url = urlunsplit(url._replace(path=path))

    if virtual_hosted and endpoint is not None:
        # obstore takes such an endpoint as it is; boto3 would put the bucket before its host once more.
        client.meta.events.register("before-sign.s3", leave_out_bucket)
    return client


def _transport(store: S3Store, files: ExitStack) -> dict[str, Any]:
    """Return boto3's options for certificates, which it reads from files, and proxy."""
    from botocore.httpsession import get_cert_path  # noqa: PLC0415 optional extra

    options: Mapping[str, Any] = store.client_options or environment(CLIENT_VARIABLES)
    transport: dict[str, Any] = {"verify": not is_set(options, "allow_invalid_certificates")}
    if transport["verify"] and (certificate := options.get("root_certificate")):
        # obstore trusts a certificate that it is given besides those that it trusts anyway.
        transport["verify"] = _write(files, Path(get_cert_path(verify=True)).read_bytes(), certificate)
    if proxy := options.get("proxy_url"):
        host = urlsplit(s3_endpoint(store) or "").hostname or f"s3.{s3_region(store)}.amazonaws.com"
        excluded = excludes_host(options.get("proxy_excludes", ""), host)
        transport["proxies"] = {} if excluded else {"http": proxy, "https": proxy}
        if certificate := options.get("proxy_ca_certificate"):
            transport["proxies_config"] = {"proxy_ca_bundle": _write(files, certificate)}
    return transport


def _write(files: ExitStack, *certificates: bytes | str) -> str:
    folder = files.enter_context(TemporaryDirectory(prefix="filestore-certificates-"))
    file = Path(folder, "trusted.pem")
    file.write_bytes(b"\n".join(text.encode() if isinstance(text, str) else text for text in certificates))
    return str(file)


def excludes_host(excludes: str, host: str) -> bool:
    """Tell whether a list of hosts, domains, addresses and networks names a host."""
    entries, host = [entry.strip().lower() for entry in excludes.split(",") if entry.strip()], host.lower()
    try:
        address = ip_address(host)
    except ValueError:
        domains = [entry.removeprefix(".") for entry in entries]
        return any(domain in {"*", host} or host.endswith(f".{domain}") for domain in domains)
    for entry in entries:
        with suppress(ValueError):
            if address in ip_network(entry, strict=False):
                return True
    return False
