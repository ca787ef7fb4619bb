/* SPDX-License-Identifier: MIT */
/*
 * Recording. Calls are lowered first (lower.c) into a list of dispatches,
 * fills and copies with their argument blocks; then the blocks go into one
 * buffer, never to change again, and the list into one command buffer that is
 * replayed as often as wanted.
 *
 * A program begins by waiting for all that is before it on the queue and by
 * seeing what the host wrote (the step block, inputs, the commit word of the
 * gate), and ends by making its results seen by the host.
 */
#include "device/vk/vk.h"

#include "ops/ops.h"

enum item_kind { ITEM_DISPATCH, ITEM_FILL, ITEM_COPY };

struct item {
	enum item_kind kind;
	bool barrier;
	union {
		struct { VkPipeline pipeline; uint32_t args; uint32_t groups[3]; } dispatch;
		struct { VkBuffer dst; uint64_t offset, size; uint32_t word; } fill;
		struct { VkBuffer dst, src; VkBufferCopy region; } copy;
	};
};

struct tram_vk_emit {
	struct tram_vk *vk;
	const char *op;			/* of the call being lowered, for messages */
	size_t call;
	TRAM_VEC(struct item) items;
	TRAM_VEC(unsigned char) args;
};

struct tram_program {
	struct tram_vk *vk;
	VkCommandBuffer commands;
	struct tram_buffer *args;
	VkQueryPool stamps;		/* n_calls + 1, when timed */
	size_t n_calls;
	uint32_t tags[];		/* n_calls, when timed */
};

/* What lowerings call */

#define ARGS_ALIGN 16

int tram_vk_dispatch(struct tram_vk_emit *e, enum tram_vk_shader shader, const uint32_t *spec,
		     uint32_t n_spec, const void *args, uint32_t args_size, uint32_t gx,
		     uint32_t gy, uint32_t gz, bool barrier)
{
	static const char axes[] = "xyz";
	struct item item = { .kind = ITEM_DISPATCH, .barrier = barrier };
	const struct tram_device_info *info = &e->vk->base.info;
	struct tram_ctx *ctx = e->vk->base.ctx;
	uint32_t groups[3] = { gx, gy, gz };
	size_t room = TRAM_ALIGN_UP(args_size, ARGS_ALIGN);
	int err;

	assert(shader < TRAM_VK_SHADER_COUNT);
	assert(n_spec <= TRAM_VK_MAX_SPEC && args_size <= TRAM_VK_MAX_ARGS);
	for (int i = 0; i < 3; i++) {
		if (groups[i] && groups[i] <= e->vk->class.max_groups[i])
			continue;
		return tram_fail(ctx, -EINVAL, "%s (%s): call %zu, %s: shader %s wants %u "
				 "workgroups along %c, 1 to %u are possible; split the tensor or "
				 "use another device", info->selector, info->name, e->call, e->op,
				 tram_vk_spirv[shader].name, groups[i], axes[i],
				 e->vk->class.max_groups[i]);
	}
	err = tram_vk_pipeline_get(e->vk, shader, spec, n_spec, &item.dispatch.pipeline);
	if (!err)
		err = tram_vec_reserve(ctx, &e->args, room);
	if (err)
		return err;
	item.dispatch.args = (uint32_t)e->args.n;
	memcpy(item.dispatch.groups, groups, sizeof(groups));
	if (args_size)
		memcpy(e->args.v + e->args.n, args, args_size);
	if (room > args_size)
		memset(e->args.v + e->args.n + args_size, 0, room - args_size);
	e->args.n += room;
	return tram_vec_push(ctx, &e->items, item);
}

int tram_vk_fill(struct tram_vk_emit *e, const struct tram_operand *dst, uint64_t size,
		 uint32_t word, bool barrier)
{
	struct item item = { .kind = ITEM_FILL, .barrier = barrier };

	assert(size && size % 4 == 0 && dst->offset % 4 == 0 &&
	       dst->offset + size <= dst->buf->size);
	item.fill.dst = tram_vk_buffer_of(dst->buf)->handle;
	item.fill.offset = dst->offset;
	item.fill.size = size;
	item.fill.word = word;
	return tram_vec_push(e->vk->base.ctx, &e->items, item);
}

