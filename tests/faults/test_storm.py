"""The promise on the whole system: real processes, broken one after another; then every delivery is accounted for.

`make chaos` lets the same storm rage for as long as one likes, with faults by chance.
"""

import math
import sys

import pytest

from tests.rig.chosen import chosen_faults
from tests.rig.machine import Rig
from tests.rig.storm import rage

pytestmark = [pytest.mark.proof, pytest.mark.timeout(900)]  # it may have to wait for another run's rig


def test_whatever_breaks_each_acknowledged_delivery_takes_effect_exactly_once(rig: Rig) -> None:
    """Among the faults: every process killed, each engine stopped, and somebody dying at every named point."""
    outcome = rage(
        rig,
        seed=1,
        seconds=math.inf,  # until the last fault
        rate=25,
        faults=chosen_faults(rig),
        pause_s=(0.3, 0.6),
        tell=lambda text: sys.stderr.write(f"{text}\n"),  # -s shows it
    )
    assert not outcome.failures
    assert outcome.reckoning.effects > 100
    assert outcome.reckoning.rows_compared > 100
    assert outcome.reckoning.states.keys() == {"processed", "dead"}
    assert outcome.reckoning.states["dead"] == 1  # the poison, and nothing else
