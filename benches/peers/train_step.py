#!/usr/bin/env python3
"""One update of a network in velograd, PyTorch and, for ResNet-18, burn, in turn, and the ratios: the peers of `velograd bench`.

    pip install torch torchvision    # any build; with --index-url https://download.pytorch.org/whl/cpu the smallest
    pip install timm                 # for --model vit
    cargo build --release --manifest-path benches/peers/burn/Cargo.toml    # for burn's rows; ten minutes and more
    python benches/peers/train_step.py [--velograd target/release/velograd] [--rounds 5] [--steps 5]
                                       [--model resnet18|resnet50|vit|gpt|lstm] [--batch-size N]
                                       [--stem imagenet|cifar] [--device cpu|cuda] [--optimizers velograd,adam,sgd]
                                       [--ways eager,compile,amp,amp-compile,...] [--precisions f32,mixed]
                                       [--burn FILE] [--burn-backends wgpu,flex]

The same network (torchvision's with ten classes, ResNet-50 on 64x64 pixels; timm's ViT-tiny on 32x32 with patches of 4; nanoGPT's
small one of 6 layers, 384 channels and blocks of 256 characters; the LSTM of PyTorch's word_language_model, two layers of 200 and
blocks of 35 characters), batch of noise, cross-entropy and one update per step. The batch of PyTorch and of burn lies on the
device as normalized floats; velograd's step also moves the bytes there and augments them. `velograd` is the rule as its
notebook writes it: a loop over tensors in Python, whose norms are read back as numbers. A round times every way
for a few steps, one after the other; of each the smallest of the rounds counts. What is compiled, and tried to find the fastest
kernel, is compiled and tried before. A way of PyTorch is words joined by `-`: eager, compile (`torch.compile`), amp (autocast: f16
and a scaler on CUDA, bf16 elsewhere), last (channels last). On CUDA PyTorch's f32 convolutions use TF32 unless told otherwise.

burn trains from the same weights and batch, and its first losses must be PyTorch's, or nothing is timed.

Memory: PyTorch on CUDA, `torch.cuda.max_memory_allocated`; on a processor, by how much the resident memory of a process of
its own grows, from before the network is made to the peak of three updates. velograd, what its driver's allocator has handed
out. burn, what its pools have reserved.
"""

import argparse
import json
import os
import pathlib
import struct
import subprocess
import sys
import tempfile
import time

try:
    import torch
    from networks import PEERS
except ImportError:
    raise SystemExit("there is no torch: pip install torch torchvision timm")


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


def network(arguments):
    torch.manual_seed(0)
    peer = PEERS[arguments.model]
    model = peer.make(arguments.stem) if arguments.model == "resnet18" else peer.make()
    return model, *peer.samples(arguments.batch_size)


class Way:
    """One network under one optimizer, trained one way."""

    def __init__(self, way, optimizer, arguments):
        self.way, self.optimizer_name = way, optimizer
        self.name, self.device, words = f"PyTorch {way}, {optimizer}", torch.device(arguments.device), way.split("-")
        if not set(words) <= {"eager", "compile", "amp", "last"}:
            raise SystemExit(f"--ways {way}: a way is words of eager, compile, amp and last, joined by -")
        model, samples, labels = network(arguments)
        layout = torch.channels_last if "last" in words and samples.dim() == 4 else torch.contiguous_format
        model = model.to(self.device, memory_format=layout)
        self.samples, self.labels = samples.to(self.device, memory_format=layout), labels.to(self.device)
        self.amp = "amp" in words
        self.model = torch.compile(model) if "compile" in words else model
        self.optimizer = OPTIMIZERS[optimizer](model.parameters())
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=self.amp and self.device.type == "cuda")
        self.loss = torch.nn.CrossEntropyLoss()

    def step(self):
        self.optimizer.zero_grad()
        half = torch.float16 if self.device.type == "cuda" else torch.bfloat16
        with torch.autocast(self.device.type, enabled=self.amp, dtype=half):
            loss = self.loss(self.model(self.samples), self.labels)
        self.scaler.scale(loss).backward()
        if isinstance(self.optimizer, VeloGrad):
            self.optimizer.set_loss(loss.item())
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return loss

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


def resident(key):
    """Bytes of /proc/self/status, None where there is no such file."""
    try:
        lines = pathlib.Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return None
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith(key)), None)


def peak(way, optimizer, arguments):
    """The memory of three updates. Prints it: the process is one that does nothing else."""
    before = resident("VmRSS")
    subject = Way(way, optimizer, arguments)
    for _ in range(3):
        subject.step()
    subject.synchronize()
    if subject.device.type == "cuda":
        print(torch.cuda.max_memory_allocated())
    else:
        print(resident("VmHWM") - before if before else "null")


def peak_in_a_process(way):
    command = [sys.executable, *sys.argv, "--peak-of", f"{way.way},{way.optimizer_name}"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"the memory of {way.name}: {done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def ours(arguments, optimizer, precision):
    command = [arguments.velograd, "bench", "--json", "--steps", str(arguments.steps), "--model", arguments.model]
    command += PEERS[arguments.model].flags + (["--stem", arguments.stem] if arguments.model == "resnet18" else [])
    command += ["--batch-size", str(arguments.batch_size), "--optimizer", optimizer, "--precision", precision]
    command += ["--device", arguments.adapter] if arguments.adapter else []
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)}: {done.stderr}")
    return json.loads(done.stdout)


