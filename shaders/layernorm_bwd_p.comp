#version 460
#extension GL_GOOGLE_include_directive : require
/* SPDX-License-Identifier: MIT */
/*
 * Partial sums of dgain = sum of dy * (x - mean) * rstd and dbias = sum of dy over blocks of
 * `block` rows: dy, x [shards, rows, n], stats [shards, rows, 2] -> dgain, dbias
 * [shards, blocks, n]. RMS: dgain alone. With one block they are the result; else reduce_cols adds them up.
 * Workgroup: WIDTH * 4 columns of one block. Precision: f32; a column adds its rows in order.
 */
#include "lib/tram.glsl"
#include "lib/group.glsl"

layout(constant_id = 1) const bool RMS = false;

ARGS({
	F32 dy;
	F32 x;
	F32 stats;
	F32 dgain;
	F32 dbias;
	uint shards;
	uint rows;
	uint n;
	uint block;
	uint blocks;
	uint tiles;
})

void main()
{
	uint g = group_number(), n = push.args.n;
	uint tile = g % push.args.tiles, sb = g / push.args.tiles;
	uint shard = sb / push.args.blocks, block = sb - shard * push.args.blocks;
	uint first = tile * (4 * WIDTH) + gl_LocalInvocationID.x;
	bool whole = (tile + 1) * (4 * WIDTH) <= n;
	uint row0 = block * push.args.block;
	uint row1 = min(row0 + push.args.block, push.args.rows);
	uint row = shard * push.args.rows + row0, at = row * n + first;
	F32 dy = push.args.dy, x = push.args.x, stats = push.args.stats;
	precise float sum_h[4] = { 0, 0, 0, 0 };
	precise float sum[4] = { 0, 0, 0, 0 };

	if (shard >= push.args.shards)
		return;
	for (uint r = row0; r < row1; r++) {
		float mean = stats.v[2 * row], rstd = stats.v[2 * row + 1];

		[[unroll]] for (uint j = 0; j < 4; j++) {
			if (whole || first + j * WIDTH < n) {
				precise float d = dy.v[at + j * WIDTH];
				precise float h = (x.v[at + j * WIDTH] - mean) * rstd;

				sum_h[j] = fma(d, h, sum_h[j]);
				sum[j] += d;
			}
		}
		at += n;
		row++;
	}
	F32 dgain = push.args.dgain, dbias = push.args.dbias;

	[[unroll]] for (uint j = 0; j < 4; j++) {
		uint c = first + j * WIDTH;

		if (whole || c < n) {
			dgain.v[sb * n + c] = sum_h[j];
			if (!RMS)
				dbias.v[sb * n + c] = sum[j];
		}
	}
}
