"""The rules that all kinds share: preconditions, etags, ids, children."""

from typing import Any

import pytest

from tests.unit.core.world import World, dynamic_interface, provider_network, put_command, virtual_network
from weft.core.commands import Delete, Path, Preconditions, Put
from weft.model.kinds import MAC_POOLS
from weft.model.resources import AnyResource

POOL = {"startMacAddress": "020000000000", "endMacAddress": "02000000FFFF"}
OTHER = {**POOL, "coolDownSeconds": 5}


def test_put_without_precondition_creates_then_replaces() -> None:
    world = World()
    assert world.put("/macPools/p1", POOL).outcome == "created"
    assert world.put("/macPools/p1", OTHER).outcome == "replaced"


@pytest.mark.parametrize("if_match", ["*", 'W/"x"', "x"])
def test_if_match_on_what_is_absent_fails(if_match: str) -> None:
    world = World()
    when = Preconditions(if_match=if_match)
    assert world.refused("/macPools/p1", POOL, when=when).code == "PreconditionFailed"
    assert world.delete("/macPools/p1", if_match).outcome == "unchanged"


def test_if_match_compares_weakly_and_takes_lists() -> None:
    world = World()
    etag = world.put("/macPools/p1", POOL).resource.etag
    bare = etag.removeprefix("W/").strip('"')
    for good in ("*", etag, bare, f'"{bare}"', f'W/"old", {etag}'):
        assert world.put("/macPools/p1", POOL, when=Preconditions(if_match=good)).outcome == "unchanged"
    for bad in ('W/"old"', ""):
        refusal = world.refused("/macPools/p1", POOL, when=Preconditions(if_match=bad))
        assert (refusal.status, refusal.code) == (412, "PreconditionFailed")
        assert etag in refusal.message
        assert world.refused_delete("/macPools/p1", bad).code == "PreconditionFailed"
    assert world.delete("/macPools/p1", etag).outcome == "deleted"


def test_if_none_match_asks_for_absence() -> None:
    world = World()
    anything = Preconditions(if_none_match="*")
    assert world.put("/macPools/p1", POOL, when=anything).outcome == "created"
    assert world.refused("/macPools/p1", POOL, when=anything).code == "PreconditionFailed"
    etag = world.get("/macPools/p1").etag
    assert world.refused("/macPools/p1", POOL, when=Preconditions(if_none_match=etag)).status == 412
    assert world.put("/macPools/p1", OTHER, when=Preconditions(if_none_match='W/"other"')).outcome == "replaced"


def test_delete_answers_whether_there_was_something() -> None:
    world = World()
    world.put("/macPools/p1", POOL)
    assert world.delete("/macPools/P1").outcome == "deleted"
    assert world.delete("/macPools/p1").outcome == "unchanged"
    assert world.delete("/virtualNetworks/blue/subnets/web").outcome == "unchanged"


@pytest.mark.parametrize("name", ["", "a b", "a/b", "x" * 65, "ä"])
def test_a_resource_id_that_is_none_is_refused(name: str) -> None:
    document = put_command("/macPools/p1", POOL).document
    refusal = World().refuses(Put(Path("macPools", name), document))
    assert refusal.code == "InvalidResourceName"


def test_the_id_of_the_body_must_be_that_of_the_url() -> None:
    world = World()
    assert world.refused("/macPools/p1", POOL, resourceId="p2").code == "InvalidResourceName"
    assert world.put("/macPools/p1", POOL, resourceId="P1").resource.resource_id == "p1"
    assert world.put("/macPools/p1", OTHER, resourceId="p1").outcome == "replaced"


def test_ids_are_kept_as_first_written_and_compared_without_case() -> None:
    world = World()
    world.put("/macPools/Pool", POOL)
    world.put("/MACPOOLS/POOL", OTHER)
    assert world.get("/macPools/pool").resource_id == "Pool"
    assert len(list(world.state.all("macPools"))) == 1


@pytest.mark.parametrize("path", [Path("loadBalancers", "g"), Path("virtualNetworkManager", "other")])
def test_what_is_not_served_is_not_found(path: Path) -> None:
    world = World()
    document = put_command("/macPools/p1", POOL).document
    assert world.refuses(Put(path, document)).code == "NotFound"
    assert world.refuses(Delete(path)).code == "NotFound"


