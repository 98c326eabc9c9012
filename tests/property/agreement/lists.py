"""Access lists of a fabric. A feature of fabrics.py, in its form: (draw, sketch) -> None."""

from hypothesis import strategies as st

from weft.model.tenancy import AclRuleProperties


@st.composite
def rules(draw, sketch):
    """Of an access list: (action, direction, protocol, source, destination, ports) by priority."""
    ends = ["*", "VIRTUALNETWORK", "INTERNET"]
    for place in draw(st.lists(st.sampled_from(sketch.places), max_size=2)):
        family = draw(st.sampled_from(place.families))
        alone = f"{place.address(family, draw(st.integers(11, 13)))}/{32 if family == '4' else 128}"
        ends += [place.prefix(family), alone]
    drawn = st.tuples(
        st.sampled_from(("Allow", "Deny")),
        st.sampled_from(("Inbound", "Outbound")),
        st.sampled_from(("TCP", "UDP", "All")),
        st.sampled_from(ends),
        st.sampled_from(ends),
        st.sampled_from(("*", "53", "22-60", "443")),
    )
    return {100 * n: one for n, one in enumerate(draw(st.lists(drawn, max_size=4)), 1)}


def draw_lists(draw, sketch):
    """Lists of subnets and interfaces, some with a default of Deny."""
    names = [f"list{number}" for number in range(draw(st.integers(0, 2)))]
    tagged = set()
    default = st.sampled_from(("Permit", "Permit", "Deny"))
    for number, name in enumerate(names, 1):
        drawn = draw(rules(sketch))
        tagged |= {name for words in drawn.values() if {"VIRTUALNETWORK", "INTERNET"} & set(words)}
        sketch.call("rules", name, number, drawn, draw(default), draw(default))
    for place in sketch.places:
        name = draw(st.sampled_from((None, None, *names)))
        for family in place.families if name else ():
            sketch.call("filter_subnet", place.network, place.name(family), name)
    for card in sketch.cards:
        # tags mean nothing on a logical network, and are refused there
        name = draw(st.sampled_from((None, None, *(set(names) - tagged if card.place in sketch.lans else names))))
        if name:
            sketch.call("filter_interface", card.name, name)


def rule(priority, words):
    action, kind, protocol, source, destination, ports = words
    return AclRuleProperties(
        action=action,
        type=kind,
        priority=priority,
        protocol=protocol,
        source_address_prefix=source,
        source_port_range="*",
        destination_address_prefix=destination,
        destination_port_range=ports,
    )
