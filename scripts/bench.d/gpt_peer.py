# SPDX-License-Identifier: MIT
"""The peer of scripts/bench.d/gpt: the same GPT-2 in PyTorch, from the same weights, on the same tokens.

usage: gpt_peer.py CONFIG.json INIT.safetensors TOKENS.npy BATCH SEQ STEPS THREADS LR

Prints one JSON object: versions, losses, seconds of each step. What a practitioner would choose on a CPU:
scaled_dot_product_attention, fused AdamW, no dropout.
"""
import json
import sys
import time

import numpy as np
import torch
import torch.nn.functional as F


def load(path):
    with open(path, "rb") as f:
        head = json.loads(f.read(int.from_bytes(f.read(8), "little")))
        body = f.read()
    head.pop("__metadata__", None)
    return {name: torch.from_numpy(np.frombuffer(body[t["data_offsets"][0]:t["data_offsets"][1]], "<f4")
                                   .reshape(t["shape"]).copy()).requires_grad_()
            for name, t in head.items()}


def main():
    config_path, init, tokens, batch, seq, steps, threads, lr = sys.argv[1:]
    batch, seq, steps, lr = int(batch), int(seq), int(steps), float(lr)
    config = json.load(open(config_path, encoding="utf-8"))
    width, heads, layers = config["n_embd"], config["n_head"], config["n_layer"]
    torch.set_num_threads(int(threads))
    w = load(init)
    stream = torch.from_numpy(np.load(tokens).astype(np.int64))

    def block(x, i):
        p = f"h.{i}."
        rows, length, _ = x.shape
        a = F.layer_norm(x, (width,), w[p + "ln_1.weight"], w[p + "ln_1.bias"])
        qkv = torch.addmm(w[p + "attn.c_attn.bias"], a.view(-1, width), w[p + "attn.c_attn.weight"])
        q, k, v = (t.view(rows, length, heads, width // heads).transpose(1, 2)
                   for t in qkv.view(rows, length, -1).split(width, 2))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).reshape(-1, width)
        x = x + torch.addmm(w[p + "attn.c_proj.bias"], y, w[p + "attn.c_proj.weight"]).view_as(x)
        a = F.layer_norm(x, (width,), w[p + "ln_2.weight"], w[p + "ln_2.bias"])
        a = torch.addmm(w[p + "mlp.c_fc.bias"], a.view(-1, width), w[p + "mlp.c_fc.weight"])
        a = F.gelu(a, approximate="tanh")
        return x + torch.addmm(w[p + "mlp.c_proj.bias"], a, w[p + "mlp.c_proj.weight"]).view_as(x)

    def loss_of(ids, targets):
        x = w["wte.weight"][ids] + w["wpe.weight"][:ids.shape[1]]
        for i in range(layers):
            x = block(x, i)
        x = F.layer_norm(x, (width,), w["ln_f.weight"], w["ln_f.bias"])
        return F.cross_entropy(x.view(-1, width) @ w["wte.weight"].t(), targets.reshape(-1))

    optimizer = torch.optim.AdamW(
        [{"params": [t for t in w.values() if t.dim() >= 2], "weight_decay": 0.1},
         {"params": [t for t in w.values() if t.dim() < 2], "weight_decay": 0.0}],
        lr=lr, betas=(0.9, 0.95), eps=1e-8, fused=True)
    losses, seconds = [], []
    for step in range(steps):
        began = time.perf_counter()
        at = step * batch * seq
        ids = stream[at:at + batch * seq].view(batch, seq)
        targets = stream[at + 1:at + 1 + batch * seq].view(batch, seq)
        optimizer.zero_grad(set_to_none=True)
        loss = loss_of(ids, targets)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(list(w.values()), 1.0)
        optimizer.step()
        losses.append(loss.item())
        seconds.append(time.perf_counter() - began)
    print(json.dumps({"version": torch.__version__, "losses": losses, "seconds": seconds,
                      "cpu": torch.backends.cpu.get_cpu_capability()}))


main()
