/* SPDX-License-Identifier: MIT */
/*
 * Elementwise programs (EW): the builders make programs of one instruction;
 * the planner fuses them later (plan/fuse.c). Broadcasting follows NumPy.
 */
#include "ops/ops.h"

#include <math.h>

static const struct {
	const char *name;
	uint32_t n_in;
} codes[TRAM_EW_CODE_COUNT] = {
	[TRAM_EW_ADD] = { "add", 2 }, [TRAM_EW_SUB] = { "sub", 2 }, [TRAM_EW_MUL] = { "mul", 2 },
	[TRAM_EW_DIV] = { "div", 2 }, [TRAM_EW_MAX] = { "max", 2 },
	[TRAM_EW_SCALE] = { "scale", 1 }, [TRAM_EW_ADDI] = { "addi", 1 },
	[TRAM_EW_NEG] = { "neg", 1 }, [TRAM_EW_EXP] = { "exp", 1 }, [TRAM_EW_LOG] = { "log", 1 },
	[TRAM_EW_SQRT] = { "sqrt", 1 }, [TRAM_EW_TANH] = { "tanh", 1 },
	[TRAM_EW_RELU] = { "relu", 1 }, [TRAM_EW_RELU_BWD] = { "relu_bwd", 2 },
	[TRAM_EW_GELU_TANH] = { "gelu_tanh", 1 }, [TRAM_EW_GELU_TANH_BWD] = { "gelu_tanh_bwd", 2 },
	[TRAM_EW_GELU_ERF] = { "gelu_erf", 1 }, [TRAM_EW_GELU_ERF_BWD] = { "gelu_erf_bwd", 2 },
	[TRAM_EW_TANH_BWD] = { "tanh_bwd", 2 }, [TRAM_EW_DROPOUT] = { "dropout", 1 },
	[TRAM_EW_I2F] = { "i2f", 1 }, [TRAM_EW_SILU] = { "silu", 1 },
	[TRAM_EW_SILU_BWD] = { "silu_bwd", 2 },
};

/* --- builders ------------------------------------------------------------------------ */

tram_value tram_ew1(struct tram_graph *g, enum tram_ew_code code, const tram_value *in, uint32_t n,
		    float imm, uint32_t salt)
{
	union tram_attr attr = { 0 };

	attr.ew.n_in = n;
	attr.ew.n_code = 1;
	attr.ew.code[0] = (struct tram_ew_insn){
		.code = (uint8_t)code, .a = 0, .b = codes[code].n_in > 1, .imm = imm, .salt = salt,
	};
	if (code == TRAM_EW_DROPOUT && in[0] >= 0)
		attr.ew.code[0].shard = (uint32_t)(tram_shape_count(tram_shape_of(g, in[0])) / g->shards);
	return tram_graph_node1(g, TRAM_OP_EW, in, n, &attr);
}

tram_value tram_broadcast_like(struct tram_graph *g, tram_value x, tram_value like, float factor)
{
	tram_value in[2] = { x, like };

	return tram_ew1(g, TRAM_EW_SCALE, in, 2, factor, 0);
}

#define BINARY(name, code) \
	tram_value tram_##name(struct tram_graph *g, tram_value a, tram_value b) \
	{ \
		tram_value in[2] = { a, b }; \
		return tram_ew1(g, code, in, 2, 0, 0); \
	}
#define UNARY(name, code) \
	tram_value tram_##name(struct tram_graph *g, tram_value x) \
	{ \
		return tram_ew1(g, code, &x, 1, 0, 0); \
	}

BINARY(add, TRAM_EW_ADD)
BINARY(sub, TRAM_EW_SUB)
BINARY(mul, TRAM_EW_MUL)
BINARY(div, TRAM_EW_DIV)
UNARY(neg, TRAM_EW_NEG)
UNARY(exp, TRAM_EW_EXP)
UNARY(ln, TRAM_EW_LOG)
UNARY(sqrt, TRAM_EW_SQRT)
UNARY(tanh, TRAM_EW_TANH)
UNARY(relu, TRAM_EW_RELU)
UNARY(gelu_tanh, TRAM_EW_GELU_TANH)
UNARY(gelu_erf, TRAM_EW_GELU_ERF)
UNARY(silu, TRAM_EW_SILU)

tram_value tram_scale(struct tram_graph *g, tram_value x, float factor)
{
	return tram_ew1(g, TRAM_EW_SCALE, &x, 1, factor, 0);
}

