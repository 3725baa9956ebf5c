"""Which release this is: as it was installed."""

from importlib.metadata import PackageNotFoundError, version

DISTRIBUTION = "fastapi-filestore"


def _installed() -> str:
    try:
        return version(DISTRIBUTION)
    except PackageNotFoundError:  # a copy of the folder that nobody installed
        return "0+unknown"


__version__ = _installed()
