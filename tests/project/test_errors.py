"""Errors on their way between processes: every class of the package, found by walking all of its modules."""

import copy
import multiprocessing
import pickle
import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from importlib import import_module
from inspect import Parameter, signature
from pkgutil import walk_packages
from types import FunctionType
from typing import Any, get_args

import pytest

import fastapi_filestore
from fastapi_filestore import FilestoreError, InvalidFieldsError, RowNotFoundError, StorageUnavailableError, UploadError
from fastapi_filestore.errors import FilePlace
from fastapi_filestore.web.problems import KINDS, Problem

PATIENCE = 120
VALUES: dict[str, Any] = {
    "place": FilePlace("pages", "a.pdf", 1),
    "problems": [{"loc": ("title",), "msg": "Too long", "type": "too_long"}],
    "kind": KINDS[FilestoreError],
    "members": {"limit": 1},
    "headers": {"Retry-After": "5"},
    "known": ["a", "b"],
    "expected": ["text/plain"],
    "calls": ["save_async"],
    "identity": (1, "a"),
}
"""Arguments by their names; the others are text."""


def families() -> Iterator[type[Exception]]:
    """Yield every class of errors that a module of the package defines."""
    for found in walk_packages(fastapi_filestore.__path__, "fastapi_filestore."):
        module = import_module(found.name)
        for value in vars(module).values():
            if isinstance(value, type) and issubclass(value, Exception) and value.__module__ == module.__name__:
                yield value


def value_of(parameter: Parameter) -> object:
    """Return a number for what takes one, else text."""
    kinds = {parameter.annotation, *get_args(parameter.annotation)}
    return 7 if kinds & {int, float} else f"some {parameter.name}"


def made(family: type[Exception]) -> Exception:
    """Make an error, each of its arguments given."""
    if not isinstance(family.__init__, FunctionType):
        return family("text")
    parameters = signature(family).parameters.values()
    values = {one.name: VALUES.get(one.name, value_of(one)) for one in parameters}
    positional = [values.pop(one.name) for one in parameters if one.kind is not Parameter.KEYWORD_ONLY]
    return family(*positional, **values)


def sent(error: Exception) -> Exception:
    """Return what another process would be sent."""
    received: Exception = pickle.loads(pickle.dumps(error))
    return received


FAMILIES = dict(sorted((f"{one.__module__}.{one.__name__}", one) for one in families()))


@pytest.mark.parametrize("travel", [sent, copy.copy, copy.deepcopy])
@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
def test_errors_arrive_as_they_were(family: type[Exception], travel: Callable[[Exception], Exception]) -> None:
    """Pickled or copied, once and again, an error is of its class and has its text, arguments and attributes."""
    error = made(family)
    again = travel(travel(error))

    assert type(again) is family
    assert (str(again), again.args, vars(again)) == (str(error), error.args, vars(error))


def test_there_are_errors_to_travel() -> None:
    """The walk finds the tree of errors, and those that are elsewhere."""
    found = set(families())

    assert {one for one in found if issubclass(one, FilestoreError)} > {*KINDS, RowNotFoundError}
    assert Problem in found


def test_a_cause_becomes_a_note() -> None:
    """What an error came of is said in a note when it arrives, once, and its own notes are kept."""
    error = StorageUnavailableError("The store is down.", backend="b", path="k")
    error.add_note("Look at the store.")
    error.__cause__ = OSError(111, "Connection refused")

    again = sent(sent(error))

    cause = "Its cause was ConnectionRefusedError(111, 'Connection refused')."
    assert again.__notes__ == ["Look at the store.", cause]
    assert error.__notes__ == ["Look at the store."]


def test_values_that_no_other_process_could_read() -> None:
    """Attributes that can't be pickled arrive as text, for whoever waits for the error would wait for ever."""
    connection = sqlite3.connect(":memory:")
    again = sent(RowNotFoundError("Document", connection))
    connection.close()

    assert isinstance(again, RowNotFoundError)
    assert "sqlite3.Connection" in str(again.identity)


class Request:
    """What an application puts into its errors, which lead back to them."""

    error: Exception


class RejectedError(UploadError):
    """An error of an application's with two ways back to it, and a long line of errors before it."""

    def __init__(self) -> None:
        self.request, self.response, self.others = Request(), Request(), [self, self]
        self.request.error = self.response.error = self
        self.before: FilestoreError = UploadError("0")
        for number in range(1, 40):
            later = UploadError(str(number))
            later.before = self.before  # type: ignore[attr-defined]
            self.before = later
        super().__init__("Rejected.")


def test_errors_that_lead_back_to_themselves(pool: ProcessPoolExecutor) -> None:
    """Errors that hold themselves and many others arrive whole, and soon."""
    error = pool.submit(fail, RejectedError).exception(timeout=PATIENCE)

    assert isinstance(error, RejectedError)
    assert error.request.error is error.response.error is error.others[1] is error
    assert str(error.before) == "39"


@dataclass(frozen=True)
class FrozenError(UploadError):
    """An error of an application's whose attributes can't be set."""

    code: int


@pytest.mark.parametrize("travel", [sent, copy.copy, copy.deepcopy])
def test_errors_that_are_frozen(travel: Callable[[Exception], Exception]) -> None:
    """A frozen dataclass is an error like others."""
    assert travel(FrozenError(7)) == FrozenError(7)


def test_a_copy_holds_what_the_error_held() -> None:
    """A copied error has the very attributes, which need not be picklable, notes of its own, and its cause."""
    error = RowNotFoundError("Document", threading.Lock())
    error.add_note("Look there.")
    error.__cause__ = OSError(111)
    again = copy.copy(error)
    again.add_note("And there.")

    assert (again.identity, again.__cause__, again.args) == (error.identity, error.__cause__, error.args)
    assert error.__notes__ == ["Look there."]


class UserError(InvalidFieldsError):
    """One of an application's own, with arguments of its own."""

    def __init__(self, name: str, *, code: int) -> None:
        self.name, self.code = name, code
        super().__init__([{"loc": (name,), "msg": f"Code {code}", "type": "user"}])


def fail(family: type[Exception]) -> None:
    """Raise an error, in a process of a pool."""
    raise UserError("title", code=3) if family is UserError else made(family)


@pytest.mark.parametrize("family", [UserError, *sorted(KINDS, key=lambda one: one.__name__)])
def test_errors_of_a_pool(family: type[Exception], pool: ProcessPoolExecutor) -> None:
    """An error that a process of a pool raises reaches whoever waits, who would wait for ever otherwise."""
    error = pool.submit(fail, family).exception(timeout=PATIENCE)

    assert type(error) is family


@pytest.fixture(scope="module")
def pool() -> Iterator[ProcessPoolExecutor]:
    """A process that runs functions."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield pool
