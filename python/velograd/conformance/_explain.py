"""The search for a cause: one difference from the rule, or another rule, then several differences at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy

from ._hypotheses import combined, other_rules, rescaled
from ._recording import Precision, Recording
from ._rule import Rule
from ._rules import ALL
from ._scenario import inputs
from ._trajectory import FLOAT64, trajectory

#: How many differences are tried at once.
AT_ONCE = 3


@dataclass(frozen=True)
class Explanation:
    """What `Verdict` says of a cause, and the precision at which it was found."""

    precision: Precision
    causes: tuple[str, ...] = ()
    alternatives: tuple[str, ...] = ()
    closest: str = ""


def explain(rule: Rule, recordings: Sequence[Recording], tensors: Sequence[int], precisions: Sequence[Precision]) -> Explanation:
    """What the optimizer that made the recordings does otherwise."""
    # The scenarios in which the rule itself is wrong tell most variants from the optimizer, so they come first.
    orders = [sorted(recordings, key=lambda one: one.compare(rule, p, tensors)[1] is None) for p in precisions]
    furthest, closest = (-1, -1, 0.0), ""
    for several in range(1, AT_ONCE + 1):
        for precision, order in zip(precisions, orders, strict=True):
            fitting = []
            further = [*other_rules(rule, ALL.values()), *rescaled(_ratio(rule, order[0], tensors))] if several == 1 else []
            for chosen, variant in combined(rule, several, further):
                texts = tuple(one.text for one in chosen)
                place, first = 0, None
                for place, one in enumerate(order):
                    first = one.compare(variant, precision, tensors)[1]
                    if first is not None:
                        break
                if first is None:
                    fitting.append(texts)
                elif several == 1 and precision is precisions[0]:
                    reached = (place, first.update, -first.size if numpy.isfinite(first.size) else -numpy.inf)
                    if reached > furthest:
                        furthest, closest = reached, texts[0]
            if fitting:
                others = tuple("; and ".join(texts) for texts in fitting[1:])
                return Explanation(precision, fitting[0], others)
    return Explanation(precisions[0], closest=closest)


def _ratio(rule: Rule, recording: Recording, tensors: Sequence[int]) -> float | None:
    """By what the first step differs from the rule's, if that is the same number for all elements."""
    scenario = recording.scenario
    params, _, _ = inputs(scenario.gradients, scenario.updates, rule.matrices)
    point = next(trajectory(rule, scenario, recording.settings, FLOAT64))
    theirs = numpy.concatenate([(recording.went[0][k] - params[i]).ravel() for k, i in enumerate(tensors)])
    ours = numpy.concatenate([(point.params[i] - params[i]).ravel() for i in tensors])
    moved = ours != 0
    if not moved.any():
        return None
    ratios = theirs[moved] / ours[moved]
    middle = float(numpy.median(ratios))
    return middle if numpy.all(numpy.abs(ratios - middle) <= 1e-4 * abs(middle)) else None
