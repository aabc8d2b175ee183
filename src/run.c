// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * One run through its stages: rules, survey, apply, report. What each stage
 * does stands in its own file; here is what they hand on, and what the run
 * comes to when one of them fails or hangs.
 */
#include "run.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "apply.h"
#include "clock.h"
#include "config.h"
#include "describe.h"
#include "mark.h"
#include "report.h"
#include "show.h"
#include "survey.h"
#include "sysfs.h"
#include "text.h"
#include "uevent.h"
#include "vfs.h"
#include "work.h"

/* How long after its own deadline a run is given up: it can only hang in a read or an open then. */
enum { GRACE_MS = 2000 };

/* One run from its rules to its exit status. */
struct run {
	const struct options *options;
	struct root root;
	struct report report;
	struct config config;
	struct survey now;
	bool applies;		/* it is to change something */
	uint64_t start_us, deadline_us;
};

static void put(const char *text)
{
	fputs(text, stdout);
}

/* The text that is gathered by gather(), which has no context of its own. */
static struct text gathered;

static void gather(const char *text)
{
	text_add(&gathered, "%s", text);
}

enum { BOOTED_MAX = 1 << 20 };

/* The rules of a run as one text, for the next run to compare. NULL without memory. */
static char *rules_text(const struct run *run)
{
	char *text = malloc(BOOTED_MAX);

	if (text) {
		gathered = text_in(text, BOOTED_MAX);
		describe_rules(&run->config.rules, gather);
	}
	return text;
}

static void say_faults(const struct run *run)
{
	for (size_t i = 0; i < run->config.rules.faults; i++) {
		const struct fault *f = &run->config.rules.fault[i];

		if (f->line)
			report_say(&run->report, LEVEL_ERR, "%s:%u:%u: %s", f->source, f->line, f->column, f->what);
		else
			report_say(&run->report, LEVEL_ERR, "%s:%u: %s", f->source, f->column, f->what);
	}
}

static void say_notes(const struct run *run)
{
	for (size_t i = 0; i < run->now.plan.notes; i++) {
		char line[RECORD_MAX];
		struct text t = text_in(line, sizeof(line));

		describe_note(&run->now.plan, &run->now.plan.note[i], &t);
		report_say(&run->report, run->now.plan.note[i].level, "%s", line);
	}
}

static int system_error(const struct run *run, const char *what, int error)
{
	report_error(&run->report, what, error);
	return EXIT_SYSTEM;
}

/* From the machine as it is now to the plan. EXIT_HOLDS, or an exit status after telling why not. */
static int make_plan(struct run *run)
{
	return survey_make(&run->now) < 0 ? EXIT_SYSTEM : EXIT_HOLDS;
}

bool run_parse_address(const char *text, struct addr *out)
{
	char whole[ADDR_MAX + 8];
	struct text t = text_in(whole, sizeof(whole));
	struct str s = str_of(text);

	if (scan_addr(&s, out))
		return s.len == 0;
	text_add(&t, "0000:%s", text);
	s = str_of(whole);
	return scan_addr(&s, out) && s.len == 0;
}

static int exit_status(const struct run *run, bool holds)
{
	if (run->config.unreadable)
		return EXIT_SYSTEM;
	if (run->config.rules.faults > 0)
		return EXIT_RULES;
	return holds && !run->now.missing && !run->now.incomplete ? EXIT_HOLDS : EXIT_NOT_HELD;
}

static void say_done(const struct run *run, const struct tally *tally)
{
	bool nothing = run->report.from_udev && tally->claimed + tally->vfs == 0;

	report_say(&run->report, nothing ? LEVEL_DEBUG : LEVEL_INFO, "done: %u claimed, %u VFs, %u refused, %u failed in %u ms", tally->claimed, tally->vfs,
		   tally->refused, tally->failed, (unsigned)((clock_us() - run->start_us) / 1000));
}

/* Whether the image that booted had these rules. 0 or -ENOMEM. */
static int say_booted(const struct run *run)
{
	char *now = rules_text(run), *booted = NULL;
	size_t len;
	int r = sysfs_read_all(&run->root, "run/preclaim/rules", &booted, &len);

	if (!now)
		r = -ENOMEM;
	else if (r == -ENOENT && sysfs_exists(&run->root, "run"))
		report_say(&run->report, LEVEL_WARNING, "this machine has not booted with an image that has preclaim: "
			   "\"update-initramfs -u\" makes one for the next boot");
	else if (r == 0 && strcmp(now, booted) != 0)
		report_say(&run->report, LEVEL_WARNING, "the rules are not those that this machine has booted with: "
			   "\"update-initramfs -u\" puts them into the image for the next boot");
	free(now);
	free(booted);
	return r == -ENOMEM ? r : 0;
}

