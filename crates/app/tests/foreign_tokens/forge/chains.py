"""Tokens that bring their certificates."""

from pki import AUTHORITY, SIGNER, Identity, Pki
from tokens import sign

LAST_AUTHORITY = "basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,keyCertSign\n"
NO_CERTIFICATES = "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,digitalSignature\n"
ALGORITHMS = {
    "P-256": "ES256",
    "P-384": "ES384",
    "P-521": "ES512",
    "RSA": "RS256",
    "Ed25519": "EdDSA",
}


class Chains:
    def __init__(self, pki: Pki):
        self.pki, self.leaves = pki, {}
        self.root = pki.self_signed("P-256", "/CN=Root")
        self.alone = pki.self_signed("RSA", "/CN=Root and signer")
        self.pinned = pki.dated(
            "P-256", "/CN=Signer without authority", None, SIGNER, range(-1, 30)
        )
        self.first_version = pki.self_signed_v1("P-256", "/CN=Root of version 1")
        self.large = pki.self_signed("P-521", "/CN=Large root")
        pss = ["-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:digest"]
        self.pss = pki.self_signed("RSA", "/CN=Root by PSS", *pss)
        self.sha1 = pki.self_signed("P-256", "/CN=Root by SHA-1", "-sha1")
        self.old = pki.dated("P-256", "/CN=Old root", None, AUTHORITY, range(-30, -5))
        self.middle = pki.issued("P-256", "/CN=Middle", self.root, AUTHORITY)
        self.issuing = pki.issued("P-256", "/CN=Issuing", self.middle, LAST_AUTHORITY)
        self.other = pki.issued("P-256", "/CN=Another signer", self.root, SIGNER)

    def files(self) -> dict:
        trusted = [
            self.root,
            self.alone,
            self.pinned,
            self.first_version,
            self.large,
            self.pss,
            self.sha1,
            self.old,
        ]
        return {"chains.pem": "".join(identity.pem for identity in trusted)}

    def tokens(self) -> dict:
        return {
            **self.trusted(),
            **self.of_version_1(),
            **self.mixed(),
            **self.hashes(),
            **self.unknown(),
            **self.dates(),
            **self.limits(),
            **self.broken(),
            **self.embedded(),
        }

    def leaf(self, issuer: Identity, kind: str = "P-256") -> Identity:
        """A signer below that authority: the same each time, for openssl takes its time."""
        if (issuer, kind) not in self.leaves:
            self.leaves[issuer, kind] = self.pki.issued(kind, "/CN=Signer", issuer, SIGNER)
        return self.leaves[issuer, kind]

    def trusted(self) -> dict:
        root, middle, issuing = self.root, self.middle, self.issuing
        short, longer, longest = self.leaf(root), self.leaf(middle), self.leaf(issuing)
        return {
            "chain of 1, root signs": token(self.alone),
            "chain of 1, pinned": token(self.pinned),
            "chain of 1": token(short),
            "chain of 2": token(longer, middle),
            "chain of 2, root included": token(short, root),
            "chain of 3": token(longest, issuing, middle),
            "chain of 3, root included": token(longer, middle, root),
            "chain of 3, out of order": token(longest, middle, issuing),
            "chain of 5": token(longest, issuing, middle, root, self.alone),
            "intermediate signs": token(middle),
            "intermediate signs, root included": token(middle, root),
            "second intermediate signs": token(issuing, middle),
        }

    def of_version_1(self) -> dict:
        middle = self.middle
        below_first = self.leaf(self.first_version)
        first_between = self.pki.issued_v1("P-256", "/CN=Authority of version 1", self.root)
        return {
            "v1 leaf": token(self.pki.issued_v1("P-256", "/CN=Signer of version 1", self.root)),
            "v1 leaf below intermediate": token(
                self.pki.issued_v1("P-256", "/CN=Signer", middle), middle
            ),
            "v1 root signs": token(self.first_version),
            "v1 root as issuer": token(below_first),
            "v1 intermediate": token(self.leaf(first_between), first_between),
        }

    def mixed(self) -> dict:
        """Every kind of key signs a certificate of another kind."""
        rsa = self.pki.issued("RSA", "/CN=RSA below P-521", self.large, AUTHORITY)
        curve = self.pki.issued("P-384", "/CN=P-384 below RSA", rsa, AUTHORITY)
        edwards = self.pki.issued("Ed25519", "/CN=Ed25519 below P-384", curve, AUTHORITY)
        return {
            "P-521, RSA, P-384": token(self.leaf(curve, "RSA"), curve, rsa),
            "P-384, Ed25519": token(self.leaf(edwards, "P-521"), edwards, curve, rsa),
            "PSS": token(self.leaf(self.pss, "Ed25519")),
            "PSS, v1 leaf": token(self.pki.issued_v1("P-256", "/CN=Signer", self.pss)),
            "Ed25519 intermediate signs": token(edwards, curve, rsa),
        }

    def hashes(self) -> dict:
        """Nobody checks what a root says of itself; SHA-1 anywhere else is no signature."""
        leaf = self.pki.issued("P-256", "/CN=Signer", self.root, SIGNER, "-sha1")
        authority = self.pki.issued("P-256", "/CN=Authority", self.root, AUTHORITY, "-sha1")
        return {
            "SHA-1 root signs": token(self.sha1),
            "below SHA-1 root": token(self.leaf(self.sha1)),
            "SHA-1 leaf": token(leaf),
            "SHA-1 intermediate": token(self.leaf(authority), authority),
            "SHA-1 intermediate signs": token(authority),
        }

    def unknown(self) -> dict:
        stranger = self.pki.self_signed("P-256", "/CN=Nobody we know")
        impostor = self.pki.self_signed("P-256", "/CN=Root")
        return {
            "unknown root": token(self.leaf(stranger), stranger),
            "unknown root, alone": token(stranger),
            "root of the same name": token(self.leaf(impostor)),
            "root of the same name, included": token(self.leaf(impostor), impostor),
            "root of the same name, v1 leaf": token(
                self.pki.issued_v1("P-256", "/CN=Signer", impostor)
            ),
            "missing intermediate": token(self.leaf(self.issuing), self.issuing),
            "missing intermediate, v1 leaf": token(
                self.pki.issued_v1("P-256", "/CN=Signer", self.middle)
            ),
            "chain of another signer": sign(
                self.other, "ES256", {"x5c": [self.leaf(self.root).x5c]}
            ),
            "broken chain, trusted kid": sign(
                self.alone, "RS256", {"kid": self.alone.rfc7638, "x5c": [stranger.x5c]}
            ),
            "empty chain, trusted kid": sign(
                self.alone, "RS256", {"kid": self.alone.rfc7638, "x5c": []}
            ),
        }

    def dates(self) -> dict:
        def leaf(issuer: Identity, days: range, extensions: str = SIGNER) -> Identity:
            return self.pki.dated(
                "P-256", f"/CN=From {days.start} to {days.stop}", issuer, extensions, days
            )

        past, future = range(-30, -5), range(5, 30)
        was, will_be = leaf(self.root, past, AUTHORITY), leaf(self.root, future, AUTHORITY)
        return {
            "expired leaf": token(leaf(self.root, past)),
            "future leaf": token(leaf(self.root, future)),
            "expired intermediate": token(self.leaf(was), was),
            "expired intermediate, v1 leaf": token(
                self.pki.issued_v1("P-256", "/CN=Signer", was), was
            ),
            "expired intermediate signs": token(was),
            "future intermediate": token(self.leaf(will_be), will_be),
            "expired root": token(self.leaf(self.old)),
            "expired root, v1 leaf": token(self.pki.issued_v1("P-256", "/CN=Signer", self.old)),
        }

    def limits(self) -> dict:
        below_last = self.pki.issued("P-256", "/CN=Below the last", self.issuing, AUTHORITY)
        useless = self.pki.issued("P-256", "/CN=For other things", self.root, NO_CERTIFICATES)
        signer = self.leaf(self.root)
        return {
            "too deep": token(self.leaf(below_last), below_last, self.issuing, self.middle),
            "too deep, v1 leaf": token(
                self.pki.issued_v1("P-256", "/CN=Signer", below_last),
                below_last,
                self.issuing,
                self.middle,
            ),
            # The path length counts authorities between, and a signer is not between.
            "as deep as allowed": token(below_last, self.issuing, self.middle),
            "may not sign certificates": token(self.leaf(useless), useless),
            "may not sign certificates, signs": token(useless),
            "signer as issuer": token(self.leaf(signer), signer),
            "signer as issuer, v1 leaf": token(
                self.pki.issued_v1("P-256", "/CN=Signer", signer), signer
            ),
            "pinned as issuer": token(self.leaf(self.pinned)),
            "chain of 6": token(self.leaf(self.root), *[self.root] * 5),
            "RSA of 1024 bits": token(self.leaf(self.root, "RSA-1024")),
        }

    def broken(self) -> dict:
        signer = self.leaf(self.root)

        def with_x5c(x5c) -> str:
            return sign(signer, "ES256", {"x5c": x5c})

        return {
            "x5c is text": with_x5c(signer.x5c),
            "x5c holds numbers": with_x5c([1]),
            "x5c holds PEM": with_x5c([signer.pem]),
            "x5c holds no certificate": with_x5c(["bm8gY2VydGlmaWNhdGU="]),
            "x5c is cut short": with_x5c([signer.x5c[:400]]),
        }

    def embedded(self) -> dict:
        """A `jwk` in the header is a pointer; whatever else it says, its key is not used."""
        signer, other, trusted = self.leaf(self.root), self.other, self.root
        attacker = self.pki.self_signed("P-256", "/CN=Attacker")
        private = {**trusted.jwk, "kid": trusted.rfc7638, "d": attacker.jwk["x"]}
        return {
            "jwk with chain": sign(signer, "ES256", {"jwk": {**signer.jwk, "x5c": [signer.x5c]}}),
            "jwk with chain of another": sign(
                signer, "ES256", {"jwk": {**signer.jwk, "x5c": [other.x5c]}}
            ),
            "jwk of attacker, trusted kid inside": sign(
                attacker, "ES256", {"jwk": {**attacker.jwk, "kid": trusted.rfc7638}}
            ),
            "jwk of attacker, trusted kid beside": sign(
                attacker, "ES256", {"kid": trusted.rfc7638, "jwk": attacker.jwk}
            ),
            "jwk with private half": sign(trusted, "ES256", {"jwk": private}),
        }


def token(by: Identity, *above: Identity) -> str:
    algorithm = ALGORITHMS.get(by.jwk.get("crv"), "RS256")
    return sign(by, algorithm, {"x5c": [certificate.x5c for certificate in (by, *above)]})
