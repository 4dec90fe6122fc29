"""A token service as operators write it themselves: PyJWT, and a certificate made by openssl.

usage: token_service.py CERTIFICATE KEY ISSUER ACCOUNT PASSWORD

Grants the account what it asks for below its own name, and pull on everything else.
It answers GET and POST, gives no refresh tokens, and prints its address when it listens.
"""

import base64
import json
import re
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import jwt
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

CERTIFICATE, KEY, ISSUER, ACCOUNT, PASSWORD = sys.argv[1:]
LIFETIME = 300

with open(KEY, encoding="ascii") as file:
    key = file.read()
with open(CERTIFICATE, "rb") as file:
    certificate = x509.load_pem_x509_certificate(file.read())
x5c = [base64.b64encode(certificate.public_bytes(Encoding.DER)).decode()]


def granted(scopes):
    access = []
    for scope in " ".join(scopes).split():
        match = re.fullmatch(r"([a-z]+):(.+):([a-z,*]*)", scope)
        if match is None:
            continue
        kind, name, actions = match.groups()
        actions = set(actions.split(","))
        if not name.startswith(ACCOUNT + "/"):
            actions &= {"pull"}
        elif "*" in actions:
            actions = {"pull", "push", "delete"}
        access.append({"type": kind, "name": name, "actions": sorted(actions)})
    return access


class TokenService(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        fields = parse_qs(urlsplit(self.path).query)
        scheme, _, encoded = self.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "basic":
            self.answer(401, {"details": "log in"})
            return
        account, _, password = base64.b64decode(encoded).decode().partition(":")
        self.issue(fields, account, password)

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        fields = parse_qs(body)
        if fields.get("grant_type") != ["password"]:
            self.answer(400, {"error": "unsupported_grant_type"})
            return
        self.issue(fields, fields["username"][0], fields["password"][0])

    def issue(self, fields, account, password):
        if (account, password) != (ACCOUNT, PASSWORD):
            self.answer(401, {"details": "wrong user name or password"})
            return
        now = int(time.time())
        claims = {
            "iss": ISSUER,
            "sub": account,
            "aud": fields["service"][0],
            "nbf": now - 10,
            "iat": now,
            "exp": now + LIFETIME,
            "access": granted(fields.get("scope", [])),
        }
        token = jwt.encode(claims, key, algorithm="RS256", headers={"x5c": x5c})
        self.answer(200, {"token": token, "access_token": token, "expires_in": LIFETIME})

    def answer(self, status, body):
        body = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if status == 401:
            self.send_header("WWW-Authenticate", 'Basic realm="tokens"')
        self.end_headers()
        self.wfile.write(body)


server = ThreadingHTTPServer(("127.0.0.1", 0), TokenService)
print(f"listens on {server.server_address[0]}:{server.server_address[1]}", flush=True)
server.serve_forever()
