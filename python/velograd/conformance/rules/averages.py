"""Schedule-Free AdamW: gradients at one point, evaluation at an average."""

from __future__ import annotations

from .._rule import Array, Choice, Rule, Settings, State, Update, average, each_tensor
from .adam import EPS, denominator


def schedulefree(p: Array, g: Array, state: State, s: Settings, at: Update) -> None:
    """The parameters are y; x, y and z start as the initial parameters.

    lr_t   = lr min(1, t / warmup_steps);   lr_max <- max(lr_max, lr_t);   w = lr_max^2;   W <- W + w
    z     <- z - lr_t weight_decay y
    z     <- z - lr_t g / (sqrt(v / (1 - beta2^t)) + eps)
    x     <- (1 - w / W) x + w / W z;   y = beta1 x + (1 - beta1) z
    """
    beta1, beta2 = s.betas
    x, z = state.get("x", p + 0.0), state.get("z", p + 0.0)
    rate = s.lr * min(1.0, at.t / s.warmup_steps) if s.warmup_steps else s.lr
    state["lr_max"] = max(state.get("lr_max", 0.0), rate)
    weight = state["lr_max"] ** {"lr squared": 2.0, "equal": 0.0}[s.weights]
    state["W"] = state.get("W", 0.0) + weight
    share = weight / state["W"]
    v = average(state, "v", beta2, g * g)
    z = z - rate * s.weight_decay * (p if s.decayed == "y" else z)
    z = z - rate * g / denominator(v, 1 - beta2**at.t if s.correction == "yes" else 1.0, s)
    state["z"], state["x"] = z, (1 - share) * x + share * z
    p[...] = beta1 * state["x"] + (1 - beta1) * z


RULES = [
    Rule(
        "schedulefree",
        "Defazio et al. 2024, arXiv 2405.15682; facebookresearch/schedule_free, AdamWScheduleFree",
        {"lr": 2.5e-3, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.0, "warmup_steps": 0},
        each_tensor(schedulefree),
        {
            "eps_at": EPS,
            "correction": Choice("yes", {"no": "no bias correction of the second moment"}),
            "weights": Choice("lr squared", {"equal": "all iterates have the same weight in the average"}),
            "decayed": Choice("y", {"z": "weight decay acts on z, not on y"}),
        },
        {"lr": 0.01, "betas": (0.8, 0.95), "eps": 1e-3, "warmup_steps": 4},
        note="What is compared is the point y, at which gradients are taken.",
    ),
]
