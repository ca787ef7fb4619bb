#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The library's face: libtram.so exports what runtime/libtram.map names, the public headers
declare the same, and nothing else leaves.

usage: check_symbols.py LIBTRAM.so LIBTRAM.map HEADER...     exit 0 clean, 1 with a line per breach
"""
import os
import re
import subprocess
import sys


def exported(lib):
    out = subprocess.run(['nm', '-D', '--defined-only', lib], check=True, capture_output=True,
                         text=True).stdout
    names = {line.split()[-1].split('@')[0] for line in out.splitlines()
             if line.split()[-2] not in 'A'}
    return names


def mapped(path):
    with open(path, encoding='utf-8') as f:
        text = re.sub(r'/\*.*?\*/|#[^\n]*', '', f.read(), flags=re.S)
    names = set()
    for part in re.findall(r'global:(.*?)(?:local:|\})', text, flags=re.S):
        names |= {n.strip() for n in part.split(';') if n.strip()}
    return names


def declared(path):
    with open(path, encoding='utf-8') as f:
        text = re.sub(r'/\*.*?\*/|//[^\n]*|^\s*#(?:\\\n|[^\n])*', '', f.read(), flags=re.S | re.M)
    while re.search(r'\{[^{}]*\}', text):          # bodies of structs, enums, inline functions
        text = re.sub(r'\{[^{}]*\}', ' @ ', text.replace('extern "C" {', ''), count=1)
    names = set()
    for decl in re.split(r';|@', text):
        if re.search(r'\btypedef\b|\bstatic\b', decl):
            continue
        m = re.search(r'\b(tram_\w+)\s*\(', decl)
        if m:
            names.add(m.group(1))
        else:
            m = re.search(r'\bextern\b.*?\b(tram_\w+)\s*(?:\[[^\]]*\])?\s*$', decl.strip(), flags=re.S)
            if m:
                names.add(m.group(1))
    return names


def main():
    if len(sys.argv) < 4:
        sys.exit(__doc__.strip())
    lib, version_map, headers = sys.argv[1], sys.argv[2], sys.argv[3:]
    out, wanted, heads = exported(lib), mapped(version_map), {}
    for path in headers:
        for name in declared(path):
            heads.setdefault(name, os.path.basename(path))
    bad = []
    bad += [f'{name}: leaves {os.path.basename(lib)}, but the map does not name it'
            for name in sorted(out - wanted)]
    bad += [f'{name}: named by the map, but not in {os.path.basename(lib)}'
            for name in sorted(wanted - out)]
    bad += [f'{name}: declared in <tram/{heads[name]}>, but does not leave {os.path.basename(lib)}'
            for name in sorted(set(heads) - out)]
    bad += [f'{name}: leaves {os.path.basename(lib)}, but no public header declares it'
            for name in sorted((out & wanted) - set(heads))]
    print('\n'.join(bad) if bad else f'symbols: clean ({len(out)})')
    sys.exit(bool(bad))


if __name__ == '__main__':
    main()
