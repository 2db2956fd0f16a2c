"""Writes pictures.json: small pictures of every kind, and what torchvision makes of them with Pillow.

    pip install pillow==11.3.0
    python3 tests/data/pictures.py

Each case has the file in base64, the side of the square, and the bytes of the square (red, green, blue of each pixel, row by row).
`square` is what torchvision's `pil_loader`, `Resize(round(side * 256 / 224))` and `CenterCrop(side)` do, written out; a picture
that is a square of this side already is taken as it is.
"""
import base64
import io
import json
import math
import pathlib
import struct
import zlib

from PIL import Image, __version__


def square(file: bytes, side: int) -> bytes:
    with Image.open(io.BytesIO(file)) as opened:
        picture = opened.convert("RGB")
    if picture.size != (side, side):
        shorter = round(side * 256 / 224)
        width, height = picture.size
        if width <= height:
            size = (shorter, int(shorter * height / width))
        else:
            size = (int(shorter * width / height), shorter)
        picture = picture.resize(size, Image.Resampling.BILINEAR)
        left, top = (int(round((length - side) / 2.0)) for length in size)
        picture = picture.crop((left, top, left + side, top + side))
    return picture.tobytes()


def scene(width: int, height: int) -> Image.Image:
    """Waves, an edge and some texture."""

    def pixel(x: int, y: int) -> tuple[int, int, int]:
        wave = math.sin(x / 5) * math.cos(y / 7)
        edge = 90 if x * 2 > y * 3 else 0
        return (int(120 + 80 * wave + edge / 2), int(110 + 70 * math.sin((x + y) / 4)), (x * 37 + y * 91 + edge) % 256)

    picture = Image.new("RGB", (width, height))
    picture.putdata([pixel(x, y) for y in range(height) for x in range(width)])
    return picture


def saved(picture: Image.Image, form: str, **options) -> bytes:
    file = io.BytesIO()
    picture.save(file, form, **options)
    return file.getvalue()


def png16(width: int, height: int, colour: int, channels: int) -> bytes:
    """A PNG of 16 bits, which Pillow writes only in grey."""
    row = lambda y: b"\0" + b"".join(
        struct.pack(">H", (x * 1571 + y * 2903 + c * 9973) % 65536) for x in range(width) for c in range(channels)
    )
    chunk = lambda kind, data: struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    header = struct.pack(">IIBBBBB", width, height, 16, colour, 0, 0, 0)
    data = zlib.compress(b"".join(row(y) for y in range(height)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def files() -> dict[str, tuple[bytes, int]]:
    wide, tall = scene(43, 31), scene(23, 57)
    alpha = Image.linear_gradient("L").resize(wide.size)
    clear = wide.copy()
    clear.putalpha(alpha)
    smooth = scene(40, 32).resize((64, 48), Image.Resampling.BICUBIC)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned, which torchvision does not do
    return {
        "wide.png": (saved(wide, "PNG"), 16),
        "tall.png": (saved(tall, "PNG"), 16),
        "enlarged.png": (saved(scene(9, 11), "PNG"), 16),
        "exact.png": (saved(scene(16, 16), "PNG"), 16),
        "odd.png": (saved(scene(50, 21), "PNG"), 17),
        "thin.png": (saved(scene(3, 400), "PNG"), 8),
        "shrunk a little.png": (saved(scene(19, 20), "PNG"), 16),
        "as high as asked.png": (saved(scene(31, 18), "PNG"), 16),
        "grey.png": (saved(wide.convert("L"), "PNG"), 16),
        "bits.png": (saved(wide.convert("1"), "PNG"), 16),
        "palette.png": (saved(wide.quantize(13), "PNG"), 16),
        "palette with a clear colour.png": (saved(wide.quantize(13), "PNG", transparency=3), 16),
        "alpha.png": (saved(clear, "PNG"), 16),
        "grey and alpha.png": (saved(clear.convert("LA"), "PNG"), 16),
        "grey of 16 bits.png": (png16(20, 18, 0, 1), 16),
        "grey and alpha of 16 bits.png": (png16(20, 18, 4, 2), 16),
        "colour of 16 bits.png": (png16(20, 18, 2, 3), 16),
        "colour and alpha of 16 bits.png": (png16(20, 18, 6, 4), 16),
        "colour.bmp": (saved(scene(20, 18), "BMP"), 16),
        "palette.bmp": (saved(scene(20, 18).quantize(9), "BMP"), 16),
        "grey.bmp": (saved(scene(20, 18).convert("L"), "BMP"), 16),
        "lossless.webp": (saved(wide, "WEBP", lossless=True), 16),
        "alpha.webp": (saved(clear, "WEBP", lossless=True, exact=True), 16),
        "lossy.webp": (saved(smooth, "WEBP", quality=90), 16),
        "full colour.jpg": (saved(smooth, "JPEG", quality=92, subsampling=0), 16),
        "half colour.jpg": (saved(smooth, "JPEG", quality=92, subsampling=1), 16),
        "quarter colour.jpg": (saved(smooth, "JPEG", quality=92, subsampling=2), 16),
        "progressive.jpg": (saved(smooth, "JPEG", quality=92, subsampling=0, progressive=True), 16),
        "turned.jpg": (saved(smooth, "JPEG", quality=92, subsampling=0, exif=exif), 16),
        "grey.jpg": (saved(smooth.convert("L"), "JPEG", quality=92), 16),
        "four inks.jpg": (saved(smooth.convert("CMYK"), "JPEG", quality=92), 16),
    }


def main() -> None:
    cases = [
        {
            "name": name,
            "file": base64.b64encode(file).decode(),
            "side": side,
            "square": base64.b64encode(square(file, side)).decode(),
        }
        for name, (file, side) in files().items()
    ]
    path = pathlib.Path(__file__).with_suffix(".json")
    path.write_text(json.dumps({"pillow": __version__, "cases": cases}, indent=0) + "\n")
    print(path, path.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
