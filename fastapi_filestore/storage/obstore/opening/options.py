"""Read keyword options in every spelling people know as one checked mapping of obstore's own names."""

import difflib
import os
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from fastapi_filestore.errors import ConfigurationError
from fastapi_filestore.settings.backend import AzureOptions, GoogleOptions, LocalOptions, Options, S3Options
from fastapi_filestore.storage.obstore.opening.store_url import Kind

SCHEME_OF_KIND: Mapping[Kind, str] = {
    "s3": "s3://",
    "gs": "gs://",
    "az": "az://",
    "file": "local",
    "memory": "memory://",
}

NO_SYNONYMS: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The options of one kind of store: obstore's name of each, other names for it, and prefixes any may have."""

    prefixes: tuple[str, ...]
    names: tuple[str, ...]
    synonyms: Mapping[str, str]

    def spellings(self) -> Iterator[tuple[str, str]]:
        """Yield every accepted spelling with the name that it stands for."""
        for name, meaning in (*((name, name) for name in self.names), *self.synonyms.items()):
            yield from ((prefix + name, meaning) for prefix in ("", *self.prefixes))


NETWORK_NAMES = (
    "allow_http",
    "client_options",
    "connect_timeout",
    "credential_provider",
    "public_endpoint",
    "read_timeout",
    "retry_config",
    "skip_signature",
    "timeout",
)
"""What every store behind a network takes."""


def vocabulary_of(
    settings: type[Options], *prefixes: str, others: Sequence[str] = (), synonyms: Mapping[str, str] = NO_SYNONYMS
) -> Vocabulary:
    """Return the options of a kind of store: those of its settings, without a prefix, and others."""
    names = {*others}
    for field in settings.model_fields:
        prefix = max(filter(field.startswith, prefixes), key=len, default="")
        name = field.removeprefix(prefix)
        names.add(synonyms.get(name, name))
    return Vocabulary(prefixes, tuple(names), synonyms)


VOCABULARIES: Mapping[Kind, Vocabulary] = {
    "s3": vocabulary_of(
        S3Options,
        "aws_",
        others=NETWORK_NAMES,
        synonyms={
            "default_region": "region",
            "endpoint_url": "endpoint",
            "endpoint_url_s3": "endpoint",
            "token": "session_token",
        },
    ),
    "gs": vocabulary_of(
        GoogleOptions,
        "google_",
        others=NETWORK_NAMES,
        synonyms={"endpoint": "base_url", "service_account_path": "service_account"},
    ),
    "az": vocabulary_of(
        AzureOptions,
        "azure_",
        "azure_storage_",
        others=(*NETWORK_NAMES, "encryption_key"),
        synonyms={
            "access_key": "account_key",
            "authority_id": "tenant_id",
            "bearer_token": "token",
            "identity_endpoint": "msi_endpoint",
            "master_key": "account_key",
            "sas_token": "sas_key",
        },
    ),
    "file": vocabulary_of(LocalOptions, others=("automatic_cleanup",)),
    "memory": vocabulary_of(Options),
}
"""Buckets and containers are missing on purpose: the URL names them."""


OF_LINES = frozenset({"connection_string", "service_account", "service_account_key"})
"""Options whose text may have several lines."""
IN_HEADERS = frozenset(
    {
        "access_key_id",
        "account_name",
        "bearer_token",
        "container_credentials_full_uri",
        "container_credentials_relative_uri",
        "region",
        "request_payer",
        "role_arn",
        "role_session_name",
        "sas_key",
        "session_token",
        "sse_customer_key_base64",
        "sse_kms_key_id",
        "token",
    }
)
"""Options that go into the headers or the addresses of requests, which are ASCII."""
ASCII = 126
"""The last printable character of ASCII."""


def read_options(kind: Kind, options: Mapping[str, object]) -> dict[str, object]:
    """Return options by obstore's names, secrets unwrapped; None and empty text count as not given.

    Raises:
        ConfigurationError: An option is unknown, belongs to another kind of store, or is given under two spellings.
    """
    known = dict(VOCABULARIES[kind].spellings())
    result: dict[str, object] = {}
    origin: dict[str, str] = {}
    for spelling, wrapped in options.items():
        name = known.get(spelling.lower())
        if name is None:
            where, vocabulary = SCHEME_OF_KIND[kind], VOCABULARIES.items()
            others = [SCHEME_OF_KIND[other] for other, words in vocabulary if spelling in dict(words.spellings())]
            if others:
                problem = f"Option {spelling!r} belongs to {' or '.join(others)} backends; this one is {where}."
            elif not known:
                problem = f"A {where} backend takes no options, but {spelling!r} was given."
            else:
                near = difflib.get_close_matches(spelling.lower(), known, n=3, cutoff=0.5)
                close = ", ".join(near or sorted(VOCABULARIES[kind].names))
                problem = f"A {where} backend has no option {spelling!r}. Close to it: {close}."
            raise ConfigurationError(problem)
        value = unwrap(wrapped)
        if value is None or value == "":
            continue
        if isinstance(value, str):
            check_characters(spelling, value, of_lines=name in OF_LINES, in_headers=name in IN_HEADERS)
        if name in origin:
            raise ConfigurationError(f"Options {origin[name]!r} and {spelling!r} are the same setting: give one.")
        result[name], origin[name] = value, spelling
    return result


def check_characters(name: str, value: str, *, of_lines: bool = False, in_headers: bool = False) -> None:
    """Raise `ConfigurationError` for a character that the driver panics at; never shows the value.

    A secret that was read from a file often ends with the end of its line.
    """
    found = next(
        (mark for mark in value if unicodedata.category(mark) == "Cc" or (in_headers and ord(mark) > ASCII)), ""
    )
    if found and not of_lines:
        what = "a line end" if found in "\r\n" else f"the character {found!a}"
        raise ConfigurationError(
            f"Option {name!r} holds {what}, which can't be a part of it: strip() what was read from a file, or copy it "
            "again."
        )


def unwrap(value: object) -> object:
    """Return what a SecretStr holds, and anything else as it is."""
    reveal = getattr(value, "get_secret_value", None)
    return reveal() if callable(reveal) else value


def as_text(name: str, value: object) -> str:
    """Return a setting as the text obstore wants."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return str(value)
    if isinstance(value, os.PathLike):
        return str(os.fspath(value))
    raise ConfigurationError(f"Option {name!r} can't be a {type(value).__name__}: give text, a number or a bool.")


def as_bool(name: str, value: object) -> bool:
    """Return a setting as the truth value it spells."""
    text = as_text(name, value).strip().lower()
    if text in ("true", "1", "yes", "on"):
        return True
    if text in ("false", "0", "no", "off"):
        return False
    raise ConfigurationError(f"Option {name!r} must be true or false.")
