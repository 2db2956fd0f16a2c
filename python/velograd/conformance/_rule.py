"""What a rule is: an update in float64, its settings, and the choices that implementations make differently."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy
from numpy.typing import NDArray

Array: TypeAlias = NDArray[numpy.float64]
State: TypeAlias = dict[str, Any]


class Settings(dict[str, Any]):
    """The settings and choices of an update, by name: `s.lr` is `s["lr"]`."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None


@dataclass(frozen=True)
class Update:
    """What is the same for all tensors in one update."""

    t: int
    """Its number, from 1."""
    loss: float
    first_lr: float
    """The learning rate of the first update."""


#: Changes parameters and states in place. The first axis of every array counts copies of the same tensor, which
#: must not mix: the first is the rule itself, the others are perturbed to learn how far rounding may lead.
Step: TypeAlias = Callable[[Sequence[Array], Sequence[Array], Sequence[State], Settings, Update], None]


@dataclass(frozen=True)
class Choice:
    """One detail of a rule. `others` are the ways in which implementations are known to do it otherwise."""

    published: str
    others: Mapping[str, str]
    """What a report says of each: a clause, with who does so if that is on purpose."""

    def instead(self, value: str, text: str = "") -> Choice:
        """The same detail where another value is the published one; `text` describes the one that was."""
        others = {name: said for name, said in self.others.items() if name != value}
        if text:
            others = {self.published: text, **others}
        return Choice(value, others)


@dataclass(frozen=True)
class Rule:
    """An update rule as it was published."""

    name: str
    source: str
    """The paper or the code that is followed."""
    defaults: Mapping[str, Any]
    """Settings that a class takes, by PyTorch's names."""
    step: Step
    choices: Mapping[str, Choice] = field(default_factory=dict)
    """Details that are not settings of a class. `check` takes other values of them as settings, too."""
    other: Mapping[str, Any] = field(default_factory=dict)
    """Settings that are far from the defaults, so that one that is ignored or mistaken for another shows."""
    matrices: bool = False
    """Whether it is a rule for matrices and convolution weights only."""
    note: str = ""
    """How other publications of the same name differ."""

    def settings(self, given: Mapping[str, Any] | None = None) -> Settings:
        """Defaults and published choices, and `given` in their place.

        Raises:
            ValueError: the rule has no such setting, or it cannot have such a value.
        """
        published = {name: choice.published for name, choice in self.choices.items()}
        known = {**self.defaults, **published}
        for name, value in (given or {}).items():
            if name not in known:
                raise ValueError(f"{self.name} has no setting '{name}'; it has {', '.join(known)}")
            choice = self.choices.get(name)
            if choice is not None and value != choice.published and value not in choice.others:
                words = ", ".join([choice.published, *choice.others])
                raise ValueError(f"'{name}' of {self.name} is one of {words}, not {value}")
            if choice is None and not _fits(value, self.defaults[name]):
                raise ValueError(f"'{name}' of {self.name} is of the kind of {self.defaults[name]}, not {value}")
        return Settings({**known, **(given or {})})


def _fits(value: Any, default: Any) -> bool:
    """Whether a value is of the kind of a default: a switch, a number, or as many numbers."""
    if isinstance(default, tuple):
        return isinstance(value, (tuple, list)) and len(value) == len(default) and all(map(_fits, value, default))
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return isinstance(value, bool) if isinstance(default, bool) else number


def each_tensor(step: Callable[[Array, Array, State, Settings, Update], None]) -> Step:
    """A rule that looks at one tensor at a time."""

    def all_tensors(
        params: Sequence[Array], grads: Sequence[Array], states: Sequence[State], s: Settings, at: Update
    ) -> None:
        for p, g, state in zip(params, grads, states, strict=True):
            step(p, g, state, s, at)

    return all_tensors


def average(state: State, name: str, beta: float, x: Array) -> Array:
    """`state[name] <- beta state[name] + (1 - beta) x`, from zero."""
    moved: Array = beta * state.get(name, 0.0) + (1 - beta) * x
    state[name] = moved
    return moved


def largest(state: State, name: str, x: Array) -> Array:
    """The largest `x` so far, by element."""
    grown: Array = numpy.maximum(state.get(name, 0.0), x)
    state[name] = grown
    return grown


def squared_norm(x: Array) -> Array:
    """The sum of squares of each copy, shaped so that it multiplies `x`."""
    total: Array = numpy.sum(x * x, axis=tuple(range(1, x.ndim)), keepdims=True)
    return total


def norm(x: Array) -> Array:
    root: Array = numpy.sqrt(squared_norm(x))
    return root


DECAY = Choice(
    "decoupled",
    {
        "coupled": "weight decay is an L2 penalty in the gradient, not decoupled",
        "without lr": "weight decay is not multiplied by the learning rate",
        "with the schedule": "weight decay is multiplied by lr / first lr, not by lr (Loshchilov and Hutter's own algorithm)",
        "after the step": "weight decay is applied after the step, to parameters that have moved",
        "without lr, after the step": "weight decay is not multiplied by the learning rate, and comes after the step",
        "with lr squared": "weight decay is multiplied by the learning rate twice",
    },
)
"""Weight decay where it is published as decoupled."""

PENALTY = DECAY.instead("coupled", "weight decay is decoupled, not an L2 penalty in the gradient")
"""Weight decay where it is published as an L2 penalty."""


def decay_before(p: Array, g: Array, s: Settings, at: Update) -> Array:
    """Weight decay that precedes the step; gives the gradient."""
    if s.decay == "coupled":
        penalized: Array = g + s.weight_decay * p
        return penalized
    factor = {
        "decoupled": s.lr,
        "without lr": 1.0,
        "with the schedule": s.lr / at.first_lr,
        "with lr squared": s.lr**2,
    }.get(s.decay, 0.0)
    p *= 1 - factor * s.weight_decay
    return g


def decay_after(p: Array, s: Settings) -> None:
    """Weight decay that follows the step."""
    factor = {"after the step": s.lr, "without lr, after the step": 1.0}.get(s.decay, 0.0)
    p *= 1 - factor * s.weight_decay
