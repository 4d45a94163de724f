"""Run all checks on an account's facts."""

from collections.abc import Iterator
from dataclasses import replace

from wxcontroller.core.condition import deliverychecks, lifecyclechecks
from wxcontroller.core.condition.facts import Assessment, Condition, Facts, Issue, Severity


def assess(facts: Facts) -> Assessment:
    """Return the assessment. Issues of an account that should not run are at most a notice."""
    condition = lifecyclechecks.condition_of(facts)
    found = list(_found(facts, condition))
    if not facts.wanted:
        found = [replace(issue, severity=Severity.NOTICE) for issue in found]
    found.sort(key=lambda issue: -issue.severity.rank)  # stable: the order of the checks decides among equals
    return Assessment(condition, tuple(found), facts.instant.until)


def _found(facts: Facts, condition: Condition) -> Iterator[Issue]:
    for check in lifecyclechecks.CHECKS:
        if issue := check(facts, condition):
            yield issue
    if facts.deliveries is None or not facts.has_process:
        return
    for each in deliverychecks.CHECKS:
        if issue := each(facts, facts.deliveries):
            yield issue
