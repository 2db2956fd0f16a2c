"""Makes python/velograd/conformance/golden.json: where rules lead, computed by code that shares nothing with the package.

    pip install numpy torch timm pytorch_optimizer
    PYTHONPATH=python python scripts/conformance_golden.py REFERENCE

REFERENCE is the folder of optim_ref.py, the float64 reference in NumPy from which the project's rules were designed, and which
was compared with PyTorch and with the authors' code. It has no NAdamW, Signum, AdEMAMix, LARS and LAMB: these come from timm and
pytorch_optimizer, in float64. The file names the origin of every trace.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy
import pytorch_optimizer
import timm.optim
import torch

from velograd.conformance._rules import ALL
from velograd.conformance._scenario import inputs

sys.path.insert(0, sys.argv[1])
import optim_ref as ref  # noqa: E402

UPDATES, KEPT = 24, (2, 24)
RATES = (1, 1, 0.5, 0.5, 2, 0.25)
FILE = Path(__file__).resolve().parents[1] / "python/velograd/conformance/golden.json"

REFERENCE: dict[str, Callable[..., Any]] = {
    "sgd": ref.SGD,
    "rmsprop": ref.RMSProp,
    "adagrad": ref.Adagrad,
    "adadelta": ref.Adadelta,
    "lion": ref.Lion,
    "adam": ref.Adam,
    "adamw": ref.AdamW,
    "nadam": ref.NAdam,
    "radam": ref.RAdam,
    "adabound": ref.AdaBound,
    "vradam": ref.VRAdam,
    "adabelief": ref.AdaBelief,
    "laprop": ref.LaProp,
    "mvngrad": ref.MVNGrad,
    "adan": ref.Adan,
    "amvt": ref.AMVT,
    "velograd": ref.VeloGrad,
    "schedulefree": ref.ScheduleFreeAdamW,
    "muon": lambda **settings: ref.Muon(scale="flat", **settings),
}


def package(name: str, version: str, make: Callable[..., Any]) -> tuple[str, Callable[..., Any]]:
    return f"{name} {metadata.version(version)}", make


TORCH = {
    "nadamw": package("timm.optim.NAdamW", "timm", timm.optim.NAdamW),
    "lars": package("timm.optim.Lars", "timm", timm.optim.Lars),
    "lamb": package("timm.optim.Lamb", "timm", lambda p, **s: timm.optim.Lamb(p, max_grad_norm=None, **s)),
    "signum": package(
        "pytorch_optimizer.SignSGD", "pytorch_optimizer", lambda p, **s: pytorch_optimizer.SignSGD(p, weight_decouple=False, **s)
    ),
    "ademamix": package(
        "pytorch_optimizer.AdEMAMix",
        "pytorch_optimizer",
        lambda p, **s: pytorch_optimizer.AdEMAMix(p, weight_decouple=True, **s),
    ),
}


def by_reference(rule: str, settings: dict[str, Any], gradients: str) -> list[list[Any]]:
    params, history, losses = inputs(gradients, UPDATES, ALL[rule].matrices)
    theta = [p.copy() for p in params]
    optimizer, went = REFERENCE[rule](**settings), []
    for t in range(1, UPDATES + 1):
        optimizer.lr = settings["lr"] * RATES[(t - 1) % len(RATES)]
        optimizer.step(theta, [g.copy() for g in history[t - 1]], losses[t - 1])
        went.append([p.copy() for p in theta])
    return went


def by_torch(rule: str, settings: dict[str, Any], gradients: str) -> list[list[Any]]:
    params, history, _ = inputs(gradients, UPDATES, ALL[rule].matrices)
    theta = [torch.nn.Parameter(torch.tensor(p)) for p in params]
    optimizer, went = TORCH[rule][1](theta, **settings), []
    for t in range(1, UPDATES + 1):
        for group in optimizer.param_groups:
            group["lr"] = settings["lr"] * RATES[(t - 1) % len(RATES)]
        for p, g in zip(theta, history[t - 1], strict=True):
            p.grad = torch.tensor(g)
        optimizer.step()
        went.append([p.detach().numpy().copy() for p in theta])
    return went


def trace(rule: str, settings: dict[str, Any]) -> dict[str, Any]:
    whole = {**ALL[rule].defaults, **settings}
    torch_made = rule in TORCH
    went = (by_torch if torch_made else by_reference)(rule, whole, "events")
    return {
        "rule": rule,
        "settings": whole,
        "tensors": [i for i, p in enumerate(inputs("events", UPDATES, False)[0]) if p.ndim > 1 or not ALL[rule].matrices],
        "origin": TORCH[rule][0] if torch_made else "optim_ref.py",
        "params": {str(t): [numpy.round(p, 17).ravel().tolist() for p in went[t - 1]] for t in KEPT},
    }


def main() -> None:
    torch.set_default_dtype(torch.float64)
    traces = []
    for name, rule in ALL.items():
        traces.append(trace(name, {}))
        decay = {"weight_decay": 0.1} if "weight_decay" in rule.defaults else {}
        traces.append(trace(name, {**rule.other, **decay}))
        for flag, value in rule.defaults.items():
            if isinstance(value, bool):
                momentum = {"momentum": 0.9} if flag == "nesterov" and rule.defaults["momentum"] == 0 else {}
                traces.append(trace(name, {**momentum, flag: not value}))
    params, history, losses = inputs("events", UPDATES, False)
    made = {
        "about": "Parameters of update rules after some updates, in float64, each tensor flat in row order.",
        "shapes": [list(p.shape) for p in params],
        "rates": RATES,
        "params": [p.ravel().tolist() for p in params],
        "gradients": [[g.ravel().tolist() for g in grads] for grads in history],
        "losses": losses,
        "traces": traces,
    }
    FILE.write_text(json.dumps(made, separators=(",", ":")) + "\n", encoding="utf-8")
    print(f"{FILE.name}: {len(traces)} traces, {FILE.stat().st_size} bytes")


main()
