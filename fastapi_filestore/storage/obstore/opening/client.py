"""Set how a store's HTTP client waits and retries: defaults bound waiting, never the length of a transfer."""

from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit

from obstore.exceptions import BaseError
from obstore.store import HTTPStore

from fastapi_filestore.errors import ConfigurationError
from fastapi_filestore.settings import problem_of_address
from fastapi_filestore.storage.backend import READ_TIMEOUT
from fastapi_filestore.storage.obstore.opening.address import environment
from fastapi_filestore.storage.obstore.opening.options import as_bool, as_text, check_characters

if TYPE_CHECKING:
    from obstore.store import ClientConfig, RetryConfig

TOTAL_TIMEOUT = timedelta(hours=24)
"""A whole response, its body's reader included: so only a guard against what never ends."""
PATIENCE = timedelta(minutes=15)
"""The same for long uploads and for copies, while the store answers others: the clock runs as bytes are sent."""
CONNECT_TIMEOUT = timedelta(seconds=5)

MAX_RETRIES = 5
RETRY_TIMEOUT = timedelta(seconds=9)
"""No retry begins later than this after the first try: so a store that is silent is not asked twice."""
BACKOFF = {"init_backoff": timedelta(milliseconds=100), "max_backoff": timedelta(seconds=2), "base": 2}

DURATIONS = frozenset(
    {
        "connect_timeout",
        "http2_keep_alive_interval",
        "http2_keep_alive_timeout",
        "pool_idle_timeout",
        "read_timeout",
        "timeout",
    }
)
FLAGS = frozenset(
    {
        "allow_http",
        "allow_invalid_certificates",
        "http1_only",
        "http2_keep_alive_while_idle",
        "http2_only",
        "randomize_addresses",
    }
)
TEXTS = frozenset(
    {
        "default_content_type",
        "pool_max_idle_per_host",
        "proxy_ca_certificate",
        "proxy_excludes",
        "proxy_url",
        "root_certificate",
        "user_agent",
    }
)
CERTIFICATES = frozenset({"proxy_ca_certificate", "root_certificate"})
PEM = "-----BEGIN CERTIFICATE-----"
PROBLEMS: Mapping[str, str] = {
    **dict.fromkeys(DURATIONS, "is no duration: give seconds, or a text such as 90s or 10min"),
    **dict.fromkeys(CERTIFICATES, "is not a PEM certificate"),
    "proxy_url": "is not the URL of a proxy, as http://proxy.example.com:3128",
    "pool_max_idle_per_host": "is no whole number",
}
"""What is wrong with an option that obstore refuses."""
AS_THEY_ARE = frozenset({"default_headers"})
CLIENT_NAMES = DURATIONS | FLAGS | TEXTS | AS_THEY_ARE
RETRY_NAMES = frozenset({"max_retries", "retry_timeout", "backoff"})


def take_client_options(options: dict[str, object], *, endpoint: str | None, variables: str) -> "ClientConfig":
    """Remove what concerns the HTTP client from options, and return it with the defaults.

    What no option says, the environment may: obstore reads none of its variables any more once it is given options.
    They begin with `variables`, as `AWS_` does in AWS_ALLOW_HTTP.

    `timeout` is the longest wait for the store's next bytes; to bound whole responses, set `timeout` in
    `client_options`. Plain http is allowed for an `http://` endpoint unless `allow_http` is False.
    """
    given = _mapping("client_options", options.pop("client_options", None), CLIENT_NAMES)
    for option, name in (
        ("allow_http", "allow_http"),
        ("connect_timeout", "connect_timeout"),
        ("read_timeout", "read_timeout"),
        ("timeout", "read_timeout"),
    ):
        if option in options:
            if name in given:
                raise ConfigurationError(f"Option {option!r} is given twice, alone and as {name!r}: give one.")
            given[name] = options.pop(option)
    of_environment = {name: value for name, value in _of_environment(variables).items() if name not in given}
    shown = {name: f"{variables}{name.upper()}" for name in of_environment}
    given = of_environment | given
    is_plain, name = endpoint is not None and endpoint.startswith("http://"), shown.get("allow_http", "allow_http")
    allowed = is_plain if given.get("allow_http") is None else as_bool(name, given["allow_http"])
    if is_plain and not allowed:
        raise ConfigurationError(f"The endpoint is http:// but {name} is false: use https:// or allow it.")
    defaults = {"timeout": TOTAL_TIMEOUT, "read_timeout": READ_TIMEOUT, "connect_timeout": CONNECT_TIMEOUT}
    values = defaults | given | {"allow_http": allowed}
    return cast(
        "ClientConfig", {name: _client_value(name, value, shown.get(name, name)) for name, value in values.items()}
    )


