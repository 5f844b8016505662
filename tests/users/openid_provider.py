"""A small OpenID provider: its description, keys, tokens and profiles."""

import base64
import hashlib
import json
import time
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

CLIENT_ID, CLIENT_SECRET, KID = "tformance", "a secret of the client", "key-1"
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


class OpenIDProvider:
    """It signs in one person, whose claims a test sets; `id_token` and `signed_by` let it lie."""

    def __init__(self) -> None:
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.path.startswith("/authorize?"):
                    self.send_response(302)
                    self.send_header("Location", provider.way_back(f"{provider.issuer}{self.path}"))
                    self.end_headers()
                    return
                self.answer(provider.get(urlsplit(self.path).path, self.headers.get("Authorization", "")))

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                self.answer(provider.exchange({name: one[0] for name, one in parse_qs(body).items()}))

            def answer(self, found: Mapping[str, Any] | None) -> None:
                content = json.dumps(found or {"error": "invalid"}).encode()
                self.send_response(200 if found is not None else 400)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.issuer = f"http://127.0.0.1:{self.server.server_port}"
        self.claims: dict[str, Any] = {"sub": "4711", "preferred_username": "nora"}
        self.profile: dict[str, Any] | None = None
        self.signed_by, self.algorithm = KEY, "RS256"
        self.description: dict[str, Any] = {}
        self.challenges: dict[str, str] = {}
        self.exchanged: list[str] = []

    def __enter__(self) -> "OpenIDProvider":
        Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *args: object) -> None:
        self.server.shutdown()
        self.server.server_close()

    def get(self, path: str, authorization: str) -> Mapping[str, Any] | None:
        if path == "/.well-known/openid-configuration":
            return {
                "issuer": self.issuer,
                "authorization_endpoint": f"{self.issuer}/authorize",
                "token_endpoint": f"{self.issuer}/token",
                "userinfo_endpoint": f"{self.issuer}/userinfo",
                "jwks_uri": f"{self.issuer}/keys",
                "token_endpoint_auth_methods_supported": ["client_secret_post"],
                **self.description,
            }
        if path == "/keys":
            public = jwt.algorithms.RSAAlgorithm.to_jwk(KEY.public_key(), as_dict=True)
            return {"keys": [{**public, "kid": KID, "use": "sig", "alg": "RS256"}]}
        return (self.profile or {"sub": self.claims["sub"]}) if authorization == "Bearer an-access-token" else None

    def authorize(self, address: str) -> str:
        """Sign the person in at the address that the browser was led to; return the query it comes back with."""
        asked = {name: one[0] for name, one in parse_qs(urlsplit(address).query).items()}
        assert address.startswith(f"{self.issuer}/authorize?")
        assert (asked["client_id"], asked["response_type"], asked["code_challenge_method"]) == (
            CLIENT_ID,
            "code",
            "S256",
        )
        code = f"code-{len(self.challenges)}"
        self.challenges[code] = asked["code_challenge"]
        return f"code={code}&state={asked['state']}"

    def way_back(self, address: str) -> str:
        """Return the address that the browser is sent back to."""
        return f"{parse_qs(urlsplit(address).query)['redirect_uri'][0]}?{self.authorize(address)}"

    def exchange(self, form: Mapping[str, str]) -> Mapping[str, Any] | None:
        challenge = self.challenges.pop(form.get("code", ""), None)
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        is_proved = challenge == base64.urlsafe_b64encode(digest).decode().rstrip("=")
        if not is_proved or form.get("client_secret") != CLIENT_SECRET:
            return None
        self.exchanged.append(form["code"])
        return {"access_token": "an-access-token", "token_type": "Bearer", "id_token": self.id_token()}

    def id_token(self) -> str:
        now = int(time.time())
        claims = {"iss": self.issuer, "aud": CLIENT_ID, "iat": now, "exp": now + 300, **self.claims}
        key: Any = {"none": None, "HS256": b"x" * 32}.get(self.algorithm, self.signed_by)
        return jwt.encode(claims, key, algorithm=self.algorithm, headers={"kid": KID})
