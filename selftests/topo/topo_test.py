#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""`tram topo` on recorded machines: every claim is a function below.

usage: topo_test.py TRAM DOCUMENTATION [--update]

--update writes selftests/topo/expected anew; read the difference before it is kept. Prints a line a
claim in cmocka's manner, which scripts/run_tests.py counts.
"""
import json
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import xml.dom.minidom

import machines

TRAM, DOCS = sys.argv[1:3]
UPDATE = '--update' in sys.argv
HERE = os.path.dirname(os.path.abspath(__file__))
EXPECTED = os.path.join(HERE, 'expected')
work = tempfile.mkdtemp(prefix='tram-topo-')
CLAIMS = []
ENV = {**os.environ, 'COLUMNS': '110', 'TRAMROAD_CACHE': work + '/cache'}


def claim(f):
    CLAIMS.append(f)
    return f


def tram(*args, rc=0, env=ENV):
    got = subprocess.run([TRAM, 'topo', *args], capture_output=True, timeout=60, env=env)
    out, err = got.stdout.decode(), got.stderr.decode()
    assert got.returncode == rc, f'{args}: exit {got.returncode}, not {rc}: {err}'
    return (out, err) if rc else out


def root(name):
    return os.path.join(work, 'm', name)


def recorded(name):
    path = os.path.join(work, name + '.topo')
    if not os.path.exists(path):
        tram('--root', root(name), '--record', path)
    return path


def document(name):
    return json.loads(tram('--root', root(name), '--json'))


def pair(name, a, b):
    for p in document(name)['pairs']:
        if p['initiator'] == a and p['target'] == b:
            return p
    raise AssertionError(f'{name}: no pair {a} {b}')


def codes(verdict):
    return [r['code'] for r in verdict['reasons']]


def expected(name, text):
    path = os.path.join(EXPECTED, name)
    if UPDATE:
        with open(path, 'w', encoding='utf-8') as f:
            f.write(text)
    with open(path, encoding='utf-8') as f:
        want = f.read()
    if text != want:
        got = zip(text.splitlines() + [''], want.splitlines() + [''])
        first = next((g, w) for g, w in got if g != w)
        raise AssertionError(f'{name}: got "{first[0]}", expected "{first[1]}"')


# --- what is shown ----------------------------------------------------------------------------

@claim
def every_machine_has_its_expected_text():
    for name in machines.MACHINES:
        text = tram('--root', root(name), '--all')
        for p in document(name)['pairs']:
            for way in 'write', 'read':
                text += f"{p['initiator']} {way} {p['target']} {p['distance']} {p[way]['topology']} " \
                        f"{p[way]['route']}: {' '.join(codes(p[way]))}\n"
        expected(name + '.txt', text)


@claim
def documents_are_as_expected():
    for name in 'desktop', 'no_pci', 'truncated':
        expected(name + '.json', tram('--root', root(name), '--json'))


@claim
def reasons_read_as_expected():
    for name, a, b in (('desktop', 'nvme0', 'renderD128'), ('acs_on', '12:00.0', '22:00.0'),
                       ('two_sockets', '01:00.0', '81:00.0'), ('no_p2pdma', '12:00.0', '13:00.0'),
                       ('truncated_unlisted', '12:00.0', '13:00.0')):
        expected(f'{name}-why.txt', tram('--root', root(name), '--why', a, b))


@claim
def a_recording_shows_what_its_machine_shows():
    for name in machines.MACHINES:
        for form in ([], ['--all'], ['--json'], ['--dot']):
            assert tram('--from', recorded(name), *form) == tram('--root', root(name), *form), (name, form)


@claim
def every_key_of_the_document_is_documented():
    page = open(os.path.join(DOCS, 'topo.rst'), encoding='utf-8').read()

    def walk(v):
        if isinstance(v, dict):
            for k, x in v.items():
                assert f'``{k}``' in page, f'{k} is not in topo.rst'
                walk(x)
        elif isinstance(v, list):
            for x in v:
                walk(x)
    for name in machines.MACHINES:
        walk(document(name))


@claim
def every_code_has_a_section():
    page = open(os.path.join(DOCS, 'p2p.rst'), encoding='utf-8').read()
    seen = set()
    for name in machines.MACHINES:
        for p in document(name)['pairs']:
            seen |= set(codes(p['write'])) | set(codes(p['read']))
    assert len(seen) >= 18, sorted(seen)
    for code in seen:
        assert re.search(rf'^{code}\n-+$', page, re.M), code


# --- verdicts ---------------------------------------------------------------------------------

@claim
def devices_below_one_switch_reach_each_other():
    p = pair('switch_tree', '0000:12:00.0', '0000:13:00.0')
    assert (p['distance'], p['write']['topology'], p['write']['route']) == ('PIX', 'yes', 'switch')
    p = pair('switch_tree', '0000:12:00.0', '0000:22:00.0')
    assert (p['distance'], p['write']['topology'], p['write']['route']) == ('PXB', 'yes', 'switch')


@claim
def acs_redirect_names_port_and_register():
    w = pair('acs_on', '0000:12:00.0', '0000:13:00.0')['write']
    assert w['topology'] == 'no'
    found = [r for r in w['reasons'] if r['code'] == 'acs-redirect']
    assert {r['culprit'] for r in found} == {'0000:11:00.0', '0000:11:01.0'}
    assert all('0x106' in r['what'] and 'disable_acs_redir=' + r['culprit'] in r['remedy'] for r in found)
    assert w['reasons'][0]['code'] == 'host-unlisted' and w['reasons'][0]['culprit'] == '0000:00:00.0'


@claim
def a_zen_cpu_forwards_and_haswell_only_within_a_socket():
    assert pair('one_socket', '0000:01:00.0', '0000:41:00.0')['write']['route'] == 'host'
    near = pair('two_sockets', '0000:01:00.0', '0000:02:00.0')
    far = pair('two_sockets', '0000:01:00.0', '0000:81:00.0')
    assert (near['distance'], near['write']['topology']) == ('PHB', 'yes')
    assert (far['distance'], far['write']['topology']) == ('SYS', 'no')
    assert far['write']['reasons'][0]['code'] == 'host-same-only'


@claim
def what_cannot_be_read_is_never_guessed():
    d = {x['address']: x for x in document('truncated')['devices']}['0000:12:00.0']
    for key in 'ats', 'relaxed_ordering', 'max_payload_bytes', 'max_read_request_bytes', 'acs', 'resizable':
        assert d[key] is None, key
    assert d['unknown_because'] == 'needs root' and d['link_mts'] == 16000 and d['config_bytes'] == 64
    p = pair('truncated', '0000:12:00.0', '0000:13:00.0')['write']
    assert (p['topology'], p['route']) == ('yes', 'unknown') and 'acs-unknown' in codes(p)
    assert pair('truncated_unlisted', '0000:13:00.0', '0000:12:00.0')['write']['topology'] == 'unknown'


@claim
def kernel_iommu_and_lost_devices_are_causes():
    def why(a, b):
        return codes(pair('no_p2pdma', f'0000:{a}:00.0', f'0000:{b}:00.0')['write'])
    assert 'kernel-without-p2pdma' in why('12', '13')
    assert 'iommu-blocked' in why('12', '13') and 'iommu-foreign' in why('13', '12')
    assert 'device-gone' in why('12', '14') and 'no-memory-bar' in why('12', '15')
    assert 'bus-master-off' in why('15', '12')


@claim
def a_small_bar_and_a_narrow_link_are_told():
    w = pair('desktop', '0000:02:00.0', '0000:01:00.0')['write']
    assert {'small-bar', 'link-narrow', 'link-slow', 'host-unlisted'} <= set(codes(w))
    assert 'small-bar' not in codes(pair('desktop', '0000:01:00.0', '0000:02:00.0')['write'])


@claim
def a_guest_is_told_from_a_host_and_private_links_from_pcie():
    assert 'virtual-machine' in codes(pair('virtual_machine', '0000:01:00.0', '0000:02:00.0')['write'])
    assert pair('virtual_machine', '0000:01:00.0', '0001:00:00.0')['distance'] == '?'
    p = pair('one_socket', '0000:01:00.0', '0000:41:00.0')
    assert p['distance'] == 'NODE' and 'private-link' in codes(p['write'])
    assert 'XGMI hive 5a joins #0, #1' in tram('--root', root('one_socket'))


@claim
def the_untested_tiers_say_what_is_missing():
    w = pair('switch_tree', '0000:12:00.0', '0000:13:00.0')['write']
    assert [w[t] for t in ('mapping', 'bytes', 'ordering')] == ['untested'] * 3
    assert 'tramroad.ko' in [r for r in w['reasons'] if r['code'] == 'driver-not-loaded'][0]['remedy']


# --- habits -----------------------------------------------------------------------------------

@claim
def this_machine_is_shown_without_options():
    assert 'NUMA node' in tram() or 'no PCI devices' in tram()
    json.loads(tram('--json'))


@claim
def lines_fit_narrow_and_wide_terminals():
    for columns in 60, 80, 200:
        for name in machines.MACHINES:
            out = tram('--from', recorded(name), env=dict(ENV, COLUMNS=str(columns)))
            long = [line for line in out.splitlines() if len(line) > columns]
            assert not long, (name, columns, long[0])
    assert '\033' not in tram('--from', recorded('acs_on'))


@claim
def colours_are_for_terminals_only():
    def on_terminal(*args):
        pid, fd = os.forkpty()
        if not pid:
            os.execve(TRAM, [TRAM, 'topo', '--from', recorded('two_sockets'), *args], ENV)
        out = b''
        try:
            while chunk := os.read(fd, 65536):
                out += chunk
        except OSError:             # the other end is gone
            pass
        os.close(fd)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        return out
    recorded('two_sockets')
    assert b'\033[32m' in on_terminal() and b'\033' not in on_terminal('--no-color')


@claim
def pictures_are_well_formed():
    for name in machines.MACHINES:
        svg = os.path.join(work, 'x.svg')
        assert tram('--from', recorded(name), '--svg', svg) == ''
        shapes = xml.dom.minidom.parse(svg)
        texts = ' '.join(t.firstChild.data for t in shapes.getElementsByTagName('text'))
        dot = tram('--from', recorded(name), '--dot')
        assert dot.startswith('digraph') and dot.count('{') == dot.count('}')
        for d in document(name)['devices']:
            if d['what'] == 'GPU':
                assert d['address'] in texts and f'"{d["address"]}" [label' in dot


@claim
def watching_prints_when_something_changes():
    place = os.path.join(work, 'watched')
    machines.desktop(place)
    p = subprocess.Popen([TRAM, 'topo', '--root', place, '--watch'], stdout=subprocess.PIPE, env=ENV)

    def until(word):
        text = b''
        while word not in text:
            assert select.select([p.stdout], [], [], 20)[0], (word, text)
            chunk = os.read(p.stdout.fileno(), 65536)
            assert chunk, (word, text)
            text += chunk
    until(b'driver not loaded')
    with open(os.path.join(place, 'sys/bus/pci/devices/0000:02:00.0/numa_node'), 'w') as f:
        f.write('0\n')
    os.remove(os.path.join(place, 'sys/bus/pci/devices/0000:02:00.0/driver'))
    until(b'driver none')
    p.send_signal(signal.SIGINT)
    assert p.wait(20) == 0


# --- what is wrong ----------------------------------------------------------------------------

@claim
def wrong_usage_exits_2():
    for args in (['--why', 'a'], ['--root', '/', '--from', 'x'], ['--json', '--dot'], ['--watch', '--from', 'x']):
        _, err = tram(*args, rc=2)
        assert err.count('\n') == 1, err
    _, err = tram('--from', recorded('desktop'), '--why', 'nvme0', 'nvme7', rc=1)
    assert 'nvme7' in err and '0000:01:00.0' in err and err.count('\n') == 1
    for args in (['--root', work + '/none'], ['--from', work + '/none'], ['--root', recorded('desktop')],
                 ['--from', work], ['--svg', work + '/no/x.svg'], ['--record', work + '/no/x.topo']):
        _, err = tram(*args, rc=1)
        assert err.count('\n') == 1 and work in err, err


@claim
def a_torn_tree_is_refused_with_one_line():
    def torn(break_it, word):
        place = os.path.join(work, 'torn')
        shutil.rmtree(place, ignore_errors=True)
        machines.desktop(place)
        break_it(os.path.join(place, 'sys/bus/pci/devices'))
        _, err = tram('--root', place, rc=1)
        assert word in err and err.count('\n') == 1, err

    def relink(d, name, to):
        os.remove(os.path.join(d, name))
        os.symlink(to, os.path.join(d, name))
    torn(lambda d: os.remove(d + '/0000:00:01.0'), '0000:00:01.0 is not there')
    torn(lambda d: os.remove(d + '/0000:01:00.0/vendor'), 'vendor')
    torn(lambda d: os.symlink('x', d + '/nonsense'), '"nonsense" is no PCI address')
    torn(lambda d: (os.remove(d + '/0000:00:1f.0'), os.mkdir(d + '/0000:00:1f.0'),
                    [open(f'{d}/0000:00:1f.0/{n}', 'w').write('1') for n in ('vendor', 'device', 'class')]),
         'no symbolic link')


def main():
    os.makedirs(EXPECTED, exist_ok=True)
    for name, make in machines.MACHINES.items():
        make(root(name))
    failed = 0
    for f in CLAIMS:
        print(f'[ RUN      ] {f.__name__}')
        try:
            f()
            print(f'[       OK ] {f.__name__}')
        except (AssertionError, subprocess.TimeoutExpired, KeyError, ValueError, OSError) as e:
            failed += 1
            print(f'{type(e).__name__}: {e}')
            print(f'[  FAILED  ] {f.__name__}')
        sys.stdout.flush()
    shutil.rmtree(work, ignore_errors=True)
    sys.exit(bool(failed))


main()
