"""Name a stored object towards clients, by what tells neither its backend nor its path."""

from hashlib import sha256
from typing import Final

from fastapi_filestore.storage.base64url import encode_base64url

ID_LENGTH: Final = 22
"""Characters of an id, which are 132 bits."""


def id_of(backend: str | None, path: str) -> str:
    """Return the id of an object: base64url of a SHA-256, cut to 22 characters.

    What is hashed is the number of UTF-8 bytes of the backend's key in decimal digits, a colon, the key, and the path.
    The number says where the key ends, so no two objects give the same bytes, whatever characters they have.
    """
    key = (backend or "").encode(errors="surrogatepass")
    return encode_base64url(sha256(b"%d:%b%b" % (len(key), key, path.encode(errors="surrogatepass"))).digest())[
        :ID_LENGTH
    ]
