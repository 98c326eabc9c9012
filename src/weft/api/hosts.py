"""Servers' policy and state, and traces: bare objects under /weft/v1. Called by weft.api.routes. Reads only."""

from typing import Any

import msgspec

from weft.api import convert
from weft.api.access import rule_hits
from weft.api.call import Answer, Call, json_answer
from weft.api.host_addresses import dynamic_range
from weft.control.controller import Controller
from weft.control.gateway_health import dead_for
from weft.core.hyperv.policy_script import V1, script_of
from weft.core.index import servers_of
from weft.core.policy import view
from weft.core.policy_places import network_of
from weft.core.provider_places import why_none
from weft.core.trace import EPHEMERAL, PING, trace
from weft.core.trace_ends import HostFacts
from weft.model.errors import Invalid, NotFound
from weft.model.kinds import NETWORK_INTERFACES, SERVERS
from weft.model.values import PackedIp, ip_text
from weft.wire.messages import COUNTS, MachineFact, ProviderFacts


def policy(controller: Controller, call: Call, server: str) -> Answer:
    """GET .../servers/{id}/policy: for people and scripts, or as a script of PowerShell that puts it in place."""
    call.only("format", "version")
    form = call.query.get("format", "json").lower()
    name = _spelled(controller, server)
    if form == "powershell":
        text = script_of(controller.state, name, call.query.get("version", V1).lower())
        return Answer(200, text.encode("ascii"), content_type=b"text/plain; charset=utf-8")
    if form != "json":
        raise Invalid(f"?format={form}: write json or powershell.", code="OperationNotSupported", target="format")
    if "version" in call.query:
        raise Invalid("?version belongs to ?format=powershell.", target="version")
    return json_answer(view(controller.state, name))


def state(controller: Controller, server: str) -> Answer:
    """GET .../servers/{id}/state: how the feed knows the host."""
    name = _spelled(controller, server)
    host = controller.host(server)
    facts = host.facts
    problems = [msgspec.to_builtins(problem) for problem in facts.problems]
    return json_answer(
        {
            "server": {"resourceRef": f"/servers/{name}"},
            "managed": host.managed,
            "connected": host.connected,
            "hypervisor": host.hypervisor or None,
            "appliedRevision": host.applied_revision,
            "revision": controller.state.revision,
            "lag": host.lag,
            "dynamicRange": dynamic_range(controller, f"/servers/{name}"),
            "drift": list(facts.drift),
            "foreign": list(facts.foreign),
            "drops": facts.drops,
            "counts": {name: facts.counts.get(name, 0) for name in COUNTS},
            "accessRules": [
                {"accessControlList": {"resourceRef": ref}, "rule": rule, "packets": packets, "bytes": octets}
                for ref, rule, packets, octets in rule_hits(controller.state, facts)
            ],
            "problems": [{"code": code, "message": text, "instanceId": own or None} for code, text, own in problems],
            "lastError": problems[-1][1] if problems else None,
            "gateways": [
                {"providerAddress": ip_text(one.provider_address), "alive": one.alive} for one in facts.gateways
            ],
            "providerNetwork": _provider(facts.provider),
            "noProviderAddress": _why_none(controller, name) or None,
            "providerAddressesWaitFor": list(controller.readdressing.waits_for(server)),
            "carries": [network for rdid in facts.carries if (network := _network(controller, rdid))],
            "machines": [_machine(each) for each in facts.machines],
            "ports": [
                {
                    "instanceId": each.instance_id,
                    "interface": _interface(controller, each.instance_id),
                    "state": each.state,
                    "reason": each.reason or None,
                }
                for each in facts.ports
            ],
        }
    )


def _why_none(controller: Controller, name: str) -> str:
    server = controller.state.get(SERVERS.name, name)
    return why_none(controller.state, server) if server is not None else ""


def _network(controller: Controller, rdid: int) -> dict[str, str] | None:
    found = network_of(controller.state, rdid)
    return {"resourceRef": f"/virtualNetworks/{found.resource_id}"} if found is not None else None


