"""Tell which release this is: as it was installed."""

from importlib.metadata import PackageNotFoundError, version

DISTRIBUTION = "fastapi-filestore"


try:
    __version__ = version(DISTRIBUTION)
except PackageNotFoundError:  # a copy of the folder that nobody installed
    __version__ = "0+unknown"
