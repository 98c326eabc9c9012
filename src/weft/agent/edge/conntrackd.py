"""Runs the conntrackd of each edge: what edge/replication.py wants, by level.

Called by edge/namespace.py. A daemon outlives the agent; whoever starts without memory knows it by the namespace it is
in, and what it was told by its file and by the alias of its link. Every step looks first.
"""

import asyncio
import contextlib
import json
import logging
import os
import shutil
import signal
import socket
import struct
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from weft.agent.edge import replication
from weft.agent.edge.commands import batch, run
from weft.agent.edge.wanted import PEERS, EdgeFailure
from weft.agent.programs import PATH
from weft.model.records import EdgeNetwork
from weft.model.values import Rdid, ip_text

log = logging.getLogger(__name__)

NETNS = Path("/run/netns")
PROGRAM = "conntrackd"
ANSWER_SECONDS = 5.0
"""So long after a question the others' answers may still be on their way."""
TAKE_SECONDS = 1.0
"""A network without its gateway waits no longer for connections: its daemon goes on with what it was asked, and is
asked again with the next look."""
FOUND_SECONDS = 1.0
_COMMIT = struct.pack("=i", 18)
"""What its own client sends for -c, since 2007: hundreds are told at once, and a program takes 3 ms for each."""
LEISURE_SECONDS = 1.0
"""After the last network was taken over: what can wait, does."""


class Asked(NamedTuple):
    """When the other gateways of a network were asked for all connections that they know."""

    splits: int
    """After so many: Wanted.splits."""
    at: float


