#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes pinned_llama.h: 20 training steps of tiny Llamas in PyTorch, double precision.

Shares weights, tokens and the optimizer's settings with pin_gpt2.py, and nothing with libtram: the
model is written out in torch after transformers' modeling_llama (rotate_half, repeat_kv,
LlamaRMSNorm, LlamaMLP), gradients are torch's.

One has its own head and two query heads to a key head; the other's head is tied, all heads share one key head, and
the heads together are wider than the model.

usage: pin_llama.py > pinned_llama.h
"""
import math
import sys
import torch
import torch.nn.functional as F
from pin_gpt2 import B, D, L, T, V, parameters, show, show_head, train

H, INNER, EPS, THETA = 4, 88, 1e-5, 10000.0


def names(kv, hd, tied):
    yield 'model.embed_tokens.weight', (V, D)
    for i in range(L):
        h = f'model.layers.{i}.'
        yield h + 'input_layernorm.weight', (D,)
        yield h + 'self_attn.q_proj.weight', (H * hd, D)
        yield h + 'self_attn.k_proj.weight', (kv * hd, D)
        yield h + 'self_attn.v_proj.weight', (kv * hd, D)
        yield h + 'self_attn.o_proj.weight', (D, H * hd)
        yield h + 'post_attention_layernorm.weight', (D,)
        yield h + 'mlp.gate_proj.weight', (INNER, D)
        yield h + 'mlp.up_proj.weight', (INNER, D)
        yield h + 'mlp.down_proj.weight', (D, INNER)
    yield 'model.norm.weight', (D,)
    if not tied:
        yield 'lm_head.weight', (V, D)


def norm(x, gain):
    return gain * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + EPS))


def rotate_half(x):
    a, b = x.chunk(2, -1)
    return torch.cat((-b, a), -1)


def rope(x):
    hd = x.shape[-1]
    inv = 1.0 / THETA ** (torch.arange(0, hd, 2).double() / hd)
    angle = torch.outer(torch.arange(T).double(), inv)
    angle = torch.cat((angle, angle), -1)
    return x * angle.cos() + rotate_half(x) * angle.sin()


def block(p, i, x, kv, hd):
    h = f'model.layers.{i}.'
    y = norm(x, p[h + 'input_layernorm.weight'])
    q = (y @ p[h + 'self_attn.q_proj.weight'].T).view(B, T, H, hd).transpose(1, 2)
    k = (y @ p[h + 'self_attn.k_proj.weight'].T).view(B, T, kv, hd).transpose(1, 2)
    v = (y @ p[h + 'self_attn.v_proj.weight'].T).view(B, T, kv, hd).transpose(1, 2)
    q, k = rope(q), rope(k)
    k, v = (t.repeat_interleave(H // kv, 1) for t in (k, v))
    a = q @ k.transpose(2, 3) / math.sqrt(hd)
    a = a.masked_fill(~torch.tril(torch.ones(T, T, dtype=torch.bool)), -math.inf).softmax(3)
    x = x + (a @ v).transpose(1, 2).reshape(B, T, H * hd) @ p[h + 'self_attn.o_proj.weight'].T
    y = norm(x, p[h + 'post_attention_layernorm.weight'])
    y = F.silu(y @ p[h + 'mlp.gate_proj.weight'].T) * (y @ p[h + 'mlp.up_proj.weight'].T)
    return x + y @ p[h + 'mlp.down_proj.weight'].T


def main():
    show_head('pin_llama.py')
    for suffix, kv, hd, tied in (('', 2, 8, False), ('_tied', 1, 12, True)):
        head = 'model.embed_tokens.weight' if tied else 'lm_head.weight'

        def loss_of(p, x, y):
            h = p['model.embed_tokens.weight'][x]
            for i in range(L):
                h = block(p, i, h, kv, hd)
            h = norm(h, p['model.norm.weight'])
            return F.cross_entropy((h @ p[head].T).view(-1, V), y.view(-1))

        layer = f'model.layers.{L - 1}.'
        show(suffix, train(parameters(names(kv, hd, tied)), loss_of),
             (head, layer + 'self_attn.q_proj.weight', layer + 'self_attn.k_proj.weight',
              layer + 'self_attn.v_proj.weight', layer + 'mlp.gate_proj.weight', 'model.norm.weight'))


if __name__ == '__main__':
    sys.exit(main())
