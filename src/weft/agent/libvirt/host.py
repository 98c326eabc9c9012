"""What the verbs of the driver share: the open connection of one host, finding a machine there, reading it back.

Made by driver.py for each call; all of it blocks and runs in a thread.
"""

from collections.abc import Callable, Sequence
from typing import Any

import libvirt
import msgspec

from weft.agent.hypervisors import HypervisorFailure
from weft.agent.libvirt.domain_reading import DomainState, files_of, read_domain
from weft.agent.libvirt.domain_xml import Platform
from weft.agent.libvirt.power import Lives
from weft.model.records import PortBinding
from weft.model.values import Mac, mac_dashes


class Settings(msgspec.Struct, frozen=True):
    """How the driver of a host was started."""

    server: str
    """Resource id of the host's server, for words."""
    bridge: str = "br-int"
    migrate: str = "qemu+tls://{address}/system"
    """libvirt's URI of another host, as this host's libvirtd reaches it."""
    shared_disks: bool = False
    """Disks are on storage that all hosts share, also where libvirt cannot tell."""
    rundir: str = ""
    """Folder of Open vSwitch's sockets; empty: its bridges are not known."""


class Host(msgspec.Struct):
    """One host, while a verb is carried out."""

    connection: Any
    settings: Settings
    platform: Platform
    new_id: Callable[[], str]
    lives: Lives

    def find(self, machine: str, id: str = "") -> Any:
        """The domain of this hypervisor id; without one the domain that bears the machine's mark. None if none is.

        While another hand reverts it, it is waited for."""
        domain = self._find(machine, id)
        if domain is not None:
            self.lives.settle(domain.UUIDString())
        return domain

    def _find(self, machine: str, id: str) -> Any:
        if id:
            return self._lookup(lambda: self.connection.lookupByUUIDString(id))
        named = self.named(machine)
        if named is not None and machine and self._marked(named) == machine:
            return named
        for domain in self.connection.listAllDomains():
            if self._marked(domain).lower() == machine.lower():
                return domain
        return None

    def _marked(self, domain: Any) -> str:
        state = self._lookup(lambda: state_of(domain))
        return state.machine if isinstance(state, DomainState) else ""

    def named(self, name: str) -> Any:
        """The domain of this name, whoever's it is; None if there is none."""
        return self._lookup(lambda: self.connection.lookupByName(name))

    def need(self, machine: str, id: str = "") -> Any:
        domain = self.find(machine, id)
        if domain is None:
            raise HypervisorFailure(f"libvirt knows no such machine{f' (UUID {id})' if id else ''}")
        return domain

    def files_of(self, domain: Any) -> set[str]:
        """Paths of its disks, now and as it is defined; none if it went meanwhile."""
        read = self._lookup(lambda: [*files_of(xml_of(domain)), *files_of(config_of(domain))])
        return set(read or ())

    def check_ports(self, domain: Any, ports: Sequence[PortBinding]) -> None:
        """Read the machine back: has it these MAC addresses and interface ids? Raises HypervisorFailure that says what
        differs."""
        wanted = sorted((port.mac, port.instance_id.lower()) for port in ports)
        seen = sorted((one.mac, one.instance_id) for one in read_domain(xml_of(domain)).adapters)
        if [(int(mac), instance) for mac, instance in wanted] != [(mac, str(instance)) for mac, instance in seen]:
            raise HypervisorFailure(f"read back it has {_words(seen)}, not {_words(wanted)}")

    def fits(self, domain: Any, ports: Sequence[PortBinding]) -> bool:
        try:
            self.check_ports(domain, ports)
        except HypervisorFailure:
            return False
        return True

    def _lookup(self, question: Callable[[], Any]) -> Any:
        try:
            return question()
        except libvirt.libvirtError as error:
            if error.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN:
                return None
            raise


def xml_of(domain: Any) -> str:
    """As the domain is now."""
    return str(domain.XMLDesc(0))


def config_of(domain: Any) -> str:
    """As it is defined, with its secrets, so that it can be defined anew."""
    return str(domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE | libvirt.VIR_DOMAIN_XML_SECURE))


def state_of(domain: Any) -> DomainState:
    return read_domain(xml_of(domain))


def _words(pairs: Sequence[tuple[int, str]]) -> str:
    return ", ".join(f"{mac_dashes(Mac(mac))} ({instance or 'no interface id'})" for mac, instance in pairs) or "none"
