/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Test points in the Test Anything Protocol: ok() for each, finish() at the end. */
#ifndef TAP_H
#define TAP_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

static int tap_points, tap_failures;

__attribute__((format(printf, 2, 3)))
static inline bool ok(bool holds, const char *format, ...)
{
	va_list args;

	tap_points++;
	tap_failures += !holds;
	printf("%sok %d - ", holds ? "" : "not ", tap_points);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\n");
	fflush(stdout);
	return holds;
}

static inline int finish(void)
{
	printf("1..%d\n", tap_points);
	return tap_failures > 0;
}

#endif
