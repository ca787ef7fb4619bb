#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The tool as people and scripts meet it: every claim is a function below.

usage: cli_test.py TRAM MAN_DIR [--soak] [NAME...]
"""
import ctypes
import glob
import hashlib
import json
import math
import os
import random
import re
import signal
import struct
import subprocess
import sys
import threading
import time

from claims import Skip, TRAM, claim, events, main, path, refuses, tram

MAN = sys.argv[2]
SOAK = '--soak' in sys.argv
VERBS = ['train', 'eval', 'generate', 'export', 'tokenize', 'devices', 'inspect', 'topo']


def text_file(name='text.txt', n=40000):
    p = path(name)
    if not os.path.exists(p):
        rng = random.Random(7)
        words = [''.join(rng.choice('etaoinshrdlu') for _ in range(rng.randint(1, 8))) for _ in range(300)]
        with open(p, 'w') as f:
            while f.tell() < n:
                f.write(rng.choice(words) + rng.choice('     \n'))
    return p


def train_args(out, *more, steps=8, device='cpu0'):
    return ['train', '--model', 'nano', '--data', text_file(), '--out', out, '--device', device,
            '--steps', steps, '--batch', 4, '--seq', 32, '--json', *more]


def trained():
    """A run folder, made once."""
    if not os.path.exists(path('trained')):
        tram(*train_args(path('trained'), steps=30))
    return path('trained')


def safetensors(p):
    with open(p, 'rb') as f:
        n, = struct.unpack('<Q', f.read(8))
        head = json.loads(f.read(n))
        body = f.read()
    return {k: body[slice(*v['data_offsets'])] for k, v in head.items() if k != '__metadata__'}


def checkpoint(run):
    return os.path.join(run, sorted(d for d in os.listdir(run) if d.startswith('step-'))[-1])


# --- usage ------------------------------------------------------------------------------------

@claim
def every_verb_explains_itself():
    out, _ = tram('--help')
    for verb in VERBS:
        assert verb in out
        assert 'usage: tram ' + verb in tram(verb, '--help')[0]
    assert re.match(r'tram \d+\.\d+\.\d+\n', tram('--version')[0])


@claim
def wrong_usage_exits_2_with_one_line():
    for args, word in ((['nonsense'], 'nonsense'), (['train', '--nonsense'], '--nonsense'),
                       (['train'], '--model'), (['train', '--steps', 'x'], 'whole number'),
                       (['train', '--schedule', 'steep'], 'cosine'),
                       (['generate', '--model', 'x'], '--prompt'), (['inspect'], 'PATH'),
                       (['train', '--steps'], '--steps'), (['train', '--steps', '-1'], '-1')):
        _, err = tram(*args, rc=2)
        assert word in err and err.count('\n') == 1, (args, err)


@claim
def man_pages_name_every_option():
    for verb in VERBS:
        page = open(os.path.join(MAN, f'tram-{verb}.1')).read().replace('\\-', '-')
        options = re.findall(r'^  --([a-z-]+)', tram(verb, '--help')[0], re.M)
        assert options
        for o in options:
            assert re.search(rf'-?-{o}\b', page) or f'Fl -{o}' in page, f'{verb}: --{o} is not in its man page'


# --- the way through --------------------------------------------------------------------------

@claim
def devices_are_listed_for_people_and_scripts():
    out, _ = tram('devices', '--json')
    listed = [json.loads(line) for line in out.splitlines()]
    assert 'cpu0' in [d['device'] for d in listed]
    assert 'cpu0' in tram('devices')[0]


@claim
def training_tells_what_scripts_rely_on():
    out, _ = tram(*train_args(path('contract')))
    plan, = events(out, 'plan')
    assert plan['predicted_step_ms'] > 0 and plan['predicted_peak_bytes'] > 0
    steps = events(out, 'step')
    assert [s['step'] for s in steps] == list(range(1, 9))
    for s in steps:
        assert {'loss', 'grad_norm', 'lr', 'step_ms', 'tokens_per_s'} <= set(s)
    done, = events(out, 'done')
    assert done['peak_bytes'] > 0
    assert open(path('contract/metrics.jsonl')).read() == out
    assert '<svg' in open(path('contract/loss.svg')).read()


@claim
def weights_sha256_is_over_the_tensors_by_name():
    out, _ = tram(*train_args(path('sha')))
    h = hashlib.sha256()
    for _, data in sorted(safetensors(checkpoint(path('sha')) + '/model.safetensors').items()):
        h.update(data)
    assert events(out, 'done')[0]['weights_sha256'] == h.hexdigest()


@claim
def init_and_sequential_order_are_reproducible():
    first = checkpoint(trained()) + '/model.safetensors'
    args = ['--init', first, '--order', 'sequential']
    a = events(tram(*train_args(path('seq-a'), *args))[0], 'step')
    b = events(tram(*train_args(path('seq-b'), *args))[0], 'step')
    assert [s['loss'] for s in a] == [s['loss'] for s in b]


@claim
def shards_and_tokenizer_train_as_text_does():
    tok = path('shards')
    out, _ = tram('tokenize', '--tokenizer', 'train:300', '--input', text_file(), '--out', tok, '--json')
    assert events(out, 'done')[0]['vocab'] == 300
    a = events(tram('train', '--model', 'nano', '--data', tok, '--out', path('from-shards'), '--steps', 4,
                    '--batch', 4, '--seq', 32, '--device', 'cpu0', '--json')[0], 'done')[0]
    b = events(tram('train', '--model', 'nano', '--data', text_file(), '--tokenizer', tok + '/tokenizer.json',
                    '--out', path('from-text'), '--steps', 4, '--batch', 4, '--seq', 32, '--device', 'cpu0',
                    '--json')[0], 'done')[0]
    assert a['weights_sha256'] == b['weights_sha256']


@claim
def shards_of_another_program_need_no_tokenizer():
    """llm.c's layout, a vocabulary that no tokenizer of ours has."""
    tokens, model = path('foreign'), path('foreign-model')
    os.makedirs(tokens)
    os.makedirs(model)
    with open(tokens + '/part.bin', 'wb') as f:
        f.write(struct.pack('<256i', 20240520, 1, 3000, *[0] * 253))
        f.write(struct.pack('<3000H', *[(i * i) % 65 for i in range(3000)]))
    with open(model + '/config.json', 'w') as f:
        json.dump(dict(model_type='gpt2', vocab_size=65, n_positions=32, n_embd=16, n_layer=1, n_head=2), f)
    args = ['train', '--data', tokens, '--steps', 2, '--batch', 4, '--seq', 32, '--device', 'cpu0', '--json']
    tram(*args, '--model', model, '--out', path('foreign-run'))
    tram(*args, '--model', 'nano', '--out', path('foreign-preset'))
    assert not os.path.exists(checkpoint(path('foreign-run')) + '/tokenizer.json')


