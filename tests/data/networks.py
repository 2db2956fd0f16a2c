"""Writes networks/NAME.json: a gradient, ten updates by SGD and ten by AdamW of small networks, by PyTorch in float64.
Weights and images are formulas, which the test repeats.

    python tests/data/networks.py [NAME ...]

needs torch and torchvision from PyPI; without names it writes every case, which takes ten minutes of one core.
"""

import copy
import functools
import json
import math
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional as F

UPDATES, BATCHES, SHIFTS, MOVES = 10, 3, 40, 4
OPTIMIZERS = {
    "sgd": lambda parameters, lr: torch.optim.SGD(parameters, lr, momentum=0.9, weight_decay=5e-4),
    "adamw": lambda parameters, lr: torch.optim.AdamW(parameters, lr, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01),
}

Batch = tuple[Tensor, Tensor]


def bits(count: int, seed: int) -> list[int]:
    """31 bits each, from a linear congruential generator."""
    state, out = seed, []
    for _ in range(count):
        state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
        out.append(state >> 33)
    return out


@functools.cache
def values(shape: torch.Size, seed: int) -> Tensor:
    """In [-1, 1), multiples of 2^-20: exact in float32."""
    return torch.tensor([(b % 2**21 - 2**20) / 2**20 for b in bits(shape.numel(), seed)], dtype=torch.float64).reshape(shape)


class Block(nn.Module):
    """A residual block; with `bottleneck`, of three convolutions and four times the channels."""

    def __init__(self, inputs: int, width: int, stride: int, bottleneck: bool) -> None:
        super().__init__()
        outputs = 4 * width if bottleneck else width
        kernels = [(inputs, width, 3, stride), (width, outputs, 3, 1)]
        if bottleneck:
            kernels = [(inputs, width, 1, 1), (width, width, 3, stride), (width, outputs, 1, 1)]
        self.steps = len(kernels)
        for i, (a, b, size, step) in enumerate(kernels, 1):
            self.add_module(f"conv{i}", nn.Conv2d(a, b, size, step, size // 2, bias=False))
            self.add_module(f"bn{i}", nn.BatchNorm2d(b))
        self.relu = nn.ReLU()
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))
        else:
            self.downsample = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        kept = self.downsample(x)
        for i in range(1, self.steps + 1):
            x = getattr(self, f"bn{i}")(getattr(self, f"conv{i}")(x))
            x = self.relu(x if i < self.steps else x + kept)
        return x


class ResNet(nn.Module):
    BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}

    def __init__(
        self, depth: int, channels: int, classes: int, stem: str = "imagenet", width: int = 64, zero_init: bool = False
    ) -> None:
        super().__init__()
        bottleneck = depth >= 50
        small = stem == "cifar"
        self.conv1 = (
            nn.Conv2d(channels, width, 3, 1, 1, bias=False) if small else nn.Conv2d(channels, width, 7, 2, 3, bias=False)
        )
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU()
        self.maxpool = nn.Identity() if small else nn.MaxPool2d(3, 2, 1)
        inputs = width
        for stage, blocks in enumerate(self.BLOCKS[depth]):
            layer = nn.Sequential()
            for i in range(blocks):
                layer.append(Block(inputs, width << stage, 2 if stage > 0 and i == 0 else 1, bottleneck))
                inputs = (width << stage) * (4 if bottleneck else 1)
            self.add_module(f"layer{stage + 1}", layer)
        self.fc = nn.Linear(inputs, classes)
        if zero_init:
            for module in self.modules():
                if isinstance(module, Block):
                    nn.init.zeros_(getattr(module, f"bn{module.steps}").weight)

    def forward(self, x: Tensor) -> Tensor:
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(x.mean((2, 3)))


