"""What `make mutations` removes is still there to be removed."""

import pytest

from tests.mutations.catalogue import MUTATIONS
from tests.mutations.edits import Mutation
from tformance.embedded.remembered import CHECKOUT


@pytest.mark.parametrize("one", MUTATIONS, ids=lambda one: one.safety)
def test_a_safety_is_where_the_catalogue_looks_for_it(one: Mutation) -> None:
    assert [edit.path for edit in one.edits if (CHECKOUT / edit.path).read_text().count(edit.old) != 1] == []
