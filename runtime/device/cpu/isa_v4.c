/* SPDX-License-Identifier: MIT */
/* The loops of kern_*.h for x86-64-v4. */
#include "device/cpu/cpu.h"

#if TRAM_CPU_X86_SETS
#include <immintrin.h>
#include <math.h>
#pragma GCC target("arch=x86-64-v4,prefer-vector-width=512")
#define VL 16
#define ISA_V4
#define ISA_NAME "x86-64-v4"
#define ISA_TABLE tram_cpu_isa_v4
#include "device/cpu/kern_isa.h"
#endif
