"""VeloGrad, as its notebook and its paper have it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy

from .._rule import Array, Choice, Rule, Settings, State, Update, average, squared_norm


def velograd(params: Sequence[Array], grads: Sequence[Array], states: Sequence[State], s: Settings, at: Update) -> None:
    """With cap(x) = min(1, 1 / (x + eps)):

    l     <- beta2 l + (1 - beta2) loss;   n = ||g||;   similarity = <g, g'> / (n ||g'|| + eps), 0 at t = 1
    g     <- g (1 + 0.5 (1 - n) where n <= 1, else 1 / n)
    u      = Adam's direction;   a = lr cap(l) cap(n)
    theta <- theta - a (1 + 0.1 similarity) u
    theta <- theta (1 - a weight_decay cap(l) cap(||u||))
    every lookahead_k updates: slow <- slow + alpha_slow (theta - slow)
                               theta <- (1 - alpha_interp) theta + alpha_interp slow
    """
    beta1, beta2 = s.betas

    def cap(x: Array) -> Array:
        capped: Array = 1 / numpy.maximum(1.0, x + s.eps)
        return capped

    def over(sums: list[Array]) -> list[Array]:
        """A sum per tensor, or for each the sum over all."""
        if s.scope == "tensor":
            return sums
        total = sum(x.reshape(-1) for x in sums)
        return [numpy.reshape(total, x.shape) for x in sums]

    before = [state.get("previous", numpy.zeros_like(g)) for g, state in zip(grads, states, strict=True)]
    squares = over([squared_norm(g) for g in grads])
    squares_before = over([squared_norm(g) for g in before])
    products = over(
        [numpy.sum(g * b, axis=tuple(range(1, g.ndim)), keepdims=True) for g, b in zip(grads, before, strict=True)]
    )
    moves = []
    for i, (p, g, state) in enumerate(zip(params, grads, states, strict=True)):
        state.setdefault("slow", p + 0.0)
        state["previous"] = g + 0.0
        level = average(state, "loss", beta2, numpy.asarray(at.loss))
        n = numpy.sqrt(squares[i])
        similarity = products[i] / (n * numpy.sqrt(squares_before[i]) + s.eps)
        scaled = g * numpy.where(n <= 1, 1 + 0.5 * (1 - n), 1 / numpy.maximum(n, 1))
        m, v = average(state, "m", beta1, scaled), average(state, "v", beta2, scaled * scaled)
        u = m / (1 - beta1**at.t) / (numpy.sqrt(v / (1 - beta2**at.t)) + s.eps)
        a = s.lr * cap(level) * cap(n)
        moves.append((u, a, a * (1 + 0.1 * similarity), level))
    lengths = over([squared_norm(step * u if s.decay_norm == "delta" else u) for u, _, step, _ in moves])
    for p, state, (u, a, step, level), length in zip(params, states, moves, lengths, strict=True):
        p -= step * u
        p *= 1 - a * s.weight_decay * cap(level) * cap(numpy.sqrt(length))
        if at.t % s.lookahead_k == 0:
            slow = state["slow"] = state["slow"] + s.alpha_slow * (p - state["slow"])
            p *= 1 - s.alpha_interp
            p += s.alpha_interp * slow


RULES = [
    Rule(
        "velograd",
        "the VeloGrad paper, and the class in its notebook",
        {
            "lr": 1.5e-3,
            "betas": (0.9, 0.99),
            "eps": 1e-8,
            "weight_decay": 1e-4,
            "lookahead_k": 5,
            "alpha_slow": 0.5,
            "alpha_interp": 0.2,
        },
        velograd,
        {
            "scope": Choice("tensor", {"global": "norms are over all tensors (the paper), not over each (the notebook)"}),
            "decay_norm": Choice("direction", {"delta": "the decay follows the norm of the applied step (the paper), not of its direction"}),
        },
        {"lr": 0.01, "betas": (0.8, 0.95), "eps": 1e-3, "lookahead_k": 3, "alpha_slow": 0.3, "alpha_interp": 0.6},
        note="An optimizer is given the loss by its method set_loss before each update, as the notebook has it.",
    ),
]
