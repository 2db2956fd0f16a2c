"""The search for a cause: one difference from the rule, or another rule, then several differences at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

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
        further = [*other_rules(self.rule, ALL.values()), *rescaled(self._ratio())]
        for several in range(1, at_once + 1):
            fitting = []
            for chosen in combinations([*self.single, *further] if several == 1 else self.single, several):
                if self._fits(chosen, self.precisions[-1]):
                    fitting.append(chosen)
            if fitting:
                return self._sharpest(fitting)
        # What is wrong is wrong at the lowest precision, too; how exactly the optimizer computes is not known.
        return Explanation(replace(self.precisions[-1], note=""), closest=self._closest([*self.single, *further]))

    def refine(self, chosen: Sequence[Hypothesis]) -> Sequence[Hypothesis] | None:
        """One difference more, with which the optimizer is explained at the highest precision."""
        details = {one.detail for one in chosen}
        more = ((*chosen, one) for one in self.single if one.detail not in details)
        return next((one for one in more if self._fits(one, self.precisions[0])), None)

    def _sharpest(self, fitting: Iterable[Sequence[Hypothesis]]) -> Explanation:
        left = list(fitting)
        for precision in self.precisions:
            sharp = [chosen for chosen in left if self._fits(chosen, precision)]
            if sharp:
                break
        if precision is not self.precisions[0]:
            refined = [finer for chosen in sharp if (finer := self.refine(chosen)) is not None]
            if refined:
                return Explanation(self.precisions[0], refined)
        return Explanation(precision, sharp)

    def _fits(self, chosen: Sequence[Hypothesis], precision: Precision) -> bool:
        """Whether the rule with these differences follows the optimizer in all scenarios."""
        variant = changed(self.rule, chosen)
        if len(chosen) > 1 and self.recordings[0].far_from(variant, self.bounds[self.precisions.index(precision)], self.tensors):
            return False
        return all(one.compare(variant, precision, self.tensors)[1] is None for one in self.recordings)

    def _closest(self, found: Sequence[Hypothesis]) -> str:
        """The difference with which the rule follows the optimizer in the most scenarios, long ones left out."""
        short = [one for one in self.recordings if one.scenario.updates <= 40]

        def followed(chosen: Sequence[Hypothesis]) -> int:
            variant = changed(self.rule, chosen)
            return sum(one.compare(variant, self.precisions[-1], self.tensors)[1] is None for one in short)

        alone = followed(())
        most, said = max(((followed((one,)), one.text) for one in found), key=lambda pair: pair[0])
        if most == 0:
            return "none of the known variants"
        said = said if most > alone else "the rule itself"
        return f"{said}, which follows it in {max(most, alone)} of {len(short)} scenarios"

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
