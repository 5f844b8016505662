"""The private key of the App, made once per run."""

from functools import cache

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

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
