"""Where a rule leads in float64, and how far from there the rounding of a type may lead.

The bound is that of backward error analysis: an implementation is right if it is the rule itself on numbers that are off by
a few roundings. Four copies of the tensors run beside the rule. After each update every number that is kept, parameters and
state, is off by up to `ROUNDINGS` unit roundoffs, at random, and so is each gradient that comes in. An update of a rule rounds
each number that it keeps a handful of times (products, a sum, a root, a quotient), and an optimizer that is right makes errors
of that size and no others. What the rule makes of them, the growth in its averages, a cancellation, a sign that may flip, is
therefore measured, not guessed. The bound on a tensor is `MARGIN` times the farthest that any copy has gone so far: the
margin is for the errors of four copies being a sample, and for those that all point one way.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy

from ._rule import Array, Rule, Settings, State, Update
from ._scenario import Scenario, inputs

COPIES = 4
ROUNDINGS = 4
MARGIN = 4

FLOAT64 = 2.0**-53
FLOAT32 = 2.0**-24
BFLOAT16 = 2.0**-8


@dataclass(frozen=True)
class Point:
    """The state of things after an update, by tensor."""

    t: int
    params: list[Array]
    bounds: list[float]
    steps: list[float]
    """The largest change of an element in this update."""


def trajectory(
    rule: Rule, scenario: Scenario, settings: Settings, unit: float, newton_schulz: float = 0.0, number: int = COPIES
) -> Iterator[Point]:
    """The rule's updates, with bounds for the unit roundoff `unit`, and `newton_schulz` in that iteration alone.

    With a `number` of copies of 0 it is fast, and bounds are 0.
    """
    params, history, losses = inputs(scenario.gradients, scenario.updates, rule.matrices)
    noise = numpy.random.default_rng(1)
    settings = Settings({**settings, "rounding": newton_schulz if number else 0.0, "noise": noise})
    size = ROUNDINGS * unit

    def off(x: Array) -> Array:
        if number == 0:
            return x
        factor = 1 + noise.uniform(-size, size, x.shape)
        factor[0] = 1
        moved: Array = x * factor
        return moved

    def copies(x: Array) -> Array:
        return numpy.repeat(x[None], 1 + number, axis=0)

    theta = [off(copies(p)) for p in params]
    states: list[State] = [{} for _ in theta]
    rate = settings.lr
    farthest = [0.0] * len(theta)
    for t in range(1, scenario.updates + 1):
        before = [p[0].copy() for p in theta]
        grads = [off(copies(g)) for g in history[t - 1]]
        now = Settings({**settings, "lr": rate * scenario.rate(t)})
        with numpy.errstate(all="ignore"):
            rule.step(theta, grads, states, now, Update(t, losses[t - 1], rate * scenario.rate(1)))
            for p, state in zip(theta, states, strict=True):
                p[...] = off(p)
                for name, kept in state.items():
                    if isinstance(kept, numpy.ndarray) and kept.ndim == p.ndim:
                        state[name] = off(kept)
        for i, p in enumerate(theta if number else []):
            farthest[i] = max(farthest[i], float(numpy.max(numpy.abs(p[1:] - p[0]))))
        yield Point(
            t,
            [p[0].copy() for p in theta],
            [MARGIN * far for far in farthest],
            [float(numpy.max(numpy.abs(p[0] - b))) for p, b in zip(theta, before, strict=True)],
        )
