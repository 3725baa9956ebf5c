"""Make the rules of a column or a route, and say who may refuse a file once its bytes are stored."""

from collections.abc import Iterable
from typing import Any, Protocol, TypeAlias, runtime_checkable

from fastapi_filestore.errors import ConfigurationError
from fastapi_filestore.file_object.value import FileObject
from fastapi_filestore.intake.rules import NO_RULES, FileRules
from fastapi_filestore.intake.types.media_types import check_ranges
from fastapi_filestore.intake.validators import TypesAgree, Validator
from fastapi_filestore.settings.size import SIZE_REMEDY, parse_size


@runtime_checkable
class ObjectValidator(Protocol):
    """Looks at the stored bytes of a file, all of them, and may refuse it before any row points to them."""

    async def validate_object(self, file: FileObject) -> None:
        """Raise an `UploadError` to refuse the file: its bytes are deleted then."""
        ...


AnyValidator: TypeAlias = Validator | ObjectValidator
"""Who may refuse a file: by its first bytes, or by the stored object."""


def file_rules(
    *,
    max_size: int | str | None = None,
    max_files: int | None = None,
    content_types: Iterable[str] = (),
    sniff: bool = False,
    validators: Iterable[AnyValidator] = (),
) -> FileRules:
    """Say what files must be.

    Raises:
        ConfigurationError: A size, a number, a type or a validator is none, or the extra `sniff` is needed and missing.
    """
    if max_files is not None and max_files < 1:
        raise ConfigurationError(f"max_files is {max_files!r}: give the most files that there may be, from 1 on.")
    size = None if max_size is None else parse_size(max_size)
    if size == 0:
        raise ConfigurationError(f"max_size={max_size!r} takes no file: {SIZE_REMEDY}, or leave it out.")
    if not isinstance(sniff, bool):
        raise ConfigurationError(f"sniff={sniff!r} is neither True nor False: write one of them.")
    if not isinstance(validators, Iterable):
        raise ConfigurationError(f"Validators are a list: [{type(validators).__name__}()].")
    for validator in list[Any](validators := list(validators)):  # whoever has no type checker may give anything
        if isinstance(validator, type) or not isinstance(validator, Validator | ObjectValidator):
            name = validator.__name__ if isinstance(validator, type) else type(validator).__name__
            raise ConfigurationError(
                f"{name} is no validator: give an object with `async def validate(self, head, upload)`, which sees the "
                "first bytes, or `async def validate_object(self, file)`, which sees the stored ones."
            )
    if sniff and not any(isinstance(validator, TypesAgree) for validator in validators):
        validators.insert(0, TypesAgree())
    rules = FileRules(
        max_size=size,
        max_files=max_files,
        content_types=check_ranges(content_types),
        validators=tuple(validator for validator in validators if isinstance(validator, Validator)),
        object_validators=tuple(validator for validator in validators if isinstance(validator, ObjectValidator)),
    )
    return NO_RULES if rules.is_empty and max_files is None else rules
