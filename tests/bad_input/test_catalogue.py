"""Every row of the catalogue has a test that exists."""

import ast
import re
from functools import cache

import pytest

from tests.bad_input.catalogue import ROWS
from tformance.local.state import CHECKOUT

LAST_ROW = 64
HERE = CHECKOUT / "tests" / "bad_input"
NUMBERED = re.compile(r"test_rows?_(\d\d)(?:_and_(\d\d))?_")


@cache
def names_in(path: str) -> frozenset[str]:
    """The tests of a file, classes looked into."""
    tree = ast.parse((CHECKOUT / path).read_text())
    return frozenset(
        node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    )


def test_no_row_is_left_out() -> None:
    assert sorted(ROWS) == list(range(1, LAST_ROW + 1))


@pytest.mark.parametrize("row", range(1, LAST_ROW + 1))
def test_a_row_has_tests_that_exist(row: int) -> None:
    assert ROWS[row]
    assert [one for one in ROWS[row] if not exists(one)] == []


def exists(test: str) -> bool:
    path, is_function, name = test.partition("::")
    return name in names_in(path) if is_function else (CHECKOUT / path).is_file()


def test_a_test_that_bears_a_rows_number_stands_under_it() -> None:
    for path in HERE.glob("test_*.py"):
        for name in names_in(str(path.relative_to(CHECKOUT))):
            for number in filter(None, ((found := NUMBERED.match(name)) and found.groups()) or ()):
                assert any(one.endswith(f"::{name}") for one in ROWS[int(number)]), name
