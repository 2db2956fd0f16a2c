"""Rules that use the gradient, its squares or its sign: SGD and its descendants."""

from __future__ import annotations

import numpy

from .._rule import DECAY, PENALTY, Array, Choice, Rule, Settings, State, Update, average, decay_after, decay_before, each_tensor, norm

BUFFER = {
    "form": Choice(
        "sum",
        {
            "average": "the momentum is an average: the gradient enters it by 1 - momentum",
            "with lr": "the learning rate is inside the momentum buffer (Sutskever et al. 2013; Keras), so that a change of it comes late",
        },
    ),
    "first": Choice("gradient", {"zero": "the momentum buffer starts at zero, so that dampening applies to the first gradient, too"}),
    "look": Choice(
        "gradient",
        {
            "old buffer": "Nesterov's step takes the buffer before this gradient has entered it",
            "twice": "Nesterov's step is g + momentum (g + momentum buffer): it looks ahead twice",
        },
    ),
}


def with_momentum(d: Array, state: State, s: Settings, at: Update) -> Array:
    """The step, learning rate included.

    buffer <- d at t = 1, else momentum buffer + (1 - dampening) d;   buffer, or with nesterov d + momentum buffer
    """
    if s.form == "with lr":
        d = s.lr * d
    rate = 1.0 if s.form == "with lr" else s.lr
    if s.momentum == 0:
        return rate * d
    share = 1 - (s.momentum if s.form == "average" else s.dampening)
    old = state.get("buffer", numpy.zeros_like(d))
    begins = at.t == 1 and s.first == "gradient" and s.form != "average"
    new = state["buffer"] = d + 0.0 if begins else s.momentum * old + share * d
    if s.nesterov and s.form == "average":
        new = share * d + s.momentum * new
    elif s.nesterov:
        new = d + s.momentum * {"gradient": new, "old buffer": old, "twice": d + s.momentum * new}[s.look]
    return rate * new


def sgd(p: Array, g: Array, state: State, s: Settings, at: Update) -> None:
    """
    d      = g + weight_decay theta
    theta <- theta - lr buffer
    """
    d = decay_before(p, g, s, at)
    p -= with_momentum(d, state, s, at)
    decay_after(p, s)


def lars(p: Array, g: Array, state: State, s: Settings, at: Update) -> None:
    """
    ratio  = trust_coeff ||theta|| / (||g|| + weight_decay ||theta|| + eps)      1 where a norm is 0
    d      = ratio (g + weight_decay theta), then as SGD                         a ratio of 1 where weight decay is 0
    """
    theta, size = norm(p), norm(g)
    ratio = numpy.ones_like(theta)
    if s.weight_decay != 0 or s.adapts == "always":
        below = size + s.weight_decay * theta + s.eps if s.below == "sum" else norm(g + s.weight_decay * p) + s.eps
        ratio = numpy.where((theta > 0) & (size > 0), s.trust_coeff * theta / below, 1.0)
    p -= with_momentum(ratio * (g + s.weight_decay * p), state, s, at)


def rmsprop(p: Array, g: Array, state: State, s: Settings, at: Update) -> None:
    """
    v      <- ema(alpha, g^2);   mean <- ema(alpha, g)                 centered: v - mean^2 in place of v
    buffer <- momentum buffer + g / (sqrt(v) + eps)
    theta  <- theta - lr buffer
    """
    g = decay_before(p, g, s, at)
    if at.t == 1 and s.start == "ones":
        state["v"] = numpy.ones_like(g)
    v = average(state, "v", s.alpha, g * g)
    if s.correction == "yes":
        v = v / (1 - s.alpha**at.t)
    if s.centered:
        v = numpy.maximum(v - average(state, "mean", s.alpha, g) ** 2, 0)
    d = g / (numpy.sqrt(v + s.eps) if s.eps_at == "inside" else numpy.sqrt(v) + s.eps)
    if s.form == "with lr":
        state["buffer"] = s.momentum * state.get("buffer", 0.0) + s.lr * d
        p -= state["buffer"]
    elif s.form == "average":
        p -= s.lr * average(state, "buffer", s.momentum, d)
    else:
        state["buffer"] = s.momentum * state.get("buffer", 0.0) + d
        p -= s.lr * state["buffer"]
    decay_after(p, s)


