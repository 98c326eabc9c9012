"""Patterns of names, as people write them."""

import pytest

from weft.core.naming import fits
from weft.core.strangers import is_excepted
from weft.model.fabric import Adoption
from weft.model.hypervisor import MachineState


@pytest.mark.parametrize(
    ("name", "pattern", "expected"),
    [
        ("Desk 1", "desk *", True),
        ("desk 1", "DESK ?", True),
        ("desk 10", "desk ?", False),
        ("gold [old]", "gold [old]", True),
        ("gold o", "gold [old]", False),
        ("a[b", "a[*", True),
        ("a]b", "a]b", True),
    ],
)
def test_stars_and_question_marks_stand_for_others_and_brackets_for_themselves(name, pattern, expected):
    assert fits(name, pattern) is expected
    assert is_excepted(Adoption(exceptions=("x", pattern)), MachineState("", "Off", name=name)) is expected
