"""Passwords, tokens, sealed secret keys and signatures: everything that must not be guessed or forged."""

import base64
import hashlib
import hmac
import json
import secrets
import string
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from itsdangerous import BadData, URLSafeTimedSerializer
from passlib.context import CryptContext
from standardwebhooks import Webhook, WebhookVerificationError

from videovault.bulkhead import CPU_CONCURRENCY, Bulkhead
from videovault.config import settings

# OWASP Password Storage Cheat Sheet, argon2id: 19 MiB, 2 passes, 1 lane.
_passwords = CryptContext(
    schemes=["argon2"],
    argon2__type="ID",
    argon2__memory_cost=19 * 1024,
    argon2__time_cost=2,
    argon2__parallelism=1,
)
# The hash of 256 discarded random bits, with the parameters above, so that unknown users take equal time.
_UNKNOWN_USER_HASH = (
    "$argon2id$v=19$m=19456,t=2,p=1$kbI2JgQgxDgn5JyTUso5Rw$2fpoLmgZuj864XCPtESnL+u6b7gJXSCsN4Cv8q93Kf4"
)
# Each hash takes 19 MiB and about 30 ms of CPU time. A burst from one office passes, and half of the server's 40
# threads stay free for other requests.
hashing = Bulkhead(at_once=CPU_CONCURRENCY, waiting=16, seconds=3.0)
# In dedicated threads: each thread that has ever hashed keeps those 19 MiB.
_hashers = ThreadPoolExecutor(CPU_CONCURRENCY, thread_name_prefix="hashing")
_NONCE_BYTES = 12
_ALPHABET = string.ascii_lowercase + string.digits
Purpose = Literal["order", "invitation", "reset", "visit", "device", "cursor"]
DEVICE_SECONDS = 180 * 86400
_WEBHOOK_HEADERS = ("webhook-id", "webhook-timestamp", "webhook-signature")


def hash_password(password: str) -> str:
    """Raises Busy."""
    with hashing.slot():
        return str(_hashers.submit(_passwords.hash, password).result())


def verify_password(password: str, hashed: str | None) -> bool:
    """Whether the password is right; False, in equal time, without a hash (an unknown user). Raises Busy."""
    with hashing.slot():
        is_right = bool(_hashers.submit(_passwords.verify, password, hashed or _UNKNOWN_USER_HASH).result())
    return is_right and hashed is not None


def needs_rehash(hashed: str) -> bool:
    """Whether the hash was made with outdated parameters."""
    return bool(_passwords.needs_update(hashed))


def new_token() -> str:
    """256 random bits, to be shown once and stored as ``token_hash`` only."""
    return secrets.token_urlsafe(32)


def token_hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def new_video_id() -> str:
    """``video_<milliseconds>_<9 random characters>``, as the guide prescribes."""
    tail = "".join(secrets.choice(_ALPHABET) for _ in range(9))
    return f"video_{time.time_ns() // 1_000_000}_{tail}"


def new_secret_key() -> str:
    """A video's own key: 256 random bits, URL-safe."""
    return secrets.token_urlsafe(32)


def seal(secret_key: str, *, owner_id: str, video_id: str) -> str:
    """Encrypt a video's key, or a text that contains it, bound to this owner and this video."""
    nonce = secrets.token_bytes(_NONCE_BYTES)
    key = _derived(settings().sealing_keys[0])
    box = AESGCM(key).encrypt(nonce, secret_key.encode(), _binding(owner_id, video_id))
    return base64.urlsafe_b64encode(nonce + box).decode()


def unseal(sealed: str, *, owner_id: str, video_id: str, keys: Sequence[str] | None = None) -> str | None:
    """The sealed text, or None if the row was moved, altered, or sealed with another SECRET_KEY.

    ``keys`` are SECRET_KEYs to try instead of the configured ones.
    """
    opened = _opened(sealed, _binding(owner_id, video_id), keys)
    return opened[0] if opened else None


def reseal(sealed: str, *, owner_id: str, video_id: str) -> str | None:
    """The same text sealed with the current SECRET_KEY; None if it is already, or cannot be unsealed."""
    opened = _opened(sealed, _binding(owner_id, video_id))
    if opened is None or opened[1] == settings().sealing_keys[0]:
        return None
    return seal(opened[0], owner_id=owner_id, video_id=video_id)


def keys_match(presented: str, secret_key: str) -> bool:
    """Compared in constant time, so that a key cannot be guessed character by character."""
    return hmac.compare_digest(presented.encode(errors="replace"), secret_key.encode())


def integrity_tag(secret_key: str, s3_key: str) -> str:
    """Stored in the object's metadata to detect an object that was replaced in S3."""
    return hmac.new(secret_key.encode(), s3_key.encode(), hashlib.sha256).hexdigest()