@claim
def four_devices_end_where_one_does():
    sums = []
    for device in ('cpu0', 'cpu0*4'):
        out, _ = tram(*train_args(path('on-' + device), '--shards', 4, '--dropout', 0.1, device=device))
        sums.append(events(out, 'done')[0]['weights_sha256'])
    assert events(out, 'plan')[0]['devices'] == 4
    assert sums[0] == sums[1]
    refuses(train_args(path('on-none'), device='cpu0*4'), '4 devices', '--shards 4')


@claim
def a_running_job_answers_with_its_newest_version():
    out = path('live')
    p = subprocess.Popen([TRAM, 'train', '--model', 'nano', '--data', text_file(), '--out', out, '--steps', '100000',
                          '--batch', '4', '--seq', '32', '--save-every', '2', '--device', 'cpu0', '--json'],
                         stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        while not glob.glob(out + '/step-????????/state.json'):
            time.sleep(0.01)
        threading.Thread(target=p.stdout.read, daemon=True).start()
        steps = []
        for _ in range(4):
            e = events(tram('eval', '--model', out, '--data', text_file(), '--limit', 2, '--device', 'cpu0', '--json')[0], 'eval')[0]
            g = events(tram('generate', '--model', out, '--prompt', 'the', '--tokens', 4, '--device', 'cpu0', '--json')[0], 'done')[0]
            assert g['tokens'] == 4
            steps += [e['step'], g['step']]
        assert p.poll() is None
    finally:
        p.kill()
        p.wait()
    # Newer each time: the job went on, and nothing that it removed meanwhile was missed.
    assert steps == sorted(steps) and steps[-1] > steps[0], steps


@claim
def logits_explain_the_loss():
    import numpy
    out, _ = tram('eval', '--model', trained(), '--data', text_file(), '--seq', 32, '--limit', 5,
                  '--device', 'cpu0', '--logits', path('logits.npy'), '--json')
    logits = numpy.load(path('logits.npy')).astype(numpy.float64)
    assert logits.shape == (160, 256)
    text = numpy.frombuffer(open(text_file(), 'rb').read(161), numpy.uint8)
    lse = numpy.log(numpy.exp(logits - logits.max(1, keepdims=True)).sum(1)) + logits.max(1)
    loss = (lse - logits[numpy.arange(160), text[1:161]]).mean()
    assert math.isclose(loss, events(out)[0]['loss'], rel_tol=1e-5), (loss, out)


@claim
def greedy_text_is_the_same_on_every_device():
    args = ['generate', '--model', trained(), '--prompt', 'the ', '--tokens', 80, '--temperature', 0, '--json']
    texts = {}
    for d in (json.loads(line) for line in tram('devices', '--json')[0].splitlines()):
        if d['usable']:
            out, _ = tram(*args, '--device', d['device'])
            texts[d['device']] = [e['id'] for e in events(out, 'token')]
    assert len(set(map(tuple, texts.values()))) == 1, texts


@claim
def a_seed_gives_one_text():
    args = ['generate', '--model', trained(), '--prompt-tokens', '104,101', '--tokens', 40, '--top-k', 50,
            '--top-p', 0.95, '--device', 'cpu0', '--seed']
    assert tram(*args, 3)[0] == tram(*args, 3)[0]
    assert tram(*args, 3)[0] != tram(*args, 4)[0]


@claim
def decoding_agrees_with_evaluation():
    """The cache's path and the training path give the same logits: greedy tokens equal their argmax."""
    import numpy
    out, _ = tram('generate', '--model', trained(), '--prompt', 'a', '--tokens', 31, '--temperature', 0,
                  '--device', 'cpu0', '--json')
    ids = [ord('a')] + [e['id'] for e in events(out, 'token')]
    with open(path('greedy.txt'), 'wb') as f:
        f.write(bytes(ids + [0]))
    tram('eval', '--model', trained(), '--data', path('greedy.txt'), '--tokenizer', 'bytes', '--seq', 32,
         '--device', 'cpu0', '--logits', path('greedy.npy'))
    assert list(numpy.load(path('greedy.npy')).argmax(1)[:31]) == ids[1:]


@claim
def a_llama_goes_the_whole_way_on_every_device():
    """Trained, ended in between and gone on with, evaluated and asked for text."""
    listed = [json.loads(line) for line in tram('devices', '--json')[0].splitlines()]
    devices, texts, losses = [e['device'] for e in listed if e['usable']], set(), []
    for d in devices:
        def args(out, steps, *more):
            return ['train', '--model', 'llama-nano', '--data', text_file(), '--out', path(f'llama-{d}{out}'),
                    '--device', d, '--steps', steps, '--batch', 4, '--seq', 32, '--shards', 2, '--dropout', 0.1,
                    '--lr', 0.01, '--json', *more]

        whole = events(tram(*args('', 12))[0], 'done')[0]
        tram(*args('-cut', 7))
        cut = events(tram(*args('-cut', 12, '--resume'))[0], 'done')[0]
        assert cut['weights_sha256'] == whole['weights_sha256'], d
        step = checkpoint(path(f'llama-{d}'))
        names = safetensors(step + '/model.safetensors')
        assert 'model.layers.1.self_attn.k_proj.weight' in names and 'lm_head.weight' not in names
        assert json.load(open(step + '/config.json'))['model_type'] == 'llama'
        assert 'a whole model' in tram('inspect', step)[0]
    for d in devices:   # the same weights for all
        run = path(f'llama-{devices[0]}')
        loss = events(tram('eval', '--model', run, '--data', text_file(), '--seq', 32, '--limit', 20, '--device', d,
                           '--json')[0])[0]['loss']
        out = tram('generate', '--model', run, '--prompt', 'the ', '--tokens', 80, '--temperature', 0, '--device', d,
                   '--json')[0]
        texts.add(tuple(e['id'] for e in events(out, 'token')))
        losses.append(loss)
    assert len(texts) == 1, texts
    assert max(losses) - min(losses) < 1e-4, losses


def hugging_face_llama(folder, **more):
    """A folder as transformers' LlamaModel saves it, in bf16; the weights as float64."""
    import numpy
    c = dict(model_type='llama', vocab_size=256, hidden_size=32, intermediate_size=56, num_hidden_layers=2,
             num_attention_heads=4, num_key_value_heads=2, head_dim=12, max_position_embeddings=64,
             rms_norm_eps=1e-5, rope_theta=500.0, hidden_act='silu', tie_word_embeddings=False, **more)
    shapes = {'embed_tokens.weight': (256, 32), 'norm.weight': (32,), 'lm_head.weight': (256, 32)}
    for i in range(2):
        for n, s in (('input_layernorm', (32,)), ('post_attention_layernorm', (32,)), ('self_attn.q_proj', (48, 32)),
                     ('self_attn.k_proj', (24, 32)), ('self_attn.v_proj', (24, 32)), ('self_attn.o_proj', (32, 48)),
                     ('mlp.gate_proj', (56, 32)), ('mlp.up_proj', (56, 32)), ('mlp.down_proj', (32, 56))):
            shapes[f'layers.{i}.{n}.weight'] = s
    rng, head, body, w = numpy.random.default_rng(5), {}, b'', {}
    for n, s in shapes.items():
        x = (rng.standard_normal(s) * 0.3 + (len(s) == 1)).astype('<f4').view('<u4') >> 16
        head[n] = dict(dtype='BF16', shape=s, data_offsets=(len(body), len(body) + 2 * x.size))
        body += x.astype('<u2').tobytes()
        w[n] = (x.astype('<u4') << 16).view('<f4').astype(float)
    head = json.dumps(head).encode()
    os.makedirs(folder, exist_ok=True)
    with open(folder + '/config.json', 'w') as f:
        json.dump(c, f)
    with open(folder + '/model.safetensors', 'wb') as f:
        f.write(struct.pack('<Q', len(head)) + head + body)
    return c, w


@claim
def a_llama_of_hugging_face_gives_its_logits():
    """Names without "model.", bf16, two query heads a key head: against the same in numpy, in double."""
    import numpy as np
    c, w = hugging_face_llama(path('hf-llama'))
    text = open(text_file(), 'rb').read(33)
    tokens, t, hd, pairs = np.frombuffer(text, np.uint8)[:32], np.arange(32), c['head_dim'], c['head_dim'] // 2

    def norm(x, gain):
        return x / np.sqrt((x * x).mean(-1, keepdims=True) + c['rms_norm_eps']) * gain

    def turned(x):     # [heads, T, hd]
        angle = t[:, None] * c['rope_theta'] ** (-2 * np.arange(pairs) / hd)
        a, b = x[..., :pairs], x[..., pairs:]
        return np.concatenate((a * np.cos(angle) - b * np.sin(angle), b * np.cos(angle) + a * np.sin(angle)), -1)

    x = w['embed_tokens.weight'][tokens]
    for i in range(2):
        def of(n):
            return w[f'layers.{i}.{n}.weight'].T
        y = norm(x, of('input_layernorm'))
        q, k, v = ((y @ of(f'self_attn.{n}_proj')).reshape(32, -1, hd).transpose(1, 0, 2) for n in 'qkv')
        k, v = turned(k).repeat(2, 0), v.repeat(2, 0)
        s = turned(q) @ k.transpose(0, 2, 1) / math.sqrt(hd)
        s = np.exp(np.where(t[None, :] <= t[:, None], s, -np.inf))
        y = (s / s.sum(-1, keepdims=True) @ v).transpose(1, 0, 2).reshape(32, -1)
        x = x + y @ of('self_attn.o_proj')
        y = norm(x, of('post_attention_layernorm'))
        gate = y @ of('mlp.gate_proj')
        x = x + (gate / (1 + np.exp(-gate)) * (y @ of('mlp.up_proj'))) @ of('mlp.down_proj')
    want = norm(x, w['norm.weight']) @ w['lm_head.weight'].T
    with open(path('hf.txt'), 'wb') as f:
        f.write(text)
    for d in (json.loads(line) for line in tram('devices', '--json')[0].splitlines()):
        if d['usable']:
            tram('eval', '--model', path('hf-llama'), '--data', path('hf.txt'), '--tokenizer', 'bytes', '--seq', 32,
                 '--device', d['device'], '--logits', path('hf.npy'))
            assert np.abs(np.load(path('hf.npy')) - want).max() < 1e-4 * np.abs(want).max(), d


@claim
def a_llama_that_computes_otherwise_is_refused():
    hugging_face_llama(path('hf-scaled'), rope_scaling=dict(rope_type='llama3', factor=8.0))
    refuses(['eval', '--model', path('hf-scaled'), '--data', text_file(), '--tokenizer', 'bytes'], 'rope_scaling',
            'llama3', 'use a model without it')


@claim
def inspect_checks_what_training_wrote():
    step = checkpoint(trained())
    assert 'hash' in tram('inspect', step)[0]
    assert json.loads(tram('inspect', step + '/model.safetensors', '--json')[0])
    with open(path('torn.safetensors'), 'wb') as f:
        f.write(open(step + '/model.safetensors', 'rb').read()[:-5])
    _, err = tram('inspect', path('torn.safetensors'), rc=1)
    assert 'torn.safetensors' in err and err.count('\n') == 1


def exported():
    """The run's model as a GGUF, made once."""
    if not os.path.exists(path('exported.gguf')):
        tram('export', '--model', trained(), '--to', 'gguf', '--out', path('exported.gguf'))
    return path('exported.gguf')


def greedy_ids(model):
    return [e['id'] for e in events(tram('generate', '--model', model, '--prompt', 'the ', '--tokens', 40,
                                         '--temperature', 0, '--device', 'cpu0', '--json')[0], 'token')]


@claim
def a_gguf_is_the_model_itself():
    """Weights, configuration and tokenizer: loss, text and the weights written again are the same to the bit."""
    gguf = exported()
    args = ['--data', text_file(), '--limit', 5, '--device', 'cpu0', '--json']
    losses = [events(tram('eval', '--model', m, *args)[0])[0]['loss'] for m in (trained(), gguf)]
    assert losses[0] == losses[1], losses
    assert greedy_ids(gguf) == greedy_ids(trained())
    os.makedirs(path('back'))
    out, _ = tram('export', '--model', gguf, '--to', 'safetensors', '--out', path('back/model.safetensors'), '--json')
    assert events(out, 'done')[0]['tokenizer'] is True
    assert safetensors(path('back/model.safetensors')) == safetensors(checkpoint(trained()) + '/model.safetensors')
    was, got = (json.load(open(d + '/config.json')) for d in (checkpoint(trained()), path('back')))
    # A GGUF has no place for the rates of dropout.
    assert {k: v for k, v in was.items() if 'pdrop' not in k} == {k: v for k, v in got.items() if 'pdrop' not in k}
    assert greedy_ids(path('back')) == greedy_ids(trained())


@claim
def a_trained_vocabulary_goes_through_gguf():
    tram('tokenize', '--tokenizer', 'train:320', '--input', text_file(), '--out', path('vocab'))
    tram('train', '--model', 'nano', '--data', path('vocab'), '--out', path('vocab-run'), '--steps', 3, '--batch', 4,
         '--seq', 32, '--device', 'cpu0')
    tram('export', '--model', path('vocab-run'), '--to', 'gguf', '--out', path('vocab.gguf'))
    for m in (path('vocab-run'), path('vocab.gguf')):
        tram('eval', '--model', m, '--data', text_file(), '--limit', 3, '--device', 'cpu0', '--logits', m + '.npy')
    assert open(path('vocab-run.npy'), 'rb').read() == open(path('vocab.gguf.npy'), 'rb').read()


@claim
def training_goes_on_from_a_gguf():
    out, _ = tram('train', '--model', exported(), '--data', text_file(), '--out', path('from-gguf'), '--steps', 2,
                  '--batch', 4, '--seq', 32, '--device', 'cpu0', '--order', 'sequential', '--dropout', 0, '--json')
    same, _ = tram('train', '--model', checkpoint(trained()), '--data', text_file(), '--out', path('from-folder'),
                   '--steps', 2, '--batch', 4, '--seq', 32, '--device', 'cpu0', '--order', 'sequential', '--dropout', 0,
                   '--json')
    assert events(out, 'done')[0]['weights_sha256'] == events(same, 'done')[0]['weights_sha256']


@claim
def export_replaces_no_other_model():
    os.makedirs(path('taken'))
    open(path('taken/config.json'), 'w').write('{}')
    refuses(['export', '--model', trained(), '--to', 'safetensors', '--out', path('taken/model.safetensors')],
            'taken/config.json', 'another folder')
    assert os.listdir(path('taken')) == ['config.json']
    refuses(['export', '--model', 'nano', '--to', 'gguf', '--out', path('x.gguf')], 'trained weights')
    refuses(['export', '--model', trained(), '--to', 'gguf', '--out', '/nonexistent/x.gguf'], '/nonexistent/x.gguf')
    refuses(['export', '--model', trained(), '--to', 'onnx', '--out', 'x'], 'gguf|safetensors', rc=2)


@claim
def a_broken_gguf_is_named():
    whole = open(exported(), 'rb').read()
    for name, data, word in (('torn', whole[:-100], 'tensor'), ('short', whole[:5000], 'bytes needed'),
                             ('magic', b'GGML' + whole[4:], 'magic'), ('old', whole[:4] + b'\1' + whole[5:], 'version')):
        p = path(name + '.gguf')
        open(p, 'wb').write(data)
        for args in (['inspect', p], ['generate', '--model', p, '--prompt', 'x', '--device', 'cpu0'],
                     ['eval', '--model', p, '--data', text_file()], ['export', '--model', p, '--to', 'gguf', '--out', p + '2']):
            refuses(args, p, word)
    out, _ = tram('inspect', exported())
    assert 'a whole model with a tokenizer, ids below 256' in out
    shown = json.loads(tram('inspect', exported(), '--json')[0])
    assert shown['kind'] == 'gguf' and shown['metadata']['gpt2.block_count'] == 2
    assert [1] == [1 for t in shown['tensors'] if t['name'] == 'blk.1.ffn_up.weight' and t['shape'] == [256, 64]]


@claim
def a_trace_opens_as_json_with_a_span_per_call():
    out, _ = tram(*train_args(path('traced'), '--trace', path('trace.json')))
    trace = json.load(open(path('trace.json')))
    spans = [e for e in trace['traceEvents'] if e.get('ph') == 'X']
    assert len(spans) >= events(out, 'plan')[0]['kernel_calls']
    assert all(e['dur'] >= 0 for e in spans)


# --- killed and resumed -----------------------------------------------------------------------

@claim
def killed_runs_end_in_the_same_bits():
    steps = 60
    whole = events(tram(*train_args(path('whole'), '--save-every', 5, '--dropout', 0.1, steps=steps))[0], 'done')
    rng = random.Random(11)
    for k in range(40 if SOAK else 5):
        out = path(f'killed-{k}')
        seen = []
        while True:
            p = subprocess.Popen([TRAM, *map(str, train_args(out, '--save-every', 5, '--dropout', 0.1,
                                                            '--resume', steps=steps))],
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            try:
                text, err = p.communicate(timeout=rng.uniform(0.05, 1.5))
                assert p.returncode == 0, err
                break
            except subprocess.TimeoutExpired:
                p.send_signal(signal.SIGKILL)
                text, _ = p.communicate()
                seen += [json.loads(x)['step'] for x in text.splitlines() if '"step",' in x and x.endswith('}')]
            if len(seen) > 20 * steps:
                raise AssertionError('no progress between kills')
        assert events(text, 'done')[0]['weights_sha256'] == whole[0]['weights_sha256']


@claim
def an_interrupt_saves_and_resumes():
    out = path('interrupted')
    p = subprocess.Popen([TRAM, *map(str, train_args(out, steps=100000))], stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE, text=True)
    for line in p.stdout:
        if json.loads(line).get('step', 0) >= 3:
            break
    p.send_signal(signal.SIGINT)
    rest, err = p.communicate(timeout=60)
    assert p.returncode == 0, err
    last = max(e['step'] for e in events(rest))
    resumed = events(tram(*train_args(out, '--resume', steps=last + 2))[0], 'step')
    assert [s['step'] for s in resumed] == [last + 1, last + 2]


# --- what can go wrong ------------------------------------------------------------------------

@claim
def missing_and_empty_data_are_named():
    refuses(train_args(path('x1'))[:4] + ['/nonexistent/data'] + train_args(path('x1'))[5:], '/nonexistent/data')
    open(path('empty.txt'), 'w').close()
    refuses(train_args(path('x2'))[:4] + [path('empty.txt')] + train_args(path('x2'))[5:], '0 tokens')
    os.makedirs(path('hollow'), exist_ok=True)
    refuses(train_args(path('x3'))[:4] + [path('hollow')] + train_args(path('x3'))[5:], 'hollow', 'no files')


@claim
def a_budget_too_small_is_refused_before_anything_is_written():
    out = path('tight')
    refuses(train_args(out, '--budget', '2500K'), 'limit', '--batch')
    assert not os.path.exists(out)


@claim
def shards_that_do_not_divide_the_batch_are_refused():
    refuses(train_args(path('x4'), '--shards', 3), '3 shards', '2 and 4')


@claim
def without_a_vulkan_driver_the_cpu_serves():
    env = {'VK_DRIVER_FILES': '/nonexistent.json', 'VK_ICD_FILENAMES': '/nonexistent.json'}
    refuses(train_args(path('x5'), device='vk0'), 'Vulkan', 'cpu0', env=env)
    out, _ = tram(*train_args(path('no-vulkan'), device='auto'), env=env)
    assert events(out, 'plan')[0]['device'] == 'cpu0'


@claim
def an_unknown_device_is_told_the_choices():
    refuses(train_args(path('x6'), device='gpu7'), 'gpu7', 'cpu0')


@claim
def a_model_without_weights_does_not_evaluate():
    refuses(['eval', '--model', '/nonexistent', '--data', text_file()], '/nonexistent')
    refuses(['generate', '--model', path('hollow'), '--prompt', 'x'], 'hollow')


@claim
def data_that_changes_under_the_run_ends_it_cleanly():
    tok, out = path('changing'), path('changed-run')
    tram('tokenize', '--tokenizer', 'bytes', '--input', text_file(), '--out', tok)
    p = subprocess.Popen([TRAM, 'train', '--model', 'nano', '--data', tok, '--out', out, '--steps', '100000',
                          '--batch', '4', '--seq', '32', '--save-every', '2', '--device', 'cpu0', '--json'],
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    for line in p.stdout:
        if json.loads(line)['event'] == 'save':
            break
    os.truncate(os.path.join(tok, 'shard-000000.bin'), 2000)
    _, err = p.communicate(timeout=60)
    assert p.returncode == 1 and 'shard-000000.bin' in err, err
    tram('inspect', checkpoint(out))


@claim
def a_full_disk_loses_nothing_already_saved():
    libc = ctypes.CDLL(None, use_errno=True)
    target = path('small-disk')
    os.makedirs(target)
    if libc.mount(b'tmpfs', target.encode(), b'tmpfs', 0, b'size=2m'):
        raise Skip('a small tmpfs cannot be mounted (needs root)')
    try:
        out = os.path.join(target, 'run')
        _, err = tram(*train_args(out, '--save-every', 2, steps=8), rc=1)
        assert 'space' in err.lower(), err
        left = [d for d in os.listdir(out) if d.startswith('step-')]
        for d in left:
            tram('inspect', os.path.join(out, d))
        assert not [d for d in os.listdir(out) if d.startswith('.writing')], os.listdir(out)
    finally:
        libc.umount(target.encode())


@claim
def a_folder_that_cannot_be_written_is_named():
    target = path('not-a-folder')
    open(target, 'w').close()
    refuses(train_args(target + '/run'), 'not-a-folder')


if __name__ == '__main__':
    sys.exit(main(sys.argv[3:]))
