"""A run's weights in the models of torchvision, timm and transformers, as docs/PYTHON.md shows."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

import velograd

DOCS = Path(__file__).resolve().parents[2] / "docs/PYTHON.md"

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install torch torchvision")
models = pytest.importorskip("torchvision.models", reason="torchvision is not installed: pip install torchvision")


def example(heading: str) -> str:
    """The Python code under a heading of the documentation."""
    section = DOCS.read_text(encoding="utf-8").split(f"### {heading}\n")[1]
    found = re.search(r"```python\n(.*?)```", section, re.DOTALL)
    assert found is not None
    return found.group(1)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The folder of a run whose weights are those of a ResNet-18 in torchvision, as the program writes them."""
    from safetensors.torch import save_file

    torch.manual_seed(3)
    model = models.resnet18(num_classes=10)
    with torch.no_grad():
        for name, buffer in model.named_buffers():
            if buffer.dtype.is_floating_point:  # statistics that are not those of a new model
                buffer.copy_(0.5 + torch.rand_like(buffer) if name.endswith("var") else 0.1 * torch.randn_like(buffer))
    folder = tmp_path / "runs/look"
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps({"recipe": {}, "settings": {}}))
    save_file(model.state_dict(), folder / "model.safetensors")
    monkeypatch.chdir(tmp_path)
    return model.eval()


def logits(heading: str, images: Any) -> Any:
    space: dict[str, Any] = {"velograd": velograd}
    exec(example(heading), space)
    with torch.no_grad():
        out = space["model"].eval()(images)
    return getattr(out, "logits", out)


@pytest.mark.parametrize("heading", ["torchvision", "timm", "transformers"])
def test_the_logits_are_those_of_torchvision(run: Any, heading: str) -> None:
    pytest.importorskip(heading, reason=f"{heading} is not installed: pip install {heading}")
    images = torch.randn(4, 3, 32, 32)
    with torch.no_grad():
        expected = run(images)
    found = logits(heading, images)
    assert expected.abs().max() > 0.1
    # The same sums, in an order that an implementation of convolutions may choose: rounding through 18 layers.
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max()))
