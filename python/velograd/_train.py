"""Training, in a process of its own."""

from __future__ import annotations

import json
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from ._program import ProgramError, program
from ._run import Run, load_run, whole_lines

#: Seconds between two looks at the files of a run.
PAUSE = 0.1


class Update(dict[str, Any]):
    """What an update left: step, epoch, loss, lr, grad_norm."""


class Epoch(dict[str, Any]):
    """What an epoch left: epoch, train_loss, train_acc, val_loss, val_acc and further scores."""


class _Log:
    """A file that grows by a JSON object per line."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.read = path.stat().st_size if path.is_file() else 0

    def more(self) -> list[dict[str, Any]]:
        if not self.path.is_file():
            return []
        # A run that is resumed cuts its logs back to the checkpoint, and writes the rows behind it anew.
        self.read = min(self.read, self.path.stat().st_size)
        with self.path.open("rb") as file:
            file.seek(self.read)
            lines = whole_lines(file.read())
        self.read += sum(len(line) + 1 for line in lines)
        return [json.loads(line) for line in lines]


class Training(Iterator["Update | Epoch"]):
    """A run under way. Iterating gives its rows as they come, and ends with the run.

    As a context manager it stops the run where the block is left early. A run that is stopped writes a checkpoint, and
    `train(resume=folder)` continues it to the same bits.
    """

    def __init__(self, command: list[str], folder: Path) -> None:
        self.folder = folder
        self._logs = [(_Log(folder / "steps.jsonl"), Update), (_Log(folder / "metrics.jsonl"), Epoch)]
        self._rows: list[Update | Epoch] = []
        self._before = self._info()
        # A pipe that nobody reads would fill up and hold the program.
        self._said = tempfile.TemporaryFile()
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=self._said)

    def __next__(self) -> Update | Epoch:
        while True:
            if self._rows:
                return self._rows.pop(0)
            ended = self._process.poll() is not None  # asked first: what is written before the end is read after it
            self._rows = [kind(row) for log, kind in self._logs for row in log.more()]
            if ended and not self._rows:
                self._check()
                raise StopIteration
            if not self._rows:
                time.sleep(PAUSE)

    def run(self) -> Run:
        """Waits for the end, and reads the run's folder.

        Raises:
            ProgramError: the program ended with an error. A run that has diverged is none: `Run.diverged` tells.
        """
        self._process.wait()
        self._check()
        return load_run(self.folder)

    def stop(self) -> None:
        """Has the program finish its update, write a checkpoint and end; waits for that."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait()

    def __enter__(self) -> Training:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def _check(self) -> None:
        code = self._process.returncode
        stopped = code in (130, 143)
        # The result of a run that has diverged, which an earlier run in this folder may have left as well.
        diverged = code == 1 and self._info() != self._before and load_run(self.folder).diverged is not None
        if code == 0 or stopped or diverged:
            return
        self._said.seek(0)
        raise ProgramError(code, self._said.read().decode(errors="replace").strip())

    def _info(self) -> bytes | None:
        file = self.folder / "run.json"
        return file.read_bytes() if file.is_file() else None


def train(**settings: Any) -> Training:
    """Begins a run of the program, and returns it.

    Settings are the flags of `velograd train`, words joined by `_`: `train(optimizer="adam", batch_size=64, epochs=2)`. A
    setting that is `None` is left out; `True` and `False` switch a flag; a list is joined by commas; a dictionary is a flag
    with `KEY=VALUE`, as in `set={"lr": 1e-3}`. `out` is the folder of the run, `runs/` and the time where it is not given.

    Raises:
        FileNotFoundError: there is no program.
    """
    resume = settings.get("resume")
    if resume is not None:
        if not (Path(resume) / "run.json").is_file():
            raise FileNotFoundError(f"{resume} is not the folder of a run: it has no run.json")
        folder = Path(resume)
    else:
        folder = Path(settings.setdefault("out", Path("runs") / time.strftime("%Y-%m-%d-%H%M%S-python", time.gmtime())))
    return Training([str(program()), "train", *_flags(settings)], folder)


def _flags(settings: Mapping[str, Any]) -> list[str]:
    flags = []
    for name, value in settings.items():
        flag = "--" + name.replace("_", "-")
        if value is None:
            continue
        if isinstance(value, Mapping):
            flags += [f"{flag}={key}={_text(one)}" for key, one in value.items()]
        else:
            flags.append(f"{flag}={_text(value)}")
    return flags


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple)):
        return ",".join(_text(one) for one in value)
    return str(value)
