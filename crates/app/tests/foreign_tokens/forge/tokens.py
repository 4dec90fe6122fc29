"""Tokens: proper ones by PyJWT, broken ones by hand."""

import json
import time

import jwt
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from pki import Identity, base64url

ISSUER = "tokens.example"
SERVICE = "registry.example"
PULL = [{"type": "repository", "name": "a/b", "actions": ["pull"]}]
ABSENT = object()


def claims(**changes) -> dict:
    """Of a token that grants `pull` on a/b for the next half hour; ABSENT takes a claim away."""
    now = int(time.time())
    whole = {
        "iss": ISSUER,
        "sub": "somebody-from-elsewhere",
        "aud": SERVICE,
        "exp": now + 1800,
        "nbf": now - 5,
        "iat": now,
        "jti": "7d1c0f4e-one-of-a-kind",
        "access": PULL,
    }
    whole.update(changes)
    return {name: value for name, value in whole.items() if value is not ABSENT}


def sign(by: Identity, algorithm: str, header: dict, **changes) -> str:
    return jwt.encode(claims(**changes), by.key, algorithm, headers=header)


def access(name: str, *actions: str, kind: str = "repository") -> list:
    return [{"type": kind, "name": name, "actions": list(actions)}]


def encoded(part: dict) -> str:
    return base64url(json.dumps(part).encode())


def unsigned(header: dict, **changes) -> str:
    """The first two parts, for a signature of another making."""
    return f"{encoded({'typ': 'JWT', **header})}.{encoded(claims(**changes))}"


def with_signature(signed: str, signature: bytes) -> str:
    return f"{signed}.{base64url(signature)}"


def rs256(by: Identity, signed: str) -> bytes:
    return by.key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
