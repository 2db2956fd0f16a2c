"""What an optimizer is tried on: parameters, gradients and learning rates that tell rules apart."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy

from ._rule import Array, Rule

#: A tall, a wide and a square matrix, a vector and a convolution's weight, all of whose scales differ. No side of a matrix is
#: below 4: some classes leave such matrices to another rule.
SHAPES: tuple[tuple[int, ...], ...] = ((10, 4), (4, 7), (5, 5), (5,), (4, 4, 2, 1))


@dataclass(frozen=True)
class Scenario:
    """A number of updates under certain settings."""

    name: str
    updates: int
    wanted: Mapping[str, Any] = field(default_factory=dict)
    """Settings that take the place of the defaults where the optimizer can be told."""
    needed: Mapping[str, Any] = field(default_factory=dict)
    """Settings without which there is nothing to judge."""
    gradients: str = "ordinary"
    rates: Sequence[float] = (1.0,)
    """What the learning rate is multiplied by, from update to update and over again."""

    def rate(self, t: int) -> float:
        return self.rates[(t - 1) % len(self.rates)]


def scenarios(rule: Rule) -> list[Scenario]:
    """All scenarios of a rule; the first that fails is reported, so simple ones come first."""
    decay = {"weight_decay": 0.1} if "weight_decay" in rule.defaults else {}
    none = {"weight_decay": 0.0} if decay else {}
    momentum = {"momentum": 0.9} if rule.defaults.get("momentum") == 0 else {}
    found = [
        Scenario("ordinary gradients", 40, none),
        *([] if rule.matrices else [Scenario("many updates", 300, none)]),  # Newton-Schulz is slow, and nothing there is corrected
        Scenario("gradients near eps", 12, none, gradients="tiny"),
        Scenario("large gradients", 12, none, gradients="large"),
        Scenario("zero, huge, repeated and negated gradients", 24, none, gradients="events"),
        Scenario("other settings", 24, {**none, **rule.other}),
    ]
    if decay:
        found.append(Scenario("weight decay", 24, needed=decay))
        found.append(Scenario("weight decay and other settings", 24, rule.other, decay))
    found.append(Scenario("large parameters", 12, {"weight_decay": 0.01} if decay else {}, gradients="large parameters"))
    found.append(Scenario("a learning rate that changes", 24, {**momentum, **decay}, rates=(1, 1, 0.5, 0.5, 2, 0.25)))
    for name, value in rule.defaults.items():
        if isinstance(value, bool):
            wanted = {**decay, **(momentum if name == "nesterov" else {})}
            found.append(Scenario(f"{name}={not value}", 24, wanted, {name: not value}, "events"))
    return found


@cache
def inputs(gradients: str, updates: int, matrices: bool) -> tuple[list[Array], list[list[Array]], list[float]]:
    """Parameters; gradients by update and tensor; losses. float32 holds them exactly. `matrices` leaves out vectors.

    They are drawn by Python's Mersenne Twister, whose numbers are the same in every version.
    """
    drawn = random.Random(f"{gradients} {updates}")

    def tensor(shape: tuple[int, ...], scale: float) -> Array:
        count = int(numpy.prod(shape))
        values = numpy.array([drawn.random() * 2 - 1 for _ in range(count)]) * scale
        return exact(values.reshape(shape))

    params = [tensor(shape, 50 if gradients == "large parameters" else 0.5) for shape in SHAPES]
    drift = [tensor(shape, 0.3) for shape in SHAPES]
    history: list[list[Array]] = []
    for t in range(1, updates + 1):
        now = [exact(d + tensor(shape, 0.25)) for d, shape in zip(drift, SHAPES, strict=True)]
        for g in now:
            g.flat[1] = 0.0  # an element that never has a gradient
        if gradients == "tiny":
            now = [exact(g * 1e-8) for g in now]
        elif gradients == "large":
            now = [exact(g * 1e4) for g in now]
        elif gradients == "events":
            if t == 7:
                now = [0 * g for g in now]
            if t == 9:
                now[0] = exact(now[0] * 1000)
            if t == 12:
                now = [exact(g * 1e-6) for g in now]
            if t == 15:
                now[1] = history[-1][1]
            if t == 18:
                now[2] = -history[-1][2]
        history.append(now)
    losses = [float(numpy.float32(2.5 * 0.97**t + 0.1 * drawn.random())) for t in range(1, updates + 1)]
    kept = [i for i, shape in enumerate(SHAPES) if len(shape) > 1 or not matrices]
    return [params[i] for i in kept], [[now[i] for i in kept] for now in history], losses


def exact(x: Array) -> Array:
    """The nearest numbers that float32 holds."""
    return x.astype(numpy.float32).astype(numpy.float64)
