/* SPDX-License-Identifier: MIT */
/* The loops of kern_*.h for x86-64-v3. */
#include "device/cpu/cpu.h"

#if TRAM_CPU_X86_SETS
#include <immintrin.h>
#include <math.h>
#pragma GCC target("arch=x86-64-v3")
#define VL 8
#define ISA_V3
#define ISA_NAME "x86-64-v3"
#define ISA_TABLE tram_cpu_isa_v3
#include "device/cpu/kern_isa.h"
#endif
