"""The feed: from commits to frames, from acks to "which hosts have it".

Called by weft.control.controller after each commit and by the API's feed socket. A network's delta is encoded once and
the same bytes go to every session that needs the network; hosts without interest get nothing. All on one event loop; a
session that fails ends alone.
"""

import logging
from collections.abc import Callable, Iterable
from contextlib import suppress

from weft.control.frames import Frames, named
from weft.control.listening import Listening
from weft.control.recent import Recent, Touched, touched_by
from weft.control.session import Send, Session
from weft.core import policy, policy_host
from weft.core.changes import Commit, ResourceChange
from weft.core.policy_host import NO_MAC
from weft.core.policy_peers import networks_near
from weft.core.policy_places import VirtualMachine, has_mac, instance_of, mac_of
from weft.core.state import State
from weft.core.taken_addresses import Taken
from weft.model.errors import StoreUnavailable, WeftError
from weft.model.kinds import SERVERS
from weft.model.records import NeededNetwork, Record, RecordKey
from weft.model.values import InstanceId, Mac
from weft.store.store import Agent, Store
from weft.wire.messages import (
    HOST_STREAM,
    PROTOCOL,
    Ack,
    Captured,
    Facts,
    Hello,
    MayRun,
    MayRunAnswer,
    Resend,
    ToController,
)

log = logging.getLogger(__name__)

NEEDED = 12
"""First element of a NeededNetwork's key."""


class FeedRefused(WeftError):
    """The agent may not join: unknown server, second agent, other protocol. `retry` if that may pass by itself."""

    status = 409
    code = "FeedRefused"

    def __init__(self, reason: str, retry: bool) -> None:
        super().__init__(reason)
        self.retry = retry


