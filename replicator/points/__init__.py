"""Restore points: an LSN up to which a destination is known to hold everything, published and signed."""

from replicator.points.point import ChainEnd, RestorePoint, SignedPoint
from replicator.points.signature import ForgedPointError, Keys, Signer, new_key, public_pem

__all__ = [
    "ChainEnd",
    "ForgedPointError",
    "Keys",
    "RestorePoint",
    "SignedPoint",
    "Signer",
    "new_key",
    "public_pem",
]