/* All that was printed is out, before messages follow it. EXIT_HOLDS, or an exit status after telling why not. */
static int end_output(const struct run *run)
{
	/* glibc forgets what it could not write, and then only ferror() knows */
	if (fflush(stdout) != 0 || ferror(stdout))
		return system_error(run, "standard output: cannot write to it", -errno);
	return EXIT_HOLDS;
}

/* What was found on the way to the output. The exit status. */
static int say_found(const struct run *run, bool holds)
{
	int r;

	say_notes(run);
	r = say_booted(run);
	return r < 0 ? system_error(run, "cannot tell the status", r) : exit_status(run, holds);
}

static int list(struct run *run)
{
	int r = make_plan(run);

	if (r != EXIT_HOLDS)
		return r;
	if (run->options->json)
		r = show_json(&run->now.plan, &run->now.drivers, &run->root, true);
	else
		r = show_devices(&run->now.plan, &run->root);
	if (r < 0)
		return system_error(run, "cannot list the devices", r);
	r = end_output(run);
	return r == EXIT_HOLDS ? exit_status(run, true) : r;
}

static int status(struct run *run)
{
	int r = make_plan(run);

	if (r != EXIT_HOLDS)
		return r;
	if (run->options->json)
		r = show_json(&run->now.plan, &run->now.drivers, &run->root, false);
	else
		r = show_status(&run->now.plan, &run->root);
	if (r < 0)
		return system_error(run, "cannot tell the status", r);
	r = end_output(run);
	return r == EXIT_HOLDS ? say_found(run, show_holds(&run->now.plan)) : r;
}

static int print_plan(struct run *run)
{
	int r = make_plan(run);

	if (r != EXIT_HOLDS)
		return r;
	if (run->options->json) {
			r = show_json(&run->now.plan, &run->now.drivers, &run->root, false);
	} else {
		r = show_platform(&run->now.plan, &run->now.drivers, &run->root);
		describe_plan(&run->now.plan, put);
	}
	if (r < 0)
		return system_error(run, "cannot make a plan", r);
	r = end_output(run);
	return r == EXIT_HOLDS ? say_found(run, plan_holds(&run->now.plan)) : r;
}

static void write_status(const struct run *run, struct outcome *outcome)
{
	int r = report_status(&run->root, &run->now.plan, outcome);

	if (r < 0)
		report_say(&run->report, LEVEL_WARNING, "/run/preclaim/status: cannot write it: %s (%d)", text_error(-r), -r);
	mark_claimed(&run->root, &run->now.plan, outcome);
}

/* For status and check in the real root: what this boot's image had. */
static void write_rules(const struct run *run)
{
	char *text = rules_text(run);

	if (text)
		sysfs_replace(&run->root, "run/preclaim", "rules", text, strlen(text));
	free(text);
}

static void add_tally(struct tally *sum, const struct tally *t)
{
	sum->claimed += t->claimed;
	sum->vfs += t->vfs;
	sum->refused += t->refused;
	sum->failed += t->failed;
	sum->broken |= t->broken;
}

/*
 * One run at a time looks and acts: udev starts them side by side, and each
 * would do and tell what the other has just done. A run that hangs lets the
 * others wait no longer than their own time limit. Without /run there is none.
 */
static int lock_run(const struct run *run)
{
	return sysfs_lock(&run->root, "run/preclaim", "lock");
}

/* What a child does for one PF. */
struct making {
	struct run *run;
	int32_t pf;
};