def problems_of_client(client: "ClientConfig", variables: str) -> list[str]:
    """Return what is wrong with options of the HTTP client that obstore refuses, each by its name.

    One that is as the environment says is called by its variable, which begins with `variables`.
    """
    problems = list[str]()
    found = _of_environment(variables)
    for name, value in client.items():
        try:
            # This store takes nothing else from the environment.
            HTTPStore.from_url("http://localhost", client_options=cast("ClientConfig", {name: value}))
        except (BaseError, TypeError, ValueError):
            shown = f"{variables}{name.upper()}" if found.get(name) == value else name
            problem = PROBLEMS.get(name, "has a value that it can't have")
            problems.append(f"{shown} {problem}")
    return problems


def take_retry_config(options: dict[str, object]) -> "RetryConfig":
    """Remove `retry_config` from options and return it with the defaults; durations may be seconds."""
    given = _mapping("retry_config", options.pop("retry_config", None), RETRY_NAMES)
    backoff = BACKOFF | _mapping("backoff", given.get("backoff"), frozenset(BACKOFF))
    return {
        "max_retries": int(as_text("max_retries", given.get("max_retries", MAX_RETRIES))),
        "retry_timeout": _duration("retry_timeout", given.get("retry_timeout", RETRY_TIMEOUT)),
        "backoff": {
            "init_backoff": _duration("init_backoff", backoff["init_backoff"]),
            "max_backoff": _duration("max_backoff", backoff["max_backoff"]),
            "base": float(as_text("base", backoff["base"])),
        },
    }


def has_read_timeout(options: Mapping[str, object]) -> bool:
    """Say whether options set how long the store may be silent."""
    client = options.get("client_options")
    return bool({"timeout", "read_timeout"} & options.keys()) or (
        isinstance(client, Mapping) and "read_timeout" in client
    )


def check_endpoint(endpoint: object, name: str) -> str | None:
    """Return an address of http or https, or raise `ConfigurationError` by the name of its option or variable."""
    if endpoint is None:
        return None
    text = as_text(name, endpoint)
    if problem := problem_of_address(text):
        raise ConfigurationError(f"{name} can't be used: {problem}.")
    return urlsplit(text).geturl().rstrip("/")


def _of_environment(variables: str) -> dict[str, object]:
    names = {f"{variables}{name.upper()}": name for name in CLIENT_NAMES - AS_THEY_ARE}
    return {name: value for name, value in environment(names).items() if value}


def _mapping(option: str, value: object, names: frozenset[str]) -> dict[str, object]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise ConfigurationError(f"Option {option!r} is a mapping of {', '.join(sorted(names))}.")
    unknown = sorted(str(name) for name in value if name not in names)
    if unknown:
        raise ConfigurationError(f"{option} has no {', '.join(unknown)}; it has {', '.join(sorted(names))}.")
    return {str(name): entry for name, entry in value.items() if entry is not None}


def _client_value(name: str, value: object, shown: str) -> object:
    if name in AS_THEY_ARE or (name == "root_certificate" and isinstance(value, bytes)):
        return value
    if isinstance(value, str):
        check_characters(shown, value, of_lines=name in CERTIFICATES, in_headers=name == "user_agent")
        if name in CERTIFICATES and PEM not in value:  # the driver would pass over a proxy's
            raise ConfigurationError(f"{shown} is not a PEM certificate: give its text, from {PEM} to its end.")
    if name in FLAGS:
        return "true" if as_bool(shown, value) else "false"
    # obstore reads text such as "90s" itself; a number alone it would refuse.
    if name in DURATIONS and not (isinstance(value, str) and not _is_number(value)):
        return _duration(shown, value)
    return as_text(shown, value)


def _duration(name: str, value: object) -> timedelta:
    if not isinstance(value, timedelta):
        text = as_text(name, value)
        if not _is_number(text):
            raise ConfigurationError(f"Option {name!r} is a duration: give seconds or a timedelta.")
        value = timedelta(seconds=float(text))
    if value <= timedelta(0):
        raise ConfigurationError(f"Option {name!r} must be more than zero.")
    return value


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
