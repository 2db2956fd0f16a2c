"""Writes mixup.json: what torchvision's MixUp and PyTorch's cross-entropy of mixed targets make of batches.

    pip install torch==2.15.0 torchvision==0.29.2
    python3 tests/data/mixup.py

`shares` are numbers from Beta(alpha, alpha) by Marsaglia and Tsang's method (2000) on PCG32, as a batch's first index, the epoch and the
run's seed give them. `steps` have images, labels and logits, and for them mixed images, losses and the gradient of their mean. `run` has the
losses, hits and last weights of a network with one hidden layer, of updates with one batch and with two. All but torchvision's one-hot targets,
which are float32, is float64; shares are rounded to float32.
"""
import json
import math
import pathlib
import struct

import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.transforms import v2

M64 = (1 << 64) - 1


def split_mix64(state: int) -> tuple[int, int]:
    state = (state + 0x9E3779B97F4A7C15) & M64
    z = state
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & M64
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & M64
    return state, z ^ (z >> 31)


class Rng:
    """PCG32, seeded by SplitMix64 from a seed and the words of a key."""

    def __init__(self, seed: int, key: list[int]) -> None:
        state = seed
        for word in key:
            state = split_mix64(state)[1] ^ word
        state, initial = split_mix64(state)
        state, sequence = split_mix64(state)
        self.state, self.increment = 0, ((sequence << 1) | 1) & M64
        self.u32()
        self.state = (self.state + initial) & M64
        self.u32()

    def u32(self) -> int:
        old = self.state
        self.state = (old * 6364136223846793005 + self.increment) & M64
        shifted, turn = (((old >> 18) ^ old) >> 27) & 0xFFFFFFFF, old >> 59
        return ((shifted >> turn) | (shifted << (-turn & 31))) & 0xFFFFFFFF

    def uniform(self) -> float:
        high = self.u32()
        return (((high << 32) | self.u32()) >> 11) / 2**53

    def normal(self) -> float:
        radius = math.sqrt(-2 * math.log(1 - self.uniform()))
        return radius * math.cos(math.tau * self.uniform())

    def log_gamma(self, shape: float) -> float:
        d = shape + 1 - 1 / 3
        while True:
            x = self.normal()
            v = (1 + x / math.sqrt(9 * d)) ** 3
            u = 1 - self.uniform()
            if v > 0 and math.log(u) < 0.5 * x * x + d - d * v + d * math.log(v):
                return math.log(d * v) + math.log(1 - self.uniform()) / shape


def share(alpha: float, seed: int, epoch: int, first: int) -> float:
    rng = Rng(seed, [0x6D69787570, epoch, first])
    a, b = rng.log_gamma(alpha), rng.log_gamma(alpha)
    return struct.unpack("f", struct.pack("f", 1 / (1 + math.exp(b - a))))[0]


def mixed(images: Tensor, labels: Tensor, lam: float, classes: int) -> tuple[Tensor, Tensor]:
    step = v2.MixUp(num_classes=classes)
    params = {"lam": lam, "labels": labels, "batch_size": len(images)}
    return step.transform(images, params), step.transform(labels, params).double()


def numbers(count: int, seed: int) -> list[int]:
    rng = Rng(seed, [])
    return [rng.u32() for _ in range(count)]


def step(n: int, image: list[int], classes: int, lam: float, smoothing: float, seed: int) -> dict:
    size = n * math.prod(image)
    x = torch.tensor([v % 2048 / 1024 - 1 for v in numbers(size, seed)], dtype=torch.float64)
    labels = torch.tensor([v % classes for v in numbers(n, seed + 1)])
    z = torch.tensor([v % 4096 / 512 - 4 for v in numbers(n * classes, seed + 2)], dtype=torch.float64)
    logits = z.reshape(n, classes).requires_grad_()
    images, targets = mixed(x.reshape(n, *image), labels, lam, classes)
    losses = F.cross_entropy(logits, targets, reduction="none", label_smoothing=smoothing)
    losses.mean().backward()
    hits = (logits.argmax(1) == targets.max(1)[1]).sum()
    return {"n": n, "image": image, "classes": classes, "lambda": lam, "smoothing": smoothing, "x": x.tolist(), "labels": labels.tolist(),
            "logits": z.tolist(), "mixed": images.flatten().tolist(), "losses": losses.tolist(), "gradient": logits.grad.flatten().tolist(),
            "hits": int(hits)}


def run(alpha: float, seed: int, smoothing: float, lr: float) -> dict:
    image, classes, width, count = [3, 4, 5], 5, 6, 12
    size = math.prod(image)
    pixels = [v % 256 for v in numbers(count * size, 1)]
    labels = torch.tensor([v % classes for v in numbers(count, 2)])
    network = nn.Sequential(nn.Flatten(), nn.Linear(size, width), nn.ReLU(), nn.Dropout(0), nn.Linear(width, classes)).double()
    first = {}
    with torch.no_grad():
        for nth, (name, parameter) in enumerate(network.named_parameters()):
            values = [v % 2048 / 2048 - 0.5 for v in numbers(parameter.numel(), 3 + nth)]
            parameter.copy_(torch.tensor(values).reshape(parameter.shape))
            first[name] = values
    x = torch.tensor(pixels, dtype=torch.float64).reshape(count, *image) / 255 * 2 - 1
    optimizer = torch.optim.SGD(network.parameters(), lr=lr)
    # Updates of two batches, of one, of one image, and of two.
    updates = [(1, [[3, 0, 5, 1, 6, 2, 4], [9, 7, 8]]), (1, [[10, 11, 2]]), (2, [[7]]), (2, [[4, 8, 0, 3, 5, 9, 1], [2, 11, 10]])]
    rows = []
    for epoch, batches in updates:
        images = sum(map(len, batches))
        losses, hits, shares = 0.0, 0, []
        for batch in batches:
            shares.append(share(alpha, seed, epoch, batch[0]))
            inputs, targets = mixed(x[batch], labels[batch], shares[-1], classes)
            logits = network(inputs)
            loss = F.cross_entropy(logits, targets, reduction="sum", label_smoothing=smoothing)
            (loss / images).backward()
            losses += loss.item()
            hits += int((logits.argmax(1) == targets.max(1)[1]).sum())
        optimizer.step()
        optimizer.zero_grad()
        rows.append({"epoch": epoch, "batches": batches, "shares": shares, "loss": losses / images, "hits": hits})
    last = {name: parameter.flatten().tolist() for name, parameter in network.named_parameters()}
    return {"alpha": alpha, "seed": seed, "smoothing": smoothing, "lr": lr, "image": image, "classes": classes, "width": width, "pixels": pixels,
            "labels": labels.tolist(), "first": first, "updates": rows, "last": last}


def main() -> None:
    keys = [(alpha, seed, epoch, index) for alpha in (0.001, 0.2, 1.0, 8.0) for seed, epoch, index in [(0, 1, 0), (7, 3, 41), (2**32 - 1, 90, 49_999)]]
    shares = [{"alpha": a, "seed": s, "epoch": e, "first": i, "share": share(a, s, e, i)} for a, s, e, i in keys]
    steps = [step(5, [3, 4, 3], 10, 0.25, 0.1, 1), step(1, [1, 5, 4], 3, 0.625, 0.0, 2), step(6, [3, 2, 2], 70, 0.875, 0.3, 3)]
    versions = {"torch": torch.__version__, "torchvision": torchvision.__version__}
    path = pathlib.Path(__file__).with_suffix(".json")
    path.write_text(json.dumps({"versions": versions, "shares": shares, "steps": steps, "run": run(0.4, 11, 0.1, 0.5)}) + "\n")


main()
