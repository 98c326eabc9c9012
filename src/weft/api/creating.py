"""POST /weft/v1/virtualMachines: a machine as a whole. Called by weft.api.routes through weft.api.machines.

Reads the body into a command; pure.
"""

from typing import Any

from weft.api import bodies, convert
from weft.api.actions import id_of
from weft.core.commands import CreateMachine, NewInterface
from weft.model.errors import InvalidMacAddress
from weft.model.hypervisor import Disk, Hardware
from weft.model.kinds import CLUSTERS, SERVERS
from weft.model.values import check_resource_id, parse_mac


def understand(body: bytes) -> CreateMachine:
    """Raises Invalid and its kin, naming the member."""
    asked: bodies.Create = convert.read_exactly(bodies.Create, body)
    return CreateMachine(
        name=check_resource_id(asked.resource_id),
        server=id_of(asked.server, SERVERS.name, "server") if asked.server is not None else "",
        cluster=id_of(asked.cluster, CLUSTERS.name, "cluster", "weft") if asked.cluster is not None else "",
        hardware=_hardware(asked),
        interfaces=tuple(_interface(at, one) for at, one in enumerate(asked.networks)),
        start=asked.start,
    )


def _interface(at: int, asked: bodies.NewNetwork) -> NewInterface:
    if asked.private_mac_address:
        try:
            parse_mac(asked.private_mac_address)
        except InvalidMacAddress as fault:
            fault.target = f"networks[{at}].privateMacAddress"
            raise
    return NewInterface(asked.subnet.resource_ref, asked.private_ip_address, asked.private_mac_address, asked.strategy)


def _hardware(asked: bodies.Create) -> Hardware:
    named: dict[str, Any] = {
        "cpu": asked.cpu,
        "memory_mib": asked.memory_mib,
    }
    return Hardware(
        disks=tuple(Disk(one.path, one.size_gib, one.source) for one in asked.disks),
        switch=asked.switch,
        kernel=asked.kernel,
        initrd=asked.initrd,
        kernel_arguments=asked.kernel_arguments,
        path=asked.path,
        generation=asked.generation or 0,
        **{name: value for name, value in named.items() if value is not None},
    )
