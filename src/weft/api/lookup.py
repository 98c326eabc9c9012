"""Pools' usage and addresses, and one address with its history, as handlers. Called by weft.api.routes."""

import ipaddress
from collections.abc import Callable, Iterable, Sequence
from typing import Any
from urllib.parse import quote

from weft.api import ledger
from weft.api.call import Answer, Call, json_answer
from weft.api.changes import address_text
from weft.api.places import find, path_of_ref
from weft.control.controller import Controller
from weft.core.pools import Pool
from weft.core.words import place_text
from weft.model.errors import Conflict, Invalid, InvalidMacAddress, NotFound
from weft.model.leases import FREE, MAC_SCOPE, RESERVED, ip_scope
from weft.model.values import IpAddress, Mac, parse_mac, wall_text
from weft.store.store import HistoryRow

MAX_PAGE = 1000

Naming = Callable[[ledger.Entry], ledger.Entry]


class Lookup:
    """The handlers. One per app."""

    def __init__(self, controller: Controller) -> None:
        self._controller = controller
        self._state = controller.state

    def of_pool(self, call: Call, segments: list[str]) -> Answer:
        """GET /weft/v1{resourceRef}/usage or /addresses."""
        canonical, pools = self.pools_at(segments[:-1])
        if segments[-1].lower() == "usage":
            call.only()
            days = self._controller.usage_trend(*(pool.spec.key for pool in pools))
            return json_answer(ledger.usage(self._state, pools, days))
        return self.page(call, canonical, pools)

    def page(self, call: Call, ref: str, pools: Sequence[Pool], named: Naming = lambda entry: entry) -> Answer:
        """A page of .../addresses of these pools; `named` says more of an entry."""
        call.only("state", "limit", "after")
        limit = int(call.number("limit", 50, MAX_PAGE, least=1))
        page = ledger.Page(call.query.get("state", "").lower(), _after(call, pools), limit)
        entries, last = ledger.addresses(self._state, pools, page, self._controller.now())
        following = ""
        if last is not None:
            chosen = f"&state={page.state}" if page.state else ""
            following = f"/weft/v1{ref}/addresses?limit={page.limit}{chosen}&after={quote(last)}"
        return json_answer({"value": [named(entry) for entry in entries], "nextLink": following})

    def pools_at(self, segments: list[str]) -> tuple[str, list[Pool]]:
        """The reference and the pools of a pool, a subnet or a host's macRange. Raises NotFound."""
        ref = "/" + "/".join(segments)
        pools = ledger.pools_of(self._state, ref)
        segment = self._state.segment(ref)
        if segment is not None:
            return segment.ref, pools
        if pools:
            return pools[0].spec.ref, pools
        path = path_of_ref(ref)
        found = find(self._state, path) if path is not None else None
        if found is None:
            raise NotFound(f"There is no {ref}.", target=ref)
        raise NotFound(f"{found[1]} holds no addresses: only pools and subnets do.", target=found[1])

    def of_address(self, call: Call, text: str) -> Answer:
        """GET /weft/v1/addresses/{mac or ip}: every scope that knows the address, with its history there."""
        call.only()
        scopes, address, packed = self._scopes_of(text)
        known = set(scopes) | set(self._controller.history_scopes(packed))
        entries = [entry for scope in sorted(known) if (entry := self._in_scope(scope, address)) is not None]
        return json_answer({"value": entries, "nextLink": ""})

    def _scopes_of(self, text: str) -> tuple[Iterable[str], int, bytes]:
        address = read_address(text)
        if isinstance(address, int):
            return (MAC_SCOPE,), address, address.to_bytes(6, "big")
        networks = (
            f"/{kind}/{network.resource_id}"
            for kind in ("virtualNetworks", "logicalNetworks")
            for network in self._state.all(kind)
        )
        return (ip_scope(network, address.version) for network in networks), int(address), address.packed

    def held_in(self, text: str, scope: str) -> tuple[str, int]:
        """The one scope in which somebody holds an address, and the address; `scope` chooses where there are several.

        `scope` is written as the answer of addresses/{address} has it, or as the network's reference; empty if there
        is but one. Raises Invalid, NotFound, Conflict naming the scopes.
        """
        scopes, address, _ = self._scopes_of(text)
        held = [each for each in scopes if self._state.lease(each, address) is not None]
        if scope:
            held = [each for each in held if scope.lower() in (each, each[3:])]
        if not held:
            where = f" in {scope}" if scope else ""
            raise NotFound(f"Nobody holds {text}{where}: it is free, or not in the ledger.", target="address")
        if len(held) > 1:
            raise Conflict(
                f"{text} is held in several networks: {', '.join(sorted(held))}. Say which one is meant with ?scope=.",
                code="AmbiguousAddress",
                target="scope",
            )
        return held[0], address

    def entry(self, scope: str, address: int) -> dict[str, Any]:
        """An address as it is now, without its history."""
        lease = self._state.lease(scope, address)
        pool = self._state.addresses.pool_of(scope, address)
        entry: dict[str, Any] = {"address": address_text(scope, address), "scope": scope}
        entry["pool"] = {"resourceRef": pool.spec.ref} if pool is not None else None
        if lease is not None:
            entry |= ledger.lease_entry(self._state, lease, self._controller.now())
        else:
            reason = pool.why_excluded(address) if pool is not None else ""
            entry |= {"state": RESERVED if reason else FREE, "holders": [], "until": None, "reason": reason or None}
        domains = {holder.domain for holder in lease.holders if holder.domain} if lease is not None else set()
        entry["l2Domain"] = place_text(self._state, min(domains)) if domains else None
        return entry

    def _in_scope(self, scope: str, address: int) -> dict[str, Any] | None:
        """An entry, or None where the scope knows nothing of the address."""
        history = self._controller.history(scope, address)
        known = self._state.lease(scope, address) is not None or bool(history) or scope == MAC_SCOPE
        if not known and self._state.addresses.pool_of(scope, address) is None:
            return None
        return self.entry(scope, address) | {"history": [_event(row) for row in history]}


def read_address(text: str) -> Mac | IpAddress:
    """Read a MAC or an IP address. Raises Invalid."""
    try:
        return parse_mac(text)
    except InvalidMacAddress:
        pass
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        raise Invalid(f"'{text}' is neither a MAC nor an IP address.", target="address") from None


def _after(call: Call, pools: Sequence[Pool]) -> int | None:
    """Where the page begins: an address of the pools' own kind. Raises Invalid."""
    text = call.query.get("after")
    if not text:
        return None
    scope = pools[0].spec.scope if pools else ""
    try:
        if scope == MAC_SCOPE:
            return int(parse_mac(text))
        address = ipaddress.ip_address(text)
        if not scope or scope.startswith(f"ip{address.version}"):
            return int(address)
    except (InvalidMacAddress, ValueError):
        pass
    wanted = "a MAC" if scope == MAC_SCOPE else f"an IPv{scope[2]}" if scope else "an IP"
    raise Invalid(f"?after={text}: write {wanted} address, as in the nextLink of the page before.", target="after")


def _event(row: HistoryRow) -> dict[str, Any]:
    counted = {} if row.last is None else {"times": row.times, "lastTime": wall_text(row.last)}
    return {
        "time": wall_text(row.wall),
        "revision": row.revision,
        "event": row.event,
        "holder": row.holder or None,
        "machine": row.machine or None,
        "host": row.host or None,
        "actor": row.actor or None,
        "reason": row.reason or None,
        **counted,
    }
