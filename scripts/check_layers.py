#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Judge of the layering rule: who may include whom, and how long a file may grow.

usage: check_layers.py TREE LAYERS     exit 0 clean, 1 with one line per breach

A test (NAME_test.c, and test_NAME.h beside it) belongs to its room and may include the same.
"""
import os
import re
import sys

INC = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.M)
CAP = {'.c': 900, '.h': 500, '.comp': 250, '.glsl': 250}
PUB = 'tram/'                       # spelled <tram/x.h>, lives in runtime/include/tram
UAPI = ('linux/types.h', 'linux/ioctl.h')
SKIP = ('build', 'runs')            # what is made, not written


def load(path):
    allow = {}
    with open(path, encoding='utf-8') as f:
        for line in f:
            line = line.split('#')[0].strip()
            if line:
                room, _, deps = line.partition(':')
                allow[room.strip()] = deps.split()
    seen = set()
    for room, deps in allow.items():     # bottom-up order == acyclic by construction
        for d in deps:
            if d not in seen:
                sys.exit(f'{path}: {room} names {d}, which is not above it')
        seen.add(room)
    return allow


def room_of(rel):
    p = rel.split('/')
    return p[1] if p[0] == 'runtime' and len(p) > 2 else p[0]


def include_breach(rel, room, quote, inc, allow):
    """Why this include is not allowed, or None."""
    head = inc.split('/')[0]
    pub = quote == '<' and inc.startswith(PUB)
    if '..' in inc.split('/'):
        return f'include climbs out of its room: {inc}'
    if inc == 'cmocka.h' and not is_test(rel):
        return f'only tests may include {inc}'
    if room == 'include' and quote == '"':
        return f'public header includes a private one: {inc}'
    if rel.startswith(('tools/', 'selftests/')) and quote == '"' and head in allow:
        return f'only <{PUB}*.h> is open to tools and tests: {inc}'
    if rel.startswith('uapi/') and inc not in UAPI:
        return f'uapi may include only {" and ".join(UAPI)}: {inc}'
    if rel.startswith('driver/') and (pub or head in allow):
        return f'the kernel side cannot see the library: {inc}'
    if rel.startswith('runtime/') and quote == '"' and '/' in inc and head != room:
        if head not in allow:
            return f'not a room of {LAYERS}: {inc}'
        if head not in allow[room]:
            return f'room {room} may not include {head}: {inc}'
    return None


def is_test(rel):
    name = os.path.basename(rel)
    return name.endswith('_test.c') or name.startswith('test_') or rel.startswith('selftests/')


def breaches(tree, allow):
    for top, dirs, files in os.walk(tree):
        at_root = os.path.samefile(top, tree)
        dirs[:] = sorted(d for d in dirs if not d.startswith('.')
                         and not (at_root and d.split('-')[0] in SKIP))
        for name in sorted(files):
            ext = os.path.splitext(name)[1]
            if ext not in CAP:
                continue
            rel = os.path.relpath(os.path.join(top, name), tree)
            with open(os.path.join(top, name), encoding='utf-8', errors='replace') as f:
                text = f.read()
            n = text.count('\n')
            if n > CAP[ext]:
                yield f'{rel}: {n} lines, cap {CAP[ext]}'
            room = room_of(rel)
            if rel.startswith('runtime/') and room not in allow and room not in ('include', 'runtime'):
                yield f'{rel}: room {room} is not in {LAYERS}'
            for quote, inc in INC.findall(text):
                why = include_breach(rel, room, quote, inc, allow)
                if why:
                    yield f'{rel}: {why}'


if __name__ == '__main__':
    if len(sys.argv) != 3:
        sys.exit(__doc__.strip())
    LAYERS = os.path.basename(sys.argv[2])
    bad = list(breaches(sys.argv[1], load(sys.argv[2])))
    print('\n'.join(bad) if bad else 'layers: clean')
    sys.exit(bool(bad))
