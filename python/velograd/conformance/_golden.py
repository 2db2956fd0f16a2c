"""Golden traces: where rules lead, computed by code that shares nothing with this package."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any


def golden() -> dict[str, Any]:
    """The golden traces, for programs in any language: `golden.json` in the folder of this module.

    `params` are the initial parameters and `gradients` those of 24 updates, by tensor, flat in row order, with `shapes`;
    `losses` are the training losses. Before update t, the learning rate is that of the trace multiplied by
    `rates[(t - 1) % len(rates)]`. A trace has its `rule`, all its `settings`, the `tensors` that it is about, its `origin`, and by
    the number of the update the `params` after it. All numbers are float64; float32 holds the inputs exactly. Among the
    gradients are zeros (update 7), large ones (9, tensor 0), tiny ones (12), and such as repeat or negate those before.
    """
    made: dict[str, Any] = json.loads(resources.files(__package__).joinpath("golden.json").read_text(encoding="utf-8"))
    return made
