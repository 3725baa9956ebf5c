"""Notice calls of coroutine methods that nobody awaits: they do nothing, and no answer of success must hide that."""

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from contextvars import ContextVar
from functools import update_wrapper
from types import CoroutineType, FunctionType, MethodType
from typing import Any, TypeAlias, TypeVar, cast

from fastapi_filestore.errors import NeverAwaitedError

MethodT = TypeVar("MethodT", bound=Callable[..., Coroutine[Any, Any, Any]])
Call: TypeAlias = "CoroutineType[Any, Any, Any]"

ENOUGH = 32
"""Calls that are kept before those that were awaited are forgotten."""

_calls: ContextVar[list[Call] | None] = ContextVar("fastapi_filestore_calls", default=None)
"""The calls of the unit of work that is under way; a thread that runs a `def` endpoint has a copy of its context."""


def must_await(method: MethodT) -> MethodT:
    """Make a coroutine method whose calls are looked after by the unit of work that they are made in."""
    return cast("MethodT", _Watched(cast("FunctionType", method)))


class _Watched:
    """A method that notes its calls. Whoever inspects it finds a coroutine function, of the same code and signature."""

    def __init__(self, method: FunctionType) -> None:
        update_wrapper(self, method)
        self._method = method
        # What `inspect` wants to see of a function.
        self.__code__, self.__defaults__, self.__kwdefaults__ = (
            method.__code__,
            method.__defaults__,
            method.__kwdefaults__,
        )

    def __get__(self, instance: object, owner: type | None = None) -> object:
        return self if instance is None else MethodType(self, instance)

    def __call__(self, *args: Any, **kwargs: Any) -> Call:
        call: Call = self._method(*args, **kwargs)
        calls = _calls.get()
        if calls is not None:
            if len(calls) >= ENOUGH:
                calls[:] = filter(_is_unawaited, calls)
            calls.append(call)
        return call


@asynccontextmanager
async def requiring_awaits() -> AsyncIterator[None]:
    """Raise `NeverAwaitedError` at the end of a block in which a call was made and not awaited."""
    calls: list[Call] = []
    outer = _calls.get()
    _calls.set(calls)
    try:
        yield
    finally:
        _calls.set(outer)
    if any(map(_is_unawaited, calls)):
        await asyncio.sleep(0)  # a task may have it, and not have begun
        if forgotten := [*filter(_is_unawaited, calls)]:
            for call in forgotten:
                call.close()  # Python would only warn of it
            raise NeverAwaitedError([call.__qualname__ for call in forgotten])


def _is_unawaited(call: Call) -> bool:
    return inspect.getcoroutinestate(call) == inspect.CORO_CREATED
