"""Ed25519 signatures (RFC 8032) of restore points, certificates and drills, and who is believed.

A signature is over a fixed prefix, one for each kind of thing, and canonical JSON: a key that signs something
else too can't be made to sign a point.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from replicator.config import Control
from replicator.errors import ConfigError, IntegrityError
from replicator.points.point import RestorePoint, SignedPoint

_CONTEXT = b"replicator restore point 1\n"


class ForgedPointError(IntegrityError):
    """A restore point whose signature, name or place shows that control didn't write it as it is."""


def new_key() -> str:
    """A fresh private key, PEM (PKCS #8, not encrypted)."""
    key = Ed25519PrivateKey.generate()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def public_pem(private_pem: str) -> str:
    """The public half, for whoever only checks; `ConfigError` if that is no Ed25519 private key."""
    public = _private(private_pem).public_key()
    return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


class Signer:
    """Signs as the configuration's key, or not at all where it says that points may be unsigned."""

    def __init__(self, settings: Control) -> None:
        """`ConfigError` when there is neither a key nor `unsigned: true`, or when the key is none."""
        self._key: Ed25519PrivateKey | None = None
        if settings.signing_key is not None:
            self._key = _private(settings.signing_key.get_secret_value())
        elif not settings.unsigned:
            raise ConfigError(
                "control.signing_key is not set: restore points would be published unsigned, and whoever "
                "can write to a bucket could make one up.",
                next_step="`replicator points new-key FILE` makes a key; then "
                "`control: {signing_key: ${file:FILE}}`. To do without: `control: {unsigned: true}`",
            )

    def sign(self, point: RestorePoint) -> SignedPoint:
        """The point with its signature."""
        return SignedPoint(point, *self.sign_bytes(_CONTEXT, point.body()))

    def sign_bytes(self, context: bytes, body: bytes) -> tuple[str | None, bytes | None]:
        """The key's id and the signature of something else than a point, told apart by its context; None
        twice without a key.
        """
        if self._key is None:
            return None, None
        return _id_of(self._key.public_key()), self._key.sign(context + body)

    def signature(self, context: bytes, body: bytes) -> tuple[str, bytes] | None:
        """The key's id and its signature of something else than a point, told apart by the context; None
        where nothing is signed."""
        if self._key is None:
            return None
        return _id_of(self._key.public_key()), self._key.sign(context + body)


class Keys:
    """The public keys whose points are believed: the signing key's own and `control.public_keys`."""

    def __init__(self, settings: Control) -> None:
        """`ConfigError` for a key that is none."""
        keys = [_public(pem, f"control.public_keys[{i}]") for i, pem in enumerate(settings.public_keys)]
        if settings.signing_key is not None:
            keys.append(_private(settings.signing_key.get_secret_value()).public_key())
        self._keys = _by_id(keys)
        self._unsigned = settings.unsigned

    @property
    def any(self) -> bool:
        """Whether any point could be believed."""
        return bool(self._keys) or self._unsigned

    def check(self, signed: SignedPoint, where: str) -> RestorePoint:
        """The point, believed; `ForgedPointError` names it, `where` it was found, and why it isn't."""
        why = self.refusal(_CONTEXT, signed.point.body(), signed.key_id, signed.signature)
        if why is not None:
            raise _forged(f"The {signed.point} in {where} {why}")
        return signed.point

    def refusal(self, context: bytes, body: bytes, key_id: str | None, signature: bytes | None) -> str | None:
        """Why bytes signed in a context aren't believed, as a sentence's end ("isn't signed"); None if they
        are.
        """
        if signature is None or key_id is None:
            return None if self._unsigned else "isn't signed"
        key = self._keys.get(key_id)
        if key is None:
            known = ", ".join(sorted(self._keys)) or "none"
            return f"is signed by an unknown key {key_id} (known: {known})"
        try:
            key.verify(signature, context + body)
        except InvalidSignature:
            return f"isn't what key {key_id} signed: it was altered"
        return None

    def doubt(self, context: bytes, body: bytes, key_id: str | None, signature: bytes | None) -> str | None:
        """Why something else than a point isn't believed, in words; None when it is.

        Where no key is configured there is nothing to check with, and everything is.
        """
        if not self._keys:
            return None
        if signature is None or key_id is None:
            return None if self._unsigned else "it isn't signed"
        key = self._keys.get(key_id)
        if key is None:
            return f"it is signed by an unknown key {key_id} (known: {', '.join(sorted(self._keys))})"
        try:
            key.verify(signature, context + body)
        except InvalidSignature:
            return f"it isn't what key {key_id} signed: it was altered"
        return None


def _forged(what: str) -> ForgedPointError:
    return ForgedPointError(
        f"{what}. It is not believed; the segments beside it are not affected, and a restore proves "
        "itself without it.",
        next_step="find out who can write there; if a key was replaced, keep the old one's public half in "
        "control.public_keys",
    )


def _by_id(keys: Iterable[Ed25519PublicKey]) -> dict[str, Ed25519PublicKey]:
    return {_id_of(key): key for key in keys}


def _id_of(key: Ed25519PublicKey) -> str:
    return hashlib.sha256(key.public_bytes(Encoding.Raw, PublicFormat.Raw)).hexdigest()[:16]


def _private(pem: str) -> Ed25519PrivateKey:
    try:
        key = load_pem_private_key(pem.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigError(
            "control.signing_key is not an Ed25519 private key in PEM without a password.",
            next_step="`replicator points new-key FILE` makes one",
        )
    return key


def _public(pem: str, name: str) -> Ed25519PublicKey:
    try:
        key = load_pem_public_key(pem.encode())
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PublicKey):
        raise ConfigError(f"{name} is not an Ed25519 public key in PEM.")
    return key
