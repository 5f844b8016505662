"""What `make mutations` removes is still there to be removed."""

import ast

import pytest

from tests.mutations import MUTATIONS
from tests.mutations.mutation import Mutation
from tformance.local.state import CHECKOUT


@pytest.mark.parametrize("one", MUTATIONS, ids=lambda one: one.safety)
def test_a_safety_is_in_the_code_once_and_so_is_its_test(one: Mutation) -> None:
    for path, text in one.changed_files(CHECKOUT).items():
        assert text != (CHECKOUT / path).read_text()
        if path.endswith(".py"):
            ast.parse(text)
    assert one.changes
    assert one.test_id(CHECKOUT)


def test_no_two_safeties_have_the_same_name() -> None:
    assert len({one.safety for one in MUTATIONS}) == len(MUTATIONS)
