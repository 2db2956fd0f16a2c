"""Rules that divide by the gradient's variance or by its change, and rules that divide before they apply momentum."""

from __future__ import annotations

from collections.abc import Sequence

import numpy

from .._rule import DECAY, Array, Choice, Rule, Settings, State, Update, average, decay_after, decay_before, each_tensor, largest
from .adam import EPS, denominator, rectification

RESIDUAL = Choice("new m", {"old m": "the deviation is that from the mean before this gradient has entered it"})


def adabelief(p: Array, g: Array, state: State, s: Settings, at: Update) -> None:
    """
    m     <- ema(beta1, g);   v <- ema(beta2, (g - m)^2) + eps         amsgrad: v_max <- max(v_max, v) in place of v
    theta <- theta - lr m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + eps)
    rectify: the step of RAdam with v in place of its second moment, rectified where rho >= 5
    """
    beta1, beta2 = s.betas
    g = decay_before(p, g, s, at)
    old = state.get("m", numpy.zeros_like(g))
    m = average(state, "m", beta1, g)
    v = average(state, "v", beta2, (g - (m if s.residual == "new m" else old)) ** 2)
    if s.eps_in_state == "yes" or (s.eps_in_state == "in the maximum" and not s.amsgrad):
        v = state["v"] = v + s.eps
    elif s.eps_in_state == "for this step":
        v = v + s.eps
    if s.amsgrad:
        v = largest(state, "v_max", v)
        if s.eps_in_state == "in the maximum":
            v = state["v_max"] = v + s.eps
    mean, second = m / (1 - beta1**at.t), 1 - beta2**at.t
    rho, r = rectification(beta2, at.t)
    if not s.rectify:
        p -= s.lr * mean / denominator(v, second, s)
    elif rho >= 5:
        p -= s.lr * r * second**0.5 * mean / (numpy.sqrt(state["v"]) + s.eps)
    else:
        p -= s.lr * mean
    decay_after(p, s)


def laprop(p: Array, g: Array, state: State, s: Settings, at: Update) -> None:
    """
    v     <- ema(beta2, g^2);   u <- ema(beta1, g / (sqrt(v / (1 - beta2^t)) + eps))
    theta <- theta - lr u / (1 - beta1^t)
    """
    beta1, beta2 = s.betas
    g = decay_before(p, g, s, at)
    v = average(state, "v", beta2, g * g)
    z = g / denominator(v, 1 - beta2**at.t, s)
    if s.rate == "inside":
        q = state["q"] = beta1 * state.get("q", 0.0) + (1 - beta1) * s.lr
        p -= average(state, "u", beta1, s.lr * z) * s.lr / q
    else:
        p -= s.lr * average(state, "u", beta1, z) / (1 - beta1**at.t)
    decay_after(p, s)


def mvngrad(p: Array, g: Array, state: State, s: Settings, at: Update) -> None:
    """
    m     <- ema(beta1, g);   v <- ema(beta2, (g - m)^2) + eps_s
    u     <- ema(beta1, g / (sqrt(v / (1 - beta2^t)) + eps))
    theta <- theta - lr u / (1 - beta1^t)
    """
    beta1, beta2 = s.betas
    g = decay_before(p, g, s, at)
    old = state.get("m", numpy.zeros_like(g))
    m = average(state, "m", beta1, g)
    v = average(state, "v", beta2, (g - (m if s.residual == "new m" else old)) ** 2)
    v = state["v"] = v + s.eps_s
    p -= s.lr * average(state, "u", beta1, g / denominator(v, 1 - beta2**at.t, s)) / (1 - beta1**at.t)
    decay_after(p, s)


def adan(p: Array, g: Array, state: State, s: Settings, at: Update) -> None:
    """
    diff   = g - previous g, 0 at t = 1
    m     <- ema(beta1, g);   d <- ema(beta2, diff);   n <- ema(beta3, (g + beta2 diff)^2)
    theta <- theta - lr (m / (1 - beta1^t) + beta2 d / (1 - beta2^t)) / (sqrt(n / (1 - beta3^t)) + eps)
    theta <- theta / (1 + lr weight_decay)                   no_prox: theta (1 - lr weight_decay) before the step instead
    """
    beta1, beta2, beta3 = s.betas
    diff = g - state.get("previous", g if s.first == "zero" else 0.0)
    state["previous"] = g + 0.0
    m, d = average(state, "m", beta1, g), average(state, "d", beta2, diff)
    n = average(state, "n", beta3, (g + beta2 * diff) ** 2)
    first, second, third = (1 - beta**at.t if s.correction == "yes" else 1.0 for beta in s.betas)
    if s.no_prox:
        p *= 1 - s.lr * s.weight_decay
    p -= s.lr * (m / first + beta2 * d / second) / denominator(n, third, s)
    if not s.no_prox:
        p /= 1 + s.lr * s.weight_decay


