"""Adam, and the rules that change its step, its rate or its momentum."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy

from .._rule import (
    DECAY,
    PENALTY,
    Array,
    Choice,
    Rule,
    Settings,
    State,
    Update,
    average,
    decay_after,
    decay_before,
    each_tensor,
    largest,
    norm,
    squared_norm,
)

EPS = Choice(
    "outside",
    {
        "inside": "eps is added inside the square root",
        "inside, before the correction": "eps is added inside the square root, before the bias correction of v",
        "before the correction": "eps is added before the bias correction of v (the paper's epsilon hat; TensorFlow, Keras)",
        "none": "eps is not added",
        "at least": "the root is at least eps, where eps should be added (heavyball)",
        "twice": "1e-15 is added inside the square root, beside eps outside (pytorch_optimizer)",
        "twice, before the correction": "1e-15 is added inside the square root and eps outside, before the bias correction of v",
    },
)
CORRECTION = Choice(
    "both",
    {
        "none": "no bias correction",
        "first": "no bias correction of the second moment",
        "second": "no bias correction of the first moment",
    },
)
MAXIMUM = Choice("of v", {"of corrected v": "amsgrad takes the maximum after the bias correction (Keras, Optax)"})
SECOND = Choice(
    "squares",
    {
        "deviations": "the second moment is that of g - m, as in AdaBelief",
        "updated after": "the second moment is used before this gradient has entered it",
    },
)
ROOT = Choice("root", {"none": "the step is divided by v, not by its square root"})
MOMENT = Choice(
    "average",
    {
        "sum": "the first moment is a sum, not an average: the factor 1 - beta1 is missing",
        "nesterov": "the step takes beta1 m + (1 - beta1) g, as in NAdamW",
        "normalized": "the gradient is divided before the momentum, as in LaProp",
    },
)


def denominator(v: Array, correction: float, s: Settings) -> Array:
    """The root of the second moment, with eps where the setting says."""
    power = 0.5 if s.get("root", "root") == "root" else 1.0
    eps = float(s.eps)
    root: Array
    if s.eps_at == "inside":
        root = (v / correction + eps) ** power
    elif s.eps_at == "inside, before the correction":
        root = ((v + eps) / correction) ** power
    elif s.eps_at == "before the correction":
        root = (v**power + eps) / correction**power
    elif s.eps_at == "at least":
        root = numpy.maximum((v / correction) ** power, eps)
    elif s.eps_at == "twice":
        root = (v / correction + 1e-15) ** power + eps
    elif s.eps_at == "twice, before the correction":
        root = ((v + 1e-15) ** power + eps) / correction**power
    elif s.eps_at == "none":
        root = (v / correction) ** power
        root = numpy.where(root > 0, root, 1.0)
    else:
        root = (v / correction) ** power + eps
    return root


def corrections(s: Settings, t: int) -> tuple[float, float]:
    beta1, beta2 = s.betas[:2]
    first = 1 - beta1**t if s.correction in ("both", "first") else 1.0
    second = 1 - beta2**t if s.correction in ("both", "second") else 1.0
    return first, second


def adam(p: Array, g: Array, state: State, s: Settings, at: Update) -> None:
    """
    m     <- ema(beta1, g);   v <- ema(beta2, g^2);   amsgrad: v_max <- max(v_max, v) in place of v
    theta <- theta - lr m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + eps)
    """
    (beta1, beta2), (first, second) = s.betas, corrections(s, at.t)
    g = decay_before(p, g, s, at)
    old = state.get("v", numpy.zeros_like(g))
    if s.moment == "sum":
        m = state["m"] = beta1 * state.get("m", 0.0) + g
    elif s.moment == "normalized":
        m = numpy.zeros_like(g)
    else:
        m = average(state, "m", beta1, g)
    v = average(state, "v", beta2, (g - m) ** 2 if s.second == "deviations" else g * g)
    if s.second == "updated after":
        v = old
    if s.get("amsgrad"):
        v = largest(state, "v_max", v / second if s.maximum == "of corrected v" else v)
        second = 1.0 if s.maximum == "of corrected v" else second
    below = denominator(v, second, s)
    if s.moment == "normalized":
        p -= s.lr * average(state, "u", beta1, g / below) / first
    else:
        ahead = beta1 * m + (1 - beta1) * g if s.moment == "nesterov" else m
        p -= s.lr / first * ahead / below
    decay_after(p, s)


def nadam(p: Array, g: Array, state: State, s: Settings, at: Update) -> None:
    """
    mu_t   = beta1 (1 - 0.5 0.96^(t momentum_decay));   P = mu_1 mu_2 ... mu_t
    d      = sqrt(v / (1 - beta2^t)) + eps
    theta <- theta - lr (1 - mu_t) / (1 - P) g / d - lr mu_(t+1) / (1 - P mu_(t+1)) m / d
    """
    beta1, beta2 = s.betas
    psi = s.momentum_decay

    def mu(t: int) -> float:
        return float(beta1 if s.schedule == "none" else beta1 * (1 - 0.5 * 0.96 ** (t * psi)))

    now, after = mu(at.t), mu(at.t + 1)
    product = state["product"] = state.get("product", 1.0) * now
    g = decay_before(p, g, s, at)
    m, v = average(state, "m", beta1, g), average(state, "v", beta2, g * g)
    below = denominator(v, 1 - beta2**at.t, s)
    p -= s.lr * (1 - now) / (1 - product) * g / below
    p -= s.lr * after / (1 - product * after) * m / below
    decay_after(p, s)


def rectification(beta2: float, t: int) -> tuple[float, float]:
    """rho and r of RAdam; r is 0 where it is not defined."""
    longest = 2 / (1 - beta2) - 1
    rho = longest - 2 * t * beta2**t / (1 - beta2**t)
    square = (rho - 4) * (rho - 2) * longest / ((longest - 4) * (longest - 2) * rho)
    return rho, math.sqrt(max(square, 0.0))


def radam(p: Array, g: Array, state: State, s: Settings, at: Update) -> None:
    """
    theta <- theta - lr r sqrt(1 - beta2^t) m / (1 - beta1^t) / (sqrt(v) + eps)       where rho > 5
    theta <- theta - lr m / (1 - beta1^t)                                             else
    """
    beta1, beta2 = s.betas
    g = decay_before(p, g, s, at)
    m, v = average(state, "m", beta1, g), average(state, "v", beta2, g * g)
    mean, second = m / (1 - beta1**at.t), 1 - beta2**at.t
    rho, r = rectification(beta2, at.t)
    if rho > {"5": 5.0, "4": 4.0}[s.threshold]:
        p -= s.lr * (1.0 if s.rectified == "no" else r) * mean / denominator(v, second, s)
    elif s.before == "momentum":
        p -= s.lr * mean
    elif s.before == "adam":
        p -= s.lr * mean / denominator(v, second, s)
    decay_after(p, s)


def adabound(p: Array, g: Array, state: State, s: Settings, at: Update) -> None:
    """
    f      = final_lr lr / first lr;   low = f (1 - 1 / (gamma t + 1));   high = f (1 + 1 / (gamma t))
    theta <- theta - clamp(lr sqrt(1 - beta2^t) / (1 - beta1^t) / (sqrt(v) + eps), low, high) m
    """
    (beta1, beta2), (first, second) = s.betas, corrections(s, at.t)
    g = decay_before(p, g, s, at)
    m, v = average(state, "m", beta1, g), average(state, "v", beta2, g * g)
    if s.amsbound:
        v = largest(state, "v_max", v)
    final = s.final_lr * (s.lr / at.first_lr if s.final == "scheduled" else 1.0)
    low, high = final * (1 - 1 / (s.gamma * at.t + 1)), final * (1 + 1 / (s.gamma * at.t))
    p -= numpy.clip(s.lr / first / denominator(v, second, s), low, high) * m
    decay_after(p, s)


def ademamix(p: Array, g: Array, state: State, s: Settings, at: Update) -> None:
    """
    m     <- ema(beta1, g);   v <- ema(beta2, g^2);   slow <- ema(beta3, g)
    theta <- theta - lr ((m / (1 - beta1^t) + alpha slow) / (sqrt(v / (1 - beta2^t)) + eps) + weight_decay theta)
    """
    beta1, beta2, beta3 = s.betas
    g = decay_before(p, g, s, at)
    m, v, slow = average(state, "m", beta1, g), average(state, "v", beta2, g * g), average(state, "slow", beta3, g)
    if s.slow == "corrected":
        slow = slow / (1 - beta3**at.t)
    first, second = corrections(s, at.t)
    p -= s.lr * (m / first + s.alpha * slow) / denominator(v, second, s)
    decay_after(p, s)


def vradam(
    params: Sequence[Array], grads: Sequence[Array], states: Sequence[State], s: Settings, at: Update
) -> None:
    """
    eta    = lr / (1 + min(beta3 ||m||^2, alpha1))                              the norm is over all tensors
    theta <- theta (1 - eta weight_decay)
    theta <- theta - eta m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + eps)
    """
    beta1, beta2 = s.betas
    totals = []
    for g, state in zip(grads, states, strict=True):
        m = average(state, "m", beta1, g)
        average(state, "v", beta2, g * g)
        measured = {"velocity": m, "gradient": g, "corrected velocity": m / (1 - beta1**at.t)}[s.norm_of]
        totals.append(squared_norm(measured).reshape(-1))
    total = numpy.sum(totals, axis=0)
    for p, own, state in zip(params, totals, states, strict=True):
        squares = (own if s.scope == "tensor" else total).reshape((-1,) + (1,) * (p.ndim - 1))
        eta = s.lr / (1 + numpy.minimum(s.beta3 * squares, s.alpha1))
        p *= 1 - eta * s.weight_decay
        p -= eta * state["m"] / (1 - beta1**at.t) / denominator(state["v"], 1 - beta2**at.t, s)


def lamb(p: Array, g: Array, state: State, s: Settings, at: Update) -> None:
    """
    u      = m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + eps) + weight_decay theta
    theta <- theta - lr ||theta|| / ||u|| u        a ratio of 1 where a norm is 0, and where weight decay is 0
    """
    (beta1, beta2), (first, second) = s.betas, corrections(s, at.t)
    m, v = average(state, "m", beta1, g), average(state, "v", beta2, g * g)
    u = m / first / denominator(v, second, s) + (s.weight_decay * p if s.decay == "in the step" else 0.0)
    theta, size = norm(p), norm(u)
    if s.clip == "norm 10":
        theta = numpy.minimum(theta, 10.0)
    if s.weight_decay != 0 or s.adapts == "always":
        ratio = numpy.where((theta > 0) & (size > 0), theta / numpy.where(size > 0, size, 1.0), 1.0)
    else:
        ratio = numpy.ones_like(theta)
    if s.clip == "1":
        ratio = numpy.minimum(ratio, 1.0)
    if s.decay == "decoupled":
        p *= 1 - s.lr * s.weight_decay
    p -= s.lr * ratio * u


_MOMENTS = {"eps_at": EPS, "correction": CORRECTION, "root": ROOT}
_ADAM = {**_MOMENTS, "maximum": MAXIMUM, "second": SECOND, "moment": MOMENT}
_BETAS = {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8}
_OTHER = {"lr": 0.01, "betas": (0.8, 0.95), "eps": 1e-3}

RULES = [
    Rule(
        "adam",
        "Kingma and Ba 2015, arXiv 1412.6980; torch.optim.Adam",
        {**_BETAS, "weight_decay": 0.0, "amsgrad": False},
        each_tensor(adam),
        {**_ADAM, "decay": PENALTY},
        _OTHER,
        note="The paper writes an alternative with eps before the bias correction (epsilon hat), which TensorFlow and Keras use: "
        "eps_at='before the correction'.",
    ),
    Rule(
        "adamw",
        "Loshchilov and Hutter 2019, arXiv 1711.05101; torch.optim.AdamW",
        {**_BETAS, "weight_decay": 0.01, "amsgrad": False},
        each_tensor(adam),
        {**_ADAM, "decay": DECAY},
        _OTHER,
        note="The paper multiplies weight decay by the schedule's factor alone; PyTorch, and nearly all that follow it, by the "
        "learning rate: decay='with the schedule' is the paper's.",
    ),
    Rule(
        "nadamw",
        "Dozat 2016; Choi et al. 2019, arXiv 1910.05446; timm.optim.NAdamW",
        {**_BETAS, "weight_decay": 0.01},
        each_tensor(adam),
        {**_MOMENTS, "second": SECOND, "moment": MOMENT.instead("nesterov", "the step takes m, without Nesterov's look ahead"), "decay": DECAY},
        _OTHER,
        note="It has no schedule of momentum, which is what tells it from NAdam with decoupled weight decay.",
    ),
    Rule(
        "nadam",
        "Dozat 2016; torch.optim.NAdam",
        {"lr": 2e-3, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.0, "momentum_decay": 4e-3},
        each_tensor(nadam),
        {
            "eps_at": EPS,
            "schedule": Choice("0.96", {"none": "momentum is beta1 throughout, without the schedule"}),
            "decay": PENALTY,
        },
        {**_OTHER, "momentum_decay": 0.05},
        note="torch.optim.NAdam corrects the second moment by 1 - beta2^t as Dozat's Algorithm 8 does; his report on the schedule "
        "multiplies it, which is left out here as in PyTorch.",
    ),
    Rule(
        "radam",
        "Liu et al. 2020, arXiv 1908.03265; torch.optim.RAdam",
        {**_BETAS, "weight_decay": 0.0},
        each_tensor(radam),
        {
            "eps_at": EPS.instead("before the correction", "eps is added after the bias correction of v"),
            "before": Choice(
                "momentum",
                {
                    "none": "no step is taken before the variance can be rectified (the authors' code)",
                    "adam": "Adam's step is taken before the variance can be rectified",
                },
            ),
            "threshold": Choice("5", {"4": "the variance is rectified where rho > 4 (the paper's algorithm), not where rho > 5"}),
            "rectified": Choice("yes", {"no": "the rectification factor is missing"}),
            "decay": PENALTY,
        },
        _OTHER,
        note="The paper rectifies where rho > 4; the authors' code where rho >= 5, with decoupled weight decay and no step before "
        "that. PyTorch takes a step of momentum there.",
    ),
    Rule(
        "adabound",
        "Luo, Xiong, Liu and Sun 2019, arXiv 1902.09843; Luolc/AdaBound",
        {**_BETAS, "final_lr": 0.1, "gamma": 1e-3, "weight_decay": 0.0, "amsbound": False},
        each_tensor(adabound),
        {
            "eps_at": EPS.instead("before the correction", "eps is added after the bias correction of v"),
            "correction": CORRECTION,
            "final": Choice("scheduled", {"fixed": "final_lr does not follow the learning rate's schedule"}),
            "decay": PENALTY,
        },
        {**_OTHER, "final_lr": 0.02, "gamma": 0.1},
    ),
    Rule(
        "ademamix",
        "Pagliardini, Ablin and Grangier 2024, arXiv 2409.03137; apple/ml-ademamix",
        {"lr": 1e-3, "betas": (0.9, 0.999, 0.9999), "alpha": 2.0, "eps": 1e-8, "weight_decay": 0.0},
        each_tensor(ademamix),
        {**_MOMENTS, "slow": Choice("uncorrected", {"corrected": "the slow average is bias-corrected"}), "decay": DECAY},
        {"lr": 0.01, "betas": (0.8, 0.95, 0.99), "alpha": 5.0, "eps": 1e-3},
        note="Without the warm-up of alpha and beta3, which the authors' code leaves out by default.",
    ),
    Rule(
        "vradam",
        "Velocity-Regularized Adam, arXiv 2505.13196; pranavjv/vradam",
        {**_BETAS, "beta3": 1.0, "alpha1": 10.0, "weight_decay": 1e-5},
        vradam,
        {
            "eps_at": EPS,
            "norm_of": Choice(
                "velocity",
                {
                    "gradient": "the norm is that of the gradient (the authors' code before its release)",
                    "corrected velocity": "the norm is that of the bias-corrected first moment",
                },
            ),
            "scope": Choice("all", {"tensor": "the norm is that of each tensor, not of all"}),
        },
        {**_OTHER, "beta3": 0.3, "alpha1": 0.5},
    ),
    Rule(
        "lamb",
        "You et al. 2020, arXiv 1904.00962; timm.optim.Lamb without its clipping",
        {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-6, "weight_decay": 0.01},
        each_tensor(lamb),
        {
            **_MOMENTS,
            "decay": Choice("in the step", {"decoupled": "weight decay is decoupled, not part of the step whose norm is taken"}),
            "adapts": Choice("with weight decay", {"always": "the ratio of norms is applied without weight decay, too"}),
            "clip": Choice(
                "none",
                {
                    "1": "the ratio of norms is at most 1",
                    "norm 10": "the norm of the parameters counts as 10 at most (an early version of the paper; cybertronai/pytorch-lamb)",
                },
            ),
        },
        _OTHER,
        note="The paper's Algorithm 2 scales every tensor; its own experiments, and timm, leave tensors without weight decay alone: "
        "adapts='always' is the algorithm as printed.",
    ),
]
