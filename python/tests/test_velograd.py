"""The package with the real program: a run is trained, read, stopped, continued and refused."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import numpy
import pytest

import velograd

SMALL = {"data": "set", "preset": "quick", "width": 2, "batch_size": 16, "accumulate": 1, "optimizer": "sgd"}


def test_a_run_is_trained_and_read(place: Path) -> None:
    training = velograd.train(**SMALL, epochs=2, set={"lr": 0.01, "nesterov": True, "momentum": 0.9}, out="run")
    rows = list(training)
    run = training.run()
    updates = [row for row in rows if isinstance(row, velograd.Update)]
    epochs = [row for row in rows if isinstance(row, velograd.Epoch)]
    assert [row["step"] for row in updates] == list(range(1, len(updates) + 1))
    assert [row["epoch"] for row in epochs] == [1, 2]
    assert list(run.updates["loss"]) == [row["loss"] for row in updates]
    assert list(run.epochs["val_acc"]) == [row["val_acc"] for row in epochs]
    assert run.settings["model-set"]["width"] == 2 and run.optimizer_settings["nesterov"] is True
    assert run.result is not None and run.result["updates"] == len(updates) and run.diverged is None
    weights = run.weights()
    assert weights["fc.weight"].shape[0] == 10
    assert all(numpy.isfinite(w).all() for w in weights.values())


def test_a_run_that_is_stopped_goes_on_to_the_same_bits(place: Path) -> None:
    settings = {**SMALL, "epochs": 20, "checkpoint_every": "1steps"}
    whole = velograd.train(**settings, out="whole").run()
    with velograd.train(**settings, out="run") as training:
        assert next(training)["step"] == 1
    assert velograd.load_run("run").result is None, "the run ended before it was stopped"
    run = velograd.train(resume="run").run()
    assert list(run.updates["loss"]) == list(whole.updates["loss"])
    assert all((w == run.weights()[name]).all() for name, w in whole.weights().items())


def test_faults_are_exceptions(place: Path) -> None:
    with pytest.raises(velograd.ProgramError, match="did you mean `adamw`") as caught:
        velograd.train(**{**SMALL, "optimizer": "adamww"}).run()
    assert caught.value.code == 2
    with pytest.raises(velograd.ProgramError, match="unexpected argument '--widht"):
        list(velograd.train(widht=3))
    # What an earlier run left in the folder is not taken for the result of one that was refused.
    velograd.train(**SMALL, epochs=1, out="run").run()
    with pytest.raises(velograd.ProgramError, match="holds a run already"):
        velograd.train(**SMALL, epochs=1, out="run").run()
    with pytest.raises(velograd.ProgramError, match="--model-set width: there 2, here 4"):
        list(velograd.train(resume="run", width=4))
    with pytest.raises(FileNotFoundError, match="no run.json"):
        velograd.load_run(place)
    with pytest.raises(FileNotFoundError, match="no run.json"):
        velograd.train(resume="nowhere")
    (place / "run.json").write_text("[]")
    with pytest.raises(ValueError, match="recipe and settings"):
        velograd.load_run(place)


def test_a_run_that_diverges_is_a_result(place: Path) -> None:
    training = velograd.train(**SMALL, lr=1e30, epochs=4, out="run")
    rows = list(training)
    run = training.run()
    assert run.diverged is not None and rows
    with pytest.raises(velograd.ProgramError, match="the run has diverged: it cannot be made longer"):
        velograd.train(resume="run", extend=1).run()
    with pytest.raises(FileNotFoundError, match="has not ended"):
        velograd.Run(place, run.info).weights()


def test_the_program_is_named_or_found(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VELOGRAD_PROGRAM", str(place / "nothing"))
    with pytest.raises(FileNotFoundError, match="VELOGRAD_PROGRAM"):
        velograd.program()
    monkeypatch.delenv("VELOGRAD_PROGRAM")
    monkeypatch.setenv("PATH", str(place))
    if not (Path(sys.executable).parent / "velograd").exists():
        with pytest.raises(FileNotFoundError, match="neither in"):
            velograd.program()
        fake = place / "velograd"
        fake.touch()
        os.chmod(fake, 0o755)
        assert shutil.which("velograd") is not None and velograd.program() == fake