int tram_vk_copy(struct tram_vk_emit *e, const struct tram_operand *dst,
		 const struct tram_operand *src, uint64_t size, bool barrier)
{
	struct item item = { .kind = ITEM_COPY, .barrier = barrier };

	assert(size && dst->offset + size <= dst->buf->size &&
	       src->offset + size <= src->buf->size);
	item.copy.dst = tram_vk_buffer_of(dst->buf)->handle;
	item.copy.src = tram_vk_buffer_of(src->buf)->handle;
	item.copy.region = (VkBufferCopy){ src->offset, dst->offset, size };
	return tram_vec_push(e->vk->base.ctx, &e->items, item);
}

uint64_t tram_vk_address(const struct tram_operand *o)
{
	return o->buf ? tram_vk_buffer_of(o->buf)->address + o->offset : 0;
}

const struct tram_vk_class *tram_vk_emit_class(const struct tram_vk_emit *e)
{
	return &e->vk->class;
}

/* Barriers */

#define WORK_STAGES (VK_PIPELINE_STAGE_2_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_2_ALL_TRANSFER_BIT)
#define WORK_WRITES (VK_ACCESS_2_SHADER_STORAGE_WRITE_BIT | VK_ACCESS_2_TRANSFER_WRITE_BIT)
#define WORK_ACCESS (WORK_WRITES | VK_ACCESS_2_SHADER_STORAGE_READ_BIT | \
		     VK_ACCESS_2_TRANSFER_READ_BIT)

static void barrier(struct tram_vk *vk, VkCommandBuffer cb, VkPipelineStageFlags2 src,
		    VkAccessFlags2 writes, VkPipelineStageFlags2 dst, VkAccessFlags2 access)
{
	const VkMemoryBarrier2 mb = {
		.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER_2,
		.srcStageMask = src, .srcAccessMask = writes,
		.dstStageMask = dst, .dstAccessMask = access,
	};
	const VkDependencyInfo info = {
		.sType = VK_STRUCTURE_TYPE_DEPENDENCY_INFO,
		.memoryBarrierCount = 1, .pMemoryBarriers = &mb,
	};

	vk->fn.CmdPipelineBarrier2(cb, &info);
}

void tram_vk_barrier_begin(struct tram_vk *vk, VkCommandBuffer cb)
{
	barrier(vk, cb, WORK_STAGES | VK_PIPELINE_STAGE_2_HOST_BIT,
		WORK_WRITES | VK_ACCESS_2_HOST_WRITE_BIT, WORK_STAGES, WORK_ACCESS);
}

void tram_vk_barrier_end(struct tram_vk *vk, VkCommandBuffer cb)
{
	barrier(vk, cb, WORK_STAGES, WORK_WRITES, VK_PIPELINE_STAGE_2_HOST_BIT,
		VK_ACCESS_2_HOST_READ_BIT | VK_ACCESS_2_HOST_WRITE_BIT);
}

static void stamp(struct tram_program *prog, uint32_t i)
{
	if (prog->stamps)
		prog->vk->fn.CmdWriteTimestamp2(prog->commands,
						VK_PIPELINE_STAGE_2_ALL_COMMANDS_BIT,
						prog->stamps, i);
}

/* The list into the command buffer */

static void record_item(struct tram_program *prog, const struct item *it, VkPipeline *bound,
			uint64_t args, uint64_t step)
{
	struct tram_vk *vk = prog->vk;
	VkCommandBuffer cb = prog->commands;

	if (it->barrier)
		barrier(vk, cb, WORK_STAGES, WORK_WRITES, WORK_STAGES, WORK_ACCESS);
	switch (it->kind) {
	case ITEM_DISPATCH: {
		const uint64_t push[2] = { args + it->dispatch.args, step };

		if (*bound != it->dispatch.pipeline)
			vk->fn.CmdBindPipeline(cb, VK_PIPELINE_BIND_POINT_COMPUTE,
					       it->dispatch.pipeline);
		*bound = it->dispatch.pipeline;
		vk->fn.CmdPushConstants(cb, vk->layout, VK_SHADER_STAGE_COMPUTE_BIT, 0,
					sizeof(push), push);
		vk->fn.CmdDispatch(cb, it->dispatch.groups[0], it->dispatch.groups[1],
				   it->dispatch.groups[2]);
		break;
	}
	case ITEM_FILL:
		vk->fn.CmdFillBuffer(cb, it->fill.dst, it->fill.offset, it->fill.size,
				     it->fill.word);
		break;
	case ITEM_COPY:
		vk->fn.CmdCopyBuffer(cb, it->copy.src, it->copy.dst, 1, &it->copy.region);
		break;
	}
}

