/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SETTLED_H
#define SETTLED_H

#include "report.h"

/*
 * Mark the devices that a run over all has left nothing to do for, so that
 * conf/65-preclaim.rules starts no process when udev is told of them once
 * more. A mark is a file ADDRESS-DRIVER of a claimed device, ADDRESS-MODALIAS
 * of one that no rule asks for: what comes to the address later has none. They
 * lie in the image's own file system, and end with it. What cannot be marked
 * only costs a process.
 */
void settled_mark(const struct root *root, const struct plan *plan, const struct outcome *outcome);

#endif
