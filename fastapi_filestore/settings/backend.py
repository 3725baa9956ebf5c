"""The settings of one backend: where it is, and every option that reaches it."""

from collections.abc import Iterable
from typing import ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from fastapi_filestore.settings.addresses import (
    AZURE_SCHEMES,
    GOOGLE_SCHEMES,
    LOCAL_SCHEMES,
    NETWORK_SCHEMES,
    S3_SCHEMES,
    STORE_SCHEMES,
)
from fastapi_filestore.settings.values import (
    HTTPURL,
    DownloadWay,
    ExistingFile,
    FileMode,
    FolderMode,
    JSONSecret,
    Region,
    Seconds,
    StoreURL,
)


class Options(BaseModel):
    """Options of one family of stores: those whose URL has one of its schemes."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, use_attribute_docstrings=True)

    schemes: ClassVar[tuple[str, ...]] = STORE_SCHEMES


class NetworkOptions(Options):
    """Every store behind a network."""

    schemes: ClassVar[tuple[str, ...]] = NETWORK_SCHEMES

    public_endpoint: HTTPURL | None = None
    """URL at which browsers reach the store, if the application reaches it elsewhere: presigned URLs are for it."""
    timeout: Seconds | None = None
    """Longest silence of the store, in seconds; a transfer may take any time. Unless it is set, long uploads \
and copies go on while the store answers others."""
    connect_timeout: Seconds | None = None
    """Longest time to open a connection, in seconds."""
    max_retries: int | None = Field(default=None, ge=0)
    """Retries of a failed request; 0 for none."""
    retry_timeout: Seconds | None = None
    """Time after which no retry begins, in seconds."""
    proxy_url: SecretStr | None = None
    """Proxy for the requests."""
    proxy_excludes: str | None = None
    """Hosts to reach without the proxy, separated by commas."""
    root_certificate: str | None = None
    """PEM text of a certificate authority to trust as well."""
    allow_invalid_certificates: bool | None = None
    """Accept any certificate; for tests only."""


class S3Options(Options):
    """Amazon S3 and what speaks its protocol: MinIO, R2, Spaces."""

    schemes: ClassVar[tuple[str, ...]] = S3_SCHEMES

    aws_access_key_id: str | None = None
    """Access key; without keys the role of the machine, container or service account is used."""
    aws_secret_access_key: SecretStr | None = None
    """Secret of the access key."""
    aws_session_token: SecretStr | None = None
    """Token of temporary credentials."""
    aws_region: Region | None = None
    """Region of the bucket."""
    aws_endpoint: HTTPURL | None = None
    """URL of a store that is not Amazon's, with its scheme."""
    aws_allow_http: bool | None = None
    """Allow an endpoint without TLS: true for an http:// endpoint, unless false is set here."""
    aws_virtual_hosted_style_request: bool | None = None
    """Put the bucket into the host's name instead of the path, before that of AWS_ENDPOINT, which must not name it."""
    aws_server_side_encryption: Literal["AES256", "aws:kms", "aws:kms:dsse", "sse-c"] | None = None
    """Encryption at rest: AES256, aws:kms, aws:kms:dsse or sse-c."""
    aws_sse_kms_key_id: str | None = None
    """KMS key for aws:kms and aws:kms:dsse."""
    aws_sse_bucket_key_enabled: bool | None = None
    """Use a bucket key with KMS."""
    aws_sse_customer_key_base64: SecretStr | None = None
    """Own 256-bit key for sse-c, in base64."""
    aws_checksum_algorithm: Literal["SHA256", "CRC64NVME"] | None = None
    """Checksum that the store verifies: SHA256 or CRC64NVME."""
    aws_role_arn: str | None = None
    """Role to assume with a web identity."""
    aws_role_session_name: str | None = None
    """Name of that role's session."""
    aws_web_identity_token_file: str | None = None
    """Path of the web identity's token."""
    aws_container_credentials_relative_uri: str | None = None
    """Path of the credentials of an ECS task."""
    aws_container_credentials_full_uri: str | None = None
    """URL of the credentials of an EKS pod."""
    aws_container_authorization_token_file: str | None = None
    """Path of the token for that URL."""
    aws_metadata_endpoint: HTTPURL | None = None
    """URL of the machine's metadata service."""
    aws_imdsv1_fallback: bool | None = None
    """Use version 1 of the metadata service if version 2 refuses."""
    aws_skip_signature: bool | None = None
    """Send unsigned requests, for public buckets."""
    aws_request_payer: bool | None = None
    """Pay for requests to a requester-pays bucket."""
    aws_unsigned_payload: bool | None = None
    """Leave the body out of the signature."""
    aws_s3_express: bool | None = None
    """The bucket is of S3 Express One Zone."""
    aws_disable_tagging: bool | None = None
    """The store knows no tags."""
    aws_disable_bulk_delete: bool | None = None
    """The store can't delete many objects at once."""
    aws_conditional_put: Literal["etag", "disabled"] | None = None
    """How the store refuses to overwrite: etag, or disabled for one that knows no conditional writes."""
    aws_copy_if_not_exists: str | None = None
    """How the store refuses to overwrite by a copy: multipart or header:NAME:VALUE."""


