"""A certificate as a file: JSON that people can read, with its digest, and a signature if there is a key."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json

from replicator.certificate.certificate import FORMAT, Certificate, SignedCertificate
from replicator.config import Control
from replicator.errors import IntegrityError, RefusedError
from replicator.points import Keys, Signer

__all__ = ["FORMAT", "ForgedCertificateError", "believe", "decode", "encode", "sign"]

_CONTEXT = b"replicator certificate 1\n"


class ForgedCertificateError(IntegrityError):
    """A certificate that isn't as it was made, or that nobody who is believed has signed."""


def sign(certificate: Certificate, settings: Control) -> SignedCertificate:
    """The certificate, signed with `control.signing_key` where there is one."""
    if settings.signing_key is None:
        return SignedCertificate(certificate)
    return SignedCertificate(certificate, *Signer(settings).sign_bytes(_CONTEXT, certificate.body()))


def encode(signed: SignedCertificate) -> str:
    """The file's text."""
    signature = None if signed.signature is None else base64.b64encode(signed.signature).decode()
    return json.dumps(
        {
            "certificate": signed.certificate.fields(),
            "sha256": hashlib.sha256(signed.certificate.body()).hexdigest(),
            "key": signed.key_id,
            "signature": signature,
        },
        indent=1,
    )


def decode(text: str, where: str) -> SignedCertificate:
    """The certificate in a file's text; whether its signature is believed is `believe`'s to say.

    `ForgedCertificateError` when it is none or was altered since it was written, `RefusedError` when it is of
    a format that this version doesn't know; both name `where`.
    """
    try:
        said = json.loads(text)
        format_ = said["certificate"]["format"]
        if format_ != FORMAT:
            raise RefusedError(
                f"{where} is a certificate of format {format_!r}; this version knows {FORMAT}.",
                next_step="check it with the version of the replicator that wrote it, or a later one",
            )
        certificate = Certificate.from_fields(said["certificate"])
        signature = said["signature"]
        if signature is not None:
            signature = base64.b64decode(signature, validate=True)
        signed = SignedCertificate(certificate, said["key"], signature)
        digest = str(said["sha256"])
    except (ValueError, KeyError, TypeError, AttributeError, binascii.Error):
        raise ForgedCertificateError(
            f"{where} holds no certificate of a restore: it was truncated or altered, or is something else.",
            next_step="take it from where the restore wrote it, or from the restored database: "
            "SELECT certificate FROM replicator_restore.state",
        ) from None
    # A signature says more, but not everybody has a key, and a slip of an editor should be seen by all.
    if hashlib.sha256(certificate.body()).hexdigest() != digest:
        raise ForgedCertificateError(
            f"{where} was altered after it was written: its content isn't what its own digest says.",
            next_step="take it from where the restore wrote it; this one proves nothing",
        )
    return signed


def believe(signed: SignedCertificate, keys: Keys, where: str) -> str:
    """Who vouches for the certificate, in words.

    Without any key configured an unsigned one is taken for what it says, and the words say that nobody
    vouches. `ForgedCertificateError` when it was altered, or isn't signed by a key that is known.
    """
    if signed.signature is None and not keys.any:
        return "unsigned: nobody vouches for it, and no key is configured"
    why = keys.refusal(_CONTEXT, signed.certificate.body(), signed.key_id, signed.signature)
    if why is not None:
        raise ForgedCertificateError(
            f"The certificate {where} {why}. It is not believed.",
            next_step="ask whoever made it; where a key was replaced, or only checks, put the public half of "
            "the one that signed under control.public_keys",
        )
    if signed.signature is None:
        return "unsigned, which control.unsigned allows"
    return f"signature verified, key {signed.key_id}"