class VGG(nn.Module):
    CONVOLUTIONS = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}

    def __init__(
        self,
        depth: int,
        channels: int,
        classes: int,
        batchnorm: bool = False,
        width: int = 64,
        hidden: int = 4096,
        pool: int = 7,
        dropout: float = 0,
    ) -> None:
        super().__init__()
        self.features = nn.Sequential()
        for stage, convolutions in enumerate(self.CONVOLUTIONS[depth]):
            outputs = width << min(stage, 3)
            for _ in range(convolutions):
                norm = [nn.BatchNorm2d(outputs)] if batchnorm else []
                self.features.extend([nn.Conv2d(channels, outputs, 3, 1, 1), *norm, nn.ReLU()])
                channels = outputs
            self.features.append(nn.MaxPool2d(2, 2))
        self.avgpool = nn.AdaptiveAvgPool2d((pool, pool))
        self.classifier = nn.Sequential(
            nn.Linear(channels * pool * pool, hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, classes),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.avgpool(self.features(x)).flatten(1))


def mlp(image: tuple[int, int, int], classes: int, width: int, depth: int, dropout: float = 0) -> nn.Sequential:
    layers, inputs = [nn.Flatten()], math.prod(image)
    for _ in range(depth):
        layers += [nn.Linear(inputs, width), nn.ReLU()]
        inputs = width
    return nn.Sequential(*layers, nn.Dropout(dropout), nn.Linear(inputs, classes))


