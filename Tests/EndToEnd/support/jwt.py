"""JWTs that are signed with ES256 by code that is not ours."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key


def encode(data: bytes) -> str:
    """Base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def sign(key: Path | ec.EllipticCurvePrivateKey, kid: str, claims: dict[str, Any]) -> str:
    """A JWT of these claims."""
    private = load_pem_private_key(key.read_bytes(), None) if isinstance(key, Path) else key
    assert isinstance(private, ec.EllipticCurvePrivateKey)
    head = {"alg": "ES256", "kid": kid, "typ": "JWT"}
    signed = ".".join(encode(json.dumps(part).encode()) for part in (head, claims))
    r, s = utils.decode_dss_signature(private.sign(signed.encode(), ec.ECDSA(SHA256())))
    return f"{signed}.{encode(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


def jwk_of(key: ec.EllipticCurvePrivateKey, kid: str) -> dict[str, str]:
    """The public half, as providers publish it."""
    numbers = key.public_key().public_numbers()
    point = {name: encode(value.to_bytes(32, "big")) for name, value in (("x", numbers.x), ("y", numbers.y))}
    return {"kty": "EC", "crv": "P-256", "kid": kid, "use": "sig", "alg": "ES256", **point}
