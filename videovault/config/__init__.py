"""Every setting, from the environment and ``.env``, typed and checked before anything starts."""

from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from videovault import installation
from videovault.config import headers, validation
from videovault.config.headers import SourceHeaders, WebhookHeaders
from videovault.config.validation import (
    DatabaseUrl,
    HttpUrl,
    MailAddress,
    Network,
    Networks,
    Port,
    ProxyUrl,
    QueueUrl,
    RedisUrl,
    SealingKey,
    Seconds,
    SmtpServer,
    SmtpUrl,
    WebhookSecret,
    explain_errors,
    parse_networks,
)
from videovault.errors import ConfigurationError

# How many connections and page sockets clients may have open, and how much one socket may send.

MAX_WEBSOCKET_MESSAGE_BYTES = 64 * 1024  # a page sends a few KB at most


class ConnectionSettings(BaseSettings):
    """The part of the settings that limits connections."""

    max_connections: int = Field(
        8000,
        ge=100,
        description="Open connections in total; fewer if the system allows less than twice as many open files.",
    )
    max_connections_per_address: int = Field(
        1500,
        ge=10,
        description="Open connections of one client address (IPv6: of one /64 network). An office of 50 people with a "
        "dozen tabs each needs about 900. Proxies in FORWARDED_ALLOW_IPS are exempt, the clients behind them are not.",
    )
    max_anonymous_sockets: int = Field(
        1000, ge=10, description="Open pages whose visitors are not signed in, in total."
    )
    max_anonymous_sockets_per_address: int = Field(
        400, ge=1, description="Open pages whose visitors are not signed in, of one client address."
    )


EMBEDDED_BUCKET = "videovault"
GIB = 1024**3
# An empty webhook means "none"; every other setting left empty means "the default".
MAY_BE_EMPTY = {"script_webhook_url", "video_webhook_url"}


