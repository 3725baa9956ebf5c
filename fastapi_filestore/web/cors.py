"""Let pages of other origins upload: `UPLOAD_CORS`, what Starlette's `CORSMiddleware` has to be told for that."""

from typing import Final, TypedDict

from fastapi_filestore.web import tus_fields


class UploadCORS(TypedDict):
    """The arguments of `CORSMiddleware` that uploads need; whom to let in is for you to say."""

    allow_methods: tuple[str, ...]
    allow_headers: tuple[str, ...]
    expose_headers: tuple[str, ...]


UPLOAD_CORS: Final[UploadCORS] = {
    "allow_methods": ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"),
    "allow_headers": (*tus_fields.REQUEST_FIELDS, "Authorization", "If-Match"),
    "expose_headers": (*tus_fields.RESPONSE_FIELDS, "ETag", "Retry-After"),
}
"""The methods and headers of uploads, of tus and of the claim: for pages of other origins.

>>> app.add_middleware(CORSMiddleware, allow_origins=["https://app.example.com"], **UPLOAD_CORS)
"""
