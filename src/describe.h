/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef DESCRIBE_H
#define DESCRIBE_H

#include "plan.h"
#include "text.h"

/* An action as plan, status and messages have it; of a device that only has VFs it is "vfs". */
const char *describe_action(enum action action);

/* Append to t: "0000:01:00.0 [10de:2204]" */
void describe_device(const struct plan *plan, int32_t dev, struct text *t);

/* Append to t: "rule claim 10de:2204, /etc/preclaim.conf:3" */
void describe_rule(const struct plan *plan, int32_t rule, int32_t selector, struct text *t);

/* Append to t where a rule stands: "/etc/preclaim.conf:3" or "cmdline:preclaim.claim" */
void describe_source(const struct plan *plan, int32_t rule, struct text *t);

/* Append a note's whole message to t. */
void describe_note(const struct plan *plan, const struct note *note, struct text *t);

/* Append a step to t: "override 0000:01:00.0 vfio-pci" */
void describe_step(const struct plan *plan, const struct step *s, struct text *t);

/*
 * The plan as text, handed to put() a line at a time: a line per device that a
 * rule decides on, then the steps.
 */
void describe_plan(const struct plan *plan, void (*put)(const char *text));

/*
 * What an image is to know of this machine, line by line: "pin PLACE IDS" for
 * each device at a rule's place, then "protect ADDRESS IDS REASON", and
 * "unknown storage|usb|network REASON" where that is not all that it needs.
 */
void describe_facts(const struct plan *plan, void (*put)(const char *text));

/* The same where no PCI device is to be seen: all is unknown. */
void describe_unseen(void (*put)(const char *text));

/*
 * The rules in their order as one canonical line each, handed to put() in
 * pieces; for a policy with the place of each before it, and then the faults.
 */
void describe_rules(const struct rules *rules, bool places, void (*put)(const char *text));

/* Append to t where a fault is: "/etc/preclaim.conf:3:12" */
void describe_fault_place(const struct fault *f, struct text *t);

#endif
