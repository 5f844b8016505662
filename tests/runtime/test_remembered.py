"""What a checkout keeps between runs."""

import json
from pathlib import Path

import pytest

from tformance.embedded.errors import EmbeddedError
from tformance.embedded.private_files import read_private_json
from tformance.embedded.remembered import ensure_secrets, remembered


def test_secrets_are_made_once_and_for_their_owner_only(tmp_path: Path) -> None:
    ensure_secrets(tmp_path)
    first = remembered(tmp_path)
    ensure_secrets(tmp_path)
    assert remembered(tmp_path) == first
    assert set(first) == {"SECRET_KEY", "FERNET_KEYS", "GITHUB_WEBHOOK_SECRETS"}
    assert (tmp_path / "secrets.json").stat().st_mode & 0o777 == 0o600


def test_a_secret_that_is_there_survives_those_that_are_added(tmp_path: Path) -> None:
    (tmp_path / "secrets.json").write_text(json.dumps({"SECRET_KEY": "kept"}))
    ensure_secrets(tmp_path)
    assert remembered(tmp_path)["SECRET_KEY"] == "kept"
    assert "FERNET_KEYS" in remembered(tmp_path)


def test_nothing_is_remembered_where_nothing_ran(tmp_path: Path) -> None:
    assert remembered(tmp_path) == {}


@pytest.mark.parametrize("content", ["{", "[]", ""])
def test_a_damaged_file_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "secrets.json").write_text(content)
    with pytest.raises(EmbeddedError, match=r"secrets\.json is damaged"):
        read_private_json(tmp_path / "secrets.json")
