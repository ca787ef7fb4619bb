/* SPDX-License-Identifier: GPL-2.0-only */
/* Pinned, zeroed memory of the host in chunks as large as it can be had. */
#ifndef TRAM_PAGES_H
#define TRAM_PAGES_H

#include <linux/types.h>

struct device;
struct iosys_map;
struct page;
struct sg_table;

/* 2 MiB where pages are 4 KiB. */
#define TRAM_CHUNK_ORDER	(21 - PAGE_SHIFT)
#define TRAM_CHUNK_BYTES	(PAGE_SIZE << TRAM_CHUNK_ORDER)

/**
 * struct tram_chunk - contiguous pages
 * @page: the first of them, owned by the tram_pages; no compound page
 * @first: number of its first page in the whole
 * @order: two to this power pages
 */
struct tram_chunk {
	struct page *page;
	unsigned long first;
	unsigned int order;
};

/**
 * struct tram_pages - the memory of one buffer; constant once allocated
 * @chunks: sorted by first, without gaps
 * @count: how many
 * @room: how many @chunks has room for
 * @pages: all pages together
 * @large: those in chunks of TRAM_CHUNK_ORDER
 */
struct tram_pages {
	struct tram_chunk *chunks;
	unsigned long count;
	unsigned long room;
	unsigned long pages;
	unsigned long large;
};

/* tram_pages_free() gives them back; a failed alloc has nothing to free. */
int tram_pages_alloc(struct tram_pages *pages, unsigned long count, int node);
void tram_pages_free(struct tram_pages *pages);

const struct tram_chunk *tram_pages_chunk(const struct tram_pages *pages,
					  unsigned long index);

/* sg_free_table() gives it back. */
int tram_pages_sg(const struct tram_pages *pages, struct device *dev,
		  struct sg_table *sgt);

/* tram_pages_vunmap() gives it back. */
int tram_pages_vmap(const struct tram_pages *pages, struct iosys_map *map);
void tram_pages_vunmap(const struct tram_pages *pages, struct iosys_map *map);

#endif
