"""GPT-2 and BERT of this program in Hugging Face's transformers, and the other way: the same logits, the same loss."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import numpy
import pytest
from safetensors.numpy import load_file

import velograd

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install torch transformers")
transformers = pytest.importorskip("transformers", reason="transformers is not installed: pip install torch transformers")

DOCS = Path(__file__).resolve().parents[2] / "docs/PYTHON.md"
KINDS, BLOCK = 11, 8

# Of the largest logit, and of the loss: each of the two adds up in f32, in another order.
LOGITS, LOSS = 1e-5, 5e-5

# `gelu_new` is GPT-2's; with `gelu` it is by erf.
ACTIVATIONS = ["gelu_new", "gelu"]


def run(*arguments: str) -> str:
    ended = subprocess.run([str(velograd.program()), *arguments], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def tokens(place: Path) -> Any:
    """Writes a set of files of tokens. Returns those to validate on, as blocks and as the tokens behind each of them."""
    drawn = numpy.random.default_rng(5).integers(0, KINDS, 1200).astype("<u2")
    drawn[1::2] = (3 * drawn[::2] + 1) % KINDS  # every other one can be learned
    (place / "tokens").mkdir()
    drawn[:800].tofile(place / "tokens/train.bin")
    drawn[800:].tofile(place / "tokens/val.bin")
    (place / "tokens/meta.json").write_text(json.dumps({"vocab_size": KINDS}))
    stream = torch.from_numpy(drawn[800:].astype(numpy.int64))
    blocks = (len(stream) - 1) // BLOCK
    return stream[: blocks * BLOCK].reshape(blocks, BLOCK), stream[1 : blocks * BLOCK + 1].reshape(blocks, BLOCK)


def network(**settings: Any) -> Any:
    """A network of transformers whose logits are far from uniform."""
    torch.manual_seed(3)
    usual = {"vocab_size": KINDS, "n_positions": BLOCK, "n_embd": 24, "n_layer": 2, "n_head": 3, "bos_token_id": 0, "eos_token_id": 0}
    model = transformers.GPT2LMHeadModel(transformers.GPT2Config(**usual, **settings)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return model


@pytest.mark.parametrize("setting", [["activation=gelu_tanh"], ["activation=gelu"], ["tied=false"]], ids=" ".join)
def test_transformers_computes_the_logits_of_a_run(place: Path, setting: list[str]) -> None:
    blocks, _ = tokens(place)
    shape = [f"block={BLOCK}", "width=24", "depth=2", "heads=3", *setting]
    flags = [word for pair in shape for word in ("--model-set", pair)]
    run("train", "--data", "tokens", "--model", "gpt", *flags, "--optimizer", "adamw", "--set", "lr=0.01", "--batch-size", "10",
        "--accumulate", "1", "--epochs", "3", "--out", "run")  # fmt: skip
    run("eval", "run", "--logits", "logits.safetensors")
    ours = torch.from_numpy(load_file("logits.safetensors")["logits"]).reshape(len(blocks), BLOCK, KINDS)
    assert float(ours.max() - ours.min()) > 1

    run("export", "run", "--huggingface", "my-gpt2")
    model, report = transformers.GPT2LMHeadModel.from_pretrained("my-gpt2", output_loading_info=True)
    assert not any(report.values()), report
    with torch.no_grad():
        theirs = model.eval()(blocks).logits
    apart = float((theirs - ours).abs().max() / ours.abs().max())
    print(f"{setting}: {apart:.1e} of the largest logit")
    assert apart <= LOGITS


@pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_the_loss_of_a_network_of_transformers(place: Path, activation: str, tied: bool) -> None:
    blocks, behind = tokens(place)
    model = network(activation_function=activation, tie_word_embeddings=tied)
    model.save_pretrained("gpt2")
    with torch.no_grad():
        logits = model(blocks).logits
    expected = float(torch.nn.functional.cross_entropy(logits.reshape(-1, KINDS).double(), behind.reshape(-1)))
    for path in ["gpt2", "gpt2/model.safetensors"]:
        found = json.loads(run("eval", path, "--data", "tokens", "--json", "--logits", "logits.safetensors"))["loss"]
        ours = torch.from_numpy(load_file("logits.safetensors")["logits"]).reshape(logits.shape)
        apart = float((logits - ours).abs().max() / logits.abs().max())
        print(f"{activation}, {path}: loss {found}, transformers {expected}; logits {apart:.1e} of the largest")
        assert abs(found - expected) <= LOSS * expected and apart <= LOGITS

    # What is written of it again is the same network to the bit.
    run("export", "gpt2", "--huggingface", "again")
    again = transformers.GPT2LMHeadModel.from_pretrained("again")
    assert again.config.activation_function == activation and again.config.tie_word_embeddings == tied
    expected_weights = model.state_dict()
    found_weights = again.state_dict()
    assert expected_weights.keys() == found_weights.keys()
    assert all(torch.equal(expected_weights[name], values) for name, values in found_weights.items())


def test_a_file_as_the_published_ones(place: Path) -> None:
    """Names without the prefix, a mask for each block, no `config.json`: GPT-2's heads of 64 channels are assumed."""
    from safetensors.torch import save_file

    blocks, behind = tokens(place)
    torch.manual_seed(7)
    config = transformers.GPT2Config(vocab_size=KINDS, n_positions=BLOCK, n_embd=128, n_layer=2, n_head=2, bos_token_id=0, eos_token_id=0)
    model = transformers.GPT2LMHeadModel(config).eval()
    weights = {name: values.clone() for name, values in model.transformer.state_dict().items()}
    for block in range(2):
        weights[f"h.{block}.attn.bias"] = torch.tril(torch.ones(BLOCK, BLOCK)).reshape(1, 1, BLOCK, BLOCK)
        weights[f"h.{block}.attn.masked_bias"] = torch.tensor(-1e4)
    assert "wte.weight" in weights and "h.0.attn.c_attn.weight" in weights
    save_file(weights, "gpt2.safetensors", metadata={"format": "pt"})
    with torch.no_grad():
        expected = float(torch.nn.functional.cross_entropy(model(blocks).logits.reshape(-1, KINDS).double(), behind.reshape(-1)))
    found = json.loads(run("eval", "gpt2.safetensors", "--data", "tokens", "--json"))["loss"]
    assert abs(found - expected) <= LOSS * expected

    # A run that starts from it begins at this loss, and less is left of it at the end.
    run("train", "--model", "gpt", "--init", "gpt2.safetensors", "--data", "tokens", "--optimizer", "adamw", "--set", "lr=0.003",
        "--batch-size", "10", "--accumulate", "1", "--epochs", "2", "--out", "tuned")  # fmt: skip
    tuned = velograd.load_run("tuned")
    assert abs(tuned.updates["loss"].iloc[0] - expected) < 0.2 and tuned.epochs["val_loss"].iloc[-1] < expected


