"""GET /weft/v1/conflicts: every present clash, who is in it, what to do. Called by routes and answers; reads only."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any
from urllib.parse import quote, urlencode

from weft.api.call import Answer, Call, json_answer
from weft.core.conflicts import KINDS, Conflict
from weft.core.state import State
from weft.model.errors import Invalid, NotFound
from weft.model.kinds import SERVERS, VIRTUAL_MACHINES

MAX_PAGE = 1000

Clashes = Callable[[str], list[Conflict]]
"""Every present clash, or, with its id, those of one machine: Controller.conflicts."""


def listed(state: State, clashes: Clashes, call: Call) -> Answer:
    """The clashes that are asked for, in the order of kinds and addresses, a page of them. Raises Invalid, NotFound."""
    call.only("kind", "server", "machine", "limit", "after")
    asked = {name: call.query[name] for name in ("kind", "server", "machine") if call.query.get(name)}
    found = sorted(_chosen(state, clashes, asked), key=cursor_of)
    after = call.query.get("after", "")
    limit = int(call.number("limit", 100, MAX_PAGE, least=1))
    rest = [each for each in found if cursor_of(each) > after] if after else found
    following = ""
    if len(rest) > limit:
        query = urlencode(asked | {"limit": limit, "after": cursor_of(rest[limit - 1])}, quote_via=quote)
        following = f"/weft/v1/conflicts?{query}"
    return json_answer({"value": [entry(each) for each in rest[:limit]], "nextLink": following})


def entry(conflict: Conflict) -> dict[str, Any]:
    """One clash as it is answered."""
    return {
        "kind": conflict.kind,
        "address": conflict.address,
        "l2Domain": conflict.l2_domain or None,
        "holders": [{"resourceRef": ref} for ref in conflict.holders],
        "remedy": conflict.remedy,
        "command": conflict.command or None,
    }


def cursor_of(conflict: Conflict) -> str:
    """Where a clash stands in the list; it stays there for as long as it lasts."""
    return "|".join((f"{KINDS.index(conflict.kind)}", conflict.address, conflict.l2_domain, *conflict.holders))


def _chosen(state: State, clashes: Clashes, asked: dict[str, str]) -> Iterable[Conflict]:
    kinds = {kind.lower(): kind for kind in KINDS}
    kind = asked.get("kind")
    if kind is not None and kind.lower() not in kinds:
        raise Invalid(f"?kind={kind}: write one of {', '.join(KINDS)}.", target="kind")
    machine, server = asked.get("machine"), asked.get("server")
    for name, own in ((VIRTUAL_MACHINES.name, machine), (SERVERS.name, server)):
        if own is not None and state.get(name, own) is None:
            raise NotFound(f"There is no {name}/{own}.", target="machine" if own == machine else "server")
    found: Iterable[Conflict] = clashes(machine or "")
    if kind is not None:
        found = (each for each in found if each.kind == kinds[kind.lower()])
    if server is not None:
        found = (each for each in found if server.lower() in _servers_of(state, each))
    return found


def _servers_of(state: State, conflict: Conflict) -> Iterator[str]:
    """Ids, lower case, of the servers that a clash touches: those named, and those that machines named run on."""
    for ref in conflict.holders:
        parts = ref.lower().strip("/").split("/")
        if parts[0] == "servers":
            yield parts[1]
        elif parts[0] == "networkinterfaces":
            machine = state.machine_of(parts[1])
            if machine is not None and machine.properties.server is not None:
                yield machine.properties.server.resource_ref.lower().rpartition("/")[2]
