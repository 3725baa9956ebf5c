"""Let clients store large files in S3 by themselves: in parts whose URLs are signed here, or by a form.

obstore knows none of that, so boto3 begins, lists, completes and aborts. Only the application can complete: until it
does there is no object at the path, and afterwards no signature of a part is good for anything.
"""

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from operator import itemgetter
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

from obstore.store import S3Store

from fastapi_filestore.concurrency.threads import THREADS
from fastapi_filestore.errors import SigningUnavailableError
from fastapi_filestore.storage.backend import SignedURL
from fastapi_filestore.storage.client_parts import SignedForm, StoredPart
from fastapi_filestore.storage.obstore.moving.metadata import check_header
from fastapi_filestore.storage.obstore.moving.unfinished import prefix_of, translating_boto
from fastapi_filestore.storage.obstore.opening.boto_client import bucket_client
from fastapi_filestore.storage.obstore.opening.credentials import StaticCredentials, find_boto_session, keys_of
from fastapi_filestore.storage.obstore.process import Lifetime
from fastapi_filestore.storage.obstore.signing import sign_again, sign_text, sign_url

NO_KEYS = "needs keys to sign with: give its store an access key, or install the extra aws, which finds them"
PERMISSIONS = "s3:PutObject, s3:ListMultipartUploadParts and s3:AbortMultipartUpload"
NO_BOTO = 'needs boto3: pip install "fastapi-filestore[aws]"'
PAGE = 1000
"""Parts that are asked for at once."""


@dataclass(frozen=True, slots=True)
class S3ClientParts:
    """What S3 does for clients of one backend.

    Attributes:
        lifetime: The time in which the backend may be used.
        store: The store as the application reaches it.
        signing: The store as browsers reach it.
    """

    lifetime: Lifetime
    store: S3Store
    signing: S3Store

    async def begin(self, path: str, *, content_type: str) -> str:
        """Begin to store an object in parts, and return the store's name for that."""
        self.lifetime.check()
        await self._keys(path)
        if find_boto_session() is None:
            raise self._unavailable(path, NO_BOTO)
        content_type = check_header("Content-Type", content_type)
        answer = await self._ask("create_multipart_upload", path, ContentType=content_type)
        upload_id: str = answer["UploadId"]
        return upload_id

    async def sign(
        self, path: str, upload_id: str, number: int, *, expires_in: int, size: int | None = None
    ) -> SignedURL:
        """Presign a URL that stores one part, of `size` bytes if that is known."""
        self.lifetime.check()
        keys, signed = await self._keys(path), await self._sign_put(path, expires_in)
        # Every client sends the length by itself, and scripts of browsers may not.
        length = {} if size is None else {"Content-Length": str(size)}
        query = {"partNumber": str(number), "uploadId": upload_id}
        return SignedURL(sign_again(signed, keys, query=query, headers=length), "PUT", signed.expires_at)

    async def list(self, path: str, upload_id: str) -> Sequence[StoredPart] | None:
        """Return the parts that are stored, by number; None if there is no such upload, or no more."""
        self.lifetime.check()
        found, after, is_cut = list[Any](), 0, True
        while is_cut:
            answer = await self._ask("list_parts", path, UploadId=upload_id, PartNumberMarker=after, MaxParts=PAGE)
            if answer is None:
                return None
            page = answer.get("Parts", ())
            found += page
            is_cut = bool(page) and answer.get("IsTruncated", False)
            after = page[-1]["PartNumber"] if page else 0
        # SeaweedFS lists a part twice that was stored twice with other bytes: the later one counts.
        latest = {part["PartNumber"]: part for part in sorted(found, key=itemgetter("LastModified"))}
        return [StoredPart(number, part["Size"], part["ETag"]) for number, part in sorted(latest.items())]

    async def complete(self, path: str, upload_id: str, parts: Sequence[StoredPart]) -> None:
        """Make an object of parts; it is fine if somebody else just did."""
        self.lifetime.check()
        listed = [{"PartNumber": part.number, "ETag": part.etag} for part in parts]
        await self._ask("complete_multipart_upload", path, UploadId=upload_id, MultipartUpload={"Parts": listed})

    async def abort(self, path: str, upload_id: str) -> None:
        """Drop the parts; it is fine if there are none any more."""
        self.lifetime.check()
        await self._ask("abort_multipart_upload", path, UploadId=upload_id)

    async def sign_form(self, path: str, *, expires_in: int, content_type: str, most: int) -> SignedForm:
        """Sign a form that stores a file of so many bytes at the most (a policy of S3 for requests by POST)."""
        self.lifetime.check()
        keys, signed = await self._keys(path), await self._sign_put(path, expires_in)
        address = urlsplit(signed.url)
        query, key = dict(parse_qsl(address.query)), prefix_of(self.signing) + path
        scope = query["X-Amz-Credential"].partition("/")[2]
        fields = {
            "key": key,
            "Content-Type": check_header("Content-Type", content_type),
            "success_action_status": "201",
            "x-amz-algorithm": query["X-Amz-Algorithm"],
            "x-amz-credential": f"{keys.access_key_id}/{scope}",
            "x-amz-date": query["X-Amz-Date"],
        }
        if keys.session_token:
            fields["x-amz-security-token"] = keys.session_token
        conditions: list[Any] = [{"bucket": self._bucket}, ["content-length-range", 0, most]]
        conditions += [{name: value} for name, value in fields.items()]
        expiration = f"{signed.expires_at:%Y-%m-%dT%H:%M:%SZ}"
        policy = base64.b64encode(json.dumps({"expiration": expiration, "conditions": conditions}).encode())
        signature = sign_text(keys, scope, policy).hex()
        below = address.path.removesuffix(quote(key, safe="/"))
        url = f"{address.scheme}://{address.netloc}{below.rstrip('/') or '/'}"
        return SignedForm(url, signed.expires_at, {**fields, "policy": policy.decode(), "x-amz-signature": signature})

    @property
    def _bucket(self) -> str:
        return str(self.store.config.get("bucket"))

    async def _ask(self, request: str, path: str, **options: Any) -> Any:
        """Have boto3 ask for one thing about an object; None if it is of an upload in parts that is not there."""
        backend, asked = self.lifetime.backend, request.replace("_", " ")
        refusal = f"Backend {backend!r} refused to {asked}: permit {PERMISSIONS}"
        with translating_boto(backend, asked, refusal):
            async with bucket_client(self.store, backend=backend) as client:
                key = prefix_of(self.store) + path
                try:
                    return await THREADS.run(partial(getattr(client, request), Bucket=self._bucket, Key=key, **options))
                except client.exceptions.ClientError as error:
                    if error.response.get("Error", {}).get("Code") != "NoSuchUpload":
                        raise
                    return None

    async def _keys(self, path: str) -> StaticCredentials:
        keys = await keys_of(self.signing)
        if keys is None:
            raise self._unavailable(path, NO_KEYS)
        return keys

    async def _sign_put(self, path: str, expires_in: int) -> SignedURL:
        return await sign_url(
            self.signing, path, backend=self.lifetime.backend, method="PUT", expires_in=expires_in, content_type=None
        )

    def _unavailable(self, path: str, reason: str) -> SigningUnavailableError:
        backend = self.lifetime.backend
        return SigningUnavailableError(f"A file in parts of backend {backend!r} {reason}.", backend=backend, path=path)
