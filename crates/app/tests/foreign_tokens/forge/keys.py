"""Tokens by every algorithm, whose key has every kind of name."""

import json

import jwt
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from pki import Identity, Pki, base64url
from tokens import claims, rs256, sign, unsigned, with_signature

KEYS = {
    "RSA": ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"],
    "P-256": ["ES256"],
    "P-384": ["ES384"],
    "P-521": ["ES512"],
    "Ed25519": ["EdDSA"],
}
HMACS = ["HS256", "HS384", "HS512"]
SECRET = b"a secret that two parties share, long enough for every one of the HMACs"


class Keys:
    def __init__(self, pki: Pki):
        self.known = {kind: pki.self_signed(kind, f"/CN={kind}") for kind in KEYS}

    def files(self) -> dict:
        return {"keys.pem": self.bundle(), "keys.json": json.dumps(self.jwks())}

    def bundle(self) -> str:
        """With text and other blocks between the certificates, as files that grew have them."""
        blocks = [
            f"# {kind}\n{key.key_file.read_text()}{key.pem}" for kind, key in self.known.items()
        ]
        return "\n".join(blocks)

    def jwks(self) -> dict:
        """Each key under a name of its issuer's making, and a shared secret."""
        public = [
            {**key.jwk, "kid": f"key-{kind}", "use": "sig"} for kind, key in self.known.items()
        ]
        return {"keys": [*public, {"kty": "oct", "kid": "key-shared", "k": base64url(SECRET)}]}

    def tokens(self) -> dict:
        made = {}
        for kind, algorithms in KEYS.items():
            key = self.known[kind]
            names = {
                "RFC 7638": {"kid": key.rfc7638},
                "libtrust": {"kid": key.libtrust},
                "JWKS": {"kid": f"key-{kind}"},
                "x5c": {"x5c": [key.x5c]},
                "jwk": {"jwk": {**key.jwk, "kid": key.rfc7638}},
            }
            for algorithm in algorithms:
                for form, header in names.items():
                    made[f"{algorithm}, {form}"] = sign(key, algorithm, header)
        return {**made, **self.hmacs(), **self.disguised()}

    def hmacs(self) -> dict:
        made = {}
        for algorithm in HMACS:
            shared = jwt.encode(claims(), SECRET, algorithm, headers={"kid": "key-shared"})
            made[f"{algorithm}, shared secret"] = shared
            for kind, key in self.known.items():
                made[f"{algorithm}, {kind}"] = jwt.encode(
                    claims(), SECRET, algorithm, headers={"kid": key.rfc7638}
                )
        return made

    def disguised(self) -> dict:
        """Signatures that would hold, under another name than their own."""
        rsa = self.known["RSA"]
        made = {}
        for algorithm in ["none", "None", "rs256", "RS1", "", "RS256 "]:
            signed = unsigned({"alg": algorithm, "kid": rsa.rfc7638})
            made[f"alg {algorithm!r}"] = with_signature(signed, rs256(rsa, signed))
        made["alg none, no signature"] = jwt.encode(
            claims(), None, "none", headers={"kid": rsa.rfc7638}
        )
        for algorithm in ["RS384", "PS256"]:
            signed = unsigned({"alg": algorithm, "kid": rsa.rfc7638})
            made[f"RS256 as {algorithm}"] = with_signature(signed, rs256(rsa, signed))
        # Signatures that would hold if the algorithm had its way.
        p256, p384, ed = (self.known[kind] for kind in ("P-256", "P-384", "Ed25519"))
        for name, by, algorithm, signature in [
            ("P-384 as ES256", p384, "ES256", lambda signed: raw(p384, signed, hashes.SHA256())),
            ("P-256 as ES384", p256, "ES384", lambda signed: raw(p256, signed, hashes.SHA384())),
            ("Ed25519 as ES256", ed, "ES256", lambda signed: ed.key.sign(signed.encode())),
            ("RSA as EdDSA", rsa, "EdDSA", lambda signed: rs256(rsa, signed)),
            # As everything but JOSE writes it (JW11).
            ("ES256 in DER", p256, "ES256", lambda signed: der(p256, signed, hashes.SHA256())),
        ]:
            signed = unsigned({"alg": algorithm, "kid": by.rfc7638})
            made[name] = with_signature(signed, signature(signed))
        return made


def der(by: Identity, signed: str, digest) -> bytes:
    return by.key.sign(signed.encode(), ec.ECDSA(digest))


def raw(by: Identity, signed: str, digest) -> bytes:
    """Two numbers side by side (RFC 7518, section 3.4)."""
    size = (by.key.curve.key_size + 7) // 8
    return b"".join(n.to_bytes(size, "big") for n in decode_dss_signature(der(by, signed, digest)))