/* @ends[i]: items of calls 0 .. i. */
static int record(struct tram_program *prog, const struct tram_vk_emit *e, const size_t *ends,
		  uint64_t step)
{
	const VkCommandBufferAllocateInfo ai = {
		.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
		.commandPool = prog->vk->pool, .level = VK_COMMAND_BUFFER_LEVEL_PRIMARY,
		.commandBufferCount = 1,
	};
	/* Neither one-time nor simultaneous use: replayed, and complete before it is submitted again. */
	const VkCommandBufferBeginInfo bi = {
		.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO,
	};
	uint64_t args = tram_vk_buffer_of(prog->args)->address;
	struct tram_vk *vk = prog->vk;
	VkPipeline bound = VK_NULL_HANDLE;
	VkResult r;
	size_t i = 0;

	r = vk->fn.AllocateCommandBuffers(vk->handle, &ai, &prog->commands);
	if (r) {
		prog->commands = VK_NULL_HANDLE;
		return tram_vk_fail(vk, r, "allocate a command buffer");
	}
	r = vk->fn.BeginCommandBuffer(prog->commands, &bi);
	if (r)
		return tram_vk_fail(vk, r, "begin to record %zu calls", prog->n_calls);
	if (prog->stamps)
		vk->fn.CmdResetQueryPool(prog->commands, prog->stamps, 0,
					 (uint32_t)prog->n_calls + 1);
	tram_vk_barrier_begin(vk, prog->commands);
	stamp(prog, 0);
	for (size_t c = 0; c < prog->n_calls; c++) {
		for (; i < ends[c]; i++)
			record_item(prog, &e->items.v[i], &bound, args, step);
		stamp(prog, (uint32_t)c + 1);
	}
	tram_vk_barrier_end(vk, prog->commands);
	r = vk->fn.EndCommandBuffer(prog->commands);
	return r ? tram_vk_fail(vk, r, "record %zu calls", prog->n_calls) : 0;
}

static const char *op_name(enum tram_op op)
{
	const char *name = tram_op_table[op].name;

	return name ? name : "(no op)";
}

static int lower(struct tram_vk_emit *e, const struct tram_call *calls, size_t n, size_t *ends)
{
	struct tram_device *dev = &e->vk->base;
	int err;

	for (size_t i = 0; i < n; i++) {
		tram_vk_lower_fn *fn = e->vk->lowerings[calls[i].op].lower;

		e->call = i;
		e->op = op_name(calls[i].op);
		if (!fn)
			return tram_fail(dev->ctx, -ENOTSUP, "%s (%s): call %zu: no Vulkan kernel "
					 "for %s; use cpu0", dev->info.selector, dev->info.name,
					 i, e->op);
		err = fn(e, &calls[i]);
		if (err)
			return err;
		ends[i] = e->items.n;
	}
	return 0;
}

static int make_stamps(struct tram_program *prog)
{
	struct tram_vk *vk = prog->vk;
	const VkQueryPoolCreateInfo ci = {
		.sType = VK_STRUCTURE_TYPE_QUERY_POOL_CREATE_INFO,
		.queryType = VK_QUERY_TYPE_TIMESTAMP, .queryCount = (uint32_t)prog->n_calls + 1,
	};
	VkResult r;

	if (!vk->timestamp_bits)
		return tram_fail(vk->base.ctx, -ENOTSUP, "%s (%s): its queue has no timestamps; "
				 "run without per-call times", vk->base.info.selector,
				 vk->base.info.name);
	r = vk->fn.CreateQueryPool(vk->handle, &ci, NULL, &prog->stamps);
	if (r) {
		prog->stamps = VK_NULL_HANDLE;
		return tram_vk_fail(vk, r, "create %u timestamps", ci.queryCount);
	}
	return 0;
}

int tram_vk_program_create(struct tram_device *dev, const struct tram_call *calls, size_t n,
			   struct tram_buffer *step, uint64_t step_offset, bool timed,
			   struct tram_program **out)
{
	struct tram_vk *vk = tram_vk_of(dev);
	struct tram_vk_emit e = { .vk = vk };
	struct tram_program *prog;
	size_t *ends;
	int err;

