"""Where an optimizer went, and how that compares with where a rule leads."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy

from ._rule import Array, Rule, Settings
from ._scenario import Scenario
from ._trajectory import FLOAT32, FLOAT64, trajectory
from ._verdict import Deviation


#: A variant of a rule that is off by this many times what rounding explains of the rule needs no closer look: a difference in
#: one detail does not make rounding grow as much.
FAR = 1000


@dataclass(frozen=True)
class Precision:
    """How exactly an optimizer computes: the unit roundoff of its numbers, and that of Newton-Schulz if it is larger."""

    unit: float
    newton_schulz: float = 0.0
    note: str = ""


@dataclass(frozen=True)
class Recording:
    """An optimizer's updates in a scenario."""

    scenario: Scenario
    settings: Settings
    dtype: str
    went: list[list[Array]]
    """Parameters, by update and tensor."""

    def far_from(self, rule: Rule, bounds: Sequence[Sequence[float]], tensors: Sequence[int]) -> bool:
        """Whether `rule` is off by far more than `bounds`, by update and tensor, which are those of a similar rule.

        It is a look that costs little, at as many updates as there are bounds.
        """
        points = trajectory(rule, self.scenario, self.settings, FLOAT64, number=0)
        for point, went, now in zip(points, self.went, bounds, strict=False):
            for found, i in zip(went, tensors, strict=True):
                if not numpy.max(numpy.abs(found - point.params[i])) <= FAR * now[i]:
                    return True
        return False

    def bounds(self, rule: Rule, precision: Precision, updates: int) -> list[list[float]]:
        """What rounding explains in the first `updates` updates, by tensor."""
        points = trajectory(rule, self.scenario, self.settings, precision.unit, precision.newton_schulz)
        return [point.bounds for point in itertools.islice(points, updates)]

    def compare(self, rule: Rule, precision: Precision, tensors: Sequence[int]) -> tuple[list[float], Deviation | None]:
        """The deviation after each update as a multiple of the bound, up to the first wrong one, and that one."""
        unit = max(precision.unit, FLOAT32 if self.dtype == "float32" else FLOAT64)
        multiples: list[float] = []
        points = trajectory(rule, self.scenario, self.settings, unit, precision.newton_schulz)
        for point, went in zip(points, self.went, strict=True):
            worst, first = 0.0, None
            for found, i in zip(went, tensors, strict=True):
                size = float(numpy.max(numpy.abs(found - point.params[i])))
                multiple = size / point.bounds[i] if point.bounds[i] > 0 else (numpy.inf if size > 0 else 0.0)
                if not multiple <= worst:  # also where it is NaN
                    worst = multiple
                    if not multiple <= 1:
                        shape, step, bound = point.params[i].shape, point.steps[i], point.bounds[i]
                        first = Deviation(self.scenario.name, self.dtype, point.t, shape, size, step, bound)
            multiples.append(worst)
            if first is not None:
                return multiples, first
        return multiples, None
