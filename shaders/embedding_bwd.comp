#version 460
#extension GL_GOOGLE_include_directive : require
/* SPDX-License-Identifier: MIT */
/*
 * Adds up gradient rows by token, without atomics: `order` holds each shard's positions sorted by token, so
 * equal tokens stand in runs. The group of a run's first place adds the run's rows in their
 * order onto the row of d, which holds base or zero before; the other groups have nothing to do.
 * dy [shards, rows, n], tokens, order i32 [shards, rows], d [shards, vocab, n].
 * Workgroup: 4 * WIDTH columns of one place. Precision: f32; d + (the run, in order).
 */
#include "lib/tram.glsl"
#include "lib/group.glsl"

ARGS({
	F32 dy;
	I32 tokens;
	I32 order;
	F32 d;
	uint shards;
	uint rows;
	uint n;
	uint vocab;
	uint tiles;
})

/* Of place @p of a shard whose arrays start at @skip; never outside, whatever `order` holds. */
uint position(uint skip, uint p)
{
	return min(uint(push.args.order.v[skip + p]), push.args.rows - 1);
}

void main()
{
	uint g = group_number(), n = push.args.n, rows = push.args.rows;
	uint place = g / push.args.tiles, tile = g - place * push.args.tiles;
	uint shard = place / rows, p = place - shard * rows;
	uint skip = shard * rows;
	I32 tokens = push.args.tokens;
	F32 dy = push.args.dy, d = push.args.d;
	uint first = tile * (4 * WIDTH) + gl_LocalInvocationID.x;
	precise float sum[4] = { 0, 0, 0, 0 };

	if (shard >= push.args.shards)
		return;
	uint pos = position(skip, p), token = uint(tokens.v[skip + pos]);

	if (token >= push.args.vocab)
		return;
	if (p > 0 && uint(tokens.v[skip + position(skip, p - 1)]) == token)
		return;
	do {
		uint at = (skip + pos) * n;

		[[unroll]] for (uint j = 0; j < 4; j++) {
			uint c = first + j * WIDTH;

			if (c < n)
				sum[j] += dy.v[at + c];
		}
		p++;
		pos = position(skip, min(p, rows - 1));
	} while (p < rows && uint(tokens.v[skip + pos]) == token);

	uint to = (shard * push.args.vocab + token) * n;

	[[unroll]] for (uint j = 0; j < 4; j++) {
		uint c = first + j * WIDTH;

		if (c < n)
			d.v[to + c] = d.v[to + c] + sum[j];
	}
}
