# SPDX-License-Identifier: MIT
"""What the tests of the tool share: claims are functions, each prints a line in cmocka's manner.

usage of a test: NAME_test.py TRAM [ARG...] [--soak] [CLAIM...]
"""
import json
import os
import subprocess
import sys
import tempfile
import time

TRAM = sys.argv[1]
work = tempfile.mkdtemp(prefix='tram-cli-')
CLAIMS = []


def claim(f):
    CLAIMS.append(f)
    return f


class Skip(Exception):
    pass


def tram(*args, rc=0, env=None, timeout=300):
    """stdout, stderr; fails unless the exit status is @rc."""
    got = subprocess.run([TRAM, *map(str, args)], capture_output=True, text=True, timeout=timeout,
                         env=dict(os.environ, XDG_CACHE_HOME=work + '/cache', **(env or {})))
    assert got.returncode == rc, f'{args}: exit {got.returncode}, not {rc}: {got.stderr}'
    return got.stdout, got.stderr


def events(out, kind=None):
    lines = [json.loads(line) for line in out.splitlines()]
    return [e for e in lines if kind is None or e['event'] == kind]


def path(name):
    return os.path.join(work, name)


def refuses(args, *words, rc=1, env=None):
    _, err = tram(*args, rc=rc, env=env)
    lines = [x for x in err.splitlines() if x.startswith('tram ') and not x.startswith('tram: ')]
    assert len(lines) == 1, err
    for word in words:
        assert word in lines[0], f'{lines[0]!r} does not say {word!r}'


def main(names):
    names = [n for n in names if not n.startswith('--')]
    failed = 0
    for c in CLAIMS:
        if names and c.__name__ not in names:
            continue
        print(f'[ RUN      ] {c.__name__}', flush=True)
        began = time.monotonic()
        try:
            c()
            print(f'[       OK ] {c.__name__}', flush=True)
        except Skip as why:
            print(f'skip: {why}\n[  SKIPPED ] {c.__name__}', flush=True)
        except (AssertionError, subprocess.TimeoutExpired, OSError, ValueError, KeyError) as why:
            failed += 1
            print(f'{type(why).__name__}: {why}\n[  FAILED  ] {c.__name__}', flush=True)
        print(f'# {time.monotonic() - began:.1f} s', flush=True)
    subprocess.run(['rm', '-rf', work], check=False)
    return bool(failed)
