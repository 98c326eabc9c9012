"""/weft/v1/servers/{id}/evacuate: POST moves every machine off a server, GET says how far that is. Called by
weft.api.routes.

200 when it has ended, 202 while it goes on: POST waits up to ?timeout seconds for the end, and joins what is under way.
"""

from typing import Any

from weft.api import bodies, convert
from weft.api.actions import id_of
from weft.api.call import Answer, Call, json_answer
from weft.api.faults import MethodNotAllowed, body_of
from weft.api.resources import MAX_WAIT_S
from weft.control.controller import Controller
from weft.control.evacuations import MOST_AT_ONCE, Evacuation
from weft.model.errors import Invalid
from weft.model.kinds import SERVERS


async def evacuate(controller: Controller, call: Call, server: str) -> Answer:
    """Raises Refusal, NotReady."""
    evacuations = controller.evacuations
    if call.method == "GET":
        call.only()
        return _answer(evacuations.of(server))
    if call.method != "POST":
        raise MethodNotAllowed(call.method, ("GET", "POST"))
    call.only("timeout")
    seconds = call.number("timeout", MAX_WAIT_S, MAX_WAIT_S)
    body: bodies.Evacuate = convert.read_exactly(bodies.Evacuate, call.body)
    if not 1 <= body.at_once <= MOST_AT_ONCE:
        raise Invalid(f"atOnce is from 1 to {MOST_AT_ONCE}.", target="atOnce")
    to = [id_of(one, SERVERS.name, "to") for one in body.to]
    evacuation = evacuations.begin(server, to, body.at_once, call.actor)
    await evacuations.wait(server, seconds)
    return _answer(evacuation)


def _answer(found: Evacuation) -> Answer:
    def place(server: str) -> dict[str, str] | None:
        return {"resourceRef": f"/servers/{server}"} if server else None

    def machine(name: str) -> dict[str, str]:
        return {"resourceRef": f"/weft/virtualMachines/{name}"}

    members: dict[str, Any] = {
        "server": place(found.server),
        "ended": found.ended,
        "total": found.total,
        "moved": [{"machine": machine(name), "server": place(to)} for name, to in found.moved.items()],
        "failed": [{"machine": machine(name), **body_of(error)} for name, error in found.failed.items()],
        "underWay": [{"machine": machine(name), "server": place(to)} for name, to in found.under_way.items()],
        "leaving": [
            {"machine": machine(name), "server": place(to), "waitsFor": list(map(place, found.waits_for.get(name, ())))}
            for name, to in found.leaving.items()
        ],
    }
    return json_answer(members, 200 if found.ended else 202)