class Conntrackd:
    """Of one host. Calls for different networks may run together."""

    def __init__(self, folder: Path, now: Callable[[], float], program: str = PROGRAM) -> None:
        """`folder` is short enough for a socket in it: 107 characters with its name (unix(7)). `now`: seconds that
        never go back."""
        self._folder = folder
        self._now = now
        self._program = program
        self._asked: dict[Rdid, Asked] = {}
        self._taken_at: dict[Rdid, float] = {}
        self._pids: dict[Rdid, int] = {}
        self._ended: set[Rdid] = set()
        self._carries: dict[Rdid, bool] = {}
        """What is still to be told."""
        self._untold: dict[Rdid, bool] = {}
        """What could not be told."""
        self._not_before = 0.0
        self._working: asyncio.Task[None] | None = None
        self._found: dict[int, list[int]] = {}
        """Daemons by namespace, as they were at some time."""
        self._found_at = -FOUND_SECONDS

    async def keep(self, name: str, edge: EdgeNetwork, splits: int = 0, *, fresh: bool = False) -> None:
        """The daemon of the edge in this namespace as it should be, and the others asked since it started and since
        the last of so many splits; none where nobody has to know its connections. `fresh`: the namespace was made just
        now. Raises EdgeFailure."""
        if not replication.peers(edge):
            await self.end(name, edge.rdid)
            return
        if shutil.which(self._program, path=PATH) is None:
            raise EdgeFailure(
                f"{self._program} is not on this host: connections behind nat that only the other side keeps up would "
                "end with a fail-over (apt-get install conntrackd)"
            )
        told = self._config(edge)
        linked = await self._link(name, edge, fresh)
        if linked or self._told(edge.rdid) != told or not self._runs(name, edge.rdid):
            if not fresh:
                _stop(name)
            await self._start(name, edge.rdid, told)
        if not self._has_asked(edge.rdid, splits):
            # another gateway may have had the network while the daemon or this agent was dead, or both had it
            await self._say(edge.rdid, "-n")
            self._asked[edge.rdid] = Asked(splits, self._now())
        carries = self._untold.get(edge.rdid)
        # to tell empties what was heard: not before that is taken
        if carries is False or carries and not self.is_to_take(edge.rdid):
            self.later(edge.rdid, carries)

    def _has_asked(self, rdid: Rdid, splits: int) -> bool:
        return rdid in self._asked and self._asked[rdid].splits == splits

    def is_kept(self, name: str, edge: EdgeNetwork, splits: int = 0) -> bool:
        """Is all as `keep` makes it? Its link is not looked at."""
        if not replication.peers(edge):
            return edge.rdid in self._ended and not self._told(edge.rdid)
        runs = self._told(edge.rdid) == self._config(edge) and self._runs(name, edge.rdid)
        return runs and self._has_asked(edge.rdid, splits) and edge.rdid not in self._untold

    def is_to_take(self, rdid: Rdid) -> bool:
        """May what the others answered not be taken whole yet?"""
        asked, taken_at = self._asked.get(rdid), self._taken_at.get(rdid)
        return asked is not None and (taken_at is None or taken_at < asked.at + ANSWER_SECONDS)

    async def take(self, rdid: Rdid) -> None:
        """What the others told becomes connections of this kernel. Before the outer addresses come. Raises
        EdgeFailure."""
        if not self._told(rdid):
            return
        self._taken_at.pop(rdid, None)
        try:
            async with asyncio.timeout(TAKE_SECONDS):
                said, asks = await asyncio.open_unix_connection(self._file(rdid, "ctl"))
                try:
                    asks.write(_COMMIT)
                    await said.read()  # it hangs up when it is done
                finally:
                    asks.close()
        except TimeoutError as error:
            raise EdgeFailure(
                f"{self._program} of edge {rdid} did not take its connections over in {TAKE_SECONDS:g} s"
            ) from error
        except OSError as error:
            raise EdgeFailure(f"{self._program} of edge {rdid} does not do it: {error}") from error
        self._taken_at[rdid] = self._now()

    async def tell(self, rdid: Rdid) -> None:
        """This gateway has taken the network over: what is known is what its kernel has, and the others hear all of
        it."""
        if self._told(rdid):
            for word in ("-f", "-R", "-B"):
                await self._say(rdid, word)

    async def leave(self, rdid: Rdid) -> None:
        """Another gateway has the network again: what this kernel knows of its connections ages soon."""
        if self._told(rdid):
            await self._say(rdid, "-t")

    def later(self, rdid: Rdid, carries: bool) -> None:
        """Tell or leave, by whether this gateway carries the network now, after everything that is more urgent: one
        network at a time, the last word counts."""
        self._not_before = self._now() + LEISURE_SECONDS
        for known in (self._carries, self._untold):
            known.pop(rdid, None)
        self._carries[rdid] = carries
        if self._working is None or self._working.done():
            self._working = asyncio.create_task(self._work())

    async def settled(self) -> None:
        """Everybody was told."""
        if self._working is not None and not self._working.done():
            await asyncio.wait([self._working])

    def close(self) -> None:
        """The daemons go on; what is still to be told to them is not."""
        if self._working is not None:
            self._working.cancel()

    async def _work(self) -> None:
        while self._carries:
            if (leisure_s := self._not_before - self._now()) > 0:
                await asyncio.sleep(leisure_s)
                continue
            rdid = next(iter(self._carries))
            carries = self._carries.pop(rdid)
            try:
                await (self.tell(rdid) if carries else self.leave(rdid))
            except EdgeFailure as failure:
                # again when its daemon was looked at, unless there is another word meanwhile
                log.warning("connections: %s", failure)
                if rdid not in self._carries:
                    self._untold[rdid] = carries

    async def end(self, name: str, rdid: Rdid) -> None:
        """None of it, also of what a lost file would have named."""
        if rdid in self._ended and not self._told(rdid):
            return
        self._ended.add(rdid)
        for known in (self._carries, self._untold, self._asked, self._taken_at):
            known.pop(rdid, None)
        _stop(name)
        await run(["ip", "-n", name, "link", "del", "dev", PEERS], check=False)
        for kind in ("lock", "ctl", "conf"):
            self._file(rdid, kind).unlink(missing_ok=True)

    async def _link(self, name: str, edge: EdgeNetwork, fresh: bool) -> bool:
        """The way to the others; whether it was made now. Its alias comes last, so it is whole if it bears that."""
        others = " ".join(map(ip_text, (edge.provider_address, *replication.peers(edge))))
        alias = f"weft {edge.vsid} {others}"
        looking = ["ip", "-n", name, "-j", "link", "show", "dev", PEERS]
        shown = "" if fresh else await run(looking, check=False)
        if shown.strip() and json.loads(shown)[0].get("ifalias") == alias:
            return False
        if shown.strip():
            await run(["ip", "-n", name, "link", "del", "dev", PEERS])
        if any(link == replication.host_name(edge) for _, link in socket.if_nameindex()):
            await run(["ip", "link", "del", "dev", replication.host_name(edge)], check=False)
        await batch(["ip", "-batch", "-"], replication.lines_of_host(edge, name))
        await batch(["ip", "-n", name, "-batch", "-"], replication.lines_of_namespace(edge))
        await batch(["bridge", "-n", name, "-batch", "-"], replication.forwarding(edge))
        await run(["ip", "-n", name, "link", "set", "dev", PEERS, "alias", alias])
        return True

    async def _start(self, name: str, rdid: Rdid, told: str) -> None:
        self._ended.discard(rdid)
        self._pids.pop(rdid, None)
        self._found_at = -FOUND_SECONDS
        self._folder.mkdir(parents=True, exist_ok=True)
        for kind in ("lock", "ctl"):
            self._file(rdid, kind).unlink(missing_ok=True)
        self._file(rdid, "conf").write_text(told)
        await run(["nsenter", f"--net={NETNS / name}", self._program, "-C", str(self._file(rdid, "conf")), "-d"])
        self._asked.pop(rdid, None)

    async def _say(self, rdid: Rdid, word: str) -> None:
        await run([self._program, "-C", str(self._file(rdid, "conf")), word])

    def _runs(self, name: str, rdid: Rdid) -> bool:
        """Is a daemon in this namespace? To know it without memory every process is looked at, once for all edges."""
        space = (NETNS / name).stat().st_ino
        now = self._now()
        if rdid not in self._pids and now > self._found_at + FOUND_SECONDS:
            self._found, self._found_at = _daemons(), now
        pid = self._pids.get(rdid) or next(iter(self._found.get(space, ())), None)
        if pid is None or not _is_in(pid, space):
            self._pids.pop(rdid, None)
            return False
        self._pids[rdid] = pid
        return True

    def _config(self, edge: EdgeNetwork) -> str:
        return replication.config(edge, self._file(edge.rdid, "ctl"), self._file(edge.rdid, "lock"))

    def _told(self, rdid: Rdid) -> str:
        """What its daemon was told; empty for none."""
        try:
            return self._file(rdid, "conf").read_text()
        except FileNotFoundError:
            return ""

    def _file(self, rdid: Rdid, kind: str) -> Path:
        return self._folder / f"{rdid}.{kind}"


def _stop(name: str) -> None:
    """A namespace lasts as long as one is in it."""
    for pid in _daemons().get((NETNS / name).stat().st_ino, ()):
        with contextlib.suppress(ProcessLookupError):  # it has just ended by itself
            os.kill(pid, signal.SIGKILL)


def _daemons() -> dict[int, list[int]]:
    """Every conntrackd by its namespace's number: one in an edge's is ours, as the namespace is."""
    found: dict[int, list[int]] = {}
    for one in Path("/proc").iterdir():
        if one.name.isdigit() and (space := _space_of(int(one.name))):
            found.setdefault(space, []).append(int(one.name))
    return found


def _is_in(pid: int, space: int) -> bool:
    return _space_of(pid) == space


def _space_of(pid: int) -> int:
    """The namespace of a conntrackd; 0 for none."""
    entry = Path("/proc", str(pid))
    try:
        return (entry / "ns/net").stat().st_ino if (entry / "comm").read_text().strip() == PROGRAM else 0
    except OSError:
        return 0
