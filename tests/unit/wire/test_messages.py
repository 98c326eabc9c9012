"""Agents and controllers of two releases understand one another: members are added at the end, with defaults."""

import msgspec

from weft.wire.messages import Facts, MachineFact, SeenMac, ToController

encode, decode = msgspec.msgpack.encode, msgspec.msgpack.Decoder(ToController).decode


def test_an_older_agent_has_not_looked_and_does_not_say_whether_a_machine_is_there() -> None:
    older = ["facts", [["a", "Running", 7, ""]], [], [], [], {}, []]
    facts = decode(encode(older))
    assert facts == Facts((MachineFact("a", "Running", 7, ""),))
    assert (facts.looked, facts.seen, facts.machines[0].presence) == (False, (), "")


def test_what_a_newer_agent_says_besides_is_passed_over() -> None:
    newer = msgspec.to_builtins(Facts(seen=(SeenMac(7, "vnet3"),), looked=True))
    assert decode(encode([*newer, "more"])) == Facts(seen=(SeenMac(7, "vnet3"),), looked=True)
