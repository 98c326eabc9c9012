"""Every script about machines, and about the host that has them. Read by the tests that parse them all."""

from weft.core.hyperv import (
    machines_checkpoints,
    machines_define,
    machines_facts,
    machines_host,
    machines_ports,
    machines_power,
)
from weft.core.hyperv.script import Script

SCRIPTS: tuple[Script, ...] = tuple(
    one
    for room in (
        machines_facts,
        machines_ports,
        machines_power,
        machines_define,
        machines_checkpoints,
        machines_host,
    )
    for one in vars(room).values()
    if isinstance(one, Script)
)
