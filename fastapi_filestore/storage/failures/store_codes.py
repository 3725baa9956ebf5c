"""Explain the error codes of S3 and what speaks its protocol, of Azure and of Google Cloud Storage."""

from collections.abc import Mapping
from typing import Final

from fastapi_filestore.errors import (
    InvalidKeyError,
    StorageError,
    StoragePermissionError,
    StorageTimeoutError,
    StorageUnavailableError,
)
from fastapi_filestore.storage.failures.reasons import (
    BUSY,
    CHANGED,
    EXISTS,
    FULL,
    NO_BUCKET,
    NO_METHOD,
    NO_OBJECT,
    NO_RANGE,
    NOT_SUPPORTED,
    QUOTA,
    REFUSED,
    REQUEST_REFUSED,
    SILENT,
    STORE_FAILED,
    TOO_LARGE,
    UPLOAD_GONE,
    WRONG_REGION,
    Reason,
)

_WRONG_KEY = Reason(
    StoragePermissionError,
    "does not know the access key that it is asked with for {key}",
    "check the access key, and that it belongs to this store",
)
_WRONG_SECRET = Reason(
    StoragePermissionError,
    "refused the signature of a request for {key}",
    "check the secret or account key: it does not belong to the name it is used with",
)
_EXPIRED = Reason(
    StoragePermissionError,
    "refused credentials that have expired, for {key}",
    "renew them: the token, the signature (SAS) or the session of the role",
)
_CLOCK = Reason(
    StoragePermissionError,
    "refused a request for {key} because of its time",
    "set this machine's clock: it is more than 15 minutes off the store's",
)
_ACCOUNT = Reason(
    StoragePermissionError,
    "refused {key} because of the account",
    "it is disabled, has a problem or has not signed up: ask whoever pays for it",
)
_FIREWALL = Reason(
    StoragePermissionError,
    "refused {key} because of where it is asked from",
    "let this network through the store's firewall, or its endpoint policy",
)
_PAYER = Reason(
    StoragePermissionError,
    "wants to know who pays for {key}",
    "set AWS_REQUEST_PAYER=true on S3; on Google, take the bucket out of requester pays",
)
_ENCRYPTION = Reason(
    StoragePermissionError,
    "could not use the encryption key for {key}",
    "see that the KMS key exists, is enabled, and that the credentials may use it",
)
_ENCRYPTION_ASKED = Reason(
    StorageError,
    "refused {key} because of its encryption",
    "set AWS_SERVER_SIDE_ENCRYPTION and its key as the bucket asks for",
)
_ARCHIVED = Reason(
    StorageError,
    "keeps {key} in an archive, where it can't be read",
    "restore the object, and let no lifecycle rule archive what is served",
)
_LOCKED = Reason(
    StoragePermissionError,
    "may not change {key}, which is locked",
    "a retention, legal hold, immutability policy or lease holds it: wait for its end, or lift it",
)
_WRONG_TYPE = Reason(
    StorageError,
    "has something else at {key} than an object that can be written so",
    "delete it, or use another prefix",
)
_BAD_BUCKET_NAME = Reason(StorageError, "has a bucket name that the store does not take", "correct the URL")
_LONG_KEY = Reason(
    InvalidKeyError, "can't hold an object named {key}", "its name is too long, or not one of this store"
)
_DAMAGED_ON_WAY = Reason(
    StorageUnavailableError, "received other bytes of {key} than were sent", "try again, and look at what is in between"
)
_IN_TRANSITION = Reason(
    StorageUnavailableError, "is busy with another change of {key} or of its bucket", "it goes on by itself: try again"
)
_SLOW_REQUEST = Reason(
    StorageTimeoutError, "waited too long for the bytes of {key}", "see whether the network is slow, and try again"
)
_NO_GRANT = Reason(
    StoragePermissionError,
    "got no token for {key}",
    "check the service account, client secret or identity: its keys may be revoked, or the clock is off",
)
_CHECKSUM = Reason(
    StorageError,
    "refused the checksum or a header of {key}",
    "leave AWS_CHECKSUM_ALGORITHM unset, and set AWS_UNSIGNED_PAYLOAD=true where a proxy changes bodies",
)
_TRANSFER = Reason(
    StorageError,
    "does not take requests for {key} at this endpoint",
    "correct the endpoint, and whether it is of https",
)

