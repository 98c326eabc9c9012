"""The worlds of agent.hypervisors.Hypervisor's contract with Hyper-V hosts: fake ones, and somebody's real one.

`hyperv` looks at the fake hosts themselves; `shell` sees them through the shell alone, as `real` sees a real host, so
that what `make test-hyperv` does there is known to work before.
"""

import pytest

from tests.contract.hypervisor_worlds import HOSTS
from tests.hyperv.real_host import Place, RealWorld, is_asked_for, real_world
from weft.agent.hyperv.driver import HyperVDriver
from weft.fakes.hyperv.datacenter import HyperVDatacenter
from weft.fakes.hyperv.people import Console
from weft.fakes.hyperv.shell import FakeShell
from weft.model.hypervisor import Disk, Hardware


class HyperVWorld:
    """Fake Hyper-V hosts that run the driver's own scripts."""

    prepares = False
    patience = 10

    def __init__(self):
        self.datacenter = HyperVDatacenter()
        self.hypervisors = {}
        for name, address in HOSTS.items():
            shell = FakeShell(self.datacenter.add_host(name, address))
            self.hypervisors[name] = HyperVDriver(name, shell, pulse=0.02)

    def hardware(self, name):
        return Hardware(2, 512, (Disk(rf"\\files\machines\{name}.vhdx", 1),), path=r"\\files\machines")

    def vm(self, host, name):
        (found,) = (vm for vm in self.datacenter.hosts[host].vms if vm.name == name)
        return found

    def ports(self, host):
        """(ProfileId without braces, MAC) of the adapters whose port is bound."""
        nics = (nic for vm in self.datacenter.hosts[host].vms for nic in vm.nics if nic.profile is not None)
        return {(str(nic.profile.value("ProfileId")).strip("{}"), nic.mac) for nic in nics}

    async def forget(self, host, name):
        Console(self.datacenter, host).delete(self.vm(host, name))

    async def rename(self, host, name, other):
        Console(self.datacenter, host).rename(self.vm(host, name), other)

    async def clone(self, host, name, other):
        """With the hypervisor's own tools, which copy the mark too."""
        Console(self.datacenter, host).clone(self.vm(host, name), other)

    async def stranger(self, host, name):
        """A machine that somebody made. Returns the hypervisor's id of it."""
        return Console(self.datacenter, host).create(name).id.lower()

    def has_file(self, host, path):
        return self.datacenter.hosts[host].files.get(path) is not None

    def delete_file(self, host, path):
        self.datacenter.hosts[host].files.remove(path)

    def close(self):
        pass


def by_shell_alone():
    datacenter = HyperVDatacenter()
    for name, address in HOSTS.items():
        datacenter.add_host(name, address)
    place = Place("Virtual Switch", r"\\files\contract")
    return RealWorld(lambda host: FakeShell(datacenter.hosts[host]), {name: name for name in HOSTS}, place, pulse=0.02)


KINDS = {"hyperv": HyperVWorld, "shell": by_shell_alone, "real": real_world}
HYPERV = ("hyperv", "shell", *((pytest.param("real", marks=pytest.mark.hyperv),) if is_asked_for() else ()))
"""For the parameters of a fixture."""
