#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Machines as sysfs trees: every shape that `tram topo` is judged on.

usage: machines.py FOLDER [NAME...]     writes FOLDER/NAME/{sys,proc,boot,usr}

Registers are laid out as PCI Express Base Specification 6.0, chapter 7, has them.
"""
import os
import struct
import sys

ROOT_PORT, UP, DOWN, ENDPOINT, INTEGRATED = 4, 5, 6, 0, 9
SPEED = {2.5: 1, 5: 2, 8: 3, 16: 4, 32: 5, 64: 6}
REDIRECT = 0x1d         # what a kernel with an IOMMU switches on: SV, RR, CR, UF
NAMES = '''# a few lines of pci.ids
1002  Advanced Micro Devices, Inc. [AMD/ATI]
\t740f  Aldebaran/MI200 [Instinct MI210]
1000  Broadcom / LSI
\tc010  PEX880xx PCIe Gen 4 Switch
1022  Advanced Micro Devices, Inc. [AMD]
\t14a4  Genoa/Bergamo Root Complex
10de  NVIDIA Corporation
\t2330  GH100 [H100 SXM5 80GB]
144d  Samsung Electronics Co Ltd
\ta80a  NVMe SSD Controller PM9A1/PM9A3/980PRO
15b3  Mellanox Technologies
\t1021  MT2910 Family [ConnectX-7]
1b36  Red Hat, Inc.
\t000c  QEMU PCIe Root port
8086  Intel Corporation
\t09a2  Ice Lake Memory Map/VT-d
\t2f00  Xeon E7 v3/Xeon E5 v3/Core i7 DMI2
C 00  Unclassified device
'''
GPU, NVME, NIC, BRIDGE, HOST = 0x030200, 0x010802, 0x020000, 0x060400, 0x060000


class Machine:
    def __init__(self, top, cpu=('AuthenticAMD', 25, 'AMD EPYC 9654'), nodes=1, kernel='6.12.1',
                 p2pdma=True, guest=False):
        self.top = top
        self.where = {}
        self.text('usr/share/misc/pci.ids', NAMES)
        self.text('proc/sys/kernel/osrelease', kernel)
        self.text('boot/config-' + kernel, 'CONFIG_PCI=y\n' + (
            'CONFIG_PCI_P2PDMA=y' if p2pdma else '# CONFIG_PCI_P2PDMA is not set'))
        flags = 'fpu vme sse2' + (' hypervisor' if guest else '')
        self.text('proc/cpuinfo', f'processor\t: 0\nvendor_id\t: {cpu[0]}\ncpu family\t: {cpu[1]}\n'
                  f'model name\t: {cpu[2]}\nflags\t\t: {flags}\n')
        for n in range(nodes):
            self.text(f'sys/devices/system/node/node{n}/cpulist', f'{n * 32}-{n * 32 + 31}')
            self.text(f'sys/devices/system/node/node{n}/meminfo', f'Node {n} MemTotal:  131072000 kB')

    def text(self, path, s):
        full = os.path.join(self.top, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, 'w', encoding='utf-8') as f:
            f.write(s + '\n')

    def add(self, address, above, ids, cls, kind=None, link=None, most=None, acs=None, ats=None, bars=(),
            rebar=None, group=None, mode='DMA-FQ', numa=0, driver=None, nodes=(), size=4096, relaxed=True,
            master=True, payload=1, hive=None, gone=False):
        """@above: "pci0000:00" or the address of a bridge. @link, @most: (GT/s, lanes)."""
        self.where[address] = self.where.get(above, 'sys/devices/' + above) + '/' + address
        d = self.where[address]
        self.text(d + '/vendor', f'0x{ids[0]:04x}')
        self.text(d + '/device', f'0x{ids[1]:04x}')
        self.text(d + '/class', f'0x{cls:06x}')
        self.text(d + '/numa_node', str(numa))
        lines = [(0, 0, 0)] * 13
        for i, mib in bars:
            lines[i] = (0x100000000 * (i + 1), 0x100000000 * (i + 1) + (mib << 20) - 1, 0x14220c)
        self.text(d + '/resource', '\n'.join('0x%016x 0x%016x 0x%016x' % b for b in lines))
        most = most or link
        if link:
            self.text(d + '/current_link_speed', f'{link[0]:.1f} GT/s PCIe')
            self.text(d + '/current_link_width', str(link[1]))
            self.text(d + '/max_link_speed', f'{most[0]:.1f} GT/s PCIe')
            self.text(d + '/max_link_width', str(most[1]))
        c = self.config(ids, cls, kind, link, most, acs, ats, rebar, relaxed, master, payload)
        with open(os.path.join(self.top, d, 'config'), 'wb') as f:
            f.write((b'\xff' * len(c) if gone else bytes(c))[:size])
        self.link('sys/bus/pci/devices/' + address, d)
        if driver:
            os.makedirs(os.path.join(self.top, 'sys/bus/pci/drivers', driver), exist_ok=True)
            self.link(d + '/driver', 'sys/bus/pci/drivers/' + driver)
        if group is not None:
            self.text(f'sys/kernel/iommu_groups/{group}/type', mode)
            self.link(d + '/iommu_group', f'sys/kernel/iommu_groups/{group}')
        for n in nodes:
            os.makedirs(os.path.join(self.top, d, n))
        if hive:
            self.text(d + '/xgmi_hive_info/xgmi_hive_id', str(hive))
        return address

    def link(self, path, target):
        full = os.path.join(self.top, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        os.symlink(os.path.relpath(target, os.path.dirname(path)), full)

    @staticmethod
    def config(ids, cls, kind, link, most, acs, ats, rebar, relaxed, master, payload):
        c = bytearray(4096)
        struct.pack_into('<HHHH', c, 0, *ids, 0x0002 | (4 if master else 0), 0x0010)
        struct.pack_into('<I', c, 8, cls << 8)
        c[0x0e] = 1 if cls == BRIDGE else 0
        if kind is None:
            return c
        c[0x34] = 0x40
        c[0x40], c[0x41] = 0x01, 0x60                               # power management, then PCIe
        struct.pack_into('<BBH', c, 0x60, 0x10, 0, 2 | kind << 4)
        struct.pack_into('<I', c, 0x64, 2)                          # 512 bytes at most
        struct.pack_into('<H', c, 0x68, payload << 5 | 2 << 12 | (0x10 if relaxed else 0))
        if link:
            struct.pack_into('<I', c, 0x6c, SPEED[most[0]] | most[1] << 4)
            struct.pack_into('<H', c, 0x72, SPEED[link[0]] | link[1] << 4)
        caps = []
        if acs is not None:
            caps.append((0x0d, struct.pack('<HH', 0x5f, acs)))
        if ats is not None:
            caps.append((0x0f, struct.pack('<HH', 0, 0x8000 if ats else 0)))
        if rebar:
            index, now, sizes = rebar                               # log2 of MiB
            caps.append((0x15, struct.pack('<II', sum(1 << (s + 4) for s in sizes), index | 1 << 5 | now << 8)))
        for i, (cap, body) in enumerate(caps):
            at = 0x100 + 0x40 * i
            after = at + 0x40 if i + 1 < len(caps) else 0
            struct.pack_into('<I', c, at, cap | 1 << 16 | after << 20)
            c[at + 4:at + 4 + len(body)] = body
        return c


X16 = (16, 16)
AMD_HOST, PORT, SWITCH = (0x1022, 0x14a4), (0x1022, 0x14ab), (0x1000, 0xc010)
H100, MI210, PM9A3, CX7 = (0x10de, 0x2330), (0x1002, 0x740f), (0x144d, 0xa80a), (0x15b3, 0x1021)


def switch(m, root_port, bus, below, acs, numa=0, **kw):
    """A switch below @root_port whose ports carry @below: (ids, class, keywords) each."""
    up = m.add(f'0000:{bus:02x}:00.0', root_port, SWITCH, BRIDGE, UP, X16, numa=numa, driver='pcieport')
    for i, (ids, cls, more) in enumerate(below):
        port = m.add(f'0000:{bus + 1:02x}:{i:02x}.0', up, SWITCH, BRIDGE, DOWN, X16, acs=acs, numa=numa,
                     driver='pcieport', **kw)
        m.add(f'0000:{bus + 2 + i:02x}:00.0', port, ids, cls, ENDPOINT, X16, numa=numa, **{**kw, **more})
    return up


def desktop(top):
    """One socket, one GPU with a small BAR on a narrow link, one NVMe; each at a root port; no IOMMU."""
    m = Machine(top, cpu=('GenuineIntel', 6, 'Intel Core i9'))
    m.add('0000:00:00.0', 'pci0000:00', (0x8086, 0x3e30), HOST, numa=-1)
    for i, (ids, cls, more) in enumerate((
            (H100, 0x030000, dict(link=(8, 8), most=X16, bars=((0, 16), (1, 256)), rebar=(1, 8, (8, 13, 14)),
                                  driver='nouveau', nodes=('drm/card0', 'drm/card0-DP-1', 'drm/renderD128'))),
            (PM9A3, NVME, dict(link=(16, 4), bars=((0, 1),), driver='nvme', nodes=('nvme/nvme0',))))):
        port = m.add(f'0000:00:0{i + 1}.0', 'pci0000:00', (0x8086, 0x1901), BRIDGE, ROOT_PORT, X16, numa=-1,
                     driver='pcieport')
        m.add(f'0000:0{i + 1}:00.0', port, ids, cls, ENDPOINT, numa=-1, **more)
    m.add('0000:00:1f.0', 'pci0000:00', (0x8086, 0xa305), 0x060100, numa=-1)


def one_socket(top):
    """AMD, passthrough; two GPUs joined by XGMI and a NIC at root ports of two root complexes."""
    m = Machine(top)
    group = 0
    for root, ids, cls, more in ((0x00, MI210, GPU, dict(bars=((0, 65536),), hive=0x5a, driver='amdgpu')),
                                 (0x40, MI210, GPU, dict(bars=((0, 65536),), hive=0x5a, driver='amdgpu')),
                                 (0x80, CX7, NIC, dict(bars=((0, 32),), driver='mlx5_core', relaxed=False,
                                                       nodes=('net/eth0', 'infiniband/mlx5_0')))):
        m.add(f'0000:{root:02x}:00.0', f'pci0000:{root:02x}', AMD_HOST, HOST, group=group, mode='identity')
        port = m.add(f'0000:{root:02x}:01.1', f'pci0000:{root:02x}', PORT, BRIDGE, ROOT_PORT, X16, acs=0,
                     group=group + 1, mode='identity', driver='pcieport')
        m.add(f'0000:{root + 1:02x}:00.0', port, ids, cls, ENDPOINT, X16, group=group + 2, mode='identity',
              ats=0, **more)
        group += 3


def two_sockets(top):
    """Two Haswell sockets: their host bridges forward only between their own ports."""
    m = Machine(top, cpu=('GenuineIntel', 6, 'Intel Xeon E5-2690 v3'), nodes=2)
    for n, root in enumerate((0x00, 0x80)):
        m.add(f'0000:{root:02x}:00.0', f'pci0000:{root:02x}', (0x8086, 0x2f00), HOST, numa=n)
        for i in (1, 2):
            port = m.add(f'0000:{root:02x}:0{i}.0', f'pci0000:{root:02x}', (0x8086, 0x2f04), BRIDGE, ROOT_PORT,
                         (8, 16), numa=n)
            m.add(f'0000:{root + i:02x}:00.0', port, H100, GPU, ENDPOINT, (8, 16), numa=n, bars=((1, 81920),))


def switch_tree(top, acs=0, mode='identity'):
    """A switch below a switch, and ACS as asked for."""
    m = Machine(top, cpu=('GenuineIntel', 6, 'Intel Xeon'), nodes=2)
    m.add('0000:00:00.0', 'pci0000:00', (0x8086, 0x3c08), HOST, group=0, mode=mode)
    port = m.add('0000:00:01.0', 'pci0000:00', PORT, BRIDGE, ROOT_PORT, X16, acs=0, group=1, mode=mode)
    below = [(H100, GPU, dict(bars=((1, 81920),), group=10 + i, mode=mode)) for i in range(2)]
    up = switch(m, port, 0x10, below, acs)
    last = m.add('0000:11:1f.0', up, SWITCH, BRIDGE, DOWN, X16, acs=acs)
    switch(m, last, 0x20, [(CX7, NIC, dict(bars=((0, 32),), group=20, mode=mode))], acs)


def acs_on(top):
    """The same switches with ACS redirect, below a host bridge that does not forward."""
    switch_tree(top, REDIRECT, 'DMA')


def no_p2pdma(top):
    """A kernel without the option; groups blocked and given to a guest; a device that is gone."""
    m = Machine(top, p2pdma=False)
    m.add('0000:00:00.0', 'pci0000:00', AMD_HOST, HOST)
    port = m.add('0000:00:01.1', 'pci0000:00', PORT, BRIDGE, ROOT_PORT, X16, acs=0)
    switch(m, port, 0x10, [(MI210, GPU, dict(bars=((0, 65536),), group=1, mode='blocked')),
                           (MI210, GPU, dict(bars=((0, 65536),), group=2, mode='unmanaged', driver='vfio-pci')),
                           (MI210, GPU, dict(bars=((0, 65536),), gone=True)),
                           (PM9A3, NVME, dict(master=False))], 0)


def virtual_machine(top):
    """QEMU: two GPUs at root ports, no IOMMU, a virtio NIC without PCIe; firmware without NUMA."""
    m = Machine(top, guest=True, nodes=2)
    m.add('0000:00:00.0', 'pci0000:00', (0x8086, 0x29c0), HOST, numa=-1, size=256)
    for i in (1, 2):
        port = m.add(f'0000:00:0{i}.0', 'pci0000:00', (0x1b36, 0x000c), BRIDGE, ROOT_PORT, X16, acs=0, numa=-1)
        m.add(f'0000:0{i}:00.0', port, MI210, GPU, ENDPOINT, X16, bars=((0, 65536),), numa=-1, driver='amdgpu')
    m.add('0000:00:03.0', 'pci0000:00', (0x1af4, 0x1041), NIC, numa=-1, bars=((4, 1),), driver='virtio-pci')
    m.add('0001:00:00.0', 'pci0001:00', MI210, GPU, INTEGRATED, numa=-1, bars=((0, 65536),))


def no_pci(top):
    """A container or a small board."""
    Machine(top, cpu=('', '', ''))


def truncated(top):
    """What an ordinary user reads: 64 bytes of config space."""
    m = Machine(top, cpu=('GenuineIntel', 6, 'Intel Xeon Gold'))
    m.add('0000:00:00.0', 'pci0000:00', (0x8086, 0x2020), HOST, size=64)
    port = m.add('0000:00:01.0', 'pci0000:00', (0x8086, 0x2030), BRIDGE, ROOT_PORT, X16, acs=REDIRECT, size=64)
    up = m.add('0000:10:00.0', port, SWITCH, BRIDGE, UP, X16, size=64)
    for i in range(2):
        down = m.add(f'0000:11:0{i}.0', up, SWITCH, BRIDGE, DOWN, X16, acs=REDIRECT, size=64)
        m.add(f'0000:1{i + 2}:00.0', down, H100, GPU, ENDPOINT, X16, bars=((1, 81920),), rebar=(1, 16, (15, 16)),
              ats=1, size=64, driver='nvidia')


def truncated_unlisted(top):
    """The same below a host bridge that does not forward: then the switch decides, and it can't be read."""
    m = Machine(top, cpu=('GenuineIntel', 6, 'Intel Core'))
    m.add('0000:00:00.0', 'pci0000:00', (0x8086, 0x3e30), HOST, size=64)
    port = m.add('0000:00:01.0', 'pci0000:00', PORT, BRIDGE, ROOT_PORT, X16, acs=0, size=64)
    switch(m, port, 0x10, [(H100, GPU, dict(bars=((1, 81920),))), (PM9A3, NVME, dict(bars=((0, 1),)))], 0, size=64)


MACHINES = {f.__name__: f for f in (desktop, one_socket, two_sockets, switch_tree, acs_on, no_p2pdma,
                                    virtual_machine, no_pci, truncated, truncated_unlisted)}

if __name__ == '__main__':
    if len(sys.argv) < 2:
        sys.exit(__doc__.strip())
    for name in sys.argv[2:] or MACHINES:
        MACHINES[name](os.path.join(sys.argv[1], name))
