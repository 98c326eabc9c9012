"""PUT and DELETE of accessControlLists with their aclRules (MS-NCNBI 3.1.5.1)."""

import msgspec

from weft.core.decide.draft import Draft
from weft.core.decide.parsing import word_of
from weft.core.filters import (
    ALL_PORTS,
    EVERYTHING,
    HIGHEST_PRIORITY,
    LOWEST_PRIORITY,
    PROTOCOLS,
    TAGS,
    WITH_PORTS,
    family_of,
    first_tagged,
    port_range,
    prefix_or_tag,
)
from weft.core.state import State
from weft.model.errors import InUse, Invalid, PoolIsFull
from weft.model.leases import ASSIGNED, LIST_SCOPE, Holder, Lease
from weft.model.resources import Resource
from weft.model.tenancy import AccessControlListProperties, AclRuleProperties

AccessControlList = Resource[AccessControlListProperties]

_ACTIONS = {"allow": "Allow", "deny": "Deny"}
_TYPES = {"inbound": "Inbound", "outbound": "Outbound"}
_DEFAULTS = {"permit": "Permit", "deny": "Deny"}
_SWITCH = {"enabled": "Enabled", "disabled": "Disabled"}
_FAMILIES = {"ICMPv4": 4, "ICMPv6": 6}


def settle(draft: Draft, sent: AccessControlList, old: AccessControlList | None) -> AccessControlListProperties:
    """The properties as they will be stored, the list's number included. Raises a Refusal."""
    ref = f"/accessControlLists/{sent.resource_id}"
    p = sent.properties
    rules = tuple(
        msgspec.structs.replace(one, properties=_rule(one.resource_id, one.properties)) for one in p.acl_rules
    )
    _check_priorities(rules)
    settled = AccessControlListProperties(
        acl_rules=rules,
        inbound_default_action=word_of(p.inbound_default_action, _DEFAULTS, "inboundDefaultAction"),
        outbound_default_action=word_of(p.outbound_default_action, _DEFAULTS, "outboundDefaultAction"),
        list_number=old.properties.list_number if old is not None else _number(draft, ref),
    )
    if old is not None:
        _check_logical_users(draft.state, ref, settled)
    return settled


def remove(draft: Draft, old: AccessControlList) -> None:
    """Refuse while a subnet or an ipConfiguration names it; its number becomes free."""
    ref = f"/accessControlLists/{old.resource_id}"
    user = _user_of(draft.state, ref)
    if user:
        raise InUse(
            f"{ref} cannot be deleted: {user} names it. Take it from there first.",
            code="InUseAccessControlListCannotBeDeleted",
            target=ref,
        )
    lease = draft.lease(LIST_SCOPE, old.properties.list_number)
    draft.turn(lease, None, "released", f"{ref} deleted")


def _user_of(state: State, ref: str) -> str:
    for network, subnet in state.subnets_with_list(ref):
        return f"/virtualNetworks/{network.resource_id}/subnets/{subnet.resource_id}"
    for interface in state.interfaces_with_list(ref):
        return f"/networkInterfaces/{interface.resource_id}"
    return ""


def _number(draft: Draft, ref: str) -> int:
    number = draft.grant(draft.state.addresses.pools[LIST_SCOPE])
    if number is None:
        raise PoolIsFull("All 16777215 numbers of accessControlLists are taken.", code="AccessControlListsExhausted")
    draft.turn(None, Lease(LIST_SCOPE, number, ASSIGNED, (Holder("accessControlList", ref, "", True),)), "granted")
    return number


def _rule(name: str, p: AclRuleProperties) -> AclRuleProperties:
    if not LOWEST_PRIORITY <= p.priority <= HIGHEST_PRIORITY:
        raise Invalid(
            f"The priority of rule {name} is {p.priority}: write one of {LOWEST_PRIORITY} to {HIGHEST_PRIORITY}, each "
            "once in the list.",
            code="InvalidAclRulePriority",
            target="priority",
        )
    action = _ACTIONS.get(p.action.lower())
    if action is None:
        raise Invalid(
            f"The action of rule {name} is Allow or Deny, not '{p.action}'.",
            code="InvalidAclRuleAction",
            target="action",
        )
    direction = _TYPES.get(p.type.lower())
    if direction is None:
        raise Invalid(
            f"The type of rule {name} is Inbound (towards the machine) or Outbound (from it), not '{p.type}'.",
            code="InvalidAclRuleType",
            target="type",
        )
    protocol = _protocol(name, p.protocol)
    source, destination = _source(name, p.source_address_prefix), _destination(name, p.destination_address_prefix)
    _check_families(name, protocol, source, destination)
    return AclRuleProperties(
        action=action,
        type=direction,
        priority=p.priority,
        protocol=protocol,
        source_address_prefix=source,
        source_port_range=_source_ports(name, protocol, p.source_port_range),
        destination_address_prefix=destination,
        destination_port_range=_destination_ports(name, protocol, p.destination_port_range),
        logging=word_of(p.logging, _SWITCH, "logging"),
        description=p.description,
    )


