// SPDX-License-Identifier: MIT
/* Unloading and unbinding under use. The device is unbound when this ends. */
#define _GNU_SOURCE
#include "tap.h"

#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/syscall.h>

static int unload(void)
{
	return (int)syscall(SYS_delete_module, "tramroad", O_NONBLOCK);
}

static sigjmp_buf out;

static void on_bus(int sig)
{
	(void)sig;
	siglongjmp(out, 1);
}

static bool bus_error(volatile char *at)
{
	signal(SIGBUS, on_bus);
	if (sigsetjmp(out, 1))
		return true;
	(void)*at;
	return false;
}

int main(void)
{
	int fd = tram_open(), dmabuf;
	struct tram_buffer_create c, d;
	struct tram_buffer_info i;
	char *p, *q;

	/* The kernel's word for "in use" when it shall not wait is EAGAIN. */
	refused(unload(), EAGAIN, "an open file keeps the module");
	need(!create(fd, 4 * MIB, &c), "create");
	p = map(fd, &c);
	dmabuf = export(fd, c.handle);
	need(p && dmabuf >= 0, "mmap, export");
	p[0] = 1;
	close(fd);
	refused(unload(), EAGAIN, "a mapping and a dma-buf keep it");
	munmap(p, c.size);
	refused(unload(), EAGAIN, "a dma-buf alone keeps it");
	close(dmabuf);

	fd = tram_open();
	need(!create(fd, 4 * MIB, &c), "create");
	p = map(fd, &c);
	dmabuf = export(fd, c.handle);
	q = mmap(NULL, c.size, PROT_READ | PROT_WRITE, MAP_SHARED, dmabuf, 0);
	need(p && q != MAP_FAILED, "mmap");
	p[0] = q[4096] = 1;
	write_file("/sys/bus/platform/drivers/tramroad/unbind", "tramroad");
	ok(bus_error(p), "once unbound, touching a mapping is SIGBUS");
	ok(bus_error(p + 4096), "anywhere in it");
	refused(info(fd, c.handle, &i), ENODEV, "a request is ENODEV");
	refused(create(fd, 4096, &d), ENODEV, "each of them");
	ok(open("/dev/accel/accel0", O_RDWR) < 0, "the node is gone");
	refused(unload(), EAGAIN, "what was open keeps the module still");
	munmap(p, c.size);
	munmap(q, c.size);
	close(dmabuf);
	close(fd);
	ok(!unload(), "then it can go");
	return tap_end();
}
