"""Judges an optimizer: is it the rule, from when on is it not, and why."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ._explain import Explanation, Search
from ._recording import Precision, Recording
from ._rule import Rule
from ._rules import named
from ._scenario import inputs, scenarios
from ._subject import Refused, Subject
from ._trajectory import BFLOAT16, FLOAT32, FLOAT64
from ._verdict import Deviation, Verdict


def check(
    optimizer: Callable[..., Any],
    rule: str,
    *,
    names: Mapping[str, str | None] | None = None,
    options: Mapping[str, Any] | None = None,
    at_once: int | None = None,
    **settings: Any,
) -> Verdict:
    """Whether `optimizer` is the published rule `rule`.

    Args:
        optimizer: a class of optimizers for PyTorch, or a function that makes one from a list of parameters.
        rule: the name of a rule, one of `rules()`.
        names: the optimizer's keyword for a setting of the rule, where it is not PyTorch's; None: it has none.
        options: further keywords for the optimizer.
        at_once: how many differences from the rule at once are tried as the cause: 3, or 2 for rules of matrices.
        settings: settings of the rule that are held fast. What is not given is tried at its default and at other values, if
            the optimizer takes keywords; a function of parameters alone has to make it with the settings that are given here.
            Choices of the rule can be given, too, such as `scale="match_rms_adamw"` of muon, to judge that variant.

    Raises:
        ValueError: there is no such rule, setting or keyword, or the optimizer could not be run at all.
        ImportError: PyTorch is not installed.
    """
    import torch  # noqa: F401  what is missing is said before anything is tried

    if at_once is not None and at_once < 1:
        raise ValueError(f"'at_once' is a number of differences, at least 1, not {at_once}")
    judged = named(rule)
    judged.settings(settings)
    subject = Subject(optimizer, judged, names or {}, options or {}, settings)
    tensors, note = _tensors(subject)
    recordings, refused = _recordings(subject, tensors)
    notes = [note] if note else []
    if differ := subject.other_defaults():
        notes.append("its defaults differ from the rule's: " + ", ".join(differ))

    exact = [one for one in recordings if one.dtype == "float64"]
    precisions = _precisions(judged)
    search = Search(judged, exact, tensors, precisions)
    fits = [p for p in precisions if all(one.compare(judged, p, tensors)[1] is None for one in exact)]
    finer = search.refine(()) if fits and fits[0] is not precisions[0] else None
    if fits and finer is None:
        notes += [fits[0].note] if fits[0].note else []
        compared = [one.compare(judged, fits[0], tensors) for one in recordings]
        deviations = _multiples(recordings, compared)
        first = next((first for _, first in compared if first is not None), None)
        closest = "the rule itself, which it follows in float64" if first else ""
        return Verdict(subject.name, judged, first is None, first, (), (), closest, tuple(notes), deviations, refused)
    found = Explanation(precisions[0], [finer]) if finer else search.explain(at_once or (2 if judged.matrices else 3))
    notes += [found.precision.note] if found.precision.note else []
    compared = [one.compare(judged, found.precision, tensors) for one in exact]
    first = next(first for _, first in compared if first is not None)
    causes = [tuple(one.text for one in chosen) for chosen in found.fitting] or [()]
    alternatives = tuple("; and ".join(texts) for texts in causes[1:])
    deviations = _multiples(exact, compared)
    return Verdict(subject.name, judged, False, first, causes[0], alternatives, found.closest, tuple(notes), deviations, refused)


def _precisions(rule: Rule) -> list[Precision]:
    found = [Precision(FLOAT64), Precision(FLOAT32, 0, "with float64 parameters it is no more exact than float32")]
    if rule.matrices:
        found.insert(1, Precision(FLOAT64, BFLOAT16, "its Newton-Schulz is no more exact than bfloat16, in which the authors' code computes it, too"))
        found.append(Precision(FLOAT32, BFLOAT16, "with float64 parameters it is no more exact than float32, and its Newton-Schulz than bfloat16"))
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
