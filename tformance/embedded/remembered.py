"""What a checkout remembers between runs, for settings: the secrets made for it and where its engines listen."""

import os
import secrets
from base64 import urlsafe_b64encode
from pathlib import Path

from tformance.embedded.home import Home
from tformance.embedded.locks import exclusive
from tformance.embedded.private_files import read_private_json, write_private_json

CHECKOUT = Path(__file__).resolve().parent.parent.parent
SECRETS_FILE = "secrets.json"
WEB_FILE = "web.json"


def var_folder() -> Path:
    """The folder of everything that this checkout keeps: TFORMANCE_VAR, else var/ beside the code."""
    return Path(os.environ.get("TFORMANCE_VAR") or CHECKOUT / "var").absolute()


def ensure_secrets(var: Path) -> None:
    """Make, once, the secrets that have no default anywhere; of several who try at once, one makes them."""
    path = var / SECRETS_FILE
    made = {
        "SECRET_KEY": secrets.token_hex(32),
        "FERNET_KEYS": urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        "GITHUB_WEBHOOK_SECRETS": secrets.token_hex(32),
    }
    with exclusive(var / "secrets.lock"):
        kept = read_private_json(path)
        if made.keys() - kept.keys():
            write_private_json(path, made | kept)


def remembered(var: Path) -> dict[str, str]:
    """Variables that were made or chosen for this folder; what the real environment says goes before them."""
    files = (read_private_json(var / name) for name in (SECRETS_FILE, WEB_FILE))
    known = {name: str(value) for content in files for name, value in content.items()}
    home = Home.existing(var)
    if home is not None:
        known |= {"DATABASE_URL": home.database_url, "REDIS_URL": home.redis_url}
    return known
