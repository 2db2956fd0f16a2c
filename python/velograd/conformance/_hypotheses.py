"""Why an optimizer is not the rule: known variants, each run as a rule of its own, until one leads where the optimizer went."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy

from ._rule import Array, Rule, Settings, State, Step, Update, squared_norm


@dataclass(frozen=True)
class Hypothesis:
    """One difference from a rule."""

    text: str
    """A clause that says what the optimizer does."""
    detail: str
    """The detail that it concerns; two hypotheses about the same are not tried together."""
    change: Callable[[Step], Step]


def hypotheses(rule: Rule) -> list[Hypothesis]:
    """All single differences that are tried: the rule's choices, then what can be wrong with any rule."""
    found = [
        Hypothesis(text, name, _set({name: value}))
        for name, choice in rule.choices.items()
        for value, text in choice.others.items()
    ]
    for name, default in rule.defaults.items():
        if name != "lr":
            found.append(Hypothesis(f"'{name}' has no effect: {default} is used", name, _set({name: default})))
    if len(rule.defaults.get("betas", ())) > 1:
        found.append(Hypothesis("the two betas are swapped", "betas", _swapped))
    if "nesterov" in rule.defaults:
        found.append(Hypothesis("Nesterov's look ahead is always on", "nesterov", _set({"nesterov": True})))
        found.append(Hypothesis("Nesterov's look ahead is never on", "nesterov", _set({"nesterov": False})))
    if "weight_decay" in rule.defaults:
        found.append(Hypothesis("weight decay has no effect", "decay", _set({"weight_decay": 0.0})))
        if not rule.matrices:
            found.append(Hypothesis("vectors have no weight decay", "decay", _without_decay_of_vectors))
    found += [
        Hypothesis("a change of the learning rate has no effect", "lr", _first_rate),
        Hypothesis("gradients are clipped to a norm of 1 over all tensors", "gradient", _clipped),
        Hypothesis("gradients are clipped to a norm of 1 in each tensor", "gradient", _clipped_each),
        Hypothesis("the step has the wrong sign", "gradient", _ascending),
        Hypothesis("the count of updates rises with every tensor, not with every update", "count", _counting_tensors),
        Hypothesis("the count of updates is one too high", "count", _counting_from_two),
        Hypothesis("the first update takes no step", "first", _without_first),
        Hypothesis("Lookahead (k = 5, alpha = 0.5) is around it", "lookahead", _looking_ahead),
    ]
    return found


def other_rules(rule: Rule, others: Iterable[Rule]) -> list[Hypothesis]:
    """That the optimizer is another rule with the same settings, as far as both have them."""
    return [
        Hypothesis(f"it is the rule {other.name}", "rule", _instead(rule, other))
        for other in others
        if other is not rule and (other.matrices or not rule.matrices)
    ]


def rescaled(ratio: float | None) -> list[Hypothesis]:
    """That every step is `ratio` times as long."""
    if ratio is None or abs(ratio - 1) < 1e-4:
        return []
    ratio = float(f"{ratio:.6g}")
    return [Hypothesis(f"every step is {ratio:g} times as long", "lr", _with_settings(lambda s, at: {**s, "lr": ratio * s.lr}))]


def changed(rule: Rule, chosen: Sequence[Hypothesis]) -> Rule:
    """The rule with these differences."""
    step = rule.step
    for one in chosen:
        step = one.change(step)
    return replace(rule, step=step)


def combinations(found: Sequence[Hypothesis], several: int) -> Iterator[tuple[Hypothesis, ...]]:
    """That many of the hypotheses at once, no two about the same detail."""
    for chosen in itertools.combinations(found, several):
        if len({one.detail for one in chosen}) == several:
            yield chosen


def _set(changed: dict[str, Any]) -> Callable[[Step], Step]:
    return _with_settings(lambda s, at: {**s, **changed})


def _with_settings(new: Callable[[Settings, Update], dict[str, Any]]) -> Callable[[Step], Step]:
    def change(step: Step) -> Step:
        return lambda params, grads, states, s, at: step(params, grads, states, Settings(new(s, at)), at)

    return change


def _with_gradients(new: Callable[[Sequence[Array]], list[Array]]) -> Callable[[Step], Step]:
    def change(step: Step) -> Step:
        return lambda params, grads, states, s, at: step(params, new(grads), states, s, at)

    return change


def _instead(rule: Rule, other: Rule) -> Callable[[Step], Step]:
    def shared(name: str) -> bool:
        mine, theirs = rule.defaults[name], other.defaults.get(name)
        if isinstance(mine, tuple) and isinstance(theirs, tuple):
            return len(mine) == len(theirs)
        return type(mine) is type(theirs)

    def change(_: Step) -> Step:
        def step(params: Sequence[Array], grads: Sequence[Array], states: Sequence[State], s: Settings, at: Update) -> None:
            same = {name: s[name] for name in rule.defaults if shared(name)}
            own = Settings({**other.settings(same), "rounding": s.rounding, "noise": s.noise})
            other.step(params, grads, states, own, at)

        return step

    return change


_swapped = _with_settings(lambda s, at: {**s, "betas": (s.betas[1], s.betas[0], *s.betas[2:])})
_first_rate = _with_settings(lambda s, at: {**s, "lr": at.first_lr})
_ascending = _with_gradients(lambda grads: [-g for g in grads])


@_with_gradients
def _clipped(grads: Sequence[Array]) -> list[Array]:
    size = numpy.sqrt(sum(squared_norm(g).reshape(-1) for g in grads))
    return [g / numpy.maximum(size, 1).reshape((-1,) + (1,) * (g.ndim - 1)) for g in grads]


@_with_gradients
def _clipped_each(grads: Sequence[Array]) -> list[Array]:
    return [g / numpy.maximum(numpy.sqrt(squared_norm(g)), 1) for g in grads]


def _without_decay_of_vectors(step: Step) -> Step:
    def changed(params: Sequence[Array], grads: Sequence[Array], states: Sequence[State], s: Settings, at: Update) -> None:
        for p, g, state in zip(params, grads, states, strict=True):
            vector = p.ndim == 2  # the first axis counts copies
            step([p], [g], [state], Settings({**s, "weight_decay": 0.0}) if vector else s, at)

    return changed


def _counting_tensors(step: Step) -> Step:
    def changed(params: Sequence[Array], grads: Sequence[Array], states: Sequence[State], s: Settings, at: Update) -> None:
        for i, (p, g, state) in enumerate(zip(params, grads, states, strict=True), 1):
            step([p], [g], [state], s, replace(at, t=(at.t - 1) * len(params) + i))

    return changed


def _counting_from_two(step: Step) -> Step:
    return lambda params, grads, states, s, at: step(params, grads, states, s, replace(at, t=at.t + 1))


def _without_first(step: Step) -> Step:
    def changed(params: Sequence[Array], grads: Sequence[Array], states: Sequence[State], s: Settings, at: Update) -> None:
        before = [p.copy() for p in params]
        step(params, grads, states, s, at)
        if at.t == 1:
            for p, old in zip(params, before, strict=True):
                p[...] = old

    return changed


def _looking_ahead(step: Step) -> Step:
    def changed(params: Sequence[Array], grads: Sequence[Array], states: Sequence[State], s: Settings, at: Update) -> None:
        for p, state in zip(params, states, strict=True):
            state.setdefault("lookahead", p + 0.0)
        step(params, grads, states, s, at)
        if at.t % 5 == 0:
            for p, state in zip(params, states, strict=True):
                p[...] = state["lookahead"] = (p + state["lookahead"]) / 2

    return changed
