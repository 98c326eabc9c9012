"""A host's own range: how full it is, each address of it, and what it could draw from instead. Reads only.

Called by weft.api.routes and hosts. Answers look like those of a pool's usage and addresses (weft.api.ledger).
"""

from typing import Any

from weft.api import ledger
from weft.api.call import Answer, Call, json_answer
from weft.api.lookup import Lookup
from weft.control.controller import Controller
from weft.core.host_addresses import HostRange, pool_of, range_of, seen_by
from weft.core.host_ranges import bounds, proposal
from weft.core.pools import Pool
from weft.model.errors import NotFound
from weft.model.kinds import SERVERS
from weft.model.leases import FOREIGN
from weft.model.values import mac_dashes, parse_mac


class HostAddresses:
    """The handlers. One per app."""

    def __init__(self, controller: Controller, lookup: Lookup) -> None:
        self._controller = controller
        self._lookup = lookup

    def usage(self, call: Call, server: str) -> Answer:
        """GET /weft/v1/servers/{id}/usage."""
        call.only()
        _, own, pool = self._pool(server)
        says = {"source": own.member, "range": range_text((own.first, own.last))}
        return json_answer({**says, **ledger.usage(self._controller.state, [pool], None)})

    def addresses(self, call: Call, server: str) -> Answer:
        """GET /weft/v1/servers/{id}/addresses."""
        ref, _, pool = self._pool(server)
        told = self._seen(server)

        def named(entry: dict[str, Any]) -> dict[str, Any]:
            """Nothing of the ledger's: its hypervisor says who has it."""
            if entry["state"] != FOREIGN or "first" not in entry:
                return entry
            who = told[parse_mac(entry["first"])]
            seen = {"address": entry["first"], "state": FOREIGN, "holders": []}
            return {**seen, "until": None, "reason": f"{who} on {ref}"}

        return self._lookup.page(call, ref, [pool], named)

    def _seen(self, server: str) -> dict[int, str]:
        return seen_by(self._controller.host(server).facts.hypervisor)

    def _pool(self, server: str) -> tuple[str, HostRange, Pool]:
        """Raises NotFound."""
        found = self._controller.state.get(SERVERS.name, server)
        if found is None:
            raise NotFound(f"There is no server '{server}'.", target=f"/servers/{server}")
        ref = f"/servers/{found.resource_id}"
        own = range_of(found)
        if own is None:
            if kind := _draws_none(self._controller, found.resource_id):
                raise NotFound(
                    f"{ref} has no range: it runs {kind}, which has no range of dynamic addresses, and no "
                    "address plan gave it one.",
                    code="NoDynamicRange",
                    target=ref,
                )
            raise NotFound(
                f"{ref} has no range: its hypervisor has told none, and no address plan gave it one. PUT its "
                "dynamicMacRange if it is known.",
                code="NoDynamicRange",
                target=ref,
            )
        return ref, own, pool_of(self._controller.state, ref, own, self._seen(server))


def _draws_none(controller: Controller, server: str) -> str:
    """The kind of its hypervisor, where that has no range of dynamic addresses; empty where there may be one."""
    agent = controller.publisher.managed.get(server.lower())
    return "" if agent is None or agent.hypervisor == "hyperv" else agent.hypervisor


def dynamic_range(controller: Controller, ref: str) -> dict[str, Any]:
    """Of .../state: what its hypervisor draws from by its own word, what it shall draw from, and what it could, if it
    draws any."""
    name = ref.rpartition("/")[2]
    state = controller.state
    server = state.get(SERVERS.name, name)
    wanted = server.properties.wanted_dynamic_mac_range if server is not None else None
    hypervisor = controller.host(name).facts.hypervisor
    return {
        "drawn": range_text(hypervisor.dynamic_range if hypervisor is not None else None),
        "wanted": range_text(bounds(wanted) if wanted is not None else None),
        "proposal": range_text(None if _draws_none(controller, name) else proposal(state, ref)),
    }


def range_text(found: tuple[int, int] | None) -> dict[str, str] | None:
    return None if found is None else {"first": mac_dashes(found[0]), "last": mac_dashes(found[1])}
