"""Gateways of encrypted networks: on hosts that can encrypt, and none falls to one that cannot."""

from tests.unit.core.gateway_world import GatewayWorld, gateway, pool, virtual_gateway
from tests.unit.core.world import virtual_network
from weft.core.host_facts import NoteProviderNetwork
from weft.model.fabric import ServerProviderNetwork, TunnelEncryption

SEALED = virtual_network(
    {"web": {"addressPrefix": "10.1.1.0/24", "encryptionEnabled": True}, "gw": "10.1.2.0/24"},
)


def can(world: GatewayWorld, **hosts: bool) -> None:
    for host, able in hosts.items():
        told = ServerProviderNetwork(tunnel_encryption=TunnelEncryption(available=able, reason="no ESP"))
        world.do(NoteProviderNetwork(host, told))


def test_an_encrypted_network_has_gateways_on_hosts_that_can_encrypt_only() -> None:
    world = GatewayWorld(redundant=1)
    for host in ("h1", "h2"):
        told = ServerProviderNetwork(tunnel_encryption=TunnelEncryption(available=host == "h1", reason="no ESP"))
        world.do(NoteProviderNetwork(host, told))
    web = {"addressPrefix": "10.1.1.0/24", "encryptionEnabled": True}
    world.put("/virtualNetworks/blue", virtual_network({"web": web, "gw": "10.1.2.0/24"}))
    world.put("/virtualGateways/open", virtual_gateway("red"))
    refusal = world.refused("/virtualGateways/v", virtual_gateway("blue"))
    assert refusal.code == "EncryptionNotAvailable" and "h2 (no ESP)" in refusal.message
    assert "h1" not in refusal.message
    world.do(NoteProviderNetwork("h2", ServerProviderNetwork(tunnel_encryption=TunnelEncryption(available=True))))
    world.put("/virtualGateways/v", virtual_gateway("blue"))
    assert len(world.gateways_of("v")) == 2


def test_a_network_with_a_gateway_that_cannot_encrypt_is_not_encrypted() -> None:
    world = GatewayWorld()
    for host, able in (("h1", False), ("h2", True)):
        told = ServerProviderNetwork(tunnel_encryption=TunnelEncryption(available=able, reason="no ESP"))
        world.do(NoteProviderNetwork(host, told))
    world.put("/virtualGateways/v", virtual_gateway("blue"))
    assert world.gateways_of("v") == ["/gateways/g1"], "which is h1"
    web = {"addressPrefix": "10.1.1.0/24", "encryptionEnabled": True}
    body = virtual_network({"web": web, "gw": "10.1.2.0/24"})
    refusal = world.refused("/virtualNetworks/blue", body)
    assert refusal.code == "EncryptionNotAvailable" and "h1 (no ESP)" in refusal.message
    world.do(NoteProviderNetwork("h1", ServerProviderNetwork(tunnel_encryption=TunnelEncryption(available=True))))
    world.put("/virtualNetworks/blue", body)


def test_a_gateway_that_joins_the_pool_of_an_encrypted_network_can_encrypt() -> None:
    world = GatewayWorld(redundant=2)
    for host in ("h1", "h2"):
        told = ServerProviderNetwork(tunnel_encryption=TunnelEncryption(available=True))
        world.do(NoteProviderNetwork(host, told))
    web = {"addressPrefix": "10.1.1.0/24", "encryptionEnabled": True}
    world.put("/virtualNetworks/blue", virtual_network({"web": web, "gw": "10.1.2.0/24"}))
    world.put("/virtualGateways/v", virtual_gateway("blue"))
    before = world.gateways_of("v")
    world.put("/servers/h9", {"networkInterfaces": []})
    refusal = world.refused("/gateways/third", gateway("h9"))
    assert refusal.code == "EncryptionNotAvailable" and "/virtualNetworks/blue is encrypted" in refusal.message
    assert world.gateways_of("v") == before
    world.do(NoteProviderNetwork("h9", ServerProviderNetwork(tunnel_encryption=TunnelEncryption(available=True))))
    world.put("/gateways/third", gateway("h9"))
    assert len(world.gateways_of("v")) == 3


def test_an_encrypted_network_comes_to_the_gateways_that_can_encrypt_first() -> None:
    world = GatewayWorld()
    can(world, h1=False, h2=True)
    world.put("/virtualNetworks/blue", SEALED)
    world.put("/virtualGateways/v", virtual_gateway("blue"))
    world.put("/virtualGateways/w", virtual_gateway("red"))
    assert (world.gateways_of("v"), world.gateways_of("w")) == (["/gateways/g2"], ["/gateways/g1"])


def test_a_gateway_that_goes_hands_an_encrypted_network_to_one_that_can_encrypt_or_stays() -> None:
    world = GatewayWorld()
    can(world, h1=True, h2=False)
    world.put("/virtualNetworks/blue", SEALED)
    world.put("/virtualGateways/v", virtual_gateway("blue"))
    refusal = world.refused_delete("/gateways/g1")
    assert refusal.code == "ResourceInUse" and "that can encrypt" in refusal.message
    world.put("/gatewayPools/gp", pool(redundantGatewayCount=1))
    assert world.gateways_of("v") == ["/gateways/g1"], "nobody stands by who cannot"
    world.put("/servers/h9", {"networkInterfaces": []})
    can(world, h9=True)
    world.put("/gateways/third", gateway("h9"))
    world.delete("/gateways/g1")
    assert world.gateways_of("v") == ["/gateways/third"]


def test_a_gateway_that_lost_encryption_is_not_what_a_network_falls_to() -> None:
    world = GatewayWorld(redundant=1)
    can(world, h1=True, h2=True)
    world.put("/virtualNetworks/blue", SEALED)
    world.put("/virtualGateways/v", virtual_gateway("blue"))
    can(world, h2=False)
    assert world.refused_delete("/gateways/g1").code == "ResourceInUse"
    can(world, h1=False)
    world.delete("/gateways/g1")
    assert world.gateways_of("v") == ["/gateways/g2"], "it is no worse than before"


def test_a_network_whose_gateway_lost_encryption_comes_to_one_that_is_added() -> None:
    world = GatewayWorld()
    can(world, h1=True, h2=False)
    world.put("/virtualNetworks/blue", SEALED)
    world.put("/virtualGateways/v", virtual_gateway("blue"))
    can(world, h1=False)
    world.put("/servers/h9", {"networkInterfaces": []})
    can(world, h9=True)
    world.put("/gateways/third", gateway("h9"))
    assert world.gateways_of("v") == ["/gateways/third"]


def test_a_gateway_that_cannot_encrypt_joins_a_pool_that_has_enough_that_can() -> None:
    world = GatewayWorld(redundant=1)
    can(world, h1=True, h2=True)
    world.put("/virtualNetworks/blue", SEALED)
    world.put("/virtualGateways/v", virtual_gateway("blue"))
    before = world.gateways_of("v")
    world.put("/servers/h0", {"networkInterfaces": []})
    world.put("/gateways/a0", gateway("h0"))
    assert world.gateways_of("v") == before
    world.delete("/gateways/g1")
    assert world.gateways_of("v") == ["/gateways/g2"]
