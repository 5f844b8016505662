"""The guarantees on the whole system: real processes with one fault after another, then an audit of every delivery.

`make chaos` does the same with random faults, for any time.
"""

import math
import sys

import pytest

from tests.rig.chaos import run_chaos
from tests.rig.chosen import chosen_faults
from tests.rig.machine import Rig

pytestmark = [pytest.mark.proof, pytest.mark.timeout(900)]  # it may have to wait for another run's rig


def test_after_any_faults_each_acknowledged_delivery_has_taken_effect_exactly_once(rig: Rig) -> None:
    """Among the faults: every process killed, each engine stopped, and a crash at every failpoint."""
    outcome = run_chaos(
        rig,
        seed=1,
        seconds=math.inf,  # until the last fault
        rate=25,
        faults=chosen_faults(rig),
        pause_s=(0.3, 0.6),
        report=lambda text: sys.stderr.write(f"{text}\n"),  # -s shows it
    )
    assert not outcome.failures
    assert outcome.audit.effects > 100
    assert outcome.audit.rows_compared > 100
    assert outcome.audit.states.keys() == {"processed", "dead"}
    assert outcome.audit.states["dead"] == 1  # the poison, and nothing else
