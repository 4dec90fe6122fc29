"""Keys and certificates, all made by the openssl command line."""

import base64
import hashlib
import json
import subprocess
import time
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

# What `openssl genpkey` wants to hear for each kind of key.
KINDS = {
    "RSA-1024": ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024"],
    "RSA": ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
    "P-256": ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
    "P-384": ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"],
    "P-521": ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-521"],
    "Ed25519": ["-algorithm", "ED25519"],
}
DAY = 24 * 60 * 60
AUTHORITY = "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign\n"
SIGNER = "basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\n"


class Identity:
    """A private key with the certificate that vouches for it."""

    def __init__(self, key: Path, certificate: Path):
        self.key_file, self.certificate_file = key, certificate
        self.key = serialization.load_pem_private_key(key.read_bytes(), None)
        # `openssl ca` and `x509` may write text before the block.
        self.pem = certificate.read_text()
        self.certificate = x509.load_pem_x509_certificate(self.pem.encode())

    @property
    def x5c(self) -> str:
        """As a header carries it (RFC 7515, section 4.1.6)."""
        der = self.certificate.public_bytes(serialization.Encoding.DER)
        return base64.b64encode(der).decode()

    @property
    def jwk(self) -> dict:
        """The required members of the public key, and no other (RFC 7638, section 3.2)."""
        return public_jwk(self.key.public_key())

    @property
    def rfc7638(self) -> str:
        canonical = json.dumps(self.jwk, sort_keys=True, separators=(",", ":"))
        return base64url(hashlib.sha256(canonical.encode()).digest())

    @property
    def libtrust(self) -> str:
        spki = self.key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        text = base64.b32encode(hashlib.sha256(spki).digest()[:30]).decode()
        return ":".join(text[at : at + 4] for at in range(0, len(text), 4))


class Pki:
    """A folder in which openssl works."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.made = 0

    def self_signed(self, kind: str, subject: str, *options: str) -> Identity:
        """`openssl req -x509` as it comes: Debian's configuration makes it `CA:TRUE`."""
        key, out = self._key(kind), self._file("crt")
        openssl("req -x509 -days 30", *options, key=key, subj=subject, out=out)
        return Identity(key, out)

    def self_signed_v1(self, kind: str, subject: str) -> Identity:
        """`openssl x509 -req -signkey` without extensions."""
        key, out = self._key(kind), self._file("crt")
        openssl("x509 -req -days 30", in_=self._request(key, subject), signkey=key, out=out)
        return self._of_version_1(Identity(key, out), subject)

    def issued(
        self, kind: str, subject: str, issuer: Identity, extensions: str, *options: str
    ) -> Identity:
        """`openssl x509 -req -CA` with extensions."""
        wanted = self._file("ext")
        wanted.write_text(extensions)
        return self._issued(kind, subject, *options, **signer(issuer), extfile=wanted)

    def issued_v1(self, kind: str, subject: str, issuer: Identity) -> Identity:
        """`openssl x509 -req -CA` without extensions."""
        made = self._issued(kind, subject, **signer(issuer))
        return self._of_version_1(made, subject, **signer(issuer))

    def dated(
        self, kind: str, subject: str, issuer: Identity | None, extensions: str, days: range
    ) -> Identity:
        """`openssl ca`, which takes any dates; `issuer` is None where it signs itself."""
        key, out, wanted = self._key(kind), self._file("crt"), self._file("ext")
        wanted.write_text(extensions)
        by = {"keyfile": key}
        if issuer:
            by = {"cert": issuer.certificate_file, "keyfile": issuer.key_file}
        openssl(
            "ca -batch -notext" if issuer else "ca -batch -notext -selfsign",
            config=self._authority(),
            startdate=moment(days.start),
            enddate=moment(days.stop),
            extfile=wanted,
            in_=self._request(key, subject),
            out=out,
            **by,
        )
        return Identity(key, out)

    def _issued(self, kind: str, subject: str, *options: str, **values) -> Identity:
        key, out = self._key(kind), self._file("crt")
        request = self._request(key, subject)
        openssl("x509 -req -days 30 -CAcreateserial", *options, in_=request, out=out, **values)
        return Identity(key, out)

    def _of_version_1(self, made: Identity, subject: str, **by) -> Identity:
        """Since version 3.2 openssl makes one of version 1 only if it is told so."""
        if made.certificate.version is x509.Version.v1:
            return made
        key, out = made.key_file, made.certificate_file
        openssl("req -x509 -x509v1 -days 30", key=key, subj=subject, out=out, **by)
        made = Identity(key, out)
        assert made.certificate.version is x509.Version.v1
        return made

    def _key(self, kind: str) -> Path:
        key = self._file("key")
        openssl("genpkey", *KINDS[kind], out=key)
        return key

    def _request(self, key: Path, subject: str) -> Path:
        request = self._file("csr")
        openssl("req -new", key=key, subj=subject, out=request)
        return request

    def _authority(self) -> Path:
        configuration, index = self._file("cnf"), self._file("txt")
        index.touch()
        configuration.write_text(
            "[ca]\ndefault_ca=here\n"
            f"[here]\ndatabase={index}\nnew_certs_dir={self.folder}\ndefault_md=sha256\n"
            "policy=any\nrand_serial=yes\n"
            "[any]\ncommonName=supplied\n"
        )
        return configuration

    def _file(self, kind: str) -> Path:
        self.made += 1
        return self.folder / f"{self.made}.{kind}"


def openssl(words: str, *more: str, **options) -> None:
    command = ["openssl", *words.split(), *more]
    for name, value in options.items():
        command += [f"-{name.rstrip('_')}", str(value)]
    ran = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if ran.returncode:
        raise SystemExit(f"{' '.join(command)}\n{ran.stderr}")


def signer(issuer: Identity) -> dict:
    """As `openssl x509` and `openssl req` take it."""
    return {"CA": issuer.certificate_file, "CAkey": issuer.key_file}


def moment(days: int) -> str:
    """So many days from now, as `openssl ca` reads it."""
    return time.strftime("%y%m%d%H%M%SZ", time.gmtime(time.time() + days * DAY))


def public_jwk(key) -> dict:
    if isinstance(key, rsa.RSAPublicKey):
        numbers = key.public_numbers()
        return {"e": number(numbers.e), "kty": "RSA", "n": number(numbers.n)}
    if isinstance(key, ed25519.Ed25519PublicKey):
        raw = key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        return {"crv": "Ed25519", "kty": "OKP", "x": base64url(raw)}
    assert isinstance(key, ec.EllipticCurvePublicKey)
    numbers, size = key.public_numbers(), (key.curve.key_size + 7) // 8
    curve = {256: "P-256", 384: "P-384", 521: "P-521"}[key.curve.key_size]
    return {"crv": curve, "kty": "EC", "x": number(numbers.x, size), "y": number(numbers.y, size)}


def number(value: int, size: int = 0) -> str:
    return base64url(value.to_bytes(size or (value.bit_length() + 7) // 8, "big"))


def base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
