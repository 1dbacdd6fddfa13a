"""Secrets at rest: envelope encryption with AES-256-GCM, keyed fingerprints, and tokens.

A *master key* comes from outside and wraps *data keys*, one per project and per connection. A data key
seals values. The additional data says where a ciphertext belongs, so one that is moved to another row
does not open there.
"""

import base64
import hashlib
import hmac
import os
import secrets
import string
from collections.abc import Sequence
from pathlib import Path
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pydantic import SecretStr

from shared.errors import KeytideError
from shared.settings import Settings

_NONCE_BYTES = 12
_KEY_BYTES = 32
_ID_BYTES = 8
TOKEN_PREFIX = "kt_"  # noqa: S105 - a mark people and scanners know a token by
API_KEY_PREFIX = "kw_"


class CryptoError(KeytideError):
    """A value cannot be decrypted: it was changed, moved, or sealed with another key."""


class MasterKeyMissing(KeytideError):
    """No master key: set KEYTIDE_MASTER_KEY to 32 random bytes in base64, or run 'keytide migrate'."""


class DataKey:
    """An unwrapped data key. Its text form shows nothing."""

    __slots__ = ("_cipher", "_fingerprint_key")

    def __init__(self, raw: bytes) -> None:
        self._cipher = AESGCM(raw)
        # Two purposes, two keys: a fingerprint must not depend on the key that encrypts.
        self._fingerprint_key = hmac.digest(raw, b"keytide fingerprint", "sha256")

    def seal(self, value: SecretStr, *place: object) -> bytes:
        """Return *value* encrypted so that it opens only at *place*."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, value.get_secret_value().encode(), _bound_to(place))

    def open(self, sealed: bytes, *place: object) -> SecretStr:
        """Return the value that was sealed at *place*. Raises ``CryptoError``."""
        try:
            clear = self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], _bound_to(place))
            return SecretStr(clear.decode())
        except (InvalidTag, ValueError):
            raise CryptoError from None

    def fingerprint(self, value: SecretStr) -> str:
        """Return a text that is equal for equal values and tells nothing else without the key."""
        # A destination may hold text that is no text, such as half of a surrogate pair.
        content = value.get_secret_value().encode(errors="surrogatepass")
        return hmac.new(self._fingerprint_key, content, hashlib.sha256).hexdigest()


class Keyring:
    """The master keys this process knows. The first one wraps; each of them unwraps."""

    def __init__(self, master_keys: Sequence[bytes]) -> None:
        if not master_keys:
            raise MasterKeyMissing
        self._keys = {hashlib.sha256(key).digest()[:_ID_BYTES]: AESGCM(key) for key in master_keys}
        self._current = next(iter(self._keys))

    def new_data_key(self) -> bytes:
        """Return a fresh random data key, wrapped."""
        return self._wrap(os.urandom(_KEY_BYTES))

    def unwrap(self, wrapped: bytes) -> DataKey:
        """Return the data key inside *wrapped*. Raises ``CryptoError`` if its master key is not known."""
        return DataKey(self._unwrap(wrapped))

    def _wrap(self, raw: bytes) -> bytes:
        nonce = os.urandom(_NONCE_BYTES)
        return self._current + nonce + self._keys[self._current].encrypt(nonce, raw, self._current)

    def _unwrap(self, wrapped: bytes) -> bytes:
        key_id, nonce = wrapped[:_ID_BYTES], wrapped[_ID_BYTES : _ID_BYTES + _NONCE_BYTES]
        try:
            return self._keys[key_id].decrypt(nonce, wrapped[_ID_BYTES + _NONCE_BYTES :], key_id)
        except (KeyError, InvalidTag):
            raise CryptoError("A data key is wrapped with a master key that is not known here.") from None


def load_keyring(settings: Settings) -> Keyring:
    """Return the keyring of *settings*: ``KEYTIDE_MASTER_KEY``, else the key file of the data directory.

    Raises ``MasterKeyMissing`` if there is neither.
    """
    text = settings.master_key.get_secret_value()
    if not text and settings.master_key_file.exists():
        text = settings.master_key_file.read_text()
    return Keyring([_decode(part.strip()) for part in text.split(",") if part.strip()])


def create_master_key_file(path: Path) -> None:
    """Write a new random master key to *path*, readable by its owner only, unless there is one."""
    text = base64.b64encode(os.urandom(_KEY_BYTES)).decode()
    write_private(path, text)


def write_private(path: Path, text: str) -> None:
    """Write *text* to *path* with mode 0600, unless *path* exists."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return
    with os.fdopen(descriptor, "w") as file:
        file.write(text + "\n")


def new_token() -> SecretStr:
    """Return a new API token: a prefix and 160 random bits."""
    return SecretStr(TOKEN_PREFIX + secrets.token_hex(20))


def new_api_key(kind: str) -> SecretStr:
    """Return a new API key of that *kind* (live, test): a prefix and 40 random letters and digits."""
    letters = string.ascii_letters + string.digits
    return SecretStr(f"{API_KEY_PREFIX}{kind}_" + "".join(secrets.choice(letters) for _ in range(40)))


def new_user_code() -> SecretStr:
    """Return a code that a person can read off a screen: twice five letters and digits, none alike."""
    code = "".join(secrets.choice("BCDFGHJKLMNPQRSTVWXZ2345679") for _ in range(10))
    return SecretStr(f"{code[:5]}-{code[5:]}")


def new_device_code() -> SecretStr:
    """Return the code by which a program asks for the outcome of its login: 256 random bits."""
    return SecretStr(secrets.token_hex(32))


def new_client_secret() -> SecretStr:
    """Return a client secret for a machine identity: 256 random bits."""
    return SecretStr(secrets.token_hex(32))


def new_nonce() -> SecretStr:
    """Return 256 random bits as a text that fits a URL, a cookie, and a PKCE verifier."""
    return SecretStr(secrets.token_urlsafe(32))


def hash_token(token: str) -> str:
    """Return what is stored of a token. Tokens are random, so a plain hash cannot be guessed back."""
    return hashlib.sha256(token.encode()).hexdigest()


def _decode(text: str) -> bytes:
    try:
        key = base64.b64decode(text, validate=True)
    except ValueError:
        key = b""
    if len(key) != _KEY_BYTES:
        raise MasterKeyMissing("Each master key has to be 32 bytes in base64.")
    return key


def _bound_to(place: Sequence[object]) -> bytes:
    # Lengths keep ("a", "bc") and ("ab", "c") apart.
    return b"".join(f"{len(str(part))}:{part};".encode() for part in place)


# --- where things are sealed to ------------------------------------------------------------------------


def value_place(
    project_id: UUID, environment_id: UUID, folder_id: UUID, key: str, version: int
) -> tuple[object, ...]:
    """Return the place of a secret's value."""
    return ("value", project_id, environment_id, folder_id, key, version)


def comment_place(project_id: UUID, environment_id: UUID, folder_id: UUID, key: str) -> tuple[object, ...]:
    """Return the place of a secret's comment."""
    return ("comment", project_id, environment_id, folder_id, key)


def credentials_place(connection_id: UUID) -> tuple[object, ...]:
    """Return the place of a connection's credentials."""
    return ("credentials", connection_id)


def verifier_place(state_id: UUID) -> tuple[object, ...]:
    """Return the place of the PKCE verifier of a sign-in under way."""
    return ("verifier", state_id)
