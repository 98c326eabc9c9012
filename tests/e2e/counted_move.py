"""A move of a booted machine under 100 pings a second from host1, each followed by its number from port to port."""

import msgspec

from tests.e2e.booted import downtime_s, moved
from tests.e2e.counted import counting, held, overrun, whereabouts
from tests.e2e.labs import INTERVAL, Pinging, Silence

SLACK_S = 0.5
"""What lies in the guest's queues when it is held, it may not have answered; generous, for a busy machine."""


class Counted(msgspec.Struct, frozen=True):
    """What became of the pings of one move."""

    silence: Silence
    own_s: float
    """How long QEMU says that it held the machine."""
    held_s: float
    """From QEMU's STOP at the source to its RESUME at the destination."""
    sent: set[int]
    at_source: set[int]
    at_destination: set[int]
    sent_on: int
    """So many were at the new port while QEMU held the machine."""
    missed: dict[int, dict]
    """Came to the machine's port on neither host: where they were, on each host."""
    to_kernel: set[int]
    """A host's switch took them for the host's own: it reads the host's routes anew when a port of libvirt's comes or
    goes, and has no tunnels meanwhile."""
    overrun: int
    """Frames that a switch did not take in time, of all that came to both hosts."""
    unreturned: list[int]
    """Answered, and the answer did not come to host1's port."""
    unanswered: dict[int, float]
    """Came to a port of the machine and were not answered: so long after STOP."""

    def words(self):
        held = f"held for {self.held_s:.3f} s, by QEMU's own word {self.own_s:.3f} s"
        ports = f"{len(self.at_source)} at its port of before, {len(self.at_destination)} at the new one"
        late = f"{self.sent_on} of them while it was held; at neither {self.missed}"
        lost = f"{self.silence.lost} of {self.silence.sent} pings lost, silent for {self.silence.longest_s:.2f} s"
        ports += f", {len(self.to_kernel)} given to a host's kernel, {self.overrun} frames not taken"
        return f"{lost}; {held}; {ports}, {late}; not answered, so long after STOP: {self.unanswered}"


def move(lab, folder, source, destination, *, late_s):
    """Move web1, which has 10.1.1.21, while the feed to all hosts is late by so much."""
    folder.mkdir()
    hosts = ("host1", source, destination)
    before = overrun(lab, source) + overrun(lab, destination)
    with counting(lab, folder, hosts, "10.1.1.21") as seen, held(lab, folder, "web1", source, destination) as pause:
        pinging = Pinging(lab, "peer", "10.1.1.21")
        lab.run("delay-feed", str(late_s))
        lab.weft("vm", "migrate", "web1", "--to", destination)
        moved(lab, "web1")
        silence, own_s = pinging.end(), downtime_s(lab, destination, "web1")
        lab.run("delay-feed", "0")
        stopped, resumed = pause()
        every = peer, there, here = seen()
    sent = {number for number in peer.requests if number <= silence.sent}
    given, answered = here.requests | there.requests, there.replies | here.replies
    return Counted(
        silence,
        own_s,
        resumed - stopped,
        sent,
        sent & there.requests.keys(),
        sent & here.requests.keys(),
        sum(stopped < at < resumed for at in here.requests.values()),
        whereabouts(sent - given.keys(), dict(zip(hosts, every, strict=True))),
        {n for one in every for kind, n in one.to_kernel if kind == "request"},
        overrun(lab, source) + overrun(lab, destination) - before,
        sorted(sent & answered.keys() - peer.replies.keys()),
        {n: round(given[n] - stopped, 3) for n in sorted(sent & given.keys() - answered.keys())},
    )


def assert_no_packet_lost(counted):
    """But by QEMU, while it held the machine."""
    print(counted.words())
    assert len(counted.sent) == counted.silence.sent, "all that was sent reached host1"
    assert min(len(counted.at_source), len(counted.at_destination)) > 50
    assert counted.sent_on > 0, "what came meanwhile waited at the port where the machine goes on"
    assert counted.overrun == 0, "what a switch did not take may have been anybody's"
    assert counted.missed.keys() <= counted.to_kernel, "all else came to its port, on one host or the other"
    assert counted.unreturned == [], "all that it answered came back"
    over = counted.held_s + SLACK_S
    assert [number for number, after in counted.unanswered.items() if not -SLACK_S < after < over] == []
    # above what QEMU held it for is ours, and the scheduler's on a busy machine
    assert counted.silence.longest_s < counted.own_s + 1.0 and counted.silence.lost * INTERVAL < counted.own_s + 1.0
