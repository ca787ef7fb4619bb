#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs the tests that a Meson build folder describes and prints a line for each.

usage: run_tests.py BUILD [--label L] [--suite S]... [--no-suite S]... [--match RE] [--jobs N]
                    [--list] [--tally FILE]

A test passes with exit status 0 and is skipped with 77, naming on a line of its own what is
missing ("skip: ..."). A cmocka program counts each of its cases. Meson's own runner is not used
because it shows neither what a skip lacks nor the log of what failed. The last line is a tally;
--tally appends it to FILE. Exit status 1 when anything failed.
"""
import argparse
import concurrent.futures
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time

CASE = re.compile(r'^\[\s*(OK|FAILED|SKIPPED)\s*\] (\w+)\s*$')
SHOWN_LINES = 80
printing = threading.Lock()


def described(args):
    got = subprocess.run(['meson', 'introspect', '--tests', args.build], check=True,
                         capture_output=True, text=True)
    for test in json.loads(got.stdout):
        # Meson prefixes the project: "tramroad:unit".
        suites = {s.split(':')[-1] for s in test['suite']}
        if args.suite and not suites & set(args.suite):
            continue
        if suites & set(args.no_suite) or not re.search(args.match, test['name']):
            continue
        yield test


def cases(output):
    """(passed, skips) of a cmocka program; a skip is (case, the line before it)."""
    passed, skips, said = 0, [], ''
    for line in output.splitlines():
        m = CASE.match(line)
        if m and m.group(1) == 'OK':
            passed += 1
        elif m and m.group(1) == 'SKIPPED' and m.group(2) not in [s[0] for s in skips]:
            skips.append((m.group(2), said))
        elif line.startswith(('skip:', 'skipped:')):
            said = line.partition(':')[2].strip()
        elif line.startswith('[ RUN'):
            said = ''
    return passed, skips


def run(test, build):
    env = dict(os.environ, **test['env'])
    began = time.monotonic()
    timeout = test['timeout'] * float(os.environ.get('TEST_TIMEOUT_FACTOR', '1')) or None
    try:
        proc = subprocess.Popen(test['cmd'], cwd=test['workdir'] or build, env=env, stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                start_new_session=True)
    except OSError as e:
        return 'FAIL', f'cannot start: {e}', 0.0, 0, []
    late = False
    try:
        raw, _ = proc.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        late = True
    finally:
        try:
            os.killpg(proc.pid, signal.SIGKILL)    # what it left running
        except ProcessLookupError:
            pass
    if late:
        raw, _ = proc.communicate()
    took = time.monotonic() - began
    text = raw.decode(errors='replace')
    passed, skips = cases(text)
    rc = proc.returncode
    if late:
        return 'FAIL', text + f'\nended: not done after {timeout:.0f} s', took, passed, skips
    if rc == 77 or (rc == 0 and skips and not passed):
        said = [line.partition(':')[2].strip() for line in text.splitlines() if line.startswith('skip')]
        return 'skip', skips[0][1] if skips else (said[-1] if said else 'it does not say why'), took, 0, skips
    if (rc != 0) != bool(test.get('should_fail')):
        how = f'signal {signal.Signals(-rc).name}' if rc < 0 else f'exit status {rc}'
        return 'FAIL', text + f'\nended by {how}', took, passed, skips
    return 'ok', text, took, max(passed, 0 if skips else 1), skips


def show(args, test, result, tally):
    state, text, took, passed, skips = result
    name = args.label + test['name']
    with printing:
        if state == 'skip':
            tally['skipped'] += max(1, len(skips))
            print(f'skip {name} ({took:.1f} s): {text}')
        elif state == 'ok':
            tally['passed'] += passed
            tally['skipped'] += len(skips)
            cases_text = f', {passed} cases' if passed > 1 else ''
            print(f'ok {name} ({took:.1f} s{cases_text})')
            for case, why in skips:
                print(f'skip {name}.{case}: {why or "it does not say why"}')
        else:
            tally['passed'] += passed
            tally['skipped'] += len(skips)
            # Every failed case counts; a crash is one more.
            failed = {m.group(2) for m in map(CASE.match, text.splitlines())
                      if m and m.group(1) == 'FAILED'}
            tally['failed'] += max(1, len(failed))
            print(f'FAIL {name} ({took:.1f} s)')
            lines = text.splitlines()
            if len(lines) > SHOWN_LINES:
                print(f'    ... {len(lines) - SHOWN_LINES} lines before')
            print('\n'.join('    ' + line for line in lines[-SHOWN_LINES:]))
            print('    again: ' + ' '.join(test['cmd']))
        sys.stdout.flush()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('build')
    parser.add_argument('--label', default='')
    parser.add_argument('--suite', action='append', default=[])
    parser.add_argument('--no-suite', action='append', default=[])
    parser.add_argument('--match', default='')
    parser.add_argument('--jobs', type=int, default=min(4, os.cpu_count() or 1))
    parser.add_argument('--list', action='store_true')
    parser.add_argument('--tally')
    args = parser.parse_args()
    tests = list(described(args))
    if args.list:
        print('\n'.join(t['name'] for t in tests))
        return
    tally = {'passed': 0, 'failed': 0, 'skipped': 0}
    beside = [t for t in tests if t.get('is_parallel', True)]
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        waiting = {pool.submit(run, t, args.build): t for t in beside}
        for done in concurrent.futures.as_completed(waiting):
            show(args, waiting[done], done.result(), tally)
    for test in tests:
        if test not in beside:
            show(args, test, run(test, args.build), tally)
    line = '{passed} passed, {failed} failed, {skipped} skipped'.format(**tally)
    if args.tally:
        with open(args.tally, 'a', encoding='utf-8') as f:
            f.write(line + '\n')
    else:
        print(line)
    sys.exit(bool(tally['failed']))


if __name__ == '__main__':
    main()
