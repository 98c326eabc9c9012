"""A host's policy as one PowerShell script that somebody runs on that host by hand. Pure; called by the API.

Version 1 is Hyper-V Network Virtualization with the NetWNV cmdlets: the steps, in order, that one would type. Version 2
writes port profiles only, from which a network controller's host agent takes the rest (Windows Server 2016 and later).

All data stand in one literal: a single line of JSON (weft.core.hyperv.script.json_line) in a single-quoted here-string,
in which PowerShell replaces nothing and which only a line that begins with `'@` ends. The rest is the same for
every host. The script looks before it changes: run twice, it does and prints nothing the second time.
"""

from typing import Any

import msgspec

from weft.core import policy
from weft.core.hyperv import policy_steps
from weft.core.hyperv.network_virtualization import Desired, desired
from weft.core.hyperv.script import json_line
from weft.core.policy_places import SERVERS, Server
from weft.core.state import State
from weft.model.errors import Invalid, NotFound
from weft.model.fabric import ServerProperties
from weft.model.records import NeededNetwork

DEFAULT_ADAPTER = "Ethernet"
"""As Windows names the first network adapter."""

V1, V2 = "v1", "v2"
VERSIONS = (V1, V2)


class Subject(msgspec.Struct, frozen=True, rename="pascal"):
    """What the script is about, beside the policy itself."""

    server: str
    revision: int
    adapter: str = DEFAULT_ADAPTER
    """The physical adapter that carries the tunnels."""


def script_of(state: State, server_id: str, version: str = V1) -> str:
    """The script of a server as the state has its policy now. Raises NotFound for an unknown server."""
    server: Server | None = state.get(SERVERS, server_id)
    if server is None:
        raise NotFound(f"There is no server '{server_id}'.", target=f"/servers/{server_id}")
    subject = Subject(server.resource_id, state.revision, adapter_of(server.properties))
    return policy_script(subject, desired_of(state, server_id), version)


def desired_of(state: State, server_id: str) -> Desired:
    """What a server should have, by the records that its agent gets."""
    host = policy.host_stream(state, server_id).values()
    needed = [one.rdid for one in host if isinstance(one, NeededNetwork)]
    return desired(host, {rdid: policy.network_stream(state, rdid).values() for rdid in needed})


def policy_script(subject: Subject, desired: Desired, version: str = V1) -> str:
    """The text of the script. Raises Invalid for a version that there is not."""
    if version not in VERSIONS:
        raise Invalid(f"?version={version}: write v1 or v2.", target="version")
    data: dict[str, Any] = msgspec.to_builtins(subject)
    if version == V1:
        data |= msgspec.to_builtins(desired)
    else:
        data["Ports"] = msgspec.to_builtins(desired.ports)
    for port in data["Ports"]:
        port["ProfileId"] = "{" + port.pop("InstanceId") + "}"
    steps = policy_steps.V1 if version == V1 else policy_steps.V2
    return policy_steps.BEGIN + f"$policy = @'\n{json_line(data)}\n'@ | ConvertFrom-Json\n" + steps


def adapter_of(properties: ServerProperties) -> str:
    """Name of the server's adapter that is on a provider subnet; else of its only one; else Windows' first."""
    named = [
        one.properties
        for one in properties.network_interfaces
        if one.properties.interface_name and not one.properties.is_bmc
    ]
    on_provider = [one for one in named if one.logical_subnets]
    chosen = on_provider or (named if len(named) == 1 else [])
    return chosen[0].interface_name if chosen else DEFAULT_ADAPTER
