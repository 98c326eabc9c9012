"""Whether tunnels reach other hosts: two agents' probes over a way that lets pass what the test says."""

import msgspec
import pytest

from weft.agent.asking import REACH
from weft.agent.flows.actions import Output, SetField
from weft.agent.flows.fields import TUN_DST, TUN_ID, TUN_SRC
from weft.agent.flows.ways import Way
from weft.agent.reach import EVERY_SECONDS, FIRST_SECONDS, MOST_IN_A_TURN, MOST_PROBLEMS, Other, Reach
from weft.agent.switch import PacketIn, PacketOut, Tunnel
from weft.model.values import PackedIp, pack_ip

ONE, TWO = pack_ip("192.168.1.10"), pack_ip("192.168.2.20")


def other(remote: PackedIp = TWO, kind: str = "gre") -> Other:
    return Other(Way(Tunnel(kind), 6, source=ONE), remote)


class Path:
    """A host that asks, one that answers, and what is between. `mtu` is that of outer packets, 0 lets none pass."""

    def __init__(self, kind: str = "gre", mtu: int = 1500) -> None:
        self.near, self.far = Reach(), Reach()
        self.others = frozenset({other(kind=kind)})
        self.mtu = mtu
        self.now = 0.0
        self.sent = 0
        self._headers = 28 if kind == "gre" else 36

    def carried(self, packet: PacketOut, source: PackedIp) -> PacketIn | None:
        fields = {one.field: one.value for one in packet.actions if isinstance(one, SetField)}
        assert isinstance(packet.actions[-1], Output)
        self.sent += 1
        if len(packet.frame) + self._headers > self.mtu:
            return None
        return PacketIn(packet.frame, REACH, 6, ((TUN_ID, fields[TUN_ID]), (TUN_SRC, int.from_bytes(source))))

    def run(self, seconds: float) -> list[str]:
        until = self.now + seconds
        while self.now < until:
            self.now += 0.5
            for asked in self.near.turn(self.others, 1500, self.now):
                arrived = self.carried(asked, ONE)
                for answer in self.far.heard(arrived, self.now) if arrived else ():
                    assert SetField(TUN_DST, int.from_bytes(ONE)) in answer.actions
                    back = self.carried(answer, TWO)
                    assert back is None or not list(self.near.heard(back, self.now))
        return self.near.words()


@pytest.mark.parametrize("kind", ["gre", "vxlan"])
def test_a_host_that_answers_costs_two_packets_a_minute(kind: str) -> None:
    path = Path(kind)
    assert path.run(FIRST_SECONDS + 1) == []
    assert path.sent == 2
    path.run(EVERY_SECONDS)
    assert path.sent == 4
    assert path.near.silent == []


@pytest.mark.parametrize(("kind", "said"), [("gre", "GRE (IP protocol 47)"), ("vxlan", "VXLAN (UDP port 4789)")])
def test_what_is_blocked_is_told_apart_from_a_host_that_is_not_there(kind: str, said: str) -> None:
    path = Path(kind, mtu=0)
    assert path.run(30) == []
    assert path.near.silent == list(path.others)
    path.near.pinged(other(kind=kind), answers=True)
    assert path.near.words()[0].startswith(f"{said} blocked between 192.168.1.10 and 192.168.2.20: ")
    assert path.near.silent == []
    path.mtu = 1500
    assert path.run(EVERY_SECONDS + 5) == []
    path.mtu = 0
    path.run(2 * EVERY_SECONDS)
    path.near.pinged(other(kind=kind), answers=False)
    assert path.near.words()[0].startswith("no answer from 192.168.2.20 to 192.168.1.10")


@pytest.mark.parametrize("kind", ["gre", "vxlan"])
@pytest.mark.parametrize("mtu", [1499, 1400, 1000, 600])
def test_the_size_that_passes_is_found(kind: str, mtu: int) -> None:
    path = Path(kind, mtu)
    (words,) = path.run(60)
    passes = int(words.split(": ")[1].split(",")[0])
    assert words == (f"MTU too small between 192.168.1.10 and 192.168.2.20: {passes}, needs 1500; raise it on the way")
    assert 0 <= mtu - passes <= 8
    assert path.sent < 50
    path.mtu = 1500
    assert path.run(EVERY_SECONDS + 5) == []