def test_bert_in_transformers(place: Path) -> None:
    """The weights of a run in `BertForMaskedLM`, whose folder is then read: losses of the same hidden tokens are the same."""
    tokens(place)
    shape = [f"block={BLOCK}", "width=64", "depth=2", "heads=4"]
    flags = [word for pair in shape for word in ("--model-set", pair)]
    run("train", "--data", "tokens", "--model", "bert", *flags, "--optimizer", "adamw", "--set", "lr=0.003", "--batch-size", "10",
        "--accumulate", "1", "--epochs", "2", "--out", "run")  # fmt: skip
    weights = {name: torch.from_numpy(values) for name, values in load_file("run/model.safetensors").items()}
    rows = len(weights["cls.predictions.bias"])
    assert rows == KINDS + 1  # `[MASK]`
    config = transformers.BertConfig(vocab_size=rows, hidden_size=64, num_hidden_layers=2, num_attention_heads=4,
        intermediate_size=256, max_position_embeddings=BLOCK, pad_token_id=None)  # fmt: skip
    model = transformers.BertForMaskedLM(config).eval()
    missing, unexpected = model.load_state_dict(weights, strict=False)
    # The last layer is the embedding, and its bias is there under two names.
    assert not unexpected and all(name.startswith("cls.predictions.decoder.") for name in missing), (missing, unexpected)
    model.tie_weights()
    ours = json.loads(run("eval", "run", "--json"))
    model.save_pretrained("bert")
    for path in ["bert", "bert/model.safetensors"]:
        theirs = json.loads(run("eval", path, "--data", "tokens", "--json"))
        assert theirs["model"] == "bert" and abs(theirs["loss"] - ours["loss"]) <= 1e-6 * ours["loss"], theirs

    # What is written of the folder again is the same network to the bit.
    run("export", "bert", "--huggingface", "again")
    again, report = transformers.BertForMaskedLM.from_pretrained("again", output_loading_info=True)
    assert not any(report.values()), report
    expected, found = model.state_dict(), again.state_dict()
    assert expected.keys() == found.keys() and all(torch.equal(expected[name], values) for name, values in found.items())


def test_transformers_computes_the_logits_of_bert(place: Path) -> None:
    blocks, _ = tokens(place)
    shape = [f"block={BLOCK}", "width=24", "depth=2", "heads=3"]
    flags = [word for pair in shape for word in ("--model-set", pair)]
    run("train", "--data", "tokens", "--model", "bert", *flags, "--optimizer", "adamw", "--set", "lr=0.01", "--batch-size", "10",
        "--accumulate", "1", "--epochs", "3", "--out", "run")  # fmt: skip
    run("eval", "run", "--logits", "logits.safetensors")
    evaluated = load_file("logits.safetensors")
    ours = torch.from_numpy(evaluated["logits"]).reshape(-1, BLOCK, KINDS + 1)
    labels = torch.from_numpy(evaluated["labels"]).reshape(-1, BLOCK)
    assert float(ours.max() - ours.min()) > 1

    run("export", "run", "--huggingface", "my-bert")
    model, report = transformers.BertForMaskedLM.from_pretrained("my-bert", output_loading_info=True)
    assert not any(report.values()), report
    # One token of each block was hidden; what stood in its place is `[MASK]` or another token, which the file does not say.
    hidden, masked = labels >= 0, 0
    assert bool((hidden.sum(1) == 1).all()) and torch.equal(labels[hidden], blocks[: len(labels)][hidden])
    worst = 0.0
    for block, at, expected in zip(blocks, hidden, ours, strict=False):
        seen = block.repeat(KINDS + 1, 1)
        seen[:, at] = torch.arange(KINDS + 1)[:, None]
        with torch.no_grad():
            apart = (model.eval()(seen).logits - expected).abs().amax((1, 2))
        masked += int(apart.argmin() == KINDS)
        worst = max(worst, float(apart.min() / ours.abs().max()))
    print(f"BERT: {worst:.1e} of the largest logit, {masked} of {len(labels)} hidden by [MASK]")
    assert worst <= LOGITS and masked > len(labels) / 2


def test_the_example_of_the_documentation(place: Path) -> None:
    found = re.search(r"### GPT-2 in transformers\n.*?```python\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    network().save_pretrained("gpt2")
    run("export", "gpt2", "--huggingface", "my-gpt2")
    space: dict[str, Any] = {}
    exec(found.group(1), space)
    assert space["logits"].shape == (1, 4, KINDS)
