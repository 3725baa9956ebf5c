"""Refuse what is easily written wrong where an application is put together, and say what to write instead."""

import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Generator, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from inspect import isasyncgenfunction, isgeneratorfunction, unwrap
from typing import Any, NoReturn, get_args, get_origin, get_type_hints

from fastapi.params import Depends
from pydantic import BaseModel
from sqlalchemy import ColumnElement, Engine, Table, inspect
from sqlalchemy.exc import NoInspectionAvailable
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker
from sqlalchemy.orm import Mapper, Session, sessionmaker

from fastapi_filestore.errors import ConfigurationError
from fastapi_filestore.service import FileService

Dependency = Callable[..., object]
"""What FastAPI's Depends takes."""

_A_MODEL = "class Document(Base), with file: Mapped[FileObject] = mapped_column(StoredObject())"


@dataclass(frozen=True, slots=True)
class CalledFirst:
    """Marks a parameter of a method that gives a dependency, and is none itself: FastAPI asks for its schema."""

    method: str
    right: str

    def __get_pydantic_core_schema__(self, source: object, handler: object) -> NoReturn:
        """Say what belongs into Depends: the method itself was given to it."""
        raise ConfigurationError(f"Depends({self.method}) gives FastAPI the method itself. Write {self.right}.")


class NoRouter:
    """Stands where FastAPI looks at a router, on a method that only returns one, and says what to write."""

    def __init__(self, right: str) -> None:
        self._right = right

    def __call__(self, *arguments: object) -> bool:
        """Refuse the method that newer versions of FastAPI ask."""
        raise ConfigurationError(f"include_router was given the method itself. Write {self._right}.")

    def __iter__(self) -> Iterator[object]:
        """Refuse the method whose routes older versions of FastAPI iterate."""
        return iter([self()])


# -- models ------------------------------------------------------------------------------------------------


def service_of(model: object) -> tuple[Callable[..., FileService[Any]], type | None]:
    """Return what makes a service, and the class of its rows; None if only a service of the user's own knows it.

    Raises:
        ConfigurationError: It is neither a mapped class nor a service that knows one.
    """
    if not isinstance(model, type) or get_origin(model) is not None or not issubclass(model, FileService):
        mapped = mapped_class(model, method="service")
        return partial(FileService, model=mapped), mapped
    if model is FileService:
        raise ConfigurationError(
            "FileService knows no model: write files.service(Document), or files.service(DocumentService) with class "
            "DocumentService(FileService[Document])."
        )
    own = getattr(model, "model", None)
    return model, None if own is None else mapped_class(own, method="service")


def mapped_class(model: object, *, method: str) -> type:
    """Return a class that SQLAlchemy maps; `ConfigurationError` says what to give to the method instead."""
    if not isinstance(model, type) or get_origin(model) is not None:
        name = str(model) if get_origin(model) is not None else f"<{type(model).__name__}>"
        shown = repr(model) if isinstance(model, str) or model is None else name
        raise ConfigurationError(f"files.{method}({shown}): {_what_to_give(model, method)}.")
    try:
        mapper: object = inspect(model)
    except NoInspectionAvailable:
        mapper = None
    if isinstance(mapper, Mapper):
        return model
    if issubclass(model, FileService):
        remedy = "give the model; files.service takes a service of your own, and service= its provider"
    elif hasattr(model, "__sqlmodel_relationships__"):
        remedy = "it has no table: write class Document(SQLModel, table=True)"
    elif issubclass(model, BaseModel):
        remedy = f"it is a schema, for read=, create= or update= of files.router: give a mapped class, {_A_MODEL}"
    else:
        remedy = f"it is no class that SQLAlchemy maps: give one, such as {_A_MODEL}"
    raise ConfigurationError(f"files.{method}({model.__name__}): {remedy}.")


def _what_to_give(model: object, method: str) -> str:
    """Say what to give to a method instead of something that is no class."""
    of_service = get_origin(model)
    if isinstance(of_service, type) and issubclass(of_service, FileService):
        name = getattr(get_args(model)[0], "__name__", "Document")
        return f"give the model: files.{method}({name})"
    if of_service is not None:
        return f"give the mapped class alone, and the service will list its rows: files.{method}(Document)"
    if isinstance(model, Table):
        return f"a Table has no rows that are objects: give the class that is mapped to it, {_A_MODEL}"
    if not isinstance(model, str) and hasattr(type(model), "__mapper__"):
        name = type(model).__name__
        return f"it is a row: give its class, files.{method}({name})"
    return f"give a mapped class itself, such as {_A_MODEL}"


