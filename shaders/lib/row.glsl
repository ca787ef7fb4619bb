/* SPDX-License-Identifier: MIT */
/*
 * One workgroup per row: invocation `lane` takes elements lane, lane + WIDTH,
 * ... A sum goes into four accumulators by turns (element / WIDTH mod 4, the last
 * part of a row into the first), which are added as (0 + 1) + (2 + 3), then
 * over the subgroup, then over the subgroups in their order. So the order depends
 * on the row's length and WIDTH alone.
 */
#include "lib/group.glsl"

layout(constant_id = 1) const uint SUBGROUPS = 1;	/* of a workgroup: WIDTH / subgroup size */

shared float row_shared[SUBGROUPS];

#define NEG_INF uintBitsToFloat(0xff800000u)

/*
 * Runs @body for every element c of a row of @n with j = 0..3, the accumulator to use.
 * Loads of a turn don't depend on each other.
 */
#define FOR_ROW(n, body) \
{ \
	const uint turn_ = 4 * WIDTH; \
	uint whole_ = (n) / turn_ * turn_; \
	for (uint base_ = 0; base_ < whole_; base_ += turn_) { \
		[[unroll]] for (uint j = 0; j < 4; j++) { \
			uint c = base_ + j * WIDTH + lane; \
			body \
		} \
	} \
	for (uint c = whole_ + lane; c < (n); c += WIDTH) { \
		const uint j = 0; \
		body \
	} \
}

float row_add(float x)
{
	precise float s = subgroupAdd(x);

	if (SUBGROUPS > 1) {
		barrier();
		if (subgroupElect())
			row_shared[gl_SubgroupID] = s;
		barrier();
		s = row_shared[0];
		for (uint i = 1; i < SUBGROUPS; i++)
			s += row_shared[i];
	}
	return s;
}

float row_add4(float a[4])
{
	precise float s = (a[0] + a[1]) + (a[2] + a[3]);

	return row_add(s);
}

float row_max(float x)
{
	x = subgroupMax(x);
	if (SUBGROUPS > 1) {
		barrier();
		if (subgroupElect())
			row_shared[gl_SubgroupID] = x;
		barrier();
		x = row_shared[0];
		for (uint i = 1; i < SUBGROUPS; i++)
			x = max(x, row_shared[i]);
	}
	return x;
}

float row_max4(float a[4])
{
	return row_max(max(max(a[0], a[1]), max(a[2], a[3])));
}
