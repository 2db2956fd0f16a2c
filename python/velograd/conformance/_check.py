"""Judges an optimizer: is it the rule, from when on is it not, and why."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy

from ._hypotheses import combined
from ._rule import Array, Rule
from ._rules import named
from ._scenario import Scenario, inputs, scenarios
from ._subject import Refused, Subject
from ._trajectory import BFLOAT16, FLOAT32, FLOAT64, trajectory
from ._verdict import Deviation, Verdict

#: How many differences are tried at once.
AT_ONCE = 3


@dataclass(frozen=True)
class Precision:
    """How exactly an optimizer computes."""

    unit: float
    newton_schulz: float = 0.0
    note: str = ""


@dataclass
class Recording:
    """Where the optimizer went in a scenario, by update and tensor."""

    scenario: Scenario
    settings: Any
    dtype: str
    went: list[list[Array]] = field(default_factory=list)

    def compare(self, rule: Rule, precision: Precision, tensors: Sequence[int]) -> tuple[list[float], Deviation | None]:
        """The deviation after each update as a multiple of the bound, up to the first wrong one, and that one."""
        unit = max(precision.unit, FLOAT32 if self.dtype == "float32" else FLOAT64)
        multiples: list[float] = []
        for point, went in zip(trajectory(rule, self.scenario, self.settings, unit, precision.newton_schulz), self.went, strict=True):
            worst, first = 0.0, None
            for found, i in zip(went, tensors, strict=True):
                size = float(numpy.max(numpy.abs(found - point.params[i])))
                multiple = size / point.bounds[i] if point.bounds[i] > 0 else (numpy.inf if size > 0 else 0.0)
                if not multiple <= worst:
                    worst = multiple
                    if not multiple <= 1:
                        shape = point.params[i].shape
                        first = Deviation(self.scenario.name, self.dtype, point.t, shape, size, point.steps[i], point.bounds[i])
            multiples.append(worst)
            if first is not None:
                return multiples, first
        return multiples, None


def check(
    optimizer: Callable[..., Any],
    rule: str,
    *,
    names: Mapping[str, str | None] | None = None,
    options: Mapping[str, Any] | None = None,
    **settings: Any,
) -> Verdict:
    """Whether `optimizer` is the published rule `rule`.

    Args:
        optimizer: a class of optimizers for PyTorch, or a function that makes one from a list of parameters.
        rule: the name of a rule, one of `rules()`.
        names: the optimizer's keyword for a setting of the rule, where it is not PyTorch's; None: it has none.
        options: further keywords for the optimizer.
        settings: settings of the rule that are held fast. What is not given is tried at its default and at other values, if
            the optimizer takes keywords; a function of parameters alone has to make it with the settings that are given here.
            Choices of the rule can be given, too, such as `scale="match_rms_adamw"` of muon, to judge that variant.

    Raises:
        ValueError: there is no such rule, setting or keyword, or the optimizer could not be run at all.
        ImportError: PyTorch is not installed.
    """
    import torch  # noqa: F401  what is missing is said before anything is tried

    judged = named(rule)
    subject = Subject(optimizer, judged, names or {}, options or {}, settings)
    judged.settings(settings)
    tensors, note = _tensors(subject)
    recordings, refused = _recordings(subject, tensors)
    notes = [note] if note else []
    if differ := subject.other_defaults():
        notes.append("its defaults differ from the rule's: " + ", ".join(differ))

    exact = [one for one in recordings if one.dtype == "float64"]
    levels = _precisions(judged)
    for precision in levels:
        found = [one.compare(judged, precision, tensors) for one in exact]
        if all(first is None for _, first in found):
            break
    else:
        first = next(first for _, first in (one.compare(judged, levels[0], tensors) for one in exact) if first is not None)
        causes, alternatives, closest, said = _explain(judged, exact, tensors, levels)
        return Verdict(
            subject.name, judged, False, first, causes, alternatives, closest, (*notes, *said), _multiples(exact, found), refused
        )
    if precision.note:
        notes.append(precision.note)
    compared = [one.compare(judged, precision, tensors) for one in recordings]
    deviations = _multiples(recordings, compared)
    wrong = next((first for _, first in compared if first is not None), None)
    if wrong is None:
        return Verdict(subject.name, judged, True, None, notes=tuple(notes), deviations=deviations, refused=refused)
    closest = "the rule itself, which it follows in float64"
    return Verdict(subject.name, judged, False, wrong, (), (), closest, tuple(notes), deviations, refused)


def _precisions(rule: Rule) -> list[Precision]:
    found = [Precision(FLOAT64), Precision(FLOAT32, 0, "it computes in float32 where parameters are float64")]
    if rule.matrices:
        found.insert(1, Precision(FLOAT64, BFLOAT16, "its Newton-Schulz is computed in bfloat16, as in the authors' code"))
        found.append(Precision(FLOAT32, BFLOAT16, "it computes in float32, and Newton-Schulz in bfloat16"))
    return found


def _tensors(subject: Subject) -> tuple[list[int], str]:
    """The tensors that the optimizer takes, and a note if these are not all."""
    first = scenarios(subject.rule)[0]
    params, _, _ = inputs(first.gradients, first.updates, subject.rule.matrices)
    reasons = []
    for least, most, said in ((1, 9, ""), (2, 9, "judged on matrices and convolutions alone"), (2, 2, "judged on matrices alone")):
        chosen = [i for i, p in enumerate(params) if least <= p.ndim <= most]
        try:
            next(iter(subject.updates(first, subject.settings(first), "float64", chosen)))
        except Refused as reason:
            reasons.append(str(reason))
            continue
        return chosen, f"{said}: of others it says '{reasons[-1]}'" if said else ""
    raise ValueError(f"{subject.name} could not be run: {reasons[0]}; 'options' gives it keywords, 'names' says how it calls a setting")


def _recordings(subject: Subject, tensors: list[int]) -> tuple[list[Recording], dict[str, str]]:
    recordings, refused = [], {}
    tried = []
    for scenario in scenarios(subject.rule):
        try:
            settings = subject.settings(scenario)
            same = (scenario.gradients, scenario.updates, scenario.rates, settings)
            if same in tried:
                continue  # no setting of the scenario could be told
            tried.append(same)
            for dtype in ("float64", "float32"):
                went = list(subject.updates(scenario, settings, dtype, tensors))
                recordings.append(Recording(scenario, settings, dtype, went))
        except Refused as reason:
            refused[scenario.name] = str(reason)
    if not recordings:
        raise ValueError(f"{subject.name} could not be run: {'; '.join(refused.values())}")
    return recordings, refused


def _multiples(
    recordings: Sequence[Recording], found: Sequence[tuple[list[float], Deviation | None]]
) -> dict[tuple[str, str], list[float]]:
    return {(one.scenario.name, one.dtype): multiples for one, (multiples, _) in zip(recordings, found, strict=True)}


def _explain(
    rule: Rule, recordings: Sequence[Recording], tensors: Sequence[int], levels: Sequence[Precision]
) -> tuple[tuple[str, ...], tuple[str, ...], str, tuple[str, ...]]:
    """Causes, alternatives, the closest variant if there is no cause, and notes."""
    for precision in levels:
        # What tells most variants from the optimizer comes first: the scenarios in which the rule itself is wrong.
        order = sorted(recordings, key=lambda one: one.compare(rule, precision, tensors)[1] is None)
        furthest, closest = (-1, -1, 0.0), ""
        for several in range(1, AT_ONCE + 1):
            fitting = []
            for chosen, variant in combined(rule, several):
                said = "; and ".join(one.text for one in chosen)
                for place, one in enumerate(order):
                    _, first = one.compare(variant, precision, tensors)
                    if first is not None:
                        reached = (place, first.update, -first.size if numpy.isfinite(first.size) else -numpy.inf)
                        if several == 1 and reached > furthest:
                            furthest, closest = reached, said
                        break
                else:
                    fitting.append(tuple(one.text for one in chosen))
            if fitting:
                others = tuple("; and ".join(texts) for texts in fitting[1:])
                return fitting[0], others, "", (precision.note,) if precision.note else ()
        if precision is levels[0]:
            closest_exact = closest
    return (), (), closest_exact, ()
