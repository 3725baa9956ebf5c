"""Build the router of a model: upload, list, read, download, replace, change and delete its rows."""

from collections.abc import Callable, Sequence
from typing import Annotated, TypeVar

from fastapi import APIRouter, Path
from fastapi.params import Depends as Dependency

from fastapi_filestore.errors import ConfigurationError
from fastapi_filestore.service import FileService
from fastapi_filestore.web.problems import ProblemRoute
from fastapi_filestore.web.receiving.bodies import without_app_limit
from fastapi_filestore.web.routes import collection, listed, row, uploads
from fastapi_filestore.web.routes.operations import name_operations
from fastapi_filestore.web.routes.resource import Resource

ModelT = TypeVar("ModelT")


def file_router(
    resource: Resource[ModelT],
    provider: Callable[..., FileService[ModelT]],
    *,
    dependencies: Sequence[Dependency] = (),
    sortable: Sequence[str] = (),
    route_class: type[ProblemRoute] = ProblemRoute,
    identity: str = "identity",
) -> APIRouter:
    """Build the routes of one model.

    Args:
        resource: The model and how it is shown.
        provider: The dependency that gives the model's service.
        dependencies: What must hold before a byte of the body is read: authorization, rate limits.
        sortable: Columns that a listing may be sorted by.
        route_class: The class of the routes, which knows the application's settings.
        identity: What the paths call a row's primary key.
    """
    if not identity.isidentifier():
        raise ConfigurationError(f"A path can't call a key {identity!r}: use a name such as document_id.")
    router = APIRouter(
        route_class=route_class, dependencies=list(dependencies), tags=[resource.name], **without_app_limit()
    )
    collection.add_create(router, resource, provider)
    collection.add_list(router, resource, provider, sortable)
    key = Annotated.__class_getitem__((resource.identity_type, Path(alias=identity)))  # type: ignore[attr-defined]
    path = f"/{{{identity}}}"
    for add_route in (row.add_read, row.add_update, row.add_delete):
        add_route(router, resource, provider, path, key)
    has_alias = resource.places[resource.attribute.name] == "file" and not resource.attribute.type.multiple
    if has_alias:
        main = row.RowFile(resource.attribute, f"{path}/file", is_main=True)
        row.add_file(router, resource, provider, key, main)
    columns = (*resource.attributes, *resource.only_read)
    for attribute in columns:
        place, is_sent = f"{path}/{attribute.name}", attribute in resource.attributes
        if attribute.type.multiple:
            files = listed.ListOfRow(attribute, place)
            (listed.add_list if is_sent else listed.add_readable_list)(router, resource, provider, key, files)
        elif attribute.name != "file" or not has_alias:
            file = row.RowFile(attribute, place, is_main=False, is_described=len(columns) > 1)
            (row.add_file if is_sent else row.add_download)(router, resource, provider, key, file)
    if resource.uploads is not None:  # after those of rows: one may have the key `uploads`
        uploads.add_uploads(router, resource, resource.uploads, provider)
    name_operations(router, resource.model.__name__)
    return router
