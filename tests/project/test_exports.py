"""The public face: `fastapi_filestore.__all__` is all that users import, and nothing else is there."""

from importlib.metadata import version
from types import ModuleType

import fastapi_filestore


def public_names(module: ModuleType) -> set[str]:
    """Return the names of a module that are neither private nor modules."""
    return {
        name for name, value in vars(module).items() if not name.startswith("_") and not isinstance(value, ModuleType)
    }


def test_all_names_what_the_package_holds() -> None:
    """Every public name is exported, and every exported name exists; the version is the one with underscores."""
    exported = set(getattr(fastapi_filestore, "__all__", ()))

    assert exported == public_names(fastapi_filestore) | {"__version__"}


def test_the_version_is_that_of_the_distribution() -> None:
    """`fastapi_filestore.__version__` is what the installed distribution says."""
    assert fastapi_filestore.__version__ == version("fastapi-filestore")


def test_all_is_sorted() -> None:
    """The exported names are sorted, constants first, and each is there once."""
    exported = list(getattr(fastapi_filestore, "__all__", ()))

    assert exported == sorted(set(exported), key=lambda name: (not name.isupper(), name))
