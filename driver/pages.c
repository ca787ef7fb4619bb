// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pages of a buffer.  Each chunk is as large as what is still needed allows, at
 * most 2 MiB; when memory is too fragmented for that size, smaller ones are
 * tried, and the size that failed is not tried again for this buffer.
 *
 * Every page is zeroed by the allocator, so nobody sees what it held before.
 * GFP_USER: the caller's cpuset holds, whatever node it names.  __GFP_ACCOUNT:
 * the caller's memory cgroup pays until the page is freed.
 *
 * Chunks are split into single pages, contiguous but each with its own count.
 * Compound pages would be fewer to free, but user space can give advice about
 * them: a kernel without huge pages never returns from MADV_COLD of a part of
 * one, because it takes its own stub of split_folio() for success.
 */
#include "pages.h"

#include <linux/dma-mapping.h>
#include <linux/gfp.h>
#include <linux/iosys-map.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/numa.h>
#include <linux/sched/signal.h>
#include <linux/scatterlist.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

static struct page *take(unsigned int order, int node)
{
	gfp_t gfp = GFP_USER | __GFP_ACCOUNT | __GFP_ZERO | __GFP_NOWARN;
	struct page *page;

	if (node != NUMA_NO_NODE)
		gfp |= __GFP_THISNODE;
	/* Large ones are a bonus; the last try may wait, but kills nobody. */
	if (order)
		gfp |= __GFP_NORETRY;
	else
		gfp |= __GFP_RETRY_MAYFAIL;
	page = alloc_pages_node(node, gfp, order);
	if (page && order)
		split_page(page, order);
	return page;
}

static int make_room(struct tram_pages *pages)
{
	unsigned long room = pages->room ? 2 * pages->room : 16;
	struct tram_chunk *chunks;

	if (pages->count < pages->room)
		return 0;
	chunks = kvmalloc_array(room, sizeof(*chunks), GFP_KERNEL_ACCOUNT);
	if (!chunks)
		return -ENOMEM;
	if (pages->count)
		memcpy(chunks, pages->chunks, pages->count * sizeof(*chunks));
	kvfree(pages->chunks);
	pages->chunks = chunks;
	pages->room = room;
	return 0;
}

int tram_pages_alloc(struct tram_pages *pages, unsigned long count, int node)
{
	unsigned int order = TRAM_CHUNK_ORDER;
	unsigned long first = 0;
	struct page *page;
	int err;

	*pages = (struct tram_pages) { .pages = count };
	while (first < count) {
		order = min_t(unsigned int, order, ilog2(count - first));
		err = fatal_signal_pending(current) ? -EINTR : make_room(pages);
		if (err)
			goto err_free;
		page = take(order, node);
		if (!page && order) {
			order--;
			continue;
		}
		if (!page) {
			err = -ENOMEM;
			goto err_free;
		}
		pages->chunks[pages->count++] = (struct tram_chunk) {
			.page = page, .first = first, .order = order,
		};
		first += 1UL << order;
		if (order == TRAM_CHUNK_ORDER)
			pages->large += 1UL << order;
		cond_resched();
	}
	return 0;

err_free:
	tram_pages_free(pages);
	return err;
}

void tram_pages_free(struct tram_pages *pages)
{
	unsigned long i, j;

	for (i = 0; i < pages->count; i++) {
		for (j = 0; j < 1UL << pages->chunks[i].order; j++)
			__free_page(pages->chunks[i].page + j);
		cond_resched();
	}
	kvfree(pages->chunks);
	*pages = (struct tram_pages) { };
}

/* The chunk that holds page number @index, which must be one of the buffer's. */
const struct tram_chunk *tram_pages_chunk(const struct tram_pages *pages,
					  unsigned long index)
{
	unsigned long low = 0, high = pages->count;

	while (high - low > 1) {
		unsigned long mid = low + (high - low) / 2;

		if (pages->chunks[mid].first <= index)
			low = mid;
		else
			high = mid;
	}
	return &pages->chunks[low];
}

static unsigned long chunk_bytes(const struct tram_chunk *chunk)
{
	return PAGE_SIZE << chunk->order;
}

/* Segments are no longer than @dev can take. */
int tram_pages_sg(const struct tram_pages *pages, struct device *dev,
		  struct sg_table *sgt)
{
	unsigned long most = dma_get_max_seg_size(dev);
	unsigned long i, at, bytes, n = 0;
	struct scatterlist *sg;
	int err;

	most = max(PAGE_SIZE, round_down(most, PAGE_SIZE));
	for (i = 0; i < pages->count; i++)
		n += DIV_ROUND_UP(chunk_bytes(&pages->chunks[i]), most);
	if (n > UINT_MAX)
		return -EOVERFLOW;

	err = sg_alloc_table(sgt, n, GFP_KERNEL);
	if (err)
		return err;
	sg = sgt->sgl;
	for (i = 0; i < pages->count; i++) {
		bytes = chunk_bytes(&pages->chunks[i]);
		for (at = 0; at < bytes; at += most) {
			sg_set_page(sg,
				    pages->chunks[i].page + (at >> PAGE_SHIFT),
				    min(most, bytes - at), 0);
			sg = sg_next(sg);
		}
	}
	return 0;
}

int tram_pages_vmap(const struct tram_pages *pages, struct iosys_map *map)
{
	struct page **all;
	unsigned long i, j, n = 0;
	void *at;

	if (pages->count == 1) {
		iosys_map_set_vaddr(map, page_address(pages->chunks[0].page));
		return 0;
	}
	all = kvmalloc_array(pages->pages, sizeof(*all), GFP_KERNEL);
	if (!all)
		return -ENOMEM;
	for (i = 0; i < pages->count; i++)
		for (j = 0; j < 1UL << pages->chunks[i].order; j++)
			all[n++] = pages->chunks[i].page + j;
	at = vmap(all, n, VM_MAP, PAGE_KERNEL);
	kvfree(all);
	if (!at)
		return -ENOMEM;
	iosys_map_set_vaddr(map, at);
	return 0;
}

void tram_pages_vunmap(const struct tram_pages *pages, struct iosys_map *map)
{
	if (pages->count != 1)
		vunmap(map->vaddr);
	iosys_map_clear(map);
}
