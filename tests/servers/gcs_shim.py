"""Lend fake-gcs-server the parts of GCS's XML API that it lacks: put, multipart uploads, copies, and error codes.

Each is turned into a call of the JSON API that the server has; every other request passes through unchanged.
"""

import json
import re
import secrets
import shutil
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import BinaryIO
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit
from xml.sax.saxutils import escape

from tests.servers.process import LOOPBACK

METADATA_PREFIX = "x-goog-meta-"
CREATE_ONLY = "x-goog-if-generation-match"
ATTRIBUTES = {
    "content-type": "contentType",
    "content-disposition": "contentDisposition",
    "content-encoding": "contentEncoding",
    "content-language": "contentLanguage",
    "cache-control": "cacheControl",
}
"""Request header → field of the JSON API."""
JSON_PATHS = frozenset({"storage", "upload", "download"})
HOP_BY_HOP = frozenset({"host", "connection", "transfer-encoding", "content-length", "accept-encoding"})


@dataclass(frozen=True, slots=True)
class _Upload:
    """A multipart upload that is not finished yet; its headers say what the object will be."""

    bucket: str
    key: str
    headers: Mapping[str, str]
    parts: dict[int, bytes] = field(default_factory=dict)


class _Shim(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128  # the default of 5 makes a burst of clients wait for whole seconds

    def __init__(self, upstream_port: int) -> None:
        super().__init__((LOOPBACK, 0), _Handler)
        self.upstream_port = upstream_port
        self.uploads: dict[str, _Upload] = {}
        self.copying = threading.Lock()

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of clients that went away: cancelled transfers are what some tests are about."""


class _Handler(BaseHTTPRequestHandler):
    server: _Shim
    protocol_version = "HTTP/1.1"

    def _serve(self) -> None:
        url = urlsplit(self.path)
        self.query = dict(parse_qsl(url.query, keep_blank_values=True))
        self.bucket, _, self.key = unquote(url.path).removeprefix("/").partition("/")
        self.fields = {name.lower(): value for name, value in self.headers.items()}
        size = int(self.fields.get("content-length", 0))
        self.body = self.rfile.read(size)
        if len(self.body) < size:
            self.close_connection = True  # the client went away in the middle: nothing may be stored
            return
        self._dispatch()

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = do_OPTIONS = _serve  # noqa: N815 - the base class's names

    def _dispatch(self) -> None:
        if self.bucket in JSON_PATHS:
            self._pass_through()
        elif "uploads" in self.query:
            self._list_uploads() if self.command == "GET" else self._begin_upload()
        elif "uploadId" in self.query:
            self._continue_upload()
        elif self.command == "PUT" and "x-goog-copy-source" in self.fields:
            self._copy()
        elif self.command == "PUT":
            self._put(self.bucket, self.key, self.fields, self.body)
        else:
            self._pass_through()

    def _put(self, bucket: str, key: str, headers: Mapping[str, str], body: bytes) -> None:
        boundary = secrets.token_hex(16)
        head = f"--{boundary}\r\nContent-Type: application/json\r\n\r\n{json.dumps(_resource(key, headers))}\r\n"
        media = f"--{boundary}\r\nContent-Type: {headers.get('content-type', 'application/octet-stream')}\r\n\r\n"
        content = b"".join((head.encode(), media.encode(), body, f"\r\n--{boundary}--\r\n".encode()))
        query = {"uploadType": "multipart"}
        if CREATE_ONLY in headers:
            query["ifGenerationMatch"] = headers[CREATE_ONLY]
        path = f"/upload/storage/v1/b/{quote(bucket)}/o?{urlencode(query)}"
        status, answer = self._json("POST", path, content, f"multipart/related; boundary={boundary}")
        self._answer_stored(status, answer)

    def _copy(self) -> None:
        bucket, _, key = unquote(self.fields["x-goog-copy-source"]).removeprefix("/").partition("/")
        target = _object_path(self.bucket, self.key)
        with self.server.copying:
            if self.fields.get(CREATE_ONLY) == "0" and self._json("GET", target)[0] == 200:
                self._refuse(412)
                return
            rewrite = f"{_object_path(bucket, key)}/rewriteTo{target.removeprefix('/storage/v1')}"
            status, answer = self._json("POST", rewrite, b"{}", "application/json")
        resource = answer.get("resource")
        self._answer_stored(status, resource if isinstance(resource, dict) else {})

    def _begin_upload(self) -> None:
        upload_id = secrets.token_urlsafe(16)
        self.server.uploads[upload_id] = _Upload(self.bucket, self.key, self.fields)
        names = f"<Bucket>{self.bucket}</Bucket><Key>{escape(self.key)}</Key><UploadId>{upload_id}</UploadId>"
        self._answer(200, f"<InitiateMultipartUploadResult>{names}</InitiateMultipartUploadResult>".encode())

    def _continue_upload(self) -> None:
        upload = self.server.uploads.get(self.query["uploadId"])
        if upload is None:
            self._error(404, "NoSuchUpload")
        elif self.command == "PUT":
            number = self.query["partNumber"]
            upload.parts[int(number)] = self.body
            self._answer(200, headers={"ETag": f'"part-{number}"'})
        elif self.command == "POST":
            del self.server.uploads[self.query["uploadId"]]
            content = b"".join(upload.parts[number] for number in sorted(upload.parts))
            self._put(upload.bucket, upload.key, upload.headers, content)
        else:
            del self.server.uploads[self.query["uploadId"]]
            self._answer(204)

    def _list_uploads(self) -> None:
        uploads = [(each.key, id_) for id_, each in self.server.uploads.items() if each.bucket == self.bucket]
        rows = "".join(f"<Upload><Key>{escape(key)}</Key><UploadId>{id_}</UploadId></Upload>" for key, id_ in uploads)
        self._answer(200, f"<ListMultipartUploadsResult>{rows}</ListMultipartUploadsResult>".encode())

    def _answer_stored(self, status: int, resource: Mapping[str, object]) -> None:
        if status != 200:
            self._refuse(status)
            return
        etag = f'"{resource["etag"]}"'
        headers = {"ETag": etag, "x-goog-generation": str(resource["generation"])}
        xml = f"<CompleteMultipartUploadResult><ETag>{escape(etag)}</ETag></CompleteMultipartUploadResult>"
        self._answer(200, xml.encode(), headers=headers)

    def _refuse(self, status: int) -> None:
        # For a missing bucket this server says 500 where GCS says 404, and never which of the two is missing.
        if status in {404, 500} and self._json("GET", f"/storage/v1/b/{quote(self.bucket)}")[0] == 404:
            self._error(404, "NoSuchBucket")
        else:
            self._error(status, {404: "NoSuchKey", 412: "PreconditionFailed"}.get(status, "InternalError"))

    def _error(self, status: int, code: str) -> None:
        self._answer(status, f"<Error><Code>{code}</Code><Message>{code}</Message></Error>".encode())

    def _answer(self, status: int, body: bytes = b"", *, headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "application/xml", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _json(
        self, method: str, path: str, body: bytes | None = None, content_type: str = ""
    ) -> tuple[int, dict[str, object]]:
        connection = HTTPConnection(LOOPBACK, self.server.upstream_port)
        try:
            connection.request(method, path, body, {"Content-Type": content_type} if body else {})
            response = connection.getresponse()
            content = response.read()
        finally:
            connection.close()
        return response.status, json.loads(content) if content.startswith(b"{") else {}

    def _pass_through(self) -> None:
        connection = HTTPConnection(LOOPBACK, self.server.upstream_port)
        try:
            headers = {name: value for name, value in self.fields.items() if name not in HOP_BY_HOP}
            connection.request(self.command, self.path, self.body or None, headers)
            response = connection.getresponse()
            if response.status in {404, 500} and self.bucket not in JSON_PATHS:
                self._refuse(response.status)
            elif response.getheader("Content-Length") is None or not self.key:
                self._answer(response.status, _quote_etags(response.read()), headers=_kept(response.getheaders()))
            else:
                self._stream(response.status, dict(response.getheaders()), response)
        finally:
            connection.close()

    def _stream(self, status: int, headers: Mapping[str, str], content: BinaryIO) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        shutil.copyfileobj(content, self.wfile)

    def log_message(self, *_: object) -> None:
        """Keep the tests' output for the tests."""


def _resource(key: str, headers: Mapping[str, str]) -> dict[str, object]:
    attributes = {field: headers[name] for name, field in ATTRIBUTES.items() if name in headers}
    prefixed = [name for name in headers if name.startswith(METADATA_PREFIX)]
    metadata = {name.removeprefix(METADATA_PREFIX): headers[name] for name in prefixed}
    return {"name": key, "metadata": metadata, **attributes}


def _object_path(bucket: str, key: str) -> str:
    return f"/storage/v1/b/{quote(bucket)}/o/{quote(key, safe='')}"


def _kept(headers: list[tuple[str, str]]) -> dict[str, str]:
    return {name: value for name, value in headers if name.lower() not in HOP_BY_HOP}


def _quote_etags(listing: bytes) -> bytes:
    # GCS has the same quotes around an entity tag in a listing as in a header; this server has none.
    return re.sub(rb"<ETag>([^\"<]*)</ETag>", rb'<ETag>"\1"</ETag>', listing)


@contextmanager
def run_shim(upstream_port: int) -> Iterator[str]:
    """Serve the shim in a thread of this process and yield its address."""
    with _Shim(upstream_port) as shim:
        thread = threading.Thread(target=shim.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield f"http://{LOOPBACK}:{shim.server_port}"
        finally:
            shim.shutdown()
            thread.join()
