"""Logs as other programs read them: TensorBoard's event files, tables."""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import Any

import numpy
import pytest

import velograd

SETTINGS = {
    "dataset": "shapes10",
    "preset": "quick",
    "width": 2,
    "batch_size": 16,
    "val_split": 32,
    "optimizer": "sgd",
    "set": {"lr": 0.01, "nesterov": True, "momentum": 0.9},
    "checkpoint_every": "2steps",
    "log": ["tensorboard", "csv"],
}

UPDATES = {"loss": "train/loss", "lr": "train/lr", "grad_norm": "train/grad_norm"}
EPOCHS = {
    "epoch": "epoch",
    "train_loss": "train/epoch_loss",
    "train_acc": "train/accuracy",
    "val_loss": "val/loss",
    "val_acc": "val/accuracy",
    "val_top5": "val/top5_accuracy",
    "val_f1": "val/f1",
    "val_precision": "val/precision",
    "val_recall": "val/recall",
    "seconds": "time/epoch_seconds",
    "images_per_second": "time/images_per_second",
}


def accumulated(folder: Path) -> Any:
    """A run's folder as TensorBoard reads it."""
    module = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator", reason="pip install tensorboard makes this test possible"
    )
    accumulator = module.EventAccumulator(str(folder), size_guidance={kind: 0 for kind in module.DEFAULT_SIZE_GUIDANCE})
    accumulator.Reload()
    return accumulator


def same_scalars(run: velograd.Run, read: Any) -> None:
    updates, epochs = run.updates.reset_index(), run.epochs.reset_index()
    last = [int(updates["step"][updates["epoch"] == epoch].max()) for epoch in epochs["epoch"]]
    for tags, rows, steps in [(UPDATES, updates, list(updates["step"])), (EPOCHS, epochs, last)]:
        for column, tag in tags.items():
            points = [(event.step, event.value) for event in read.Scalars(tag)]
            values = [float(value) for value in rows[column].astype(numpy.float32)]
            assert points == list(zip(steps, values, strict=True)), tag


def same_tables(run: velograd.Run) -> None:
    import pandas

    for name, index, rows in [("steps.csv", "step", run.updates), ("metrics.csv", "epoch", run.epochs)]:
        read = pandas.read_csv(run.folder / name, index_col=index).dropna(axis="columns", how="all")
        pandas.testing.assert_frame_equal(read, rows.dropna(axis="columns", how="all"), check_exact=True)


def test_tensorboard_and_pandas_read_the_rows_of_a_run(place: Path) -> None:
    run = velograd.train(**SETTINGS, max_steps=6, out="run").run()
    same_tables(run)
    read = accumulated(place / "run")
    same_scalars(run, read)

    (event,) = read.Histograms("train/log10_update_ratio")
    histogram = event.histogram_value
    weights = [name for name in run.weights() if name.endswith(("weight", "bias"))]
    assert event.step == 6 and histogram.num == sum(histogram.bucket) <= len(weights)
    assert histogram.num >= len(weights) // 2, "biases that begin at zero have moved by now"
    assert -8 < histogram.min <= histogram.max < 1
    assert histogram.bucket_limit[0] > histogram.min and histogram.bucket_limit[-1] >= histogram.max

    (image,) = read.Images("train/images")
    width, height = struct.unpack(">II", image.encoded_image_string[16:24])
    assert (image.step, image.width, image.height) == (0, width, height)
    pillow = pytest.importorskip("PIL.Image", reason="pip install pillow makes the rest of this test possible")
    pixels = numpy.asarray(pillow.open(io.BytesIO(image.encoded_image_string)))
    # Sixteen images of 32x32 in a row, each pixel twice in either direction, with gaps of two pixels.
    assert pixels.shape == (2 + 66, 2 + 16 * 66, 3)
    first, second = pixels[2:66, 2:66], pixels[2:66, 68:132]
    assert first.std() > 0 and (first != second).any()


def test_settings_are_hyperparameters(place: Path) -> None:
    run = velograd.train(**SETTINGS, max_steps=3, out="run").run()
    read = accumulated(place / "run")
    from tensorboard.plugins.hparams import plugin_data_pb2

    def data(tag: str) -> Any:
        message = plugin_data_pb2.HParamsPluginData()
        message.ParseFromString(read.SummaryMetadata(tag).plugin_data.content)
        return message

    assert set(read.PluginTagToContent("hparams")) == {"_hparams_/session_start_info", "_hparams_/session_end_info"}
    start = data("_hparams_/session_start_info").session_start_info
    hparams = {key: getattr(value, value.WhichOneof("kind")) for key, value in start.hparams.items()}
    assert hparams["lr"] == 0.01 and hparams["nesterov"] is True and hparams["optimizer"] == "sgd"
    assert hparams["batch-size"] == 16 and hparams["width"] == 2
    end = data("_hparams_/session_end_info").session_end_info
    assert end.status == 1 and start.start_time_secs <= end.end_time_secs
    assert run.result is not None
    (accuracy,), (loss,) = read.Scalars("hparam/val_accuracy"), read.Scalars("hparam/train_loss")
    assert (accuracy.step, accuracy.value) == (3, numpy.float32(run.result["val_acc"]))
    assert loss.value == numpy.float32(run.result["train_loss"])


def test_a_run_that_is_continued_has_no_step_twice(place: Path) -> None:
    with velograd.train(**SETTINGS, max_steps=40, out="run") as training:
        while next(training)["step"] < 5:
            pass
        training._process.kill()
    assert len(list((place / "run").glob("events.out.tfevents.*"))) == 1
    run = velograd.train(resume="run").run()
    assert len(list((place / "run").glob("events.out.tfevents.*"))) == 2
    assert list(run.updates.index) == list(range(1, 41))
    same_tables(run)
    same_scalars(run, accumulated(place / "run"))
