"""The networks of train_step.py in PyTorch: as their authors' packages have them, or of its layers and fast attention."""

import torch
from torch import nn
from torch.nn import functional as F


class ByAttention(nn.Module):
    """nanoGPT's attention: one product for queries, keys and values, and PyTorch's fused attention."""

    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.c_attn, self.c_proj = nn.Linear(width, 3 * width, bias=False), nn.Linear(width, width, bias=False)

    def forward(self, x):
        n, length, width = x.shape
        q, k, v = (part.view(n, length, self.heads, -1).transpose(1, 2) for part in self.c_attn(x).chunk(3, dim=-1))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.c_proj(y.transpose(1, 2).reshape(n, length, width))


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.ln_1, self.attn = nn.LayerNorm(width, bias=False), ByAttention(width, heads)
        self.ln_2 = nn.LayerNorm(width, bias=False)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width, bias=False), nn.GELU(), nn.Linear(4 * width, width, bias=False))

    def forward(self, x):
        x = x + self.attn(self.ln_1(x))
        return x + self.mlp(self.ln_2(x))


class GPT(nn.Module):
    """nanoGPT's network without biases; its head is the token embedding."""

    def __init__(self, vocabulary, block, width, depth, heads):
        super().__init__()
        self.wte, self.wpe = nn.Embedding(vocabulary, width), nn.Embedding(block, width)
        self.h = nn.Sequential(*(Block(width, heads) for _ in range(depth)))
        self.ln_f = nn.LayerNorm(width, bias=False)
        for weight in self.parameters():
            if weight.dim() == 2:
                nn.init.normal_(weight, std=0.02)

    def forward(self, tokens):
        x = self.wte(tokens) + self.wpe.weight[: tokens.shape[1]]
        return F.linear(self.ln_f(self.h(x)), self.wte.weight).flatten(0, 1)


class LSTM(nn.Module):
    """The network of PyTorch's word_language_model example, without dropout."""

    def __init__(self, vocabulary, width, depth):
        super().__init__()
        self.encoder, self.rnn = nn.Embedding(vocabulary, width), nn.LSTM(width, width, depth, batch_first=True)
        self.decoder = nn.Linear(width, vocabulary)

    def forward(self, tokens):
        return self.decoder(self.rnn(self.encoder(tokens))[0]).flatten(0, 1)


def images(side, batch):
    return torch.randn(batch, 3, side, side), torch.randint(0, 10, (batch,))


def tokens(vocabulary, block, batch):
    drawn = torch.randint(0, vocabulary, (batch, block + 1))
    return drawn[:, :-1].contiguous(), drawn[:, 1:].flatten()


def resnet18(stem):
    import torchvision

    model = torchvision.models.resnet18(num_classes=10)
    if stem == "cifar":
        model.conv1, model.maxpool = nn.Conv2d(3, 64, 3, padding=1, bias=False), nn.Identity()
    return model


def resnet50():
    import torchvision

    return torchvision.models.resnet50(num_classes=10)


def vit_tiny():
    from timm.models.vision_transformer import VisionTransformer

    return VisionTransformer(img_size=32, patch_size=4, embed_dim=192, depth=12, num_heads=3, num_classes=10)


class Peer:
    """A network with the batch that it is timed on, and the same network in velograd's words."""

    def __init__(self, flags, batch_size, make, samples):
        self.flags, self.batch_size, self.make, self.samples = flags, batch_size, make, samples


PEERS = {
    "resnet18": Peer([], 128, resnet18, lambda n: images(32, n)),
    "resnet50": Peer(["--image-size", "64"], 32, resnet50, lambda n: images(64, n)),
    "vit": Peer(["--model-set", "preset=tiny", "--model-set", "patch=4"], 64, vit_tiny, lambda n: images(32, n)),
    "gpt": Peer(["--model-set", "preset=baby"], 16, lambda: GPT(65, 256, 384, 6, 6), lambda n: tokens(65, 256, n)),
    "lstm": Peer(["--model-set", "width=200", "--model-set", "depth=2"], 20, lambda: LSTM(65, 200, 2), lambda n: tokens(65, 35, n)),
}
