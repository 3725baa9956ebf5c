"""Give a route the files of its request, still on their way; see that nothing else reads them."""

import re
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from inspect import Parameter, Signature
from typing import Annotated, Any, Generic, TypeVar, get_origin

from fastapi import Depends, Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.routing import BaseRoute

from fastapi_filestore.errors import ConfigurationError, FilestoreError, MissingFileError
from fastapi_filestore.intake.folders import without_paths
from fastapi_filestore.intake.forms.limits import FormLimits
from fastapi_filestore.intake.rules import FileRules
from fastapi_filestore.orm.sessions import AnySession
from fastapi_filestore.service import FileService
from fastapi_filestore.service.parameters import NO_PARAMETER
from fastapi_filestore.service.unit import end_reading
from fastapi_filestore.web.known_queries import api_routes, included_routes
from fastapi_filestore.web.paths import name_request
from fastapi_filestore.web.problems import ProblemRoute, problem_of
from fastapi_filestore.web.receiving.bodies import UNREAD, expect_body, lift_app_limit
from fastapi_filestore.web.receiving.form_fields import known_names, switch_names, validate_form
from fastapi_filestore.web.receiving.uploads import UploadPolicy
from fastapi_filestore.web.routes.openapi.answers import FILE_RESPONSES, REDIRECTS
from fastapi_filestore.web.routes.openapi.bodies import upload_body
from fastapi_filestore.web.routes.openapi.parameters import OF_UPLOADS
from fastapi_filestore.web.routes.openapi.problems import OF_STORES, problems
from fastapi_filestore.web.wiring import Dependency

REFUSALS = (400, 408, 411, 413, 415, 422)
"""What a body can be refused with before any code of the route has run."""
_OF_UPLOADS = (MissingFileError, *OF_STORES)


ReceivedT = TypeVar("ReceivedT")


@dataclass(frozen=True, slots=True, eq=False)
class UploadDependency(Generic[ReceivedT]):
    """Gives a route the file of its request, `Depends(files.upload())`, or its files, `Depends(files.uploads())`.

    Attributes:
        receive: Reads a request up to the file, or makes what reads its files one after the other.
        field: The form's field that has them.
        limits: Tells how much the request may hold.
        rules: Whom a file must please.
        fields: What the other fields must be; any text if None.
        get_session: The dependency whose session is not to hold a connection while the client sends, if there is one.
        max_files: How many files there may be; None for the one file.
        keeps_folders: Whether the folder that the client had a file in is kept.
    """

    receive: Callable[[Request, UploadPolicy], Awaitable[ReceivedT]]
    field: str
    limits: Callable[[], FormLimits]
    rules: FileRules
    fields: type[BaseModel] | None
    get_session: Dependency | None = None
    max_files: int | None = None
    keeps_folders: bool = False

    @property
    def __signature__(self) -> Signature:
        """What FastAPI takes the parameters from."""
        request = Parameter("request", Parameter.POSITIONAL_OR_KEYWORD, annotation=Request)
        if self.get_session is None:
            return Signature([request])
        # The same session as that of the route's other dependencies, which FastAPI calls once for all.
        annotation = Annotated[object, Depends(self.get_session)]
        return Signature([request, Parameter("session", Parameter.POSITIONAL_OR_KEYWORD, annotation=annotation)])

    async def __call__(self, request: Request, session: AnySession | None = None) -> ReceivedT:
        """Receive what the client sends, and hold no connection meanwhile.

        Raises:
            ConfigurationError: Something else of the route reads the body.
        """
        name_request(request.scope)
        try:
            route = request.scope.get("route")
            # All that a request need look at; an application with the lifespan has looked at all routes at its start.
            if isinstance(route, APIRoute) and (route.body_field or UNREAD in request.scope):
                raise _two_readers(route)
            expect_body(request)
            await lift_app_limit(request)
            if session is not None:
                await end_reading(session)
            return await self.receive(request, self.policy())
        except FilestoreError as error:
            raise problem_of(error) from error

    def policy(self) -> UploadPolicy:
        """Say what the request may hold."""
        limits = replace(self.limits().with_file_size(self.rules.max_size), files=self.max_files or 1)
        if (model := self.fields) is None:
            return UploadPolicy(self.field, limits, rules=self.rules, keeps_folders=self.keeps_folders)
        known = known_names(model)

        def validate(fields: Mapping[str, str]) -> BaseModel:
            return validate_form(model, without_paths(fields, known) if self.keeps_folders else fields)

        return UploadPolicy(
            self.field,
            limits,
            validate,
            self.rules,
            known,
            is_fields=True,
            switches=switch_names(model),
            keeps_folders=self.keeps_folders,
        )

    @property
    def body(self) -> dict[str, object]:
        """The request's body, as OpenAPI describes it."""
        return upload_body(self.policy(), self.fields, several=self.max_files is not None)