/* Make the VFs of a PF, and then do what the rules say for them: a plan of their own. */
static void make_vfs(void *ctx, void *result)
{
	const struct making *making = ctx;
	struct run *run = making->run;
	struct addr pf = run->now.devices.dev[making->pf].addr;
	unsigned timeout_ms = run->config.rules.settings.timeout_ms;
	struct tally *tally = result;
	struct outcome *outcome, of_pf;
	struct tally vfs;
	int32_t at;
	int lock;

	*tally = (struct tally){ .failed = 1 };
	of_pf.result = vfs_make(&run->now.plan, making->pf, &run->root, &run->report, &tally->vfs, &of_pf.us);
	tally->failed = of_pf.result != RESULT_CREATED;
	/* nobody waits any more, but the VFs must be safe all the same */
	if (clock_us() >= run->deadline_us)
		run->deadline_us = clock_us() + timeout_ms * 1000ull;

	survey_drop(&run->now);
	lock = lock_run(run);
	run->now.asked = &pf;
	run->now.n_asked = 1;
	run->now.only_vfs = true;
	outcome = make_plan(run) == EXIT_HOLDS ? calloc(run->now.devices.n + 1, sizeof(*outcome)) : NULL;
	/* a run that udev started for them may have been quicker, and has told it */
	if (run->now.plan.steps == 0)
		run->report.loudest = LEVEL_WARNING;
	if (outcome) {
		vfs = apply_plan(&run->now.plan, &run->now.devices, &run->root, &run->report, run->deadline_us, outcome);
		add_tally(tally, &vfs);
		tally->failed += run->now.incomplete;
		at = device_find(&run->now.devices, pf);
		if (at >= 0)
			outcome[at] = of_pf;
		write_status(run, outcome);
		free(outcome);
	} else {
		tally->failed++;
	}
	sysfs_unlock(lock);
}

/*
 * All PFs at once, each by a child: the kernel may serialise the writes to
 * sriov_numvfs, but one that hangs keeps nobody else waiting.
 */
static void make_all_vfs(struct run *run, struct tally *tally)
{
	struct child *child = calloc(run->now.plan.steps + 1, sizeof(*child));
	int32_t last = -1;

	for (size_t i = 0; i < run->now.plan.steps; i++) {
		const struct step *s = &run->now.plan.step[i];
		struct making making = { .run = run, .pf = s->dev };
		char line[RECORD_MAX];
		struct text t = text_in(line, sizeof(line));
		int r;

		if (s->operation != STEP_NUMVFS || s->dev == last)
			continue;
		last = s->dev;
		r = child ? child_start(&child[i], make_vfs, &making, sizeof(*tally)) : -ENOMEM;
		if (r == 0)
			continue;
		if (child)
			child[i].pid = -1;
		describe_device(&run->now.plan, s->dev, &t);
		report_say(&run->report, LEVEL_ERR, "%s: sriov_numvfs: cannot start a process for it: %s (%d)", line, text_error(-r), -r);
		tally->failed++;
	}
	for (size_t i = 0; child && i < run->now.plan.steps; i++) {
		uint64_t now = clock_us();
		struct tally vfs = { .failed = 1 };
		char line[RECORD_MAX];
		struct text t = text_in(line, sizeof(line));
		int r;

		if (child[i].pid <= 0)
			continue;
		r = child_end(&child[i], now < run->deadline_us ? (unsigned)((run->deadline_us - now) / 1000) : 0, &vfs, sizeof(vfs));
		add_tally(tally, &vfs);
		if (r == 0)
			continue;
		describe_device(&run->now.plan, run->now.plan.step[i].dev, &t);
		report_say(&run->report, LEVEL_ERR, r == -ETIMEDOUT ?
			   "%s: sriov_numvfs: the write has not ended in time; the boot goes on, its VFs are claimed when they come" :
			   "%s: sriov_numvfs: the process for it died", line);
	}
	free(child);
}

/*
 * Whether an earlier run has told what this one would. udev begins with "add"
 * for all that is there; a PF whose driver has come ("bind") is something new.
 */
static bool was_told(const struct run *run)
{
	const char *action = getenv("ACTION");
	int32_t dev = run->now.n_asked > 0 ? device_find(&run->now.devices, run->now.asked[0]) : -1;
	enum told told = dev >= 0 && action && strcmp(action, "add") == 0 ? report_told(&run->root, &run->now.devices.dev[dev]) : TOLD_NOTHING;

	return told >= TOLD_FAILURE || (told == TOLD && run->now.plan.steps == 0);
}