_CODES_OF: Final[tuple[tuple[Reason, str], ...]] = (
    (NO_OBJECT, "NoSuchKey NoSuchVersion BlobNotFound ResourceNotFound PathNotFound notFound"),
    (
        NO_BUCKET,
        """
        NoSuchBucket ContainerNotFound ContainerBeingDeleted ContainerDisabled FilesystemNotFound
        NoSuchAccessPoint
        """,
    ),
    (EXISTS, "BlobAlreadyExists ResourceAlreadyExists PathAlreadyExists ObjectAlreadyExists"),
    (
        CHANGED,
        """
        PreconditionFailed ConditionNotMet TargetConditionNotMet SourceConditionNotMet ConditionalRequestConflict
        conditionNotMet
        """,
    ),
    (NO_RANGE, "InvalidRange requestedRangeNotSatisfiable"),
    (
        REFUSED,
        """
        AccessDenied AccessDeniedException AllAccessDisabled AuthorizationFailure AuthorizationPermissionMismatch
        AuthorizationResourceTypeMismatch AuthorizationServiceMismatch InsufficientAccountPermissions
        InvalidSecurity MethodNotAllowedByPolicy NoAuthenticationInformation PublicAccessNotPermitted
        UnauthorizedAccess UnauthorizedClientApplication AuthenticationRequired UserAccessDenied Forbidden
        forbidden insufficientPermissions required PERMISSION_DENIED
        """,
    ),
    (_WRONG_KEY, "InvalidAccessKeyId InvalidClientTokenId UnrecognizedClientException"),
    (_WRONG_SECRET, "SignatureDoesNotMatch AuthenticationFailed InvalidAuthenticationInfo"),
    (_EXPIRED, "ExpiredToken ExpiredTokenException InvalidToken TokenRefreshRequired authError"),
    (_CLOCK, "RequestTimeTooSkewed RequestExpired ExpiredPresignedUrlRequest"),
    (
        _ACCOUNT,
        """
        AccountIsDisabled AccountProblem NotSignedUp UserSuspended accountDisabled userAccountDisabled
        AccountBeingCreated
        """,
    ),
    (
        _FIREWALL,
        """
        AuthorizationSourceIPMismatch AuthorizationProtocolMismatch IpAuthorizationError SecurityPolicyViolated
        """,
    ),
    (_PAYER, "UserProjectMissing userProjectMissing UserProjectInconsistent InvalidPayer"),
    (
        _ENCRYPTION,
        """
        KMS.DisabledException KMS.InvalidStateException KMS.KMSInvalidStateException KMS.NotFoundException
        KMS.AccessDeniedException KMS.KeyUnavailableException KMS.InvalidKeyUsageException KMSKeyDisabled
        KMSNotConfigured KeyVaultEncryptionKeyNotFound KeyVaultVaultNotFound KeyVaultAccessTokenCannotBeAcquired
        CustomerEncryptionKeyIsIncorrect customerEncryptionKeyIsIncorrect
        """,
    ),
    (
        _ENCRYPTION_ASKED,
        """
        InvalidEncryptionAlgorithmError ServerSideEncryptionConfigurationNotFoundError
        BlobUsesCustomerSpecifiedEncryption ResourceIsEncryptedWithCustomerEncryptionKey
        resourceIsEncryptedWithCustomerEncryptionKey BlobDoesNotUseCustomerSpecifiedEncryption
        """,
    ),
    (_ARCHIVED, "InvalidObjectState BlobArchived BlobBeingRehydrated ObjectNotInActiveTierError"),
    (
        _LOCKED,
        """
        BlobImmutableDueToPolicy BlobImmutableDueToLegalHold LeaseIdMissing LeaseIdMismatchWithBlobOperation
        LeaseLost ObjectLocked ObjectUnderActiveHold retentionPolicyNotMet RetentionPolicyNotMet
        InvalidRetentionPeriod
        """,
    ),
    (_WRONG_TYPE, "InvalidBlobType BlobTypeNotSupported SnapshotsPresent ResourceTypeMismatch"),
    (_BAD_BUCKET_NAME, "InvalidBucketName InvalidBucketOwnerAWSAccountID InvalidResourceName"),
    (_LONG_KEY, "KeyTooLong KeyTooLongError InvalidObjectName XMinioInvalidObjectName InvalidUri"),
    (FULL, "XMinioStorageFull XMinioBackendDown.DiskFull InsufficientStorage InsufficientCapacity DiskFull"),
    (
        QUOTA,
        """
        QuotaExceeded quotaExceeded XMinioAdminBucketQuotaExceeded AccountLimitExceeded StorageQuotaExceeded
        ServiceQuotaExceededException
        """,
    ),
    (TOO_LARGE, "EntityTooLarge RequestBodyTooLarge BlockCountExceedsLimit uploadTooLarge"),
    (
        WRONG_REGION,
        """
        PermanentRedirect Redirect TemporaryRedirect AuthorizationHeaderMalformed
        IllegalLocationConstraintException IncorrectEndpoint InvalidRegion
        """,
    ),
    (NOT_SUPPORTED, "NotImplemented UnsupportedHeader UnsupportedOperation FeatureVersionMismatch XNotImplemented"),
    (NO_METHOD, "MethodNotAllowed UnsupportedHttpVerb methodNotAllowed"),
    (
        STORE_FAILED,
        """
        InternalError InternalServerError internalError ServiceUnavailable ServerUnavailable backendError
        XMinioServerNotInitialized XMinioBackendDown
        """,
    ),
    (
        BUSY,
        """
        SlowDown SlowDownRead SlowDownWrite Busy ServerBusy TooManyRequests Throttling ThrottlingException
        RequestLimitExceeded BandwidthLimitExceeded rateLimitExceeded userRateLimitExceeded RequestThrottled
        KMS.ThrottlingException
        """,
    ),
    (SILENT, "OperationTimedOut GatewayTimeout XMinioServerTimeout"),
    (_SLOW_REQUEST, "RequestTimeout"),
    (
        _IN_TRANSITION,
        """
        OperationAborted BucketNotReady AccountBeingDeleted PendingCopyOperation ContainerOperationFailure
        conflict
        """,
    ),
    (
        _DAMAGED_ON_WAY,
        """
        BadDigest IncompleteBody Md5Mismatch Crc64Mismatch XAmzContentSHA256Mismatch ContentLengthMismatch
        """,
    ),
    (_CHECKSUM, "InvalidDigest InvalidMd5 InvalidChecksum MissingContentLength MissingContentMD5"),
    (UPLOAD_GONE, "NoSuchUpload InvalidPart InvalidBlockList InvalidBlockId InvalidPartOrder"),
    (_NO_GRANT, "invalid_grant invalid_client unauthorized_client InvalidIdentityToken invalid_request"),
    (_TRANSFER, "AccountRequiresHttps InvalidHost HostMismatch InsecureTransport"),
    (
        REQUEST_REFUSED,
        """
        InvalidRequest InvalidArgument InvalidHeaderValue InvalidInput InvalidQueryParameterValue MalformedXML
        MissingRequiredHeader OutOfRangeInput invalid badRequest
        """,
    ),
)
GROUPS: Final = tuple((reason, tuple(codes.split())) for reason, codes in _CODES_OF)
"""Each reason, with the codes that mean it."""

CODES: Final[Mapping[str, Reason]] = {code: reason for reason, codes in GROUPS for code in codes}
