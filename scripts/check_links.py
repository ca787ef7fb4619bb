#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""usage: check_links.py FILE...   every relative link and ``path`` of a document names something that is there"""
import re
import sys
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent
LINKS = re.compile(r"`[^`<]+<([^>`]+)>`_|\[[^\]]+\]\(([^)]+)\)")
# ``driver/x.c`` and the like: names that begin with a room of the repository.
PATHS = re.compile(r"``((?:runtime|shaders|scripts|selftests|tools|driver|uapi|Documentation)/[\w./*-]+)``")


def broken(path):
    text = path.read_text(encoding="utf-8")
    for m in LINKS.finditer(text):
        target = (m[1] or m[2]).split("#")[0]
        if target and "://" not in target and not (path.parent / target).exists():
            yield target
    for m in PATHS.finditer(text):
        if "NAME" not in m[1] and "ROOM" not in m[1] and not any(TOP.glob(m[1].rstrip("/"))):
            yield m[1]


bad = [f"{name}: {target} is not there" for name in sys.argv[1:] for target in broken(Path(name))]
print("\n".join(bad))
sys.exit(bool(bad))
