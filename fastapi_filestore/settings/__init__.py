"""The environment, read once into frozen settings; nothing else of the library asks it for a setting."""

from fastapi_filestore.settings.addresses import problem_of_address
from fastapi_filestore.settings.automation import is_automated
from fastapi_filestore.settings.backend import BackendSettings
from fastapi_filestore.settings.filestore import FilestoreSettings
from fastapi_filestore.settings.mode import parse_file_mode, parse_folder_mode
from fastapi_filestore.settings.problems import variable
from fastapi_filestore.settings.size import format_size, parse_size
from fastapi_filestore.settings.values import REGION, REGION_REMEDY

__all__ = [
    "REGION",
    "REGION_REMEDY",
    "BackendSettings",
    "FilestoreSettings",
    "format_size",
    "is_automated",
    "parse_file_mode",
    "parse_folder_mode",
    "parse_size",
    "problem_of_address",
    "variable",
]
