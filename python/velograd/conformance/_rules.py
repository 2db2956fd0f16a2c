"""All rules, by name."""

from __future__ import annotations

from ._rule import Rule
from .rules import adam, averages, muon, plain, variance, velograd

ALL: dict[str, Rule] = {
    rule.name: rule for family in (plain, adam, variance, muon, averages, velograd) for rule in family.RULES
}


def rules() -> dict[str, Rule]:
    """The rules that can be judged, by name, each with its defaults, its choices and its source."""
    return dict(ALL)


def named(rule: str) -> Rule:
    """A rule by its name.

    Raises:
        ValueError: there is no such rule.
    """
    if rule not in ALL:
        raise ValueError(f"there is no rule {rule}; there are {', '.join(ALL)}")
    return ALL[rule]