def amvt(params: Sequence[Array], grads: Sequence[Array], states: Sequence[State], s: Settings, at: Update) -> None:
    """
    m     <- ema(beta1, g);   v <- ema(beta2, g^2);   d <- ema(beta3, (g - m)^2);   each corrected by 1 - beta^t
    theta <- theta - lr m / sqrt(v + d + eps) - weight_decay theta
    """
    beta1, beta2, beta3 = s.betas
    for p, g, state in zip(params, grads, states, strict=True):
        old, theta = state.get("m", numpy.zeros_like(g)), p + 0.0
        m, v = average(state, "m", beta1, g), average(state, "v", beta2, g * g)
        d = average(state, "d", beta3, (g - (m if s.residual == "new m" else old)) ** 2) / (1 - beta3**at.t)
        mean, v = m / (1 - beta1**at.t if s.corrected == "yes" else 1.0), v / (1 - beta2**at.t)
        if s.eps_at == "inside":
            p -= s.lr * mean / numpy.sqrt(v + d + s.eps)
        else:
            p -= s.lr * mean / numpy.sqrt(1 + d / (v + s.eps)) / (numpy.sqrt(v) + s.eps)
        p -= s.weight_decay * (s.lr if s.decay == "decoupled" else 1.0) * theta


_BETAS = {"lr": 1e-3, "betas": (0.9, 0.999)}
_OTHER = {"lr": 0.01, "betas": (0.8, 0.95), "eps": 1e-3}

RULES = [
    Rule(
        "adabelief",
        "Zhuang et al. 2020, arXiv 2010.07468; adabelief_pytorch 0.2.1",
        {**_BETAS, "eps": 1e-16, "weight_decay": 0.0, "amsgrad": False, "rectify": False},
        each_tensor(adabelief),
        {
            "eps_at": EPS,
            "eps_in_state": Choice(
                "yes",
                {
                    "no": "eps is not added to the second moment",
                    "in the maximum": "amsgrad adds eps to the largest second moment, where it stays, and not to the second moment",
                    "for this step": "eps is added to the second moment for this step, and does not stay in the state",
                },
            ),
            "residual": RESIDUAL,
            "decay": DECAY,
        },
        _OTHER,
        note="The authors' package rectifies by default since 0.1 (rectify=True), and their results on CIFAR-10 use eps 1e-8 with an L2 "
        "penalty.",
    ),
    Rule(
        "laprop",
        "Ziyin, Wang and Ueda 2020, arXiv 2002.04839",
        {"lr": 4e-4, "betas": (0.9, 0.999), "eps": 1e-15, "weight_decay": 0.0},
        each_tensor(laprop),
        {
            "eps_at": EPS,
            "rate": Choice("outside", {"inside": "the learning rate is inside the average (the authors' code)"}),
            "decay": DECAY,
        },
        _OTHER,
        note="The authors' code keeps the learning rate inside the average and decays after the step, without the learning rate: "
        "rate='inside', decay='without lr, after the step'.",
    ),
    Rule(
        "mvngrad",
        "Patitucci and Mokhtari 2026, arXiv 2602.10204",
        {**_BETAS, "eps": 1e-8, "eps_s": 1e-16, "weight_decay": 0.0},
        each_tensor(mvngrad),
        {"eps_at": EPS, "residual": RESIDUAL, "decay": DECAY},
        {**_OTHER, "eps_s": 1e-4},
    ),
    Rule(
        "adan",
        "Xie et al. 2022, arXiv 2208.06677; sail-sg/Adan",
        {"lr": 1e-3, "betas": (0.98, 0.92, 0.99), "eps": 1e-8, "weight_decay": 0.0, "no_prox": False},
        each_tensor(adan),
        {
            "eps_at": EPS,
            "first": Choice("zero", {"gradient": "the first difference is the gradient itself, not zero"}),
            "correction": Choice("yes", {"no": "no bias correction (the paper's algorithm as printed)"}),
        },
        {"lr": 0.01, "betas": (0.9, 0.8, 0.95), "eps": 1e-3},
        note="The paper's betas are 1 minus those of its code, which are used here.",
    ),
    Rule(
        "amvt",
        "the AMVT paper, Algorithm 1",
        {"lr": 1e-3, "betas": (0.9, 0.999, 0.99), "eps": 1e-8, "weight_decay": 0.0},
        amvt,
        {
            "eps_at": Choice("inside", {"outside": "eps is added outside the square root"}),
            "corrected": Choice("yes", {"no": "the step takes the uncorrected first moment (line i as printed)"}),
            "residual": RESIDUAL,
            "decay": Choice("without lr", {"decoupled": "weight decay is multiplied by the learning rate"}),
        },
        {"lr": 0.01, "betas": (0.8, 0.95, 0.9), "eps": 1e-3},
    ),
]