tram_value tram_dropout(struct tram_graph *g, tram_value x, float p, uint32_t salt)
{
	if (!(p >= 0 && p < 1))
		return tram_graph_fail(g, -EINVAL, "tram_dropout: p is %g, it must be in [0, 1)",
				       (double)p);
	return p == 0 ? x : tram_ew1(g, TRAM_EW_DROPOUT, &x, 1, p, salt);
}

/* --- shape rule ------------------------------------------------------------------------ */

static int check_register(struct tram_graph *g, const struct tram_ew_program *p, uint32_t i,
			  uint32_t reg)
{
	bool input = reg < p->n_in;
	bool result = reg >= TRAM_EW_MAX_IN && reg < TRAM_EW_MAX_IN + i;

	if (input || result)
		return 0;
	return tram_graph_error(g, -EINVAL, "ew: instruction %u (%s) reads register %u, which is "
				"neither an input (%u) nor an earlier result", i,
				codes[p->code[i].code].name, reg, p->n_in);
}

static int check_program(struct tram_graph *g, const tram_value *in, uint32_t n_in,
			 const struct tram_ew_program *p)
{
	if (n_in != p->n_in || !n_in || n_in > TRAM_EW_MAX_IN)
		return tram_graph_error(g, -EINVAL, "ew: %u operands for a program of %u, limits 1 "
					"and %d", n_in, p->n_in, TRAM_EW_MAX_IN);
	if (!p->n_code || p->n_code > TRAM_EW_MAX_CODE)
		return tram_graph_error(g, -EINVAL, "ew: %u instructions, limits 1 and %d", p->n_code,
					TRAM_EW_MAX_CODE);
	for (uint32_t i = 0; i < p->n_code; i++) {
		const struct tram_ew_insn *c = &p->code[i];
		uint32_t regs[2] = { c->a, c->b };

		if (c->code >= TRAM_EW_CODE_COUNT || !codes[c->code].name)
			return tram_graph_error(g, -EINVAL, "ew: instruction %u has code %u, which is "
						"none", i, c->code);
		for (uint32_t k = 0; k < codes[c->code].n_in; k++) {
			int r = check_register(g, p, i, regs[k]);

			if (r)
				return r;
			if (regs[k] < n_in && (tram_val(g, in[regs[k]])->dtype == TRAM_I32) !=
					      (c->code == TRAM_EW_I2F))
				return tram_graph_error(g, -EINVAL, "ew: %s on operand %u, which is %s",
							codes[c->code].name, regs[k],
							c->code == TRAM_EW_I2F ? "f32" : "i32");
		}
	}
	return 0;
}

int tram_shape_ew(struct tram_graph *g, const tram_value *in, uint32_t n_in,
		  const union tram_attr *attr, struct tram_shapes *out)
{
	char a[TRAM_SHAPE_TEXT], b[TRAM_SHAPE_TEXT];
	struct tram_shape s;
	int r = check_program(g, in, n_in, &attr->ew);

	if (r)
		return r;
	s = *tram_shape_of(g, in[0]);
	for (uint32_t i = 1; i < n_in; i++) {
		const struct tram_shape *t = tram_shape_of(g, in[i]);

		if (tram_shape_broadcast(&s, t, &s))
			return tram_graph_error(g, -EINVAL, "%s: shapes %s and %s don't broadcast",
						codes[attr->ew.code[0].code].name,
						tram_shape_text(&s, a), tram_shape_text(t, b));
	}
	tram_shapes_add(out, TRAM_F32, s);
	return 0;
}

/* --- gradients -------------------------------------------------------------------------- */

/*
 * Adds x up over the dimensions along which @want was broadcast. Inner runs of dimensions go
 * first, each by itself; the leading run holds batch and tokens, so it is summed per shard.
 */
static tram_value reduce_to(struct tram_graph *g, tram_value x, struct tram_shape want)
{
	struct tram_shape s = *tram_shape_of(g, x), w = { .rank = s.rank };
	uint32_t lead = 0;

	for (uint32_t i = 0; i < s.rank; i++)
		w.dim[i] = i + want.rank < s.rank ? 1 : want.dim[i + want.rank - s.rank];
	while (lead < s.rank && w.dim[lead] == 1)
		lead++;
	for (uint32_t end = s.rank; end > lead; end--) {
		uint32_t from = end;

		while (from > lead && w.dim[from - 1] == 1 && s.dim[from - 1] != 1)
			from--;
		if (from == end)
			continue;
		x = tram_reduce_view(g, x, TRAM_REDUCE_SUM, tram_dims_product(&s, 0, from),
				     tram_dims_product(&s, from, end),
				     tram_dims_product(&s, end, s.rank));
		for (uint32_t i = from; i < end; i++)
			s.dim[i] = 1;
		end = from + 1;
	}
	if (tram_dims_product(&s, 0, lead) > 1) {
		uint64_t rows = tram_dims_product(&s, 0, lead);
		uint64_t rest = tram_dims_product(&s, lead, s.rank);

		x = x < 0 ? x : tram_reshape(g, x, TRAM_SHAPE((uint32_t)rows, (uint32_t)rest));
		x = tram_sum_rows(g, "tram_gradients: broadcast operand", x, rows);
	}
	return x < 0 ? x : tram_reshape(g, x, want);
}

