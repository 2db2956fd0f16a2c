"""Writes networks/NAME.json: a gradient, ten updates by SGD and ten by AdamW of small GPTs, BERTs and LSTMs, by PyTorch in float64.
Weights and tokens are formulas, which the test repeats; the GPTs are nanoGPT's and its variants, the BERTs transformers', and the
LSTMs those of PyTorch's example word_language_model.

    python tests/data/text_networks.py [NAME ...]

needs what networks.py needs, and transformers; without names it writes every case, which takes half a minute of one core.
"""

import copy
import math
import sys
from dataclasses import asdict, dataclass

import torch
from networks import BATCHES, Batch, bits, fill, golden, loss_of, search, state, words
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import BertConfig, BertForMaskedLM

# Of RMS norm, with a weight and, of queries and keys, without.
EPS = 1e-5


@dataclass(frozen=True)
class Settings:
    block: int
    width: int
    depth: int
    heads: int
    activation: str = "gelu"
    norm: str = "layer"
    positions: str = "learned"
    qk_norm: bool = False
    bias: bool = True
    tied: bool = True


class ReLU2(nn.ReLU):
    """The squared ReLU of Primer (So and others 2021)."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).square()


def activation(settings: Settings) -> nn.Module:
    return {"gelu": nn.GELU(), "gelu_tanh": nn.GELU("tanh"), "relu2": ReLU2()}[settings.activation]


def norm(settings: Settings) -> nn.Module:
    if settings.norm == "rms":
        return nn.RMSNorm(settings.width, eps=EPS)
    return nn.LayerNorm(settings.width, bias=settings.bias)


class Attention(nn.Module):
    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.settings = settings
        self.c_attn = nn.Linear(settings.width, 3 * settings.width, bias=settings.bias)
        self.c_proj = nn.Linear(settings.width, settings.width, bias=settings.bias)

    def forward(self, x: Tensor) -> Tensor:
        # Queries, keys and values, and of each the heads, lie side by side.
        q, k, v = self.c_attn(x).unflatten(2, (3, self.settings.heads, -1)).permute(2, 0, 3, 1, 4)
        if self.settings.qk_norm:
            q, k = (F.rms_norm(x, x.shape[-1:], eps=EPS) for x in (q, k))
        if self.settings.positions == "rope":
            q, k = rotate(q), rotate(k)
        return self.c_proj(attend(q, k, v, causal=True).transpose(1, 2).flatten(2))


def rotate(x: Tensor) -> Tensor:
    """RoPE (Su and others 2021) of [..., places, channels]: as in GPT-NeoX, a pair of channels is half of them apart."""
    places, channels = x.shape[-2:]
    powers = torch.arange(0, channels, 2, dtype=x.dtype) / channels
    angles = torch.arange(places, dtype=x.dtype)[:, None] * 10000.0**-powers
    first, second = x.chunk(2, -1)
    cos, sin = angles.cos(), angles.sin()
    return torch.cat([first * cos - second * sin, second * cos + first * sin], -1)


def attend(q: Tensor, k: Tensor, v: Tensor, causal: bool) -> Tensor:
    scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
    if causal:
        later = torch.ones(scores.shape[-2:], dtype=torch.bool).triu(1)
        scores = scores.masked_fill(later, -math.inf)
    return scores.softmax(-1) @ v


class MLP(nn.Module):
    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.c_fc = nn.Linear(settings.width, 4 * settings.width, bias=settings.bias)
        self.activation = activation(settings)
        self.c_proj = nn.Linear(4 * settings.width, settings.width, bias=settings.bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.c_proj(self.activation(self.c_fc(x)))


class Block(nn.Module):
    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.ln_1 = norm(settings)
        self.attn = Attention(settings)
        self.ln_2 = norm(settings)
        self.mlp = MLP(settings)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.ln_1(x))
        return x + self.mlp(self.ln_2(x))


class GPT(nn.Module):
    """Of tokens [n, block], which come as floating-point numbers, to logits [n * block, classes]."""

    def __init__(self, settings: Settings, classes: int) -> None:
        super().__init__()
        self.transformer = nn.ModuleDict({"wte": nn.Embedding(classes, settings.width)})
        if settings.positions == "learned":
            self.transformer["wpe"] = nn.Embedding(settings.block, settings.width)
        self.transformer["h"] = nn.ModuleList(Block(settings) for _ in range(settings.depth))
        self.transformer["ln_f"] = norm(settings)
        self.lm_head = None if settings.tied else nn.Linear(settings.width, classes, bias=False)

    def forward(self, tokens: Tensor) -> Tensor:
        parts = self.transformer
        x = parts.wte(tokens.long())
        if "wpe" in parts:
            x = x + parts.wpe.weight[: tokens.shape[1]]
        for block in parts.h:
            x = block(x)
        head = self.lm_head or parts.wte
        return F.linear(parts.ln_f(x), head.weight).flatten(0, 1)


def batches(settings: "Settings | Recurrent", classes: int, batch: int, shift: int) -> list[Batch]:
    """The tokens of a sample are its block and one more; the labels are the same one later."""
    out, block = [], settings.block
    for i in range(BATCHES):
        tokens = torch.tensor([b % classes for b in bits(batch * (block + 1), 1000 + shift + i)])
        tokens = tokens.reshape(batch, block + 1)
        out.append((tokens[:, :-1].double(), tokens[:, 1:].flatten()))
    return out


class Variant(nn.MultiheadAttention):
    """PyTorch's attention, with queries and keys that are normalized, and rotated as complex numbers."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings.width, settings.heads, bias=settings.bias, batch_first=True)
        self.settings = settings

    def forward(self, x: Tensor, *_: Tensor, **__: object) -> tuple[Tensor, None]:
        q, k, v = (
            part.unflatten(2, (self.num_heads, self.head_dim)).transpose(1, 2)
            for part in F.linear(x, self.in_proj_weight, self.in_proj_bias).chunk(3, 2)
        )
        if self.settings.qk_norm:
            q, k = (x * (x.square().mean(-1, keepdim=True) + EPS).rsqrt() for x in (q, k))
        if self.settings.positions == "rope":
            turns = torch.logspace(0, -4, self.head_dim // 2 + 1, dtype=x.dtype)[:-1]
            angles = torch.outer(torch.arange(x.shape[1], dtype=x.dtype), turns)
            turned = torch.polar(torch.ones_like(angles), angles)
            q, k = (torch.complex(*x.chunk(2, -1)) * turned for x in (q, k))
            q, k = (torch.cat([x.real, x.imag], -1) for x in (q, k))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.out_proj(y.transpose(1, 2).flatten(2)), None


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
    """Logits and gradients are those of PyTorch's encoder, with the same weights; a bias of keys has a gradient of zero exactly
    where it does nothing."""
    network = copy.deepcopy(network)
    weights = dict(network.named_parameters())
    layer = nn.TransformerEncoderLayer(
        settings.width,
        settings.heads,
        4 * settings.width,
        0.0,
        (lambda x: F.relu(x) ** 2) if settings.activation == "relu2" else activation(settings),
        batch_first=True,
        norm_first=True,
        bias=settings.bias,
    )
    if settings.norm == "rms":
        layer.norm1, layer.norm2 = norm(settings), norm(settings)
    if not idle_bias(settings):
        layer.self_attn = Variant(settings)
    encoder = nn.TransformerEncoder(layer, settings.depth, norm(settings), enable_nested_tensor=False).double()
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
    embedded = F.embedding(x.long(), named["transformer.wte.weight"])
    if settings.positions == "learned":
        embedded = embedded + named["transformer.wpe.weight"]
    mask = nn.Transformer.generate_square_subsequent_mask(settings.block, dtype=torch.float64)
    hidden = encoder(embedded, mask, is_causal=True)
    expected = hidden.flatten(0, 1) @ named["transformer.wte.weight" if settings.tied else "lm_head.weight"].T
    F.cross_entropy(expected, labels).backward()
    logits, loss = loss_of(network, batch)
    loss.backward()
    assert torch.allclose(logits, expected, rtol=1e-11, atol=1e-12)
    for name, weight in weights.items():
        assert torch.allclose(weight.grad, named[name].grad, rtol=1e-9, atol=1e-14), name
        if name.endswith("c_attn.bias"):
            assert (weight.grad.chunk(3)[1].norm() < 1e-14) == idle_bias(settings), name


def idle_bias(settings: Settings) -> bool:
    """Whether a bias of keys changes all scores of a query alike, and so no softmax: neither norm nor rotation follows it."""
    return settings.positions == "learned" and not settings.qk_norm


def without_idle_bias(network: nn.Module) -> dict[str, Tensor]:
    """The weights, but zeros for a bias of keys: its gradient is zero, and what AdamW makes of the rounding is noise."""
    out = state(network)
    for name, x in out.items():
        if name.endswith("attention.self.key.bias"):
            out[name] = torch.zeros_like(x)
        if name.endswith(("attn.c_attn.bias", "attn.qkv.bias", "attn.in_proj_bias")):
            q, k, v = x.chunk(3)
            out[name] = torch.cat([q, torch.zeros_like(k), v])
    return out


@dataclass(frozen=True)
class Masked:
    """The settings of a BERT."""

    block: int
    width: int
    depth: int
    heads: int


class Bert(BertForMaskedLM):
    """Of tokens [n, block], which come as floating-point numbers, to logits [n * block, classes]."""

    def __init__(self, settings: Masked, classes: int) -> None:
        config = BertConfig(
            vocab_size=classes,
            hidden_size=settings.width,
            num_hidden_layers=settings.depth,
            num_attention_heads=settings.heads,
            intermediate_size=4 * settings.width,
            max_position_embeddings=settings.block,
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
            pad_token_id=None,
            attn_implementation="eager",
        )
        assert (config.layer_norm_eps, config.hidden_act, config.type_vocab_size) == (1e-12, "gelu", 2)
        super().__init__(config)

    def forward(self, tokens: Tensor) -> Tensor:
        return super().forward(tokens.long()).logits.flatten(0, 1)


def masked_batches(settings: Masked, classes: int, batch: int, shift: int) -> list[Batch]:
    """Tokens, and labels at a third of the places, more in some samples than in others; the others are ignored."""
    out, places = [], batch * settings.block
    for i in range(BATCHES):
        tokens, labels, chosen = (bits(places, seed + shift + i) for seed in (1000, 2000, 3000))
        labels = [label % classes if choice % 3 == 0 else -100 for label, choice in zip(labels, chosen, strict=True)]
        tokens = torch.tensor([token % classes for token in tokens], dtype=torch.float64)
        out.append((tokens.reshape(batch, settings.block), torch.tensor(labels)))
    return out


def without_twins(network: nn.Module) -> dict[str, Tensor]:
    """The weights, each once: the last layer is the embedding, and has its bias under two names."""
    return {name: x for name, x in without_idle_bias(network).items() if not name.startswith("cls.predictions.decoder.")}


def write_masked(name: str) -> None:
    settings, classes, batch = MASKED[name]
    network = Bert(settings, classes)
    fill(network)
    assert set(dict(network.named_parameters())) == set(without_twins(network)), "the tied names"
    assert network.cls.predictions.decoder.weight is network.bert.embeddings.word_embeddings.weight
    shift, rates = search(network, lambda shift: masked_batches(settings, classes, batch, shift))
    data = masked_batches(settings, classes, batch, shift)
    tokens, labels = data[0]
    with torch.no_grad():
        theirs = BertForMaskedLM.forward(network, tokens.long(), labels=labels.reshape(tokens.shape)).loss
    assert torch.allclose(theirs, loss_of(network, data[0])[1], rtol=1e-12)
    stated = {"model": "bert", "settings": words(asdict(settings)), "classes": classes, "batch": batch, "shift": shift}
    golden(name, stated, network, rates, data, without_twins)


@dataclass(frozen=True)
class Recurrent:
    block: int
    width: int
    depth: int
    tied: bool = False


class LSTM(nn.Module):
    """Of tokens [n, block] to logits [n * block, classes]. In training it goes on from the state that the batch before has left, as if
    that were a constant."""

    def __init__(self, settings: Recurrent, classes: int) -> None:
        super().__init__()
        self.encoder = nn.Embedding(classes, settings.width)
        self.rnn = nn.LSTM(settings.width, settings.width, settings.depth, batch_first=True)
        self.decoder = nn.Linear(settings.width, classes)
        if settings.tied:
            self.decoder.weight = self.encoder.weight
        self.carried: tuple[Tensor, Tensor] | None = None

    def forward(self, tokens: Tensor) -> Tensor:
        y, left = self.rnn(self.encoder(tokens.long()), self.carried if self.training else None)
        if self.training:
            self.carried = left[0].detach(), left[1].detach()
        return self.decoder(y).flatten(0, 1)


def once(network: nn.Module) -> dict[str, Tensor]:
    """The weights, each under its first name."""
    return {name: x.data for name, x in network.named_parameters()}


def write_recurrent(name: str) -> None:
    settings, classes, batch = RECURRENT[name]
    network = LSTM(settings, classes)
    fill(network)
    shift, rates = search(network, lambda shift: batches(settings, classes, batch, shift))
    data = batches(settings, classes, batch, shift)
    stated = {"model": "lstm", "settings": words(asdict(settings)), "classes": classes, "batch": batch, "shift": shift}
    golden(name, stated, network, rates, data, once)


def write(name: str) -> None:
    if name in MASKED:
        return write_masked(name)
    if name in RECURRENT:
        return write_recurrent(name)
    settings, classes, batch = CASES[name]
    network = GPT(settings, classes)
    fill(network)
    shift, rates = search(network, lambda shift: batches(settings, classes, batch, shift))
    data = batches(settings, classes, batch, shift)
    checked(network, settings, data[0])
    stated = {"model": "gpt", "settings": words(asdict(settings)), "classes": classes, "batch": batch, "shift": shift}
    golden(name, stated, network, rates, data, without_idle_bias if idle_bias(settings) else state)


# Settings, classes, batch.
CASES = {
    "gpt-small": (Settings(8, 16, 2, 2), 11, 3),
    "gpt-nobias-tanh": (Settings(12, 24, 2, 3, activation="gelu_tanh", bias=False, tied=False), 70, 2),
    "gpt-wide-head": (Settings(70, 32, 1, 1), 13, 2),
    "gpt-rope": (Settings(21, 32, 2, 2, positions="rope"), 13, 2),
    "gpt-qk-norm": (Settings(10, 32, 1, 1, activation="relu2", norm="rms", qk_norm=True), 17, 3),
    "gpt-modern": (
        Settings(9, 24, 2, 3, activation="relu2", norm="rms", positions="rope", qk_norm=True, bias=False, tied=False),
        19,
        3,
    ),
}

MASKED = {
    "bert-small": (Masked(9, 16, 2, 2), 11, 3),
    "bert-wide-head": (Masked(40, 32, 1, 1), 70, 2),
}


RECURRENT = {
    "lstm-small": (Recurrent(6, 14, 2), 11, 3),
    "lstm-odd": (Recurrent(5, 10, 1), 23, 5),
    "lstm-tied": (Recurrent(9, 20, 3, tied=True), 13, 2),
}


if __name__ == "__main__":
    torch.set_num_threads(1)
    for name in sys.argv[1:] or [*CASES, *MASKED, *RECURRENT]:
        write(name)
