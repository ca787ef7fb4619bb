// SPDX-License-Identifier: GPL-2.0-only
/* KUnit: the ledger counts, and refuses at the byte. */
#include <kunit/test.h>

#include "ledger.h"

#define ALICE	KUIDT_INIT(1000)
#define BOB	KUIDT_INIT(1001)

static int ledger_test_init(struct kunit *test)
{
	struct tram_ledger *ledger;

	ledger = kunit_kzalloc(test, sizeof(*ledger), GFP_KERNEL);
	if (!ledger)
		return -ENOMEM;
	tram_ledger_init(ledger);
	test->priv = ledger;
	return 0;
}

static void ledger_test_exit(struct kunit *test)
{
	if (test->priv)
		tram_ledger_finish(test->priv);
}

static void users_are_counted_apart(struct kunit *test)
{
	struct tram_ledger *l = test->priv;
	struct tram_account *a, *b, *more;

	KUNIT_ASSERT_EQ(test, tram_ledger_charge(l, ALICE, 10, 100, 100, &a), 0);
	KUNIT_ASSERT_EQ(test, tram_ledger_charge(l, BOB, 20, 100, 100, &b), 0);
	KUNIT_ASSERT_EQ(test, tram_ledger_charge(l, ALICE, 5, 100, 100, &more), 0);
	KUNIT_EXPECT_PTR_EQ(test, a, more);
	KUNIT_EXPECT_PTR_NE(test, a, b);
	KUNIT_EXPECT_EQ(test, tram_ledger_used(l, ALICE), 15);
	KUNIT_EXPECT_EQ(test, tram_ledger_used(l, BOB), 20);
	KUNIT_EXPECT_EQ(test, l->bytes, 35);
	tram_ledger_uncharge(l, a, 10);
	KUNIT_EXPECT_EQ(test, tram_ledger_used(l, ALICE), 5);
	tram_ledger_uncharge(l, a, 5);
	tram_ledger_uncharge(l, b, 20);
	KUNIT_EXPECT_EQ(test, tram_ledger_used(l, ALICE), 0);
	KUNIT_EXPECT_TRUE(test, list_empty(&l->accounts));
	KUNIT_EXPECT_EQ(test, l->bytes, 0);
}

static void limits_hold_to_the_byte(struct kunit *test)
{
	struct tram_ledger *l = test->priv;
	struct tram_account *a, *b;

	KUNIT_ASSERT_EQ(test, tram_ledger_charge(l, ALICE, 60, 60, 100, &a), 0);
	KUNIT_EXPECT_EQ(test, tram_ledger_charge(l, ALICE, 1, 60, 100, &b), -EDQUOT);
	KUNIT_EXPECT_NULL(test, b);
	KUNIT_EXPECT_EQ(test, tram_ledger_charge(l, BOB, 41, 60, 100, &b), -ENOSPC);
	KUNIT_EXPECT_NULL(test, b);
	KUNIT_ASSERT_EQ(test, tram_ledger_charge(l, BOB, 40, 60, 100, &b), 0);
	tram_ledger_uncharge(l, b, 40);
	/* A limit lowered below what is held refuses more and takes nothing. */
	KUNIT_EXPECT_EQ(test, tram_ledger_charge(l, ALICE, 1, 50, 100, &b), -EDQUOT);
	KUNIT_EXPECT_EQ(test, tram_ledger_charge(l, BOB, 1, 60, 50, &b), -ENOSPC);
	KUNIT_EXPECT_EQ(test, tram_ledger_used(l, ALICE), 60);
	tram_ledger_uncharge(l, a, 60);
}

static void sums_do_not_wrap(struct kunit *test)
{
	struct tram_ledger *l = test->priv;
	struct tram_account *a, *b;

	KUNIT_ASSERT_EQ(test, tram_ledger_charge(l, ALICE, 2, U64_MAX, U64_MAX, &a), 0);
	KUNIT_EXPECT_EQ(test, tram_ledger_charge(l, ALICE, U64_MAX, U64_MAX, U64_MAX, &b),
			-EDQUOT);
	KUNIT_EXPECT_EQ(test, tram_ledger_charge(l, BOB, U64_MAX - 1, U64_MAX, U64_MAX, &b),
			-ENOSPC);
	tram_ledger_uncharge(l, a, 2);
}

static struct kunit_case ledger_cases[] = {
	KUNIT_CASE(users_are_counted_apart),
	KUNIT_CASE(limits_hold_to_the_byte),
	KUNIT_CASE(sums_do_not_wrap),
	{}
};

static struct kunit_suite ledger_suite = {
	.name = "tramroad_ledger",
	.init = ledger_test_init,
	.exit = ledger_test_exit,
	.test_cases = ledger_cases,
};

kunit_test_suite(ledger_suite);
