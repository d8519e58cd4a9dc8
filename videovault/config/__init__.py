"""All settings, from the environment and ``.env``, typed and validated at the start."""

from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from videovault import installation
from videovault.config import validation
from videovault.config.validation import (
    DatabaseUrl,
    HttpUrl,
    MailAddress,
    MetricsToken,
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
    SourceHeaders,
    WebhookHeaders,
    WebhookSecret,
    explain_errors,
    parse_networks,
)
from videovault.errors import ConfigurationError

MAX_WEBSOCKET_MESSAGE_BYTES = 64 * 1024  # a page sends a few KB at most
EMBEDDED_BUCKET = "videovault"
HEARTBEAT_FD = "VIDEOVAULT_HEARTBEAT_FD"  # names the pipe from the worker to its supervisor
GIB = 1024**3
# An empty webhook setting means "none"; any other empty setting means "the default".
MAY_BE_EMPTY = {"script_webhook_url", "video_webhook_url"}


class Settings(BaseSettings):
    """A frozen object; the environment variables are the field names in capitals."""

    model_config = SettingsConfigDict(env_file=".env", extra="ignore", frozen=True)

    host: str = Field("127.0.0.1", description="The address to listen on.")
    port: Port = Field(3000, description="The port of pages, API and websocket.")
    public_url: HttpUrl = Field(
        "",
        description="The URL for people and generators; http://localhost:PORT if empty. Requests for other host names with a dot are rejected.",
    )
    callback_url: HttpUrl = Field(
        "",
        description="The URL for generators, if it differs (such as http://host.docker.internal:3000); PUBLIC_URL if empty.",
    )
    forwarded_allow_ips: Networks = Field(
        "127.0.0.1,::1",
        description="Reverse proxies whose X-Forwarded-For, -Proto and -Host are trusted: addresses and networks, "
        "comma-separated; none: no proxy.",
    )
    data_dir: Path = Field(Path("var"), description="The folder of all data of the embedded installation.")

    database_url: DatabaseUrl = Field(
        "", description="SQLite in DATA_DIR if empty; or postgresql+psycopg://…"
    )
    queue_url: QueueUrl = Field("", description="SQLite in DATA_DIR if empty; or postgresql://…, redis://…")
    migrate: Literal["on", "off"] = Field(
        "on",
        description="off: run does not migrate the database but waits for `python -m videovault migrate`.",
    )
    start_wait_seconds: float = Field(
        60,
        ge=0,
        le=3600,
        description="How long run and worker wait for the database and its migration before they give up.",
    )
    redis_url: RedisUrl = Field(
        "", description="Page state and rate limits shared by several replicas: redis://…"
    )
    workers: int = Field(
        4, ge=0, le=64, description="Concurrent transfers in the worker process; 0: workers run elsewhere."
    )
    running_per_user: int = Field(
        2,
        ge=0,
        description="Concurrent transfers per user, over all workers; others wait; 0: no limit.",
    )

    worker_host: str = Field("127.0.0.1", description="The address that a worker's WORKER_PORT listens on.")
    worker_port: int = Field(
        0,
        ge=0,
        le=65535,
        description="The port of a worker for /healthz, /readyz and /metrics; 0: none. Each worker on a machine needs its own.",
    )
    metrics_token: MetricsToken = Field(
        SecretStr(""),
        description="The Bearer token for /metrics of app and workers. Without it the app has none, and workers only if "
        "WORKER_HOST is a loopback address.",
    )

    secret_key: SealingKey = Field(
        SecretStr(""), description="Seals secret keys and signs tokens; generated in DATA_DIR if empty."
    )
    secret_key_old: SecretStr = Field(
        SecretStr(""), description="Previous SECRET_KEYs, comma-separated, which still open what they sealed."
    )

    aws_region: str = Field("us-east-1", description="The region of the bucket.")
    aws_s3_bucket_name: str = Field("", description="The bucket; the embedded S3 if empty.")
    aws_access_key_id: str = Field("", description="With its secret; boto3's credential chain if empty.")
    aws_secret_access_key: SecretStr = Field(SecretStr(""), description="Belongs to AWS_ACCESS_KEY_ID.")
    aws_session_token: SecretStr = Field(SecretStr(""), description="For temporary AWS credentials.")
    aws_endpoint_url_s3: HttpUrl = Field("", description="The URL of an S3 other than AWS.")
    s3_public_endpoint_url: HttpUrl = Field(
        "", description="The URL of the S3 for browsers, if it differs from AWS_ENDPOINT_URL_S3."
    )
    s3_addressing_style: Literal["", "auto", "path", "virtual"] = Field(
        "", description="How URLs name the bucket; path with AWS_ENDPOINT_URL_S3, else virtual."
    )
    s3_sse: Literal["", "AES256", "aws:kms"] = Field(
        "", description="Server-side encryption; the bucket's default if empty."
    )
    s3_sse_kms_key_id: str = Field(
        "", description="The key of S3_SSE=aws:kms; the account's default if empty."
    )
    s3_storage_class: str = Field("", description="Of new objects, such as INTELLIGENT_TIERING.")
    s3_retry_seconds: float = Field(
        10,
        ge=0,
        le=300,
        description="How long a call waits for an unavailable S3; transfers wait 90 seconds.",
    )

    script_webhook_url: HttpUrl | None = Field(
        None,
        description="Turns a brief into a script. Unset: the embedded studio; empty: none, scripts are written by hand.",
    )
    video_webhook_url: HttpUrl | None = Field(
        None,
        description="Turns a script into a video. Unset: the embedded studio; empty: none, nothing is generated.",
    )
    webhook_secret: WebhookSecret = Field(
        SecretStr(""),
        description="Signs outgoing webhooks and verifies signed callbacks (Standard Webhooks, whsec_…).",
    )
    webhook_headers: WebhookHeaders = Field(
        SecretStr(""),
        description='Additional headers for both webhooks, as a JSON object: {"X-Api-Key": "…"}. Status URLs get '
        "them only on the video webhook's host.",
    )
    webhook_timeout_seconds: Seconds = Field(120, description="How long a webhook may take to answer.")
    generator_is_idempotent: bool = Field(
        False,
        description="1: the video webhook renders once per Idempotency-Key. An order whose response was lost is then sent "
        "again with the same key; otherwise its owner decides.",
    )
    webhook_retry_seconds: float = Field(
        1,
        ge=0,
        le=60,
        description="The pause before a failed webhook is called again; doubled the second time.",
    )
    video_result_field: str = Field(
        "",
        max_length=200,
        description="The path of the video URL in a response, if it is not found automatically, such as movie.url or output.0.",
    )
    script_result_field: str = Field(
        "",
        max_length=200,
        description="The path of the script in a response, if it is not found automatically, such as choices.0.message.",
    )
    studio_mode: Literal["callback", "direct"] = Field(
        "callback",
        description="How the embedded studio answers: with processing and a callback, or directly.",
    )

    generate_wait_seconds: float = Field(
        25, ge=0, description="How long a generate call waits before it answers 202."
    )
    store_wait_seconds: float = Field(
        600, ge=0, description="How long a download call waits before it answers 202."
    )
    playable_copies: Literal["on", "off"] = Field(
        "on",
        description="Whether stored videos that most browsers cannot play get a playable copy (takes CPU time).",
    )
    max_video_bytes: int = Field(5 * GIB, gt=0, description="The largest accepted video.")
    default_quota_bytes: int = Field(
        50 * GIB, ge=0, description="Storage per account without its own quota; 0: no limit."
    )
    generations_per_day: int = Field(0, ge=0, description="Renders per account and UTC day; 0: no limit.")
    generations_per_day_total: int = Field(0, ge=0, description="Renders of all accounts; 0: no limit.")
    source_allow_hosts: str = Field(
        "", description="host or host:port, comma-separated: private addresses that may be fetched from."
    )
    source_proxy: ProxyUrl = Field(
        SecretStr(""),
        description="http://[user:password@]host:port: the proxy for fetching videos; proxies of the environment are not used.",
    )
    source_headers: SourceHeaders = Field(
        SecretStr(""),
        description='Additional headers for videos from one host or host:port, as JSON: {"files.example.com": '
        '{"Authorization": "Bearer …"}}. No other host gets them.',
    )
    source_idle_seconds: Seconds = Field(
        30, description="A source that sends nothing for this long has failed."
    )
    download_url_seconds: int = Field(900, ge=1, le=604800, description="Lifetime of a presigned URL.")

    notify_webhook_url: HttpUrl = Field(
        "",
        description="Receives a notice of every video that is ready or failed; signed with WEBHOOK_SECRET.",
    )
    smtp_url: SmtpUrl = Field(
        SecretStr(""),
        description="smtp://user:password@host:587 or smtps://…:465: for notices to owners and password reset "
        "links. STARTTLS is used if offered, and required with a password; ?starttls=required or never changes this.",
    )
    mail_from: MailAddress = Field(
        "", description="The sender of that mail: VideoVault <videos@example.com>. Required with SMTP_URL."
    )
    mail_notices: Literal["all", "failed", "off"] = Field(
        "all", description="Which notices are mailed with SMTP_URL: all, only of failures, or none."
    )

    signup: Literal["open", "invite", "closed"] = Field(
        "invite",
        description="Who may register: open (everyone), invite (with an admin's invitation) or closed. The first user always may.",
    )
    session_idle_days: int = Field(
        14, ge=1, le=400, description="A session ends after this many days without use."
    )
    session_days: int = Field(
        90, ge=1, le=400, description="A session ends after this many days in any case."
    )
    rate_limits: Literal["on", "off"] = Field(
        "on",
        description="Limits on sign-ins, registrations, generations, transfers and link attempts; off for load tests only.",
    )
    log_format: Literal["text", "json"] = Field("text", description="json for log processing.")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="The lowest level that is logged."
    )

    max_connections: int = Field(
        8000,
        ge=100,
        description="Open connections in total; less if the system allows fewer than twice as many open files.",
    )
    max_connections_per_address: int = Field(
        1500,
        ge=10,
        description="Open connections per client address (IPv6: per /64 network). An office of 50 people with a "
        "dozen tabs each needs about 900. Proxies in FORWARDED_ALLOW_IPS are exempt, their clients are not.",
    )
    max_anonymous_sockets: int = Field(
        1000, ge=10, description="Open pages of visitors who are not signed in, in total."
    )
    max_anonymous_sockets_per_address: int = Field(
        400, ge=1, description="Open pages of visitors who are not signed in, per client address."
    )

    @model_validator(mode="before")
    @classmethod
    def _empty_means_default(cls, values: dict[str, Any]) -> dict[str, Any]:
        return {k: v for k, v in values.items() if v != "" or k in MAY_BE_EMPTY}

    @model_validator(mode="after")
    def _aws_keys_are_a_pair(self) -> "Settings":
        if bool(self.aws_access_key_id) != bool(self.aws_secret_access_key.get_secret_value()):
            raise ValueError(
                "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY belong together: set both, or neither "
                "to use boto3's credential chain"
            )
        return self

    @model_validator(mode="after")
    def _kms_key_needs_kms(self) -> "Settings":
        if self.s3_sse_kms_key_id and self.s3_sse != "aws:kms":
            raise ValueError("S3_SSE_KMS_KEY_ID is for S3_SSE=aws:kms: set both, or neither")
        return self

    @model_validator(mode="after")
    def _mail_needs_sender(self) -> "Settings":
        if self.smtp_url.get_secret_value() and not self.mail_from:
            raise ValueError("SMTP_URL needs MAIL_FROM, the sender address")
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
        """Scheme and host of this installation for people, without a trailing slash."""
        return self.public_url or f"http://localhost:{self.port}"

    @property
    def callback_base(self) -> str:
        """Scheme and host of this installation for generators; the embedded studio connects directly."""
        if self.video_webhook_url is not None:
            return self.callback_url or self.base_url
        host = "127.0.0.1" if self.host in ("0.0.0.0", "::", "localhost") else self.host  # noqa: S104 - compared, not bound
        return f"http://{host}:{self.port}"

    @property
    def status_callback_url(self) -> str:
        """The callback URL for generators that can send a header and the documented body."""
        return f"{self.callback_base}/api/auth/video/status"

    def report_url(self, token: str) -> str:
        """The callback URL for services with their own webhook format, authorized by the token in the URL."""
        return f"{self.callback_base}/api/callback/{token}"

    @cached_property
    def webhook_extra_headers(self) -> validation.Headers:
        return validation.parse_headers(self.webhook_headers.get_secret_value())

    @cached_property
    def source_extra_headers(self) -> validation.HostHeaders:
        return validation.parse_host_headers(self.source_headers.get_secret_value())

    @property
    def header_secrets(self) -> list[str]:
        """The values of all configured headers."""
        return [
            secret
            for each in (self.webhook_extra_headers, *self.source_extra_headers.values())
            for secret in validation.secrets_of(each)
        ]

    @property
    def secrets(self) -> list[str]:
        """Keys and passwords that no log may show, including those in URLs and in the installation's key file."""
        values = [value.get_secret_value() for _, value in self if isinstance(value, SecretStr)]
        passwords = [
            urlsplit(url).password for url in (self.database_url, self.queue_url, self.redis_url) if url
        ]
        mail = [self.smtp.password] if self.smtp else []
        old_keys = self.secret_key_old.get_secret_value().split(",")
        found = (*values, *self.header_secrets, *passwords, *mail, *self._installation_secrets(), *old_keys)
        return [secret for secret in found if secret]

    def _installation_secrets(self) -> list[str]:
        """None before the first start, since not every command may create the key file."""
        if not (self.data_dir / installation.FILE_NAME).exists():
            return []
        own = self.installation
        return [own.secret_key, own.s3_secret_key, own.studio_key]

    @property
    def secure_cookies(self) -> bool:
        return self.base_url.startswith("https://")

    @cached_property
    def trusted_proxies(self) -> tuple[Network, ...]:
        return parse_networks(self.forwarded_allow_ips)

    @property
    def object_origins(self) -> tuple[str, ...]:
        """The origins from which browsers fetch objects, other than the app's own."""
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
        """The cookie's name; browsers accept the prefix only from this host and over HTTPS."""
        return "__Host-videovault_session" if self.secure_cookies else "videovault_session"

    @property
    def sealing_keys(self) -> list[str]:
        """The sealing key, followed by the old ones that still open."""
        current = self.secret_key.get_secret_value() or self.installation.secret_key
        old = self.secret_key_old.get_secret_value().split(",")
        return [current, *(key.strip() for key in old if key.strip())]

    @property
    def database_dsn(self) -> str:
        return self.database_url or f"sqlite:///{self.data_dir / 'videovault.db'}"

    @property
    def serves_worker_metrics(self) -> bool:
        return bool(self.metrics_token.get_secret_value()) or self.worker_host in validation.LOOPBACK_HOSTS

    @property
    def queue_dsn(self) -> str:
        return self.queue_url or f"sqlite:///{self.data_dir / 'queue.db'}"

    @property
    def uses_postgres_queue(self) -> bool:
        return self.queue_dsn.startswith("postgresql")

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
        """The URL to post a brief to; empty when scripts are written by hand."""
        url = self.script_webhook_url
        return f"{self.studio_url}/script" if url is None else url

    @property
    def video_webhook(self) -> str:
        """The URL to post a script to; empty when nothing is generated."""
        url = self.video_webhook_url
        return f"{self.studio_url}/video" if url is None else url

    @property
    def renders_once_per_key(self) -> bool:
        """Whether an order may be sent again with the same Idempotency-Key; the embedded studio is idempotent."""
        return self.generator_is_idempotent or self.video_webhook_url is None

    @property
    def smtp(self) -> SmtpServer | None:
        """The mail server; None if no mail is sent."""
        url = self.smtp_url.get_secret_value()
        return SmtpServer.parse(url) if url else None

    @property
    def allowed_sources(self) -> frozenset[str]:
        """``host`` or ``host:port`` in lower case, private addresses that may be fetched from."""
        hosts = {entry.strip().lower() for entry in self.source_allow_hosts.split(",")}
        return frozenset(hosts - {""})


@lru_cache(maxsize=1)
def settings() -> Settings:
    """The settings of this process, read once.

    Raises ConfigurationError that names every invalid variable and the expected value.
    """
    try:
        return Settings()
    except ValidationError as error:
        raise ConfigurationError(explain_errors(error, Settings.model_fields)) from error
