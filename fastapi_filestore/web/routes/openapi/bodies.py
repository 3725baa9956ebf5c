"""Describe bodies, which are read late, so that FastAPI knows nothing of them: forms with files, and JSON."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

from pydantic import BaseModel

from fastapi_filestore.intake.rules import FileRules
from fastapi_filestore.orm.column.attributes import FileAttribute
from fastapi_filestore.settings.size import format_size
from fastapi_filestore.web.header_fields import JSON, MULTIPART
from fastapi_filestore.web.receiving.uploads import UploadPolicy
from fastapi_filestore.web.routes.claims import UPLOAD
from fastapi_filestore.web.routes.openapi.answers import BINARY, BYTES
from fastapi_filestore.web.routes.openapi.problems import Description
from fastapi_filestore.web.routes.resource import Resource
from fastapi_filestore.web.routes.schemas import NoFields

ModelT = TypeVar("ModelT")


IDS_IN_FORM: Description = {
    "type": "string",
    "title": "Upload",
    "description": "Ids of uploads whose files the row takes, with commas between.",
}


def file_body(resource: Resource[ModelT], attribute: FileAttribute, *, takes_uploads: bool = False) -> Description:
    """Describe a multipart body with the file of a column, the body that is the file itself, or the id of an upload."""
    fields, field = _schema_of(NoFields), resource.field_of(attribute)
    if resource.unknown_fields == "ignore":
        fields.pop("additionalProperties", None)
    body = _form(attribute.name, fields, BINARY["schema"], field.rules)
    return {"requestBody": _or_uploads(body) if takes_uploads and resource.uploads is not None else body}


def files_body(
    resource: Resource[ModelT], attributes: Sequence[FileAttribute], *, with_fields: bool = False
) -> Description:
    """Describe a form of the files of some columns and, for a new row, the model's fields, which JSON may be, too."""
    first = attributes[0]
    fields = _schema_of(resource.schemas.create if with_fields else NoFields)
    if resource.unknown_fields == "ignore":
        fields.pop("additionalProperties", None)
    rules = replace(resource.field_of(first).rules, max_files=first.type.rules.max_files)
    body = _form(first.name, fields, BINARY["schema"], rules)
    form = body["content"][MULTIPART]["schema"]
    form["required"] = [name for name in form["required"] if name != first.name]
    encoding: Description = {}
    for attribute in attributes:
        field, file = resource.field_of(attribute), BINARY["schema"]
        several = {"type": "array", "items": file, "minItems": 0 if with_fields else 1, "maxItems": field.most}
        text = describe_rules(replace(field.rules, max_files=attribute.type.rules.max_files))
        description = {"description": text} if text and len(attributes) > 1 else {}
        form["properties"][attribute.name] = {**(several if attribute.type.multiple else file), **description}
        if field.rules.content_types:
            encoding[attribute.name] = {"contentType": ", ".join(field.rules.content_types)}
        if field.is_needed or not with_fields:
            form["required"].append(attribute.name)
    if encoding:
        body["content"][MULTIPART]["encoding"] = encoding
    if len(attributes) > 1:  # each file has its own
        body.pop("description", None)
    if resource.uploads is not None:
        form["properties"][UPLOAD] = IDS_IN_FORM
        body = body if with_fields else _or_uploads(body)
    if not form["required"]:
        del form["required"]
    # Of a form and JSON, generators take JSON, which has no file: it is told where rows do without one.
    if with_fields and not any(resource.needs(attribute) for attribute in resource.attributes):
        body["content"][JSON] = {"schema": _schema_of(resource.schemas.create_json)}
    return {"requestBody": body}


def _or_uploads(body: Description) -> Description:
    """Describe a body that names uploads in the place of its file, in the form; generators would take JSON alone."""
    schema = body["content"][MULTIPART]["schema"]
    schema["required"] = []
    schema["properties"][UPLOAD] = IDS_IN_FORM
    return body


def upload_body(policy: UploadPolicy, fields: type[BaseModel] | None, *, several: bool = False) -> Description:
    """Describe a multipart body with one file or several in a field, or the body that is the file itself."""
    properties = {} if fields is None else _schema_of(fields)
    limits, file = policy.limits, BINARY["schema"]
    rules = replace(policy.rules, max_size=limits.file_size, max_files=limits.files if several else None)
    schema = {"type": "array", "items": file, "minItems": 1, "maxItems": limits.files} if several else file
    body = _form(policy.field, properties, schema, rules)
    if several:
        body["content"] = {MULTIPART: body["content"][MULTIPART]}
    return body


def _form(name: str, fields: Description, file: Description, rules: FileRules) -> Description:
    # A form has no null: a field without a value is left out.
    properties = {
        field: {**schema, "anyOf": [kind for kind in schema["anyOf"] if kind != {"type": "null"}]}
        if "anyOf" in schema
        else schema
        for field, schema in fields.get("properties", {}).items()
    }
    schema = {
        **fields,
        "type": "object",
        "properties": {name: file, **properties},
        "required": [name, *fields.get("required", [])],
    }
    form: Description = {"schema": schema}
    if rules.content_types:
        form["encoding"] = {name: {"contentType": ", ".join(rules.content_types)}}
    # A body that is no form has no fields, so it will do where none is needed; its Content-Type is that of the file.
    raw = () if fields.get("required") else (BYTES,)
    text = describe_rules(rules)
    return {
        **({"description": text} if text else {}),
        "required": True,
        "content": {MULTIPART: form, **dict.fromkeys(raw, BINARY)},
    }


def describe_rules(rules: FileRules) -> str:
    """Return the sentences that say what files may be sent; none if any may."""
    sentences = {
        f"At most {rules.max_files} files.": rules.max_files,
        f"A file has at most {format_size(rules.max_size or 0)}.": rules.max_size,
        f"It is of type {' or '.join(rules.content_types)}.": rules.content_types,
        "What it is declared as, what its name says and what its first bytes are of must agree.": rules.sniffs,
    }
    return " ".join(sentence for sentence, holds in sentences.items() if holds)


def json_request(model: type[BaseModel]) -> Description:
    """Describe a JSON body."""
    return {"requestBody": {"required": True, "content": {JSON: {"schema": _schema_of(model)}}}}


def raw_request() -> Description:
    """Describe a body that is the file itself."""
    return {"requestBody": {"required": True, "content": {BYTES: BINARY}}}


def _schema_of(model: type[BaseModel]) -> Description:
    # A body described here can't add to the document's components, so what it refers to is written out. It has no
    # title, since generators call it by its operation then, which there is one of.
    schema = model.model_json_schema()
    schema.pop("title", None)
    definitions = schema.pop("$defs", {})
    return {key: _written_out(value, definitions) for key, value in schema.items()}


def _written_out(schema: object, definitions: Description) -> object:
    if isinstance(schema, list):
        return [_written_out(item, definitions) for item in schema]
    if not isinstance(schema, dict):
        return schema
    target = str(schema.get("$ref", "")).removeprefix("#/$defs/")
    if target in definitions:
        rest = {name: value for name, value in definitions.items() if name != target}  # ends a recursion
        siblings = {key: value for key, value in schema.items() if key != "$ref"}
        return _written_out({**definitions[target], **siblings}, rest)
    return {key: _written_out(value, definitions) for key, value in schema.items() if key != "$ref"}
