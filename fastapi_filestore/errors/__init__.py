"""Define every error this library raises; know no HTTP and import nothing of ours.

The files are by who meets them: `application` whoever writes or sets one up, `storage` whoever runs stores, `files`
whoever handles files, `requests` clients, `uploads` clients that send a file in parts or straight to a store, and
`rows` whoever writes to the database.

FilestoreError
├── ConfigurationError                 (ValueError)
│   ├── SettingsError
│   ├── DuplicateBackendError
│   ├── InvalidScopeError
│   ├── OverlappingBackendsError
│   └── UnknownBackendError            (LookupError)
├── StorageError
│   ├── ObjectNotFoundError            (FileNotFoundError)
│   ├── BucketNotFoundError            (FileNotFoundError)
│   ├── ObjectExistsError              (FileExistsError)
│   ├── PreconditionFailedError
│   ├── StorageFullError               (OSError)
│   ├── StoragePermissionError         (PermissionError)
│   ├── StorageUnavailableError        (ConnectionError)
│   ├── StorageTimeoutError            (TimeoutError)
│   ├── InvalidKeyError                (ValueError)
│   ├── RangeNotSatisfiableError       (ValueError)
│   ├── SigningUnavailableError        (NotImplementedError)
│   └── ForkedProcessError             (RuntimeError)
├── BlockingCallError                  (RuntimeError)
├── DatabaseFailedError                (RuntimeError)
├── DatabaseUnavailableError           (ConnectionError)
│   ├── DatabaseFullError
│   └── DatabaseReadOnlyError
├── UploadMemoryError                  (MemoryError)
├── InvalidSignatureError              (PermissionError)
├── ContentError
│   ├── UnsupportedContentError        (TypeError)
│   │   └── NotAFileError
│   ├── PendingContentError            (RuntimeError)
│   ├── ContentConsumedError           (RuntimeError)
│   ├── InvalidRecordError             (ValueError)
│   ├── SharedFileError                (ValueError)
│   ├── StaleFileError                 (RuntimeError)
│   └── UnsupportedStatementError      (TypeError)
├── LedgerError
│   ├── IntentLostError                (RuntimeError)
│   └── LedgerMissingError             (RuntimeError)
├── UploadError                        (ValueError)
│   ├── ClientDisconnectedError        (ConnectionError)
│   ├── DigestMismatchError
│   ├── LengthRequiredError
│   ├── MalformedUploadError
│   ├── MissingFileError
│   │   └── NoFileChosenError
│   ├── SlowUploadError                (TimeoutError)
│   ├── TooManyFilesError
│   ├── UnsupportedUploadError
│   │   └── TypeMismatchError
│   ├── UploadDigestError
│   ├── UploadIncompleteError
│   ├── UploadOffsetError
│   ├── UploadPartError
│   └── UploadTooLargeError
├── FinalUploadError
├── TooManyUploadsError
├── UploadAssemblingError
├── UploadBusyError
├── UploadClaimedError
├── UploadNotFoundError                (LookupError)
├── HeaderTooLargeError                (ValueError)
├── InvalidCursorError                 (ValueError)
├── InvalidFieldsError                 (ValueError)
├── OutOfScopeError                    (PermissionError)
├── RowNotFoundError                   (LookupError)
├── FileNotSetError                    (LookupError)
│   └── ListedFileNotFoundError
├── NeverAwaitedError                  (RuntimeError)
├── UnitOfWorkEndedError               (RuntimeError)
├── RowConflictError                   (ValueError)
├── StaleRowError                      (RuntimeError)
└── UnreadableFileError                (ValueError)
"""

from fastapi_filestore.errors.application import *
from fastapi_filestore.errors.files import *
from fastapi_filestore.errors.requests import *
from fastapi_filestore.errors.root import *
from fastapi_filestore.errors.rows import *
from fastapi_filestore.errors.storage import *
from fastapi_filestore.errors.uploads import *
