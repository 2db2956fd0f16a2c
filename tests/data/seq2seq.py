"""Writes networks/seq2seq-*.json: a gradient, ten updates by SGD and ten by AdamW of PyTorch's nn.Transformer between embeddings
with sinusoidal positions and a linear layer, in float64. Weights and tokens are formulas, which the test repeats.

    python tests/data/seq2seq.py

needs what networks.py needs, and takes half a minute of one core.
"""

import math
from dataclasses import asdict, dataclass

import torch
from networks import Batch, fill, golden, loss_of, search, words
from text_networks import batches, without_idle_bias
from torch import Tensor, nn


@dataclass(frozen=True)
class Settings:
    block: int
    width: int
    hidden: int
    depth: int
    heads: int
    causal: bool


def sinusoids(places: int, width: int) -> Tensor:
    """Vaswani and others 2017, section 3.5."""
    rows = [[place / 10000 ** ((c - c % 2) / width) for c in range(width)] for place in range(places)]
    even = torch.arange(width) % 2 == 0
    angles = torch.tensor(rows, dtype=torch.float64)
    return torch.where(even, angles.sin(), angles.cos())


class Seq2Seq(nn.Module):
    """Of tokens [n, block], which come as floating-point numbers, to logits [n * block, classes]."""

    def __init__(self, settings: Settings, classes: int) -> None:
        super().__init__()
        self.settings = settings
        self.encoder_embedding = nn.Embedding(classes, settings.width)
        self.decoder_embedding = nn.Embedding(classes, settings.width)
        self.transformer = nn.Transformer(
            settings.width, settings.heads, settings.depth, settings.depth, settings.hidden, dropout=0.0, batch_first=True
        )
        # The encoder's own fast path is for evaluation only, and rounds differently.
        self.transformer.encoder.enable_nested_tensor = False
        self.output_layer = nn.Linear(settings.width, classes)

    def forward(self, tokens: Tensor) -> Tensor:
        places, width = tokens.shape[1], self.settings.width
        dtype = self.output_layer.weight.dtype
        mask = torch.full((places, places), -math.inf, dtype=dtype).triu(1)
        seen = mask if self.settings.causal else None
        source, target = (
            embedding(tokens.long()) * math.sqrt(width) + sinusoids(places, width).to(dtype)
            for embedding in (self.encoder_embedding, self.decoder_embedding)
        )
        x = self.transformer(source, target, src_mask=seen, tgt_mask=mask, memory_mask=seen)
        return self.output_layer(x).flatten(0, 1)


def checked(network: Seq2Seq, batch: Batch) -> None:
    """A bias of keys has a gradient of zero, and every other parameter another."""
    _, loss = loss_of(network, batch)
    loss.backward()
    for name, weight in network.named_parameters():
        parts = weight.grad.chunk(3) if name.endswith("in_proj_bias") else [weight.grad, torch.zeros(1), weight.grad]
        assert parts[1].norm() < 1e-14 and min(parts[0].norm(), parts[2].norm()) > 1e-8, name
    network.zero_grad()


def write(name: str) -> None:
    settings, classes, batch = CASES[name]
    network = Seq2Seq(settings, classes)
    fill(network)
    drawn = lambda shift: batches(settings, classes, batch, shift)
    shift, rates = search(network, drawn)
    data = drawn(shift)
    checked(network, data[0])
    stated = {"model": "seq2seq", "settings": words(asdict(settings)), "classes": classes, "batch": batch, "shift": shift}
    golden(name, stated, network, rates, data, without_idle_bias)


# Settings, classes, batch.
CASES = {
    "seq2seq-small": (Settings(7, 16, 20, 1, 2, causal=True), 11, 2),
    "seq2seq-vradam": (Settings(6, 20, 10, 2, 5, causal=False), 9, 2),
}


if __name__ == "__main__":
    torch.set_num_threads(1)
    for name in CASES:
        write(name)
