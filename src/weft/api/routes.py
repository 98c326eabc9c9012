"""Which handler answers which path. Called by weft.api.app for every request; path segments in any case.

`/networking/{version}/...` is MS-NCNBI's, `/weft/v1/...` ours; `/healthz`, `/readyz`, `/metrics`, `/openapi.json`.
"""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from weft import __version__
from weft.api import audits, captures, conflicts, evacuations, feed, host_machines, hosts, openapi, watch
from weft.api.actions import place_of_action
from weft.api.answers import Answers
from weft.api.batch import Batches
from weft.api.call import Answer, Call, encode, json_answer
from weft.api.configuration import Configuration
from weft.api.faults import MethodNotAllowed, UnknownPath
from weft.api.host_addresses import HostAddresses
from weft.api.ledger_actions import LedgerActions
from weft.api.lookup import Lookup
from weft.api.machines import MachineActions
from weft.api.metrics import CONTENT_TYPE, Metrics
from weft.api.places import VERSIONS, place_of
from weft.api.resources import Resources
from weft.control.controller import Controller
from weft.model.errors import Refusal
from weft.model.kinds import CHECKPOINTS

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_OF_A_HOST = frozenset({"policy", "state", "usage", "addresses", "machines"})
DISCOVERY_ID = "00000000-0000-0000-0000-0000000000d1"


class NotAWebSocket(Refusal):
    status = 426
    code = "UpgradeRequired"


