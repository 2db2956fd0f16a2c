"""The search for a cause: one difference from the rule, or another rule, then several differences at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy

from ._hypotheses import Hypothesis, changed, combinations, hypotheses, other_rules, rescaled
from ._recording import Precision, Recording
from ._rule import Rule
from ._rules import ALL
from ._scenario import inputs
from ._trajectory import FLOAT64, trajectory


@dataclass(frozen=True)
class Explanation:
    """Differences from the rule that together lead where the optimizer went, and how exactly they do."""

    precision: Precision
    fitting: Sequence[Sequence[Hypothesis]] = ()
    """Each explains it; the first is preferred."""
    closest: str = ""
    """Without any: the difference with which the rule follows the optimizer the longest."""


class Search:
    """Compares variants of a rule with the recordings of an optimizer."""

    def __init__(self, rule: Rule, recordings: Sequence[Recording], tensors: Sequence[int], precisions: Sequence[Precision]) -> None:
        self.rule, self.tensors, self.precisions = rule, tensors, precisions
        # The scenarios in which the rule itself is wrong tell most variants from the optimizer, so they come first.
        self.recordings = sorted(recordings, key=lambda one: one.compare(rule, precisions[-1], tensors)[1] is None)
        self.single = hypotheses(rule)
        first = self.recordings[0].compare(rule, precisions[-1], tensors)[1]
        updates = first.update if first is not None else 1
        self.bounds = [self.recordings[0].bounds(rule, precision, updates) for precision in precisions]

    def explain(self, at_once: int) -> Explanation:
        """The fewest differences that explain the optimizer, at the highest precision at which they do."""
        furthest, closest = (-1, -1, 0.0), ""
        further = [*other_rules(self.rule, ALL.values()), *rescaled(self._ratio())]
        for several in range(1, at_once + 1):
            fitting = []
            for chosen in combinations([*self.single, *further] if several == 1 else self.single, several):
                reached = self._reach(chosen, self.precisions[-1])
                if reached is None:
                    fitting.append(chosen)
                elif several == 1 and reached > furthest:
                    furthest, closest = reached, chosen[0].text
            if fitting:
                return self._sharpest(fitting)
        return Explanation(self.precisions[0], closest=closest)

    def refine(self, chosen: Sequence[Hypothesis]) -> Sequence[Hypothesis] | None:
        """One difference more, with which the optimizer is explained at the highest precision."""
        details = {one.detail for one in chosen}
        more = ((*chosen, one) for one in self.single if one.detail not in details)
        return next((one for one in more if self._reach(one, self.precisions[0]) is None), None)

    def _sharpest(self, fitting: Iterable[Sequence[Hypothesis]]) -> Explanation:
        left = list(fitting)
        for precision in self.precisions:
            sharp = [chosen for chosen in left if self._reach(chosen, precision) is None]
            if sharp:
                break
        if precision is not self.precisions[0]:
            refined = [finer for chosen in sharp if (finer := self.refine(chosen)) is not None]
            if refined:
                return Explanation(self.precisions[0], refined)
        return Explanation(precision, sharp)

    def _reach(self, chosen: Sequence[Hypothesis], precision: Precision) -> tuple[int, int, float] | None:
        """How far the variant follows the optimizer: scenario, update, and how near it is then; None: all the way."""
        variant = changed(self.rule, chosen)
        if len(chosen) > 1 and self.recordings[0].far_from(variant, self.bounds[self.precisions.index(precision)], self.tensors):
            return 0, 0, 0.0
        for place, recording in enumerate(self.recordings):
            first = recording.compare(variant, precision, self.tensors)[1]
            if first is not None:
                return place, first.update, -first.size if numpy.isfinite(first.size) else -numpy.inf
        return None

    def _ratio(self) -> float | None:
        """By what the first step differs from the rule's, if that is the same number for all elements."""
        recording = self.recordings[0]
        params, _, _ = inputs(recording.scenario.gradients, recording.scenario.updates, self.rule.matrices)
        point = next(trajectory(self.rule, recording.scenario, recording.settings, FLOAT64))
        theirs = numpy.concatenate([(recording.went[0][k] - params[i]).ravel() for k, i in enumerate(self.tensors)])
        ours = numpy.concatenate([(point.params[i] - params[i]).ravel() for i in self.tensors])
        moved = ours != 0
        if not moved.any():
            return None
        ratios = theirs[moved] / ours[moved]
        middle = float(numpy.median(ratios))
        return middle if numpy.all(numpy.abs(ratios - middle) <= 1e-4 * abs(middle)) else None
