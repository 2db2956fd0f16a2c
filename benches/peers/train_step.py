#!/usr/bin/env python3
"""One update of ResNet-18 in PyTorch and in velograd, in turn, and the ratio: the peer of `velograd bench`.

    pip install torch torchvision    # any build; with --index-url https://download.pytorch.org/whl/cpu the smallest
    python benches/peers/train_step.py [--velograd target/release/velograd] [--rounds 5] [--batch-size 128] [--width 64]
                                       [--device cpu|cuda] [--ways eager,compile,amp,amp-compile] [--optimizers velograd,adam,sgd]

The same network (torchvision's, ImageNet stem, ten classes), batch of noise, cross-entropy and one update per step. PyTorch's
batch lies on the device as normalized floats; velograd's step also moves the bytes there and augments them. `velograd` is the
rule as its notebook writes it: a loop over tensors in Python, whose norms are read back as numbers. A round times every way
for a few steps, one after the other, and `velograd bench` after them; of each the smallest of the rounds counts.
"""

import argparse
import json
import subprocess
import time

try:
    import torch
    import torchvision
except ImportError:
    raise SystemExit("there is no torch with torchvision: pip install torch torchvision")


class VeloGrad(torch.optim.Optimizer):
    """The notebook's loop: five numbers per tensor and step come back to the host."""

    def __init__(self, params, lr=1.5e-3, betas=(0.9, 0.99), eps=1e-8, weight_decay=1e-4, k=5, alpha_slow=0.5, alpha_interp=0.2):
        super().__init__(params, dict(lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, k=k))
        self.alpha_slow, self.alpha_interp, self.loss_average = alpha_slow, alpha_interp, 0.0

    def set_loss(self, loss):
        beta2 = self.param_groups[0]["betas"][1]
        self.loss_average = beta2 * self.loss_average + (1 - beta2) * loss

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            (beta1, beta2), lr, eps = group["betas"], group["lr"], group["eps"]
            cap = lambda x: min(1.0, 1.0 / (x + eps))
            for p in group["params"]:
                if p.grad is None:
                    continue
                g, state = p.grad, self.state[p]
                if not state:
                    state.update(t=0, m=torch.zeros_like(p), v=torch.zeros_like(p), previous=torch.zeros_like(p), slow=p.clone())
                state["t"] += 1
                t, m, v, previous, slow = (state[key] for key in ("t", "m", "v", "previous", "slow"))
                n = g.norm().item()
                similarity = 0.0
                if t > 1:
                    dot = torch.dot(g.view(-1), previous.view(-1)).item()
                    similarity = dot / (n * previous.norm().item() + eps)
                previous.copy_(g)
                g = g * (1.0 + 0.5 * (1.0 - n) if n <= 1.0 else 1.0 / n)
                m.mul_(beta1).add_(g, alpha=1 - beta1)
                v.mul_(beta2).addcmul_(g, g, value=1 - beta2)
                u = (m / (1 - beta1**t)) / ((v / (1 - beta2**t)).sqrt() + eps)
                rate = lr * cap(self.loss_average) * cap(n)
                p.add_(u, alpha=-rate * (1.0 + 0.1 * similarity))
                decay = group["weight_decay"] * cap(self.loss_average) * cap(u.norm().item())
                p.mul_(1.0 - rate * decay)
                if t % group["k"] == 0:
                    slow.add_(p - slow, alpha=self.alpha_slow)
                    p.mul_(1.0 - self.alpha_interp).add_(slow, alpha=self.alpha_interp)


OPTIMIZERS = {
    "velograd": VeloGrad,
    "adam": lambda params: torch.optim.Adam(params, lr=1e-3, weight_decay=1e-4),
    "sgd": lambda params: torch.optim.SGD(params, lr=1e-2, momentum=0.9, weight_decay=1e-4),
}


class Way:
    """One network under one optimizer, trained one way."""

    def __init__(self, name, optimizer, arguments):
        torch.manual_seed(0)
        self.name, self.device = f"PyTorch {name}, {optimizer}", torch.device(arguments.device)
        model = torchvision.models.resnet18(num_classes=10)
        if arguments.width != 64:
            raise SystemExit("torchvision's ResNet-18 has width 64")
        model = model.to(self.device)
        self.amp = name.startswith("amp")
        self.model = torch.compile(model) if name.endswith("compile") else model
        self.optimizer = OPTIMIZERS[optimizer](model.parameters())
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=self.amp and self.device.type == "cuda")
        self.images = torch.randn(arguments.batch_size, 3, 32, 32, device=self.device)
        self.labels = torch.randint(0, 10, (arguments.batch_size,), device=self.device)
        self.loss = torch.nn.CrossEntropyLoss()

    def step(self):
        self.optimizer.zero_grad()
        with torch.autocast(self.device.type, enabled=self.amp, dtype=torch.float16 if self.device.type == "cuda" else torch.bfloat16):
            loss = self.loss(self.model(self.images), self.labels)
        self.scaler.scale(loss).backward()
        if isinstance(self.optimizer, VeloGrad):
            self.optimizer.set_loss(loss.item())
        self.scaler.step(self.optimizer)
        self.scaler.update()

    def seconds(self, steps):
        self.step()
        self.synchronize()
        start = time.perf_counter()
        for _ in range(steps):
            self.step()
        self.synchronize()
        return (time.perf_counter() - start) / steps

    def synchronize(self):
        if self.device.type == "cuda":
            torch.cuda.synchronize()


def ours(arguments, optimizer, precision):
    command = [arguments.velograd, "bench", "--json", "--steps", str(arguments.steps), "--optimizer", optimizer]
    command += ["--batch-size", str(arguments.batch_size), "--width", str(arguments.width), "--precision", precision]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)}: {done.stderr}")
    row = json.loads(done.stdout)
    return row["ms_per_step"] / 1e3, row["device"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--velograd", default="target/release/velograd")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--ways", default="eager")
    parser.add_argument("--optimizers", default="velograd,adam")
    parser.add_argument("--precisions", default="f32", help="of velograd: f32, mixed")
    arguments = parser.parse_args()
    optimizers = arguments.optimizers.split(",")
    ways = [Way(way, optimizer, arguments) for way in arguments.ways.split(",") for optimizer in optimizers]
    best, device = {}, ""
    for _ in range(arguments.rounds):
        for way in ways:
            best[way.name] = min(best.get(way.name, float("inf")), way.seconds(arguments.steps))
        for precision in arguments.precisions.split(","):
            for optimizer in optimizers:
                seconds, device = ours(arguments, optimizer, precision)
                name = f"velograd {precision}, {optimizer}"
                best[name] = min(best.get(name, float("inf")), seconds)
    where = torch.cuda.get_device_name() if arguments.device == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    print(f"PyTorch {torch.__version__} on {where}; velograd on {device}; batch {arguments.batch_size}, {arguments.rounds} rounds")
    for name, seconds in best.items():
        optimizer = name.rsplit(", ", 1)[1]
        ratios = [f"{seconds / best[w.name]:.2f} x {w.name}" for w in ways if w.name.endswith(optimizer) and w.name != name]
        print(f"{name:<36} {1e3 * seconds:>9.1f} ms  {arguments.batch_size / seconds:>9.0f} images/s   {', '.join(ratios)}")


if __name__ == "__main__":
    main()
