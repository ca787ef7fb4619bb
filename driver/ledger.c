// SPDX-License-Identifier: GPL-2.0-only
/*
 * The ledger of pinned memory: tram_ledger_charge() before memory is taken,
 * tram_ledger_uncharge() after it was given back.  The limits come with each
 * charge, because an administrator may change them at any time.
 *
 * RLIMIT_MEMLOCK was not used: it counts per process (or per user namespace),
 * while a buffer may outlive the process that made it in a dma-buf of another.
 */
#include "ledger.h"

#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/user_namespace.h>

void tram_ledger_init(struct tram_ledger *ledger)
{
	mutex_init(&ledger->lock);
	INIT_LIST_HEAD(&ledger->accounts);
	ledger->bytes = 0;
}

void tram_ledger_finish(struct tram_ledger *ledger)
{
	WARN_ON(!list_empty(&ledger->accounts));
	mutex_destroy(&ledger->lock);
}

static struct tram_account *find(struct tram_ledger *ledger, kuid_t uid)
{
	struct tram_account *account;

	lockdep_assert_held(&ledger->lock);
	list_for_each_entry(account, &ledger->accounts, node)
		if (uid_eq(account->uid, uid))
			return account;
	return NULL;
}

/* Without overflow: @used may be past a @limit that was lowered. */
static bool fits(u64 used, u64 bytes, u64 limit)
{
	return used <= limit && bytes <= limit - used;
}

int tram_ledger_charge(struct tram_ledger *ledger, kuid_t uid, u64 bytes,
		       u64 user_limit, u64 total_limit,
		       struct tram_account **out)
{
	struct tram_account *account, *fresh;
	int err = 0;

	*out = NULL;
	fresh = kzalloc(sizeof(*fresh), GFP_KERNEL_ACCOUNT);
	if (!fresh)
		return -ENOMEM;
	fresh->uid = uid;

	mutex_lock(&ledger->lock);
	account = find(ledger, uid);
	if (!fits(account ? account->bytes : 0, bytes, user_limit)) {
		err = -EDQUOT;
	} else if (!fits(ledger->bytes, bytes, total_limit)) {
		err = -ENOSPC;
	} else {
		if (!account) {
			account = fresh;
			fresh = NULL;
			list_add(&account->node, &ledger->accounts);
		}
		account->bytes += bytes;
		account->buffers++;
		ledger->bytes += bytes;
		*out = account;
	}
	mutex_unlock(&ledger->lock);
	kfree(fresh);
	return err;
}

void tram_ledger_uncharge(struct tram_ledger *ledger,
			  struct tram_account *account, u64 bytes)
{
	bool last;

	mutex_lock(&ledger->lock);
	WARN_ON(account->bytes < bytes || ledger->bytes < bytes);
	account->bytes -= bytes;
	ledger->bytes -= bytes;
	last = !--account->buffers;
	if (last)
		list_del(&account->node);
	mutex_unlock(&ledger->lock);
	if (last)
		kfree(account);
}

u64 tram_ledger_used(struct tram_ledger *ledger, kuid_t uid)
{
	struct tram_account *account;
	u64 bytes;

	mutex_lock(&ledger->lock);
	account = find(ledger, uid);
	bytes = account ? account->bytes : 0;
	mutex_unlock(&ledger->lock);
	return bytes;
}

void tram_ledger_show(struct tram_ledger *ledger, struct seq_file *m)
{
	struct tram_account *account;

	mutex_lock(&ledger->lock);
	seq_printf(m, "total %llu\n", ledger->bytes);
	list_for_each_entry(account, &ledger->accounts, node)
		seq_printf(m, "uid %u bytes %llu buffers %llu\n",
			   from_kuid_munged(&init_user_ns, account->uid),
			   account->bytes, account->buffers);
	mutex_unlock(&ledger->lock);
}