def cnn(image: tuple[int, int, int], classes: int, preset: str, width: int, dropout: float = 0) -> nn.Sequential:
    channels, height, breadth = image
    if preset == "mnist":  # pytorch/examples
        return nn.Sequential(
            nn.Conv2d(channels, width, 3),
            nn.ReLU(),
            nn.Conv2d(width, 2 * width, 3),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Dropout(dropout),
            nn.Flatten(),
            nn.Linear(2 * width * ((height - 4) // 2) * ((breadth - 4) // 2), 4 * width),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(4 * width, classes),
        )
    layers = []  # pranavjv/vradam: no dropout anywhere
    for stage in range(3):
        outputs = width << stage
        for _ in range(2):
            layers += [nn.Conv2d(channels, outputs, 3, 1, 1), nn.BatchNorm2d(outputs), nn.ReLU()]
            channels = outputs
        layers.append(nn.MaxPool2d(2, 2))
    inputs = channels * (height // 8) * (breadth // 8)
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(inputs, 8 * width), nn.ReLU(), nn.Linear(8 * width, classes))


def build(model: str, settings: dict[str, int | str | bool], image: tuple[int, int, int], classes: int) -> nn.Module:
    if model.startswith("resnet"):
        return ResNet(int(model[6:]), image[0], classes, **settings)
    if model.startswith("vgg"):
        return VGG(int(model[3:]), image[0], classes, **settings)
    return {"mlp": mlp, "cnn": cnn}[model](image, classes, **settings)


def published() -> None:
    """At the published widths the networks are torchvision's: the same names, shapes and outputs."""
    named = {f"resnet{depth}": (ResNet, depth, {}, {}) for depth in ResNet.BLOCKS}
    for depth in VGG.CONVOLUTIONS:
        named[f"vgg{depth}"] = (VGG, depth, {}, {"dropout": 0.0})
        named[f"vgg{depth}_bn"] = (VGG, depth, {"batchnorm": True}, {"dropout": 0.0})
    for name, (kind, depth, settings, theirs) in named.items():
        expected = getattr(torchvision.models, name)(**theirs)
        with torch.device("meta"):
            network = kind(depth, 3, 1000, **settings)
        shapes = lambda state: [(key, tensor.shape) for key, tensor in state.items()]
        assert shapes(network.state_dict()) == shapes(expected.state_dict()), name
        network.load_state_dict(copy.deepcopy(expected.state_dict()), assign=True)
        x = torch.rand(2, 3, 64, 96)
        for mode in (True, False):
            assert torch.allclose(network.train(mode)(x), expected.train(mode)(x), rtol=1e-4, atol=1e-5), name
        if kind is ResNet:
            zeroed = [torch.count_nonzero(p).item() == 0 for p in ResNet(depth, 3, 2, zero_init=True).parameters()]
            expected = getattr(torchvision.models, name)(zero_init_residual=True, num_classes=2)
            assert zeroed == [torch.count_nonzero(p).item() == 0 for p in expected.parameters()], name


def fill(network: nn.Module) -> None:
    """The weights that every case starts from: formulas of the parameters' names, exact in float32."""
    for name, parameter in network.named_parameters():
        drawn = values(parameter.shape, zlib.crc32(name.encode()))
        if not name.endswith("weight"):
            drawn = drawn / 8
        elif parameter.dim() == 1:
            # The weight of a norm starts at 1, or at 0 where `zero_init` has it so, and is a quarter away.
            drawn = parameter.data + drawn / 4
        else:
            power = math.log2(math.sqrt(6 / parameter[0].numel()))
            assert abs(power % 1 - 0.5) > 1e-6, f"{name}: its scale is at a tie"
            drawn = drawn * 2 ** round(power)
        parameter.data = drawn.clone()
    network.double()


def batches(image: tuple[int, int, int], classes: int, batch: int, shift: int) -> list[Batch]:
    out = []
    for i in range(BATCHES):
        bytes_ = [b % 256 for b in bits(batch * math.prod(image), 1000 + shift + i)]
        x = (torch.tensor(bytes_, dtype=torch.float64).reshape(batch, *image) / 255 - 0.5) / 0.5
        out.append((x, torch.tensor([b % classes for b in bits(batch, 2000 + shift + i)])))
    return out


def moved(network: nn.Module, seed: int) -> nn.Module:
    """With every weight a relative 3e-7 away, up or down."""
    network, signs = copy.deepcopy(network), torch.Generator().manual_seed(seed)
    for parameter in network.parameters():
        parameter.data *= 1 + 3e-7 * (2 * torch.randint(2, parameter.shape, generator=signs) - 1)
    return network


def single(network: nn.Module) -> nn.Module:
    return copy.deepcopy(network).float()


def loss_of(network: nn.Module, batch: Batch) -> tuple[Tensor, Tensor]:
    x, labels = batch
    logits = network(x.to(next(network.parameters()).dtype))
    return logits, F.cross_entropy(logits, labels)


def train(network: nn.Module, optimizer: str, lr: float, data: list[Batch]) -> list[float]:
    """Ten updates of `network`; the loss before each."""
    rule, losses = OPTIMIZERS[optimizer](network.parameters(), lr), []
    for k in range(UPDATES):
        rule.zero_grad()
        _, loss = loss_of(network, data[k % BATCHES])
        loss.backward()
        rule.step()
        losses.append(loss.item())
    return losses


def apart(a: list[float], b: list[float]) -> float:
    return max(abs(x - y) / abs(x) for x, y in zip(a, b, strict=True))


def corners(network: nn.Module, batch: Batch) -> list[tuple[Tensor, Tensor]]:
    """The inputs of ReLU and max-pooling, and how far from a corner the nearest element of every channel is."""
    seen = []

    def nearest(module: nn.Module, inputs: tuple[Tensor]) -> None:
        (x,) = inputs
        gaps = x.abs()
        if isinstance(module, nn.MaxPool2d):
            patches = F.unfold(x.flatten(0, 1).unsqueeze(1), module.kernel_size, 1, module.padding, module.stride)
            first, second = patches.topk(2, 1).values.unbind(1)
            # After ReLU, a window of zeros passes no gradient.
            gaps = torch.where(first > 0, first - second, math.inf).unflatten(0, x.shape[:2])
        seen.append((x, by_channel(gaps).amin(1)))

    network = copy.deepcopy(network)
    for module in network.modules():
        if isinstance(module, (nn.ReLU, nn.MaxPool2d)):
            module.register_forward_pre_hook(nearest)
    with torch.no_grad():
        loss_of(network, batch)
    return seen


def by_channel(x: Tensor) -> Tensor:
    return x.transpose(0, 1).flatten(1)


def clear(network: nn.Module, batch: Batch) -> bool:
    """Whether every activation is farther from a corner than float32, or a small move of the weights, moves any of its channel."""
    near = [corners(single(network), batch), *(corners(moved(network, seed), batch) for seed in range(MOVES))]
    for (x, gaps), *others in zip(corners(network, batch), *near, strict=True):
        if any((gaps <= by_channel((x - other).abs()).amax(1)).any() for other, _ in others):
            return False
    return True


def steady(network: nn.Module, optimizer: str, lr: float, data: list[Batch]) -> bool:
    """Whether small moves of the weights, and float32, leave the losses as they are."""
    losses = train(copy.deepcopy(network), optimizer, lr, data)
    near = lambda other: apart(losses, train(other, optimizer, lr, data))
    if near(moved(network, 0)) > 2e-6:
        return False
    return all(near(other) < 4e-6 for other in [single(network), *(moved(network, seed) for seed in range(1, MOVES))])


def search(network: nn.Module, drawn: Callable[[int], list[Batch]]) -> tuple[int, dict[str, float]]:
    """The first samples, and the largest learning rates, at which ten updates are no matter of rounding."""

    @functools.cache
    def usable(shift: int) -> list[Batch] | None:
        data = drawn(shift)
        return data if clear(network, data[0]) else None

    for divisor in (1, 4, 10, 40, 100):
        rates = {"sgd": 0.01 / divisor, "adamw": 0.001 / divisor}
        for shift in range(SHIFTS + 1):
            data = usable(shift)
            if data and all(steady(network, name, lr, data) for name, lr in rates.items()):
                return shift, rates
    raise SystemExit("every learning rate is too chaotic")


def rounded(x: float | list, digits: int = 9) -> float | list:
    return [rounded(v, digits) for v in x] if isinstance(x, list) else float(f"{x:.{digits}g}")


def listed(network: nn.Module, name: str) -> bool:
    """All but the blocks in the midst of a stage, which would take too much room."""
    stage, *rest = name.split(".")
    return not stage.startswith("layer") or int(rest[0]) in (0, len(getattr(network, stage)) - 1)


def summary(name: str, x: Tensor, near: Tensor) -> dict[str, list | float]:
    """What stands for a tensor; its noise is what float32 does to it."""
    dots = [(x * values(x.shape, zlib.crc32(f"{name}/{j}".encode()))).sum() for j in range(3)]
    return {
        "norm": rounded(x.norm().item()),
        "dots": rounded([dot.item() for dot in dots]),
        "head": rounded(x.flatten()[:4].tolist()),
        "noise": rounded((x - near).norm().item(), 2),
    }


def state(network: nn.Module) -> dict[str, Tensor]:
    return {name: x for name, x in network.state_dict().items() if x.is_floating_point()}


def write(name: str) -> None:
    model, settings, image, classes, batch = CASES[name]
    network = build(model, settings, image, classes)
    fill(network)
    shift, rates = search(network, lambda shift: batches(image, classes, batch, shift))
    data = batches(image, classes, batch, shift)
    stated = {"model": model, "settings": words(settings), "image": image, "classes": classes, "batch": batch, "shift": shift}
    golden(name, stated, network, rates, data, state)


def words(settings: dict[str, int | str | bool]) -> dict[str, str]:
    return {key: str(value).lower() for key, value in settings.items()}


def golden(
    name: str,
    stated: dict[str, object],
    network: nn.Module,
    rates: dict[str, float],
    data: list[Batch],
    compared: Callable[[nn.Module], dict[str, Tensor]],
) -> None:
    """Writes the file of a case: what is stated of it, and what the network computes. The `compared` tensors are those of ten
    updates."""
    out = {"torch": torch.__version__.split("+")[0], **stated}
    pair = copy.deepcopy(network), single(network)
    (logits, loss), (near, near_loss) = [loss_of(each, data[0]) for each in pair]
    loss.backward()
    near_loss.backward()
    gradients = {
        key: (x.grad, other.grad) for (key, x), other in zip(pair[0].named_parameters(), pair[1].parameters(), strict=True)
    }
    out["first"] = {
        "loss": rounded(loss.item()),
        "logits": rounded(logits.tolist()),
        "noise_logits": rounded((logits - near).abs().max().item(), 2),
        "gradients": {key: summary(key, *both) for key, both in gradients.items() if listed(network, key)},
        "norms": {key: rounded(x.norm().item()) for key, (x, _) in gradients.items() if not listed(network, key)},
    }

    for optimizer, lr in rates.items():
        pair = copy.deepcopy(network), single(network)
        losses, near_losses = [train(each, optimizer, lr, data) for each in pair]
        after, near = map(compared, pair)
        logits, near_logits = [loss_of(each.eval(), data[0])[0] for each in pair]
        out[optimizer] = {
            "lr": lr,
            "losses": rounded(losses),
            "noise_losses": rounded(apart(losses, near_losses), 2),
            "weights": {key: summary(key, x, near[key]) for key, x in after.items() if listed(network, key)},
            "evaluated": rounded(logits.tolist()),
            "noise_evaluated": rounded((logits - near_logits).abs().max().item(), 2),
        }
    path = Path(__file__).parent / "networks" / f"{name}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(out, separators=(",", ":")) + "\n")
    noise = ", ".join(f"{key} {out[key]['lr']:g} noise {out[key]['noise_losses']:g}" for key in rates)
    print(f"{name}: {path.stat().st_size} bytes, shift {stated['shift']}, {noise}", flush=True)


# Model, settings, image, classes, batch.
CASES = {
    "resnet18-imagenet": ("resnet18", {"stem": "imagenet", "width": 4}, (1, 56, 56), 7, 4),
    "resnet18-cifar": ("resnet18", {"stem": "cifar", "width": 4, "zero_init": True}, (3, 12, 20), 10, 4),
    "resnet34-cifar": ("resnet34", {"stem": "cifar", "width": 4, "zero_init": True}, (3, 16, 16), 10, 4),
    "resnet50-imagenet": ("resnet50", {"stem": "imagenet", "width": 4, "zero_init": True}, (3, 33, 33), 10, 4),
    "resnet50-cifar": ("resnet50", {"stem": "cifar", "width": 4, "zero_init": True}, (3, 10, 10), 10, 4),
    "resnet152-imagenet": ("resnet152", {"stem": "imagenet", "width": 2, "zero_init": True}, (3, 48, 48), 10, 4),
    "vgg11": ("vgg11", {"batchnorm": False, "width": 4, "hidden": 24, "pool": 7}, (3, 32, 32), 10, 4),
    "vgg11-batchnorm": ("vgg11", {"batchnorm": True, "width": 4, "hidden": 24, "pool": 2}, (3, 40, 72), 10, 4),
    "vgg16-batchnorm": ("vgg16", {"batchnorm": True, "width": 4, "hidden": 16, "pool": 3}, (3, 64, 64), 10, 4),
    "mlp-gray": ("mlp", {"width": 24, "depth": 2}, (1, 28, 28), 10, 5),
    "mlp-color": ("mlp", {"width": 9, "depth": 1}, (3, 5, 7), 10, 5),
    "cnn-mnist": ("cnn", {"preset": "mnist", "width": 6}, (1, 28, 28), 10, 4),
    "cnn-vradam": ("cnn", {"preset": "vradam", "width": 4}, (3, 32, 32), 10, 4),
}


if __name__ == "__main__":
    torch.set_num_threads(1)
    published()
    for name in sys.argv[1:] or CASES:
        write(name)
