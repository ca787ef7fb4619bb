// SPDX-License-Identifier: GPL-2.0-only
/* KUnit: chunks cover the buffer without gaps, and every view of them agrees. */
#include <kunit/device.h>
#include <kunit/test.h>
#include <linux/dma-mapping.h>
#include <linux/iosys-map.h>
#include <linux/mm.h>
#include <linux/scatterlist.h>

#include "pages.h"

/* Around every border of the 2 MiB chunks. */
static const unsigned long sizes[] = { 1, 2, 3, 511, 512, 513, 1024, 1535, 1537 };

static void chunks_cover_all(struct kunit *test)
{
	struct tram_pages pages;
	unsigned long next, i;
	unsigned int s;

	for (s = 0; s < ARRAY_SIZE(sizes); s++) {
		KUNIT_ASSERT_EQ(test, tram_pages_alloc(&pages, sizes[s], NUMA_NO_NODE), 0);
		for (i = 0, next = 0; i < pages.count; i++) {
			KUNIT_EXPECT_EQ(test, pages.chunks[i].first, next);
			next += 1UL << pages.chunks[i].order;
		}
		KUNIT_EXPECT_EQ(test, next, sizes[s]);
		KUNIT_EXPECT_LE(test, pages.large, sizes[s]);
		tram_pages_free(&pages);
		KUNIT_EXPECT_EQ(test, pages.count, 0);
	}
}

static void every_page_is_found(struct kunit *test)
{
	const struct tram_chunk *chunk;
	struct tram_pages pages;
	unsigned long i;

	KUNIT_ASSERT_EQ(test, tram_pages_alloc(&pages, 1537, NUMA_NO_NODE), 0);
	for (i = 0; i < 1537; i++) {
		chunk = tram_pages_chunk(&pages, i);
		KUNIT_ASSERT_LE(test, chunk->first, i);
		KUNIT_ASSERT_LT(test, i, chunk->first + (1UL << chunk->order));
	}
	tram_pages_free(&pages);
}

static void the_kernel_sees_it_whole(struct kunit *test)
{
	struct iosys_map map;
	struct tram_pages pages;
	unsigned long i, bad = 0;
	unsigned int s;

	for (s = 0; s < ARRAY_SIZE(sizes); s++) {
		KUNIT_ASSERT_EQ(test, tram_pages_alloc(&pages, sizes[s], NUMA_NO_NODE), 0);
		KUNIT_ASSERT_EQ(test, tram_pages_vmap(&pages, &map), 0);
		for (i = 0; i < sizes[s]; i++) {
			u64 *at = map.vaddr + i * PAGE_SIZE;

			bad += !!memchr_inv(at, 0, PAGE_SIZE);
			*at = i + 1;
		}
		for (i = 0; i < sizes[s]; i++) {
			const struct tram_chunk *chunk = tram_pages_chunk(&pages, i);
			u64 *at = page_address(chunk->page + (i - chunk->first));

			bad += *at != i + 1;
		}
		tram_pages_vunmap(&pages, &map);
		tram_pages_free(&pages);
	}
	KUNIT_EXPECT_EQ(test, bad, 0);
}

static void segments_fit_the_device(struct kunit *test)
{
	static const unsigned int most[] = { SZ_4K, SZ_64K, SZ_64K + 512, SZ_2M, UINT_MAX };
	struct device *dev = kunit_device_register(test, "tramroad-test");
	struct device_dma_parameters parms = {};
	struct tram_pages pages;
	struct scatterlist *sg;
	struct sg_table sgt;
	unsigned int m, i;

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, dev);
	dev->dma_parms = &parms;
	KUNIT_ASSERT_EQ(test, tram_pages_alloc(&pages, 1537, NUMA_NO_NODE), 0);
	for (m = 0; m < ARRAY_SIZE(most); m++) {
		unsigned long bytes = 0;

		parms.max_segment_size = most[m];
		KUNIT_ASSERT_EQ(test, tram_pages_sg(&pages, dev, &sgt), 0);
		for_each_sgtable_sg(&sgt, sg, i) {
			unsigned long at = bytes >> PAGE_SHIFT;
			const struct tram_chunk *chunk = tram_pages_chunk(&pages, at);

			KUNIT_EXPECT_LE(test, sg->length, most[m]);
			KUNIT_EXPECT_PTR_EQ(test, sg_page(sg),
					    chunk->page + (at - chunk->first));
			bytes += sg->length;
		}
		KUNIT_EXPECT_EQ(test, bytes, 1537 * PAGE_SIZE);
		sg_free_table(&sgt);
	}
	dev->dma_parms = NULL;
	tram_pages_free(&pages);
}

static struct kunit_case pages_cases[] = {
	KUNIT_CASE(chunks_cover_all),
	KUNIT_CASE(every_page_is_found),
	KUNIT_CASE(the_kernel_sees_it_whole),
	KUNIT_CASE(segments_fit_the_device),
	{}
};

static struct kunit_suite pages_suite = {
	.name = "tramroad_pages",
	.test_cases = pages_cases,
};

kunit_test_suite(pages_suite);