def test_a_child_that_is_only_read_cannot_be_written() -> None:
    world = World()
    world.put("/servers/h1", {"networkInterfaces": [{"resourceId": "nic1", "properties": {}}]})
    document = put_command("/macPools/p1", POOL).document
    path = Path("servers", "h1", (("networkInterfaces", "nic1"),))
    assert world.refuses(Put(path, document)).code == "NotFound"
    assert world.refuses(Delete(path)).code == "NotFound"


# -- ids and etags of a tree


def tags_of(resource: AnyResource) -> dict[str, tuple[str, str]]:
    """(instanceId, etag) of a logical network and all below it, by path."""
    found = {"": (resource.instance_id, resource.etag)}
    for subnet in resource.properties.subnets:
        found[subnet.resource_id] = (subnet.instance_id, subnet.etag)
        for pool in subnet.properties.ip_pools:
            found[f"{subnet.resource_id}/{pool.resource_id}"] = (pool.instance_id, pool.etag)
    return found


def changed(before: dict[str, tuple[str, str]], after: dict[str, tuple[str, str]]) -> set[str]:
    """Paths whose etag is another; instance ids must stay."""
    common = before.keys() & after.keys()
    assert all(before[path][0] == after[path][0] for path in common)
    return {path for path in common if before[path][1] != after[path][1]}


@pytest.fixture
def tree() -> World:
    world = World()
    world.put("/logicalNetworks/hnvpa", provider_network())
    return world


def read(world: World) -> dict[str, tuple[str, str]]:
    return tags_of(world.get("/logicalNetworks/hnvpa"))


def test_a_new_tree_has_its_own_ids_everywhere_and_one_etag(tree: World) -> None:
    tags = read(tree)
    assert set(tags) == {"", "pa1", "pa1/pool", "pa2", "pa2/pool"}
    assert len({instance for instance, _ in tags.values()}) == 5
    assert len({etag for _, etag in tags.values()}) == 1
    assert all(etag.startswith('W/"') and etag.endswith('"') for _, etag in tags.values())


def test_a_put_that_changes_nothing_keeps_every_etag(tree: World) -> None:
    before = read(tree)
    again = provider_network()
    again["subnets"][0]["resourceId"] = "PA1"
    again["subnets"][0]["properties"]["addressPrefix"] = "192.168.1.0/255.255.255.0"
    assert tree.put("/logicalNetworks/HNVPA", again).outcome == "unchanged"
    assert read(tree) == before


def test_a_put_of_the_parent_tags_all_below_it(tree: World) -> None:
    before = read(tree)
    tree.put("/logicalNetworks/hnvpa", provider_network(), tags={"a": "b"})
    assert changed(before, read(tree)) == set(before)


def test_a_put_of_a_child_tags_its_own_line_and_not_its_siblings(tree: World) -> None:
    before = read(tree)
    body = provider_network()["subnets"][0]["properties"] | {"isPublic": True}
    decision = tree.put("/logicalNetworks/hnvpa/Subnets/PA1", body)
    assert (decision.outcome, decision.resource.resource_id) == ("replaced", "pa1")
    assert decision.resource.etag == read(tree)["pa1"][1]
    assert changed(before, read(tree)) == {"", "pa1", "pa1/pool"}


def test_a_put_of_a_grandchild_tags_up_to_the_root(tree: World) -> None:
    before = read(tree)
    pool = {"startIpAddress": "192.168.1.10", "endIpAddress": "192.168.1.20", "coolDownSeconds": 1}
    assert tree.put("/logicalNetworks/hnvpa/subnets/pa1/ipPools/pool", pool).outcome == "replaced"
    assert changed(before, read(tree)) == {"", "pa1", "pa1/pool"}
    more = {"startIpAddress": "192.168.1.30", "endIpAddress": "192.168.1.31"}
    before = read(tree)
    assert tree.put("/logicalNetworks/hnvpa/subnets/pa1/ipPools/more", more).outcome == "created"
    assert changed(before, read(tree)) == {"", "pa1"}


def test_a_delete_of_a_child_tags_its_parents_alone(tree: World) -> None:
    before = read(tree)
    decision = tree.delete("/logicalNetworks/hnvpa/subnets/pa1/ipPools/POOL")
    assert (decision.outcome, decision.resource) == ("deleted", None)
    assert changed(before, read(tree)) == {"", "pa1"}
    assert "pa1/pool" not in read(tree)
    tree.delete("/logicalNetworks/hnvpa/subnets/pa2")
    assert set(read(tree)) == {"", "pa1"}


