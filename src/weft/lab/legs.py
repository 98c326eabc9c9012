"""The legs of one host: cables from the plug namespace to ports of its br-int, given out to guests and taken back.

A leg stays when its guest goes, and `weft lab up` makes spare ones: an Open vSwitch in userspace forgets its routes and
tunnels for a moment whenever any link of its namespace comes, goes or changes, and drops what it forwards in that
moment. With spare legs a machine comes and goes by external_ids alone, which touches no link.
"""

from collections.abc import Sequence

import msgspec

from weft.lab import names, plugs
from weft.lab.commands import ip_batch
from weft.lab.commands import run as run_now
from weft.lab.guests import Guest, GuestFiles, GuestPort
from weft.lab.namespaces import links as links_now
from weft.lab.running import ip, links, run
from weft.lab.state import HostState, LabFolder


class Legs:
    """Called by the host's driver, which holds the guest's lock."""

    def __init__(self, lab: LabFolder, host: HostState, guests: GuestFiles) -> None:
        self._lab = lab
        self._host = host
        self._guests = guests
        self._plugs = names.plug_namespace(lab.name)
        self._space = names.namespace(lab.name, host.name)

    async def give(self, guest: Guest, ports: tuple[GuestPort, ...]) -> Guest:
        """Legs for these ports, noted with the guest, then plugged in under the guest's name."""
        async with self._guests.lock_legs(self._host.number):
            own = guest.legs.get(self._host.name, ())[: len(ports)]
            taken = {slot for other in self._guests.all() for slot in other.legs.get(self._host.name, ())}
            free = (slot for slot in range(len(taken) + len(ports)) if slot not in taken)
            slots = (*own, *(next(free) for _ in range(len(ports) - len(own))))
            surplus = guest.legs.get(self._host.name, ())[len(ports) :]
            if (slots, ports) != (guest.legs.get(self._host.name), guest.ports):
                guest = msgspec.structs.replace(guest, legs={**guest.legs, self._host.name: slots}, ports=ports)
                self._guests.write(guest)
            await self._free(surplus)
        await self._make(plugs.missing_slots(slots, self._host.number, await links(self._plugs)))
        if slots:
            await self._vsctl(plugs.identity_words(guest, slots))
        return guest

    async def take_back(self, guest: Guest) -> Guest:
        """Its legs here are spare again; the guest without them is noted by the caller."""
        await self._free(guest.legs.get(self._host.name, ()))
        legs = {host: slots for host, slots in guest.legs.items() if host != self._host.name}
        return msgspec.structs.replace(guest, legs=legs)

    async def _make(self, slots: Sequence[int]) -> None:
        if slots:
            await ip(self._plugs, plugs.leg_lines(slots, self._host.number, self._space))
            await ip(self._space, plugs.port_lines(slots))
            await self._vsctl(plugs.spare_words(slots, self._lab.name))

    async def _free(self, slots: Sequence[int]) -> None:
        there = await links(self._plugs)
        slots = [slot for slot in slots if names.leg_plug(self._host.number, slot) in there]
        if slots:
            await self._vsctl(plugs.spare_words(slots, self._lab.name))
            lines = [f"filter del dev {names.leg_plug(self._host.number, slot)} ingress" for slot in slots]
            await run(["tc", "-n", self._plugs, "-force", "-batch", "-"], lines, check=False)

    async def _vsctl(self, words: Sequence[str]) -> None:
        await run(["ovs-vsctl", f"--db=unix:{self._lab.rundir(self._host)}/db.sock", "--timeout=10", *words])


def ensure_spares(lab: LabFolder, host: HostState, count: int) -> bool:
    """At least this many legs, in use or spare; before the host's agent runs. False if they were there."""
    space, plug_space = names.namespace(lab.name, host.name), names.plug_namespace(lab.name)
    slots = plugs.missing_slots(range(count), host.number, links_now(plug_space))
    if slots:
        ip_batch(plug_space, plugs.leg_lines(slots, host.number, space))
        ip_batch(space, plugs.port_lines(slots))
        database = f"unix:{lab.rundir(host)}/db.sock"
        run_now(["ovs-vsctl", f"--db={database}", "--timeout=15", *plugs.spare_words(slots, lab.name)])
    return bool(slots)
