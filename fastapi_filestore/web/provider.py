"""Build the provider behind `Depends(get_document_service)`: a service for a request, committed before the response."""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from inspect import Parameter, Signature
from typing import Annotated, Final, TypeVar, cast

from fastapi import Depends
from sqlalchemy import inspect
from sqlalchemy.ext.asyncio import AsyncSession, async_scoped_session
from sqlalchemy.orm import Session, scoped_session
from sqlalchemy.util import ThreadLocalRegistry
from starlette.requests import HTTPConnection
from starlette.websockets import WebSocketDisconnect

from fastapi_filestore.errors import ConfigurationError, FilestoreError, InvalidScopeError
from fastapi_filestore.service import FileService
from fastapi_filestore.service.scopes import check_scope
from fastapi_filestore.service.sorting import check_sortable
from fastapi_filestore.web.known_queries import UNKNOWN_QUERY
from fastapi_filestore.web.paths import name_request
from fastapi_filestore.web.problems import problem_of
from fastapi_filestore.web.wiring import Dependency, require_dependency

ModelT = TypeVar("ModelT")

_DEFAULT: Final = "default_"
"""What the parameters begin with whose values are those of new rows."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """The dependencies that say which rows are a request's own: a condition, and values of new rows.

    `sortable` are the columns that it may sort them by, if they are not those of the service's class.
    """

    scope: Dependency | None = None
    defaults: Mapping[str, Dependency] = field(default_factory=dict[str, Dependency])
    sortable: Sequence[str] | None = None

    def signature(self, get_session: Dependency) -> Signature:
        """Return the parameters of what is called with their values, and with a session.

        The bounds come first, so that who is refused costs no session.
        """
        needed = {f"{_DEFAULT}{name}": default for name, default in self.defaults.items()}
        if self.scope is not None:
            needed["scope"] = self.scope
        keywords = [
            Parameter(name, Parameter.KEYWORD_ONLY, annotation=Annotated[object, Depends(call)])
            for name, call in {**needed, "session": get_session}.items()
        ]
        return Signature(
            [Parameter("connection", Parameter.POSITIONAL_OR_KEYWORD, annotation=HTTPConnection), *keywords]
        )

    def make_service(
        self, make: Callable[..., FileService[ModelT]], session: object, values: dict[str, object]
    ) -> FileService[ModelT]:
        """Return the service that works with a session within the values of the dependencies."""
        arguments = {"scope": values.pop("scope")} if self.scope else {}
        if values:
            arguments["defaults"] = {name.removeprefix(_DEFAULT): value for name, value in values.items()}
        service = make(session, **arguments)
        # None would be a service of all rows, and so would a subclass that keeps the scope to itself.
        if self.scope and service.scope is not check_scope(service.model, arguments["scope"]):
            raise InvalidScopeError(f"{type(service).__name__} must pass scope= and defaults= on to FileService.")
        if self.sortable is not None:
            service.sortable = self.sortable
        return service


def bounds_of(
    model: type | None,
    scope: Dependency | None,
    defaults: Mapping[str, Dependency],
    sortable: Iterable[str] | None = None,
) -> Bounds:
    """Return the bounds of a model's service.

    Raises:
        ConfigurationError: One of them is no dependency, or the model lacks an attribute that is to get a default, or
            to be sorted by.
    """
    name = "the model" if model is None else model.__name__
    if scope is not None:
        require_dependency(
            scope, name=f"The scope of {name}", example=f"a function that returns {name}.owner_id == user.id"
        )
    for attribute, given in defaults.items():
        if model is not None and attribute not in inspect(model).attrs:
            raise ConfigurationError(f"{name} has no attribute {attribute!r} to give a default to.")
        require_dependency(
            given,
            name=f"The default of {name}.{attribute}",
            example="a function that returns the value, such as current_user_id or lambda: 1",
        )
    if sortable is not None and model is not None:
        sortable = check_sortable(model, sortable)
    return Bounds(scope, defaults, None if sortable is None else tuple(sortable))


def service_provider(
    get_session: Dependency, make: Callable[..., FileService[ModelT]], bounds: Bounds, *, hold_session: bool = False
) -> Callable[..., FileService[ModelT]]:
    """Build the provider from the user's session dependency and what makes a service of a session.

    With `hold_session` a transaction that has only read goes on while a body comes in.

    FastAPI ends a dependency with `yield` after the response, where a failing commit would follow a 201. The inner
    one has the scope of the function instead; the outer one is plain, so that routes may depend on it as they like.
    It commits even if the client of a WebSocket has left.
    """

    async def unit_of_work(
        connection: HTTPConnection, *, session: object, **bounded: object
    ) -> AsyncIterator[FileService[ModelT]]:
        name_request(connection.scope)
        departure: BaseException | None = None
        try:
            if UNKNOWN_QUERY in connection.scope:
                raise connection.scope[UNKNOWN_QUERY]
            _require_session_of_request(session)
            service = bounds.make_service(make, session, bounded)
            service.hold_session = hold_session or service.hold_session
            try:
                async with service.unit_of_work():
                    try:
                        yield service
                    except (WebSocketDisconnect, BaseExceptionGroup) as error:
                        # Tasks of a group that receive and send hear it together.
                        if isinstance(error, BaseExceptionGroup) and error.split(WebSocketDisconnect)[1] is not None:
                            raise
                        departure = error  # no failure: what the client was told is to last, and is committed
            finally:
                service.refuse_writes()
        except FilestoreError as error:
            raise problem_of(error) from error
        if departure is not None:
            raise departure

    vars(unit_of_work)["__signature__"] = bounds.signature(get_session)  # FastAPI reads the parameters from it

    async def provide(service: Annotated[object, Depends(unit_of_work, scope="function")]) -> object:
        return service

    # Whoever calls it, instead of giving it to Depends, reads this name in Python's own error.
    provide.__qualname__ = "files.service(...) goes into Depends uncalled; provider"
    return cast("Callable[..., FileService[ModelT]]", provide)


def _require_session_of_request(session: object) -> None:
    """Raise `ConfigurationError` for what is no session, or one of many requests."""
    if not isinstance(session, Session | AsyncSession | scoped_session | async_scoped_session):
        raise ConfigurationError(
            f"get_session gave a {type(session).__name__}, which is no session: let it yield one, as in `async with "
            "Session() as session: yield session`."
        )
    if isinstance(session, scoped_session) and isinstance(session.registry, ThreadLocalRegistry):
        raise ConfigurationError(
            "All requests of an event loop run in one thread, so a scoped_session of threads would be one session for "
            "all of them: give it a scopefunc of the request, or let the session dependency make a session."
        )
