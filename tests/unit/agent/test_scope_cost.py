"""What the tags of access lists cost a host: a network may have hundreds of prefixes, with those of its peers."""

from weft.agent.flows.access import of_scope
from weft.model.values import pack_ip


def prefixes(count):
    """So many, half of them of either family."""
    return [
        (pack_ip(text), size) for n in range(count // 2) for text, size in ((f"10.0.{n}.0", 24), (f"fd00:{n}::", 64))
    ]


def test_a_prefix_takes_as_many_flows_in_a_network_of_any_size():
    counts = {count: len(of_scope(60, prefixes(count))) for count in (20, 100, 300)}
    assert counts == {20: 80, 100: 400, 300: 1200}