class GoogleOptions(Options):
    """Google Cloud Storage; with nothing set, application default credentials are used."""

    schemes: ClassVar[tuple[str, ...]] = GOOGLE_SCHEMES

    google_service_account: ExistingFile | None = None
    """Path of a service account's JSON file."""
    google_service_account_key: JSONSecret | None = None
    """Text of a service account's JSON file."""
    google_application_credentials: ExistingFile | None = None
    """Path of application default credentials."""
    google_bearer_token: SecretStr | None = None
    """OAuth token, never refreshed."""
    google_base_url: HTTPURL | None = None
    """URL of an emulator."""
    google_skip_signature: bool | None = None
    """Send unsigned requests, for public buckets."""


class AzureOptions(Options):
    """Azure Blob Storage."""

    schemes: ClassVar[tuple[str, ...]] = AZURE_SCHEMES

    azure_storage_connection_string: SecretStr | None = None
    """Connection string; needs nothing beside it."""
    azure_storage_account_name: str | None = None
    """Storage account."""
    azure_storage_account_key: SecretStr | None = None
    """Key of the account."""
    azure_storage_sas_token: SecretStr | None = None
    """Shared access signature."""
    azure_storage_token: SecretStr | None = None
    """OAuth token, never refreshed."""
    azure_client_id: str | None = None
    """Client of a service principal or workload identity."""
    azure_client_secret: SecretStr | None = None
    """Secret of the service principal."""
    azure_tenant_id: str | None = None
    """Tenant of the client."""
    azure_authority_host: HTTPURL | None = None
    """URL of the login service."""
    azure_federated_token_file: str | None = None
    """Path of a workload identity's token."""
    azure_object_id: str | None = None
    """Object id of a managed identity."""
    azure_msi_resource_id: str | None = None
    """Resource id of a managed identity."""
    azure_msi_endpoint: HTTPURL | None = None
    """URL of the managed identity service."""
    azure_credential_type: str | None = None
    """Which credentials to use if there are several."""
    azure_use_azure_cli: bool | None = None
    """Use the login of the Azure command line."""
    azure_storage_endpoint: HTTPURL | None = None
    """URL of the blob service, if it is not Azure's own."""
    azure_storage_use_emulator: bool | None = None
    """Use Azurite on its standard port."""
    azure_use_fabric_endpoint: bool | None = None
    """Use the address of Microsoft Fabric."""
    azure_skip_signature: bool | None = None
    """Send unsigned requests, for public containers."""
    azure_disable_tagging: bool | None = None
    """Store no tags."""


class LocalOptions(Options):
    """A folder of the local disk."""

    schemes: ClassVar[tuple[str, ...]] = LOCAL_SCHEMES

    mkdir: bool | None = None
    """Whether to create a missing folder, as is done unless set; false for a mount that must be there."""
    durable: bool | None = None
    """Whether files outlast a power cut once their row is committed, as they do unless set to false."""
    file_mode: FileMode | None = None
    """Permissions of the files, in octal, whatever the umask is: 0640 unless set."""
    folder_mode: FolderMode | None = None
    """Permissions of the folders, in octal, whatever the umask is: 0750 unless set."""


FAMILIES: tuple[type[Options], ...] = (S3Options, GoogleOptions, AzureOptions, LocalOptions, NetworkOptions)
RETRY_OPTIONS = ("max_retries", "retry_timeout")
NOT_OPTIONS = ("url", "downloads")
CLIENT_OPTIONS = ("proxy_url", "proxy_excludes", "root_certificate", "allow_invalid_certificates")


class BackendSettings(NetworkOptions, LocalOptions, AzureOptions, GoogleOptions, S3Options):
    """One backend: its URL, and the options of its store."""

    schemes: ClassVar[tuple[str, ...]] = STORE_SCHEMES

    url: StoreURL
    """Where the objects are: s3://bucket/prefix/, gs://…, az://…, file:///folder/ or memory://."""
    downloads: DownloadWay | None = None
    """How its files reach clients, if not as FILESTORE_DOWNLOADS says."""
    public_url: HTTPURL | None = None
    """URL below which anybody may fetch its files, as of a public bucket or a CDN: `file.url` is in it, unsigned."""

    def options(self) -> dict[str, object]:
        """Return the options that are set, as the keywords of `ObstoreBackend`.

        Secrets stay wrapped in SecretStr, except a proxy's URL, which the store takes as part of a mapping.
        """
        options: dict[str, object] = {
            name: value for name, value in self if name not in NOT_OPTIONS and value is not None
        }
        retries = {name: options.pop(name) for name in RETRY_OPTIONS if name in options}
        client = {name: options.pop(name) for name in CLIENT_OPTIONS if name in options}
        if self.proxy_url is not None:
            client["proxy_url"] = self.proxy_url.get_secret_value()
        parts = {"client_options": client, "retry_config": retries}
        return options | {name: part for name, part in parts.items() if part}

    @model_validator(mode="after")
    def _fit_the_store(self) -> Self:
        scheme = self.url.partition(":")[0]
        names = [name for family in FAMILIES if scheme not in family.schemes for name in family.model_fields]
        given = ", ".join(name.upper() for name in names if getattr(self, name) is not None)
        if given:
            raise ValueError(f"{given} can't be used with a {scheme}:// URL; remove what belongs to another store")
        return self

    def __repr_args__(self) -> Iterable[tuple[str | None, object]]:
        return ((name, value) for name, value in super().__repr_args__() if value is not None)
