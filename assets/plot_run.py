#!/usr/bin/env python3
"""Draws a run's loss and accuracy: plot_run.py RUN_FOLDER OUT.png   (pip install matplotlib)"""
import json
import pathlib
import sys

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402


def rows(path: pathlib.Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


folder, out = pathlib.Path(sys.argv[1]), sys.argv[2]
run = json.loads((folder / "run.json").read_text())
steps, epochs = rows(folder / "steps.jsonl"), rows(folder / "metrics.jsonl")
per_epoch = len(steps) / len(epochs)
blue, orange = "#0072b2", "#d55e00"  # told apart by the colour-blind

figure, loss = plt.subplots(figsize=(8, 3.6), dpi=110)
loss.plot([s["step"] / per_epoch for s in steps], [s["loss"] for s in steps], color=blue, alpha=0.35, linewidth=0.8)
loss.plot([e["epoch"] for e in epochs], [e["train_loss"] for e in epochs], "o-", color=blue)
loss.set_xlabel("epoch")
loss.set_ylabel("training loss (line: updates, dots: epochs)", color=blue, fontsize=8)
loss.set_xlim(0, len(epochs) * 1.02)
loss.set_ylim(0)
accuracy = loss.twinx()
accuracy.plot([e["epoch"] for e in epochs], [e["val_acc"] for e in epochs], "s--", color=orange)
accuracy.set_ylabel("accuracy on test images, %", color=orange, fontsize=8)
accuracy.set_ylim(0, 100)
last = epochs[-1]
accuracy.annotate(f"{last['val_acc']:.1f} %", (last["epoch"], last["val_acc"]), (-12, -16), textcoords="offset points",
                  color=orange, ha="right")
loss.set_title(f"{run['model']} of width {run['width']} on {run['dataset']['name']}, {run['optimizer']}, {run['device']}",
               fontsize=9)
for axes in (loss, accuracy):
    axes.spines["top"].set_visible(False)
figure.tight_layout()
figure.savefig(out)
