"""A failover cluster of fake hosts: roles of virtual machines, moves, fail-over. Used by Datacenter and cmdlets."""

import msgspec

from weft.fakes.hyperv.host import FakeHost, HyperVError
from weft.fakes.hyperv.machine import Vm
from weft.sim.hyperv import RUNNING, StartFailed


class Role(msgspec.Struct):
    """A group of the cluster for one machine."""

    name: str
    machine: str
    """VMId."""


class FakeCluster:
    def __init__(self, name: str, nodes: list[FakeHost]) -> None:
        self.name = name
        self.nodes = nodes
        self.roles: list[Role] = []
        for node in nodes:
            node.cluster = self

    def role_of(self, machine: str) -> Role | None:
        return next((each for each in self.roles if each.machine == machine.lower()), None)

    def role_named(self, name: str) -> Role | None:
        return next((each for each in self.roles if each.name.lower() == name.lower()), None)

    def owner(self, role: Role) -> FakeHost | None:
        """The node that has the machine."""
        return next((node for node in self.nodes if node.vm(role.machine) is not None), None)

    def add(self, vm: Vm, name: str = "") -> Role:
        """Raises HyperVError."""
        if self.role_of(vm.id) is not None:
            raise HyperVError(f"The virtual machine '{vm.name}' is already a role of the cluster '{self.name}'.")
        role = Role(name or vm.name, vm.id)
        if self.role_named(role.name) is not None:
            raise HyperVError(f"A cluster group named '{role.name}' already exists.")
        self.roles.append(role)
        return role

    def remove(self, role: Role) -> None:
        self.roles.remove(role)

    def node_named(self, name: str) -> FakeHost | None:
        return next((each for each in self.nodes if each.name.lower() == name.lower()), None)

    def fail_over(self, dead: FakeHost, ran: list[Vm]) -> None:
        """Its roles come up on the nodes that live, in turn. A machine is moved as it is on disk: Off, then started."""
        living = [node for node in self.nodes if node.alive and node is not dead]
        for at, vm in enumerate([vm for vm in dead.vms if self.role_of(vm.id) is not None]):
            if not living:
                return
            node = living[at % len(living)]
            dead.live_migrate(vm, node)
            vm.managed = True
            if vm in ran:
                try:
                    node.start(vm)
                except StartFailed:
                    continue

    def running(self, role: Role) -> bool:
        node = self.owner(role)
        vm = node.vm(role.machine) if node is not None else None
        return vm is not None and vm.power == RUNNING
