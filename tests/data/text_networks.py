"""Writes networks/NAME.json: a gradient, ten updates by SGD and ten by AdamW of small GPTs, by PyTorch in float64.
Weights and tokens are formulas, which the test repeats; the network is that of nanoGPT.

    python tests/data/text_networks.py [NAME ...]

needs what networks.py needs; without names it writes every case, which takes fifteen seconds of one core.
"""

import copy
import math
import sys

import torch
from networks import BATCHES, Batch, bits, fill, golden, loss_of, search, state, words
from torch import Tensor, nn
from torch.nn import functional as F

Settings = dict[str, int | str | bool]


class Attention(nn.Module):
    def __init__(self, width: int, heads: int, bias: bool) -> None:
        super().__init__()
        self.heads = heads
        self.c_attn = nn.Linear(width, 3 * width, bias=bias)
        self.c_proj = nn.Linear(width, width, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        # Queries, keys and values, and of each the heads, lie side by side.
        q, k, v = self.c_attn(x).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        return self.c_proj(attend(q, k, v).transpose(1, 2).flatten(2))


def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
    later = torch.ones(scores.shape[-2:], dtype=torch.bool).triu(1)
    return scores.masked_fill(later, -math.inf).softmax(-1) @ v


class MLP(nn.Module):
    def __init__(self, width: int, bias: bool, gelu: str) -> None:
        super().__init__()
        self.c_fc = nn.Linear(width, 4 * width, bias=bias)
        self.gelu = nn.GELU({"exact": "none", "tanh": "tanh"}[gelu])
        self.c_proj = nn.Linear(4 * width, width, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.c_proj(self.gelu(self.c_fc(x)))


class Block(nn.Module):
    def __init__(self, width: int, heads: int, bias: bool, gelu: str) -> None:
        super().__init__()
        self.ln_1 = nn.LayerNorm(width, bias=bias)
        self.attn = Attention(width, heads, bias)
        self.ln_2 = nn.LayerNorm(width, bias=bias)
        self.mlp = MLP(width, bias, gelu)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.ln_1(x))
        return x + self.mlp(self.ln_2(x))


class GPT(nn.Module):
    """Of tokens [n, block], which come as floating-point numbers, to logits [n * block, classes]."""

    def __init__(self, classes: int, block: int, width: int, depth: int, heads: int, bias: bool, gelu: str, tied: bool) -> None:
        super().__init__()
        self.transformer = nn.ModuleDict(
            {
                "wte": nn.Embedding(classes, width),
                "wpe": nn.Embedding(block, width),
                "h": nn.ModuleList(Block(width, heads, bias, gelu) for _ in range(depth)),
                "ln_f": nn.LayerNorm(width, bias=bias),
            }
        )
        self.lm_head = None if tied else nn.Linear(width, classes, bias=False)

    def forward(self, tokens: Tensor) -> Tensor:
        parts = self.transformer
        x = parts.wte(tokens.long()) + parts.wpe.weight[: tokens.shape[1]]
        for block in parts.h:
            x = block(x)
        head = self.lm_head or parts.wte
        return F.linear(parts.ln_f(x), head.weight).flatten(0, 1)


def batches(settings: Settings, classes: int, batch: int, shift: int) -> list[Batch]:
    """The tokens of a sample are its block and one more; the labels are the same one later."""
    out, block = [], settings["block"]
    for i in range(BATCHES):
        tokens = torch.tensor([b % classes for b in bits(batch * (block + 1), 1000 + shift + i)])
        tokens = tokens.reshape(batch, block + 1)
        out.append((tokens[:, :-1].double(), tokens[:, 1:].flatten()))
    return out


# Their names among PyTorch's.
THEIRS = {
    "ln_1": "norm1",
    "ln_2": "norm2",
    "attn.c_attn.": "self_attn.in_proj_",
    "attn.c_proj": "self_attn.out_proj",
    "mlp.c_fc": "linear1",
    "mlp.c_proj": "linear2",
}


def checked(network: GPT, settings: Settings, batch: Batch) -> None:
    """The attention is PyTorch's; logits and gradients are those of PyTorch's encoder, with the same weights."""
    width, heads, block = (settings[key] for key in ("width", "heads", "block"))
    q, k, v = torch.randn(3, 2, heads, block, width // heads, dtype=torch.float64)
    assert torch.allclose(attend(q, k, v), F.scaled_dot_product_attention(q, k, v, is_causal=True), rtol=1e-12, atol=1e-13)

    network = copy.deepcopy(network)
    weights = dict(network.named_parameters())
    gelu = nn.GELU("tanh" if settings["gelu"] == "tanh" else "none")
    layer = nn.TransformerEncoderLayer(
        width, heads, 4 * width, 0.0, gelu, batch_first=True, norm_first=True, bias=settings["bias"]
    )
    norm = nn.LayerNorm(width, bias=settings["bias"])
    encoder = nn.TransformerEncoder(layer, settings["depth"], norm, enable_nested_tensor=False).double()
    own, named = dict(encoder.named_parameters()), {}
    for name, weight in weights.items():
        inner = name.removeprefix("transformer.").replace("h.", "layers.", 1).replace("ln_f", "norm")
        for ours, theirs in THEIRS.items():
            inner = inner.replace(ours, theirs)
        if inner in own:
            own[inner].data = weight.data.clone()
            named[name] = own.pop(inner)
        else:
            named[name] = weight.detach().clone().requires_grad_()
    assert not own, list(own)
    x, labels = batch
    embedded = F.embedding(x.long(), named["transformer.wte.weight"]) + named["transformer.wpe.weight"]
    hidden = encoder(embedded, nn.Transformer.generate_square_subsequent_mask(block, dtype=torch.float64), is_causal=True)
    expected = hidden.flatten(0, 1) @ named["transformer.wte.weight" if settings["tied"] else "lm_head.weight"].T
    F.cross_entropy(expected, labels).backward()
    logits, loss = loss_of(network, batch)
    loss.backward()
    assert torch.allclose(logits, expected, rtol=1e-11, atol=1e-12)
    for name, weight in weights.items():
        assert torch.allclose(weight.grad, named[name].grad, rtol=1e-9, atol=1e-14), name


def compared(network: GPT) -> dict[str, Tensor]:
    """The weights, but zeros for a bias of keys: its gradient is zero, and what AdamW makes of the rounding is noise."""
    out = state(network)
    for name, x in out.items():
        if name.endswith("c_attn.bias"):
            out[name] = torch.cat([x[: len(x) // 3], torch.zeros_like(x[: len(x) // 3]), x[2 * len(x) // 3 :]])
    return out


def write(name: str) -> None:
    settings, classes, batch = CASES[name]
    network = GPT(classes, **settings)
    fill(network)
    # There are no corners to be clear of.
    shift, rates = search(network, lambda shift: batches(settings, classes, batch, shift))
    data = batches(settings, classes, batch, shift)
    checked(network, settings, data[0])
    stated = {"model": "gpt", "settings": words(settings), "classes": classes, "batch": batch, "shift": shift}
    golden(name, stated, network, rates, data, compared)


def sizes(block: int, width: int, depth: int, heads: int, bias: bool, gelu: str, tied: bool) -> Settings:
    return {"block": block, "width": width, "depth": depth, "heads": heads, "bias": bias, "gelu": gelu, "tied": tied}


# Settings, classes, batch.
CASES = {
    "gpt-small": (sizes(8, 16, 2, 2, True, "exact", True), 11, 3),
    "gpt-nobias-tanh": (sizes(12, 24, 2, 3, False, "tanh", False), 70, 2),
    "gpt-wide-head": (sizes(70, 32, 1, 1, True, "exact", True), 13, 2),
}


if __name__ == "__main__":
    torch.set_num_threads(1)
    for name in sys.argv[1:] or CASES:
        write(name)
