"""Secrets at rest: a ring of keys, AES-256-GCM, each ciphertext bound to the row it belongs to.

Invariant: a token decrypts only under a key of the ring *and* under the name it was bound to; a wrong key is told
from a damaged token, so that the floor above asks to sign in again and overwrites nothing. No key is in a repr.

Token: `v1.<key id>.<base64url(nonce 12 bytes || ciphertext || tag 16 bytes)>`, where the key id is the first
8 bytes of SHA-256 over a label and the key, in hex: it says which key to use and tells nothing about it.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import os
import secrets
import stat
from collections.abc import Iterable
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES = 32
NONCE_BYTES = 12
TAG_BYTES = 16
VERSION = "v1"
PRIVATE_MODE = 0o600


class CryptoError(Exception):
    """Base of all; messages never hold a secret."""


class BadKey(CryptoError):
    """A configured key is not 32 bytes in base64, or no key is configured at all."""


class WrongKey(CryptoError):
    """The token was made with a key that is not in the ring: the secret is lost to us, not damaged."""


class Tampered(CryptoError):
    """The token is malformed, was changed, or belongs to another row."""


def generate_key() -> str:
    """A new random key as configuration text: 32 bytes, URL-safe base64 (44 characters)."""
    return base64.urlsafe_b64encode(secrets.token_bytes(KEY_BYTES)).decode("ascii")


class _Key:
    """One key with its public id."""

    __slots__ = ("_aead", "id")

    def __init__(self, raw: bytes) -> None:
        self._aead = AESGCM(raw)
        self.id = hashlib.sha256(b"crm-mail key id\0" + raw).hexdigest()[:16]

    def __repr__(self) -> str:
        return f"<key {self.id}>"

    def seal(self, plaintext: bytes, bound: bytes) -> bytes:
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._aead.encrypt(nonce, plaintext, bound)

    def open(self, sealed: bytes, bound: bytes) -> bytes:
        return self._aead.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], bound)


class KeyRing:
    """Encrypts with the first key, decrypts with any.

    `keys`: base64 texts (standard or URL-safe alphabet, padding optional) of 32 bytes each. To rotate, put the new
    key first and keep the old ones until `needs_rotation` is False for every stored token. Raises BadKey.
    """

    __slots__ = ("_by_id", "_first")

    def __init__(self, keys: Iterable[str]) -> None:
        parsed = [_Key(_decode_key(text, place)) for place, text in enumerate(keys, start=1)]
        if not parsed:
            raise BadKey("No encryption key is configured.")
        self._first = parsed[0]
        self._by_id = {key.id: key for key in parsed}

    def __repr__(self) -> str:
        return f"<KeyRing of {len(self._by_id)} keys, first {self._first.id}>"

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("A key ring is never serialised.")

    def encrypt(self, plaintext: bytes, *, bound_to: str) -> str:
        """Token (ASCII) for `plaintext`, which opens only with the same `bound_to` (a row's name, such as
        "accounts.credential:17:secret")."""
        sealed = self._first.seal(plaintext, _bound(self._first, bound_to))
        return f"{VERSION}.{self._first.id}.{base64.urlsafe_b64encode(sealed).decode('ascii')}"

    def decrypt(self, token: str, *, bound_to: str) -> bytes:
        """The plaintext. Raises WrongKey if its key is not in the ring, Tampered if anything else is wrong."""
        key_id, sealed = _split(token)
        key = self._by_id.get(key_id)
        if key is None:
            raise WrongKey("This secret was encrypted with a key that is not configured any more.")
        try:
            return key.open(sealed, _bound(key, bound_to))
        except InvalidTag:
            raise Tampered("This secret was changed, or belongs to another row.") from None

    def needs_rotation(self, token: str) -> bool:
        """True if the token was not made with the first key. Raises Tampered for what is no token."""
        return _split(token)[0] != self._first.id


def _bound(key: _Key, bound_to: str) -> bytes:
    """Additional authenticated data: version, key and row, so that none of them can be exchanged."""
    return f"{VERSION}.{key.id}.{bound_to}".encode("utf-8", "surrogatepass")


def _decode_key(text: str, place: int) -> bytes:
    try:
        plain = text.strip().replace("-", "+").replace("_", "/").rstrip("=")
        raw = base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise BadKey(f"Key number {place} is not base64.") from None
    if len(raw) != KEY_BYTES:
        raise BadKey(f"Key number {place} has {len(raw)} bytes instead of {KEY_BYTES}.")
    return raw


def _split(token: str) -> tuple[str, bytes]:
    parts = token.split(".")
    if len(parts) != 3 or parts[0] != VERSION:
        raise Tampered("This is not an encrypted secret.")
    try:
        # The alphabet is checked strictly: urlsafe_b64decode would skip foreign characters.
        sealed = base64.b64decode(parts[2].encode("ascii"), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise Tampered("This encrypted secret is damaged.") from None
    if base64.urlsafe_b64encode(sealed).decode("ascii") != parts[2]:
        raise Tampered("This encrypted secret is damaged.")  # one spelling per secret: spare bits are zero
    if len(sealed) < NONCE_BYTES + TAG_BYTES:
        raise Tampered("This encrypted secret is cut short.")
    return parts[1], sealed


def make_private_file(path: Path, content: str | None = None) -> str:
    """Create `path` with mode 0600 holding `content` (default: a new key and a line end), or read what is there.

    Two processes starting together agree on one content: the file is linked into place complete, the loser reads
    the winner's. Returns the content without its line end. Raises CryptoError if others may read the file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        draft = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0), PRIVATE_MODE)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
                stream.write((generate_key() if content is None else content) + "\n")
                stream.flush()
                os.fsync(stream.fileno())
            with contextlib.suppress(FileExistsError):  # somebody else was first; theirs counts
                os.link(draft, path)
        finally:
            draft.unlink()
    return read_private_file(path)


def read_private_file(path: Path) -> str:
    """Content of a file that only its owner may read, without its line end. Raises CryptoError otherwise."""
    with path.open(encoding="utf-8") as stream:
        if stat.S_IMODE(os.fstat(stream.fileno()).st_mode) & 0o077:
            raise CryptoError(f"{path.name} may be read by other users of this machine; make it mode 0600.")
        return stream.read().rstrip("\r\n")