static tram_value unary(struct tram_graph *g, enum tram_ew_code code, tram_value a, float imm,
			uint32_t salt)
{
	return tram_ew1(g, code, &a, 1, imm, salt);
}

static tram_value binary(struct tram_graph *g, enum tram_ew_code code, tram_value a, tram_value b)
{
	tram_value in[2] = { a, b };

	return tram_ew1(g, code, in, 2, 0, 0);
}

/* d(out)/d(operand @which) times @dy, in the shape of the result. a, b: operands; y: result. */
static tram_value derivative(struct tram_graph *g, const struct tram_ew_insn *c, uint32_t which,
			     tram_value dy, tram_value a, tram_value b, tram_value y)
{
	switch ((enum tram_ew_code)c->code) {
	case TRAM_EW_ADD:
	case TRAM_EW_ADDI:
		return dy;
	case TRAM_EW_SUB:
		return which ? unary(g, TRAM_EW_NEG, dy, 0, 0) : dy;
	case TRAM_EW_MUL:
		return binary(g, TRAM_EW_MUL, dy, which ? a : b);
	case TRAM_EW_DIV:
		if (!which)
			return binary(g, TRAM_EW_DIV, dy, b);
		return unary(g, TRAM_EW_NEG, binary(g, TRAM_EW_DIV, binary(g, TRAM_EW_MUL, dy, y), b),
			     0, 0);
	case TRAM_EW_SCALE:
		return unary(g, TRAM_EW_SCALE, dy, c->imm, 0);
	case TRAM_EW_NEG:
		return unary(g, TRAM_EW_NEG, dy, 0, 0);
	case TRAM_EW_EXP:
		return binary(g, TRAM_EW_MUL, dy, y);
	case TRAM_EW_LOG:
		return binary(g, TRAM_EW_DIV, dy, a);
	case TRAM_EW_SQRT:
		return binary(g, TRAM_EW_DIV, unary(g, TRAM_EW_SCALE, dy, 0.5f, 0), y);
	case TRAM_EW_TANH:
		return binary(g, TRAM_EW_TANH_BWD, dy, y);
	case TRAM_EW_RELU:
		return binary(g, TRAM_EW_RELU_BWD, dy, a);
	case TRAM_EW_GELU_TANH:
		return binary(g, TRAM_EW_GELU_TANH_BWD, dy, a);
	case TRAM_EW_GELU_ERF:
		return binary(g, TRAM_EW_GELU_ERF_BWD, dy, a);
	case TRAM_EW_SILU:
		return binary(g, TRAM_EW_SILU_BWD, dy, a);
	case TRAM_EW_DROPOUT:
		return unary(g, TRAM_EW_DROPOUT, dy, c->imm, c->salt);
	default:
		return tram_graph_fail(g, -EINVAL, "tram_gradients: %s has no gradient",
				       codes[c->code].name);
	}
}

int tram_grad_ew(struct tram_graph *g, int32_t node, const tram_value *gout, tram_value *gin)
{
	const tram_value *in = g->nodes.v[node].in;
	tram_value y = g->nodes.v[node].out[0];
	struct tram_ew_program p = g->nodes.v[node].attr.ew;
	const struct tram_ew_insn *c = &p.code[0];

	if (p.n_code != 1)
		return tram_graph_error(g, -EINVAL, "tram_gradients: a fused program of %u instructions "
					"has no gradient; differentiate before planning", p.n_code);
	for (uint32_t k = 0; k < codes[c->code].n_in; k++) {
		uint32_t reg = k ? c->b : c->a;
		tram_value d;

		if (!tram_grad_wanted(g, in[reg]))
			continue;
		d = derivative(g, c, k, gout[0], in[c->a], in[c->b], y);
		if (d >= 0)
			d = reduce_to(g, d, *tram_shape_of(g, in[reg]));
		/* One operand twice (x * x): both parts count. */
		gin[reg] = gin[reg] == TRAM_NONE ? d : binary(g, TRAM_EW_ADD, gin[reg], d);
	}
	return g->status;
}

