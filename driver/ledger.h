/* SPDX-License-Identifier: GPL-2.0-only */
/* Who has pinned how much: one account a user, and the sum of them all. */
#ifndef TRAM_LEDGER_H
#define TRAM_LEDGER_H

#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/types.h>
#include <linux/uidgid.h>

struct seq_file;

/**
 * struct tram_account - what one user holds
 * @node: in tram_ledger.accounts
 * @uid: the user
 * @bytes: charged now
 * @buffers: charges that make it up; the account goes with the last one
 *
 * Everything is protected by tram_ledger.lock.
 */
struct tram_account {
	struct list_head node;
	kuid_t uid;
	u64 bytes;
	u64 buffers;
};

/**
 * struct tram_ledger - all accounts
 * @lock: protects all below; a leaf, nothing is taken or allocated under it
 * @accounts: struct tram_account
 * @bytes: their sum
 */
struct tram_ledger {
	struct mutex lock; /* of all below */
	struct list_head accounts;
	u64 bytes;
};

void tram_ledger_init(struct tram_ledger *ledger);
void tram_ledger_finish(struct tram_ledger *ledger);

/* tram_ledger_uncharge() gives it back. */
int tram_ledger_charge(struct tram_ledger *ledger, kuid_t uid, u64 bytes,
		       u64 user_limit, u64 total_limit,
		       struct tram_account **out);
void tram_ledger_uncharge(struct tram_ledger *ledger,
			  struct tram_account *account, u64 bytes);

u64 tram_ledger_used(struct tram_ledger *ledger, kuid_t uid);
void tram_ledger_show(struct tram_ledger *ledger, struct seq_file *m);

#endif
