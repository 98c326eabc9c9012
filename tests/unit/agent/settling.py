"""A reconciler on a switch that does all that it is asked."""

from tests.unit.agent.policies import (
    facts,
    told,
)


def settled(host="host1"):
    """A host whose switch has everything."""
    reconciler = told(host)
    reconciler.switch_is(facts(host))
    reconciler.switch_has(())
    reconciler.done(reconciler.plan(True), ())
    assert reconciler.settled
    return reconciler
