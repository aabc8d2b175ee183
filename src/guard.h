/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef GUARD_H
#define GUARD_H

/* Give the stack protector its canary. Only a function that never returns may call it. */
void guard_init(void);

#endif