/* --- oracle -------------------------------------------------------------------------------- */

static double gelu_tanh_slope(double x)
{
	double k = sqrt(2 / M_PI), u = k * (x + 0.044715 * x * x * x), t = tanh(u);

	return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * k * (1 + 3 * 0.044715 * x * x);
}

static double gelu_erf_slope(double x)
{
	return 0.5 * (1 + erf(x / sqrt(2))) + x * exp(-0.5 * x * x) / sqrt(2 * M_PI);
}

static double silu_slope(double x)
{
	double s = 1 / (1 + exp(-x));

	return s + x * s * (1 - s);
}

static double run_insn(const struct tram_ew_insn *c, double a, double b, size_t at,
		       const struct tram_step *step)
{
	switch ((enum tram_ew_code)c->code) {
	case TRAM_EW_ADD: return a + b;
	case TRAM_EW_SUB: return a - b;
	case TRAM_EW_MUL: return a * b;
	case TRAM_EW_DIV: return a / b;
	case TRAM_EW_MAX: return a > b ? a : b;
	case TRAM_EW_SCALE: return a * c->imm;
	case TRAM_EW_ADDI: return a + c->imm;
	case TRAM_EW_NEG: return -a;
	case TRAM_EW_EXP: return exp(a);
	case TRAM_EW_LOG: return log(a);
	case TRAM_EW_SQRT: return sqrt(a);
	case TRAM_EW_TANH: return tanh(a);
	case TRAM_EW_RELU: return a > 0 ? a : 0;
	case TRAM_EW_RELU_BWD: return b > 0 ? a : 0;
	case TRAM_EW_GELU_TANH:
		return 0.5 * a * (1 + tanh(sqrt(2 / M_PI) * (a + 0.044715 * a * a * a)));
	case TRAM_EW_GELU_TANH_BWD: return a * gelu_tanh_slope(b);
	case TRAM_EW_GELU_ERF: return 0.5 * a * (1 + erf(a / sqrt(2)));
	case TRAM_EW_GELU_ERF_BWD: return a * gelu_erf_slope(b);
	case TRAM_EW_TANH_BWD: return a * (1 - b * b);
	case TRAM_EW_DROPOUT:
		if (tram_u32_to_unit(tram_dropout_word(step, c->salt, at + (uint64_t)step->shard0 * c->shard)) < c->imm)
			return 0;
		return a / (1 - (double)c->imm);
	case TRAM_EW_I2F: return a;
	case TRAM_EW_SILU: return a / (1 + exp(-a));
	case TRAM_EW_SILU_BWD: return a * silu_slope(b);
	default: return NAN;
	}
}

/* Index into a tensor of shape @s of the element that result index @at broadcasts. */
static size_t source(const struct tram_shape *s, const struct tram_shape *out, size_t at)
{
	size_t index = 0, stride = 1;

	for (uint32_t k = 1; k <= out->rank; k++) {
		size_t i = at % out->dim[out->rank - k];

		at /= out->dim[out->rank - k];
		if (k > s->rank)
			continue;
		if (s->dim[s->rank - k] != 1)
			index += i * stride;
		stride *= s->dim[s->rank - k];
	}
	return index;
}

int tram_oracle_ew(const struct tram_oracle_tensor *in, uint32_t n_in,
		   struct tram_oracle_tensor *out, uint32_t n_out, const union tram_attr *attr,
		   const struct tram_step *step)
{
	size_t n = tram_shape_count(&out[0].shape);
	double reg[TRAM_EW_MAX_IN + TRAM_EW_MAX_CODE] = { 0 };

	for (size_t at = 0; at < n; at++) {
		for (uint32_t i = 0; i < n_in; i++) {
			size_t from = source(&in[i].shape, &out[0].shape, at);

			reg[i] = in[i].dtype == TRAM_I32 ? in[i].i[from] : in[i].f[from];
		}
		for (uint32_t i = 0; i < attr->ew.n_code; i++) {
			const struct tram_ew_insn *c = &attr->ew.code[i];

			reg[TRAM_EW_MAX_IN + i] = run_insn(c, reg[c->a], reg[c->b], at, step);
		}
		out[0].f[at] = reg[TRAM_EW_MAX_IN + attr->ew.n_code - 1];
	}
	return 0;
}
