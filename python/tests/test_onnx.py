"""What `velograd export --onnx` writes, run by onnxruntime: it gives the logits that `velograd eval` computes."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import numpy
import pytest
from safetensors.numpy import load_file

import velograd

onnx = pytest.importorskip("onnx", reason="pip install onnx onnxruntime makes it possible")
onnxruntime = pytest.importorskip("onnxruntime", reason="pip install onnx onnxruntime makes it possible")

IMAGES = 64

# Of the largest logit: each of the two adds up in f32, in another order.
TOLERANCE = 1e-5

NETWORKS: dict[str, dict[str, Any]] = {
    "imagenet": {"model": "resnet18", "stem": "imagenet", "width": 6},
    "cifar": {"model": "resnet18", "stem": "cifar", "width": 4},
    "airbench94": {"model": "airbench94", "width": 5},
    "vit": {"model": "vit", "model_set": {"patch": 8, "width": 24, "depth": 2, "heads": 2}},
    "vit-avg": {"model": "vit", "model_set": {"patch": 8, "width": 16, "depth": 1, "heads": 1, "pool": "avg"}},
}

PARTS: dict[str, dict[str, Any]] = {
    "gpt": {},
    "seq2seq": {"hidden": 40},
    "seq2seq-full": {"hidden": 40, "causal": False},
    "gpt-modern": {"positions": "rope", "norm": "rms", "qk_norm": True, "activation": "relu2", "bias": False, "tied": False},
}


def records(count: int) -> bytes:
    """Images in CIFAR-10's binary format: a bar whose place is the class, on noise."""
    drawn = numpy.random.default_rng(count).integers(0, 200, (count, 3073), dtype=numpy.uint8)
    drawn[:, 0] = numpy.arange(count) % 10
    planes = drawn[:, 1:].reshape(count, 3, 32, 32)
    for image, label in zip(planes, drawn[:, 0], strict=True):
        image[label % 3, :, 3 * label : 3 * label + 3] = 255
    return drawn.tobytes()


def run(*arguments: str) -> None:
    ended = subprocess.run([str(velograd.program()), *arguments], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr


@pytest.mark.parametrize("network", NETWORKS)
def test_onnxruntime_computes_the_same_logits(network: str, place: Path) -> None:
    (place / "set/data_batch_1.bin").write_bytes(records(160))
    (place / "set/test_batch.bin").write_bytes(records(IMAGES))
    settings = {"data": "set", "batch_size": 32, "accumulate": 1, "epochs": 2, "optimizer": "adamw"}
    velograd.train(**settings, **NETWORKS[network], out="run").run()
    run("eval", "run", "--logits", "logits.safetensors")
    ours = load_file("logits.safetensors")["logits"]
    assert ours.shape == (IMAGES, 10) and numpy.ptp(ours) > 0.1

    stored = numpy.frombuffer((place / "set/test_batch.bin").read_bytes(), numpy.uint8).reshape(IMAGES, 3073)
    images = stored[:, 1:].reshape(IMAGES, 3, 32, 32).astype(numpy.float32) / 255
    for flags in [[], ["--normalized-input"]]:
        run("export", "run", "--onnx", "model.onnx", *flags)
        model = onnx.load("model.onnx")
        onnx.checker.check_model(model, full_check=True)
        session = onnxruntime.InferenceSession("model.onnx", providers=["CPUExecutionProvider"])
        metadata = session.get_modelmeta().custom_metadata_map
        normalization = json.loads(metadata["normalization"])
        assert normalization["in_graph"] == (not flags)
        assert json.loads(metadata["velograd"])["optimizer"] == "adamw" and len(json.loads(metadata["classes"])) == 10
        given = images
        if flags:
            mean, std = (numpy.array(normalization[key], numpy.float32)[:, None, None] for key in ["mean", "std"])
            given = (images - mean) / std
        for batch in [1, 7, 64]:
            (theirs,) = session.run(["logits"], {"images": given[:batch]})
            assert theirs.shape == (batch, 10)
            apart = numpy.abs(theirs - ours[:batch]).max() / numpy.abs(ours).max()
            print(f"{network}, batch {batch}: {apart:.1e} of the largest logit")
            assert apart <= TOLERANCE

    weights = {t.name: onnx.numpy_helper.to_array(t) for t in model.graph.initializer}
    for name, values in load_file("run/model.safetensors").items():
        if not name.endswith("num_batches_tracked"):
            assert (weights[name] == values).all(), name


BLOCK = 12


def exported_text(place: Path, model: str, sizes: dict[str, Any]) -> tuple[Any, Any, Any]:
    """Trains a network of text and exports it. Its text to validate on, in tokens; the logits of an evaluation; the session."""
    text = "the cat sat on the mat; a dog sat by.\n" * 40
    (place / "text").mkdir()
    (place / "text/train.txt").write_text(text)
    (place / "text/valid.txt").write_text(text[5:400])
    settings = {"data": "text", "batch_size": 16, "accumulate": 1, "epochs": 2, "optimizer": "adamw"}
    velograd.train(**settings, model=model, model_set={"block": BLOCK, "depth": 2, **sizes}, out="run").run()
    run("eval", "run", "--logits", "logits.safetensors")
    run("export", "run", "--onnx", "model.onnx")
    onnx.checker.check_model(onnx.load("model.onnx"), full_check=True)
    session = onnxruntime.InferenceSession("model.onnx", providers=["CPUExecutionProvider"])
    characters = json.loads(session.get_modelmeta().custom_metadata_map["classes"])
    tokens = numpy.array([characters.index(character) for character in text[5:400]], numpy.int64)
    ours = load_file("logits.safetensors")["logits"].reshape(-1, BLOCK, len(characters))
    assert numpy.ptp(ours) > 0.1
    return tokens, ours, session


@pytest.mark.parametrize("parts", PARTS)
def test_onnxruntime_computes_the_same_logits_of_text(parts: str, place: Path) -> None:
    model, *_ = parts.split("-")
    tokens, ours, session = exported_text(place, model, {"width": 32, "heads": 2, **PARTS[parts]})
    tokens = tokens[: (len(tokens) - 1) // BLOCK * BLOCK].reshape(-1, BLOCK)
    assert len(ours) == len(tokens)
    for batch in [1, 7, len(tokens)]:
        (theirs,) = session.run(["logits"], {"tokens": tokens[:batch]})
        apart = numpy.abs(theirs - ours[:batch]).max() / numpy.abs(ours).max()
        print(f"{parts}, batch {batch}: {apart:.1e} of the largest logit")
        assert theirs.shape == ours[:batch].shape and apart <= TOLERANCE


def test_onnxruntime_carries_the_state_of_an_lstm(place: Path) -> None:
    width, columns = 20, 10
    tokens, ours, session = exported_text(place, "lstm", {"width": width})
    # The text in columns of as many whole blocks.
    rows = (len(tokens) - 1) // BLOCK // columns
    tokens = tokens[: columns * rows * BLOCK].reshape(columns, rows, BLOCK)
    ours = ours.reshape(columns, rows, BLOCK, -1)
    names = [f"{state}_l{layer}" for layer in range(2) for state in ("hidden", "cell")]
    state = {name: numpy.zeros((columns, width), numpy.float32) for name in names}
    for row in range(rows):
        theirs, *left = session.run(["logits", *(f"{name}_out" for name in names)], {"tokens": tokens[:, row], **state})
        state = dict(zip(names, left, strict=True))
        assert numpy.abs(theirs - ours[:, row]).max() <= TOLERANCE * numpy.abs(ours).max()
