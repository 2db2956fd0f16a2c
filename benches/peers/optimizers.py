#!/usr/bin/env python3
"""PyTorch's own optimizers over ResNet-18's 62 tensors: the peers of `cargo bench --bench optimizers`.

    pip install torch    # any build; with --index-url https://download.pytorch.org/whl/cpu the smallest
    python benches/peers/optimizers.py [--quick] [--device cpu|cuda] [--threads N] [--optimizers NAME,...]

Each rule in the implementations that this PyTorch has for the device: `for-loop`, `foreach`, `fused`. MB is what a rule moves
at least: gradient and parameter read, parameter written, each word of state read and written. An implementation that goes
over memory several times moves more; its GB/s is that of the same bytes in its time. Ours also takes the gradient's norm and
looks for what is not finite, which PyTorch leaves to the caller: the line `norm` is the time of `get_total_norm`, to be added
for the same work.

A round times a copy, AdamW (the fastest of its implementations) and the rule one after the other; of each the smallest of the
rounds counts.
"""

import argparse
import math
import time

try:
    import torch
except ImportError:
    raise SystemExit("there is no torch: pip install torch (or: --index-url https://download.pytorch.org/whl/cpu)")

# Name, class, arguments, words of state per parameter.
RULES = [
    ("sgd", "SGD", {"lr": 1e-3}, 0),
    ("adam", "Adam", {}, 2),
    ("adamw", "AdamW", {}, 2),
    ("rmsprop", "RMSprop", {}, 1),
    ("adagrad", "Adagrad", {}, 1),
    ("adadelta", "Adadelta", {}, 2),
    ("nadam", "NAdam", {}, 2),
    ("radam", "RAdam", {}, 2),
    ("muon", "Muon", {}, 1),
    ("sgd momentum=0.9", "SGD", {"lr": 1e-3, "momentum": 0.9}, 1),
]
WAYS = {"for-loop": {"foreach": False}, "foreach": {"foreach": True}, "fused": {"fused": True}}


def shapes():
    """Of torchvision's resnet18 with ten classes."""

    def conv(outputs, inputs, size):  # and its batch norm
        return [(outputs, inputs, size, size), (outputs,), (outputs,)]

    found, inputs = conv(64, 3, 7), 64
    for outputs in (64, 128, 256, 512):
        for _ in range(2):
            found += conv(outputs, inputs, 3) + conv(outputs, outputs, 3)
            if inputs != outputs:
                found += conv(outputs, inputs, 1)
            inputs = outputs
    return found + [(10, 512), (10,)]


def parameters(device, matrices=False):
    """With gradients. Matrices alone: filters as matrices, no vectors, which is what torch.optim.Muon takes."""
    generator = torch.Generator().manual_seed(0)
    params = []
    for shape in shapes():
        if matrices:
            if len(shape) == 1:
                continue
            shape = (shape[0], math.prod(shape[1:]))
        param = torch.nn.Parameter((torch.randn(shape, generator=generator) * 0.05).to(device))
        param.grad = (torch.randn(shape, generator=generator) * 0.01).to(device)
        params.append(param)
    return params


class Rule:
    """An optimizer that is ready to step; raises where PyTorch has no such thing."""

    def __init__(self, name, kind, arguments, words, way, device):
        self.name, self.way, self.words = name, way, words
        muon = kind == "Muon"
        self.params = parameters(device, matrices=muon)
        # torch.optim.Muon knows no foreach and no fused.
        self.optimizer = getattr(torch.optim, kind)(self.params, **arguments, **({} if muon else WAYS[way]))
        self.elements = sum(p.numel() for p in self.params)
        for _ in range(2):  # state is made in the first step
            self.optimizer.step()

    def bytes(self):
        return 4 * self.elements * (3 + 2 * self.words)


def rules(device, chosen):
    for rule in RULES:
        name, kind = rule[:2]
        if chosen and name not in chosen or not hasattr(torch.optim, kind):
            continue
        for way in ["for-loop"] if kind == "Muon" else WAYS:
            try:
                yield Rule(*rule, way, device)
            except (RuntimeError, TypeError, ValueError) as fault:
                print(f"{name:<20} {way:<9} not there: {str(fault).splitlines()[0]}")


def seconds(work, device):
    synchronize = torch.cuda.synchronize if device == "cuda" else lambda: None
    synchronize()
    start = time.perf_counter()
    work()
    synchronize()
    return time.perf_counter() - start


def main():
    parser = argparse.ArgumentParser(description="PyTorch's optimizers over ResNet-18's tensors")
    parser.add_argument("--quick", action="store_true", help="three rounds instead of eleven")
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--threads", type=int, help="of the CPU [default: PyTorch's]")
    parser.add_argument("--optimizers", default="", help="NAME,... [default: all]")
    flags = parser.parse_args()
    if flags.threads:
        torch.set_num_threads(flags.threads)
    device, rounds = flags.device, 3 if flags.quick else 11
    chosen = [name for name in flags.optimizers.split(",") if name]

    params = parameters(device)
    grads = [p.grad for p in params]
    elements = sum(p.numel() for p in params)
    source = torch.randn(elements, device=device)
    target = torch.empty_like(source)
    what = torch.cuda.get_device_name() if device == "cuda" else f"{torch.get_num_threads()} threads"
    print(f"PyTorch {torch.__version__}, {device}, {what}")
    print(f"{elements} parameters in {len(params)} tensors, {rounds} rounds")
    copy_bytes = 8 * elements
    copy = min(seconds(lambda: target.copy_(source), device) for _ in range(rounds))
    norm = min(seconds(lambda: torch.nn.utils.get_total_norm(grads), device) for _ in range(rounds))
    print(f"copy {copy_bytes / copy / 1e9:.2f} GB/s, read and written bytes; norm {1e3 * norm:.2f} ms")
    del params, grads

    candidates = list(rules(device, ["adamw"]))
    times = [min(seconds(rule.optimizer.step, device) for _ in range(rounds)) for rule in candidates]
    adamw = candidates[times.index(min(times))]
    print(f"{'rule':<20} {'way':<9} {'words':>5} {'MB':>8} {'ms':>8} {'GB/s':>8} {'of copy':>8} {'x AdamW':>8}")
    with torch.no_grad():
        for rule in rules(device, chosen):
            best = [math.inf] * 3
            for _ in range(rounds):
                work = [lambda: target.copy_(source), adamw.optimizer.step, rule.optimizer.step]
                best = [min(b, seconds(w, device)) for b, w in zip(best, work)]
            copy, reference, own = best
            times = f"{own / reference:>8.2f}"
            if rule.name == "muon":  # bound by its products
                print(f"{rule.name:<20} {rule.way:<9} {rule.words:>5} {'':>8} {1e3 * own:>8.2f} {'':>8} {'':>8} {times}")
                continue
            rate, peak = rule.bytes() / own / 1e9, copy_bytes / copy / 1e9
            share = f"{100 * rate / peak:.0f} %"
            row = f"{rule.bytes() / 1e6:>8.1f} {1e3 * own:>8.2f} {rate:>8.2f} {share:>8} {times}"
            print(f"{rule.name:<20} {rule.way:<9} {rule.words:>5} {row}")


if __name__ == "__main__":
    main()
