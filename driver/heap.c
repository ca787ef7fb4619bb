// SPDX-License-Identifier: GPL-2.0-only
/*
 * The system heap's limits.  Two module parameters bound what is pinned: one a
 * user, one all users together.  Both may be changed while the module is
 * loaded; what is pinned already stays.
 */
#include "heap.h"

#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/mm.h>
#include <linux/module.h>

#include "device.h"
#include "pages.h"
#include "tram_accel.h"

static unsigned int user_limit_mib;
module_param(user_limit_mib, uint, 0644);
MODULE_PARM_DESC(user_limit_mib,
		 "MiB of pinned memory that one user without CAP_IPC_LOCK may hold (0: a quarter of RAM)");

static unsigned int total_limit_mib;
module_param(total_limit_mib, uint, 0644);
MODULE_PARM_DESC(total_limit_mib,
		 "MiB of pinned memory that all users together may hold, whoever they are (0: half of RAM)");

static u64 limit(unsigned int mib, unsigned int divisor)
{
	if (mib)
		return (u64)mib << 20;
	return ((u64)totalram_pages() << PAGE_SHIFT) / divisor;
}

static u64 user_limit(void)
{
	if (ns_capable_noaudit(&init_user_ns, CAP_IPC_LOCK))
		return U64_MAX;
	return limit(READ_ONCE(user_limit_mib), 4);
}

void tram_heap_info(struct tram_device *tdev, struct tram_heap_info *info)
{
	info->id = TRAM_HEAP_ID_SYSTEM;
	info->kind = TRAM_HEAP_SYSTEM;
	info->flags = TRAM_HEAP_CAN_NODE;
	info->limit_bytes = user_limit();
	info->used_bytes = tram_ledger_used(&tdev->ledger, current_uid());
	info->chunk_bytes = TRAM_CHUNK_BYTES;
}

int tram_heap_charge(struct tram_device *tdev, u64 bytes,
		     struct tram_account **out)
{
	return tram_ledger_charge(&tdev->ledger, current_uid(), bytes,
				  user_limit(),
				  limit(READ_ONCE(total_limit_mib), 2), out);
}