def adagrad(p: Array, g: Array, state: State, s: Settings, at: Update) -> None:
    """
    sum   <- sum + g^2                                                 starts at initial_accumulator_value
    theta <- theta - lr / (1 + (t - 1) lr_decay) g / (sqrt(sum) + eps)
    """
    g = decay_before(p, g, s, at)
    total = state["sum"] = state.get("sum", s.initial_accumulator_value) + g * g
    rate = s.lr / (1 + (at.t - (1 if s.count == "from 0" else 0)) * s.lr_decay)
    p -= rate * g / (numpy.sqrt(total + s.eps) if s.eps_at == "inside" else numpy.sqrt(total) + s.eps)
    decay_after(p, s)


def adadelta(p: Array, g: Array, state: State, s: Settings, at: Update) -> None:
    """
    v     <- ema(rho, g^2);   d = sqrt(u + eps) / sqrt(v + eps) g;   u <- ema(rho, d^2)
    theta <- theta - lr d
    """
    g = decay_before(p, g, s, at)
    v, u = average(state, "v", s.rho, g * g), state.get("u", numpy.zeros_like(g))

    def root(x: Array) -> Array:
        found: Array = numpy.sqrt(x) + s.eps if s.eps_at == "outside" else numpy.sqrt(x + s.eps)
        return found

    d = root(u) / root(v) * g
    average(state, "u", s.rho, (s.lr * d) ** 2 if s.measured == "with lr" else d * d)
    p -= s.lr * d
    decay_after(p, s)


def lion(p: Array, g: Array, state: State, s: Settings, at: Update) -> None:
    """
    theta <- theta (1 - lr weight_decay)
    theta <- theta - lr sign(beta1 m + (1 - beta1) g)
    m     <- ema(beta2, g)
    """
    beta1, beta2 = s.betas
    g = decay_before(p, g, s, at)
    if s.order == "before":
        m = average(state, "m", beta2, g)
        p -= s.lr * numpy.sign(beta1 * m + (1 - beta1) * g)
    else:
        mixed = beta1 * state.get("m", 0.0) + (1 - beta1) * g
        p -= s.lr * numpy.sign(mixed)
        state["m"] = mixed
        if s.order == "after":
            state["m"] = beta2 * (mixed - (1 - beta1) * g) / beta1 + (1 - beta2) * g
    decay_after(p, s)


def signum(p: Array, g: Array, state: State, s: Settings, at: Update) -> None:
    """
    m     <- ema(momentum, g);   theta <- theta - lr sign(m)
    """
    g = decay_before(p, g, s, at)
    m = average(state, "m", s.momentum, g)
    p -= s.lr * numpy.sign(s.momentum * m + (1 - s.momentum) * g if s.look == "ahead" else m)
    decay_after(p, s)


_EPS = Choice("outside", {"inside": "eps is added inside the square root (TensorFlow)"})

