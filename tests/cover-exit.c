// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * gcov writes its counts down at exit(). Linked with --wrap, this has it do so
 * also in children, which end by _exit(), and in those that tests let hang
 * until they are killed.
 */
#include <unistd.h>

void __gcov_dump(void);
_Noreturn void __real__exit(int status);
_Noreturn void __wrap__exit(int status);
__attribute__((weak)) void program_ends(void);	/* of a test that wants to know */
int __real_pause(void);
int __wrap_pause(void);

_Noreturn void __wrap__exit(int status)
{
	if (program_ends)
		program_ends();
	__gcov_dump();
	__real__exit(status);
}

int __wrap_pause(void)
{
	__gcov_dump();
	return __real_pause();
}
