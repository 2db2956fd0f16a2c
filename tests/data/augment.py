"""Writes augment.json: what torchvision draws and makes of images, for steps that are not in the golden files of bytes.

    pip install torch==2.15.0 torchvision==0.29.2 pillow numpy
    python3 tests/data/augment.py

`draws` are the results of torchvision's own `get_params`, which is given random numbers of pcg4d in place of PyTorch's generator:
the words of a counter (seed, epoch, index, purpose + try), four for each try. `jitters` are those of ColorJitter, whose order comes from
a permutation of a word's digits. `images` have bytes, what is done to them, and the values
that torchvision's functions give for float tensors from 0 to 1, in float32, and in float64 with a jitter, of which torchvision computes the
hue in float32. Rotations are Pillow's, of images of floats.
`spread` has means, standard deviations and ranges of 20,000 draws with PyTorch's own generator, at 32x32.
"""
import json
import math
import pathlib

import torch
import torchvision
from PIL import Image
from torchvision.transforms import InterpolationMode, transforms
from torchvision.transforms import functional as F

MASK = 0xFFFFFFFF


def pcg4d(counter: list[int]) -> list[int]:
    v = [(x * 1664525 + 1013904223) & MASK for x in counter]
    for again in range(2):
        v[0] = (v[0] + v[1] * v[3]) & MASK
        v[1] = (v[1] + v[2] * v[0]) & MASK
        v[2] = (v[2] + v[0] * v[1]) & MASK
        v[3] = (v[3] + v[1] * v[2]) & MASK
        if not again:
            v = [x ^ (x >> 16) for x in v]
    return v


class Number:
    def __init__(self, word: int) -> None:
        self.word, self.value = word, 0.0

    def uniform_(self, low, high) -> "Number":
        self.value = float(low) + (float(high) - float(low)) * (self.word >> 8) / 2**24
        return self

    def item(self) -> float:
        return self.value

    __float__ = item


class Words:
    """Stands for the module `torch` in torchvision's transforms, with the words of a counter as random numbers."""

    def __init__(self, seed: int, epoch: int, index: int, purpose: int) -> None:
        self.counter, self.left = [seed, epoch, index, purpose], []

    def word(self, begins: bool) -> int:
        if begins:  # what a try that failed has left is not used
            self.left = pcg4d(self.counter)
            self.counter[3] += 1
        return self.left.pop(0)

    def empty(self, count: int) -> Number:
        return Number(self.word(len(self.left) in (0, 2)))

    def randint(self, low: int, high: int, size) -> Number:
        number = Number(0)
        number.value = low + (self.word(False) >> 8) % (high - low)
        return number

    def exp(self, number: Number) -> Number:
        number.value = math.exp(number.value)
        return number

    def __getattr__(self, name: str):
        return getattr(torch, name)


class JitterWords(Words):
    """The same for ColorJitter, which draws an order and then four numbers."""

    def randperm(self, count: int) -> list[int]:
        number = (pcg4d([*self.counter[:3], 0x6A69746F])[0] >> 8) % math.factorial(count)
        left, order = list(range(count)), []
        while left:
            number, digit = divmod(number, len(left))
            order.append(left.pop(digit))
        return order

    def empty(self, count: int) -> Number:
        return Number(self.word(not self.left))


def jitter(strengths: list[float], index: int) -> dict:
    step = transforms.ColorJitter(*strengths)
    ranges = [getattr(step, name) for name in ("brightness", "contrast", "saturation", "hue")]
    transforms.torch = JitterWords(7, 3, index, 0x6A697474)
    try:
        order, *factors = step.get_params(*ranges)
    finally:
        transforms.torch = torch
    return {"order": order, "factors": factors}


def recoloured(x: torch.Tensor, order: list[int], factors: list[float]) -> torch.Tensor:
    adjust = [F.adjust_brightness, F.adjust_contrast, F.adjust_saturation, F.adjust_hue]
    for kind in order:
        x = adjust[kind](x, factors[kind])
    return x


def drawn(step, purpose: int, height: int, width: int, index: int, *arguments) -> list[int]:
    image, words = torch.zeros(1, height, width), Words(7, 3, index, purpose)
    transforms.torch = words
    try:
        return [int(number) for number in step.get_params(image, *arguments)[:4]]
    finally:
        transforms.torch = torch


def pixels(channels: int, height: int, width: int, seed: int) -> list[int]:
    return [pcg4d([seed, i, 0, 0])[0] >> 24 for i in range(channels * height * width)]


def turned(x: torch.Tensor, degrees: float) -> torch.Tensor:
    planes = [Image.fromarray(plane.numpy(), mode="F").rotate(degrees, Image.Resampling.NEAREST) for plane in x]
    return torch.stack([torch.tensor([[plane.getpixel((i, j)) for i in range(plane.width)] for j in range(plane.height)]) for plane in planes])