RULES = [
    Rule(
        "sgd",
        "Polyak 1964, Sutskever et al. 2013; torch.optim.SGD",
        {"lr": 1e-3, "momentum": 0.0, "dampening": 0.0, "weight_decay": 0.0, "nesterov": False},
        each_tensor(sgd),
        {**BUFFER, "decay": PENALTY},
        {"lr": 0.01, "momentum": 0.8, "dampening": 0.25},
        note="Sutskever et al. and Keras keep the learning rate inside the buffer (form='with lr'); PyTorch outside. They differ once "
        "the learning rate changes.",
    ),
    Rule(
        "signum",
        "Bernstein, Wang, Azizzadenesheli and Anandkumar 2018, arXiv 1802.04434",
        {"lr": 0.01, "momentum": 0.9, "weight_decay": 0.0},
        each_tensor(signum),
        {"look": Choice("no", {"ahead": "the sign is that of Nesterov's look ahead"}), "decay": PENALTY},
        {"lr": 0.02, "momentum": 0.6},
    ),
    Rule(
        "lion",
        "Chen et al. 2023, arXiv 2302.06675; google/automl",
        {"lr": 1e-4, "betas": (0.9, 0.99), "weight_decay": 0.0},
        each_tensor(lion),
        {
            "order": Choice(
                "after",
                {
                    "before": "the momentum takes in the gradient before the step, not after",
                    "one beta": "the momentum keeps the step's mixture: beta1 is used for both, beta2 never",
                },
            ),
            "decay": DECAY,
        },
        {"lr": 1e-3, "betas": (0.6, 0.9)},
    ),
    Rule(
        "rmsprop",
        "Tieleman and Hinton 2012; torch.optim.RMSprop",
        {"lr": 0.01, "alpha": 0.99, "eps": 1e-8, "weight_decay": 0.0, "momentum": 0.0, "centered": False},
        each_tensor(rmsprop),
        {
            "eps_at": _EPS,
            "correction": Choice("no", {"yes": "the second moment is bias-corrected"}),
            "start": Choice("zeros", {"ones": "the second moment starts at one, not at zero (TensorFlow 1)"}),
            "form": Choice("sum", {key: BUFFER["form"].others[key] for key in ("average", "with lr")}),
            "decay": PENALTY,
        },
        {"lr": 1e-3, "alpha": 0.8, "eps": 1e-3, "momentum": 0.7},
        note="Hinton's lecture has no eps. PyTorch adds it outside the root; TensorFlow inside, with a second moment that starts at one "
        "in its first version: eps_at='inside', start='ones'.",
    ),
    Rule(
        "adagrad",
        "Duchi, Hazan and Singer 2011; torch.optim.Adagrad",
        {"lr": 0.01, "lr_decay": 0.0, "weight_decay": 0.0, "initial_accumulator_value": 0.0, "eps": 1e-10},
        each_tensor(adagrad),
        {
            "eps_at": _EPS,
            "count": Choice("from 0", {"from 1": "lr_decay counts the first update as 1, not as 0"}),
            "decay": PENALTY,
        },
        {"lr": 0.1, "lr_decay": 0.1, "initial_accumulator_value": 0.1, "eps": 1e-3},
    ),
    Rule(
        "adadelta",
        "Zeiler 2012, arXiv 1212.5701; torch.optim.Adadelta",
        {"lr": 1.0, "rho": 0.9, "eps": 1e-6, "weight_decay": 0.0},
        each_tensor(adadelta),
        {
            "eps_at": Choice("inside", {"outside": "eps is added outside the square roots"}),
            "measured": Choice("without lr", {"with lr": "the average of squared steps contains the learning rate"}),
            "decay": PENALTY,
        },
        {"lr": 0.5, "rho": 0.7, "eps": 1e-3},
    ),
    Rule(
        "lars",
        "You, Gitman and Ginsburg 2017, arXiv 1708.03888; timm.optim.Lars",
        {
            "lr": 1.0,
            "momentum": 0.0,
            "dampening": 0.0,
            "weight_decay": 0.0,
            "nesterov": False,
            "trust_coeff": 1e-3,
            "eps": 1e-8,
        },
        each_tensor(lars),
        {
            **BUFFER,
            "adapts": Choice("with weight decay", {"always": "the ratio of norms is applied without weight decay, too"}),
            "below": Choice("sum", {"norm of the sum": "the norm is that of g + weight_decay theta, not the sum of both norms"}),
        },
        {"lr": 0.5, "momentum": 0.8, "dampening": 0.25, "trust_coeff": 0.02, "eps": 1e-3},
        note="The ratio is part of the momentum buffer, and is left out where weight decay is 0, as in timm.",
    ),
]
