#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes pinned_gpt2.h: 20 training steps of a tiny GPT-2 in PyTorch, double precision.

An implementation that shares nothing with libtram: weights and tokens come from the integer
formulas below (gpt2_pin_test.c has the same), the model is written out in torch, gradients are
torch's, the optimizer is torch.optim.AdamW, clipping is clip_grad_norm_.

usage: pin_gpt2.py > pinned_gpt2.h
"""
import math
import sys
import numpy as np
import torch
import torch.nn.functional as F

V, T, D, L, H, B, STEPS = 61, 16, 32, 2, 4, 4, 20
LR, WARMUP, BETAS, EPS, DECAY, CLIP = 1e-2, 4, (0.9, 0.95), 1e-8, 0.1, 0.5


def names():
    yield 'wte.weight', (V, D)
    yield 'wpe.weight', (T, D)
    for i in range(L):
        h = f'h.{i}.'
        yield h + 'ln_1.weight', (D,)
        yield h + 'ln_1.bias', (D,)
        yield h + 'attn.c_attn.weight', (D, 3 * D)
        yield h + 'attn.c_attn.bias', (3 * D,)
        yield h + 'attn.c_proj.weight', (D, D)
        yield h + 'attn.c_proj.bias', (D,)
        yield h + 'ln_2.weight', (D,)
        yield h + 'ln_2.bias', (D,)
        yield h + 'mlp.c_fc.weight', (D, 4 * D)
        yield h + 'mlp.c_fc.bias', (4 * D,)
        yield h + 'mlp.c_proj.weight', (4 * D, D)
        yield h + 'mlp.c_proj.bias', (D,)
    yield 'ln_f.weight', (D,)
    yield 'ln_f.bias', (D,)


def fill(name, shape):
    """f32 values from the name's bytes and the element's index."""
    key = 0
    for c in name.encode():
        key = (key * 31 + c) & 0xffffffff
    n = math.prod(shape)
    i = np.arange(n, dtype=np.uint64)
    u = ((i + np.uint64(1)) * np.uint64(2654435761) + np.uint64(key)) & np.uint64(0xffffffff)
    u = (u * np.uint64(2246822519)) & np.uint64(0xffffffff)
    x = ((u >> np.uint64(8)).astype(np.float32) * np.float32(2.0 ** -24) - np.float32(0.5))
    x = x * np.float32(0.125)
    if ('.ln_' in '.' + name or 'norm' in name) and name.endswith('weight'):
        x = x + np.float32(1)
    return x.reshape(shape)


def token(i):
    return (i * i * 7 + i * 13 + (i >> 3) * 5) % V


def block(p, i, x):
    h = f'h.{i}.'
    y = F.layer_norm(x, (D,), p[h + 'ln_1.weight'], p[h + 'ln_1.bias'], 1e-5)
    q, k, v = (y @ p[h + 'attn.c_attn.weight'] + p[h + 'attn.c_attn.bias']).split(D, 2)
    q, k, v = (t.view(B, T, H, D // H).transpose(1, 2) for t in (q, k, v))
    a = q @ k.transpose(2, 3) / math.sqrt(D // H)
    a = a.masked_fill(~torch.tril(torch.ones(T, T, dtype=torch.bool)), -math.inf).softmax(3)
    y = (a @ v).transpose(1, 2).reshape(B, T, D)
    x = x + y @ p[h + 'attn.c_proj.weight'] + p[h + 'attn.c_proj.bias']
    y = F.layer_norm(x, (D,), p[h + 'ln_2.weight'], p[h + 'ln_2.bias'], 1e-5)
    y = F.gelu(y @ p[h + 'mlp.c_fc.weight'] + p[h + 'mlp.c_fc.bias'], approximate='tanh')
    return x + y @ p[h + 'mlp.c_proj.weight'] + p[h + 'mlp.c_proj.bias']


def loss_of(p, x, y):
    h = p['wte.weight'][x] + p['wpe.weight']
    for i in range(L):
        h = block(p, i, h)
    h = F.layer_norm(h, (D,), p['ln_f.weight'], p['ln_f.bias'], 1e-5)
    return F.cross_entropy((h @ p['wte.weight'].T).view(-1, V), y.view(-1))


def train(p, loss_of):
    """Losses, norms before clipping, and the weights' sums at the end."""
    groups = [
        {'params': [t for t in p.values() if t.dim() >= 2], 'weight_decay': DECAY},
        {'params': [t for t in p.values() if t.dim() < 2], 'weight_decay': 0.0},
    ]
    opt = torch.optim.AdamW(groups, lr=LR, betas=BETAS, eps=EPS)
    losses, norms = [], []
    for s in range(STEPS):
        first = [(s * B + i) * T for i in range(B)]
        x = torch.tensor([[token(f + t) for t in range(T)] for f in first])
        y = torch.tensor([[token(f + t + 1) for t in range(T)] for f in first])
        for g in opt.param_groups:
            g['lr'] = LR * (s + 1) / WARMUP if s < WARMUP else LR
        opt.zero_grad()
        loss = loss_of(p, x, y)
        loss.backward()
        norms.append(torch.nn.utils.clip_grad_norm_(list(p.values()), CLIP).item())
        opt.step()
        losses.append(loss.item())
    return losses, norms, {n: t.sum().item() for n, t in p.items()}


def parameters(names):
    return {n: torch.tensor(fill(n, s)).double().requires_grad_() for n, s in names}


def show_head(script):
    torch.set_num_threads(1)
    print('/* SPDX-License-Identifier: MIT */')
    print(f'/* Made by {script} with torch {torch.__version__.split("+")[0]}; not edited by hand. */')


def show(suffix, result, shown):
    losses, norms, sums = result
    for name, values in (('pinned_loss', losses), ('pinned_norm', norms)):
        print(f'static const double {name}{suffix}[{STEPS}] = {{')
        for i in range(0, STEPS, 4):
            print('\t' + ', '.join(f'{v:.12f}' for v in values[i:i + 4]) + ',')
        print('};')
    print(f'static const struct pinned_sum pinned_sums{suffix}[] = {{')
    for n in shown:
        print(f'\t{{ "{n}", {sums[n]:.12f} }},')
    print('};')


def main():
    show_head('pin_gpt2.py')
    show('', train(parameters(names()), loss_of),
         ('wte.weight', 'h.0.attn.c_attn.weight', 'h.1.mlp.c_proj.weight', 'ln_f.weight'))


if __name__ == '__main__':
    sys.exit(main())
