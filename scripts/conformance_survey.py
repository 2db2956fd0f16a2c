"""Judges the optimizers of PyTorch and of packages on PyPI, and prints the table of docs/CONFORMANCE.md.

    pip install torch timm pytorch_optimizer torch_optimizer lion-pytorch adabelief-pytorch schedulefree adan-pytorch \\
        adabound torch-optimi heavyball muon-optimizer tabulate colorama
    PYTHONPATH=python python scripts/conformance_survey.py [WORD...]     # those whose line has one of the words

A package that is not installed is left out, and named at the end.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import sys
from collections.abc import Sequence
from importlib import metadata
from typing import Any

from velograd import conformance

#: Package, class, rule, keywords of the class, names of settings, settings and choices that are held fast.
SURVEY: list[tuple[str, str, str, dict[str, Any], dict[str, str | None], dict[str, Any]]] = [
    *[
        ("torch", f"torch.optim.{name}", rule, {}, {}, {})
        for name, rule in [
            ("SGD", "sgd"),
            ("RMSprop", "rmsprop"),
            ("Adagrad", "adagrad"),
            ("Adadelta", "adadelta"),
            ("Adam", "adam"),
            ("AdamW", "adamw"),
            ("NAdam", "nadam"),
            ("RAdam", "radam"),
            ("Muon", "muon"),
        ]
    ],
    ("torch", "torch.optim.Muon", "muon", {"adjust_lr_fn": "match_rms_adamw"}, {}, {}),
    *[
        ("timm", f"timm.optim.{name}", rule, options, {}, {})
        for name, rule, options in [
            ("SGDW", "sgd", {}),
            ("RMSpropTF", "rmsprop", {}),
            ("NAdamW", "nadamw", {}),
            ("AdamWLegacy", "adamw", {}),
            ("NAdamLegacy", "nadam", {}),
            ("RAdamLegacy", "radam", {}),
            ("AdaBelief", "adabelief", {}),
            ("Lion", "lion", {}),
            ("Adan", "adan", {}),
            ("LaProp", "laprop", {}),
            ("Lars", "lars", {}),
            ("Lamb", "lamb", {}),
            ("Lamb", "lamb", {"max_grad_norm": None}),
            ("Muon", "muon", {}),
        ]
    ],
    *[
        ("pytorch_optimizer", f"pytorch_optimizer.{name}", rule, options, {}, {})
        for name, rule, options in [
            ("SignSGD", "signum", {}),
            ("SignSGD", "signum", {"weight_decouple": False}),
            ("Lion", "lion", {}),
            ("AdaBelief", "adabelief", {}),
            ("AdaBound", "adabound", {"weight_decouple": False}),
            ("RAdam", "radam", {"weight_decouple": False}),
            ("LaProp", "laprop", {}),
            ("Adan", "adan", {}),
            ("AdEMAMix", "ademamix", {"weight_decouple": True}),
            ("Lamb", "lamb", {}),
            ("LARS", "lars", {}),
            ("ScheduleFreeAdamW", "schedulefree", {}),
        ]
    ],
    *[
        ("torch_optimizer", f"torch_optimizer.{name}", rule, options, {}, {})
        for name, rule, options in [
            ("AdaBelief", "adabelief", {"weight_decouple": True}),
            ("AdaBound", "adabound", {}),
            ("RAdam", "radam", {}),
            ("Lamb", "lamb", {}),
            ("LARS", "lars", {}),
        ]
    ],
    ("lion-pytorch", "lion_pytorch.Lion", "lion", {}, {}, {}),
    ("adabelief-pytorch", "adabelief_pytorch.AdaBelief", "adabelief", {"print_change_log": False}, {}, {}),
    ("schedulefree", "schedulefree.AdamWScheduleFree", "schedulefree", {}, {}, {}),
    ("adan-pytorch", "adan_pytorch.Adan", "adan", {}, {}, {}),
    ("adabound", "adabound.AdaBound", "adabound", {}, {}, {}),
    ("torch-optimi", "optimi.SGD", "sgd", {}, {"dampening": None}, {}),  # its dampening is a switch
    *[
        ("torch-optimi", f"optimi.{name}", rule, {}, {}, {})
        for name, rule in [("Adam", "adam"), ("AdamW", "adamw"), ("RAdam", "radam"), ("Lion", "lion"), ("Adan", "adan")]
    ],
    *[
        ("heavyball", f"heavyball.{name}", rule, {"compile_step": False, "warmup_steps": 0}, {}, {})
        for name, rule in [("AdamW", "adamw"), ("NAdam", "nadam"), ("LaProp", "laprop"), ("SFAdamW", "schedulefree"), ("Muon", "muon")]
    ],
    ("muon-optimizer", "muon.SingleDeviceMuon", "muon", {}, {}, {}),
    ("pytorch_optimizer", "pytorch_optimizer.Muon", "muon", {}, {}, {}),
    ("pytorch_optimizer", "pytorch_optimizer.Muon", "muon", {"use_adjusted_lr": True}, {}, {}),
]


def grouped(cls: Any) -> Any:
    """A class whose parameters come in groups that say which of them are matrices."""

    def optimizer(params: list[Any], **keywords: Any) -> Any:
        return cls([{"params": params, "use_muon": True}], **keywords)

    return optimizer


def shares(cls: Any) -> Any:
    """A class whose betas are the shares of what comes in, as in the paper of Adan."""

    def optimizer(params: list[Any], lr: float, betas: Sequence[float], eps: float, weight_decay: float) -> Any:
        return cls(params, lr=lr, betas=[1 - beta for beta in betas], eps=eps, weight_decay=weight_decay)

    return optimizer


ADAPTED = {"pytorch_optimizer.Muon": grouped, "adan_pytorch.Adan": shares}


def main() -> None:
    missing: dict[str, str] = {}
    print("| package | optimizer | rule | verdict |\n|---|---|---|---|")
    for package, path, rule, options, names, fixed in SURVEY:
        line = f"{package} {path} {rule}"
        if len(sys.argv) > 1 and not any(word in line for word in sys.argv[1:]):
            continue
        module, _, name = path.rpartition(".")
        said = " ".join(f"{key}={value}" for key, value in options.items())
        try:
            with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
                cls = getattr(importlib.import_module(module), name)
                cls = ADAPTED.get(path, lambda same: same)(cls)
                verdict = conformance.check(cls, rule, names=names, options=options, **fixed)
        except (ImportError, AttributeError) as error:
            missing[path] = str(error)
            continue
        except ValueError as error:
            found = f"cannot be run: {error}"
        else:
            found = summary(verdict)
            print("\n".join(f"# {row}" for row in str(verdict).split("\n")), file=sys.stderr, flush=True)
        version = metadata.version(package)
        print(f"| {package} {version} | `{name}`{' with ' + said if said else ''} | {rule} | {found} |", flush=True)
    for path, reason in missing.items():
        print(f"left out: {path} ({reason})", file=sys.stderr)


def summary(verdict: conformance.Verdict) -> str:
    if verdict.conforms:
        found = "as published"
    else:
        where = f"first wrong at update {verdict.first.update} of '{verdict.first.scenario}'" if verdict.first else ""
        cause = "; and ".join(verdict.causes) if verdict.causes else f"unknown; closest: {verdict.closest}"
        found = f"no: {cause} ({where})"
    return "; ".join([found, *(note for note in verdict.notes if not note.startswith("its defaults"))])


if __name__ == "__main__":
    main()