class Order(NamedTuple):
    """The content of a callback token: the video, the digest of its script, and the attempt that ordered it.

    The attempt is 0 in tokens of versions that did not include it.
    """

    video_id: str
    script: str
    attempt: int = 0


def script_digest(script: Mapping[str, str]) -> str:
    """32 hexadecimal digits that identify the script, independent of the order of its fields."""
    return hashlib.sha256(json.dumps(script, sort_keys=True).encode()).hexdigest()[:32]


def callback_token(order: Order) -> str:
    """The token with which a generator reports on this order."""
    return sign("order", order)


def order_from_callback_token(token: str, *, max_age_seconds: int) -> Order | None:
    """The order of a callback token, or None if it is forged or expired."""
    content = unsign("order", token, max_age_seconds=max_age_seconds)
    return None if content is None else Order(*content)


def sign(purpose: Purpose, content: Any) -> str:
    """A token of JSON content, readable by anyone, with a signature that is valid for this purpose only."""
    return str(_serializer(settings().sealing_keys[0], purpose).dumps(content))


def unsign(purpose: Purpose, token: str, *, max_age_seconds: int) -> Any | None:
    """The token's content, or None if it is forged, for another purpose or expired."""
    for key in settings().sealing_keys:
        try:
            return _serializer(key, purpose).loads(token, max_age=max_age_seconds)
        except BadData:
            continue
    return None


class ViewPass(NamedTuple):
    """What a visitor who opened a share link may play: this video, until its link changes."""

    video_id: str
    link_version: int


def issue_view_pass(view_pass: ViewPass) -> str:
    """The token with which a visitor plays and downloads without counting as another view."""
    return sign("visit", view_pass)


def is_valid_view_pass(token: str, view_pass: ViewPass, *, max_age_seconds: int) -> bool:
    """Whether the token was issued for exactly this view pass and has not expired."""
    return bool(unsign("visit", token, max_age_seconds=max_age_seconds) == [*view_pass])


def device_cookie(account: str) -> str:
    """Marks a browser that has signed in to this account; it grants only a rate limit of its own (OWASP)."""
    return sign("device", [token_hash(account), secrets.token_urlsafe(16)])


def device_nonce(cookie: str, account: str) -> str:
    """The random part of a ``device_cookie`` for this account; empty for any other value."""
    match unsign("device", cookie, max_age_seconds=DEVICE_SECONDS):
        case [str(name), str(nonce)] if name == token_hash(account):
            return nonce
    return ""


def password_fingerprint(password_hash: str) -> str:
    """Distinguishes two password hashes without revealing them."""
    return hmac.new(_derived(settings().sealing_keys[0]), password_hash.encode(), hashlib.sha256).hexdigest()[
        :32
    ]


def key_fingerprint(key: str) -> str:
    """Distinguishes two SECRET_KEYs without revealing them; 32 hexadecimal digits."""
    return hmac.new(_derived(key), b"videovault.fingerprint", hashlib.sha256).hexdigest()[:32]


def verify_webhook_signature(body: bytes, headers: Mapping[str, str]) -> bool | None:
    """Whether a call has a valid Standard Webhooks signature of WEBHOOK_SECRET, at most five minutes old.

    None if it is not signed or no secret is configured.
    """
    secret = settings().webhook_secret.get_secret_value()
    if not secret or not any(name in headers for name in _WEBHOOK_HEADERS):
        return None
    try:
        Webhook(secret).verify(body, dict(headers), json_parse=False)
    except (WebhookVerificationError, ValueError):  # ValueError: the signature is not base64
        return False
    return True


def _serializer(key: str, purpose: Purpose) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(key, salt=f"videovault.{purpose}")


def _opened(sealed: str, binding: bytes, keys: Sequence[str] | None = None) -> tuple[str, str] | None:
    """The sealed text and the SECRET_KEY that sealed it."""
    try:
        raw = base64.urlsafe_b64decode(sealed)
    except ValueError:
        return None
    for key in settings().sealing_keys if keys is None else keys:
        try:
            box = AESGCM(_derived(key))
            return box.decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], binding).decode(), key
        except (InvalidTag, ValueError):
            continue
    return None


def _derived(key: str) -> bytes:
    return hmac.new(key.encode(), b"videovault.seal", hashlib.sha256).digest()


def _binding(owner_id: str, video_id: str) -> bytes:
    return f"{owner_id}\n{video_id}".encode()


def local_path(path: str, default: str) -> str:
    """``path`` if it is a path of this site, else ``default``: the check against open redirects.

    Browsers read ``//`` and ``/\\`` at the start as another host, and drop control characters before they look.
    """
    is_plain = path.isascii() and path.isprintable() and "\\" not in path
    return path if is_plain and path.startswith("/") and not path.startswith("//") else default
