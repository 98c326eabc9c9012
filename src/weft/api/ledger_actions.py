"""Addresses given back early and addresses held for a purpose: the POSTs of the ledger. Called by weft.api.routes.

Each is one transaction with the answer kept for its request id, takes ?dryRun and ?wait as every write, and is in the
history of the addresses with who asked and why.
"""

from datetime import datetime

from weft.api import bodies, convert
from weft.api.answers import Answers
from weft.api.call import Answer, Call, json_answer
from weft.api.lookup import Lookup
from weft.api.resources import Resources
from weft.core.commands import Decision, ReleaseAddress, Reserve
from weft.model.errors import Invalid
from weft.model.kinds import RESERVATIONS


class LedgerActions:
    """The handlers. One per app."""

    def __init__(self, resources: Resources, answers: Answers, lookup: Lookup) -> None:
        self._resources = resources
        self._answers = answers
        self._lookup = lookup

    async def release(self, call: Call, address: str) -> Answer:
        """POST addresses/{address}/release: end a cool-down, or free what an inactive holder holds.

        Answers 200 with the address as it is then. Raises Refusal.
        """
        body = convert.read_exactly(bodies.Release, call.body)
        scope, number = self._lookup.held_in(address, call.query.get("scope", ""))
        command = ReleaseAddress(scope, number, body.reason)
        return await self._resources.write(call, command, lambda _: json_answer(self._lookup.entry(scope, number)))

    async def reserve(self, call: Call, segments: list[str]) -> Answer:
        """POST {pool or subnet}/reserve. Answers 201 with the reservation, 200 where the requestId has one already."""
        body = convert.read_exactly(bodies.Reserve, call.body)
        pool, _ = self._lookup.pools_at(segments)
        until = _moment(body.until) if body.until else None
        command = Reserve(pool, body.count, body.contiguous, body.purpose, until, body.request_id)
        return await self._resources.write(call, command, self._reservation)

    def _reservation(self, decision: Decision) -> Answer:
        resource = decision.resource
        assert resource is not None
        members = self._answers.of(RESERVATIONS, resource)
        status = 201 if decision.outcome == "created" else 200
        return json_answer(members, status, ((b"etag", resource.etag.encode()),))


def _moment(text: str) -> float:
    """Unix seconds of an RFC 3339 text. Raises Invalid; without an offset it could mean any hour."""
    try:
        moment = datetime.fromisoformat(text.strip())
        if moment.tzinfo is not None:
            return moment.timestamp()
    except (ValueError, OverflowError):
        pass
    raise Invalid(f"until: '{text[:40]}' is no time: write it as 2026-11-21T18:00:00Z.", target="until")
