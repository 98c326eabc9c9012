"""Open vSwitch's database: a thread of its own follows it, and changes it by transactions.

Called by ovs/switch.py. Only the thread touches the IDL; what it has seen leaves it as values. `rows()` is the last
seen state, `changed` is called in the event loop after each change and when the server went away or came back,
`transact` waits for the server's answer.
"""

import asyncio
import json
import os
import queue
import select
import socket
import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import msgspec
import ovs.db.idl
import ovs.poller

from weft.agent.switch import SwitchUnavailable

MARK = "weft"
"""external_ids key of every port and interface of ours; the value says what it is."""
MTU_MARK = "weft-mtu"
"""other_config key of an interface whose MTU we set, with that MTU."""
ANSWER_SECONDS = 10.0
PROBE_MS = 5000
"""A server that says nothing for this long is asked whether it lives; twice as long, and it counts as gone."""
LONGEST_PAUSE_MS = 1000
"""Between two attempts to reach the server again."""
SCHEMA_SECONDS = 2.0
_TRIES = 3

Work = Callable[["Tables"], None]
"""Runs in the database's thread, inside a transaction; may run again."""


class PortTaken(Exception):
    """A port has a name of ours but is another hand's; the message says whose sign is missing."""


class Interface(msgspec.Struct, frozen=True):
    """A row of table Interface that belongs to the bridge."""

    name: str
    kind: str
    ofport: int
    mtu: int
    mtu_of_ours: int
    external_ids: dict[str, str]
    options: dict[str, str]
    error: str


class OtherInterface(msgspec.Struct, frozen=True):
    """An interface of another bridge. `attached_mac` as another hand wrote it, or of a tap itself; empty if none."""

    name: str
    bridge: str
    ofport: int
    vlan: int
    attached_mac: str
    kind: str = ""
    """Its type; empty for a device of the system."""


class Rows(msgspec.Struct, frozen=True):
    """What the database says of one bridge, and of the interfaces of the others."""

    interfaces: tuple[Interface, ...]
    datapath_type: str
    others: tuple[OtherInterface, ...] = ()


class Tables:
    """The bridge as a transaction sees it; everything is idempotent."""

    def __init__(self, idl: Any, txn: Any, bridge: str) -> None:
        self._idl = idl
        self._txn = txn
        self._bridge = bridge

    def bridges(self) -> list[Any]:
        """All of the switch, by name."""
        return sorted(self._idl.tables["Bridge"].rows.values(), key=lambda row: str(row.name))

    def bridge(self) -> Any:
        for row in self.bridges():
            if row.name == self._bridge:
                return row
        raise SwitchUnavailable(f"there is no bridge {self._bridge}")

    def put_tunnel(self, name: str, kind: str, options: dict[str, str]) -> None:
        """Add a tunnel port with our mark, or set it right. Raises PortTaken if another hand has one of that name."""
        interface = self._find("Interface", name)
        if interface is not None:
            self._check_ours(name)
        else:
            interface = self.add_port(self.bridge(), name, "tunnel")
        interface.type = kind
        interface.options = options
        interface.external_ids = {MARK: "tunnel"}

    def add_port(self, bridge: Any, name: str, mark: str) -> Any:
        """A port of ours on a bridge; returns its interface, whose type and options are still to be set."""
        interface = self._txn.insert(self._idl.tables["Interface"])
        interface.name = name
        interface.external_ids = {MARK: mark}
        port = self._txn.insert(self._idl.tables["Port"])
        port.name = name
        port.interfaces = [interface]
        port.external_ids = {MARK: mark}
        bridge.verify("ports")
        bridge.ports = [*bridge.ports, port]
        return interface

    def _check_ours(self, name: str) -> None:
        bridge = self.bridge()
        for port in bridge.ports:
            for row in (port, *port.interfaces):
                if row.name == name and row.external_ids.get(MARK) == "tunnel":
                    return  # one of the two is enough: a hand that cleared the other has not made the port its own
        here = any(row.name == name for port in bridge.ports for row in port.interfaces)
        why = f"has no external_ids:{MARK}=tunnel" if here else f"is on another bridge than {self._bridge}"
        raise PortTaken(f"port {name} {why}, so it is another's and stays as it is; remove or rename it")

    def remove_port(self, name: str) -> None:
        bridge = self.bridge()
        bridge.verify("ports")
        bridge.ports = [port for port in bridge.ports if port.name != name]

    def set_mtu(self, name: str, mtu: int) -> None:
        interface = self._find("Interface", name)
        if interface is not None:
            interface.mtu_request = mtu
            # not in external_ids: those are the hypervisor's, which may clear them
            interface.setkey("other_config", MTU_MARK, str(mtu))

    def mark_bridge(self, protocols: tuple[str, ...]) -> None:
        """Let the bridge speak these protocols too, and drop what no flow matches."""
        bridge = self.bridge()
        missing = [protocol for protocol in protocols if protocol not in bridge.protocols]
        if missing and bridge.protocols:  # none named means all
            bridge.protocols = [*bridge.protocols, *missing]
        if bridge.fail_mode != ["secure"]:
            bridge.fail_mode = "secure"
        if bridge.external_ids.get(MARK) != "integration":
            bridge.setkey("external_ids", MARK, "integration")

    def _find(self, table: str, name: str) -> Any:
        return next((row for row in self._idl.tables[table].rows.values() if row.name == name), None)


