"""Values of NAdamW, Signum, AdEMAMix, LARS and LAMB by the code that others use, for tests/no_gpu/rule_values.rs.

    python rules.py ADEMAMIX > rules.json

needs torch, timm, torchvision and pytorch_optimizer from PyPI; ADEMAMIX is the folder `pytorch` of github.com/apple/ml-ademamix.
Everything is computed in float64, from parameters and gradients that float32 holds exactly.
"""

import json
import sys
from importlib import metadata

import pytorch_optimizer
import timm
import timm.optim
import torch

sys.path.insert(0, sys.argv[1])
from ademamix import AdEMAMix  # noqa: E402

torch.manual_seed(7)
SHAPES, UPDATES = [(3, 5), (4,)], 24
exact = lambda shape, scale: (scale * torch.randn(shape)).to(torch.float32).to(torch.float64)
PARAMS = [exact(shape, 0.5) for shape in SHAPES]
GRADS = [[exact(shape, 0.1) for shape in SHAPES] for _ in range(UPDATES)]
# No gradient, a large one, a tiny one; an element that never gets any.
GRADS[3] = [torch.zeros(shape, dtype=torch.float64) for shape in SHAPES]
GRADS[6][0] *= 128
GRADS[9] = [g / 1048576 for g in GRADS[9]]
for grads in GRADS:
    grads[0][1, 2] = 0

CASES = [
    ("nadamw", {}, lambda p: timm.optim.NAdamW(p)),
    ("nadamw", {"lr": 0.01, "beta1": 0.8, "beta2": 0.99, "weight_decay": 0.1},
     lambda p: timm.optim.NAdamW(p, lr=0.01, betas=(0.8, 0.99), weight_decay=0.1)),
    ("signum", {}, lambda p: pytorch_optimizer.SignSGD(p, lr=0.01)),
    ("signum", {"momentum": 0.75, "weight_decay": 0.5},
     lambda p: pytorch_optimizer.SignSGD(p, lr=0.01, momentum=0.75, weight_decay=0.5, weight_decouple=False)),
    ("signum", {"weight_decay": 0.5, "wd_mode": "decoupled"},
     lambda p: pytorch_optimizer.SignSGD(p, lr=0.01, weight_decay=0.5, weight_decouple=True)),
    ("ademamix", {}, lambda p: AdEMAMix(p)),
    ("ademamix", {"lr": 0.01, "alpha": 8.0, "beta3_warmup": 16, "alpha_warmup": 12, "weight_decay": 0.1},
     lambda p: AdEMAMix(p, lr=0.01, alpha=8.0, beta3_warmup=16, alpha_warmup=12, weight_decay=0.1)),
    ("ademamix", {"beta1": 0.0, "beta3": 0.99, "beta3_warmup": 40},
     lambda p: AdEMAMix(p, betas=(0.0, 0.999, 0.99), beta3_warmup=40)),
    ("lars", {}, lambda p: timm.optim.Lars(p)),
    ("lars", {"lr": 0.5, "momentum": 0.9, "weight_decay": 0.01, "trust_coeff": 0.02},
     lambda p: timm.optim.Lars(p, lr=0.5, momentum=0.9, weight_decay=0.01, trust_coeff=0.02)),
    ("lars", {"lr": 0.01, "momentum": 0.9, "nesterov": True, "always_adapt": True, "trust_clip": True},
     lambda p: timm.optim.Lars(p, lr=0.01, momentum=0.9, nesterov=True, always_adapt=True, trust_clip=True)),
    ("lamb", {}, lambda p: timm.optim.Lamb(p, max_grad_norm=None)),
    ("lamb", {"lr": 0.01, "weight_decay": 0.1, "bias_correction": False, "trust_clip": True},
     lambda p: timm.optim.Lamb(p, lr=0.01, weight_decay=0.1, bias_correction=False, trust_clip=True, max_grad_norm=None)),
    ("lamb", {"weight_decay": 0.0, "always_adapt": True, "grad_averaging": False},
     lambda p: timm.optim.Lamb(p, weight_decay=0.0, always_adapt=True, grad_averaging=False, max_grad_norm=None)),
]


def run(make):
    params = [torch.nn.Parameter(p.clone()) for p in PARAMS]
    optimizer = make(params)
    history = []
    for grads in GRADS:
        for p, g in zip(params, grads):
            p.grad = g.clone()
        optimizer.step()
        history.append([p.detach().flatten().tolist() for p in params])
    return history


flat = lambda tensors: [t.flatten().tolist() for t in tensors]
print(json.dumps({
    "made_with": {"torch": torch.__version__, "timm": timm.__version__,
                  "pytorch_optimizer": metadata.version("pytorch_optimizer"),
                  "ml-ademamix": "c3d73c0"},
    "params": flat(PARAMS),
    "grads": [flat(grads) for grads in GRADS],
    "kept_updates": [1, 2, 8, 24],
    "cases": [
        {"rule": rule, "set": settings, "params": [history[t - 1] for t in (1, 2, 8, 24)]}
        for rule, settings, history in ((rule, settings, run(make)) for rule, settings, make in CASES)
    ],
}))
