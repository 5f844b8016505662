"""Who asks: the App by its JSON web token, or an installation by its token; and the keys of both."""

import json
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from apps.demo.shapes import Json, moment
from tests.fake_github.faults import Answered, Asked, Refusal
from tests.fake_github.world import InstallationTruth, World

FORM = (Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())


@cache
def app_key() -> rsa.RSAPrivateKey:
    """The key that GitHub knows the App by."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def app_pem() -> str:
    """The same, as the .pem that GitHub hands out."""
    return app_key().private_bytes(*FORM).decode()


def elliptic_pem() -> str:
    """A private key that GitHub does not take."""
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(*FORM).decode()


def strange_pem() -> str:
    """A private key as good as the App's, but not the App's."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(*FORM).decode()


APP_ID = 412233
LONGEST_S = 600
LIFETIME_S = 3600
SKEW_S = 60
BAD = "Bad credentials"


@dataclass(slots=True)
class Identities:
    """The App's key as GitHub knows it, and every token that was handed out."""

    world: World
    clock: Callable[[], float]
    app_id: int = APP_ID
    minted: list[int] = field(default_factory=list)
    """The installation of each token that was minted."""
    _tokens: dict[str, tuple[int, float]] = field(default_factory=dict)

    def app(self, asked: Asked) -> None:
        """Refuse tokens that are not of the App: RS256 by its key, issued by it, for no more than ten minutes."""
        signed = bearer(asked)
        try:
            claims = jwt.decode(
                signed,
                app_key().public_key(),
                algorithms=["RS256"],
                options={"require": ["iat", "exp", "iss"], "verify_exp": False, "verify_iat": False},
            )
        except jwt.InvalidTokenError as error:
            raise Refusal(401, "A JSON web token could not be decoded") from error
        now = self.clock()
        if str(claims["iss"]) != str(self.app_id):
            raise Refusal(404, "Integration not found")
        if claims["iat"] > now + SKEW_S:
            raise Refusal(401, "'Issued at' claim ('iat') must be an Integer representing a time in the past")
        if not now - SKEW_S < claims["exp"] <= now + LONGEST_S + SKEW_S:
            raise Refusal(401, "'Expiration time' claim ('exp') is too far in the future, or past")

    def installation(self, asked: Asked) -> InstallationTruth:
        """The installation whose token this is."""
        installation_id, expires_at = self._tokens.get(bearer(asked), (0, 0.0))
        found = self.world.installations.get(installation_id)
        if found is None or expires_at <= self.clock():
            raise Refusal(401, BAD)
        if found.suspended_at:
            raise Refusal(403, "This installation has been suspended")
        return found

    def mint(self, installation_id: int) -> Answered:
        """A token that opens the installation for an hour."""
        found = self.known(installation_id)
        if found.suspended_at:
            raise Refusal(403, "This installation has been suspended")
        expires_at = self.clock() + LIFETIME_S
        token = stateless_token(self.app_id, installation_id=installation_id, expires_at=expires_at)
        self._tokens[token] = (installation_id, expires_at)
        self.minted.append(installation_id)
        answer: Json = {"token": token, "expires_at": moment(datetime.fromtimestamp(expires_at, UTC))}
        return Answered(201, {**answer, "permissions": {"metadata": "read"}, "repository_selection": "selected"})

    def known(self, installation_id: int) -> InstallationTruth:
        if installation_id not in self.world.installations:
            raise Refusal(404, "Not Found")
        return self.world.installations[installation_id]

    def revoke_all(self) -> None:
        """Every token that was handed out is worth nothing now."""
        self._tokens.clear()


def stateless_token(app_id: int, *, installation_id: int, expires_at: float) -> str:
    """Return a token as GitHub mints them since 2026: `ghs_APPID_JWT`, some 520 characters with dots and dashes."""
    claims = {
        "iss": "https://api.github.com",
        "sub": str(installation_id),
        "exp": int(expires_at),
        "jti": secrets.token_hex(16),
    }
    parts = [_encoded({"alg": "RS256", "typ": "JWT"}), _encoded(claims), f"-{secrets.token_urlsafe(255)}"]
    return f"ghs_{app_id}_{'.'.join(parts)}"


def _encoded(part: Json) -> str:
    return urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")


def bearer(asked: Asked) -> str:
    scheme, _, value = asked.headers.get("authorization", "").partition(" ")
    if scheme.lower() not in {"bearer", "token"}:
        raise Refusal(401, "Requires authentication")
    return value