def save(path, model, images, labels):
    """What burn starts from, as safetensors: the length of a table, the table, the numbers."""
    tensors = {name: t for name, t in model.state_dict().items() if t.is_floating_point()}
    tensors |= {"images": images, "labels": labels.float()}
    table, blobs, end = {}, [], 0
    for name, tensor in tensors.items():
        blobs.append(tensor.contiguous().numpy().tobytes())
        table[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": [end, end + len(blobs[-1])]}
        end += len(blobs[-1])
    head = json.dumps(table).encode()
    path.write_bytes(struct.pack("<Q", len(head)) + head + b"".join(blobs))


class Burn:
    """A process that has warmed up and times a few updates for each line that it reads."""

    def __init__(self, backend, arguments):
        self.name = f"burn {backend}, adam"
        model, images, labels = network(arguments)
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "from.safetensors"
            save(path, model, images, labels)
            command = [arguments.burn, "--backend", backend, "--stem", arguments.stem, "--from", str(path), "--serve"]
            command += ["--steps", str(arguments.steps)]
            self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            self.row = self.next()
        parameters = sum(p.numel() for p in model.parameters())
        if self.row["parameters"] != parameters:
            raise SystemExit(f"{self.name} has {self.row['parameters']} parameters, PyTorch {parameters}")
        way = Way("eager", "adam", argparse.Namespace(**{**vars(arguments), "device": "cpu"}))
        for update, burns in enumerate(self.row["losses"][:CHECKED]):
            theirs = way.step().item()
            print(f"{self.name}: loss before update {update + 1}: {burns:.6f}, PyTorch's {theirs:.6f}", file=sys.stderr)
            # Rounding grows from update to update: Adam's first steps are of the size of the rate whatever the gradient.
            if not abs(burns - theirs) <= (1e-4, 1e-2)[update > 0] * theirs:
                raise SystemExit(f"{self.name} is not the same network")

    def next(self):
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.name} ended with {self.process.wait()}")
        return json.loads(line)

    def round(self):
        print(file=self.process.stdin, flush=True)
        return self.next()

    def end(self):
        self.process.stdin.close()
        self.process.wait()


BURN = "benches/peers/burn/target/release/velograd-peer-burn"

# Losses of burn that are compared with PyTorch's.
CHECKED = 3


def main():
    cuda = torch.cuda.is_available()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--velograd", default="target/release/velograd")
    parser.add_argument("--adapter", help="velograd's --device")
    parser.add_argument("--burn", default=BURN, help="left out where it is not built")
    parser.add_argument("--burn-backends", default="wgpu", help="wgpu, flex; empty for none")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--model", choices=list(PEERS), default="resnet18")
    parser.add_argument("--batch-size", type=int, help="default: that of the model")
    parser.add_argument("--stem", choices=["imagenet", "cifar"], default="imagenet")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cuda" if cuda else "cpu", help="of PyTorch")
    parser.add_argument("--ways", help="default: eager; on CUDA eager,compile,amp,amp-compile,amp-last-compile")
    parser.add_argument("--optimizers", default="velograd,adam")
    parser.add_argument("--precisions", help="of velograd: f32, mixed; default: f32, where PyTorch is on CUDA both")
    parser.add_argument("--peak-of", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    arguments.batch_size = arguments.batch_size or PEERS[arguments.model].batch_size
    if arguments.peak_of:
        return peak(*arguments.peak_of.split(","), arguments)
    on_cuda = arguments.device == "cuda"
    names = (arguments.ways or ("eager,compile,amp,amp-compile,amp-last-compile" if on_cuda else "eager")).split(",")
    precisions = (arguments.precisions or ("f32,mixed" if on_cuda else "f32")).split(",")
    optimizers = arguments.optimizers.split(",")
    burns = []
    if arguments.model != "resnet18":
        pass  # burn's program has that network alone
    elif os.path.exists(arguments.burn) and "adam" in optimizers:
        burns = [Burn(backend, arguments) for backend in arguments.burn_backends.split(",") if backend]
    else:
        print(f"without burn: there is no {arguments.burn}, or no adam in --optimizers", file=sys.stderr)
    ways = [Way(way, optimizer, arguments) for way in names for optimizer in optimizers]

    best, memory, device = {}, {way.name: peak_in_a_process(way) for way in ways}, ""
    note = lambda name, seconds: best.update({name: min(best.get(name, float("inf")), seconds)})
    mine = {f"velograd {precision}, {optimizer}": (optimizer, precision) for precision in precisions for optimizer in optimizers}
    for _ in range(arguments.rounds):
        for name, which in mine.items():
            row = ours(arguments, *which)
            note(name, row["ms_per_step"] / 1e3)
            device, memory[name] = row["device"], row["peak_device_bytes"]
        for way in ways:
            note(way.name, way.seconds(arguments.steps))
        for burn in burns:
            row = burn.round()
            note(burn.name, row["ms_per_step"] / 1e3)
            memory[burn.name] = row["reserved_device_bytes"]
    for burn in burns:
        burn.end()

    where = torch.cuda.get_device_name() if on_cuda else f"CPU, {torch.get_num_threads()} threads"
    print(f"PyTorch {torch.__version__} on {where}; velograd on {device}" + "".join(f"; burn on {b.row['device']}" for b in burns))
    stem = f", {arguments.stem} stem" if arguments.model == "resnet18" else ""
    print(f"{arguments.model}{stem}, batch {arguments.batch_size}; the smallest of {arguments.rounds} rounds of {arguments.steps} steps")
    for name, seconds in best.items():
        size = f"{memory[name] / 1e6:>6.0f} MB" if memory.get(name) else f"{'-':>9}"
        peers = [peer for peer in best if name in mine and peer not in mine and peer.endswith(name[name.rindex(",") :])]
        ratios = ", ".join(f"{seconds / best[peer]:.2f} x {peer[: peer.rindex(',')]}" for peer in peers)
        print(f"{name:<32} {1e3 * seconds:>9.1f} ms  {arguments.batch_size / seconds:>9.0f} samples/s {size}   {ratios}".rstrip())


if __name__ == "__main__":
    main()
