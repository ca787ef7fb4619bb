/* SPDX-License-Identifier: MIT */
/*
 * The loops of kern_*.h for any processor: vectors of four floats, which the
 * compiler turns into what the architecture has; and the choice among the sets.
 */
#include "device/cpu/cpu.h"

#define VL 4
#define ISA_NAME "portable"
#define ISA_TABLE tram_cpu_isa_base
#include "device/cpu/kern_isa.h"

const struct tram_cpu_isa *tram_cpu_isa_best(void)
{
#if TRAM_CPU_X86_SETS
	__builtin_cpu_init();
	if (__builtin_cpu_supports("x86-64-v4"))
		return &tram_cpu_isa_v4;
	if (__builtin_cpu_supports("x86-64-v3"))
		return &tram_cpu_isa_v3;
#endif
	return &tram_cpu_isa_base;
}
