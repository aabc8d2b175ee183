// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Tells what happened: messages to the kernel's log or to standard error, and
 * the status file below /run that later runs and users read. It decides
 * nothing.
 */
#include "report.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "describe.h"
#include "scan.h"
#include "token.h"

static const char kmsg_path[] = "dev/kmsg";
static const char run_dir[] = "run/preclaim";
static const char status_name[] = "status";
static const char status_path[] = "run/preclaim/status";

enum { STATUS_LINE_MAX = 512 };	/* without the source */

struct report report_new(const struct root *root, enum level loudest, bool applies, bool from_udev, bool by_itself)
{
	bool in_image = sysfs_exists(root, "init");
	struct report report = {
		.root = root,
		.from_udev = from_udev,
		.to_kmsg = applies && (from_udev || by_itself || in_image) && sysfs_exists(root, kmsg_path),
		.loudest = loudest,
		.console_level = in_image ? 0 : LEVEL_DEBUG + 1,
	};
	char levels[64];
	uint32_t level;
	struct str s;

	/* in the real root standard error would be the journal, which has the kernel's log as well */
	if (!report.to_kmsg || !in_image || sysfs_read(root, "proc/sys/kernel/printk", levels, sizeof(levels)) < 0)
		return report;
	s = str_of(levels);
	if (scan_decimal(&s, &level) > 0 && level <= LEVEL_DEBUG)
		report.console_level = (int)level;
	else
		report.console_level = LEVEL_DEBUG + 1;
	return report;
}

/*
 * /dev/kmsg is opened for each record: it lets only about ten in five seconds
 * through for each open file (devkmsg_write() in kernel/printk/printk.c), and
 * drops the rest without a word. "quiet" makes the console hide warnings
 * (console loglevel 4 shows what is below 4): those go to it by themselves.
 */
void report_say(const struct report *report, enum level level, const char *format, ...)
{
	static const char prefix[] = "preclaim: ";
	char message[RECORD_MAX], record[RECORD_MAX + 32];
	struct text t = text_in(record, RECORD_MAX);
	size_t start;
	va_list args;
	bool logged;

	if (level > report->loudest || (report->again && level <= LEVEL_WARNING))
		return;
	text_add(&t, "<%d>", level);
	start = t.len;
	text_add(&t, "%s", prefix);
	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	/* here, so that no message can forget it */
	text_plain(&t, str_of(message));
	t.size = sizeof(record);
	text_add(&t, "\n");
	if (report->said && level <= LEVEL_INFO)
		*report->said = true;

	logged = report->to_kmsg && sysfs_append(report->root, kmsg_path, record, t.len) == 0;
	if (!logged || (level <= LEVEL_WARNING && (int)level >= report->console_level))
		while (write(STDERR_FILENO, record + start, t.len - start) < 0 && errno == EINTR)
			;
}

void report_error(const struct report *report, const char *what, int error)
{
	report_say(report, LEVEL_ERR, "%s: %s (%d)", what, text_error(-error), -error);
}

static const char *const result_name[] = {
	[RESULT_NONE] = "none", [RESULT_CLAIMED] = "claimed", [RESULT_KEPT] = "kept", [RESULT_REFUSED] = "refused",
	[RESULT_FAILED] = "failed", [RESULT_RELEASED] = "released", [RESULT_UNFINISHED] = "unfinished", [RESULT_CREATED] = "created", [RESULT_WAITING] = "waiting",
};

/* The rule that a device's line is about. */
static int32_t deciding_rule(const struct verdict *v)
{
	return v->vfs >= 0 || v->rule < 0 ? v->vfs_rule : v->rule;
}

/* ADDRESS IDS ACTION RESULT DRIVER GROUP RULE-SOURCE MICROSECONDS, "-" for none */
static void status_line(const struct plan *plan, int32_t i, const struct outcome *outcome, struct text *t)
{
	const struct device *d = &plan->devices->dev[i];
	const struct verdict *v = &plan->verdict[i];
	char addr[ADDR_MAX];

	text_add(t, "%s %04x:%04x %s %s ", text_addr(addr, d->addr), d->ids.vendor, d->ids.device,
		 describe_action(v->vfs >= 0 ? ACTION_NONE : v->action), result_name[outcome->result]);
	text_word(t, str_of(d->driver[0] ? d->driver : "-"));
	if (d->group >= 0)
		text_add(t, " %d ", d->group);
	else
		text_add(t, " - ");
	describe_source(plan, deciding_rule(v), t);
	text_add(t, " %llu\n", (unsigned long long)outcome->us);
}

