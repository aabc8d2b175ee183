// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The monotonic clock. klibc before 2.0.14 has neither clock_gettime() nor
 * syscall(), so there the system call is made here.
 */
#include "clock.h"

#include <poll.h>
#include <stddef.h>
#include <time.h>

#ifdef __KLIBC__
#include <sys/syscall.h>

/* clock_gettime(2): a constant number, two arguments, and no memory but *ts is touched */
static long get_time(long clock, struct timespec *ts)
{
#if defined(__x86_64__)
	long r;

	__asm__ volatile("syscall" : "=a"(r), "=m"(*ts) : "0"(__NR_clock_gettime), "D"(clock), "S"(ts) : "rcx", "r11");
	return r;
#elif defined(__aarch64__)
	register long x8 __asm__("x8") = __NR_clock_gettime;
	register long x0 __asm__("x0") = clock;
	register struct timespec *x1 __asm__("x1") = ts;

	__asm__ volatile("svc 0" : "+r"(x0), "=m"(*ts) : "r"(x8), "r"(x1));
	return x0;
#else
#error "clock_gettime(2) is not written down for this architecture"
#endif
}
#else
static long get_time(long clock, struct timespec *ts)
{
	return clock_gettime((clockid_t)clock, ts);
}
#endif

uint64_t clock_us(void)
{
	struct timespec ts = { 0 };

	get_time(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

void clock_nap(unsigned ms)
{
	poll(NULL, 0, (int)ms);
}
