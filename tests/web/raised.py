"""An error of every kind in the table of problems, by the name that the table gives it."""

from fastapi_filestore import FilestoreError, errors

SECRETS = ("secret-backend", "secret-key", "SECRETACCESSKEY", "/srv/secret", "s3://secret")
"""What the errors of stores say here, and no client may hear."""
TEXT = " ".join(SECRETS)
OF_A_STORE = {"backend": "secret-backend", "path": "secret-key"}

RAISED: dict[str, FilestoreError] = {
    "malformed-upload": errors.MalformedUploadError("The form has no end."),
    "digest-mismatch": errors.DigestMismatchError("sha-256"),
    "invalid-signature": errors.InvalidSignatureError(),
    "out-of-scope": errors.OutOfScopeError("Document"),
    "row-not-found": errors.RowNotFoundError("Document", 1),
    "file-not-set": errors.FileNotSetError("Document", "file"),
    "object-not-found": errors.ObjectNotFoundError(TEXT, **OF_A_STORE),
    "object-exists": errors.ObjectExistsError(TEXT, **OF_A_STORE),
    "slow-upload": errors.SlowUploadError(30),
    "upload-not-found": errors.UploadNotFoundError("an-id-of-an-upload"),
    "upload-claimed": errors.UploadClaimedError("/documents/1"),
    "upload-offset": errors.UploadOffsetError(start=3, received=5),
    "upload-digest": errors.UploadDigestError(announced="ab" * 32, actual="cd" * 32),
    "upload-incomplete": errors.UploadIncompleteError(received=3, size=5),
    "upload-part": errors.UploadPartError("There is no such part."),
    "final-upload": errors.FinalUploadError("an-id-of-an-upload"),
    "upload-assembling": errors.UploadAssemblingError("an-id-of-an-upload"),
    "upload-busy": errors.UploadBusyError("an-id-of-an-upload"),
    "too-many-open-uploads": errors.TooManyUploadsError(limit=100, actual=101, unit="files", seconds=60),
    "row-conflict": errors.RowConflictError("Document"),
    "stale-row": errors.StaleRowError("Document"),
    "stale-file": errors.StaleFileError("secret-key"),
    "length-required": errors.LengthRequiredError(),
    "header-too-large": errors.HeaderTooLargeError("if-match", limit=16_384, actual=20_000),
    "precondition-failed": errors.PreconditionFailedError(TEXT, **OF_A_STORE),
    "upload-too-large": errors.UploadTooLargeError("file", limit=10, actual=11, field="file"),
    "unsupported-upload": errors.UnsupportedUploadError("text/css", ["text/plain"]),
    "type-mismatch": errors.TypeMismatchError(declared="image/png", sniffed="text/html", extension="image/png"),
    "range-not-satisfiable": errors.RangeNotSatisfiableError(TEXT, size=7, **OF_A_STORE),
    "missing-file": errors.MissingFileError("file"),
    "too-many-files": errors.TooManyFilesError(limit=1, actual=2, field="file"),
    "invalid-upload": errors.UploadError("It has a virus."),
    "invalid-cursor": errors.InvalidCursorError(),
    "invalid-fields": errors.InvalidFieldsError([{"loc": ("title",), "msg": "Too long", "type": "too_long"}]),
    "not-a-file": errors.NotAFileError(TEXT),
    "unsupported-content": errors.UnsupportedContentError("A number is no file."),
    "client-disconnected": errors.ClientDisconnectedError(),
    "signing-unavailable": errors.SigningUnavailableError(TEXT, **OF_A_STORE),
    "store-unavailable": errors.StorageTimeoutError(TEXT, **OF_A_STORE),
    "database-read-only": errors.DatabaseReadOnlyError(TEXT),
    "database-full": errors.DatabaseFullError(TEXT),
    "database-unavailable": errors.DatabaseUnavailableError(TEXT),
    "too-many-uploads": errors.UploadMemoryError(),
    "unreadable-file": errors.UnreadableFileError(
        TEXT, table="secret-backend", column="secret-key", identity=("/srv/secret",)
    ),
    "shared-file": errors.SharedFileError("secret-key"),
    "database-error": errors.DatabaseFailedError(TEXT),
    "upload-outlived": errors.IntentLostError("secret-key"),
    "ledger-missing": errors.LedgerMissingError("secret-key"),
    "content-consumed": errors.ContentConsumedError(TEXT),
    "invalid-scope": errors.InvalidScopeError(TEXT),
    "configuration-error": errors.ConfigurationError(TEXT),
    "application-error": errors.FilestoreError(TEXT),
    "store-full": errors.StorageFullError(TEXT, **OF_A_STORE),
    "store-error": errors.StoragePermissionError(TEXT, **OF_A_STORE),
}
