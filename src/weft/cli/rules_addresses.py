"""What can be seen wrong about addresses' life without a controller: plans, strategies, warnings, templates. Pure.

Called by cli.rules, which has the rest.
"""

import re

from weft.cli.check import Check
from weft.cli.shapes import Place
from weft.core.macs import first_forbidden, first_group_address
from weft.model.values import mac_dashes

DIGITS_OF_A_MAC = 12


def address_plan(check: Check) -> None:
    """The digits of prefix, cluster, host and interface make one MAC address; see model.fabric."""
    prefix = str(check.at(("properties", "prefix")) or "00-15-5D")
    digits = re.sub(r"[-:.]", "", prefix)
    if not re.fullmatch(r"[0-9A-Fa-f]{2,11}", digits):
        check.fault(("properties", "prefix"), f"'{prefix}' begins no MAC address; write whole digits such as 00-15-5D")
        return
    widths = [_width(check, *each) for each in (("clusterDigits", 2), ("hostDigits", 1), ("interfaceDigits", 3))]
    if len(digits) + sum(widths) != DIGITS_OF_A_MAC:
        shown = " + ".join(str(each) for each in (len(digits), *widths))
        what_to_do = f"make prefix, cluster, host and interface {DIGITS_OF_A_MAC} together"
        check.fault(("properties",), f"{shown} digits are not a MAC address; {what_to_do}")
    else:
        rest = 4 * (DIGITS_OF_A_MAC - len(digits))
        start = int(digits, 16) << rest
        grantable(check, ("properties", "prefix"), start, start + (1 << rest) - 1)
    _percent(check)


def grantable(check: Check, place: Place, start: int, end: int) -> None:
    """Whether an interface may have every address of a range."""
    group, forbidden = first_group_address(start, end), first_forbidden(start, end)
    what = check.document.kind.name.removesuffix("s").removeprefix("mac").removeprefix("address").lower()
    if group is not None:
        why = f"the {what} would hold group addresses, {mac_dashes(group)} the first"
        check.fault(place, f"{why}; keep the lowest bit of the first octet 0 in all of it")
    elif forbidden is not None:
        address, why = forbidden
        check.fault(place, f"the {what} would hold {mac_dashes(address)}, and {why}; choose another range")


def _width(check: Check, member: str, default: int) -> int:
    value = check.at(("properties", member))
    return value if isinstance(value, int) else default


def mac_pool(check: Check, start: int | None, end: int | None) -> None:
    """What a pool has beside its two ends."""
    _one_of(check, ("properties", "strategy"), ("central", "random"))
    _percent(check)
    for place in check.items("properties", "excluded"):
        first, last = check.mac((*place, "first")), check.mac((*place, "last"))
        if first is not None and last is not None and last < first:
            check.fault((*place, "last"), f"the end {mac_dashes(last)} lies before the start; swap the two")
        elif first is not None and start is not None and end is not None and not start <= first <= end:
            check.fault((*place, "first"), f"{mac_dashes(first)} is not in the pool; exclude what is")


def _percent(check: Check) -> None:
    value = check.at(("properties", "warnAtPercent"))
    if isinstance(value, int) and not 0 <= value <= 100:
        check.fault(("properties", "warnAtPercent"), f"{value} is no percentage; write 0 (never) to 100")


def network_interface(check: Check) -> None:
    """Where its address comes from."""
    _one_of(check, ("properties", "strategy"), ("central", "hostRange", "random"))


def _one_of(check: Check, place: Place, allowed: tuple[str, ...]) -> None:
    word = check.at(place)
    if word and str(word).lower() not in [each.lower() for each in allowed]:
        check.fault(place, f"'{word}' is no strategy; write {' or '.join(allowed)}")


def virtual_machine(check: Check) -> None:
    """Only a template has networks."""
    if check.at(("properties", "networks")) and not check.at(("properties", "isTemplate")):
        message = "only a template has networks; write isTemplate: true, or networkInterfaces instead"
        check.fault(("properties", "networks"), message)


def server(check: Check) -> None:
    """Both ends of the range from which its hypervisor draws."""
    place = ("properties", "dynamicMacRange")
    if not check.at(place):
        return
    first, last = check.mac((*place, "first")), check.mac((*place, "last"))
    if first is not None and last is not None and last < first:
        check.fault((*place, "last"), f"the end {mac_dashes(last)} lies before the start; swap the two")
