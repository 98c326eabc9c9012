"""Agents of Hyper-V hosts as the command line shows them."""

import json
from typing import Any

import msgspec
from websockets.sync.client import ClientConnection

from tests.unit.cli.conftest import Weft
from weft.model.hypervisor import HypervisorState, MachineState
from weft.model.records import HostSettings
from weft.wire.messages import PROTOCOL, Facts, Hello, ToAgent


class Agent:
    """An agent's end of the feed."""

    def __init__(
        self, socket: ClientConnection, server: str, machines: tuple[MachineState, ...], hypervisor: str = "hyperv"
    ) -> None:
        self.socket = socket
        self.socket.send(msgspec.msgpack.encode(Hello(PROTOCOL, server, f"agent-{server}", "", hypervisor=hypervisor)))
        self.socket.send(msgspec.msgpack.encode(Facts(hypervisor=HypervisorState(machines))))

    def told(self) -> HostSettings:
        """The first settings that come."""
        while True:
            frame = msgspec.msgpack.decode(self.socket.recv(timeout=5), type=ToAgent)
            for record in (*getattr(frame, "records", ()), *getattr(frame, "puts", ())):
                if isinstance(record, HostSettings):
                    return record


def listed(weft: Weft, *words: str) -> Any:
    result = weft("hyperv", "blank-checkpoints", *words, "-o", "json")
    assert result.exit_code == 0, result.output
    return {each["checkpoint"]["id"]: each["checkpoint"]["blanking"] for each in json.loads(result.stdout)}