# -- dependencies ------------------------------------------------------------------------------------------


def require_dependency(given: object, *, name: str, example: str) -> Dependency:
    """Return what Depends takes; `ConfigurationError` if it is something else, with an example."""
    if isinstance(given, Depends):
        raise ConfigurationError(f"{name} is a Depends already: give the function alone, {example}.")
    if callable(given) and not isinstance(given, ColumnElement):
        return given
    if isinstance(given, ColumnElement):
        kind = "a condition"
    elif isinstance(given, Generator | AsyncGenerator | Coroutine):
        kind = "what a call of it returned"
    else:
        kind = f"of type {type(given).__name__}"
    raise ConfigurationError(f"{name} is {kind}, and it must be a dependency, which each request calls: {example}.")


def require_service_provider(given: object) -> None:
    """Raise `ConfigurationError` if something is not what gives a service to Depends."""
    example = "service=get_document_service, which files.service(...) returned"
    if isinstance(given, type) or get_origin(given) is not None:
        raise ConfigurationError(f"service= is a class: give the provider of its objects, {example}.")
    require_dependency(given, name="service=", example=example)


def sortable_of(provider: Callable[..., object]) -> Sequence[str]:
    """Return the columns that the service may sort by which a class, or a provider of one's own, makes."""
    made = provider
    if not isinstance(provider, type):
        with contextlib.suppress(Exception):  # names that only type checkers know
            made = get_type_hints(unwrap(provider)).get("return", provider)
    kind = get_origin(made) or made
    return kind.sortable if isinstance(kind, type) and issubclass(kind, FileService) else ()


def session_dependency(given: object) -> Dependency | None:
    """Return the dependency that gives a session; a sessionmaker is made one.

    Raises:
        ConfigurationError: It gives none, or none that is closed after the request.
    """
    example = "Filestore(get_session), where get_session is a function that yields a session"
    if given is None:
        return None
    if isinstance(given, sessionmaker | async_sessionmaker):
        return _dependency_of(given)
    if isinstance(given, Engine | AsyncEngine):
        raise ConfigurationError(f"An engine is no session: write {example}, and engine=engine beside it if need be.")
    if isinstance(given, Session | AsyncSession):
        raise ConfigurationError(f"One session would serve all requests at once: write {example}.")
    function = require_dependency(given, name="get_session", example=example)
    code, inner = getattr(function, "__code__", None), unwrap(function)
    is_wrapped = code is not None and code.co_filename == contextlib.__file__
    if is_wrapped and (isasyncgenfunction(inner) or isgeneratorfunction(inner)):
        raise ConfigurationError(
            f"{getattr(function, '__name__', 'get_session')} is decorated as a context manager, which FastAPI does not "
            "enter: give the function without @contextmanager or @asynccontextmanager, since Depends takes one that "
            "yields."
        )
    return function


def _dependency_of(maker: sessionmaker[Session] | async_sessionmaker[AsyncSession]) -> Dependency:
    """Return the dependency that gives each request a session, and closes it."""

    def get_session() -> Iterator[Session]:
        assert isinstance(maker, sessionmaker)
        with maker() as session:
            yield session

    async def get_async_session() -> AsyncIterator[AsyncSession]:
        assert isinstance(maker, async_sessionmaker)
        async with maker() as session:
            yield session

    return get_session if isinstance(maker, sessionmaker) else get_async_session


def require_schema(given: object, *, name: str) -> None:
    """Raise `ConfigurationError` if something is no model of pydantic's."""
    if given is not None and not (isinstance(given, type) and issubclass(given, BaseModel)):
        raise ConfigurationError(f"{name} must be a pydantic model, such as class Fields(BaseModel): title: str.")


def require_depends(given: object) -> None:
    """Raise `ConfigurationError` if one of `dependencies=` was not put into Depends."""
    if not isinstance(given, Depends):
        name = getattr(given, "__name__", "require_user")
        raise ConfigurationError(f"dependencies= takes what Depends gives: dependencies=[Depends({name})].")
