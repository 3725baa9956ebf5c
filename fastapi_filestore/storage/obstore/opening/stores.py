"""Make a store of obstore from a URL and options, with every check that needs no network."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from obstore.exceptions import BaseError
from obstore.store import AzureStore, GCSStore, LocalStore, MemoryStore, S3Store

from fastapi_filestore.errors import ConfigurationError
from fastapi_filestore.settings import problem_of_address
from fastapi_filestore.storage.backend import Place
from fastapi_filestore.storage.failures.reasons import DISK_FAILED, ERRNOS, EXISTS, FILE_IN_WAY, NO_OBJECT, Reason
from fastapi_filestore.storage.failures.report import describe_number, read_error
from fastapi_filestore.storage.local.modes import Modes, read_modes
from fastapi_filestore.storage.local.open_folder import make_root
from fastapi_filestore.storage.obstore.opening.address import bucket_url, place_in, refuse_lost_bucket
from fastapi_filestore.storage.obstore.opening.azure import build_azure
from fastapi_filestore.storage.obstore.opening.client import PATIENCE, has_read_timeout
from fastapi_filestore.storage.obstore.opening.elsewhere import options_elsewhere
from fastapi_filestore.storage.obstore.opening.gcs import build_gcs
from fastapi_filestore.storage.obstore.opening.options import as_bool, read_options
from fastapi_filestore.storage.obstore.opening.s3 import build_s3
from fastapi_filestore.storage.obstore.opening.store_url import FORMS, Kind, StoreURL, parse_store_url

Store = S3Store | GCSStore | AzureStore | LocalStore | MemoryStore
"""The stores of obstore that hold objects to read and write."""


@dataclass(slots=True)
class Connection:
    """A store, where it is, and one like it that bears with long requests, made when it is first needed.

    Attributes:
        store_url: Where its objects are.
        store: The store.
        is_durable: Whether a local folder's files are to outlast a power cut.
        removes_folders: Whether it removes a local folder's empty folders.
        modes: Who may read what is made in a local folder.
        signing: The store that URLs are signed by, where browsers reach it at another address.
    """

    store_url: StoreURL
    store: Store
    is_durable: bool = True
    removes_folders: bool = False
    modes: Modes = field(default_factory=Modes)
    signing: Store | None = None
    _make_patient: Callable[[], Store] | None = field(default=None, repr=False)
    _patient: Store | None = None

    @property
    def patient(self) -> Store | None:
        """The store with a client for requests that may take long; None where it was said how long one may take."""
        if self._patient is None and self._make_patient is not None:
            self._patient = self._make_patient()
        return self._patient


def connect(fs: "str | os.PathLike[str] | Store", options: Mapping[str, object]) -> Connection:
    """Return a connection to a URL, a path, or a store that somebody else made; sends nothing.

    Raises:
        ConfigurationError: It can't work like this: unknown scheme or option, contradicting options, a missing part.
    """
    if isinstance(fs, str | os.PathLike):
        store_url = parse_store_url(fs)
        kind, settings, signing = store_url.kind, read_options(store_url.kind, options), None
        if (public_endpoint := settings.pop("public_endpoint", None)) is not None:
            signing = BUILDERS[kind](store_url, options_elsewhere(kind, settings, public_endpoint))
        if kind == "file":
            return _local_connection(store_url, _build_local(store_url, settings, read_modes(settings)), settings)
        build, patient_settings = BUILDERS[kind], {**settings, "read_timeout": PATIENCE}
        takes_patience = kind in NETWORKED and not has_read_timeout(settings)
        store = build(store_url, settings)
        _check_address(store, store_url)
        make_patient = (lambda: build(store_url, dict(patient_settings))) if takes_patience else None
        return Connection(store_url, store, signing=signing, _make_patient=make_patient)
    if isinstance(fs, LocalStore) and options.keys() <= OWN_LOCAL_OPTIONS:
        pickled: Any = fs  # only its pickle tells of its options
        return _local_connection(_locate(fs), fs, {**options, **pickled.__getnewargs_ex__()[1]})
    if options:
        raise ConfigurationError(
            f"Options ({', '.join(sorted(options))}) go with a URL; a store that is made already has its own."
        )
    store_url = _locate(fs)
    _check_address(fs, store_url)
    if isinstance(fs, S3Store):
        refuse_lost_bucket(fs, store_url.bucket)
    return Connection(store_url, fs)


def place_of(connection: Connection) -> Place:
    """Return where the objects of a connection are; the same bucket at another endpoint is another one."""
    store_url, store = connection.store_url, connection.store
    match store:
        case S3Store() | GCSStore() | AzureStore():
            return place_in(store, store_url.bucket, store_url.prefix)
        case LocalStore():
            return Place(("file",), Path(os.path.realpath(store_url.root or "/")).parts)
        case MemoryStore():
            return Place(("memory", id(store)))


def _check_address(store: Store, store_url: StoreURL) -> None:
    """Raise if a store is at no address, which parts of it that nobody has looked at may have come to."""
    if isinstance(store, S3Store | GCSStore | AzureStore) and (
        problem := problem_of_address(bucket_url(store, store_url.bucket))
    ):
        raise ConfigurationError(
            f"The address that its endpoint, account or gcs_base_url make can't be used: {problem}."
        )


def _local_connection(store_url: StoreURL, store: Store, options: Mapping[str, object]) -> Connection:
    def is_set(name: str, *, unless_given: bool) -> bool:
        return as_bool(name, options.get(name, unless_given))

    return Connection(
        store_url,
        store,
        is_durable=is_set("durable", unless_given=True),
        removes_folders=is_set("automatic_cleanup", unless_given=False),
        modes=read_modes(options),
    )


def _locate(store: Store) -> StoreURL:
    match store:
        case S3Store():
            return StoreURL("s3", store.config.get("bucket", ""), store.prefix)
        case GCSStore():
            return StoreURL("gs", store.config.get("bucket", ""), store.prefix)
        case AzureStore():
            return StoreURL("az", store.config.get("container_name", ""), store.prefix)
        case LocalStore():
            return StoreURL("file", root=Path(store.prefix or "/").absolute())
        case MemoryStore():
            return StoreURL("memory")
    raise ConfigurationError(
        f"A backend can't be a {type(store).__name__}: give {FORMS}, or a store of obstore "
        "(S3Store, GCSStore, AzureStore, LocalStore, MemoryStore)."
    )


def _build_local(store_url: StoreURL, options: dict[str, object], modes: Modes) -> Store:
    flags = {name: as_bool(name, value) for name, value in options.items() if name not in OWN_LOCAL_OPTIONS}
    flags.setdefault("mkdir", True)
    try:
        if store_url.root is not None and flags["mkdir"]:
            make_root(store_url.root, modes.folder)
        return LocalStore(store_url.root, **flags)
    except (BaseError, OSError, ValueError) as error:
        report = read_error(error, None)
        if report.name == "ENOENT" and not flags["mkdir"]:
            raise ConfigurationError(
                f"The folder {str(store_url.root)!r} is missing: create it, mount it, or allow that it is made (mkdir)."
            ) from None
        reason = ERRNOS.get(report.name or "", DISK_FAILED)
        remedy = OF_FOLDERS.get(reason, reason.remedy)
        if "\0" in str(store_url.root):
            remedy = "no path holds a NUL, leave it out"
        cause = report.kind if report.number is None else describe_number(report.number)
        raise ConfigurationError(
            f"The folder {str(store_url.root)!r} can't be used or made: {remedy} ({cause})."
        ) from None


OF_FOLDERS: Mapping[Reason, str] = {
    NO_OBJECT: "choose another, on a disk where folders can be made",
    EXISTS: "a file, or a link that leads nowhere, has its name or that of a folder above it",
    FILE_IN_WAY: "a file, or a link that leads nowhere, has its name or that of a folder above it",
    DISK_FAILED: "choose another, or see in the system's log what is wrong with the disk",
}
"""What to do about a folder, where it is not what to do about an object."""
OWN_LOCAL_OPTIONS = frozenset({"durable", "file_mode", "folder_mode"})
"""Those that obstore knows nothing of."""
NETWORKED: frozenset[Kind] = frozenset({"s3", "gs", "az"})
BUILDERS: Mapping[Kind, Callable[[StoreURL, dict[str, object]], Store]] = {
    "s3": build_s3,
    "gs": build_gcs,
    "az": build_azure,
    "memory": lambda store_url, options: MemoryStore(),
}
"""But for a local folder, which has more to tell."""