def test_preconditions_of_a_child_are_about_the_child(tree: World) -> None:
    tree.put("/logicalNetworks/hnvpa/subnets/pa0", {})
    etag = tree.get("/logicalNetworks/hnvpa").etag
    body = provider_network()["subnets"][0]["properties"]
    path = "/logicalNetworks/hnvpa/subnets/pa1"
    assert tree.refused(path, body, when=Preconditions(if_match=etag)).status == 412
    own = tree.get(path).etag
    assert tree.put(path, body, when=Preconditions(if_match=own)).outcome == "unchanged"
    assert tree.refused_delete(path, etag).status == 412


@pytest.mark.parametrize("ref", ["/logicalNetworks/none/subnets/a", "/logicalNetworks/hnvpa/subnets/none/ipPools/p"])
def test_a_child_of_what_is_absent_is_refused(tree: World, ref: str) -> None:
    refusal = tree.refused(ref, {})
    assert (refusal.status, refusal.code) == (412, "PreconditionFailed")


def test_absent_children_are_removed_and_new_ones_put_last(tree: World) -> None:
    body = provider_network()
    del body["subnets"][0]
    tree.put("/logicalNetworks/hnvpa", body)
    assert set(read(tree)) == {"", "pa2", "pa2/pool"}
    tree.put("/logicalNetworks/hnvpa/subnets/pa0", {})
    assert [one.resource_id for one in tree.get("/logicalNetworks/hnvpa").properties.subnets] == ["pa2", "pa0"]


def test_children_need_ids_of_their_own(tree: World) -> None:
    def with_subnets(*names: str) -> dict[str, Any]:
        return {"subnets": [{"resourceId": name, "properties": {}} for name in names]}

    for names in (("",), ("a b",), ("a", "A")):
        assert tree.refused("/logicalNetworks/x", with_subnets(*names)).code == "InvalidResourceName"
    document = put_command("/logicalNetworks/hnvpa/subnets/a", {}, resourceId="b")
    assert tree.refuses(document).code == "InvalidResourceName"
    pool = {"startIpAddress": "10.0.0.1", "endIpAddress": "10.0.0.1"}
    subnet = {"addressPrefix": "10.0.0.0/24", "ipPools": [{"resourceId": "", "properties": pool}]}
    refusal = tree.refused("/logicalNetworks/x", {"subnets": [{"resourceId": "a", "properties": subnet}]})
    assert refusal.code == "InvalidResourceName"


def test_an_instance_id_is_taken_at_creation_if_it_is_a_free_guid() -> None:
    world = World()
    mine = "AAAAAAAA-0000-4000-8000-00000000000A"
    assert world.put("/macPools/p1", POOL, instanceId="{" + mine + "}").resource.instance_id == mine.lower()
    world.put("/macPools/p1", OTHER, instanceId="bbbbbbbb-0000-4000-8000-00000000000b")
    assert world.get("/macPools/p1").instance_id == mine.lower()
    for asked in ("h1", mine, ""):
        found = world.put(f"/servers/{asked[:1] or 'x'}", {}, instanceId=asked).resource.instance_id
        assert found not in (asked, mine.lower())
    found = world.state.by_instance(mine)
    assert found is not None
    assert (found[0], found[1].resource_id) == ("macPools", "p1")


def test_tags_and_metadata_are_kept_and_replaced() -> None:
    world = World()
    stored = world.put("/macPools/p1", POOL, tags={"a": "b"}, resourceMetadata={"client": "c"}).resource
    assert (stored.tags, stored.resource_metadata.client) == ({"a": "b"}, "c")
    assert world.put("/macPools/p1", POOL).resource.tags is None
    assert MAC_POOLS.name == "macPools"


def test_a_put_of_an_ip_configuration_alone_grants_its_address() -> None:
    world = World()
    world.fabric()
    world.put("/virtualNetworks/blue", virtual_network({"web": "10.1.1.0/24"}))
    world.put("/networkInterfaces/n1", dynamic_interface(None))
    body = {"subnet": {"resourceRef": "/virtualNetworks/blue/subnets/web"}}
    stored = world.put("/networkInterfaces/n1/ipConfigurations/ip1", body).resource
    assert stored.properties.private_ip_address == "10.1.1.2"
    assert world.put("/networkInterfaces/n1/ipConfigurations/ip1", body).outcome == "unchanged"