def _protocol(name: str, text: str) -> str:
    protocol = PROTOCOLS.get(text.lower())
    if protocol is not None:
        return protocol
    known = ", ".join(PROTOCOLS.values())
    what = f"'{text}'" if text else "missing"
    meant = " HTTP is TCP with destinationPortRange 80." if text.lower() == "http" else ""
    raise Invalid(
        f"The protocol of rule {name} is {what}: write one of {known}.{meant}",
        code="InvalidAclRuleProtocol",
        target="protocol",
    )


def _source(name: str, text: str) -> str:
    target = "sourceAddressPrefix"
    text = _given(name, target, text, "a prefix, a tag", code="AclRuleNullOrEmptySourceAddressPrefix")
    return _prefix(name, target, text, code="AclRuleInvalidSourceAddressPrefix")


def _destination(name: str, text: str) -> str:
    target = "destinationAddressPrefix"
    text = _given(name, target, text, "a prefix, a tag", code="AclRuleNullOrEmptyDestinationAddressPrefix")
    return _prefix(name, target, text, code="AclRuleInvalidDestinationAddressPrefix")


def _given(name: str, target: str, text: str, what: str, code: str) -> str:
    text = text.strip()
    if not text:
        raise Invalid(f"Rule {name} has no {target}: write {what}, or * for all.", code=code, target=target)
    return text


def _prefix(name: str, target: str, text: str, code: str) -> str:
    try:
        return str(prefix_or_tag(text))
    except ValueError as why:
        words = f"'{text}' is no prefix ({why}), and none of the tags {', '.join(TAGS)}; {EVERYTHING} is for all."
        raise Invalid(f"The {target} of rule {name}: {words}", code=code, target=target) from None


def _check_families(name: str, protocol: str, source: str, destination: str) -> None:
    """A rule that no packet can match is a slip of the pen."""
    one, other = family_of(source), family_of(destination)
    if one and other and one != other:
        raise Invalid(
            f"Rule {name} goes from {source} to {destination}: no packet has addresses of both families.",
            code="AclRuleInvalidDestinationAddressPrefix",
            target="destinationAddressPrefix",
        )
    wanted = _FAMILIES.get(protocol, 0)
    for found in (one, other):
        if wanted and found and found != wanted:
            raise Invalid(
                f"Rule {name} is for {protocol}, but its prefixes are IPv{found}: no packet matches it.",
                code="InvalidAclRuleProtocol",
                target="protocol",
            )


def _source_ports(name: str, protocol: str, text: str) -> str:
    target = "sourcePortRange"
    text = _given(name, target, text, "a port, a range such as 80-90", code="AclRuleNullOrEmptySourcePortRange")
    return _ports(name, target, text, protocol, code="AclRuleInvalidSourcePortRange")


def _destination_ports(name: str, protocol: str, text: str) -> str:
    target = "destinationPortRange"
    text = _given(name, target, text, "a port, a range such as 80-90", code="AclRuleNullOrEmptyDestinationPortRange")
    return _ports(name, target, text, protocol, code="AclRuleInvalidDestinationPortRange")


def _ports(name: str, target: str, text: str, protocol: str, code: str) -> str:
    text = text.replace(" ", "")
    wrong = _wrong_ports(protocol, text)
    if wrong:
        raise Invalid(f"The {target} of rule {name} {wrong}", code=code, target=target)
    return text


def _wrong_ports(protocol: str, text: str) -> str:
    """What is wrong with a range of ports; empty if nothing is."""
    try:
        found = port_range(text)
    except ValueError:
        return f"is '{text}': write a port of 0 to 65535, a range such as 80-90, or * for all."
    if protocol not in WITH_PORTS and found != ALL_PORTS and found != (1, ALL_PORTS[1]):
        return f"is '{text}', but {protocol} has no ports: write *."
    return ""


def _check_priorities(rules: tuple[Resource[AclRuleProperties], ...]) -> None:
    seen: dict[int, str] = {}
    for rule in rules:
        other = seen.setdefault(rule.properties.priority, rule.resource_id)
        if other is not rule.resource_id:
            raise Invalid(
                f"Rules {other} and {rule.resource_id} both have priority {rule.properties.priority}: give each its "
                "own, so that it is clear which decides.",
                code="InvalidAclRulePriority",
                target="priority",
            )


def _check_logical_users(state: State, ref: str, p: AccessControlListProperties) -> None:
    """Tags mean nothing in a logical network."""
    rule = first_tagged(p)
    if not rule:
        return
    for interface in state.interfaces_with_list(ref):
        for configuration in interface.properties.ip_configurations:
            own = configuration.properties
            named = own.access_control_list is not None and own.access_control_list.resource_ref.lower() == ref.lower()
            segment = state.segment(own.subnet.resource_ref) if own.subnet is not None else None
            if named and segment is not None and not segment.virtual:
                raise Invalid(
                    f"Rule {rule} has a tag, and {ref} filters /networkInterfaces/{interface.resource_id} in "
                    f"{segment.ref}, which is no virtual subnet: write prefixes.",
                    code="AclRuleTagsNotSupportedOnLogicalNetwork",
                    target="aclRules",
                )
