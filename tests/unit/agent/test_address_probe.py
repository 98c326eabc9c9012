"""Who answers for a provider address of this host."""

import pytest

from weft.agent.address_probe import holder_in, other_holder, probe
from weft.model.values import pack_ip

OWN, OTHER, ADDRESS = b"\x02\x00\x00\x00\x00\x01", b"\x02\x00\x00\x00\x00\x02", pack_ip("192.168.1.10")


def said(sender: bytes, address: bytes, operation: int = 2) -> bytes:
    return (
        OWN + sender + b"\x08\x06\x00\x01\x08\x00\x06\x04\x00" + bytes([operation]) + sender + address + OWN + bytes(22)
    )


@pytest.mark.parametrize(
    ("frame", "holder"),
    [
        (said(OTHER, ADDRESS), "02-00-00-00-00-02"),
        (said(OTHER, ADDRESS, 1), "02-00-00-00-00-02"),
        (said(OWN, ADDRESS), ""),
        (said(OTHER, pack_ip("192.168.1.11")), ""),
        (probe(OTHER, ADDRESS), ""),
        (b"", ""),
        (said(OTHER, ADDRESS)[:30], ""),
    ],
)
def test_who_says_that_the_address_is_his(frame: bytes, holder: str) -> None:
    assert holder_in(frame, OWN, ADDRESS) == holder


async def test_an_address_that_no_device_has_or_of_ipv6_is_not_asked_for() -> None:
    assert await other_holder(pack_ip("203.0.113.77")) == ""
    assert await other_holder(pack_ip("fd00::1")) == ""
