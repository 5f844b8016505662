"""What a checkout keeps between runs."""

import json
import secrets
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tformance.local.console import EmbeddedError
from tformance.local.state import EngineState, ensure_secrets, local_settings, read_private_json


def test_secrets_are_made_once_and_for_their_owner_only(tmp_path: Path) -> None:
    ensure_secrets(tmp_path)
    first = local_settings(tmp_path)
    ensure_secrets(tmp_path)
    assert local_settings(tmp_path) == first
    assert set(first) == {"SECRET_KEY", "FERNET_KEYS", "GITHUB_WEBHOOK_SECRETS"}
    assert (tmp_path / "secrets.json").stat().st_mode & 0o777 == 0o600


def test_a_secret_that_is_there_survives_those_that_are_added(tmp_path: Path) -> None:
    (tmp_path / "secrets.json").write_text(json.dumps({"SECRET_KEY": "kept"}))
    ensure_secrets(tmp_path)
    assert local_settings(tmp_path)["SECRET_KEY"] == "kept"
    assert "FERNET_KEYS" in local_settings(tmp_path)


def test_several_who_make_them_at_once_agree(tmp_path: Path) -> None:
    def make(folder: Path) -> dict[str, str]:
        everybody_is_here.wait()
        ensure_secrets(folder)
        return local_settings(folder)

    everybody_is_here = threading.Barrier(8)
    with ThreadPoolExecutor(max_workers=8) as pool:
        for number in range(10):
            first, *others = pool.map(make, [tmp_path / str(number)] * 8)
            assert all(other == first for other in others)


def test_no_password_begins_with_a_dash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secrets, "token_bytes", lambda count: b"\xf8" * count)  # "-Pj4" as text for a URL
    state = EngineState.ensure(tmp_path)
    assert not state.postgres_password.startswith("-")
    assert not state.redis_password.startswith("-")


def test_there_are_no_local_settings_before_the_first_run(tmp_path: Path) -> None:
    assert local_settings(tmp_path) == {}


@pytest.mark.parametrize("content", ["{", "[]", ""])
def test_a_damaged_file_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "secrets.json").write_text(content)
    with pytest.raises(EmbeddedError, match=r"secrets\.json is damaged"):
        read_private_json(tmp_path / "secrets.json")