class Settings(ConnectionSettings):
    """One frozen object; the field names in capitals are the names of the environment variables."""

    model_config = SettingsConfigDict(env_file=".env", extra="ignore", frozen=True)

    host: str = Field("127.0.0.1", description="The address the one port listens on.")
    port: Port = Field(3000, description="The one port: pages, API and websocket.")
    public_url: HttpUrl = Field(
        "",
        description="How people and generators reach it; http://localhost:PORT if empty. Other names with a dot get no answer.",
    )
    callback_url: HttpUrl = Field(
        "",
        description="How generators reach it, if by another name than people (such as http://host.docker.internal:3000); "
        "PUBLIC_URL if empty.",
    )
    forwarded_allow_ips: Networks = Field(
        "127.0.0.1,::1",
        description="Reverse proxies whose X-Forwarded-For, -Proto and -Host are believed: addresses and networks, "
        "comma-separated; none: nobody's.",
    )
    data_dir: Path = Field(Path("var"), description="Everything the embedded installation keeps.")

    database_url: DatabaseUrl = Field(
        "", description="SQLite in DATA_DIR if empty; or postgresql+psycopg://…"
    )
    queue_url: QueueUrl = Field("", description="SQLite in DATA_DIR if empty; or postgresql://…, redis://…")
    redis_url: RedisUrl = Field(
        "", description="Page state and rate limits shared by several replicas: redis://…"
    )
    workers: int = Field(
        4, ge=0, le=64, description="Transfers at once in the worker process; 0: workers run elsewhere."
    )
    running_per_user: int = Field(
        2,
        ge=0,
        description="Transfers of one user at once, over all workers; others wait their turn; 0: any.",
    )

    secret_key: SealingKey = Field(
        SecretStr(""), description="Seals secret keys and signs tokens; made in DATA_DIR if empty."
    )
    secret_key_old: SecretStr = Field(
        SecretStr(""), description="Earlier SECRET_KEYs, comma-separated, which still open what they sealed."
    )

    aws_region: str = Field("us-east-1", description="The region of the bucket.")
    aws_s3_bucket_name: str = Field("", description="The bucket; the embedded S3 if empty.")
    aws_access_key_id: str = Field("", description="With its secret; boto3's own chain if empty.")
    aws_secret_access_key: SecretStr = Field(SecretStr(""), description="Belongs to AWS_ACCESS_KEY_ID.")
    aws_session_token: SecretStr = Field(SecretStr(""), description="With temporary AWS keys only.")
    aws_endpoint_url_s3: HttpUrl = Field("", description="Another S3 than AWS: its address.")
    s3_public_endpoint_url: HttpUrl = Field(
        "", description="How browsers reach the S3, where that differs from AWS_ENDPOINT_URL_S3."
    )
    s3_addressing_style: Literal["", "auto", "path", "virtual"] = Field(
        "", description="How the bucket is named in addresses; path with AWS_ENDPOINT_URL_S3, else virtual."
    )
    s3_sse: Literal["", "AES256", "aws:kms"] = Field(
        "", description="Server-side encryption to ask for; the bucket's own default if empty."
    )
    s3_sse_kms_key_id: str = Field("", description="The key of S3_SSE=aws:kms; the account's own if empty.")
    s3_storage_class: str = Field("", description="Of new objects, such as INTELLIGENT_TIERING.")
    s3_retry_seconds: float = Field(
        10,
        ge=0,
        le=300,
        description="How long a call waits for an S3 that is away; transfers wait 90 seconds.",
    )

    script_webhook_url: HttpUrl | None = Field(
        None,
        description="Brief to script. Unset: the embedded studio; empty: none, scripts are written by hand.",
    )
    video_webhook_url: HttpUrl | None = Field(
        None, description="Script to video. Unset: the embedded studio; empty: none, nothing is generated."
    )
    webhook_secret: WebhookSecret = Field(
        SecretStr(""),
        description="Signs the webhooks that are called and checks signed calls back (Standard Webhooks, whsec_…).",
    )
    webhook_headers: WebhookHeaders = Field(
        SecretStr(""),
        description='Further headers for both webhooks, as a JSON object: {"X-Api-Key": "…"}. Status addresses get '
        "them on the video webhook's own host only.",
    )
    webhook_timeout_seconds: Seconds = Field(120, description="How long a webhook may take to answer.")
    webhook_retry_seconds: float = Field(
        1,
        ge=0,
        le=60,
        description="How long to wait before a webhook that failed is called again; twice as long the second time.",
    )
    video_result_field: str = Field(
        "",
        max_length=200,
        description="Where in an answer the video's address stands, if it is not found by itself, such as movie.url or "
        "output.0.",
    )
    script_result_field: str = Field(
        "",
        max_length=200,
        description="Where in an answer the script stands, if it is not found by itself, such as choices.0.message.",
    )
    studio_mode: Literal["callback", "direct"] = Field(
        "callback", description="How the embedded studio answers: processing and a callback, or at once."
    )

    generate_wait_seconds: float = Field(
        25, ge=0, description="How long a generate call waits before it answers 202."
    )
    store_wait_seconds: float = Field(
        600, ge=0, description="How long a download call waits before it answers 202."
    )
    playable_copies: Literal["on", "off"] = Field(
        "on",
        description="Whether a copy that browsers play is made of stored videos that most of them cannot (takes CPU time).",
    )
    max_video_bytes: int = Field(5 * GIB, gt=0, description="The largest video taken.")
    default_quota_bytes: int = Field(
        50 * GIB, ge=0, description="Storage per account that has no quota of its own; 0: no limit."
    )
    generations_per_day: int = Field(0, ge=0, description="Renders per account and UTC day; 0: no limit.")
    generations_per_day_total: int = Field(0, ge=0, description="Renders of all accounts; 0: no limit.")
    source_allow_hosts: str = Field(
        "", description="host or host:port, comma-separated: may be fetched although not global."
    )
    source_proxy: ProxyUrl = Field(
        SecretStr(""),
        description="http://[user:password@]host:port: videos are fetched through it; proxies of the environment are not used.",
    )
    source_headers: SourceHeaders = Field(
        SecretStr(""),
        description='Further headers for videos from one host or host:port, as JSON: {"files.example.com": '
        '{"Authorization": "Bearer …"}}. No other host gets them.',
    )
    source_idle_seconds: Seconds = Field(30, description="A source silent for so long has failed.")
    download_url_seconds: int = Field(900, ge=1, le=604800, description="Life of a presigned URL.")

    notify_webhook_url: HttpUrl = Field(
        "", description="Is told of every video that is ready or failed; signed with WEBHOOK_SECRET."
    )
    smtp_url: SmtpUrl = Field(
        SecretStr(""),
        description="smtp://user:password@host:587 or smtps://…:465: owners are told by e-mail, and who forgot a "
        "password gets a link. STARTTLS is used where offered, always with a password; ?starttls=required or never "
        "says otherwise.",
    )
    mail_from: MailAddress = Field(
        "", description="Whom that mail comes from: VideoVault <videos@example.com>. Needed with SMTP_URL."
    )
    mail_notices: Literal["all", "failed", "off"] = Field(
        "all", description="Which mail is sent with SMTP_URL set: all, only of what failed, or none."
    )

    signup: Literal["open", "invite", "closed"] = Field(
        "invite",
        description="Who may register: open (everyone), invite (with an admin's invitation) or closed. The first always may.",
    )
    session_idle_days: int = Field(
        14, ge=1, le=400, description="A session that nobody has used for so long is over."
    )
    session_days: int = Field(
        90, ge=1, le=400, description="However much it is used, a session is over then."
    )
    rate_limits: Literal["on", "off"] = Field(
        "on",
        description="How often people may sign in, register, generate, store and try links; off for load tests only.",
    )
    log_format: Literal["text", "json"] = Field("text", description="json for machines.")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="The least serious message that is logged."
    )

    @model_validator(mode="before")
    @classmethod
    def _empty_means_default(cls, values: dict[str, Any]) -> dict[str, Any]:
        return {k: v for k, v in values.items() if v != "" or k in MAY_BE_EMPTY}

    @model_validator(mode="after")
    def _keys_come_in_pairs(self) -> "Settings":
        if bool(self.aws_access_key_id) != bool(self.aws_secret_access_key.get_secret_value()):
            raise ValueError(
                "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY belong together: set both, or neither "
                "to use boto3's own credentials"
            )
        return self

    @model_validator(mode="after")
    def _kms_key_needs_kms(self) -> "Settings":
        if self.s3_sse_kms_key_id and self.s3_sse != "aws:kms":
            raise ValueError("S3_SSE_KMS_KEY_ID is for S3_SSE=aws:kms: set both, or neither")
        return self

    @model_validator(mode="after")
    def _mail_needs_a_sender(self) -> "Settings":
        if self.smtp_url.get_secret_value() and not self.mail_from:
            raise ValueError("SMTP_URL needs MAIL_FROM: the address that mail comes from")
        return self

    @cached_property
    def installation(self) -> installation.Installation:
        try:
            return installation.load_or_create(self.data_dir)
        except ValueError as error:
            file = self.data_dir / installation.FILE_NAME
            raise ConfigurationError(f"{file} is damaged: restore it from a backup. ({error})") from error

    @property
    def base_url(self) -> str:
        """Scheme and host under which people reach this installation, without a final slash."""
        return self.public_url or f"http://localhost:{self.port}"

    @property
    def callback_base(self) -> str:
        """Scheme and host under which generators reach this installation; the embedded studio does so directly."""
        if self.video_webhook_url is not None:
            return self.callback_url or self.base_url
        host = "127.0.0.1" if self.host in ("0.0.0.0", "::", "localhost") else self.host  # noqa: S104 - compared, not bound
        return f"http://{host}:{self.port}"

    @property
    def status_callback_url(self) -> str:
        """Where a generator reports that can send a header and the documented body."""
        return f"{self.callback_base}/api/auth/video/status"

    def report_url(self, token: str) -> str:
        """Where a service reports by its own webhook: the token in the address is all it needs."""
        return f"{self.callback_base}/api/callback/{token}"

    @cached_property
    def webhook_extra_headers(self) -> headers.Headers:
        return headers.parse_headers(self.webhook_headers.get_secret_value())

    @cached_property
    def source_extra_headers(self) -> headers.HostHeaders:
        return headers.parse_host_headers(self.source_headers.get_secret_value())

    @property
    def header_secrets(self) -> list[str]:
        """The values of all headers that settings add."""
        return [
            secret
            for each in (self.webhook_extra_headers, *self.source_extra_headers.values())
            for secret in headers.secrets_of(each)
        ]

    @property
    def secure_cookies(self) -> bool:
        return self.base_url.startswith("https://")

    @cached_property
    def trusted_proxies(self) -> tuple[Network, ...]:
        return parse_networks(self.forwarded_allow_ips)

    @property
    def object_origins(self) -> tuple[str, ...]:
        """Where browsers fetch objects, apart from the app's own address."""
        endpoint = self.s3_public_endpoint_url or self.aws_endpoint_url_s3
        bucket = self.aws_s3_bucket_name or EMBEDDED_BUCKET
        if self.uses_embedded_s3 and not self.s3_public_endpoint_url:
            return ()
        return (
            validation.endpoint_origins(endpoint, bucket)
            if endpoint
            else validation.aws_origins(self.aws_region, bucket)
        )

    @property
    def session_cookie(self) -> str:
        """The cookie's name; with its prefix browsers take it from this very host and by HTTPS only."""
        return "__Host-videovault_session" if self.secure_cookies else "videovault_session"

    @property
    def sealing_keys(self) -> list[str]:
        """The key that seals first, then the old ones that may still open."""
        current = self.secret_key.get_secret_value() or self.installation.secret_key
        old = self.secret_key_old.get_secret_value().split(",")
        return [current, *(key.strip() for key in old if key.strip())]

    @property
    def database_dsn(self) -> str:
        return self.database_url or f"sqlite:///{self.data_dir / 'videovault.db'}"

    @property
    def queue_dsn(self) -> str:
        return self.queue_url or f"sqlite:///{self.data_dir / 'queue.db'}"

    @property
    def uses_embedded_s3(self) -> bool:
        return not self.aws_s3_bucket_name

    @property
    def uses_embedded_studio(self) -> bool:
        return self.script_webhook_url is None or self.video_webhook_url is None

    @property
    def studio_url(self) -> str:
        return f"http://127.0.0.1:{self.installation.studio_port}"

    @property
    def script_webhook(self) -> str:
        """The address to post a brief to; empty when scripts are written by hand."""
        url = self.script_webhook_url
        return f"{self.studio_url}/script" if url is None else url

    @property
    def video_webhook(self) -> str:
        """The address to post a script to; empty when nothing is generated."""
        url = self.video_webhook_url
        return f"{self.studio_url}/video" if url is None else url

    @property
    def smtp(self) -> SmtpServer | None:
        """The mail server; None when nobody is told by e-mail."""
        url = self.smtp_url.get_secret_value()
        return SmtpServer.parse(url) if url else None

    @property
    def allowed_sources(self) -> frozenset[str]:
        """``host`` or ``host:port`` in lower case that may be fetched although not global."""
        named = {entry.strip().lower() for entry in self.source_allow_hosts.split(",")}
        return frozenset(named - {""})