def _provider(told: ProviderFacts | None) -> dict[str, Any] | None:
    if told is None:
        return None
    return {
        "adapters": [
            {
                "providerAddress": ip_text(one.provider_address),
                "name": one.name,
                "mtu": one.mtu,
                "uplinks": list(one.uplinks),
                "offloads": list(one.offloads) if one.offloads is not None else None,
            }
            for one in told.adapters
        ],
        "otherHolders": [
            {"providerAddress": ip_text(one.provider_address), "mac": one.mac, "used": one.used} for one in told.holders
        ],
        "notProbed": list(told.unprobed),
        "tunnelEncryption": {"available": not told.no_encryption, "reason": told.no_encryption},
        "notEncrypted": [{"from": ip_text(local), "to": ip_text(remote)} for local, remote in told.in_clear],
    }


def _machine(told: MachineFact) -> dict[str, Any]:
    return {"machine": told.machine, "power": told.power, "failure": told.failure or None, "byHand": told.by_hand}


def _interface(controller: Controller, instance_id: str) -> dict[str, str] | None:
    """The interface that a port is for; None if it is gone."""
    found = controller.state.by_instance(instance_id)
    if found is None or found[0] != NETWORK_INTERFACES.name:
        return None
    return {"resourceRef": f"/networkInterfaces/{found[1].resource_id}"}


def _spelled(controller: Controller, server: str) -> str:
    found = controller.state.get(SERVERS.name, server)
    if found is None:
        raise NotFound(f"There is no server '{server}'.", target=f"/servers/{server}")
    return found.resource_id


def trace_packet(controller: Controller, call: Call) -> Answer:
    """POST /weft/v1/trace: would this packet arrive, and if not, what decides so?"""
    asked = {name.lower(): value for name, value in convert.parse_object(call.body).items()}
    protocol = _text(asked, "protocol", "icmp").lower()
    for name in ("port", "sourceport"):
        if asked.get(name) is not None and protocol in PING:
            raise Invalid(
                "Only tcp and udp have ports: name one of them as the protocol, or leave port out.", target=name
            )
    result = trace(
        controller.state,
        _text(asked, "from"),
        _text(asked, "to"),
        protocol,
        _port(asked.get("port"), 0),
        _facts(controller),
        _port(asked.get("sourceport"), EPHEMERAL),
    )
    return json_answer(result)


def _text(asked: dict[str, Any], name: str, default: str = "") -> str:
    value = asked.get(name) or default
    if isinstance(value, dict):
        value = value.get("resourceRef")
    if not isinstance(value, str) or not value:
        raise Invalid(f'A trace needs \'{name}\': {{"from": "/networkInterfaces/a", "to": "10.1.1.12"}}.', target=name)
    return value


def _port(value: Any, default: int) -> int:
    text = str(value if value is not None else default)
    # by its length first: int() refuses thousands of digits in its own way
    if not text.isdecimal() or len(text) > 5 or not int(text) <= 65535:
        raise Invalid(f"'{text[:20]}' is no port: write 0 to 65535.", target="port")
    return int(text)


def _facts(controller: Controller) -> HostFacts:
    """What hosts report of the ports that a trace comes by."""

    def closed(instance_id: str) -> str | None:
        found = controller.state.by_instance(instance_id)
        machine = controller.state.machine_of(found[1].resource_id) if found is not None else None
        for server in servers_of(machine) if machine is not None else ():
            port = controller.host(server).tables.ports.get(instance_id)
            if port is not None and port.state == "closed":
                return port.reason or f"{_spelled(controller, server)} keeps it closed"
        return None

    def in_clear(server: str, remote: PackedIp) -> bool:
        told = controller.host(server).facts.provider
        return told is not None and remote in {to for _, to in told.in_clear}

    return HostFacts(in_clear=in_clear, closed=closed, dead=lambda server: dead_for(controller.host, server))
