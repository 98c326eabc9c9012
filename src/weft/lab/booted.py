"""Machines of a lab that are booted by libvirt and QEMU: what they are made of.

Called by weft.lab.up between the interfaces, whose addresses must be granted, and the machines. A machine on a libvirt
host of which the file says no `hardware` boots the lab's own guest (guest_image.py): its addresses stand on its kernel
command line, or that it asks for them.
"""

import ipaddress
from collections.abc import Sequence
from typing import Any

import msgspec

from weft.cli.documents import Document
from weft.lab import control
from weft.lab.guest_image import ARGUMENTS, MEMORY_MIB, GuestImage, guest_image
from weft.lab.state import LabFolder
from weft.model.values import gateway_of
from weft.wire.client import NETWORKING, Client, path_of


class Address(msgspec.Struct, frozen=True):
    """What one interface of a guest gets."""

    address: str
    """With prefix length."""
    gateway: str


class Asks(msgspec.Struct, frozen=True):
    """An interface asks for it by DHCP."""


ASKS = Asks()


def machines(resources: Sequence[Document], hosts: Sequence[str]) -> list[Document]:
    """The machines on these hosts that the lab has to say the hardware of."""
    names = {host.lower() for host in hosts}
    found = []
    for resource in resources:
        if resource.kind.name == "virtualMachines":
            properties = resource.body["properties"]
            server = _last(properties.get("server"))
            if server.lower() in names and not properties.get("hardware"):
                found.append(resource)
    return found


def with_hardware(folder: LabFolder, booted: Sequence[Document], dhcp: Sequence[str] = ()) -> list[Document]:
    """The same machines with the lab's guest as their hardware; those of `dhcp`, in lower case, are told no address.

    Raises LabFailure where no image can be made.
    """
    if not booted:
        return []
    image = guest_image()
    names = [_interfaces(resource) for resource in booted]

    async def addresses(client: Client) -> list[list[Address | None]]:
        return [[await _address(client, name) for name in one] for one in names]

    granted = control.ask(folder.read().url, addresses)
    return [
        _with(resource, image, [ASKS if resource.id.lower() in dhcp else address for address in one])
        for resource, one in zip(booted, granted, strict=True)
    ]


def arguments(addresses: Sequence[Address | Asks | None]) -> str:
    """The guest's kernel command line."""
    said = [f"weft.eth{number}={_words(one)}" for number, one in enumerate(addresses) if one is not None]
    return " ".join([ARGUMENTS, *said])


def _words(one: Address | Asks) -> str:
    return f"{one.address},{one.gateway}" if isinstance(one, Address) else "dhcp"


def _with(resource: Document, image: GuestImage, addresses: Sequence[Address | Asks | None]) -> Document:
    hardware = {
        "memoryMiB": MEMORY_MIB,
        "kernel": str(image.kernel),
        "initrd": str(image.initrd),
        "kernelArguments": arguments(addresses),
    }
    properties = {**resource.body["properties"], "hardware": hardware}
    return msgspec.structs.replace(resource, body={**resource.body, "properties": properties})


def _interfaces(resource: Document) -> list[str]:
    return [_last(one) for one in resource.body["properties"].get("networkInterfaces") or ()]


async def _address(client: Client, interface: str) -> Address | None:
    """The first IPv4 address of an interface, as it was granted; None if it has none."""
    properties = (await client.get(f"{NETWORKING}/networkInterfaces/{interface}"))["properties"]
    for configuration in properties.get("ipConfigurations", ()):
        said = configuration["properties"]
        text, subnet = said.get("privateIPAddress"), said.get("subnet")
        if text and subnet and ipaddress.ip_address(text).version == 4:
            prefix = await _prefix(client, subnet["resourceRef"])
            return Address(f"{text}/{prefix.prefixlen}", str(gateway_of(prefix)))
    return None


async def _prefix(client: Client, subnet: str) -> ipaddress.IPv4Network:
    properties = (await client.get(path_of(subnet)))["properties"]
    prefixes = [properties.get("addressPrefix", ""), *properties.get("addressPrefixes", ())]
    return next(ipaddress.IPv4Network(one) for one in prefixes if one and ":" not in one)


def _last(ref: Any) -> str:
    return str((ref or {}).get("resourceRef", "")).rpartition("/")[2]
