"""Writes networks/mlp-kept.json and networks/cnn-kept.json: as networks.py, but that no update clears the gradient, which is the sum of
those of all batches so far.

    python tests/data/kept_gradients.py

needs what networks.py needs; it takes seconds.
"""

from collections.abc import Callable

import torch
from networks import CASES, OPTIMIZERS, batches, build, fill, golden, search, state, words

Rule = Callable[..., torch.optim.Optimizer]


def keeping(rule: Rule) -> Rule:
    """The rule, whose `zero_grad` does nothing."""

    def kept(parameters: object, lr: float) -> torch.optim.Optimizer:
        optimizer = rule(parameters, lr)
        optimizer.zero_grad = lambda set_to_none=True: None
        return optimizer

    return kept


def write(name: str, case: str) -> None:
    model, settings, image, classes, batch = CASES[case]
    network = build(model, settings, image, classes)
    fill(network)
    shift, rates = search(network, lambda shift: batches(image, classes, batch, shift))
    data = batches(image, classes, batch, shift)
    stated = {"model": model, "settings": words(settings), "image": image, "classes": classes, "batch": batch, "shift": shift}
    golden(name, {**stated, "zero_grad": False}, network, rates, data, state)


if __name__ == "__main__":
    OPTIMIZERS.update({name: keeping(rule) for name, rule in OPTIMIZERS.items()})
    write("mlp-kept", "mlp-gray")
    write("cnn-kept", "cnn-vradam")
