"""What a restore proved, as a document that can be checked later: `docs/restore.md`, "The certificate"."""

from replicator.certificate.certificate import (
    Certificate,
    ChainRange,
    Digest,
    ReadObject,
    SignedCertificate,
    TableProof,
)
from replicator.certificate.checking import Trouble, Verdict, check
from replicator.certificate.document import FORMAT, ForgedCertificateError, believe, decode, encode, sign

__all__ = [
    "FORMAT",
    "Certificate",
    "ChainRange",
    "Digest",
    "ForgedCertificateError",
    "ReadObject",
    "SignedCertificate",
    "TableProof",
    "Trouble",
    "Verdict",
    "believe",
    "check",
    "decode",
    "encode",
    "sign",
]
