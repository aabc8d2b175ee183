// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * hold-rtnl SECONDS: keeps the kernel's rtnl lock for that long, as a network
 * driver that hangs would. igb takes it to make VFs (igb_sriov_reinit()), so a
 * write to sriov_numvfs hangs as long.
 *
 * An ethtool ioctl reads its argument while it has the lock (dev_ethtool() in
 * net/ethtool/ioctl.c). Here the second half of that argument is in a page
 * that userfaultfd leaves missing until the time is over.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <linux/userfaultfd.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static int give_up(const char *what)
{
	fprintf(stderr, "hold-rtnl: %s: %s\n", what, strerror(errno));
	return 1;
}

int main(int argc, char **argv)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	char *memory = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int faults = (int)syscall(SYS_userfaultfd, O_CLOEXEC), any = socket(AF_INET, SOCK_DGRAM, 0);
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register missing = { .range = { (unsigned long)memory + page, page }, .mode = UFFDIO_REGISTER_MODE_MISSING };
	struct uffdio_zeropage fill = { .range = missing.range };
	struct ethtool_sfeatures *argument = (void *)(memory + page - sizeof(argument->cmd));
	struct ifreq request = { .ifr_name = "lo", .ifr_data = (void *)argument };

	if (argc != 2)
		return 2;
	if (memory == MAP_FAILED || faults < 0 || any < 0 || ioctl(faults, UFFDIO_API, &api) || ioctl(faults, UFFDIO_REGISTER, &missing))
		return give_up("userfaultfd");
	argument->cmd = ETHTOOL_SFEATURES;
	if (fork() == 0) {
		sleep((unsigned)atoi(argv[1]));
		return ioctl(faults, UFFDIO_ZEROPAGE, &fill) ? give_up("fill") : 0;
	}
	ioctl(any, SIOCETHTOOL, &request);
	return 0;
}
