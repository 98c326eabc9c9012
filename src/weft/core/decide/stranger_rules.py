"""What a server says about strangers: machines that another hand started or made there, and their checkpoints.

Called by core.decide.servers at a PUT.
"""

import msgspec

from weft.core.state import State
from weft.core.strangers import DISCONNECT, PIN, REPORT, STOP
from weft.core.words import see_subnets
from weft.model.errors import Invalid, InvalidReference
from weft.model.fabric import Adoption, BlankCheckpoint
from weft.model.resources import Ref

_MOST = 100
_LONGEST = 256
_MOST_BLANK = 10_000


def twin_policy(text: str) -> str:
    """In canonical spelling; empty as sent. Raises Invalid."""
    found = text.lower()
    if found not in ("", REPORT, DISCONNECT, STOP):
        raise Invalid(f"twinPolicy is report, disconnect or stop, not '{text}'.", target="twinPolicy")
    return found


def adoption(state: State, sent: Adoption | None) -> Adoption | None:
    """In canonical spelling. Raises Invalid, InvalidReference."""
    if sent is None:
        return None
    mode = sent.mode.lower() or REPORT
    if mode not in (REPORT, PIN):
        raise Invalid(f"adoption.mode is report or pin, not '{sent.mode}'.", target="adoption.mode")
    if mode == PIN and not sent.subnets:
        raise Invalid(
            "adoption.mode pin needs subnets: what is taken in has its addresses there.", target="adoption.subnets"
        )
    if len(sent.exceptions) > _MOST or any(not 0 < len(one) <= _LONGEST for one in sent.exceptions):
        raise Invalid(
            f"adoption.exceptions are at most {_MOST} names of 1 to {_LONGEST} characters.",
            target="adoption.exceptions",
        )
    return msgspec.structs.replace(sent, mode=mode, subnets=tuple(_subnet(state, one) for one in sent.subnets))


def blank_checkpoints(sent: tuple[BlankCheckpoint, ...]) -> tuple[BlankCheckpoint, ...]:
    """In lower case, in order, each once. Raises Invalid."""
    if len(sent) > _MOST_BLANK or any(
        not 0 < len(word) <= _LONGEST for one in sent for word in (one.machine, one.checkpoint)
    ):
        raise Invalid(
            f"blankCheckpoints are at most {_MOST_BLANK} pairs of the hypervisor's ids of machine and checkpoint.",
            target="blankCheckpoints",
        )
    pairs = sorted({(one.machine.lower(), one.checkpoint.lower()) for one in sent})
    return tuple(BlankCheckpoint(machine=machine, checkpoint=checkpoint) for machine, checkpoint in pairs)


def _subnet(state: State, ref: Ref) -> Ref:
    found = state.segment(ref.resource_ref)
    if found is None:
        raise InvalidReference(
            f"There is no subnet '{ref.resource_ref}' for machines that are taken in"
            f"{see_subnets(state, ref.resource_ref)}.",
            target="adoption.subnets",
        )
    return Ref(resource_ref=found.ref)
