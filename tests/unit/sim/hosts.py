"""Small worlds for tests of the models: hosts with few addresses, machines with one adapter."""

from weft.model.values import Mac
from weft.sim.hyperv import Adapter, Host, Machine


def machine_on(host: Host, name: str, mac: int = 0, *, dynamic: bool = True) -> Machine:
    """A machine that is off; with `mac` its adapter has one already."""
    machine = Machine(name, (Adapter("eth0", mac, dynamic=dynamic),))
    host.add(machine)
    return machine


def started_on(host: Host, name: str) -> Machine:
    machine = machine_on(host, name)
    host.start(machine)
    return machine


def mac(machine: Machine) -> int:
    return machine.adapters[0].mac


def small(host: Host, size: int) -> Host:
    """The same host with only the first addresses of its range, so that it is full soon."""
    first = host.range.first
    host.set_range(first, Mac(first + size - 1))
    return host
