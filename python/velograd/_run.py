"""A run's folder as data frames and arrays."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy
    import pandas
    import torch


@dataclass(frozen=True)
class Run:
    """A run that the program made, or is making."""

    folder: Path
    """Its folder."""
    info: dict[str, Any]
    """Its `run.json`: settings, data set, device, build and, once it has ended, its result."""

    @property
    def settings(self) -> dict[str, Any]:
        """What makes the run again: the flags of `velograd train` with their values, words joined by `-`."""
        return dict(self.info["recipe"])

    @property
    def optimizer_settings(self) -> dict[str, Any]:
        """All settings of the update rule, defaults included."""
        return dict(self.info["settings"])

    @property
    def result(self) -> dict[str, Any] | None:
        """The result of a run that has ended."""
        return self.info.get("result")

    @property
    def diverged(self) -> int | None:
        """The first update whose loss or gradient was not finite, if the run ended for it."""
        return (self.result or {}).get("diverged")

    @property
    def updates(self) -> pandas.DataFrame:
        """A row per update: step, epoch, loss, lr, grad_norm. What was not finite is NaN."""
        return _frame(self.folder / "steps.jsonl", "step")

    @property
    def epochs(self) -> pandas.DataFrame:
        """A row per epoch: train_loss, train_acc, val_loss, val_acc and further scores; accuracies in percent."""
        return _frame(self.folder / "metrics.jsonl", "epoch")

    def weights(self) -> dict[str, numpy.ndarray[Any, Any]]:
        """The weights that the run ended with, by PyTorch's names and in PyTorch's layouts.

        Raises:
            FileNotFoundError: the run has not ended.
        """
        from safetensors.numpy import load_file

        return dict(load_file(self._weights()))

    def state_dict(self) -> dict[str, torch.Tensor]:
        """The weights as a state dict for `load_state_dict` of the model of the same name in torchvision.

        Raises:
            FileNotFoundError: the run has not ended.
        """
        from safetensors.torch import load_file

        return dict(load_file(self._weights()))

    def _weights(self) -> Path:
        path = self.folder / "model.safetensors"
        if not path.is_file():
            raise FileNotFoundError(f"{path} is not there: the run has not ended")
        return path


def load_run(path: str | Path) -> Run:
    """Reads the folder of a run.

    Raises:
        FileNotFoundError: `path` is not the folder of a run.
        ValueError: its `run.json` is not what the program writes.
    """
    folder = Path(path)
    file = folder / "run.json"
    if not file.is_file():
        raise FileNotFoundError(f"{folder} is not the folder of a run: it has no run.json")
    info = json.loads(file.read_text(encoding="utf-8"))
    if not isinstance(info, dict) or "recipe" not in info or "settings" not in info:
        raise ValueError(f"{file} has no recipe and settings: this program did not write it, or an older one did")
    return Run(folder, info)


def whole_lines(data: bytes) -> list[bytes]:
    """The lines that are complete; a process that was killed can leave half a line at the end."""
    return data[: data.rfind(b"\n") + 1].splitlines()


def _frame(path: Path, index: str) -> pandas.DataFrame:
    import pandas

    rows = [json.loads(line) for line in whole_lines(path.read_bytes())] if path.is_file() else []
    frame = pandas.DataFrame(rows)
    return frame.set_index(index) if index in frame else frame