class Publisher:
    """Sessions by server, networks' sequences, and who was missing when."""

    def __init__(self, state: State, store: Store, generation: str) -> None:
        self._state = state
        self._store = store
        self.generation = generation
        self._recent = Recent(state.revision)
        self._sessions: dict[str, Session] = {}
        self._subscribers: dict[int, dict[str, Session]] = {}
        self.frames = Frames(state)
        self._missed: dict[str, int] = {}
        """By managed server without an agent just now: the oldest revision that it may lack."""
        self.managed: dict[str, Agent] = {agent.server: agent for agent in store.agents()}
        self.returned: set[str] = set()
        """Servers whose agent has connected since the controller began."""
        self.listening = Listening()
        self.on_facts: Callable[[str], None] = _nobody
        """Called with the server, lower case, whose agent told its facts. Must not raise."""
        self.may_run: Callable[[str, MayRun], str] = _may_run
        self.captured: Callable[[Captured], None] = _nothing_captured
        """Asked with the server, lower case, whether another hand may start a machine there: why not."""
        for server in [name for name in self.managed if state.get(SERVERS.name, name) is None]:
            # deleted when the run before ended, or the disk was full
            self._forget(server)
        # what they had applied is not known until they are back
        self._missed.update((server, 1) for server in self.managed if any(state.machines_on(server)))
        self.delay_s = 0.0
        """Every frame waits this long before it goes out: for tests and the lab's delay-feed."""

    # joining and leaving

    def attach(self, hello: Hello, send: Send, wall: float) -> Session:
        """Let an agent in and queue what it lacks. The caller runs session.run(), then detach(). Raises FeedRefused."""
        server = self._admit(hello)
        self._remember(server, hello.hypervisor, wall)
        session = Session(hello, server, send, self.frames.full)
        session.delay_s = self.delay_s
        older = self._sessions.get(server)
        if older is not None:
            self.detach(older, "the same agent connected again")
        self._sessions[server] = session
        try:
            self._begin(session, hello)
        except BaseException:
            # half joined it would hold the place against every other agent of this server
            self.detach(session, "it could not be told its state")
            raise
        self._missed.pop(server, None)
        self.returned.add(server)
        self.listening.heard(server)
        return session

    def _admit(self, hello: Hello) -> str:
        if hello.protocol != PROTOCOL:
            raise FeedRefused(
                f"This controller speaks feed protocol {PROTOCOL}, the agent {hello.protocol}: run the same version of "
                "Weft on both.",
                retry=False,
            )
        server = hello.server.lower()
        if self._state.get(SERVERS.name, server) is None:
            raise FeedRefused(f"There is no server '{hello.server}': PUT it first, or correct --server.", retry=True)
        living = self._sessions.get(server)
        if living is not None and living.agent != hello.agent:
            raise FeedRefused(f"Another agent is connected as server '{hello.server}'.", retry=True)
        return server

    def _remember(self, server: str, hypervisor: str, wall: float) -> None:
        known = self.managed.get(server)
        if known is None or known.hypervisor != hypervisor:
            agent = Agent(server, hypervisor, wall if known is None else known.first_seen)
            self._store.remember_agent(agent)
            self.managed[server] = agent

    def _begin(self, session: Session, hello: Hello) -> None:
        cursors = {cursor.stream: cursor.revision for cursor in hello.cursors}
        if hello.generation != self.generation:
            cursors = {}
        self._recent.reach(cursors.values(), self._state, self._store)
        self._start_stream(session, HOST_STREAM, cursors.get(HOST_STREAM))
        needed = _networks(policy.host_stream(self._state, session.server).values())
        for rdid in needed:
            self._subscribe(session, rdid, cursors.get(rdid))
        for cursor in hello.cursors:
            if cursor.stream not in needed and cursor.stream != HOST_STREAM:
                session.drop(cursor.stream)

    def _start_stream(self, session: Session, stream: int, cursor: int | None) -> None:
        keys = None
        if cursor is not None and cursor <= self._state.revision:
            keys = self._recent.since(named(session, stream), cursor)
        if keys is None or cursor is None:
            session.need(stream)
            return
        session.resume(self.frames.missed(session, stream, keys), cursor)

    def _subscribe(self, session: Session, rdid: int, cursor: int | None = None) -> None:
        self._subscribers.setdefault(rdid, {})[session.server] = session
        self.frames.begin(rdid)
        self._start_stream(session, rdid, cursor)

    def detach(self, session: Session, reason: str = "the connection ended") -> None:
        """Forget a session; what it had not acked counts as missed."""
        if self._sessions.get(session.server) is session:
            del self._sessions[session.server]
            missing = session.missing()
            if missing is not None:
                self._missed[session.server] = missing
            for rdid in [rdid for rdid, members in self._subscribers.items() if session.server in members]:
                self._unsubscribe(session, rdid)
            self.listening.heard(session.server)
        session.end(reason)

    def _unsubscribe(self, session: Session, rdid: int) -> None:
        members = self._subscribers.get(rdid, {})
        members.pop(session.server, None)
        if not members:
            self._subscribers.pop(rdid, None)
            self.frames.end(rdid)

    # telling

    def committed(self, commit: Commit) -> None:
        """Send what a commit changed; the state is at its revision."""
        if not self.managed:
            self._recent.forget(commit.revision)
            return
        try:
            self._publish(commit)
        except Exception:
            self._begin_anew(commit)
            raise

    def _publish(self, commit: Commit) -> None:
        touched = touched_by(self._state, commit)
        self._recent.add(commit.revision, touched)
        self._note_missed(touched, commit.revision)
        for (kind, name), keys in touched.items():
            if kind == policy.HOST:
                self._publish_host(str(name), keys)
        for (kind, name), keys in touched.items():
            if kind == policy.NETWORK:
                self._publish_network(int(name), keys)
        self._end_deleted(commit)

    def _begin_anew(self, commit: Commit) -> None:
        """Nobody may miss a commit that cannot be told by itself: every agent comes back for all that it needs."""
        self._recent.forget(commit.revision)
        self.frames.forget_all()
        for session in list(self._sessions.values()):
            self.detach(session, "a change could not be told by itself")
        for server in self.managed:
            self._missed.setdefault(server, commit.revision)
        self._end_deleted(commit)

    def _note_missed(self, touched: Touched, revision: int) -> None:
        if len(self._sessions) == len(self.managed):
            return
        absent = self.managed.keys() - self._sessions.keys() - self._missed.keys()
        for server in absent:
            if (policy.HOST, server) in touched or not touched.keys().isdisjoint(self._networks_of(server)):
                self._missed[server] = revision

    def _networks_of(self, server: str) -> list[policy.Stream]:
        found = networks_near(self._state, server)
        return [(policy.NETWORK, one.properties.routing_domain_number) for one in found]

    def _publish_host(self, server: str, keys: set[RecordKey]) -> None:
        session = self._sessions.get(server)
        if session is None:
            return
        session.push(self.frames.of_host(session, keys))
        for key in keys:
            if key[0] != NEEDED:
                continue
            rdid = int(key[1])
            if policy.record(self._state, (policy.HOST, server), key) is None:
                self._unsubscribe(session, rdid)
                if session.needs(rdid):
                    session.drop(rdid)
            elif not session.needs(rdid):
                self._subscribe(session, rdid)

    def _publish_network(self, rdid: int, keys: set[RecordKey]) -> None:
        self.frames.forget(rdid)
        members = self._subscribers.get(rdid)
        if not members:
            return
        frame = self.frames.of_network(rdid, keys)
        for session in members.values():
            session.push(frame)

    def _end_deleted(self, commit: Commit) -> None:
        for change in commit.changes:
            if isinstance(change, ResourceChange) and change.kind == SERVERS.name and change.after is None:
                self._forget(change.id)

    def _forget(self, server: str) -> None:
        session = self._sessions.get(server)
        if session is not None:
            self.detach(session, "its server was deleted")
        self._missed.pop(server, None)
        if self.managed.pop(server, None) is not None:
            with suppress(StoreUnavailable):
                self._store.forget_agent(server)

    # asking

    def spelled(self, server: str) -> str:
        """The server's resource id as it was written."""
        resource = self._state.get(SERVERS.name, server)
        return server if resource is None else str(resource.resource_id)

    def sessions(self) -> tuple[Session, ...]:
        """Of all agents that are connected."""
        return tuple(self._sessions.values())

    def session(self, server: str) -> Session | None:
        return self._sessions.get(server.lower())

    def received(self, session: Session, message: ToController) -> None:
        """Take in what an agent says."""
        if isinstance(message, Ack):
            session.acked(message)
        elif isinstance(message, Facts):
            session.heard(message)
        elif isinstance(message, Resend):
            session.resend(message.stream)
        elif isinstance(message, Captured):
            self.captured(message)
            return
        elif isinstance(message, MayRun):
            session.say(MayRunAnswer(message.number, self.may_run(session.server, message)))
        self.listening.heard(session.server)
        if isinstance(message, Facts):
            self.on_facts(session.server)

    def port_ids(self, machine: VirtualMachine, server: str) -> list[str]:
        """instanceIds of the interfaces of a machine for which a server is told to have a port."""
        return [
            interface.instance_id.lower()
            for interface in policy_host.interfaces_of(self._state, machine)
            if policy_host.port_binding(self._state, machine, interface, server) is not None
        ]

    def adapters(self, machine: VirtualMachine) -> list[tuple[InstanceId, Mac]]:
        """instanceId and MAC address of each interface of a machine; 0 for one that has none yet."""
        return [
            (instance_of(interface), mac_of(interface) if has_mac(interface) else NO_MAC)
            for interface in policy_host.interfaces_of(self._state, machine)
        ]

    @property
    def connected(self) -> frozenset[str]:
        """Servers, lower case, whose agent is there."""
        return frozenset(self._sessions)

    @property
    def silent(self) -> frozenset[str]:
        """Servers, lower case, whose hypervisor does not answer their agent."""
        return frozenset(server for server, session in self._sessions.items() if session.silence)

    def taken_on(self, server: str) -> Taken:
        """Provider addresses of a server, lower case, that other machines have, as its agent tells."""
        session = self._sessions.get(server)
        return session.taken if session is not None else {}

    def missing(self, server: str) -> int | None:
        """The oldest revision that a managed server's host may not have applied; None if it has all that it needs.

        Of a host with machines that has not come back since the controller began nothing is known: it may lack all. One
        without is taken to have all that it needs.
        """
        session = self._sessions.get(server)
        return self._missed.get(server) if session is None else session.missing()

    def set_delay(self, seconds: float) -> None:
        """From now on every frame waits this long."""
        self.delay_s = seconds
        for session in self._sessions.values():
            session.delay_s = seconds


def _nobody(server: str) -> None:
    pass


def _nothing_captured(piece: Captured) -> None:
    pass


def _may_run(server: str, asked: MayRun) -> str:
    return ""


def _networks(records: Iterable[Record]) -> set[int]:
    return {int(record.rdid) for record in records if isinstance(record, NeededNetwork)}
