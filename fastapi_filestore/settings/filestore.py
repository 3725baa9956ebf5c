"""The settings of the whole file store."""

from typing import Annotated, Any

from pydantic import DirectoryPath, Field, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from fastapi_filestore.errors import SettingsError
from fastapi_filestore.settings.backend import BackendSettings
from fastapi_filestore.settings.env_file import ENCODING, refuse_unread_lines
from fastapi_filestore.settings.problems import describe
from fastapi_filestore.settings.sources import (
    DELIMITER,
    PREFIX,
    SecretFileSource,
    VariableSource,
    refuse_misspelt,
    variables_of,
    without_quotes,
)
from fastapi_filestore.settings.values import (
    BackendName,
    DownloadWay,
    Duration,
    InternalPath,
    Probe,
    PublicURL,
    Rate,
    Seconds,
    SigningKeys,
    Size,
    UnknownQuery,
)

DEFAULT_URL = "file://./data/files"
DAY = 24 * 3600
"""Seconds."""
LONGEST_EXPIRY = 7 * DAY
"""Seconds; S3 refuses a signed URL that lives longer, but only when it is used."""

DEEPEST_JSON = 200
"""Levels; pydantic's own limit, beyond which it takes none."""


class FilestoreSettings(BaseSettings):
    """Every setting of the file store, from (first wins) arguments, the environment, `.env` and secret files.

    The variable of a field is FILESTORE_ and its name; that of a backend's option is
    FILESTORE_BACKENDS__, the backend's name, __ and the option's name. Case does not matter.
    `_env_file=None` reads no `.env`.

    Raises:
        SettingsError: Values are wrong, variables are misspelt, or a backend has no URL; it lists all problems.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter=DELIMITER,
        env_file=".env",
        env_file_encoding=ENCODING,
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        use_attribute_docstrings=True,
    )

    backends: dict[BackendName, BackendSettings] = Field(
        default_factory=lambda: {"default": BackendSettings(url=DEFAULT_URL)}
    )
    """The backends by name; with none set, `default` is the folder data/files."""
    default_backend: str | None = Field(default=None, validate_default=True)
    """Backend of the columns that name none. Unset, it is `default`, or the only one."""
    signing_keys: SigningKeys = ()
    """Secrets of 32 characters or more for signed URLs of the application, separated by commas: \
the first signs, all verify."""
    public_url: PublicURL = ""
    """Where clients reach the application, for signed URLs: https://files.example.com."""
    probe: Probe = False
    """Check at start that every backend and ledger can be read and written, and that no table or trigger is missing; \
`read` tries no writing."""
    max_upload_size: Size = 1024**3
    """Largest file, in bytes or with a unit (50 MB, 2 GiB). FastAPI's own `UploadFile` is not limited by it."""
    upload_memory: Size = 64 * 1024**2
    """Memory that the uploads of a process share for what is on its way to the stores, in bytes or with a unit."""
    upload_segment: Size | None = None
    """Bytes after which what has come of a resumable upload is kept, while its request goes on; unset, all that came \
is kept when the request ends, and only a process that is killed loses it."""
    upload_silence: Duration = 30
    """Longest time in seconds that a client may send nothing of a body that is waited for; 0 for any."""
    upload_least_rate: Rate = 1024
    """Least bytes a second, with a unit if you like, that a client sends on average; 0 for any."""
    upload_rate_seconds: Annotated[float, Field(gt=0, le=DAY, allow_inf_nan=False)] = 30
    """Time in seconds that this average is taken over; what the store or the application takes does not count."""
    max_form_fields: Annotated[int, Field(ge=0)] = 100
    """Most fields beside the file in one form."""
    max_field_size: Size = 64 * 1024
    """Largest of these fields, in bytes or with a unit."""
    max_json_size: Size = 1024**2
    """Largest body of JSON, in bytes or with a unit; one field of the largest size always fits."""
    max_json_values: Annotated[int, Field(ge=1)] = 10_000
    """Most values in one body or field of JSON, those of its lists and objects included."""
    max_json_depth: Annotated[int, Field(ge=1, le=DEEPEST_JSON)] = 64
    """Deepest nesting of lists and objects in it."""
    unknown_query: UnknownQuery = "ignore"
    """What becomes of query parameters that neither a route of the library nor its dependencies know: `ignore`, or \
`refuse` them with 422."""
    url_expiry: Annotated[int, Field(ge=1, le=LONGEST_EXPIRY)] = 3600
    """Life of a signed URL, in seconds."""
    downloads: DownloadWay = "stream"
    """How files reach clients: `stream` through the application, `redirect` to a signed URL of the store, or `accel` \
by nginx in front."""
    accel_prefix: InternalPath = "/protected/"
    """Path of the internal locations of nginx, one a backend."""
    sweep_every: Seconds | None = None
    """Time between two sweeps of the ledger by each process, in seconds, more or less; unset for none."""
    telemetry_paths: bool = False
    """Tell OpenTelemetry's spans the paths of objects, too."""
    secrets_dir: DirectoryPath | None = None
    """Folder of secret files, each named like the variable that it sets."""

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            problems = describe(error, type(self))
        except UnicodeDecodeError:
            problems = ["The file .env can't be read: it is not UTF-8 text."]
        except OSError as error:
            problems = [f"The file .env or the folder of secrets can't be read: {error}."]
        else:
            return
        # Raised here, the error carries no context: pydantic's holds the values, secrets among them.
        raise SettingsError(problems)

    @field_validator("default_backend")
    @classmethod
    def _choose_default(cls, name: str | None, info: ValidationInfo) -> str | None:
        backends: dict[str, BackendSettings] = info.data.get("backends", {})
        if name is None:
            only = next(iter(backends)) if len(backends) == 1 else None
            return "default" if "default" in backends else only
        if "backends" in info.data and name.lower() not in backends:
            raise ValueError(f"choose one of the backends there are: {', '.join(backends) or 'none'}")
        return name.lower()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Keep pydantic-settings' order, and read every place in the same way."""
        of_files = variables_of(dotenv_settings)
        refuse_unread_lines(dotenv_settings, of_files)
        refuse_misspelt({**variables_of(env_settings), **of_files}, settings_cls.model_fields)
        return (
            init_settings,
            VariableSource(settings_cls, without_quotes(variables_of(env_settings))),
            VariableSource(settings_cls, of_files),
            SecretFileSource(settings_cls),
        )