def seen(x: torch.Tensor, done: dict) -> torch.Tensor:
    _, height, width = x.shape
    if "part" in done:
        x = F.resized_crop(x, *done["part"], [height, width], InterpolationMode.BILINEAR, antialias=True)
    if "shift" in done:
        top, left, pad = done["shift"]
        x = F.crop(F.pad(x, [pad], padding_mode=done["padding"]), top + pad, left + pad, height, width)
    if done.get("flip"):
        x = F.hflip(x)
    if "degrees" in done:
        x = turned(x, done["degrees"])
    if "jitter" in done:
        x = recoloured(x, done["jitter"]["order"], done["jitter"]["factors"])
    channels = x.shape[0]
    x = F.normalize(x, [0.485, 0.456, 0.406][:channels], [0.229, 0.224, 0.225][:channels])
    if "erase" in done:
        x = F.erase(x, *done["erase"], torch.zeros(1))
    return x


def main() -> None:
    torch.manual_seed(0)
    scale, ratio = (0.08, 1.0), (3 / 4, 4 / 3)
    crop, erase = transforms.RandomResizedCrop, transforms.RandomErasing
    sizes = [(32, 32), (224, 224), (28, 28), (9, 21), (40, 10), (5, 13)]
    draws = []
    for height, width in sizes:
        for least in (0.08, 0.9):
            parts = [drawn(crop, 0x72726300, height, width, i, (least, 1.0), ratio) for i in range(20)]
            erased = [drawn(erase, 0x65726100, height, width, i, (0.02, 0.33), (0.3, 3.3), [0.0]) for i in range(20)]
            draws.append({"height": height, "width": width, "least": least, "parts": parts, "erased": erased})
    strengths = [[0.4, 0.4, 0.4, 0.1], [0.8, 1.5, 3.0, 0.5]]
    jitters = [{"strengths": these, "drawn": [jitter(these, i) for i in range(20)]} for these in strengths]
    images = []
    for (channels, height, width), done in [
        ((3, 9, 7), {"part": [2, 1, 5, 4], "flip": True}),
        ((3, 7, 9), {"part": [0, 0, 7, 9], "erase": [1, 2, 3, 5]}),
        ((1, 8, 6), {"part": [7, 5, 1, 1]}),
        ((1, 8, 8), {"part": [0, 3, 8, 2], "flip": True, "degrees": 30.0, "erase": [0, 0, 2, 2]}),
        ((3, 8, 8), {"part": [1, 1, 6, 7], "degrees": -110.0}),
        ((3, 9, 7), {"shift": [-3, 2, 3], "padding": "constant", "flip": True, "degrees": 45.0}),
        ((1, 6, 9), {"shift": [4, -5, 5], "padding": "reflect", "erase": [2, 3, 4, 1]}),
        ((3, 5, 8), {"shift": [0, 1, 1], "padding": "reflect", "degrees": 100.0}),
        ((3, 9, 7), {"jitter": {"order": [0, 1, 2, 3], "factors": [1.25, 0.75, 1.5, 0.125]}}),
        ((3, 8, 8), {"jitter": {"order": [3, 1, 0, 2], "factors": [0.625, 2.0, 0.25, -0.375]}, "flip": True}),
        ((3, 9, 7), {"part": [2, 1, 5, 4], "jitter": {"order": [2, 3, 1, 0], "factors": [1.5, 1.25, 2.5, 0.5]}, "erase": [1, 2, 3, 4]}),
        ((3, 5, 8), {"shift": [-1, 2, 2], "padding": "constant", "jitter": {"order": [1, 2, 3, 0], "factors": [1.75, 0.5, 0.0, -0.5]}}),
        ((1, 8, 6), {"jitter": {"order": [2, 0, 3, 1], "factors": [0.75, 1.75, 3.0, 0.25]}}),
    ]:
        bytes_ = pixels(channels, height, width, len(images))
        dtype = torch.float64 if "jitter" in done else torch.float32
        x = torch.tensor(bytes_, dtype=dtype).reshape(channels, height, width) / 255
        images.append({"shape": [channels, height, width], "bytes": bytes_, "done": done, "values": seen(x, done).flatten().tolist()})
    spread = {}
    for name, step, arguments in [("part", crop, (scale, ratio)), ("erased", erase, ((0.02, 0.33), (0.3, 3.3), [0.0]))]:
        all_ = torch.tensor([[float(v) for v in step.get_params(torch.zeros(1, 32, 32), *arguments)[:4]] for _ in range(20000)])
        spread[name] = {"mean": all_.mean(0).tolist(), "std": all_.std(0).tolist(), "least": all_.amin(0).tolist(), "most": all_.amax(0).tolist()}
    step = transforms.ColorJitter(0.4, 0.5, 2.0, 0.1)
    params = [step.get_params(step.brightness, step.contrast, step.saturation, step.hue) for _ in range(20000)]
    all_ = torch.tensor([list(factors) for _, *factors in params])
    spread["jitter"] = {"mean": all_.mean(0).tolist(), "std": all_.std(0).tolist()}
    path = pathlib.Path(__file__).with_suffix(".json")
    versions = {"torch": torch.__version__, "torchvision": torchvision.__version__}
    path.write_text(json.dumps({"versions": versions, "draws": draws, "jitters": jitters, "images": images, "spread": spread}) + "\n")


if __name__ == "__main__":
    main()