@lru_cache(maxsize=1)
def settings() -> Settings:
    """The settings of this process, read once.

    Raises ConfigurationError naming every variable that is wrong and what it should be.
    """
    try:
        return Settings()
    except ValidationError as error:
        raise ConfigurationError(explain_errors(error, Settings.model_fields)) from error


# The values of settings that no log may show.


def secret_values(chosen: Settings) -> list[str]:
    """Keys and passwords, those in addresses and those the installation made for itself too."""
    secrets = [value.get_secret_value() for _, value in chosen if isinstance(value, SecretStr)]
    passwords = [
        urlsplit(url).password for url in (chosen.database_url, chosen.queue_url, chosen.redis_url) if url
    ]
    mail = [chosen.smtp.password] if chosen.smtp else []
    old_keys = chosen.secret_key_old.get_secret_value().split(",")
    return [
        secret
        for secret in (*secrets, *chosen.header_secrets, *passwords, *mail, *_own(chosen), *old_keys)
        if secret
    ]


def _own(chosen: Settings) -> list[str]:
    """Nothing before the first start, which not every command is."""
    if not (chosen.data_dir / installation.FILE_NAME).exists():
        return []
    return [chosen.installation.secret_key, chosen.installation.s3_secret_key, chosen.installation.studio_key]
