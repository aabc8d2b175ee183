/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CLOCK_H
#define CLOCK_H

#include <stdint.h>

/* Microseconds of CLOCK_MONOTONIC, which no setting of the time of day moves. */
uint64_t clock_us(void);

/* Sleep for that many milliseconds; a signal may end it early. */
void clock_nap(unsigned ms);

#endif
