/* SPDX-License-Identifier: MIT */
/* A graph as text: one line per input, variable, node and output, in order. */
#include "graph/graph.h"

static void add_value(struct tram_sbuf *sb, const struct tram_graph *g, tram_value v)
{
	const struct tram_value_info *i = tram_val(g, v);
	char shape[TRAM_SHAPE_TEXT];

	if (i->name)
		tram_sbuf_addf(sb, "\"%s\"", i->name);
	else if (i->kind == TRAM_VALUE_VIEW) {
		add_value(sb, g, i->base);
		tram_sbuf_addf(sb, "@%llu", (unsigned long long)i->first);
	} else
		tram_sbuf_addf(sb, "%%%d", v);
	tram_sbuf_adds(sb, tram_shape_text(&i->shape, shape));
	if (i->dtype == TRAM_I32)
		tram_sbuf_adds(sb, "i32");
}

int tram_graph_text(const struct tram_graph *g, struct tram_sbuf *sb)
{
	for (size_t i = 0; i < g->values.n; i++) {
		if (!g->values.v[i].name)
			continue;
		tram_sbuf_adds(sb, g->values.v[i].kind == TRAM_VALUE_INPUT ? "input " : "variable ");
		add_value(sb, g, (tram_value)i);
		tram_sbuf_addc(sb, '\n');
	}
	for (size_t i = 0; i < g->nodes.n; i++) {
		const struct tram_node *n = &g->nodes.v[i];

		for (uint32_t j = 0; j < n->n_out; j++) {
			tram_sbuf_adds(sb, j ? ", " : "");
			add_value(sb, g, n->out[j]);
		}
		tram_sbuf_addf(sb, " = %s(", g->ops[n->op].name);
		for (uint32_t j = 0; j < n->n_in; j++) {
			tram_sbuf_adds(sb, j ? ", " : "");
			add_value(sb, g, n->in[j]);
		}
		tram_sbuf_addf(sb, ")%s%s\n", n->backward ? " backward" : "",
			       n->phase == TRAM_PHASE_UPDATE ? " update" : "");
	}
	for (size_t i = 0; i < g->outputs.n; i++) {
		tram_sbuf_addf(sb, "output \"%s\" = ", g->outputs.v[i].name);
		add_value(sb, g, g->outputs.v[i].value);
		tram_sbuf_addc(sb, '\n');
	}
	return sb->err;
}
