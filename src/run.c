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
#include <sys/mman.h>
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
enum { GRACE_MS = 2000, LOCK_NAP_MS = 16 };

/* What a run has come to, in memory that the processes of it share. */
struct account {
	struct tally tally;
	bool said;		/* anything was told */
};

/* One run from its rules to its exit status. */
struct run {
	const struct options *options;
	struct root root;
	struct report report;
	struct config config;
	struct survey now;
	bool applies;		/* it is to change something */
	bool by_itself;		/* nobody asked for it: udev, the service, an initramfs */
	bool idle;		/* this boot has no policy that udev could go by */
	bool late;		/* nor had the service, which takes the rules on now */
	struct account *account;
	pid_t watcher;		/* who waits for the run, as long as there is time */
	int lock;		/* a descriptor, or -errno */
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

enum { POLICY_MAX = 1 << 20 };

/* Rules as one text, for the comparison of two. NULL without memory. */
static char *rules_text(const struct rules *rules)
{
	char *text = malloc(POLICY_MAX);

	if (text) {
		gathered = text_in(text, POLICY_MAX);
		describe_rules(rules, false, gather);
	}
	return text;
}

static void say_faults(const struct run *run)
{
	for (size_t i = 0; i < run->config.rules.faults; i++) {
		char place[RECORD_MAX];
		struct text t = text_in(place, sizeof(place));

		describe_fault_place(&run->config.rules.fault[i], &t);
		report_say(&run->report, LEVEL_ERR, "%s: %s", place, run->config.rules.fault[i].what);
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

/* The last line of a run; of one that nobody asked for only if there was anything to tell. */
static void say_done(const struct run *run)
{
	const struct tally *t = &run->account->tally;

	if (!run->by_itself || run->account->said)
		report_say(&run->report, LEVEL_INFO, "done: %u claimed, %u VFs, %u refused, %u failed in %u ms", t->claimed, t->vfs, t->refused,
			   t->failed, (unsigned)((clock_us() - run->start_us) / 1000));
}

/* Tell whether the files have the rules that this boot goes by. 0 or -ENOMEM. */
static int say_policy(const struct run *run)
{
	const struct options *o = run->options;
	struct config policy, files = { .n = 0 };
	char *wanted, *present;
	int r = config_read_policy(&policy, &run->root);

	if (r == 0 && run->config.from_policy)
		r = config_read(&files, &run->root, &run->report, o->config, o->cmdline);
	wanted = r < 0 ? NULL : rules_text(&policy.rules);
	present = r < 0 ? NULL : rules_text(run->config.from_policy ? &files.rules : &run->config.rules);
	if (r >= 0 && (!wanted || !present))
		r = -ENOMEM;
	else if (r == 1 && sysfs_exists(&run->root, "run"))
		report_say(&run->report, LEVEL_WARNING, "this boot goes by no rules: its image has no preclaim; \"preclaim apply\" takes them on now, "
			   "and an image made by \"update-initramfs -u\" has them at the next boot");
	else if (r == 0 && strcmp(wanted, present) != 0)
		report_say(&run->report, LEVEL_WARNING, "the rules in the files are not those that this boot goes by: \"preclaim apply\" takes them on now, "
			   "and an image made by \"update-initramfs -u\" has them at the next boot");
	free(wanted);
	free(present);
	config_free(&files);
	config_free(&policy);
	return r < 0 ? r : 0;
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
	r = say_policy(run);
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

/*
 * Leave what this boot goes by, for udev's runs, the service and status: the
 * rules, and what is known of the machine: in an image by its facts, else as it
 * was found now.
 */
static void write_policy(const struct run *run)
{
	char *text = malloc(POLICY_MAX);
	int r = -ENOMEM;

	if (text) {
		gathered = text_in(text, POLICY_MAX);
		gather(run->config.in_image ? POLICY_OF_IMAGE "\n" : POLICY_OF_HOST "\n");
		if (run->config.partial)
			gather(POLICY_PARTIAL "\n");
		describe_rules(&run->config.rules, true, gather);
		if (run->config.has_facts)
			text_add(&gathered, "%.*s", (int)run->config.facts.len, run->config.facts.p);
		else
			describe_facts(&run->now.plan, gather);
		r = gathered.len + 1 < POLICY_MAX ? sysfs_replace(&run->root, "run/preclaim", "policy", text, gathered.len) : -EFBIG;
	}
	free(text);
	if (r < 0 && !run->report.from_udev)
		report_say(&run->report, LEVEL_WARNING, "/run/preclaim/policy: cannot write it, so that udev and the service will not know these rules: %s (%d)",
			   text_error(-r), -r);
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
 * would do and tell what the other has just done. A run that hangs while it
 * has the lock lets the others wait for half of their time limit. False where
 * nobody waits for this one any more.
 */
static bool lock_run(const struct run *run)
{
	uint64_t now = clock_us(), patience_us = now + (run->deadline_us > now ? (run->deadline_us - now) / 2 : 0);

	for (unsigned nap = 1; run->lock >= 0 && sysfs_lock(run->lock) == -EWOULDBLOCK && clock_us() < patience_us; nap = nap < LOCK_NAP_MS ? 2 * nap : nap)
		clock_nap(nap);
	return getppid() == run->watcher;
}

static void unlock_run(const struct run *run)
{
	if (run->lock >= 0)
		sysfs_unlock(run->lock);
}

/* A PF whose VFs are being made, by a child that only writes: as long as the PF's driver likes. */
struct making {
	struct run *run;
	int32_t pf;
	struct addr addr;
	char name[64];
};

/* What came of it. */
struct made {
	struct outcome pf;
	unsigned vfs;
};

/* Do for the VFs of a PF, once they are there, what the rules say: a plan of their own. */
static void claim_vfs(struct run *run, struct addr pf, const struct made *made)
{
	struct tally *tally = &run->account->tally, sum;
	enum level loudest = run->report.loudest;
	struct outcome *outcome;
	int32_t at;

	tally->vfs += made->vfs;
	tally->failed += made->pf.result != RESULT_CREATED;
	survey_drop(&run->now);
	lock_run(run);
	run->now.asked[0] = pf;
	run->now.n_asked = 1;
	run->now.only_vfs = true;
	outcome = make_plan(run) == EXIT_HOLDS ? calloc(run->now.devices.n + 1, sizeof(*outcome)) : NULL;
	/* a run that udev started for them may have been quicker, and has told it */
	if (run->now.plan.steps == 0)
		run->report.loudest = LEVEL_WARNING;
	if (outcome) {
		sum = apply_plan(&run->now.plan, &run->now.devices, &run->root, &run->report, run->deadline_us, outcome);
		add_tally(tally, &sum);
		tally->failed += run->now.incomplete;
		at = device_find(&run->now.devices, pf);
		if (at >= 0)
			outcome[at] = made->pf;
		write_status(run, outcome);
		free(outcome);
	} else {
		tally->failed++;
	}
	unlock_run(run);
	run->report.loudest = loudest;
}

static void make_vfs(void *ctx, void *result)
{
	const struct making *making = ctx;
	struct run *run = making->run;
	struct made *made = result;

	*made = (struct made){ .vfs = 0 };
	made->pf.result = vfs_make(&run->now.plan, making->pf, &run->root, &run->report, &made->vfs, &made->pf.us);
	/* nobody waits any more, but its VFs must be safe all the same */
	if (clock_us() >= run->deadline_us) {
		run->deadline_us = clock_us() + run->config.rules.settings.timeout_ms * 1000ull;
		claim_vfs(run, making->addr, made);
	}
}

static void say_not_made(struct run *run, const struct making *making, const char *why, int error)
{
	if (error)
		report_say(&run->report, LEVEL_ERR, "%s: sriov_numvfs: %s: %s (%d)", making->name, why, text_error(-error), -error);
	else
		report_say(&run->report, LEVEL_ERR, "%s: sriov_numvfs: %s", making->name, why);
	run->account->tally.failed++;
}

static unsigned left_ms(const struct run *run)
{
	uint64_t now = clock_us();

	return now < run->deadline_us ? (unsigned)((run->deadline_us - now) / 1000) : 0;
}

/* Start a child for each PF that is to have other VFs, with memory for as many as there are steps, or NULL. How many there are to wait for. */
static size_t start_making(struct run *run, struct making *making, struct child *child)
{
	int32_t last = -1;
	size_t n = 0;

	for (size_t i = 0; i < run->now.plan.steps; i++) {
		const struct step *s = &run->now.plan.step[i];
		struct making one = { .pf = -1 }, *m = making ? &making[n] : &one;
		struct text t = text_in(m->name, sizeof(m->name));
		int r;

		if (s->operation != STEP_NUMVFS || s->dev == last)
			continue;
		last = s->dev;
		describe_device(&run->now.plan, s->dev, &t);
		m->run = run;
		m->pf = s->dev;
		m->addr = run->now.devices.dev[s->dev].addr;
		r = making && child ? child_start(&child[n], make_vfs, m, sizeof(struct made)) : -ENOMEM;
		if (r < 0)
			say_not_made(run, m, "cannot start a process for it", r);
		else
			n++;
	}
	return n;
}

/*
 * All PFs at once, each by a child: the kernel may serialise the writes to
 * sriov_numvfs, but one that hangs keeps nobody else waiting.
 */
static void make_all_vfs(struct run *run)
{
	size_t steps = run->now.plan.steps, n, open;
	struct making *making = calloc(steps + 1, sizeof(*making));
	struct child *child = calloc(steps + 1, sizeof(*child));

	n = start_making(run, making, child);
	for (open = n; open > 0; open--) {
		int i = child_any(child, n, left_ms(run));
		struct made made;

		if (i < 0)
			break;
		if (child_end(&child[i], 0, &made, sizeof(made)) == 0)
			claim_vfs(run, making[i].addr, &made);
		else
			say_not_made(run, &making[i], "the process for it died", 0);
		child[i].result = -1;
	}
	for (size_t i = 0; i < n; i++) {
		if (child[i].result < 0)
			continue;
		close(child[i].result);
		say_not_made(run, &making[i], "the write has not ended in time; the boot goes on, its VFs are claimed when they come", 0);
	}
	free(making);
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

	return told >= TOLD_FAILURE || (told == TOLD && run->now.plan.steps == 0 && plan_holds(&run->now.plan));
}

/* Whether the rules of this run are what the boot goes by from now on. In an image they are whichever run reads them first. */
static bool takes_rules_on(const struct run *run)
{
	return run->applies && run->options->command == COMMAND_APPLY && !run->config.from_policy &&
	       (run->report.from_udev ? run->config.in_image : run->now.n_asked == 0);
}

/*
 * Look, and carry the plan out, while no other run does. Rules that were not
 * read from the policy are what this boot goes by from now on, unless they are
 * taken on for some devices only. The exit status as far as it can be told
 * before the VFs are made, and whether there may be any to make.
 */
static bool apply_locked(struct run *run, int *status)
{
	struct tally *tally = &run->account->tally, sum;
	bool takes_on = takes_rules_on(run);
	struct outcome *outcome;
	int r;

	r = make_plan(run);
	if (r == EXIT_HOLDS && takes_on && !run->config.in_image)
		write_policy(run);
	if (run->report.from_udev && r == EXIT_HOLDS)
		run->report.again = was_told(run);
	if (r == EXIT_HOLDS && run->now.plan.steps > 0) {
		r = sysfs_may_write(&run->root, "sys/bus/pci/drivers_probe");
		if (r < 0)
			r = system_error(run, "/sys: cannot write to it", r);
	}
	*status = r;
	if (r != EXIT_HOLDS)
		return false;
	/* what holds already was told when it was done, and so was what cannot be done */
	if (run->by_itself && (run->report.from_udev || !takes_on) && run->now.plan.steps == 0)
		run->report.loudest = run->report.from_udev ? LEVEL_WARNING : LEVEL_ERR;
	outcome = calloc(run->now.devices.n + 1, sizeof(*outcome));
	if (!outcome) {
		*status = system_error(run, "cannot carry the plan out", -ENOMEM);
		return false;
	}
	sum = apply_plan(&run->now.plan, &run->now.devices, &run->root, &run->report, run->deadline_us, outcome);
	add_tally(tally, &sum);
	write_status(run, outcome);
	if (run->config.in_image && !run->config.partial && run->now.n_asked == 0 && !run->now.incomplete)
		mark_settled(&run->root, &run->now.plan);
	free(outcome);
	*status = tally->broken ? (int)EXIT_SYSTEM : exit_status(run, plan_holds(&run->now.plan));
	return true;
}

/*
 * Whether nothing is left to wait for: no device, VF or group that may still
 * come, and by a policy no step, as udev's runs take them. What is refused stays
 * so. That the host has a driver for the VFs which it gets is not our wish.
 */
static bool is_complete(const struct plan *plan, bool others_act)
{
	for (size_t i = 0; i < plan->notes; i++) {
		enum note_kind kind = plan->note[i].kind;

		if (kind == NOTE_VFS_WAIT || (plan->note[i].level <= LEVEL_WARNING && (kind == NOTE_NO_DEVICE || kind == NOTE_NO_VF || kind == NOTE_NO_GROUP)))
			return false;
	}
	for (size_t i = 0; others_act && i < plan->steps; i++)
		if (plan->step[i].operation != STEP_HAND)
			return false;
	return true;
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

		complete = make_plan(run) != EXIT_HOLDS || is_complete(&run->now.plan, run->config.from_policy);
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
	int *status = result;

	*status = EXIT_SYSTEM;
	if (run->options->wait) {
		wait_for_all(run);
		run->deadline_us += GRACE_MS * 1000 / 2;
	}
	if (!lock_run(run))
		return;
	if (!apply_locked(run, status)) {
		unlock_run(run);
		return;
	}
	unlock_run(run);
	make_all_vfs(run);
	if (*status == EXIT_HOLDS && run->account->tally.failed > 0)
		*status = EXIT_NOT_HELD;
}

/*
 * Even a read can hang, where the kernel holds a device's lock for a probe or
 * for VFs that are being made. So the whole run is a child's, and the boot goes
 * on without it if need be; so do other runs, as the lock is let go here.
 */
static int apply(struct run *run)
{
	unsigned limit_ms = run->config.rules.settings.timeout_ms + GRACE_MS;
	struct child child;
	int status = EXIT_SYSTEM, r;

	run->deadline_us = run->start_us + run->config.rules.settings.timeout_ms * 1000ull;
	run->watcher = getpid();
	run->lock = sysfs_lock_file(&run->root, "run/preclaim", "lock");
	r = child_start(&child, apply_in_child, run, sizeof(status));
	if (r < 0) {
		run->watcher = getppid();
		apply_in_child(run, &status);
	} else {
		r = child_end(&child, limit_ms, &status, sizeof(status));
		unlock_run(run);
	}
	if (r == -ETIMEDOUT || r == -ECHILD)
		run->account->tally.failed++;
	if (r == -ETIMEDOUT)
		report_say(&run->report, LEVEL_ERR, "not finished after %u s: something in /sys hangs, or another run does; "
			   "this one goes on by itself", limit_ms / 1000);
	else if (r == -ECHILD)
		report_say(&run->report, LEVEL_ERR, "the run died before its end");
	say_done(run);
	if (run->lock >= 0)
		close(run->lock);
	return status;
}

/* check --image: what the hook puts into the image, and at build time only a warning for what is not there. */
static int print_image(struct run *run)
{
	bool holds = true;
	int r;

	describe_rules(&run->config.rules, false, put);
	/* an image of a machine whose devices cannot be read would protect none of them */
	r = sysfs_exists(&run->root, "sys/bus/pci/devices") ? make_plan(run) : EXIT_HOLDS;
	if (r != EXIT_HOLDS)
		return r;
	/* nor would one of a machine whose mounts cannot be seen, as in a chroot without /proc */
	if (run->now.devices.n > 0 && !sysfs_exists(&run->root, "proc/self/mountinfo")) {
		report_say(&run->report, LEVEL_WARNING, "/proc/self/mountinfo: it is not there, so what this machine needs is not known");
		for (enum unknown kind = 0; kind < UNKNOWN_KINDS; kind++)
			if (!run->now.devices.unknown[kind][0])
				strcpy(run->now.devices.unknown[kind], "/proc/self/mountinfo was not there when the image was made");
	}
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

/* Whether nothing is to be done, whatever the rules are; that is told where someone may want to know. */
static bool is_off(const struct run *run)
{
	/* udev starts us for every device, and the service for each boot */
	bool silent = run->by_itself && !run->config.in_image;

	if (run->idle)
		return true;
	if (run->applies && sysfs_exists(&run->root, "proc/vmcore")) {
		if (!silent && !run->report.from_udev)
			report_say(&run->report, LEVEL_INFO, "nothing is done in a kdump kernel: /proc/vmcore is there");
		return true;
	}
	if (!run->config.rules.settings.off || run->options->image || run->options->command == COMMAND_LIST)
		return false;
	if (!silent && !run->report.from_udev)
		report_say(&run->report, LEVEL_INFO, "off: preclaim.off is on the kernel command line");
	return true;
}

static int perform(struct run *run)
{
	if (is_off(run))
		return exit_status(run, true);
	/* first of all, so that it is there whatever happens */
	if (run->config.in_image && takes_rules_on(run))
		write_policy(run);
	if (run->by_itself && run->config.rules.n == 0 && run->config.rules.faults == 0) {
		if (takes_rules_on(run) && !run->config.partial && !run->report.from_udev)
			mark_idle(&run->root);
		say_done(run);
		return exit_status(run, true);
	}
	if (run->late)
		report_say(&run->report, LEVEL_WARNING, "the rules are taken on only now, as this boot's image has no preclaim: the host's drivers may have had the devices");
	if (run->applies)
		return apply(run);
	switch (run->options->command) {
	case COMMAND_LIST:
		return list(run);
	case COMMAND_STATUS:
		return status(run);
	default:
		return run->options->image ? print_image(run) : print_plan(run);
	}
}

/* The rules of the run; claim and release bring their own, for which everything that is in use is out of reach. */
static int read_config(struct run *run)
{
	const struct options *o = run->options;
	bool obeys = run->by_itself && (run->report.from_udev || !sysfs_exists(&run->root, "init"));
	int r;

	if (o->command >= COMMAND_CLAIM) {
		r = config_from_words(&run->config, o->command == COMMAND_CLAIM ? "claim" : "keep", o->word, o->words);
		run->config.rules.settings.release = o->command == COMMAND_RELEASE;
		run->config.rules.settings.take = o->force ? TAKE_BUT_ROOT : TAKE_NEVER;
		run->config.rules.settings.on_failure = FAILURE_RELEASE;
		return r;
	}
	if ((obeys || o->command == COMMAND_STATUS) && !o->config && !o->cmdline) {
		r = config_read_policy(&run->config, &run->root);
		/* in an image the files are what the policy would be, and may be readable by now */
		if (r < 0 || (r == 0 && !(run->config.partial && run->config.in_image)))
			return r;
		run->idle = run->report.from_udev && !run->config.in_image;
		run->late = obeys && !run->config.in_image;
		if (run->idle)
			return 0;
		config_free(&run->config);
	}
	r = config_read(&run->config, &run->root, &run->report, o->config, o->cmdline);
	/* an image may be told to take what the machine needs; from a running host that would pull the rug away */
	if (o->command == COMMAND_APPLY && !run->config.has_facts)
		run->config.rules.settings.take = TAKE_NEVER;
	return r;
}

/* The end of a run that has not come to its rules. */
static int give_up(const struct run *run, const char *what, int error)
{
	int r = system_error(run, what, error);

	run->account->tally.failed = 1;
	if (run->applies)
		say_done(run);
	return r;
}

/* Memory that the children share; own where there is none. */
static struct account *account_new(struct account *own)
{
	void *shared = mmap(NULL, sizeof(*own), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	return shared == MAP_FAILED ? own : shared;
}

enum exit_status run_command(const struct options *options)
{
	struct account own = { .said = true };
	struct run run = {
		.options = options,
		.applies = (options->command == COMMAND_APPLY || options->command >= COMMAND_CLAIM) && !options->dry_run,
		.account = account_new(&own),
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

	run.report = report_new(&run.root, options->loudest, run.applies, getenv("SEQNUM") != NULL, options->boot);
	run.report.said = &run.account->said;
	run.by_itself = options->command == COMMAND_APPLY && (run.report.from_udev || options->boot || sysfs_exists(&run.root, "init"));
	if (r < 0)
		return give_up(&run, options->root, r);
	run.now.asked = calloc((size_t)options->words + 1, sizeof(*run.now.asked));
	if (!run.now.asked || run.account == &own) {
		r = give_up(&run, "cannot read the rules", -ENOMEM);
		free(run.now.asked);
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
	munmap(run.account, sizeof(own));
	return r;
}
