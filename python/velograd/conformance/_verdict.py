"""What a check found."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field

from ._rule import Rule


@dataclass(frozen=True)
class Deviation:
    """Where an optimizer leaves a rule."""

    scenario: str
    dtype: str
    update: int
    """The number of the update, from 1."""
    shape: tuple[int, ...]
    """The shape of the tensor."""
    size: float
    """The largest difference of an element from the rule's."""
    step: float
    """The largest change of an element by the rule in this update."""
    bound: float
    """The difference that rounding could have made."""

    def __str__(self) -> str:
        tensor = "x".join(str(n) for n in self.shape)
        of_step = f", {100 * self.size / self.step:.3g} % of the step" if self.step > 0 else ", where the rule takes no step"
        return (
            f"update {self.update} of '{self.scenario}', parameter {tensor}, {self.dtype}: deviation {self.size:.3g}{of_step}; "
            f"rounding explains {self.bound:.2g}"
        )


@dataclass(frozen=True)
class Verdict:
    """Whether an optimizer is a rule as published. It is true if so, and prints as a report."""

    optimizer: str
    rule: Rule
    conforms: bool
    first: Deviation | None = None
    """The first wrong update."""
    causes: tuple[str, ...] = ()
    """What the optimizer does otherwise: together, these differences lead where it went, in every scenario."""
    alternatives: tuple[str, ...] = ()
    """Differences that lead there as well, each in place of the causes."""
    closest: str = ""
    """If no cause is known: the variant that follows the optimizer in the most scenarios."""
    notes: tuple[str, ...] = ()
    """What is peculiar and not wrong."""
    deviations: Mapping[tuple[str, str], list[float]] = field(default_factory=dict)
    """By scenario and type: after each update, the largest deviation as a multiple of what rounding explains."""
    refused: Mapping[str, str] = field(default_factory=dict)
    """Scenarios that could not be judged, with the reason."""

    def __bool__(self) -> bool:
        return self.conforms

    def __str__(self) -> str:
        if self.conforms:
            worst = max((max(found) for found in self.deviations.values()), default=0.0)
            types = " and ".join(sorted({dtype for _, dtype in self.deviations}, reverse=True))
            lines = [f"{self.optimizer} is {self.rule.name} as published"]
            lines.append(f"judged: {len(self.deviations)} scenarios in {types}, deviation at most {worst:.2g} of what rounding explains")
        else:
            lines = [f"{self.optimizer} is not {self.rule.name} as published"]
            lines.append(f"first wrong: {self.first}")
            wrong = list(dict.fromkeys(name for (name, _), multiples in self.deviations.items() if not max(multiples) <= 1))
            lines.append(f"wrong in {len(wrong)} of {len({name for name, _ in self.deviations})} scenarios: {', '.join(wrong)}")
            if self.causes:
                lines.append("likely cause: " + "; and ".join(self.causes))
                lines += [f"or: {other}" for other in self.alternatives]
            else:
                lines.append(f"likely cause: unknown; closest: {self.closest}")
        lines += [f"note: {note}" for note in self.notes]
        reasons: dict[str, list[str]] = {}
        for scenario, reason in self.refused.items():
            reasons.setdefault(reason, []).append(scenario)
        lines += [f"not judged: {', '.join(names)} ({reason})" for reason, names in reasons.items()]
        lines.append(f"published: {self.rule.source}")
        wrapped = [textwrap.fill(line, 118, subsequent_indent="    ") for line in lines]
        return "\n  ".join(part for line in wrapped for part in line.split("\n"))
