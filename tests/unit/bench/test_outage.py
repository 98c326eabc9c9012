"""What P8 reads from ping."""

import pytest

from weft.bench.p8 import CLUSTER, outage_of
from weft.bench.rows import Missing
from weft.cli.files import parse_stream

HEAD = "PING 10.9.0.20 (10.9.0.20) 56(84) bytes of data.\n"


def reply(second: float, sequence: int) -> str:
    return f"[{second:.6f}] 64 bytes from 10.9.0.20: icmp_seq={sequence} ttl=64 time=0.1 ms\n"


def end(sent: int, received: int) -> str:
    return f"\n--- 10.9.0.20 ping statistics ---\n{sent} packets transmitted, {received} received, time 9ms\n"


def test_losses_and_the_longest_gap() -> None:
    text = HEAD + reply(1.00, 1) + reply(1.01, 2) + reply(1.25, 5) + reply(1.26, 6) + end(6, 4)
    found = outage_of(text)
    assert (found.sent, found.lost, round(found.gap_ms)) == (6, 2, 240)


def test_the_ping_that_is_on_its_way_at_the_end_is_not_lost() -> None:
    assert outage_of(HEAD + reply(1.00, 1) + reply(1.01, 2) + end(3, 2)).lost == 0


def test_silence_is_no_result() -> None:
    with pytest.raises(Missing, match="nothing to count"):
        outage_of("")


def test_the_cluster_of_the_bench_is_a_good_file() -> None:
    documents = parse_stream(CLUSTER, "bench")
    assert [lab.id for lab in documents.lab] == ["host1", "host2", "host3"]