	*out = NULL;
	err = tram_vk_check(vk);
	if (err)
		return err;
	assert(step && step_offset % ARGS_ALIGN == 0 &&
	       step_offset + sizeof(struct tram_step) <= step->size);
	prog = tram_zalloc(dev->ctx, sizeof(*prog) + (timed ? n : 0) * sizeof(prog->tags[0]));
	ends = tram_calloc(dev->ctx, n + 1, sizeof(*ends));
	if (!prog || !ends) {
		tram_free(dev->ctx, prog);
		tram_free(dev->ctx, ends);
		return -ENOMEM;
	}
	prog->vk = vk;
	prog->n_calls = n;
	for (size_t i = 0; timed && i < n; i++)
		prog->tags[i] = calls[i].tag;
	err = lower(&e, calls, n, ends);
	if (!err && timed)
		err = make_stamps(prog);
	if (!err)	/* the plan counts on this size; a longer list of arguments is possible */
		err = tram_vk_buffer_create(dev, TRAM_MAX((uint64_t)e.args.n,
							  (uint64_t)TRAM_MAX(n, (size_t)1) *
							  TRAM_VK_ARGS_PER_CALL),
					    TRAM_MEMORY_HOST, &prog->args);
	if (!err && e.args.n)
		memcpy(prog->args->map, e.args.v, e.args.n);
	if (!err)
		err = record(prog, &e, ends, tram_vk_buffer_of(step)->address + step_offset);
	tram_vec_free(dev->ctx, &e.items);
	tram_vec_free(dev->ctx, &e.args);
	tram_free(dev->ctx, ends);
	if (err) {
		tram_vk_program_destroy(prog);
		return err;
	}
	*out = prog;
	return 0;
}

void tram_vk_program_destroy(struct tram_program *prog)
{
	struct tram_vk *vk;

	if (!prog)
		return;
	vk = prog->vk;
	if (prog->commands)
		vk->fn.FreeCommandBuffers(vk->handle, vk->pool, 1, &prog->commands);
	if (prog->stamps)
		vk->fn.DestroyQueryPool(vk->handle, prog->stamps, NULL);
	tram_vk_buffer_destroy(prog->args);
	tram_free(vk->base.ctx, prog);
}

VkCommandBuffer tram_vk_program_commands(const struct tram_program *prog)
{
	return prog->commands;
}

/* A call spans from the end of the call before it to its own end: times add up to the run's. */
int tram_vk_spans(struct tram_program *prog, struct tram_span *spans, size_t max)
{
	struct tram_vk *vk = prog->vk;
	size_t n = TRAM_MIN(max, prog->n_calls);
	uint64_t mask = vk->timestamp_bits >= 64 ? UINT64_MAX :
			(UINT64_C(1) << vk->timestamp_bits) - 1;
	uint64_t *ticks, first, at;
	VkResult r;
	int err = tram_vk_check(vk);

	if (err)
		return err;
	if (!prog->stamps)
		return tram_fail(vk->base.ctx, -EINVAL, "%s (%s): the program was recorded "
				 "without timestamps; record it timed", vk->base.info.selector,
				 vk->base.info.name);
	ticks = tram_calloc(vk->base.ctx, n + 1, sizeof(*ticks));
	if (!ticks)
		return -ENOMEM;
	r = vk->fn.GetQueryPoolResults(vk->handle, prog->stamps, 0, (uint32_t)n + 1,
				       (n + 1) * sizeof(*ticks), ticks, sizeof(*ticks),
				       VK_QUERY_RESULT_64_BIT);
	if (r) {
		tram_free(vk->base.ctx, ticks);
		return tram_vk_fail(vk, r, "read %zu timestamps", n + 1);
	}
	first = ticks[0] & mask;
	at = (uint64_t)((double)first * vk->timestamp_ns);
	for (size_t i = 0; i < n; i++) {
		/* Differences survive a counter of few bits that wraps. */
		uint64_t since = ((ticks[i + 1] & mask) - first) & mask;

		spans[i].tag = prog->tags[i];
		spans[i].begin_ns = i ? spans[i - 1].end_ns : at;
		spans[i].end_ns = at + (uint64_t)((double)since * vk->timestamp_ns);
	}
	tram_free(vk->base.ctx, ticks);
	return (int)n;
}