class Routes:
    """All handlers of one controller."""

    def __init__(self, controller: Controller) -> None:
        self._controller = controller
        configuration = Configuration(controller.state, controller.host, lambda: controller.now().wall)
        answers = Answers(
            controller.state, configuration.of, controller.now, controller.conflicts, controller.rule_hits
        )
        self.metrics = Metrics(controller)
        self._resources = Resources(controller, answers, self.metrics)
        self._actions = MachineActions(controller, answers, self._resources)
        self._batches = Batches(controller, self._resources, self._actions)
        self._lookup = Lookup(controller)
        self._host_addresses = HostAddresses(controller, self._lookup)
        self._ledger_actions = LedgerActions(self._resources, answers, self._lookup)
        self._openapi: bytes | None = None
        self.ending = asyncio.Event()
        """Set when the service stops: streams end."""

    async def handle(self, call: Call) -> Answer:
        """Answer a request. Raises WeftError."""
        segments = call.segments
        first = segments[0].lower() if segments else ""
        if first == "networking" and len(segments) > 1:
            return await self._networking(call, segments)
        if first == "weft" and len(segments) > 1:
            return await self._weft(call, segments)
        return self._service(call, first)

    async def _networking(self, call: Call, segments: list[str]) -> Answer:
        version = segments[1].lower()
        if version not in VERSIONS:
            if version == "discovery" and len(segments) == 2:
                return _only(call, "GET", _discovery)
            raise UnknownPath(f"There is no version '{segments[1]}' of /networking. Served: {', '.join(VERSIONS)}.")
        rest = segments[2:]
        if len(rest) == 2 and rest[0].lower() in ("operations", "operationresults"):
            return _only(call, "GET", _operation if rest[0].lower() == "operations" else _operation_result)
        return await self._resources.handle(call, place_of("networking", rest))

    async def _weft(self, call: Call, segments: list[str]) -> Answer:
        if segments[1].lower() != "v1":
            raise UnknownPath(f"There is no version '{segments[1]}' of /weft. Served: v1.")
        rest = segments[2:]
        kind, last = (rest[0].lower(), rest[-1].lower()) if rest else ("", "")
        if len(rest) == 1 and kind in ("batch", "trace", "watch", "feed", "conflicts", "capture"):
            return await self._verb(call, kind)
        if kind == "virtualmachines" and len(rest) == 4 and self._is_on_host(call, rest):
            return await self._actions.delete_checkpoint(call, rest[1], rest[3])
        if kind == "virtualmachines" and len(rest) <= 2 and (whole := self._whole_machine(call, rest)) is not None:
            return await whole
        if kind == "virtualmachines" and (asked := place_of_action(call.method, rest)) is not None:
            return await self._actions.handle(call, *asked)
        if kind == "servers" and len(rest) == 3 and last in _OF_A_HOST:
            _allow(call, "GET")
            return self._host(call, rest[1], last)
        if kind == "servers" and len(rest) == 3 and last == "evacuate":
            return await evacuations.evacuate(self._controller, call, rest[1])
        if rest and (kind == "audits" or (kind, last) == ("schemas", "inventory")) and len(rest) <= 2:
            return await self._audit(call, rest)
        if kind == "addresses" or (len(rest) > 2 and last in ("usage", "addresses", "reserve")):
            return await self._ledger(call, rest)
        return await self._resources.handle(call, place_of("weft", rest))

    def _whole_machine(self, call: Call, rest: list[str]) -> Awaitable[Answer] | None:
        """A machine made, or deleted with its disks, where a host has something to do for it; else it is a resource."""
        if len(rest) == 1:
            return self._actions.create(call) if call.method == "POST" else None
        if call.method != "DELETE" or not self._controller.machines.removes_disks(rest[1]):
            return None
        if call.query_string and (call.flag("dryRun") or call.flag("keepDisks")):
            return None
        return self._actions.delete(call, rest[1])

    def _host(self, call: Call, server: str, page: str) -> Answer:
        match page:
            case "policy":
                return hosts.policy(self._controller, call, server)
            case "state":
                return hosts.state(self._controller, server)
            case "usage":
                return self._host_addresses.usage(call, server)
            case "addresses":
                return self._host_addresses.addresses(call, server)
            case _:
                return host_machines.machines(self._controller, call, server)

    def _is_on_host(self, call: Call, rest: list[str]) -> bool:
        """Is a checkpoint deleted that the machine's host has to delete too?"""
        if call.method != "DELETE" or rest[2].lower() != CHECKPOINTS.name or call.flag("dryRun"):
            return False
        return self._controller.machines.checkpoints.is_on_host(rest[1], rest[3])

    async def _audit(self, call: Call, rest: list[str]) -> Answer:
        if rest[0].lower() == "schemas":
            _allow(call, "GET")
            return audits.inventory_schema(call)
        if len(rest) > 1:
            raise UnknownPath("An audit is not kept: its report is the answer to POST /weft/v1/audits.")
        _allow(call, "POST")
        return await audits.of_inventory(call)

    async def _ledger(self, call: Call, rest: list[str]) -> Answer:
        last = rest[-1].lower()
        if rest[0].lower() != "addresses":
            if last == "reserve":
                _allow(call, "POST")
                return await self._ledger_actions.reserve(call, rest[:-1])
            _allow(call, "GET")
            return self._lookup.of_pool(call, rest)
        if len(rest) == 2:
            _allow(call, "GET")
            return self._lookup.of_address(call, rest[1])
        if len(rest) == 3 and last == "release":
            _allow(call, "POST")
            return await self._ledger_actions.release(call, rest[1])
        raise UnknownPath("Served: GET addresses/ADDRESS and POST addresses/ADDRESS/release.")

    async def _verb(self, call: Call, verb: str) -> Answer:
        if verb == "batch":
            _allow(call, "POST")
            return await self._batches.handle(call)
        if verb == "trace":
            _allow(call, "POST")
            return hosts.trace_packet(self._controller, call)
        _allow(call, "GET")
        if verb == "watch":
            return await watch.watch(self._controller, call, self.ending)
        if verb == "capture":
            return await captures.capture(self._controller, call)
        if verb == "conflicts":
            return conflicts.listed(self._controller.state, self._controller.conflicts, call)
        raise NotAWebSocket("The feed is for agents: connect with a WebSocket.")

    def _service(self, call: Call, name: str) -> Answer:
        pages = {
            "healthz": _health,
            "readyz": self._ready,
            "metrics": self._metrics_page,
            "openapi.json": self._description,
        }
        if len(call.segments) != 1 or name not in pages:
            raise UnknownPath(
                f"Nothing is served at /{'/'.join(call.segments)}. "
                "See /openapi.json; resources stand under /networking/v1 and /weft/v1."
            )
        return _only(call, "GET", pages[name])

    def _ready(self) -> Answer:
        why = self._controller.not_ready()
        revision = self._controller.state.revision
        if why:
            return json_answer({"status": "unready", "reason": why, "revision": revision}, 503)
        return json_answer({"status": "ready", "revision": revision, "generation": self._controller.generation})

    def _metrics_page(self) -> Answer:
        return Answer(200, self.metrics.page(), content_type=CONTENT_TYPE)

    def _description(self) -> Answer:
        if self._openapi is None:
            self._openapi = encode(openapi.document(__version__))
        return Answer(200, self._openapi)

    async def websocket(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Serve a WebSocket: the agents' feed, nothing else."""
        path = [part.lower() for part in scope["path"].split("/") if part]
        if path == ["weft", "v1", "feed"]:
            await feed.serve_socket(self._controller, receive, send)
        else:
            await feed.close(send, feed.NOT_SERVED, "only /weft/v1/feed is a WebSocket")


def _allow(call: Call, method: str) -> None:
    if call.method != method:
        raise MethodNotAllowed(call.method, (method,))


def _only(call: Call, method: str, answer: Callable[[], Answer]) -> Answer:
    _allow(call, method)
    return answer()


def _health() -> Answer:
    return json_answer({"status": "ok"})


def _operation() -> Answer:
    """Every write has ended when it answers, so every operation has succeeded (MS-NCNBI 3.1.5.12)."""
    return json_answer({"status": "Succeeded"})


def _operation_result() -> Answer:
    return Answer(204)


def _discovery() -> Answer:
    """MS-NCNBI 3.1.5.30."""
    return json_answer(
        {
            "resourceRef": "/discovery",
            "resourceId": "discovery",
            "instanceId": DISCOVERY_ID,
            "properties": {
                "provisioningState": "Succeeded",
                "networkControllerVersion": __version__,
                "currentRestVersion": "V1",
                "supportedRestVersions": [version.upper() for version in VERSIONS],
            },
        }
    )