def test_an_answer_counts_only_from_the_host_that_was_asked() -> None:
    reach, others = Reach(), frozenset({other()})
    assert list(reach.turn(others, 1500, -FIRST_SECONDS)) == []
    (asked,) = reach.turn(others, 1500, FIRST_SECONDS)
    came = PacketIn(asked.frame, REACH, 6, ((TUN_SRC, int.from_bytes(ONE)),))
    (answer,) = Reach().heard(came, 0.0)
    liar = int.from_bytes(pack_ip("192.168.9.9"))
    list(reach.heard(PacketIn(answer.frame, REACH, 6, ((TUN_SRC, liar),)), FIRST_SECONDS))
    assert list(reach.turn(others, 1500, FIRST_SECONDS + 0.1)) == []
    assert len(list(reach.turn(others, 1500, FIRST_SECONDS + 1))) == 1, "it is asked again: nobody has answered"


@pytest.mark.parametrize("frame", [b"", bytes(20), bytes(200), b"\x02weft\x02" * 2 + b"\x88\xb5weft\x03" + bytes(60)])
def test_other_frames_are_not_answered(frame: bytes) -> None:
    assert list(Reach().heard(PacketIn(frame, REACH, 6, ((TUN_SRC, 1),)), 0.0)) == []


def test_many_hosts_are_asked_by_and_by_and_told_in_a_bounded_list() -> None:
    reach = Reach()
    others = frozenset(other(PackedIp((0x0A000000 + n).to_bytes(4))) for n in range(300))
    assert len(list(reach.turn(others, 1500, 0.0))) < MOST_IN_A_TURN
    now, most = 0.0, 0
    while now < 60:
        now += 1
        most = max(most, len(list(reach.turn(others, 1500, now))))
    assert most == MOST_IN_A_TURN
    while len(reach.silent) < 300:
        now += 1
        list(reach.turn(others, 1500, now))
    for one in reach.silent:
        reach.pinged(one, answers=False)
    assert len(reach.words()) == MOST_PROBLEMS + 1
    assert reach.words()[-1] == "280 other hosts are not reached either"
    assert list(reach.turn(frozenset(), 1500, now)) == [] and reach.words() == []


def test_a_host_with_few_others_asks_them_at_once() -> None:
    reach = Reach()
    others = frozenset({other()})
    assert list(reach.turn(others, 1500, 0.0)) == []
    assert len(list(reach.turn(others, 1500, 1.0))) == 1


def test_hosts_are_called_by_name_and_those_that_cannot_answer_are_not_asked() -> None:
    named = Other(Way(Tunnel("gre"), 6, source=ONE), TWO, "host2", own="host1")
    mute = Other(Way(Tunnel("gre"), 6, source=ONE), pack_ip("192.168.2.30"), "hv1", probed=False, own="host1")
    near = Reach()
    asked = []
    for second in range(60):
        asked += near.turn(frozenset({named, mute}), 1500, float(second))
    assert {one.value for packet in asked for one in packet.actions if getattr(one, "field", None) is TUN_DST} == {
        int.from_bytes(TWO)
    }
    assert near.silent == [named]
    near.pinged(named, answers=True)
    (words,) = near.words()
    assert words.startswith("GRE (IP protocol 47) blocked between host1 (192.168.1.10) and host2 (192.168.2.20): ")
    (words,) = Reach.unprobed(frozenset({named, mute}))
    assert words.startswith("hv1 (192.168.2.30): not probed: its agent answers no probes")
    list(near.turn(frozenset({msgspec.structs.replace(named, probed=False)}), 1500, 100.0))
    assert near.words() == [], "of one that turns out not to answer nothing bad is said"
