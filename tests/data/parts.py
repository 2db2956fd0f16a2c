"""Writes parts.json: what torchvision's RandomResizedCrop makes of whole pictures, with Pillow's antialiased bilinear resize.

    pip install torch==2.15.0 torchvision==0.29.2 pillow==11.3.0
    python3 tests/data/parts.py

The transform itself runs, on PIL images. Its random numbers are those of pcg4d in place of PyTorch's generator, as in augment.py: the
words of a counter (seed 7, epoch, place of the picture in the list, purpose + try). Each picture has its file in base64, and for each
epoch from 1 the part (top, left, height, width) and the bytes of the square (red, green, blue of each pixel, row by row).
"""
import base64
import json
import pathlib

import PIL
import torch
import torchvision
from PIL import Image
from torchvision.transforms import transforms

from augment import Words
from pictures import saved, scene

SEED, PURPOSE, SIDE, LEAST = 7, 0x72726300, 16, 0.08
# Some are smaller than the square each way or one way, one is of its size, some have no part of an allowed ratio but the middle.
SIZES = [(43, 31), (23, 57), (90, 70), (9, 11), (16, 16), (40, 10), (1, 1), (2, 3), (200, 1), (1, 200), (400, 2)]
EPOCHS = 5


def cut(picture: Image.Image, epoch: int, index: int) -> dict:
    step = transforms.RandomResizedCrop(SIDE, scale=(LEAST, 1.0))
    try:
        transforms.torch = Words(SEED, epoch, index, PURPOSE)
        part = [int(number) for number in step.get_params(picture, step.scale, step.ratio)]
        transforms.torch = Words(SEED, epoch, index, PURPOSE)
        square = step(picture)
    finally:
        transforms.torch = torch
    return {"part": part, "square": base64.b64encode(square.tobytes()).decode()}


def main() -> None:
    pictures = []
    for index, (width, height) in enumerate(SIZES):
        picture = scene(width, height)
        file = base64.b64encode(saved(picture, "PNG")).decode()
        epochs = [cut(picture, epoch, index) for epoch in range(1, EPOCHS + 1)]
        pictures.append({"width": width, "height": height, "file": file, "epochs": epochs})
    versions = {"torch": torch.__version__, "torchvision": torchvision.__version__, "pillow": PIL.__version__}
    path = pathlib.Path(__file__).with_suffix(".json")
    content = {"versions": versions, "seed": SEED, "side": SIDE, "least": LEAST, "pictures": pictures}
    path.write_text(json.dumps(content) + "\n")
    print(path, path.stat().st_size, "bytes")


main()
