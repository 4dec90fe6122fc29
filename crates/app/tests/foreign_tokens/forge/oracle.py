"""The tokens of oracle.txt, under the names of its rows."""

import base64
import hashlib
import hmac
import time

import jwt

from pki import SIGNER, Pki
from tokens import (
    ABSENT,
    ISSUER,
    SERVICE,
    access,
    claims,
    rs256,
    sign,
    unsigned,
    with_signature,
)


class Oracle:
    def __init__(self, pki: Pki):
        subject = "/CN=Token Signer"
        self.rsa = pki.self_signed("RSA", subject)
        self.ec = pki.self_signed("P-256", "/CN=Token Signer on a curve")
        self.ed = pki.self_signed("Ed25519", "/CN=Token Signer of Edwards")
        self.stranger = pki.self_signed("RSA", subject)
        self.expired = pki.dated(
            "P-256", "/CN=Token Signer of last year", None, SIGNER, range(-30, -5)
        )

    def files(self) -> dict:
        trusted = [self.rsa, self.ec, self.ed, self.expired]
        return {"oracle.pem": "".join(identity.pem for identity in trusted)}

    def tokens(self) -> dict:
        return {
            **self.encodings(),
            **self.key_names(),
            **self.signatures(),
            **self.parties(),
            **self.grants(),
            **self.sizes(),
            # Last, so that as little time as possible passes before they are shown.
            **self.times(),
        }

    def good(self, **changes) -> str:
        return sign(self.rsa, "RS256", {"kid": self.rsa.rfc7638}, **changes)

    def encodings(self) -> dict:
        good = self.good()
        padded = ".".join(part + "=" * (-len(part) % 4) for part in good.split("."))
        assert "=" in padded
        return {
            "lower-case bearer": good,
            "double space": good,
            "opaque token": "0f3b9a55-4ab1-nothing-to-see-here",
            "two parts": good.rpartition(".")[0],
            "padded base64url": padded,
        }

    def key_names(self) -> dict:
        rsa, expired = self.rsa, self.expired
        urlsafe = base64.urlsafe_b64encode(base64.b64decode(rsa.x5c)).decode()
        assert urlsafe != rsa.x5c

        def named(header: dict, by=rsa, algorithm="RS256") -> str:
            return sign(by, algorithm, header)

        return {
            "OK kid=libtrust": named({"kid": rsa.libtrust}),
            "OK kid=rfc7638": named({"kid": rsa.rfc7638}),
            "x5c leaf in bundle, no kid": named({"x5c": [rsa.x5c]}),
            "x5c base64url instead of base64": named({"x5c": [urlsafe]}),
            "x5c cert not in bundle": named({"x5c": [self.stranger.x5c]}, self.stranger),
            "x5c expired cert (in bundle)": named({"x5c": [expired.x5c]}, expired, "ES256"),
            "kid of expired cert in bundle": named({"kid": expired.rfc7638}, expired, "ES256"),
            "jwk header trusted, no kid inside": named({"jwk": rsa.jwk}),
            "jwk header trusted, kid inside": named({"jwk": {**rsa.jwk, "kid": rsa.rfc7638}}),
            "no kid/x5c/jwk": named({}),
            "unknown kid": named({"kid": "nope"}),
            "right kid, signed by other key": named({"kid": rsa.rfc7638}, self.stranger),
        }

    def signatures(self) -> dict:
        kid = {"kid": self.rsa.rfc7638}
        hs256 = unsigned({"alg": "HS256", **kid})
        # PyJWT refuses to use a certificate as a shared secret, with good reason.
        forged = hmac.digest(self.rsa.pem.encode(), hs256.encode(), hashlib.sha256)
        es256 = unsigned({"alg": "ES256", **kid})
        flipped = unsigned({"alg": "RS256", **kid})
        signature = rs256(self.rsa, flipped)
        return {
            "signature bit flipped": with_signature(
                flipped, bytes([signature[0] ^ 1]) + signature[1:]
            ),
            "alg none": jwt.encode(claims(), None, "none", headers=kid),
            "HS256 keyed with cert PEM": with_signature(hs256, forged),
            "PS256 with RSA key": sign(self.rsa, "PS256", kid),
            "ES256 EC key": sign(self.ec, "ES256", {"kid": self.ec.rfc7638}),
            "EdDSA key": sign(self.ed, "EdDSA", {"kid": self.ed.rfc7638}),
            "RSA key but header alg ES256": with_signature(es256, rs256(self.rsa, es256)),
        }

    def parties(self) -> dict:
        return {
            "wrong iss": self.good(iss="other"),
            "iss trailing slash": self.good(iss=f"{ISSUER}/"),
            "wrong aud": self.good(aud="other"),
            "aud array with service": self.good(aud=["other", SERVICE]),
            "aud missing": self.good(aud=ABSENT),
        }

    def times(self) -> dict:
        now = int(time.time())
        return {
            "exp 120s ago": self.good(exp=now - 120),
            "exp missing": self.good(exp=ABSENT),
            # By hand: newer releases of PyJWT may look at what they sign.
            "exp string": self.by_hand(exp=str(now + 1800)),
            "exp float": self.by_hand(exp=now + 1800.5),
            "nbf +30s": self.good(nbf=now + 30),
            "nbf missing": self.good(nbf=ABSENT),
            "iat +1h": self.good(iat=now + 3600),
            "iat ISO string": self.by_hand(iat="2026-11-22T00:31:20Z"),
            "nbf +120s": self.good(nbf=now + 120),
            "exp 30s ago": self.good(exp=now - 30),
        }

    def grants(self) -> dict:
        pull_push = self.good(access=access("a/b", "pull", "push"))
        return {
            "access missing, base": self.good(access=ABSENT),
            "access null, base": self.good(access=None),
            "access [] , repo GET": self.good(access=[]),
            "access missing, repo GET": self.good(access=ABSENT),
            "access object not array": self.good(access=access("a/b", "pull")[0]),
            "access actions string": self.good(access=[{**access("a/b")[0], "actions": "pull"}]),
            "access actions null": self.good(access=[{**access("a/b")[0], "actions": None}]),
            "access [number]": self.good(access=[1]),
            "scope claim (OAuth style) only": self.good(access=ABSENT, scope="repository:a/b:pull"),
            "access pull, GET": self.good(access=access("a/b", "pull")),
            "access name has host": self.good(access=access(f"{SERVICE}/a/b", "pull")),
            "access type Repository (case)": self.good(
                access=access("a/b", "pull", kind="Repository")
            ),
            "access action PULL (case)": self.good(access=access("a/b", "PULL")),
            'access "*" action, GET': self.good(access=access("a/b", "*")),
            'access name "*"': self.good(access=access("*", "pull")),
            "push only, start upload": self.good(access=access("a/b", "push")),
            "pull only, start upload": self.good(access=access("a/b", "pull")),
            "pull,push start upload": pull_push,
            "pull,push dest; mount from ungranted": pull_push,
            "pull,push: DELETE manifest": pull_push,
            "catalog no grant": self.good(),
            "catalog grant *": self.good(access=access("catalog", "*", kind="registry")),
            "catalog grant pull": self.good(access=access("catalog", "pull", kind="registry")),
        }

    def sizes(self) -> dict:
        return {
            "token 20 kB": self.good(filling="x" * 14_500),
            "token 1.4 MB": self.good(filling="x" * 1_050_000),
        }

    def by_hand(self, **changes) -> str:
        signed = unsigned({"alg": "RS256", "kid": self.rsa.rfc7638}, **changes)
        return with_signature(signed, rs256(self.rsa, signed))
