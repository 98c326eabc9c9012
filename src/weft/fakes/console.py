"""Another hand at a fake host: what people do there with the hypervisor's own tools, without asking Weft.

Used by the stories and the demo. What it makes is seen at the next facts; strangers are machines that nobody told Weft
of.
"""

from weft.agent.hypervisors import HypervisorFailure
from weft.fakes.datacenter import Datacenter
from weft.fakes.guest import Adapter
from weft.fakes.hypervisor import FakeHypervisor
from weft.fakes.machine import Guest
from weft.fakes.shelf import Checkpoint, with_macs
from weft.model.hypervisor import AdapterState, MachineState
from weft.model.values import InstanceId, Mac


class Console:
    """Of one host."""

    def __init__(self, datacenter: Datacenter, host: str) -> None:
        self._datacenter = datacenter
        self._host = host

    @property
    def _hypervisor(self) -> FakeHypervisor:
        return self._datacenter.hypervisors[self._host]

    def _guest(self, machine: str) -> Guest:
        guest = self._datacenter.guests.get(machine)
        if guest is None or self._host not in guest.prepared:
            raise HypervisorFailure(f"{self._host} knows no machine {machine}")
        return guest

    def start(self, machine: str) -> None:
        guest = self._guest(machine)
        guest.host, guest.saved = self._host, False
        self._hypervisor.changed()

    def stop(self, machine: str) -> None:
        """Or the guest shuts itself down."""
        guest = self._guest(machine)
        guest.host, guest.saved = "", False
        self._hypervisor.changed()

    def save(self, machine: str) -> None:
        guest = self._guest(machine)
        guest.host, guest.saved = "", True
        self._hypervisor.changed()

    def take_checkpoint(self, machine: str, name: str) -> None:
        guest = self._guest(machine)
        own_id = f"{machine}-by-hand-{len(guest.checkpoints)}"
        guest.checkpoints.append(Checkpoint(own_id, name, guest.adapters, guest.host == self._host))
        self._hypervisor.changed()

    def delete_checkpoint(self, machine: str, name: str) -> None:
        guest = self._guest(machine)
        guest.checkpoints = [one for one in guest.checkpoints if one.name != name]
        self._hypervisor.changed()

    def roll_back(self, machine: str, checkpoint: str) -> None:
        """To a checkpoint, with its adapters; a machine that runs goes on running."""
        guest = self._guest(machine)
        adapters = next(one for one in guest.checkpoints if one.name == checkpoint).adapters
        self._replug(guest, adapters)
        self._hypervisor.changed()

    def set_mac(self, machine: str, mac: Mac) -> None:
        """Of its first adapter."""
        guest = self._guest(machine)
        self._replug(guest, with_macs(guest.adapters, {guest.adapters[0].instance_id: mac}))
        self._hypervisor.changed()

    def _replug(self, guest: Guest, adapters: tuple[Adapter, ...]) -> None:
        switch = self._datacenter.switches[self._host]
        for adapter in guest.adapters:
            switch.unplug(adapter.name)
        guest.adapters = adapters
        for adapter in adapters:
            switch.plug(adapter.name, adapter.instance_id, adapter.mac)

    def move(self, machine: str, server: str) -> None:
        """To another host, as it is; this one knows it no more."""
        guest = self._guest(machine)
        target = self._datacenter.host_named(server)
        for adapter in guest.adapters:
            self._datacenter.switches[target].plug(adapter.name, adapter.instance_id, adapter.mac)
            self._datacenter.switches[self._host].unplug(adapter.name)
        guest.prepared = {target}
        guest.host = target if guest.host else ""
        self._hypervisor.changed()
        self._datacenter.hypervisors[target].changed()

    def stranger(
        self, name: str, mac: int, instance_id: str = "", *, power: str = "Running", dynamic: bool = False
    ) -> None:
        """A machine that nobody told Weft of, or a later state of it. No switch shows its port."""
        adapter = AdapterState(mac, InstanceId(instance_id), dynamic, f"nic-{name}", switch="vSwitch")
        own_id = f"id-of-{name}"
        self._hypervisor.strangers[own_id] = MachineState("", power, id=own_id, name=name, adapters=(adapter,))
        self._hypervisor.changed()

    def remove_stranger(self, name: str) -> None:
        del self._hypervisor.strangers[f"id-of-{name}"]
        self._hypervisor.changed()

    def draws(self, first: int, last: int) -> None:
        """The host's own range of dynamic addresses."""
        self._hypervisor.dynamic_range = (first, last)
        self._hypervisor.changed()
