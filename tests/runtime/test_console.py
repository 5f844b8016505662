"""What a start says while it lasts."""

import pytest

from tformance.local import console
from tformance.local.console import step
from tformance.local.processes import wait_until


def test_a_step_that_takes_long_says_what_goes_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(console, "SAY_EVERY_S", 0.05)
    said: list[str] = []

    def has_said_it_twice() -> bool:
        said.append(capsys.readouterr().out)
        return "".join(said).count("  tables are made (0 s so far)\n") >= 2

    with step("database", meanwhile="tables are made"):
        assert wait_until(has_said_it_twice, seconds=60)
    said.append(capsys.readouterr().out)
    assert "".join(said).startswith("  database … \n")
    assert "".join(said).splitlines()[-1].startswith("  database: ")
