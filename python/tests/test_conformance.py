"""velograd.conformance with real optimizers of PyTorch and with wrong ones that are written here."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from velograd import conformance
from velograd.conformance.__main__ import main

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install torch")


def made(update: Callable[..., Any], **defaults: Any) -> type:
    """A class of optimizers from `update(p, g, state, group, t)`, which changes p in place."""

    class Optimizer(torch.optim.Optimizer):  # type: ignore[misc,name-defined]
        def __init__(self, params: Iterable[Any], lr: float = 1e-3, **settings: Any) -> None:
            super().__init__(params, {"lr": lr, **defaults, **settings})

        @torch.no_grad()  # type: ignore[untyped-decorator]
        def step(self, closure: Any = None) -> None:
            for group in self.param_groups:
                for p in group["params"]:
                    state = self.state[p]
                    state["t"] = state.get("t", 0) + 1
                    update(p, p.grad, state, group, state["t"])

    # What keywords it takes is part of what is judged.
    given = ", ".join(f"{key}={key}" for key in defaults)
    space: dict[str, Any] = {"Base": Optimizer}
    heads = ", ".join(f"{key}={value!r}" for key, value in defaults.items())
    exec(
        f"class {update.__name__}(Base):\n    def __init__(self, params, lr=0.001, {heads}):\n        super().__init__(params, lr, {given})",
        space,
    )
    return space[update.__name__]  # type: ignore[no-any-return]


def average(state: Any, name: str, beta: float, x: Any) -> Any:
    state[name] = beta * state.get(name, torch.zeros_like(x)) + (1 - beta) * x
    return state[name]


def adam_like(
    *,
    eps: str = "outside",
    correct: bool = True,
    decay: str = "l2",
    swapped: bool = False,
    eta: float = 1.0,
) -> type:
    def adam(p: Any, g: Any, state: Any, group: Any, t: int) -> None:
        beta1, beta2 = group["betas"][::-1] if swapped else group["betas"]
        wd = group["weight_decay"]
        if decay == "l2":
            g = g + wd * p
        elif decay == "lr":
            p.mul_(1 - group["lr"] * wd)
        elif decay == "plain":
            p.mul_(1 - wd)
        m, v = average(state, "m", beta1, g), average(state, "v", beta2, g * g)
        first, second = (1 - beta1**t, 1 - beta2**t) if correct else (1.0, 1.0)
        below = (v / second + group["eps"]).sqrt() if eps == "inside" else (v / second).sqrt() + group["eps"]
        if eps == "before":
            below = (v.sqrt() + group["eps"]) / math.sqrt(second)
        p.sub_(eta * group["lr"] * m / first / below)

    return made(adam, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0)


def orthogonal(d: Any, steps: int) -> Any:
    x = d.mT if d.shape[0] > d.shape[1] else d
    x = x / (x.norm() + 1e-7)
    for _ in range(steps):
        gram = x @ x.mT
        x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
    return x.mT if d.shape[0] > d.shape[1] else x


def muon_like(
    *,
    scale: Callable[..., float] = lambda shape: math.sqrt(max(1, shape[0] / math.prod(shape[1:]))),
    steps: int | None = None,
    summed: bool = False,
    half: bool = False,
    lr_decay: bool = True,
) -> type:
    def muon(p: Any, g: Any, state: Any, group: Any, t: int) -> None:
        mu = group["momentum"]
        share = 1 if summed else 1 - mu
        buffer = state["buffer"] = mu * state.get("buffer", torch.zeros_like(g)) + share * g
        d = (share * g + mu * buffer if group["nesterov"] else buffer).reshape(len(p), -1)
        d = d.bfloat16() if half else d
        p.mul_(1 - (group["lr"] if lr_decay else 1) * group["weight_decay"])
        p.sub_(group["lr"] * scale(p.shape) * orthogonal(d, steps or group["ns_steps"]).reshape(p.shape).to(p.dtype))

    return made(muon, momentum=0.95, nesterov=True, ns_steps=5, weight_decay=0.0)


def sgd_like(update: Callable[[Any, Any, Any], Any]) -> type:
    def sgd(p: Any, g: Any, state: Any, group: Any, t: int) -> None:
        g = g + group["weight_decay"] * p
        p.sub_(update(state, g, group))

    return made(sgd, momentum=0.0, weight_decay=0.0)


TORCH = {
    "SGD": "sgd",
    "Adam": "adam",
    "AdamW": "adamw",
    "NAdam": "nadam",
    "RAdam": "radam",
    "RMSprop": "rmsprop",
    "Adagrad": "adagrad",
    "Adadelta": "adadelta",
}


@pytest.mark.parametrize(("name", "rule"), TORCH.items())
def test_torch_optimizers_are_as_published(name: str, rule: str) -> None:
    verdict = conformance.check(getattr(torch.optim, name), rule)
    assert verdict and verdict.first is None, verdict
    assert f"{name} is {rule} as published" in str(verdict)
    assert {dtype for _, dtype in verdict.deviations} == {"float64", "float32"}
    # No setting of the rule is one that the class does not take.
    assert not verdict.refused, verdict.refused


def test_torch_muon_scales_as_published_or_as_it_is_told() -> None:
    if not hasattr(torch.optim, "Muon"):
        pytest.skip("torch.optim.Muon came with PyTorch 2.9")
    # PyTorch has the norm be at least 1e-7, where the authors add 1e-7: as much as bfloat16 explains, or nearly.
    verdict = conformance.check(torch.optim.Muon, "muon", normalized="clamped")
    assert max(max(multiples) for multiples in verdict.deviations.values()) < 0.5
    assert verdict and any("bfloat16" in note for note in verdict.notes)
    assert any("matrices alone" in note for note in verdict.notes)
    told = {"adjust_lr_fn": "match_rms_adamw"}
    verdict = conformance.check(torch.optim.Muon, "muon", options=told, normalized="clamped")
    assert not verdict and "scaled by 0.2 sqrt(max(rows, columns))" in verdict.causes[0] and len(verdict.causes) == 1
    assert conformance.check(torch.optim.Muon, "muon", options=told, scale="match_rms_adamw", normalized="clamped")


def test_written_here_as_published() -> None:
    assert conformance.check(adam_like(), "adam")
    assert conformance.check(muon_like(), "muon")


WRONG: dict[str, tuple[Callable[[], Any], str, str]] = {
    "eps inside": (lambda: adam_like(eps="inside"), "adam", "eps is added inside the square root"),
    "epsilon hat": (lambda: adam_like(eps="before"), "adam", "eps is added before the bias correction"),
    "no bias correction": (lambda: adam_like(correct=False), "adam", "no bias correction"),
    "coupled decay": (lambda: torch.optim.Adam, "adamw", "weight decay is an L2 penalty"),
    "decay without lr": (lambda: adam_like(decay="plain"), "adamw", "weight decay is not multiplied by the learning rate"),
    "no decay": (lambda: adam_like(decay="none"), "adamw", "weight decay has no effect"),
    "betas swapped": (lambda: adam_like(swapped=True), "adam", "the two betas are swapped"),
    "a factor": (lambda: adam_like(eta=0.1), "adam", "every step is 0.1 times as long"),
    "two differences": (lambda: adam_like(eps="inside", decay="lr"), "adam", "eps is added inside the square root"),
    "another rule": (lambda: torch.optim.RAdam, "adam", "it is the rule radam"),
    "momentum is an average": (
        lambda: sgd_like(lambda state, g, group: group["lr"] * average(state, "m", group["momentum"], g)),
        "sgd",
        "the momentum is an average",
    ),
    "Muon without a scale": (lambda: muon_like(scale=lambda shape: 1.0), "muon", "not scaled by the matrix's shape"),
    "Muon by the last two": (
        lambda: muon_like(scale=lambda shape: math.sqrt(max(1, shape[-2] / shape[-1]))),
        "muon",
        "kernel's height and width",
    ),
    "Muon below 1": (lambda: muon_like(scale=lambda s: math.sqrt(s[0] / math.prod(s[1:]))), "muon", "sqrt(rows / columns)"),
    "Muon, swapped": (
        lambda: muon_like(scale=lambda s: math.sqrt(max(1, math.prod(s[1:]) / s[0])), half=True),
        "muon",
        "rows and columns are swapped",
    ),
    "Muon, few iterations": (lambda: muon_like(steps=4), "muon", "Newton-Schulz takes 4 iterations"),
    "Muon, decay without lr": (lambda: muon_like(lr_decay=False, half=True), "muon", "not multiplied by the learning rate"),
}


@pytest.mark.parametrize("name", WRONG)
def test_the_cause_is_named(name: str) -> None:
    make, rule, cause = WRONG[name]
    verdict = conformance.check(make(), rule)
    assert not verdict and verdict.first is not None
    assert verdict.causes and cause in verdict.causes[0], verdict
    assert len(verdict.causes) == (2 if name == "two differences" else 1), verdict
    if name == "two differences":
        assert "weight decay is decoupled" in verdict.causes[1]
    assert "likely cause: " in str(verdict) and f"update {verdict.first.update} of" in str(verdict)
    # Up to the first wrong update, the deviation is what rounding explains.
    multiples = verdict.deviations[verdict.first.scenario, verdict.first.dtype]
    assert len(multiples) == verdict.first.update and multiples[-1] > 1 >= max(multiples[:-1], default=0)


def test_a_cause_that_is_not_in_the_table_is_unknown() -> None:
    def late(by: float) -> Any:
        def adam(p: Any, g: Any, state: Any, group: Any, t: int) -> None:
            m, v = average(state, "m", 0.9, g), average(state, "v", 0.999, g * g)
            factor = 1 if t < 6 else 1 + by
            p.sub_(group["lr"] * factor * m / (1 - 0.9**t) / ((v / (1 - 0.999**t)).sqrt() + 1e-8))

        return made(adam, maximize=False)

    # One part in a billion is seen, and is less than float32 could tell.
    verdict = conformance.check(late(1e-9), "adam")
    assert verdict and any("no more exact than float32" in note for note in verdict.notes)
    verdict = conformance.check(late(0.05), "adam")
    assert not verdict and verdict.causes == () and "likely cause: unknown; closest: " in str(verdict)
    assert verdict.first is not None and verdict.first.update == 6
    assert verdict.refused["weight decay"] == "it takes no 'weight_decay'"


def test_an_optimizer_that_is_wrong_in_float32_alone() -> None:
    def coarse(p: Any, g: Any, state: Any, group: Any, t: int) -> None:
        g = g.half().float() if g.dtype == torch.float32 else g
        buffer = state["buffer"] = 0.5 * state.get("buffer", torch.zeros_like(g)) + g
        p.sub_(group["lr"] * buffer)

    verdict = conformance.check(made(coarse, maximize=False), "sgd", momentum=0.5)
    assert not verdict and verdict.first is not None and verdict.first.dtype == "float32"
    assert "follows in float64" in verdict.closest


def test_a_function_of_parameters_has_the_settings_that_are_given() -> None:
    def mine(params: list[Any]) -> Any:
        return torch.optim.Adam(params, lr=0.01, betas=(0.8, 0.99))

    verdict = conformance.check(mine, "adam", lr=0.01, betas=(0.8, 0.99))
    assert verdict and "weight decay" in verdict.refused
    assert not conformance.check(mine, "adam", lr=0.01)


def test_keywords_of_other_names() -> None:
    def other(p: Any, g: Any, state: Any, group: Any, t: int) -> None:
        p.mul_(1 - group["lr"] * group["shrink"])
        mixed = group["b1"] * state.get("m", torch.zeros_like(g)) + (1 - group["b1"]) * g
        p.sub_(group["lr"] * mixed.sign())
        average(state, "m", group["b2"], g)

    lion = made(other, b1=0.9, b2=0.99, shrink=0.0)
    verdict = conformance.check(lion, "lion", names={"weight_decay": "shrink"})
    assert verdict and not any("weight decay" in name for name in verdict.refused)


def test_faults_are_said() -> None:
    with pytest.raises(ValueError, match="there is no rule adamx; there are sgd"):
        conformance.check(torch.optim.Adam, "adamx")
    with pytest.raises(ValueError, match="no setting 'momentum'"):
        conformance.check(torch.optim.Adam, "adam", momentum=0.9)
    with pytest.raises(ValueError, match="takes no speed"):
        conformance.check(torch.optim.Adam, "adam", options={"speed": 1})
    with pytest.raises(ValueError, match="could not be run: ValueError: Invalid learning rate"):
        conformance.check(torch.optim.Adam, "adam", lr=-1.0)


def test_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["torch.optim.AdamW", "--rule", "adamw"]) == 0
    assert "AdamW is adamw as published" in capsys.readouterr().out
    assert main(["torch.optim.AdamW", "--rule", "adam", "--set", "betas=(0.8,0.9)", "--option", "foreach=False"]) == 1
    assert "likely cause: weight decay is decoupled" in capsys.readouterr().out
    assert main(["torch.optim.AdamX", "--rule", "adam"]) == 2
    assert "AdamX" in capsys.readouterr().err
    assert main(["--list"]) == 0 and main(["--rule", "muon"]) == 0
    out = capsys.readouterr().out
    assert all(name in out for name in conformance.rules()) and "kernel's height and width" in out
    with pytest.raises(SystemExit):
        main(["torch.optim.AdamW"])


def test_a_report_fits_a_terminal() -> None:
    report = str(conformance.check(torch.optim.Adam, "adamw"))
    assert max(len(line) for line in report.split("\n")) <= 120
