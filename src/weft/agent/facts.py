"""What an agent tells the controller of its host: what its plane has to tell, and what there is to its machines.

Called by agent.py, which sends it whole whenever it has changed. Pure, but for what it is given.
"""

from msgspec.structs import asdict, replace

from weft.agent.guests import Guests
from weft.agent.machines import World
from weft.agent.plane import Telling
from weft.agent.verbs import Verbs
from weft.wire.messages import Facts


def of_plane(plane: Telling) -> Facts:
    """All of a host without a hypervisor: Telling's members are named as those of Facts."""
    return Facts(**asdict(plane))


def with_machines(facts: Facts, guests: Guests, verbs: Verbs, world: World, now: float) -> Facts:
    """The same with the machines; of a hypervisor that does not answer only that."""
    machines = verbs.facts(world, lambda name: guests.presence.of(name, now)) if guests.known else ()
    problems = (*facts.problems, *guests.problems(), *verbs.problems(world))
    hypervisor = None if guests.trouble else guests.state
    return replace(facts, machines=machines, problems=problems, hypervisor=hypervisor)