/* Carry the plan out. This is run in a child of its own: see apply(). */
static int apply_all(struct run *run)
{
	struct outcome *outcome;
	struct tally tally = { 0 };
	int lock = lock_run(run);
	int r = make_plan(run);

	if (run->report.from_udev && r == EXIT_HOLDS)
		run->report.again = was_told(run);
	run->deadline_us = clock_us() + run->config.rules.settings.timeout_ms * 1000ull;
	if (sysfs_exists(&run->root, "init") && !run->report.from_udev)
		write_rules(run);
	if (r == EXIT_HOLDS && run->now.plan.steps > 0) {
		r = sysfs_may_write(&run->root, "sys/bus/pci/drivers_probe");
		if (r < 0)
			r = system_error(run, "/sys: cannot write to it", r);
	}
	/* what holds already was told when it was done, and so was what cannot be done */
	if (run->report.from_udev && run->now.plan.steps == 0)
		run->report.loudest = LEVEL_WARNING;
	outcome = r == EXIT_HOLDS ? calloc(run->now.devices.n + 1, sizeof(*outcome)) : NULL;
	if (outcome) {
		tally = apply_plan(&run->now.plan, &run->now.devices, &run->root, &run->report, run->deadline_us, outcome);
		write_status(run, outcome);
		if (run->config.has_facts && !run->config.partial && run->now.n_asked == 0 && !run->now.incomplete)
			mark_settled(&run->root, &run->now.plan);
		sysfs_unlock(lock);
		make_all_vfs(run, &tally);
		r = tally.broken ? (int)EXIT_SYSTEM : (int)exit_status(run, plan_holds(&run->now.plan) && tally.failed == 0);
		free(outcome);
	} else {
		sysfs_unlock(lock);
		if (r == EXIT_HOLDS)
			r = system_error(run, "cannot carry the plan out", -ENOMEM);
	}
	say_done(run, &tally);
	return r;
}

/* Whether nothing is left to do or to wait for. That the host has a driver for the VFs which it gets is not our wish. */
static bool is_complete(const struct plan *plan)
{
	for (size_t i = 0; i < plan->notes; i++)
		if (plan->note[i].kind == NOTE_VFS_WAIT)
			return false;
	for (size_t i = 0; i < plan->steps; i++)
		if (plan->step[i].operation != STEP_HAND)
			return false;
	return plan_holds(plan);
}

/*
 * Wait until all that the rules want is there. Others bring it: drivers that
 * are being loaded, and the runs that udev starts.
 */
static void wait_for_all(struct run *run)
{
	enum level loudest = run->report.loudest;
	int events = uevent_open();
	bool complete = false;

	run->report.loudest = LEVEL_ERR;
	while (!complete && events >= 0) {
		uint64_t now = clock_us();

		complete = make_plan(run) != EXIT_HOLDS || is_complete(&run->now.plan);
		survey_drop(&run->now);
		if (now >= run->deadline_us ||
		    (!complete && uevent_wait(events, (unsigned)((run->deadline_us - now + 999) / 1000)) < 0))
			break;
	}
	if (events >= 0)
		close(events);
	run->report.loudest = loudest;
}

static void apply_in_child(void *ctx, void *result)
{
	struct run *run = ctx;

	if (run->options->wait)
		wait_for_all(run);
	*(int *)result = apply_all(run);
}

/*
 * Even a read can hang: driver_override and sriov_numvfs wait for a probe or
 * for VFs that are being made (device_lock() in drivers/pci/pci-sysfs.c and
 * iov.c). So the whole run is a child's, and the boot goes on without it if
 * need be.
 */
static int apply(struct run *run)
{
	const struct tally none = { .failed = 1 };
	unsigned timeout_ms = run->config.rules.settings.timeout_ms, limit_ms = timeout_ms + GRACE_MS;
	struct child child;
	int status, r;

	run->deadline_us = run->start_us + timeout_ms * 1000ull;
	if (run->options->wait)
		limit_ms += timeout_ms;
	if (child_start(&child, apply_in_child, run, sizeof(status)) < 0) {
		apply_in_child(run, &status);
		return status;
	}
	r = child_end(&child, limit_ms, &status, sizeof(status));
	if (r == 0)
		return status;
	if (r == -ETIMEDOUT)
		report_say(&run->report, LEVEL_ERR, "not finished after %u s: something in /sys hangs, or another run does; "
			   "this one goes on by itself", limit_ms / 1000);
	else
		report_say(&run->report, LEVEL_ERR, "the run died before its end");
	say_done(run, &none);
	return EXIT_SYSTEM;
}

