#version 460
#extension GL_GOOGLE_include_directive : require
/* SPDX-License-Identifier: MIT */
/*
 * A fused elementwise program (graph/op.h: struct tram_ew_program), compiled straight: the program is in
 * specialization constants, immediates and salts in the argument block.
 *
 * Shapes: the result is [rows, cols], each input one element per (row, col), col, row, or one in all
 * (MODES, two bits an input: bit 0 it moves with col, bit 1 with row). RANK > 0: the
 * result has RANK dimensions and each input its strides; then rows is 1.
 * Workgroup: WIDTH invocations on a tile of 4 * LOOPS * WIDTH elements of one row.
 * Precision: f32, nothing contracted across instructions.
 */
#include "lib/tram.glsl"
#include "lib/group.glsl"
#include "lib/math.glsl"
#include "lib/philox.glsl"

#define MAX_IN 6
#define MAX_CODE 12
#define MAX_RANK 6

layout(constant_id = 1) const uint LOOPS = 1;
layout(constant_id = 2) const uint N_IN = 1;
layout(constant_id = 3) const uint N_CODE = 1;
layout(constant_id = 4) const uint RANK = 0;
layout(constant_id = 5) const uint MODES = 0;
/* code | a << 8 | b << 16 */
layout(constant_id = 6) const uint C0 = 0;
layout(constant_id = 7) const uint C1 = 0;
layout(constant_id = 8) const uint C2 = 0;
layout(constant_id = 9) const uint C3 = 0;
layout(constant_id = 10) const uint C4 = 0;
layout(constant_id = 11) const uint C5 = 0;
layout(constant_id = 12) const uint C6 = 0;
layout(constant_id = 13) const uint C7 = 0;
layout(constant_id = 14) const uint C8 = 0;
layout(constant_id = 15) const uint C9 = 0;
layout(constant_id = 16) const uint C10 = 0;
layout(constant_id = 17) const uint C11 = 0;

ARGS({
	F32 dst;
	U32 src[MAX_IN];
	uint rows;
	uint cols;
	uint tiles;		/* of a row */
	uint dim[MAX_RANK];
	uint stride[MAX_IN * MAX_RANK];
	float imm[MAX_CODE];
	uint salt[MAX_CODE];
	uint shard[MAX_CODE];	/* dropout: elements of a shard */
})

/* As enum tram_ew_code. */
float apply(uint code, float a, float b, uint bits, float imm, uint salt, uint shard, uint index)
{
	precise float y = a;

	switch (code) {
	case 1: y = a + b; break;
	case 2: y = a - b; break;
	case 3: y = a * b; break;
	case 4: y = a / b; break;
	case 5: y = a < b || isnan(b) ? b : a; break;
	case 6: y = a * imm; break;
	case 7: y = a + imm; break;
	case 8: y = -a; break;
	case 9: y = tram_exp(a); break;
	case 10: y = tram_log(a); break;
	case 11: y = sqrt(a); break;
	case 12: y = tram_tanh(a); break;
	case 13: y = a < 0.0 ? 0.0 : a; break;
	case 14: y = b > 0.0 ? a : 0.0; break;
	case 15: y = tram_gelu_tanh(a); break;
	case 16: y = a * tram_gelu_tanh_d(b); break;
	case 17: y = tram_gelu_erf(a); break;
	case 18: y = a * tram_gelu_erf_d(b); break;
	case 19: y = a * (1.0 - b * b); break;
	case 20: {
		uint word = tram_dropout_word(uvec2(push.step.seed0, push.step.seed1), push.step.step,
					      salt, index + push.step.shard0 * shard);

		y = tram_u32_to_unit(word) < imm ? 0.0 : a / (1.0 - imm);
		break;
	}
	case 21: y = float(int(bits)); break;
	case 22: y = a * tram_sigmoid(a); break;
	case 23: y = a * tram_silu_d(b); break;
	}
	return y;
}

/* Of input @k, from where the row of the result starts. */
uint source_index(uint k, uint col)
{
	if (RANK > 0) {
		uint rest = col, index = 0;

		[[unroll]] for (uint d = RANK; d-- > 0;) {
			uint q = rest / push.args.dim[d];

			index += (rest - q * push.args.dim[d]) * push.args.stride[k * MAX_RANK + d];
			rest = q;
		}
		return index;
	}
	return ((MODES >> (2 * k)) & 1) != 0 ? col : 0;
}

void main()
{
	const uint code[MAX_CODE] = { C0, C1, C2, C3, C4, C5, C6, C7, C8, C9, C10, C11 };
	uint g = group_number();
	uint row = RANK > 0 ? 0 : g / push.args.tiles;
	uint tile = g - row * push.args.tiles;
	uint cols = push.args.cols;
	uint first = tile * (4 * LOOPS * WIDTH);
	uint row0 = row * cols;
	F32 dst = push.args.dst;
	uint skip[MAX_IN];

	if (row >= push.args.rows || tile >= push.args.tiles)
		return;
	[[unroll]] for (uint k = 0; k < N_IN; k++) {
		uint mode = (MODES >> (2 * k)) & 3;

		skip[k] = RANK > 0 ? 0 : mode == 3 ? row0 : mode == 2 ? row : 0;
	}
	bool whole = first + 4 * LOOPS * WIDTH <= cols;

	for (uint l = 0; l < LOOPS; l++) {
		uint raw[4][MAX_IN];
		uint at0 = first + l * 4 * WIDTH + gl_LocalInvocationID.x;

		[[unroll]] for (uint j = 0; j < 4; j++) {
			uint i = at0 + j * WIDTH;

			if (whole || i < cols) {
				[[unroll]] for (uint k = 0; k < N_IN; k++)
					raw[j][k] = push.args.src[k].v[skip[k] + source_index(k, i)];
			}
		}
		[[unroll]] for (uint j = 0; j < 4; j++) {
			uint i = at0 + j * WIDTH;
			precise float r[MAX_IN + MAX_CODE];

			[[unroll]] for (uint k = 0; k < N_IN; k++)
				r[k] = uintBitsToFloat(raw[j][k]);
			[[unroll]] for (uint k = 0; k < N_CODE; k++) {
				uint a = (code[k] >> 8) & 0xff, b = (code[k] >> 16) & 0xff;

				r[MAX_IN + k] = apply(code[k] & 0xff, r[a], r[b],
						      raw[j][min(a, MAX_IN - 1)],
						      push.args.imm[k], push.args.salt[k],
						      push.args.shard[k],
						      row0 + i);
			}
			if (whole || i < cols)
				dst.v[row0 + i] = r[MAX_IN + N_CODE - 1];
		}
	}
}
