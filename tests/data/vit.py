"""Writes networks/NAME.json: a gradient, ten updates by SGD and ten by AdamW of small ViTs, by PyTorch in float64.
Weights and images are formulas, which the test repeats; the network is timm's.

    python tests/data/vit.py [NAME ...]

needs timm and what networks.py needs; without names it writes every case, which takes a quarter of a minute of one core.
"""

import copy
import sys
from dataclasses import asdict, dataclass

import timm
import torch
from networks import Batch, batches, fill, golden, loss_of, search, words
from text_networks import attend, without_idle_bias
from torch import Tensor, nn
from torch.nn import functional as F

EPS = 1e-6


@dataclass(frozen=True)
class Settings:
    patch: int
    width: int
    depth: int
    heads: int
    pool: str


class Attention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(x).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        return self.proj(attend(q, k, v, causal=False).transpose(1, 2).flatten(2))


class MLP(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(x)))


class Block(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, EPS)
        self.attn = Attention(width, heads)
        self.norm2 = nn.LayerNorm(width, EPS)
        self.mlp = MLP(width)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class ViT(nn.Module):
    """The last norm is before the class token is taken, or after the mean of all tokens, where its name is another."""

    def __init__(self, settings: Settings, image: tuple[int, int, int], classes: int) -> None:
        super().__init__()
        channels, height, breadth = image
        patch, width, token = settings.patch, settings.width, settings.pool == "token"
        tokens = (height // patch) * (breadth // patch) + token
        self.patch_embed = nn.ModuleDict({"proj": nn.Conv2d(channels, width, patch, patch)})
        self.cls_token = nn.Parameter(torch.empty(1, 1, width)) if token else None
        self.pos_embed = nn.Parameter(torch.empty(1, tokens, width))
        self.blocks = nn.Sequential(*(Block(width, settings.heads) for _ in range(settings.depth)))
        self.norm = nn.LayerNorm(width, EPS) if token else nn.Identity()
        self.fc_norm = nn.Identity() if token else nn.LayerNorm(width, EPS)
        self.head = nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patch_embed.proj(x).flatten(2).transpose(1, 2)
        if self.cls_token is not None:
            x = torch.cat([self.cls_token.expand(len(x), -1, -1), x], 1)
        x = self.norm(self.blocks(x + self.pos_embed))
        x = x.mean(1) if self.cls_token is None else x[:, 0]
        return self.head(self.fc_norm(x))


def checked(network: ViT, settings: Settings, image: tuple[int, int, int], classes: int, batch: Batch) -> None:
    """Names, shapes, logits and gradients are timm's, with the same weights."""
    network = copy.deepcopy(network)
    theirs = timm.models.VisionTransformer(
        img_size=image[1:],
        patch_size=settings.patch,
        in_chans=image[0],
        num_classes=classes,
        global_pool=settings.pool,
        class_token=settings.pool == "token",
        embed_dim=settings.width,
        depth=settings.depth,
        num_heads=settings.heads,
    ).double()
    theirs.load_state_dict(network.state_dict())
    (logits, loss), (expected, expected_loss) = loss_of(network, batch), loss_of(theirs, batch)
    loss.backward()
    expected_loss.backward()
    assert torch.allclose(logits, expected, rtol=1e-11, atol=1e-12)
    gradients = {name: x.grad for name, x in theirs.named_parameters()}
    for name, x in network.named_parameters():
        assert torch.allclose(x.grad, gradients[name], rtol=1e-9, atol=1e-14), name


def write(name: str) -> None:
    settings, image, classes, batch = CASES[name]
    network = ViT(settings, image, classes)
    fill(network)
    shift, rates = search(network, lambda shift: batches(image, classes, batch, shift))
    data = batches(image, classes, batch, shift)
    checked(network, settings, image, classes, data[0])
    stated = {"model": "vit", "settings": words(asdict(settings)), "image": image, "classes": classes}
    golden(name, {**stated, "batch": batch, "shift": shift}, network, rates, data, without_idle_bias)


# Settings, image, classes, batch.
CASES = {
    "vit-token": (Settings(6, 16, 2, 2, "token"), (3, 12, 18), 7, 3),
    "vit-avg": (Settings(4, 24, 2, 1, "avg"), (1, 20, 12), 10, 4),
}


if __name__ == "__main__":
    torch.set_num_threads(1)
    for name in sys.argv[1:] or CASES:
        write(name)