/* A run that had nothing to do for a device, and comes to what an earlier one came to, took as long: IDS ACTION RESULT ... MICROSECONDS. */
static void keep_time(struct str old, struct outcome *outcome)
{
	struct str word;
	bool same = false;
	uint32_t us;

	for (int i = 0; token_word(&old, BLANKS, &word); i++)
		same |= i == 2 && str_is(word, result_name[outcome->result]);
	if (same && outcome->us == 0 && scan_decimal(&word, &us) > 0)
		outcome->us = us;
}

/* Whether an earlier status line is out of date: its device has a new one, or is gone. */
static bool is_old_line(const struct root *root, struct str line, const struct plan *plan, struct outcome *outcome)
{
	char path[PATH_SIZE];
	struct addr a;
	int32_t i;

	if (!scan_addr(&line, &a))
		return true;
	i = device_find(plan->devices, a);
	if (i >= 0) {
		keep_time(line, &outcome[i]);
		return outcome[i].result != RESULT_NONE;
	}
	/* which is not worth a look at each of them in every run of udev's */
	return !plan->devices->partial && !sysfs_exists(root, device_path(path, a, "modalias"));
}

enum told report_told(const struct root *root, const struct device *d)
{
	static const struct { enum result result; enum told told; } failures[] = {
		{ RESULT_FAILED, TOLD_FAILURE }, { RESULT_REFUSED, TOLD_FAILURE }, { RESULT_RELEASED, TOLD_RELEASED },
	};
	char *text, ids[16];
	size_t len;
	struct str rest, line, word;
	struct text t = text_in(ids, sizeof(ids));
	enum told told = TOLD_NOTHING;

	if (sysfs_read_all(root, status_path, &text, &len) < 0)
		return TOLD_NOTHING;
	text_add(&t, "%04x:%04x", d->ids.vendor, d->ids.device);
	rest = (struct str){ .p = text, .len = len };
	while (told == TOLD_NOTHING && token_line(&rest, &line)) {
		struct addr a;

		if (!scan_addr(&line, &a) || addr_compare(a, d->addr) != 0 || !token_word(&line, BLANKS, &word) || !str_is(word, ids))
			continue;
		told = TOLD;
		/* ACTION RESULT */
		for (int i = 0; i < 2 && token_word(&line, BLANKS, &word); i++)
			;
		for (size_t i = 0; i < sizeof(failures) / sizeof(failures[0]); i++)
			if (str_is(word, result_name[failures[i].result]))
				told = failures[i].told;
	}
	free(text);
	return told;
}

int report_status(const struct root *root, const struct plan *plan, struct outcome *outcome)
{
	char *old = NULL, *all;
	size_t old_len = 0, size = 1;
	struct text t;
	int r = sysfs_read_all(root, status_path, &old, &old_len);

	if (r < 0 && r != -ENOENT)
		return r;
	size += old_len;
	for (size_t i = 0; i < plan->devices->n; i++)
		if (outcome[i].result != RESULT_NONE)
			size += STATUS_LINE_MAX + strlen(plan->rules->rule[deciding_rule(&plan->verdict[i])].source);
	all = malloc(size);
	if (!all) {
		free(old);
		return -ENOMEM;
	}
	t = text_in(all, size);
	for (struct str line, rest = { .p = old, .len = old_len }; token_line(&rest, &line);)
		if (!is_old_line(root, line, plan, outcome))
			text_add(&t, "%.*s\n", (int)line.len, line.p);
	for (size_t i = 0; i < plan->devices->n; i++)
		if (outcome[i].result != RESULT_NONE)
			status_line(plan, (int32_t)i, &outcome[i], &t);
	r = old && t.len == old_len && memcmp(all, old, old_len) == 0 ? 0 : sysfs_replace(root, run_dir, status_name, all, t.len);
	free(all);
	free(old);
	return r;
}
