#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""GGUF against llama.cpp: it loads what we write, we read what its quantizer makes.

usage: interop_test.py TRAM [NAME...]

Documentation/interop.rst says what each number means. llama.cpp runs with its plainest CPU kernels and, for
logits, f32 caches and no flash attention, so that what is compared is the model.
"""
import glob
import json
import os
import re
import shutil
import struct
import subprocess
import sys

import numpy

from claims import Skip, claim, events, main, path, refuses, tram

PEER = '/usr/lib/peers/llama.cpp'
SENTENCE = 'the cart of coal ran down the old tramroad to the river, and a horse drew it back up the hill.\n'
PROMPTS = ['the cart of', 'and a horse drew', 'tramroad to the ri', 'coal']
WINDOWS = [(2 * SENTENCE)[7 * k:7 * k + 9 + k] for k in range(10)]
NEW = 32
CONTEXT = ['-fa', 'off', '-ctk', 'f32', '-ctv', 'f32', '-c', '64', '-t', '1']
# Largest difference of a logit, of the range of logits: llama.cpp rounds activations to the type of the weights, and
# has GPT-2's GELU from a table of 16-bit values; a Llama in F32 has neither.
BOUND = {'llama-F32': 1e-5, 'F32': 1e-3, 'F16': 2e-3, 'BF16': 2e-2, 'Q8_0': 2e-2}


def llama(tool, *args):
    """stdout of one of llama.cpp's tools, as bytes."""
    env = dict(os.environ)
    libs = glob.glob(PEER + '/usr/lib/*/libllama.so.0')
    if libs:
        lib = os.path.dirname(libs[0])
        loader, = glob.glob(lib + '/ld-linux-*.so.*')
        cmd = [loader, '--library-path', f'{lib}:{lib}/llama', f'{PEER}/usr/bin/{tool}']
        for plain in glob.glob(lib + '/ggml/*/libggml-cpu-x64.so'):
            env['GGML_BACKEND_PATH'] = plain
    elif shutil.which(tool):
        cmd = [tool]
    else:
        raise Skip(f'no {tool} (packages llama.cpp-tools, -tools-extra and -examples, of Debian forky)')
    got = subprocess.run([*cmd, *map(str, args)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE, timeout=120, env=env, check=False)
    assert got.returncode == 0, f'{tool} {args}: exit {got.returncode}: {got.stderr.decode(errors="replace")[:3000]}'
    return got.stdout


def made(name, make):
    """The path of @name, which @make(path) makes once."""
    p = path(name)
    if not os.path.exists(p):
        make(p)
    return p


def text():
    def write(p):
        with open(p, 'w', encoding='utf-8') as f:
            f.write(SENTENCE * 200)
    return made('text.txt', write)


def trained(tokenizer):
    """A small model that has learnt the sentence: GPT-2, "untied" with a head of its own; or "llama", likewise."""
    def train(out):
        data = ['--data', text(), '--tokenizer', 'bytes']
        model = 'nano'
        if tokenizer == 'bpe':
            tram('tokenize', '--tokenizer', 'train:288', '--input', text(), '--out', out + '-data')
            data = ['--data', out + '-data']
        if tokenizer == 'untied':
            model = out + '-config'
            os.makedirs(model)
            with open(model + '/config.json', 'w', encoding='utf-8') as f:
                json.dump(dict(model_type='gpt2', vocab_size=256, n_positions=64, n_embd=64, n_layer=2, n_head=4, n_inner=96,
                               tie_word_embeddings=False, resid_pdrop=0, embd_pdrop=0, attn_pdrop=0), f)
        if tokenizer.startswith('llama'):
            # Grouped keys, a head size that is not width / heads, rows that are whole blocks of Q8_0.
            model = out + '-config'
            os.makedirs(model)
            with open(model + '/config.json', 'w', encoding='utf-8') as f:
                json.dump(dict(model_type='llama', vocab_size=256, max_position_embeddings=64, hidden_size=64,
                               intermediate_size=160, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
                               head_dim=24 if tokenizer == 'llama-untied' else 16, rms_norm_eps=1e-6, rope_theta=5000.0,
                               tie_word_embeddings=tokenizer != 'llama-untied'), f)
        tram('train', '--model', model, *data, '--out', out, '--steps', 400, '--batch', 8, '--seq', 64, '--lr', 3e-3,
             '--weight-decay', 0, '--device', 'cpu0')
    return made('run-' + tokenizer, train)


def exported(tokenizer):
    return made(tokenizer + '-F32.gguf',
                lambda p: tram('export', '--model', trained(tokenizer), '--to', 'gguf', '--out', p))


def quantized(tokenizer, kind):
    if kind == 'F32':
        return exported(tokenizer)
    return made(f'{tokenizer}-{kind}.gguf', lambda p: llama('llama-quantize', exported(tokenizer), p, kind, 1))


def our_ids(model, prompt):
    out, _ = tram('generate', '--model', model, '--prompt', prompt, '--tokens', NEW, '--temperature', 0, '--device', 'cpu0',
                  '--json')
    return [e['id'] for e in events(out, 'token')]


def our_text(model, prompt):
    out, _ = tram('generate', '--model', model, '--prompt', prompt, '--tokens', NEW, '--temperature', 0, '--device', 'cpu0')
    return out[len(prompt):-1]


def their_text(model, prompt):
    # Not llama-completion: it sometimes ends before all of its output is written.
    return llama('llama-simple', '-m', model, '-n', NEW, prompt).decode()[len(prompt):-1]


def shard_ids(p):
    data = open(p + '/shard-000000.bin', 'rb').read()
    n, = struct.unpack_from('<i', data, 8)
    return list(numpy.frombuffer(data, numpy.uint16, n, 1024))


def their_logits(model, prompt):
    """Of the token behind @prompt; and the ids of @prompt."""
    out = path('logits')
    llama('llama-debug', '-m', model, '-p', prompt, '--save-logits', '--logits-output-dir', out, *CONTEXT)
    stem = os.path.join(out, 'llamacpp-' + os.path.basename(model)[:-len('.gguf')])
    return numpy.fromfile(stem + '.bin', numpy.float32), list(numpy.fromfile(stem + '-tokens.bin', numpy.int32))


def our_logits(model, ids):
    """Of the token behind @ids, by the evaluation's graph, over a shard so that no tokenizer has a say."""
    with open(path('ids.bin'), 'wb') as f:
        f.write(struct.pack('<256i', 20240520, 1, len(ids) + 1, *[0] * 253))
        f.write(struct.pack(f'<{len(ids) + 1}H', *ids, 0))
    tram('eval', '--model', model, '--data', path('ids.bin'), '--seq', len(ids), '--limit', 1, '--logits', path('ours.npy'),
         '--device', 'cpu0')
    return numpy.load(path('ours.npy'))[-1]


def loss(model):
    out, _ = tram('eval', '--model', model, '--data', text(), '--limit', 20, '--device', 'cpu0', '--json')
    return events(out)[0]['loss']


def compare_logits(model, kind):
    worst, same = 0, 0
    bound = BOUND.get(f'llama-{kind}' if 'llama' in os.path.basename(model) else kind, BOUND[kind])
    for prompt in WINDOWS:
        theirs, ids = their_logits(model, prompt)
        ours = our_logits(model, ids)
        assert ours.shape == theirs.shape, (ours.shape, theirs.shape)
        worst = max(worst, float(abs(ours - theirs).max() / (ours.max() - ours.min())))
        same += ours.argmax() == theirs.argmax()
    print(f'# {os.path.basename(model)}: logits differ by at most {worst:.1e} of their range, bound {bound:.0e}; '
          f'{same} of {len(WINDOWS)} likeliest tokens are the same')
    assert worst <= bound, worst
    assert same >= len(WINDOWS) - (kind != 'F32'), same    # one near tie


def compare_text(model):
    for prompt in PROMPTS:
        ours, theirs = our_text(model, prompt), their_text(model, prompt)
        assert ours == theirs, (model, prompt, ours, theirs)
        assert len(our_ids(model, prompt)) == NEW
    print(f'# {os.path.basename(model)}: {len(PROMPTS)} prompts, {NEW} greedy tokens each, the same: {prompt!r} -> {ours!r}')


@claim
def llama_cpp_writes_the_same_greedy_text_from_our_gguf():
    for tokenizer in ('bytes', 'bpe', 'untied', 'llama', 'llama-untied'):
        compare_text(exported(tokenizer))
    # The model has learnt something: a wrong one would not go on like this.
    assert 'coal ran down the old tramroad' in our_text(exported('bytes'), 'the cart of')


@claim
def llama_cpp_gives_the_same_logits_from_our_gguf():
    for tokenizer in ('bytes', 'bpe', 'untied', 'llama', 'llama-untied'):
        compare_logits(exported(tokenizer), 'F32')


@claim
def both_tokenizers_give_the_same_ids():
    words = "the cart's coal ran  down\n\n\tto 1234 rivers, isn't it?  \u00e9t\u00e9 \u4e2d\u6587 \U0001f600 a_b--c  \n end  "
    with open(path('words.txt'), 'w', encoding='utf-8') as f:
        f.write(words)
    for tokenizer in ('bytes', 'bpe'):
        model = exported(tokenizer)
        out = path('words-' + tokenizer)
        tram('tokenize', '--tokenizer', model, '--input', path('words.txt'), '--out', out)
        theirs = llama('llama-tokenize', '-m', model, '-f', path('words.txt'), '--ids', '--log-disable').decode()
        theirs = json.loads(re.search(r'\[[0-9, ]*\]', theirs).group())
        assert shard_ids(out) == theirs, (tokenizer, shard_ids(out), theirs)


@claim
def we_agree_with_llama_cpp_on_what_its_quantizer_makes():
    for kind in ('Q8_0', 'F16', 'BF16'):
        for tokenizer in ('bytes', 'untied', 'llama'):
            model = quantized(tokenizer, kind)
            types = {t['dtype'] for t in json.loads(tram('inspect', model, '--json')[0])['tensors']}
            assert types == {kind, 'F32'}, types
            compare_logits(model, kind)
            assert abs(loss(model) - loss(exported(tokenizer))) < 0.01, (loss(model), loss(exported(tokenizer)))


@claim
def a_quantized_file_is_exported_as_the_numbers_it_stands_for():
    made('again.gguf', lambda p: tram('export', '--model', quantized('bytes', 'Q8_0'), '--to', 'gguf', '--out', p))
    assert loss(path('again.gguf')) == loss(quantized('bytes', 'Q8_0'))
    compare_text(path('again.gguf'))


@claim
def other_quantizations_are_described_and_refused_by_name():
    model = quantized('bytes', 'Q4_0')
    assert 'Q4_0' in tram('inspect', model)[0]
    for args in (['eval', '--data', text()], ['generate', '--prompt', 'x'], ['export', '--to', 'gguf', '--out', path('no.gguf')]):
        refuses([*args, '--model', model], model, 'type Q4_0', 'Q8_0', 'llama-quantize --allow-requantize')
    assert not os.path.exists(path('no.gguf'))


@claim
def a_model_without_a_tokenizer_is_exported_too():
    ids, model = path('foreign'), path('foreign-run')
    os.makedirs(ids)
    with open(ids + '/part.bin', 'wb') as f:
        f.write(struct.pack('<256i', 20240520, 1, 3000, *[0] * 253))
        f.write(struct.pack('<3000H', *[(i * i) % 64 for i in range(3000)]))
    tram('train', '--model', 'nano', '--data', ids, '--out', model, '--steps', 2, '--batch', 4, '--seq', 32, '--device', 'cpu0')
    gguf = path('foreign.gguf')
    tram('export', '--model', model, '--to', 'gguf', '--out', gguf)
    args = ['--prompt-tokens', '1,4,9', '--tokens', 8, '--temperature', 0, '--device', 'cpu0', '--json', '--model']
    assert events(tram('generate', *args, gguf)[0], 'token') == events(tram('generate', *args, model)[0], 'token')
    refuses(['generate', '--model', gguf, '--prompt', 'x', '--device', 'cpu0'], '--tokenizer')
    llama('llama-bench', '-m', gguf, '-p', 4, '-n', 4, '-r', 1, '-t', 1)


if __name__ == '__main__':
    sys.exit(main(sys.argv[2:]))
