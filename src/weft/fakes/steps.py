"""In which order a fake switch carries out a change. Called by fakes.switch."""

from weft.agent.switch import SwitchChange


def steps_of(change: SwitchChange) -> list[tuple[str, str, object]]:
    """The change as steps in the order in which they are carried out: (step, subject, value)."""
    steps: list[tuple[str, str, object]] = []
    steps += [("address", f"add {one.address.hex()}", (one, True)) for one in change.addresses_add]
    steps += [("route", f"add {one.prefix.hex()}", (one, True)) for one in change.routes_add]
    steps += [("tunnel", f"add {one.kind}", (one, True)) for one in change.tunnels_add]
    if change.patch_add is not None:
        steps.append(("patch", "add", True))
    steps += [("peer", one.remote.hex(), one) for one in change.peers]
    steps += [("mtu", name, (name, mtu)) for name, mtu in change.mtus]
    steps += [("meter", str(one.id), one) for one in change.meters]
    steps += [("zone", str(zone), zone) for zone in change.zones_flush]
    if change.puts or change.removes:
        steps.append(("flows", f"{len(change.puts)} to put, {len(change.removes)} to remove", change))
    steps += [("meter", f"remove {number}", number) for number in change.meters_remove]
    steps += [("tunnel", f"remove {one.kind}", (one, False)) for one in change.tunnels_remove]
    steps += [("route", f"remove {one.prefix.hex()}", (one, False)) for one in change.routes_remove]
    steps += [("address", f"remove {one.address.hex()}", (one, False)) for one in change.addresses_remove]
    if change.patch_remove:
        steps.append(("patch", "remove", False))
    steps += [("announce", one.address.hex(), one) for one in change.announcements]
    return steps
