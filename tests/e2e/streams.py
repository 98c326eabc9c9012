"""A TCP connection of iperf3 between two guests, while something is done to them."""

import json
import os
import re
import signal
import tempfile

import msgspec

from tests.waiting import until

EVERY_S = 0.1
MORE_BYTES = 300_000
"""What is to come through before anything is done, and after it."""


class Streamed(msgspec.Struct, frozen=True):
    """What became of it."""

    ended_by: str
    """What the sender's iperf3 says: that it was told to end, or what went wrong."""
    arrived: tuple[int, ...]
    """Bytes that the other one got, by tenths of a second."""

    @property
    def longest_s(self) -> float:
        """For how long nothing arrived."""
        return EVERY_S * max(map(len, "".join("x" if one else " " for one in self.arrived).split("x")))


class Stream:
    """From its first bytes until `end`. iperf3 never connects anew: what arrives later is of the same connection."""

    def __init__(self, lab, giver, taker, address, mbps=5):
        self._lab, self._taker = lab, taker
        self._taken, self._given = tempfile.TemporaryFile(buffering=0), tempfile.TemporaryFile(buffering=0)
        server = ("iperf3", "-s", "-1", "-J", "-i", str(EVERY_S))
        self._server = lab.begin("exec", taker, "--", *server, stdout=self._taken)
        until(lambda: self._sockets("-Htln"), "nobody listens")
        # -t 0: until it is told to end. -l, -w: what iperf3 sends at once otherwise, 128 KB and more where it catches
        # up, overruns the queues of a userspace switch, where nothing moves too
        client = ("iperf3", "-c", address, "-b", f"{mbps}M", "-l", "8K", "-w", "32K", "-t", "0", "-J")
        self._client = lab.begin("exec", giver, "--", *client, stdout=self._given)
        until(lambda: self._received() > MORE_BYTES, "it does not begin")

    def _sockets(self, how):
        return self._lab.run("exec", self._taker, "--", "ss", how, "sport = :5201").strip()

    def _received(self):
        return max(map(int, re.findall(r"bytes_received:(\d+)", self._sockets("-Htin"))), default=0)

    def end(self):
        """Once more of it has come through."""
        wanted = self._received() + MORE_BYTES
        until(lambda: self._received() > wanted, "nothing comes any more")
        self._client.send_signal(signal.SIGINT)
        self._client.wait(20)
        self._server.wait(20)
        said, got = (json.loads(os.pread(file.fileno(), 1 << 24, 0)) for file in (self._given, self._taken))
        for file in (self._given, self._taken):
            file.close()
        return Streamed(said.get("error", ""), tuple(one["sum"]["bytes"] for one in got["intervals"]))