/* check --image: what the hook puts into the image, and at build time only a warning for what is not there. */
static int print_image(struct run *run)
{
	bool holds = true;
	int r;

	describe_rules(&run->config.rules, put);
	/* an image of a machine whose devices cannot be read would protect none of them */
	r = sysfs_exists(&run->root, "sys/bus/pci/devices") ? make_plan(run) : EXIT_HOLDS;
	if (r != EXIT_HOLDS)
		return r;
	if (run->now.devices.n > 0) {
		describe_facts(&run->now.plan, put);
		holds = plan_holds(&run->now.plan);
	} else {
		describe_unseen(put);
	}
	r = end_output(run);
	if (r != EXIT_HOLDS)
		return r;
	/* without devices each rule would be said to match none */
	if (run->now.devices.n > 0)
		say_notes(run);
	return exit_status(run, holds);
}

static int perform(struct run *run)
{
	/* udev starts us for every device, whether or not there is anything to do */
	if (run->report.from_udev && (run->config.rules.n == 0 || run->config.rules.settings.off))
		return exit_status(run, true);
	if (run->options->command == COMMAND_LIST)
		return list(run);
	if (run->config.rules.settings.off && !run->options->image) {
		const struct tally none = { 0 };

		report_say(&run->report, LEVEL_INFO, "off: preclaim.off is on the kernel command line");
		if (run->applies)
			say_done(run, &none);
		return exit_status(run, true);
	}
	if (run->applies)
		return apply(run);
	if (run->options->command == COMMAND_STATUS)
		return status(run);
	return run->options->image ? print_image(run) : print_plan(run);
}

/* The rules of the run; claim and release bring their own, for which everything that is in use is out of reach. */
static int read_config(struct run *run)
{
	const struct options *o = run->options;
	int r;

	if (o->command < COMMAND_CLAIM) {
		r = config_read(&run->config, &run->root, &run->report, o->config, o->cmdline);
		/* an image may be told to take what the machine needs; from a running host that would pull the rug away */
		if (run->applies && !run->config.has_facts)
			run->config.rules.settings.take = TAKE_NEVER;
		return r;
	}
	r = config_from_words(&run->config, o->command == COMMAND_CLAIM ? "claim" : "keep", o->word, o->words);
	run->config.rules.settings.release = o->command == COMMAND_RELEASE;
	run->config.rules.settings.take = o->force ? TAKE_BUT_ROOT : TAKE_NEVER;
	run->config.rules.settings.on_failure = FAILURE_RELEASE;
	return r;
}

/* The end of a run that has not come to its rules. */
static int give_up(const struct run *run, const char *what, int error)
{
	const struct tally none = { .failed = 1 };
	int r = system_error(run, what, error);

	if (run->applies)
		say_done(run, &none);
	return r;
}

enum exit_status run_command(const struct options *options)
{
	struct run run = {
		.options = options,
		.applies = (options->command == COMMAND_APPLY || options->command >= COMMAND_CLAIM) && !options->dry_run,
		.start_us = clock_us(),
		.now = {
			.root = &run.root,
			.report = &run.report,
			.config = &run.config,
			.by_hand = options->command >= COMMAND_CLAIM,
			.looks = options->command >= COMMAND_CHECK && options->command <= COMMAND_STATUS,
			.warns = options->command == COMMAND_CHECK,
		},
	};
	int r = sysfs_open(&run.root, options->root);

	run.report = report_new(&run.root, options->loudest, run.applies, getenv("SEQNUM") != NULL);
	if (r < 0)
		return give_up(&run, options->root, r);
	run.now.asked = calloc((size_t)options->words + 1, sizeof(*run.now.asked));
	if (!run.now.asked) {
		r = give_up(&run, "cannot read the rules", -ENOMEM);
		close(run.root.fd);
		return r;
	}
	for (int i = 0; options->command == COMMAND_APPLY && i < options->words; i++)
		run_parse_address(options->word[i], &run.now.asked[run.now.n_asked++]);
	r = read_config(&run);
	if (r < 0) {
		r = give_up(&run, "cannot read the rules", r);
	} else {
		/* those of the files and the command line were told when the boot began */
		if (!run.report.from_udev)
			say_faults(&run);
		r = perform(&run);
	}
	survey_drop(&run.now);
	pool_close(&run.now.reads);
	config_free(&run.config);
	free(run.now.asked);
	close(run.root.fd);
	return r;
}
