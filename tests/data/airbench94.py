"""Writes airbench94.json: one training step of the airbench94 network at width 2, an evaluation after it, and a whitening layer,
by PyTorch in float64. Weights and images are formulas, which the test repeats.

    python tests/data/airbench94.py > tests/data/airbench94.json
"""

import json

import torch
from torch import nn
from torch.nn import functional as F

WIDTH, BATCH, CLASSES = 2, 6, 10
MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)


def bits(count, seed):
    """31 bits each, from a linear congruential generator."""
    state, out = seed, []
    for _ in range(count):
        state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
        out.append(state >> 33)
    return out


def values(shape, seed):
    """In [-1, 1), multiples of 2^-20: exact in float32."""
    count = torch.Size(shape).numel()
    return torch.tensor([(b % 2**21 - 2**20) / 2**20 for b in bits(count, seed)], dtype=torch.float64).reshape(shape)


def images(count, seed):
    """Patches of neighbouring values, so that their covariance has a spectrum; [count, 3, 32, 32] bytes."""
    noise = torch.tensor([b % 256 for b in bits(count * 3 * 32 * 32, seed)], dtype=torch.float64).reshape(count, 3, 32, 32)
    coarse = noise[:, :, ::8, ::8].repeat_interleave(8, 2).repeat_interleave(8, 3)
    return ((3 * coarse + noise) / 4).floor()


def normalized(x):
    channel = lambda v: torch.tensor(v, dtype=torch.float64).view(1, 3, 1, 1)
    return (x / 255 - channel(MEAN)) / channel(STD)


class Group(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding="same", bias=False)
        self.norm1 = nn.BatchNorm2d(outputs, eps=1e-12, momentum=0.4)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding="same", bias=False)
        self.norm2 = nn.BatchNorm2d(outputs, eps=1e-12, momentum=0.4)

    def forward(self, x):
        x = F.gelu(self.norm1(F.max_pool2d(self.conv1(x), 2)))
        return F.gelu(self.norm2(self.conv2(x)))


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.whiten = nn.Conv2d(3, 24, 2)
        groups = [Group(24, WIDTH), Group(WIDTH, 4 * WIDTH), Group(4 * WIDTH, 4 * WIDTH)]
        self.layers = nn.Sequential(nn.GELU(), *groups, nn.MaxPool2d(3))
        self.head = nn.Linear(4 * WIDTH, CLASSES, bias=False)

    def forward(self, x):
        x = self.layers(self.whiten(x)).flatten(1)
        return self.head(x) / x.size(1)


def whitening(x):
    patches = x.unfold(2, 2, 1).unfold(3, 2, 1).permute(0, 2, 3, 1, 4, 5).reshape(-1, 12)
    eigenvalues, vectors = torch.linalg.eigh(patches.T @ patches / len(patches))
    half = vectors.T / (eigenvalues.view(-1, 1) + 5e-4).sqrt()
    return torch.cat((half, -half))


network = Network().double()
for seed, (name, parameter) in enumerate(network.named_parameters(), 1):
    if "norm" in name and name.endswith("weight"):
        parameter.requires_grad = False  # stays at 1
    else:
        parameter.data = values(parameter.shape, seed)
network.whiten.weight.requires_grad = False
x, labels = normalized(images(BATCH, 100)), torch.tensor([b % CLASSES for b in bits(BATCH, 200)])
logits = network(x)
loss = F.cross_entropy(logits, labels, label_smoothing=0.2)
loss.backward()
network.eval()

rounded = lambda tensor: [float(f"{v:.7g}") for v in tensor.flatten().tolist()]
print(
    json.dumps(
        {
            "torch": torch.__version__.split("+")[0],
            "loss": loss.item(),
            "logits": rounded(logits),
            "gradients": {n: rounded(p.grad) for n, p in network.named_parameters() if p.requires_grad},
            "running": {n: rounded(b) for n, b in network.named_buffers() if "running" in n},
            "logits_after": rounded(network(x)),
            "whitening": rounded(whitening(normalized(images(20, 300)))),
        }
    )
)
