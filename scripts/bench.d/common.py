# SPDX-License-Identifier: MIT
"""What the programs here share: a GPT-2 and tokens for it, and one process of `tram train` on them."""
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

TRAM = os.environ.get("TRAM") or str(Path(__file__).resolve().parent.parent.parent / "build-bench/tools/tram")
CORPUS = "/usr/share/doc/jargon-text/jargon.txt.gz"
VOCAB = 65
SIZES = {
    "small": dict(layers=4, width=128, heads=4, seq=128, batch=16),
    "large": dict(layers=6, width=384, heads=6, seq=256, batch=8),
}
WARM = 3  # first steps of a process, not counted
LR = 1e-3


def train(model, size, steps, threads, device, *more):
    """One process of tram train on the model and tokens at @model: its plan, counted peak, losses, seconds."""
    with tempfile.TemporaryDirectory(dir=model) as scratch:
        command = [TRAM, "train", "--model", model, "--init", model / "init.safetensors", "--data", model / "data",
                   "--out", Path(scratch) / "out", "--device", device, "--threads", threads,
                   "--steps", steps, "--batch", size["batch"], "--seq", size["seq"], "--lr", LR,
                   "--schedule", "constant", "--warmup", 0, "--betas", "0.9,0.95", "--eps", "1e-8",
                   "--weight-decay", 0.1, "--clip", 1, "--dropout", 0, "--order", "sequential", "--json", *more]
        lines = [json.loads(line) for line in output_of(command, {"TRAMROAD_CACHE": scratch}).splitlines()]
    event = {kind: [x for x in lines if x["event"] == kind] for kind in ("plan", "step", "done")}
    return dict(event["plan"][0], peak_bytes=event["done"][0]["peak_bytes"],
                losses=[x["loss"] for x in event["step"]],
                seconds=[x["step_ms"] / 1e3 for x in event["step"]])


def output_of(command, env):
    done = subprocess.run([str(word) for word in command], env=dict(os.environ, **env), capture_output=True,
                          text=True, check=False)
    if done.returncode:
        sys.exit(f"bench: {' '.join(str(word) for word in command)}\n{done.stderr}"
                 f"bench: ended by {done.returncode}")
    return done.stdout


def make_model(folder, size):
    """config.json and init.safetensors; GPT-2's own initialisation. The number of parameters."""
    folder.mkdir()
    width, layers = size["width"], size["layers"]
    config = dict(model_type="gpt2", architectures=["GPT2LMHeadModel"], vocab_size=VOCAB, n_positions=size["seq"],
                  n_embd=width, n_layer=layers, n_head=size["heads"], activation_function="gelu_new",
                  layer_norm_epsilon=1e-5, resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0)
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    random = np.random.default_rng(1)
    shapes = {"wte.weight": (VOCAB, width), "wpe.weight": (size["seq"], width),
              "ln_f.weight": (width,), "ln_f.bias": (width,)}
    for i in range(layers):
        p = f"h.{i}."
        for norm in ("ln_1", "ln_2"):
            shapes |= {p + norm + ".weight": (width,), p + norm + ".bias": (width,)}
        for product, columns, rows in (("attn.c_attn", 3 * width, width), ("attn.c_proj", width, width),
                                       ("mlp.c_fc", 4 * width, width), ("mlp.c_proj", width, 4 * width)):
            shapes |= {p + product + ".weight": (rows, columns), p + product + ".bias": (columns,)}
    head, parts, at = {}, [], 0
    for tensor, shape in shapes.items():
        if len(shape) == 1:
            value = np.full(shape, 1.0 if tensor.endswith("weight") else 0.0, "<f4")
        else:
            scale = 0.02 / (2 * layers) ** 0.5 if tensor.endswith("c_proj.weight") else 0.02
            value = (random.standard_normal(shape) * scale).astype("<f4")
        head[tensor] = dict(dtype="F32", shape=list(shape), data_offsets=[at, at + value.nbytes])
        at += value.nbytes
        parts.append(value.tobytes())
    text = json.dumps(head).encode()
    text += b" " * (-len(text) % 8)
    with open(folder / "init.safetensors", "wb") as f:
        f.write(len(text).to_bytes(8, "little") + text + b"".join(parts))
    return sum(int(np.prod(shape)) for shape in shapes.values())


def make_tokens(folder, count):
    """The corpus by characters: the 64 most frequent, and all others as one."""
    text = np.frombuffer(subprocess.run(["gzip", "-dc", CORPUS], capture_output=True, check=True).stdout, np.uint8)
    frequent = np.argsort(-np.bincount(text, minlength=256), kind="stable")[:VOCAB - 1]
    table = np.full(256, VOCAB - 1, np.uint16)
    table[frequent] = np.arange(VOCAB - 1)
    tokens = np.resize(table[text], count)
    np.save(folder / "tokens.npy", tokens)
    header = np.zeros(256, "<i4")
    header[:3] = 20240520, 1, count
    (folder / "data").mkdir()
    with open(folder / "data/shard-000000.bin", "wb") as f:
        f.write(header.tobytes() + tokens.astype("<u2").tobytes())
    return count


def progress(text):
    if sys.stderr.isatty():
        print(f"\r{text:60}\r", end="", file=sys.stderr, flush=True)


def processor():
    for line in open("/proc/cpuinfo", encoding="utf-8"):
        if line.startswith("model name"):
            return line.split(":")[1].strip()
    return os.uname().machine
