"""The program and a small data set, in a folder of its own for each test."""

from __future__ import annotations

from pathlib import Path

import numpy
import pytest

import velograd


def records(count: int) -> bytes:
    """Images as CIFAR-10's binary files have them: a label and 3,072 bytes each."""
    drawn = numpy.random.default_rng(count).integers(0, 256, (count, 3073), dtype=numpy.uint8)
    drawn[:, 0] %= 10
    return drawn.tobytes()


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    built = Path(__file__).resolve().parents[2] / "target/release/velograd"
    try:
        velograd.program()
    except FileNotFoundError:
        if not built.is_file():
            pytest.skip("there is no program: cargo build --release makes it")
        monkeypatch.setenv("VELOGRAD_PROGRAM", str(built))
    (tmp_path / "set").mkdir()
    (tmp_path / "set/data_batch_1.bin").write_bytes(records(48))
    (tmp_path / "set/test_batch.bin").write_bytes(records(20))
    monkeypatch.chdir(tmp_path)
    return tmp_path
