/* SPDX-License-Identifier: GPL-2.0-only */
/* Tracepoints: the life of a buffer. */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM tramroad

#if !defined(TRAM_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define TRAM_TRACE_H

#include <linux/tracepoint.h>

#include "buffer.h"

DECLARE_EVENT_CLASS(tram_buffer,
	TP_PROTO(struct tram_buffer *buffer),
	TP_ARGS(buffer),
	TP_STRUCT__entry(
		__field(const void *, buffer)
		__field(u64, size)
		__field(unsigned long, chunks)
	),
	TP_fast_assign(
		__entry->buffer = buffer;
		__entry->size = buffer->base.size;
		__entry->chunks = buffer->pages.count;
	),
	TP_printk("buffer=%p size=%llu chunks=%lu", __entry->buffer,
		  __entry->size, __entry->chunks)
);

DEFINE_EVENT(tram_buffer, tram_buffer_create,
	TP_PROTO(struct tram_buffer *buffer), TP_ARGS(buffer));
DEFINE_EVENT(tram_buffer, tram_buffer_free,
	TP_PROTO(struct tram_buffer *buffer), TP_ARGS(buffer));
DEFINE_EVENT(tram_buffer, tram_buffer_export,
	TP_PROTO(struct tram_buffer *buffer), TP_ARGS(buffer));
DEFINE_EVENT(tram_buffer, tram_buffer_import,
	TP_PROTO(struct tram_buffer *buffer), TP_ARGS(buffer));
DEFINE_EVENT(tram_buffer, tram_buffer_move,
	TP_PROTO(struct tram_buffer *buffer), TP_ARGS(buffer));

#endif

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
