"""Check all that an application needs, one after the other."""

from collections.abc import AsyncGenerator, AsyncIterator, Collection
from contextlib import AsyncExitStack, aclosing
from typing import NamedTuple

from fastapi_filestore.errors import ConfigurationError, FilestoreError, SettingsError
from fastapi_filestore.service.check.backends import BackendCheck
from fastapi_filestore.service.check.checked import Checked, Outcome
from fastapi_filestore.service.check.databases import check_database
from fastapi_filestore.service.start.databases import Databases
from fastapi_filestore.service.start.start import backends_of_columns
from fastapi_filestore.settings import FilestoreSettings
from fastapi_filestore.settings.origins import settings_as_read
from fastapi_filestore.storage.from_settings import Wrap, registering_backends
from fastapi_filestore.storage.registry import StorageRegistry

LIMIT = 10.0
"""Seconds that each question may take."""
SETTINGS, COLUMNS = "settings", "column"


class Checkable(NamedTuple):
    """What an application is put together from."""

    databases: Databases
    models: Collection[type]
    registry: StorageRegistry
    base_url: str
    wrap: Wrap | None = None


async def check(
    application: Checkable, settings: FilestoreSettings | SettingsError, *, limit: float = LIMIT
) -> AsyncGenerator[Checked, None]:
    """Yield how each question went: of the settings, of every backend, of the databases and of the columns."""
    async with AsyncExitStack() as stack:
        if isinstance(settings, SettingsError):
            for problem in settings.problems:
                yield Checked(SETTINGS, "read", Outcome.WRONG, problem)
        else:
            for setting in settings_as_read(settings):
                yield Checked(SETTINGS, setting.variable, detail=f"{setting.value or 'unset'} ({setting.origin})")
            for checked in await _register(stack, application, settings):
                yield checked
        for backend in application.registry:
            # Closed at once by whoever has seen enough, so that nothing is left behind.
            async with aclosing(BackendCheck(backend, application.registry).run(limit)) as answers:
                async for checked in answers:
                    yield checked
        async for checked in _check_databases(application.databases, limit):
            yield checked
        for column in backends_of_columns(application.models, application.registry):
            outcome = Outcome.OK if column.problem is None else Outcome.WRONG if column.is_served else Outcome.WEAK
            yield Checked(COLUMNS, column.name, outcome, column.problem or "")


async def _register(stack: AsyncExitStack, application: Checkable, settings: FilestoreSettings) -> list[Checked]:
    """Register each backend of the settings by itself, and return what is wrong with those that can't be."""
    problems, unprobed = list[Checked](), {"probe": False}
    alone = [{key: backend} for key, backend in settings.backends.items()]
    if "backends" not in settings.model_fields_set:
        # A folder that stands in for missing settings, unless backends are registered by hand.
        parts = [settings.model_copy(update=unprobed)]
    else:
        parts = [settings.model_copy(update={**unprobed, "backends": part, "default_backend": None}) for part in alone]
        parts.append(settings.model_copy(update={**unprobed, "backends": {}}))  # the default, and who signs
    for part in parts:
        try:
            await stack.enter_async_context(
                registering_backends(part, application.registry, base_url=application.base_url, wrap=application.wrap)
            )
        except FilestoreError as error:
            key = next(iter(part.backends), "default")
            problems.append(Checked(f"backend {key}", "set up", Outcome.WRONG, str(error)))
    return problems


async def _check_databases(databases: Databases, limit: float) -> AsyncIterator[Checked]:
    try:
        found = await databases.of_models()
    except ConfigurationError as error:
        yield Checked("database", "found", Outcome.UNKNOWN, str(error))
        return
    for database in found:
        async for checked in check_database(database, limit):
            yield checked