_COLUMNS = {
    "Bridge": ["name", "ports", "datapath_type", "protocols", "fail_mode", "external_ids"],
    "Port": ["name", "interfaces", "tag", "external_ids"],
    "Interface": [
        "name",
        "type",
        "ofport",
        "mtu",
        "mtu_request",
        "mac_in_use",
        "external_ids",
        "other_config",
        "options",
        "error",
    ],
}


class OvsDatabase:
    """Follows one bridge from `start` to `close`."""

    def __init__(self, path: str, bridge: str, changed: Callable[[], None]) -> None:
        self._path = path
        self._remote = f"unix:{path}"
        self._bridge = bridge
        self._changed = changed
        self._rows: Rows | None = None
        self.answers = False
        """Is there a connection to the server? What is known without one may be old."""
        self._jobs: queue.SimpleQueue[tuple[Work, asyncio.Future[None]]] = queue.SimpleQueue()
        self._wake_read, self._wake_write = os.pipe()
        self._closing = False
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._follow, name="ovsdb", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def rows(self) -> Rows:
        """Raises SwitchUnavailable until the database has been read, and while its server is gone."""
        if self._rows is None:
            raise SwitchUnavailable(f"{self._remote}: the database does not answer, or has no bridge {self._bridge}")
        if not self.answers:
            raise SwitchUnavailable(f"{self._remote}: the database does not answer; {_meanwhile(self._rows)}")
        return self._rows

    async def transact(self, work: Work) -> None:
        """Raises SwitchUnavailable if it was not committed, PortTaken if the work refused."""
        future: asyncio.Future[None] = self._loop.create_future()
        self._jobs.put((work, future))
        self._poke()
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await future
        except TimeoutError as error:
            raise SwitchUnavailable(f"{self._remote}: the database does not answer") from error

    async def close(self) -> None:
        self._closing = True
        self._poke()
        if self._thread.ident is not None:
            await asyncio.to_thread(self._thread.join, ANSWER_SECONDS)
        os.close(self._wake_read)
        os.close(self._wake_write)

    def _poke(self) -> None:
        os.write(self._wake_write, b".")

    # in the thread

    def _follow(self) -> None:
        idl = self._open()
        seen = None
        while not self._closing and idl is not None:
            idl.run()
            answers = idl.change_seqno != 0 and idl._session.is_connected()
            if idl.change_seqno != seen or answers != self.answers:
                seen = idl.change_seqno
                self._publish(idl, answers)
            self._do_jobs(idl)
            poller = ovs.poller.Poller()
            idl.wait(poller)
            poller.fd_wait(self._wake_read, select.POLLIN)
            if idl.change_seqno == seen and self._jobs.empty():
                poller.block()
            self._drain()
        if idl is not None:
            idl.close()

    def _open(self) -> Any:
        """The schema comes from the server: wait for it."""
        while not self._closing:
            try:
                helper = ovs.db.idl.SchemaHelper(schema_json=_schema(self._path))
            except (OSError, ValueError):
                self._refuse_jobs()
                select.select([self._wake_read], [], [], 0.2)
                self._drain()
                continue
            for table, columns in _COLUMNS.items():
                helper.register_columns(table, columns)
            idl = ovs.db.idl.Idl(self._remote, helper, probe_interval=PROBE_MS)
            idl._session.reconnect.set_backoff(LONGEST_PAUSE_MS // 4, LONGEST_PAUSE_MS)
            return idl
        return None

    def _drain(self) -> None:
        while select.select([self._wake_read], [], [], 0)[0]:
            os.read(self._wake_read, 4096)

    def _publish(self, idl: Any, answers: bool) -> None:
        bridge = next((row for row in idl.tables["Bridge"].rows.values() if row.name == self._bridge), None)
        rows = None
        if bridge is not None:
            found = [_interface(row) for port in bridge.ports for row in port.interfaces if row.name != self._bridge]
            others = [one for row in idl.tables["Bridge"].rows.values() if row is not bridge for one in _others(row)]
            rows = Rows(
                tuple(sorted(found, key=lambda one: one.name)),
                bridge.datapath_type,
                tuple(sorted(others, key=lambda one: (one.bridge, one.name))),
            )
        if rows != self._rows or answers != self.answers:
            self._rows, self.answers = rows, answers
            self._call(self._changed)

    def _call(self, function: Callable[[], None]) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(function)

    def _do_jobs(self, idl: Any) -> None:
        while not self._jobs.empty():
            work, future = self._jobs.get()
            error = self._commit(idl, work)
            self._call(partial(_settle, future, error))

    def _refuse_jobs(self) -> None:
        while not self._jobs.empty():
            _, future = self._jobs.get()
            error = SwitchUnavailable(f"{self._remote}: the database does not answer")
            self._call(partial(_settle, future, error))

    def _commit(self, idl: Any, work: Work) -> SwitchUnavailable | PortTaken | None:
        # without a connection commit_block would wait for the next one
        if not (idl.has_ever_connected() and idl._session.is_connected()):
            return SwitchUnavailable(f"{self._remote}: the database does not answer")
        status = ovs.db.idl.Transaction.TRY_AGAIN
        for _ in range(_TRIES):
            txn = ovs.db.idl.Transaction(idl)
            try:
                work(Tables(idl, txn, self._bridge))
            except (SwitchUnavailable, PortTaken) as refused:
                txn.abort()
                return refused
            status = txn.commit_block()
            if status in (txn.SUCCESS, txn.UNCHANGED):
                return None
            if status != txn.TRY_AGAIN:
                return SwitchUnavailable(f"{self._remote}: {txn.get_error()}")
            idl.run()
        return SwitchUnavailable(f"{self._remote}: {status}")


def _meanwhile(rows: Rows) -> str:
    """What ovs-vswitchd does while it has no database: its main loop stands still, which moves a userspace datapath's
    packets and answers OpenFlow. A kernel datapath does not need it for what it has learnt."""
    stopped = "the switch takes no change until it is back"
    return f"{stopped}, and its userspace datapath forwards nothing" if rows.datapath_type == "netdev" else stopped


def _schema(path: str) -> Any:
    """The server's schema as JSON (RFC 7047 section 4.1.2). Raises OSError, ValueError while it does not answer."""
    request = {"method": "get_schema", "params": ["Open_vSwitch"], "id": 0}
    answer = b""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
        server.settimeout(SCHEMA_SECONDS)
        server.connect(path)
        server.sendall(json.dumps(request).encode())
        while chunk := server.recv(1 << 16):
            answer += chunk
            try:
                reply = json.loads(answer)
            except ValueError:
                continue
            if not isinstance(reply.get("result"), dict):
                raise ValueError(f"{path}: no schema: {reply.get('error')}")
            return reply["result"]
    raise ConnectionError(f"{path}: the server hung up")


def _settle(future: "asyncio.Future[None]", error: SwitchUnavailable | PortTaken | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(None)
    else:
        future.set_exception(error)


def _interface(row: Any) -> Interface:
    return Interface(
        row.name,
        row.type,
        row.ofport[0] if row.ofport else 0,
        row.mtu[0] if row.mtu else 0,
        int(row.other_config.get(MTU_MARK, "0")),
        dict(row.external_ids),
        dict(row.options),
        row.error[0] if row.error else "",
    )


_TAP = ("tap",)
"""Interface types whose own address is that of the machine behind them."""


def _others(bridge: Any) -> Iterator[OtherInterface]:
    """Its interfaces, without its own port and patches to other bridges."""
    for port in bridge.ports:
        for row in port.interfaces:
            if row.name == bridge.name or row.type == "patch":
                continue
            mac = row.external_ids.get("attached-mac", "")
            if not mac and row.type in _TAP and row.mac_in_use:
                mac = row.mac_in_use[0]
            vlan = port.tag[0] if port.tag else 0
            yield OtherInterface(row.name, bridge.name, row.ofport[0] if row.ofport else 0, vlan, mac, row.type)
