"""The audit as a whole: reads an inventory, lets every search look at it, and puts what they find in order.

Called by weft.api.audits and weft.cli.audit. Pure, and linear in the inventory (plus sorting): 100 000 machines take
seconds.
"""

from collections.abc import Iterator

from weft.core.audit.commands import Spares
from weft.core.audit.duplicates import duplicate_ips, duplicate_macs
from weft.core.audit.fill import range_uses
from weft.core.audit.findings import CRITICAL, NOTICE, SEVERITIES, WARNING, Finding, Report, Summary
from weft.core.audit.ranges import clashing_ranges, cloned_hosts, full_ranges
from weft.core.audit.redraws import redrawn_at_start, rollbacks, static_in_range
from weft.core.audit.schemes import ip_schemes
from weft.core.audit.survey import Survey, survey
from weft.core.audit.values import foreign_vendors, is_waiting, missing, templates, wrong_values
from weft.model.inventory import Inventory
from weft.model.values import parse_mac


def audit(inventory: Inventory) -> Report:
    """Everything that is wrong with it or will be. Raises InvalidInventory; changes nothing."""
    return report_on(survey(inventory))


def report_on(found: Survey) -> Report:
    """As `audit`, of an inventory that has been read already."""
    findings = sorted(_search(found), key=_order)
    duplicates: set[int] = {parse_mac(finding.address) for finding in findings if finding.code == "duplicateMac"}
    count = {severity: 0 for severity in SEVERITIES}
    for finding in findings:
        count[finding.severity] += 1
    summary = Summary(
        hosts=sum(bool(site.name) for site in found.sites.values()),
        machines=len(found.guests),
        interfaces=len(found.nics),
        checkpoints=found.checkpoints,
        without_address=sum(is_waiting(nic) for nic in found.nics),
        critical=count[CRITICAL],
        warning=count[WARNING],
        notice=count[NOTICE],
    )
    return Report(summary=summary, findings=tuple(findings), ranges=tuple(range_uses(found, duplicates)))


def _search(found: Survey) -> Iterator[Finding]:
    spares = Spares(found)
    yield from duplicate_macs(found, spares)
    yield from duplicate_ips(found)
    yield from wrong_values(found, spares)
    yield from missing(found, spares)
    yield from clashing_ranges(found, spares)
    yield from cloned_hosts(found, spares)
    yield from full_ranges(found, spares)
    yield from rollbacks(found)
    yield from redrawn_at_start(found, spares)
    yield from static_in_range(found, spares)
    yield from ip_schemes(found, spares)
    yield from templates(found)
    yield from foreign_vendors(found)


def _order(finding: Finding) -> tuple[int, str, str]:
    return SEVERITIES.index(finding.severity), finding.code, finding.address
