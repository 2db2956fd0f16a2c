"""The rules of velograd.conformance against golden traces, and the bound on rounding."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy
import pytest

from velograd import conformance
from velograd.conformance._hypotheses import changed, hypotheses
from velograd.conformance._rules import ALL
from velograd.conformance._scenario import Scenario, inputs, scenarios
from velograd.conformance._trajectory import FLOAT64, Point, trajectory

GOLDEN = conformance.golden()


def settings_of(trace: dict[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in trace["settings"].items()}


def test_every_rule_has_golden_traces_at_its_defaults_at_others_and_for_each_switch() -> None:
    for name, rule in conformance.rules().items():
        settings = [settings_of(trace) for trace in GOLDEN["traces"] if trace["rule"] == name]
        assert rule.settings({}).items() >= settings[0].items(), name
        for key, default in rule.defaults.items():
            assert any(one[key] != default for one in settings), f"no trace has another '{key}' of {name}"


@pytest.mark.parametrize("trace", GOLDEN["traces"], ids=lambda trace: f"{trace['rule']} {trace['origin']}")
def test_rules_lead_where_independent_code_leads(trace: dict[str, Any]) -> None:
    rule = ALL[trace["rule"]]
    scenario = Scenario("golden", 24, gradients="events", rates=GOLDEN["rates"])
    compared = {}
    for point in trajectory(rule, scenario, rule.settings(settings_of(trace)), FLOAT64):
        if (there := trace["params"].get(str(point.t))) is not None:
            compared[str(point.t)] = there
            for found, expected, bound in zip(point.params, there, point.bounds, strict=True):
                assert numpy.max(numpy.abs(found.ravel() - expected)) <= bound
    assert compared and compared == trace["params"]


def test_the_inputs_are_those_of_the_golden_traces() -> None:
    params, gradients, losses = inputs("events", 24, False)
    assert [p.ravel().tolist() for p in params] == GOLDEN["params"]
    assert [[g.ravel().tolist() for g in now] for now in gradients] == GOLDEN["gradients"]
    assert losses == GOLDEN["losses"]
    assert all((p == p.astype(numpy.float32)).all() for p in params)


@pytest.mark.parametrize("rule", ALL.values(), ids=ALL)
def test_scenarios_tell_every_variant_from_its_rule(rule: conformance.Rule) -> None:
    hidden = {one.text: changed(rule, [one]) for one in hypotheses(rule)}
    for scenario in scenarios(rule):
        if scenario.updates > 100:
            continue
        told = {**scenario.wanted, **scenario.needed}
        settings = rule.settings({key: value for key, value in told.items() if key in rule.defaults})
        straight = list(trajectory(rule, scenario, settings, FLOAT64))
        for text, variant in list(hidden.items()):
            other = trajectory(variant, scenario, settings, FLOAT64)
            if any(apart(*points) for points in zip(straight, other, strict=True)):
                del hidden[text]
    if rule.name in ("signum", "lion", "rmsprop", "adadelta", "muon"):  # they do not count updates
        hidden = {text: variant for text, variant in hidden.items() if not text.startswith("the count of updates")}
    assert not hidden, list(hidden)


def apart(here: Point, there: Point) -> bool:
    pairs = zip(here.params, there.params, here.bounds, strict=True)
    return any(not numpy.max(numpy.abs(a - b)) <= bound for a, b, bound in pairs)


def test_rules_need_no_pytorch() -> None:
    code = "import sys; sys.modules['torch'] = None; from velograd import conformance; conformance.rules(); conformance.check(list, 'adam')"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "ImportError" in ended.stderr.splitlines()[-1] or "ModuleNotFoundError" in ended.stderr.splitlines()[-1]


def test_settings_and_choices_are_checked() -> None:
    with pytest.raises(ValueError, match="no setting 'lrr'; it has lr, betas"):
        ALL["adam"].settings({"lrr": 1})
    with pytest.raises(ValueError, match="'scale' of muon is one of rows by columns, .*, not wide"):
        ALL["muon"].settings({"scale": "wide"})
    for name, value in (("lr", "fast"), ("betas", 0.9), ("betas", (0.9,)), ("amsgrad", 1), ("eps", True)):
        with pytest.raises(ValueError, match=f"'{name}' of adam is of the kind of"):
            ALL["adam"].settings({name: value})
