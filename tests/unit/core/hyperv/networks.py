"""The network blue on two hosts, in records and ports."""

from msgspec.structs import replace

from tests.cluster.world import instance
from tests.unit.core.hyperv.worlds import RDID
from weft.core.hyperv.network_virtualization import (
    CustomerRoute,
    Desired,
    LookupRecord,
    Port,
    ProviderAddress,
    ProviderRoute,
)

ENCAP = "TranslationMethodEncap"
DOMAIN = "{" + RDID + "}"
ONE = LookupRecord("10.1.1.11", 6001, "101010101105", "192.168.1.10", ENCAP, "Static", "weft:blue", DOMAIN)
TWO = replace(ONE, customer_address="10.1.1.12", mac_address="101010101107", provider_address="192.168.2.20")
GATEWAY = LookupRecord(
    "10.1.1.1", 6001, "025745465401", "169.254.254.254", ENCAP, "Static", "weft:blue gateway", DOMAIN
)


def port(number: int, **values) -> Port:
    made = Port(
        network_interface=f"BlueVM{number}-eth0",
        instance_id=instance(f"networkInterfaces/BlueVM{number}-eth0"),
        virtual_subnet_id=6001,
        mac_address="101010101105" if number == 1 else "101010101107",
        machine=f"BlueVM{number}",
        machine_id="",
        position=0,
        of=1,
    )
    return replace(made, **values)


def blue(number: int) -> Desired:
    """Source 004's host1 or host2."""
    return Desired(
        lookup_records=(GATEWAY, ONE, TWO),
        customer_routes=(CustomerRoute(DOMAIN, 6001, "10.1.1.0/24", "0.0.0.0", 255),),
        provider_addresses=(ProviderAddress(f"192.168.{number}.{number}0", 24),),
        provider_routes=(ProviderRoute("0.0.0.0/0", f"192.168.{number}.1"),),
        ports=(port(number),),
    )
