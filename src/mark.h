/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MARK_H
#define MARK_H

#include "report.h"

/*
 * Leave marks for conf/65-preclaim.rules, which cannot ask: empty files, whose
 * names fit a device only as long as it is what it was. What cannot be marked
 * is only looked at once more.
 *
 * Claimed: /run/preclaim/claimed/ADDRESS-DRIVER, so that no host driver is
 * loaded for what a guest is to have. The caller holds the run's lock.
 */
void mark_claimed(const struct root *root, const struct plan *plan, const struct outcome *outcome);

/*
 * Settled: ADDRESS-MODALIAS of what a run over all devices has found that no
 * rule is about, so that no process is started for it when udevd has all
 * devices announced once more. In /etc/preclaim.settled, which is the image's
 * and ends with it, and is there only after such a run.
 */
void mark_settled(const struct root *root, const struct plan *plan);

/* The same for all devices at once, where there are no rules. */
void mark_idle(const struct root *root);

#endif