def _two_readers(route: APIRoute) -> ConfigurationError:
    what = "body parameters beside an upload" if route.body_field else "two uploads"
    methods = ", ".join(sorted(route.methods or ()))
    return ConfigurationError(
        f"The route {route.name!r} ({methods} {route.path}) has {what}, and a request has one body: take form fields "
        "with `fields=` and a model instead of Form(), File() or Body(), and several files with one "
        "`files.uploads(...)`."
    )


def require_one_reader(routes: Iterable[BaseRoute]) -> None:
    """Raise `ConfigurationError` for a route whose upload would wait for a body that something else has read."""
    for route in api_routes(routes):
        uploads = _uploads(route)
        if len(uploads) > 1 or (uploads and route.body_field):
            raise _two_readers(route)


def refuse_bare_services(routes: Iterable[BaseRoute]) -> None:
    """Raise `ConfigurationError` for a route that depends on a service's class, which has no session to work with."""
    for route in api_routes(routes):
        for call in _calls(route.dependant):
            kind = get_origin(call) or call
            if isinstance(kind, type) and issubclass(kind, FileService):
                raise ConfigurationError(f"The route {route.name!r} ({route.path}) can't be served. {NO_PARAMETER}")


def require_distinct_parameters(routes: Iterable[BaseRoute]) -> None:
    """Raise `ConfigurationError` for a router of ours below a prefix whose parameter stands for some of its own path.

    It has the name of the router's own parameter, or takes slashes, as `{folder:path}` does.
    """
    try:
        for route in included_routes(routes):
            if not isinstance(getattr(route, "original_route", route), ProblemRoute):
                continue
            takers = [name for name, kind in route.param_convertors.items() if re.fullmatch(kind.regex, "a/b")]
            if takers and len(route.param_convertors) > 1:
                raise ConfigurationError(
                    f"The route {route.name!r} is at {route.path}, and {{{takers[0]}}} takes slashes there, so nobody "
                    f"can tell which part of a path is the router's own, as /file is: include it below {{{takers[0]}}} "
                    "without :path."
                )
    except ValueError as error:
        if "Duplicated param name" not in str(error):
            raise
        raise ConfigurationError(
            f"{error}: call one of them otherwise; a router's own is files.router(..., identity='document_id')."
        ) from None


def describe_uploads(routes: Iterable[BaseRoute], *, refusals: bool) -> None:
    """Add to OpenAPI what routes with these dependencies take: FastAPI can't know of a body that it does not read.

    `refusals` adds the problems that the dependencies answer with.
    """
    for route in api_routes(routes):
        for upload in _uploads(route):
            extra: Mapping[str, object] = route.openapi_extra or {}
            route.openapi_extra = {**OF_UPLOADS, "requestBody": upload.body, **extra}
            if refusals:
                added = {
                    status: told
                    for status, told in problems(*REFUSALS, examples=_OF_UPLOADS).items()
                    if status not in route.responses
                }
                # A route of FastAPI's own makes the references to components, as it would have done for this one.
                refusing = APIRoute(route.path_format, lambda: None, responses=added)
                route.responses = {**added, **route.responses}
                route.response_fields = {**refusing.response_fields, **route.response_fields}


def describe_redirects(routes: Iterable[BaseRoute]) -> None:
    """Add to OpenAPI that routes which serve files may redirect."""
    for route in api_routes(routes):
        if route.responses.get(206) is FILE_RESPONSES[206]:
            route.responses = {**route.responses, **REDIRECTS}


def _uploads(route: APIRoute) -> set[UploadDependency[Any]]:
    # A set, since FastAPI calls one that several dependencies share once.
    return {call for call in _calls(route.dependant) if isinstance(call, UploadDependency)}


def _calls(dependant: Dependant) -> Iterator[object]:
    yield dependant.call
    for inner in dependant.dependencies:
        yield from _calls(inner)
