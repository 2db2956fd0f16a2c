"""Muon: the momentum of a matrix, brought near an orthogonal one by Newton-Schulz."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy

from .._rule import DECAY, Array, Choice, Rule, Settings, State, Update, decay_after, decay_before, each_tensor

COEFFICIENTS: dict[str, Sequence[tuple[float, float, float]]] = {
    "jordan": [(3.4445, -4.7750, 2.0315)],
    "cubic": [(1.5, -0.5, 0.0)],
    "taylor": [(1.875, -1.25, 0.375)],
    "quintic": [(2.0, -1.5, 0.5)],
    "cesista": [
        (4.0848, -6.8946, 2.9270),
        (3.9505, -6.3029, 2.6377),
        (3.7418, -5.5913, 2.3037),
        (2.8769, -3.1427, 1.2046),
        (2.8366, -3.0525, 1.2012),
    ],
    "polar express": [
        (8.28721201814563, -23.595886519098837, 17.300387312530933),
        (4.107059111542203, -2.9478499167379106, 0.5448431082926601),
        (3.9486908534822946, -2.908902115962949, 0.5518191394370137),
        (3.3184196573706015, -2.488488024314874, 0.51004894012372),
        (2.300652019954817, -1.6689039845747493, 0.4188073119525673),
    ],
}


def newton_schulz(d: Array, s: Settings) -> Array:
    """
    X = D / (||D|| + 1e-7);   ns_steps times X <- a X + (b A + c A A) X with A = X X^T

    `s.rounding` is the relative error of every product, which the copies behind the first have drawn at random.
    """

    def rounded(x: Array) -> Array:
        if s.rounding == 0:
            return x
        noise = s.noise.uniform(-s.rounding, s.rounding, x.shape)
        noise[0] = 0
        off: Array = x * (1 + noise)
        return off

    size = numpy.sqrt(numpy.sum(d * d, axis=(-2, -1), keepdims=True))
    below = {"added": size + 1e-7, "clamped": numpy.maximum(size, 1e-7), "none": numpy.where(size > 0, size, 1.0)}[s.normalized]
    tall = d.shape[-2] > d.shape[-1]
    x = rounded(d.swapaxes(-1, -2) if tall else d) / below
    x = rounded(x)
    steps = s.ns_steps if s.steps == "as set" else int(s.steps)
    table = COEFFICIENTS[s.coefficients]
    for i in range(steps):
        a, b, c = table[min(i, len(table) - 1)]
        gram = rounded(x @ x.swapaxes(-1, -2))
        x = rounded(a * x + rounded(b * gram + rounded(c * gram @ gram)) @ x)
    return x.swapaxes(-1, -2) if tall else x


def factor(shape: Sequence[int], s: Settings) -> float:
    """The factor on the learning rate by the shape of the tensor, as `rows` by `cols`."""
    rows, cols = shape[0], math.prod(shape[1:])
    if s.scale == "last two":
        rows, cols = shape[-2], shape[-1]
    return {
        "rows by columns": math.sqrt(max(1, rows / cols)),
        "last two": math.sqrt(max(1, rows / cols)),
        "unbounded": math.sqrt(rows / cols),
        "columns by rows": math.sqrt(max(1, cols / rows)),
        "larger ratio": math.sqrt(max(rows, cols) / min(rows, cols)),
        "without the root": max(1, rows / cols),
        "match_rms_adamw": 0.2 * math.sqrt(max(rows, cols)),
        "square root of the longer side": math.sqrt(max(rows, cols)),
        "square root of the shorter side": math.sqrt(min(rows, cols)),
        "none": 1.0,
    }[str(s.scale)]


def muon(p: Array, g: Array, state: State, s: Settings, at: Update) -> None:
    """
    buf   <- ema(momentum, g);   d = (1 - momentum) g + momentum buf with nesterov, else buf
    theta <- theta (1 - lr weight_decay)
    theta <- theta - lr sqrt(max(1, rows / columns)) NS(d)
    """
    g = decay_before(p, g, s, at)
    share = 1.0 if s.form == "sum" else 1 - s.momentum
    old = state.get("buffer", numpy.zeros_like(g))
    buffer = state["buffer"] = s.momentum * old + share * g
    d = buffer
    if s.nesterov:
        d = {
            "gradient": share * g + s.momentum * buffer,
            "whole gradient": g + s.momentum * buffer,
            "old buffer": share * g + s.momentum * old,
        }[s.look]
    matrix = d.reshape(d.shape[0], d.shape[1], -1) if s.view == "rows" else d
    o = newton_schulz(matrix, s).reshape(p.shape)
    p -= s.lr * factor(p.shape[1:], s) * o
    decay_after(p, s)


RULES = [
    Rule(
        "muon",
        "Jordan et al. 2024, kellerjordan.github.io/posts/muon; github.com/KellerJordan/Muon",
        {"lr": 0.02, "momentum": 0.95, "nesterov": True, "ns_steps": 5, "weight_decay": 0.0},
        each_tensor(muon),
        {
            "scale": Choice(
                "rows by columns",
                {
                    "match_rms_adamw": "the step is scaled by 0.2 sqrt(max(rows, columns)), to the size of AdamW's steps (Liu et al. 2025, arXiv 2502.16982)",
                    "last two": "the scale of a convolution is taken from its kernel's height and width (KellerJordan/Muon before January 2026)",
                    "none": "the step is not scaled by the matrix's shape",
                    "unbounded": "the scale is sqrt(rows / columns), below 1 for wide matrices (Bernstein; modula)",
                    "columns by rows": "the scale is sqrt(max(1, columns / rows)): rows and columns are swapped",
                    "larger ratio": "the scale is sqrt(longer side / shorter side), whichever is which",
                    "without the root": "the scale is max(1, rows / columns), without the root",
                    "square root of the longer side": "the scale is sqrt(max(rows, columns)), without the factor 0.2",
                    "square root of the shorter side": "the scale is sqrt(min(rows, columns))",
                },
            ),
            "form": Choice("average", {"sum": "the momentum is a sum: the factor 1 - momentum is missing"}),
            "look": Choice(
                "gradient",
                {
                    "whole gradient": "Nesterov's step adds the whole gradient to momentum times the average, not 1 - momentum of it",
                    "old buffer": "Nesterov's step takes the buffer before this gradient has entered it",
                },
            ),
            "coefficients": Choice(
                "jordan",
                {
                    "cubic": "Newton-Schulz is the cubic one, 1.5 X - 0.5 X X^T X",
                    "quintic": "Newton-Schulz has the coefficients 2, -1.5, 0.5",
                    "taylor": "Newton-Schulz has the coefficients 15/8, -10/8, 3/8",
                    "cesista": "Newton-Schulz has coefficients that differ by iteration (Cesista, You and Jordan 2025)",
                    "polar express": "Newton-Schulz has the coefficients of Polar Express (Amsel et al. 2025, arXiv 2505.16932)",
                },
            ),
            "steps": Choice(
                "as set", {str(n): f"Newton-Schulz takes {n} iterations, whatever is asked for" for n in (1, 3, 4, 6, 8, 10)}
            ),
            "normalized": Choice(
                "added",
                {
                    "clamped": "the norm before Newton-Schulz is at least 1e-7, where 1e-7 should be added (PyTorch)",
                    "none": "nothing is added to the norm before Newton-Schulz",
                },
            ),
            "view": Choice("rows", {"last two": "a convolution is taken as many matrices of height by width, not as one of (out, rest)"}),
            "decay": DECAY,
        },
        {"lr": 0.1, "momentum": 0.7, "ns_steps": 3},
        matrices=True,
        note="KellerJordan/Muon and PyTorch compute Newton-Schulz in bfloat16, which a report notes and does not count as wrong. "
        "torch.optim.Muon scales by rows and columns as published with adjust_lr_fn='original', its default; with 'match_rms_adamw' by "
        "scale='match_rms_adamw'.",
    ),
]
