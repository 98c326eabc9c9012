"""Access lists, and who names them, put into a World."""

from msgspec.structs import replace

from weft.model import tenancy
from weft.model.leases import LIST_SCOPE, Holder
from weft.model.resources import Ref, Resource


def put_list(world, name, number, rules=(), inbound="Permit", outbound="Permit"):
    """An access list; `rules` are AclRuleProperties, named r and their priority."""
    made = tuple(Resource(resource_id=f"r{one.priority}", properties=one) for one in rules)
    world.lease(LIST_SCOPE, number, Holder("accessControlList", f"/accessControlLists/{name}"))
    world.put(
        "accessControlLists",
        name,
        tenancy.AccessControlListProperties(
            acl_rules=made, inbound_default_action=inbound, outbound_default_action=outbound, list_number=number
        ),
    )


def take_list(world, name):
    """Take an access list away that nothing names."""
    found = world.state.get("accessControlLists", name)
    if found is not None:
        world.lease(LIST_SCOPE, found.properties.list_number, Holder("", ""), wanted=False)
        world.delete("accessControlLists", name)


def filter_subnet(world, network, subnet, name):
    """The subnet names an access list from now on, or none."""
    old = world.state.get("virtualNetworks", network).properties
    ref = Ref(f"/accessControlLists/{name}") if name else None
    subnets = tuple(
        replace(one, properties=replace(one.properties, access_control_list=ref))
        if one.resource_id.lower() == subnet.lower()
        else one
        for one in old.subnets
    )
    world.put("virtualNetworks", network, replace(old, subnets=subnets))


def filter_interface(world, interface, name):
    """All its ipConfigurations name an access list from now on, or none."""
    old = world.state.get("networkInterfaces", interface).properties
    ref = Ref(f"/accessControlLists/{name}") if name else None
    configurations = tuple(
        replace(one, properties=replace(one.properties, access_control_list=ref)) for one in old.ip_configurations
    )
    world.put("networkInterfaces", interface, replace(old, ip_configurations=configurations))
