// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What gcc's stack protector needs and klibc does not have: the canary, set
 * from the random bytes that the kernel passes to every program, and the end
 * of a program whose canary has changed.
 */
#ifdef __KLIBC__
#include <linux/auxvec.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#include "guard.h"

unsigned long __stack_chk_guard = 0x00000aff0d0a00ul;

void __stack_chk_fail(void);

void __stack_chk_fail(void)
{
	static const char message[] = "preclaim: the stack has been overwritten\n";

	if (write(STDERR_FILENO, message, sizeof(message) - 1))
		_exit(4);
	_exit(4);
}

void guard_init(void)
{
	const unsigned long *random = (const unsigned long *)getauxval(AT_RANDOM);

	if (random)
		memcpy(&__stack_chk_guard, random, sizeof(__stack_chk_guard));
}
#else
#include "guard.h"

void guard_init(void)
{
}
#endif
