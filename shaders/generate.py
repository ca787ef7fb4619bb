#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What the build makes from variants.toml, the one table of shader variants.

    generate.py rows TABLE              one line a variant: name, file and glslc's -D options, by ';'
    generate.py header TABLE            spirv.h: enum tram_vk_shader and the table's declaration
    generate.py source TABLE OUT SPV... spirv.c: the code of every variant; SPV in the table's order

A row: name (lower case; becomes TRAM_VK_SHADER_NAME), file (below shaders/), defines (optional),
comment (optional). meson.build runs glslc once for each.
"""
import os
import re
import struct
import sys
import tomllib

KEYS = {"name", "file", "defines", "comment"}


def load(path):
    with open(path, "rb") as f:
        try:
            table = tomllib.load(f)
        except tomllib.TOMLDecodeError as e:
            sys.exit(f"{path}: {e}")
    rows, seen = table.get("shader", []), set()
    for i, row in enumerate(rows):
        where = f"{path}: [[shader]] number {i + 1} ({row.get('name', 'without a name')})"
        if extra := set(row) - KEYS:
            sys.exit(f"{where}: unknown key {sorted(extra)[0]}; known: {', '.join(sorted(KEYS))}")
        if not re.fullmatch(r"[a-z][a-z0-9_]*", row.get("name", "")):
            sys.exit(f"{where}: a name of a-z, 0-9 and _ is needed")
        if row["name"] in seen:
            sys.exit(f"{where}: the name is taken by an earlier row")
        seen.add(row["name"])
        if not os.path.isfile(os.path.join(os.path.dirname(path), row.get("file", ""))):
            sys.exit(f"{where}: file {row.get('file', '(none)')} is not there")
        for k, v in row.get("defines", {}).items():
            if not re.fullmatch(r"[A-Za-z_]\w*", k) or not isinstance(v, (int, str)):
                sys.exit(f"{where}: define {k} = {v!r}: a name with a number or a word is needed")
    if not rows:
        sys.exit(f"{path}: no [[shader]] rows")
    return rows


def define(name, value):
    return f"-D{name}={int(value) if isinstance(value, bool) else value}"


def rows(path):
    for r in load(path):
        print(";".join([r["name"], r["file"], *(define(*d) for d in r.get("defines", {}).items())]))


def header(path):
    names = "".join(f"\tTRAM_VK_SHADER_{r['name'].upper()},\n" for r in load(path))
    print(f"""/* SPDX-License-Identifier: MIT */
/* Made by shaders/generate.py from shaders/variants.toml. */
#ifndef TRAM_SHADERS_SPIRV_H
#define TRAM_SHADERS_SPIRV_H

#include <stddef.h>
#include <stdint.h>

enum tram_vk_shader {{
{names}\tTRAM_VK_SHADER_COUNT
}};

struct tram_vk_spirv {{
	const char *name;
	const uint32_t *words;
	size_t n_words;
}};

extern const struct tram_vk_spirv tram_vk_spirv[TRAM_VK_SHADER_COUNT];

#endif""")


def source(path, out, *files):
    table = load(path)
    if len(files) != len(table):
        sys.exit(f"{path}: {len(table)} rows but {len(files)} files of code")
    with open(out, "w", encoding="ascii") as f:
        f.write("/* SPDX-License-Identifier: MIT */\n/* Made by shaders/generate.py. */\n"
                '#include "shaders/spirv.h"\n')
        for row, file in zip(table, files):
            with open(file, "rb") as spv:
                code = spv.read()
            if len(code) < 20 or len(code) % 4 or code[:4] != b"\x03\x02\x23\x07":
                sys.exit(f"{file}: {len(code)} bytes that are no little-endian SPIR-V")
            words = struct.unpack(f"<{len(code) // 4}I", code)
            f.write(f"\nstatic const uint32_t {row['name']}[] = {{\n")
            for i in range(0, len(words), 12):
                f.write("".join(f"{w:#x}," for w in words[i:i + 12]) + "\n")
            f.write("};\n")
        f.write("\nconst struct tram_vk_spirv tram_vk_spirv[TRAM_VK_SHADER_COUNT] = {\n")
        for row in table:
            n = row["name"]
            f.write(f'\t[TRAM_VK_SHADER_{n.upper()}] = {{ "{n}", {n}, sizeof({n}) / 4 }},\n')
        f.write("};\n")


VERBS = {"rows": (rows, 1), "header": (header, 1), "source": (source, None)}

if __name__ == "__main__":
    verb, want = VERBS.get(sys.argv[1] if len(sys.argv) > 1 else "", (None, None))
    if not verb or (want is not None and len(sys.argv) - 2 != want) or len(sys.argv) < 3:
        sys.exit(__doc__)
    verb(*sys.argv[2:])
