"""The optimizer that is judged: how it is made from settings, and its updates."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ._rule import Array, Rule, Settings
from ._scenario import Scenario, inputs

#: Names under which classes take a setting, by PyTorch's name for it.
NAMES: dict[str, tuple[str, ...]] = {
    "lr": ("lr", "learning_rate", "eta", "alpha0"),
    "eps": ("eps", "epsilon"),
    "weight_decay": ("weight_decay", "wd"),
    "momentum": ("momentum", "mu", "beta"),
    "alpha": ("alpha", "rho", "smoothing", "beta2"),
    "rho": ("rho", "alpha", "decay"),
    "ns_steps": ("ns_steps", "num_ns_steps", "backend_steps", "newton_schulz_steps"),
    "amsbound": ("amsbound", "ams_bound", "amsgrad"),
    "trust_coeff": ("trust_coeff", "trust_coefficient", "eta"),
    "warmup_steps": ("warmup_steps",),
}


class Refused(Exception):
    """A scenario that the optimizer cannot be put through, with the reason."""


class Subject:
    """A class of optimizers, or a function of parameters that makes one."""

    def __init__(
        self,
        make: Callable[..., Any],
        rule: Rule,
        names: Mapping[str, str | None],
        options: Mapping[str, Any],
        given: Mapping[str, Any],
    ) -> None:
        self.make, self.rule, self.options, self.given = make, rule, dict(options), dict(given)
        found = list(inspect.signature(make).parameters.values())[1:]
        self.takes = {p.name for p in found if p.kind in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD)}
        self.takes_any = any(p.kind is p.VAR_KEYWORD for p in found) and not self.takes
        self.defaults = {p.name: p.default for p in found if p.default is not p.empty}
        self.names = {setting: self._name(setting, names) for setting in rule.defaults}
        unknown = [name for name in options if name not in self.takes and not any(p.kind is p.VAR_KEYWORD for p in found)]
        if unknown:
            raise ValueError(f"{self.name} takes no {', '.join(unknown)}; it takes {', '.join(sorted(self.takes)) or 'parameters alone'}")

    @property
    def name(self) -> str:
        module, name = getattr(self.make, "__module__", ""), getattr(self.make, "__qualname__", repr(self.make))
        return name if module in ("", "__main__", "builtins") else f"{module}.{name}"

    def _name(self, setting: str, names: Mapping[str, str | None]) -> str | None:
        if setting in names:
            return names[setting]
        if self.takes_any:
            return setting
        free = [name for name in NAMES.get(setting, (setting,)) if name in self.takes and name not in self.options]
        return free[0] if free else None

    def can_be_told(self, setting: str) -> bool:
        return self.names[setting] is not None or (setting == "betas" and "beta2" in self.takes)

    def settings(self, scenario: Scenario) -> Settings:
        """The settings of a scenario, as far as the optimizer can be told.

        Raises:
            Refused: it cannot be told one that the scenario needs.
        """
        for setting in scenario.needed:
            if setting in self.given:
                raise Refused(f"'{setting}' is given")
            if not self.can_be_told(setting):
                raise Refused(f"it takes no '{setting}'")
        wanted = {setting: value for setting, value in scenario.wanted.items() if self.can_be_told(setting)}
        return self.rule.settings({**wanted, **scenario.needed, **self.given})

    def keywords(self, settings: Settings) -> dict[str, Any]:
        """The keywords that make the optimizer with these settings."""
        made: dict[str, Any] = {}
        for setting in self.rule.defaults:
            value, name = settings[setting], self.names[setting]
            if name is not None:
                made[name] = value
            elif self.can_be_told(setting):
                made |= {f"beta{i}": beta for i, beta in enumerate(value, 1)}
        return {**made, **self.options}

    def other_defaults(self) -> list[str]:
        """Settings whose defaults are not those of the rule."""
        found = []
        for setting, default in self.rule.defaults.items():
            name = self.names[setting]
            theirs = self.defaults.get(name) if name is not None else None
            if theirs is None or setting in self.given or isinstance(theirs, (str, dict)):
                continue
            same = tuple(theirs) == tuple(default) if isinstance(theirs, (tuple, list)) and isinstance(default, tuple) else theirs == default
            if not same:
                found.append(f"{name} {_text(theirs)}, not {_text(default)}")
        return found

    def updates(self, scenario: Scenario, settings: Settings, dtype: str, tensors: list[int]) -> Iterable[list[Array]]:
        """The parameters `tensors` after each update, as float64.

        Raises:
            Refused: the optimizer cannot be made, or does not take such a tensor.
        """
        import torch

        kind = getattr(torch, dtype)
        params, history, losses = inputs(scenario.gradients, scenario.updates, self.rule.matrices)
        theta = [torch.nn.Parameter(torch.tensor(params[i], dtype=kind)) for i in tensors]
        keywords = self.keywords(settings)
        threads = torch.get_num_threads()
        torch.set_num_threads(1)  # the tensors are tiny: threads would only wait for each other
        try:
            optimizer = self.make(theta, **keywords)
            if callable(getattr(optimizer, "train", None)):
                optimizer.train()  # Schedule-Free begins at its point of evaluation
            for t in range(1, scenario.updates + 1):
                for group in optimizer.param_groups:
                    if len(set(scenario.rates)) > 1:
                        group["lr"] = settings["lr"] * scenario.rate(t)
                for p, i in zip(theta, tensors, strict=True):
                    p.grad = torch.tensor(history[t - 1][i], dtype=kind)
                if callable(getattr(optimizer, "set_loss", None)):
                    optimizer.set_loss(losses[t - 1])
                optimizer.step()
                yield [p.detach().double().numpy().copy() for p in theta]
        except (ValueError, TypeError, RuntimeError, NotImplementedError, AssertionError, IndexError, KeyError) as error:
            first = str(error).strip().splitlines()
            raise Refused(f"{type(error).__name__}: {first[0] if first else 'without a message'}") from error
        finally:
            torch.set_num_threads(threads)


def _text(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
