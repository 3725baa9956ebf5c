"""The provider behind `Depends(get_document_service)`: a service for the request, committed before the response."""

from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any, TypeVar, cast

from fastapi import Depends
from sqlalchemy.orm import scoped_session
from sqlalchemy.util import ThreadLocalRegistry

from fastapi_filestore.errors import ConfigurationError, FilestoreError
from fastapi_filestore.service import FileService
from fastapi_filestore.web.problems import problem_of

ModelT = TypeVar("ModelT")


def service_provider(
    get_session: Callable[..., Any], make: Callable[[Any], FileService[ModelT]]
) -> Callable[..., FileService[ModelT]]:
    """Build the provider from the user's session dependency and what makes a service of a session.

    FastAPI ends a dependency with `yield` after the response, where a failing commit would follow a 201. The inner
    one has the scope of the function instead; the outer one is plain, so that routes may depend on it as they like.
    """

    async def unit_of_work(session: Annotated[Any, Depends(get_session)]) -> AsyncIterator[FileService[ModelT]]:
        try:
            async with make(_own(session)).unit_of_work() as service:
                yield service
        except FilestoreError as error:
            raise problem_of(error) from error

    async def provide(service: Annotated[Any, Depends(unit_of_work, scope="function")]) -> Any:
        return service

    return cast("Callable[..., FileService[ModelT]]", provide)


def _own(session: Any) -> Any:
    if isinstance(session, scoped_session) and isinstance(session.registry, ThreadLocalRegistry):
        raise ConfigurationError(
            "All requests of an event loop run in one thread, so a scoped_session of threads would be one session for "
            "all of them: give it a scopefunc of the request, or let the session dependency make a session."
        )
    return session
