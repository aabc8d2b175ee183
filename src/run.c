// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * One run through its stages: rules, scan, match, plan, apply, report. What
 * each stage does stands in its own file; here is what they hand on, and what
 * the run comes to when one of them fails or hangs.
 */
#include "run.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "alias.h"
#include "apply.h"
#include "clock.h"
#include "config.h"
#include "describe.h"
#include "mark.h"
#include "match.h"
#include "plan.h"
#include "protect.h"
#include "report.h"
#include "scan.h"
#include "show.h"
#include "sysfs.h"
#include "text.h"
#include "uevent.h"
#include "vfs.h"
#include "work.h"

/* How long after its own deadline a run is given up: it can only hang in a read or an open then. */
enum { GRACE_MS = 2000 };

/* How often the devices are read anew while VFs keep appearing. */
enum { LOOKS_MAX = 3, LOOK_AGAIN_MS = 20 };

/* One run from its rules to its exit status. */
struct run {
	const struct options *options;
	struct root root;
	struct report report;
	struct config config;
	struct devices devices;
	struct drivers drivers;
	struct match match;
	struct plan plan;
	struct addr *asked;	/* the devices that this run is about; none: all */
	size_t n_asked;
	bool only_vfs;		/* it is about their VFs, not themselves */
	bool *only;		/* a flag for each device */
	bool missing;		/* an address asked for is not there */
	bool incomplete;	/* not all of the devices could be read */
	bool warned;		/* what protects them and cannot be followed was told */
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
	for (size_t i = 0; i < run->plan.notes; i++) {
		char line[RECORD_MAX];
		struct text t = text_in(line, sizeof(line));

		describe_note(&run->plan, &run->plan.note[i], &t);
		report_say(&run->report, run->plan.note[i].level, "%s", line);
	}
}

static int system_error(const struct run *run, const char *what, int error)
{
	report_say(&run->report, LEVEL_ERR, "%s: %s (%d)", what, text_error(-error), -error);
	return EXIT_SYSTEM;
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

/*
 * Flag the devices that are asked for. The VFs of a PF belong together: the
 * fence that they share must not be lowered for one before the others are safe.
 */
static int choose_devices(struct run *run)
{
	run->only = calloc(run->devices.n + 1, sizeof(*run->only));
	if (!run->only)
		return -ENOMEM;
	for (size_t i = 0; i < run->n_asked; i++) {
		int32_t dev = device_find(&run->devices, run->asked[i]), pf;
		char addr[ADDR_MAX];

		if (dev < 0) {
			/* udev tells of a device that may be gone by now */
			report_say(&run->report, run->report.from_udev ? LEVEL_DEBUG : LEVEL_ERR, "%s: there is no such device",
				   text_addr(addr, run->asked[i]));
			run->missing = true;
			continue;
		}
		pf = run->devices.dev[dev].pf >= 0 ? run->devices.dev[dev].pf : dev;
		for (size_t k = 0; k < run->devices.n; k++)
			run->only[k] |= run->devices.dev[k].pf == pf;
		run->only[dev] = !run->only_vfs;
	}
	return 0;
}

/* What driver=auto means for each device that such a rule takes. */
static void find_variants(struct run *run)
{
	char path[PATH_SIZE], release[64], modalias[128];
	struct text t = text_in(path, sizeof(path));
	char *aliases = NULL;
	size_t len = 0;
	int r = sysfs_read(&run->root, "proc/sys/kernel/osrelease", release, sizeof(release));

	if (r < 0)
		text_add(&t, "proc/sys/kernel/osrelease");
	else
		text_add(&t, "lib/modules/%.*s/modules.alias", (int)str_find(str_of(release), '\n'), release);
	for (size_t i = 0; i < run->devices.n; i++) {
		struct device *d = &run->devices.dev[i];
		int32_t rule = run->match.choice[i].rule;

		if (rule < 0 || !str_is(run->config.rules.rule[rule].driver, "auto") || (run->only && !run->only[i]))
			continue;
		if (r >= 0 && !aliases)
			r = sysfs_read_all(&run->root, path, &aliases, &len);
		if (r < 0) {
			report_say(&run->report, LEVEL_WARNING, "/%s: cannot read it: %s (%d); driver=auto means vfio-pci", path,
				   text_error(-r), -r);
			return;
		}
		if (scan_modalias(&run->root, d, modalias, sizeof(modalias)) == 0)
			alias_variant((struct str){ .p = aliases, .len = len }, modalias, d->variant);
	}
	free(aliases);
}

/*
 * Whether it matters who uses a device: before it is taken or given back by
 * hand, or before the number of its PF's VFs is changed. Asking opens its VFIO
 * group for a moment, in which no guest can open it.
 */
static bool asks_for_users(const struct run *run, size_t i)
{
	int32_t pf = run->devices.dev[i].pf, selector = pf >= 0 ? run->match.choice[pf].vfs_selector : -1;
	int32_t wanted, total;

	if (run->options->command >= COMMAND_CLAIM && run->match.choice[i].rule >= 0)
		return true;
	if (selector < 0 || (run->only && !run->only[pf]))
		return false;
	total = run->devices.dev[pf].total_vfs;
	wanted = run->config.rules.selector[selector].count < (uint32_t)total ? (int32_t)run->config.rules.selector[selector].count : total;
	return run->devices.dev[pf].num_vfs != wanted;
}

/*
 * Whether a claim of this device has failed and it was released. udev tells of
 * it again: to try again then would take it from the host's driver again, and
 * "bind", which comes of the release itself, would have no end.
 */
static bool was_released(const struct run *run, size_t i)
{
	const char *action = getenv("ACTION");

	if (!run->report.from_udev || run->config.rules.settings.on_failure != FAILURE_RELEASE || !run->only || !run->only[i])
		return false;
	return (action && strcmp(action, "bind") == 0 && run->devices.dev[i].pf < 0) || report_told(&run->root, &run->devices.dev[i]) == TOLD_RELEASED;
}

/*
 * What only some devices are asked for: driver_override where a rule takes the
 * device, or where a free neighbour could spoil its group; the number of VFs
 * of PFs that a rule gives VFs to, and whether those are in use.
 */
static void read_details(struct run *run)
{
	for (size_t i = 0; i < run->devices.n; i++) {
		struct device *d = &run->devices.dev[i];

		if (run->match.choice[i].rule >= 0 || (!d->driver[0] && !device_is_bridge(d)))
			scan_override(&run->root, d);
		if (run->match.choice[i].fence && (!run->only || run->only[i]))
			scan_num_vfs(&run->root, d);
		d->released = was_released(run, i);
	}
	for (size_t i = 0; i < run->devices.n; i++)
		if (asks_for_users(run, i))
			scan_in_use(&run->root, &run->devices.dev[i]);
	find_variants(run);
}

static void drop_plan(struct run *run)
{
	plan_free(&run->plan);
	match_free(&run->match);
	drivers_free(&run->drivers);
	devices_free(&run->devices);
	free(run->only);
	run->plan = (struct plan){ .steps = 0 };
	run->match = (struct match){ .hit = NULL };
	run->drivers = (struct drivers){ .n = 0 };
	run->devices = (struct devices){ .n = 0 };
	run->only = NULL;
}

/* Mark what the machine needs, by what the image knows: where it was, or else by its ids. */
static void mark_by_facts(struct run *run)
{
	for (size_t i = 0; i < run->config.rules.facts; i++) {
		const struct fact *f = &run->config.rules.fact[i];
		const struct addr addr = { .domain = f->place.domain, .bus = f->place.bus, .devfn = f->place.devfn[0] };
		int32_t at = device_find(&run->devices, addr);

		if (!f->protects)
			continue;
		if (at >= 0 && match_pinned(f, &run->devices.dev[at].ids)) {
			run->devices.dev[at].carries |= protect_parse(f->reason);
			continue;
		}
		for (size_t k = 0; k < run->devices.n; k++) {
			struct device *d = &run->devices.dev[k];

			if (!match_pinned(f, &d->ids))
				continue;
			d->carries_by_ids |= d->carries == 0;
			d->carries |= protect_parse(f->reason);
		}
	}
}

/* Mark what the machine needs: as the image knows it, or on a running host as it is now. */
static int find_protected(struct run *run)
{
	struct protects protects;
	int r;

	if (run->config.has_facts) {
		mark_by_facts(run);
		return 0;
	}
	r = protect_find(&run->root, &run->devices, run->options->command >= COMMAND_CLAIM, &protects);
	if (r < 0) {
		if (protects.unread[0])
			report_say(&run->report, LEVEL_ERR, "%s: cannot read it, so what this machine needs is not known: %s (%d)", protects.unread, text_error(-r), -r);
		return r;
	}
	for (size_t i = 0; i < run->devices.n; i++)
		run->devices.dev[i].carries = protects.carries[i];
	for (size_t i = 0; i < protects.warnings && run->options->command == COMMAND_CHECK && !run->warned; i++)
		report_say(&run->report, LEVEL_WARNING, "%s", protects.warning[i]);
	run->warned = true;
	protect_free(&protects);
	return 0;
}

/* What could not be read of a device may be what the rules would decide by. */
static void say_unread(struct run *run)
{
	run->incomplete = run->devices.incomplete;
	for (size_t i = 0; i < run->devices.n; i++) {
		const struct device *d = &run->devices.dev[i];
		char addr[ADDR_MAX];

		if (!d->error)
			continue;
		run->incomplete = true;
		report_say(&run->report, LEVEL_WARNING, "%s: %s: cannot read it: %s (%d)", text_addr(addr, d->addr), d->unread,
			   text_error(-d->error), -d->error);
	}
}

/* Whether VFs have appeared meanwhile: their PF has more than were seen, or does not know the number of one. */
static bool is_outdated(const struct run *run)
{
	for (size_t i = 0; i < run->devices.n; i++) {
		const struct device *d = &run->devices.dev[i];
		int32_t seen = 0;

		if (d->pf >= 0 && d->vf_index < 0)
			return true;
		if (d->num_vfs == 0)
			continue;
		for (size_t k = 0; k < run->devices.n; k++)
			seen += run->devices.dev[k].pf == (int32_t)i;
		if (seen < d->num_vfs)
			return true;
	}
	return false;
}

/*
 * The addresses at which something decides on devices elsewhere: a keep also
 * keeps what has the ids that are pinned for it, and a device that the machine
 * needs, but has moved, is known by its ids. False where a rule needs to see
 * all devices.
 */
static bool find_far_places(const struct rules *rules, struct addr *out, size_t *n)
{
	for (size_t r = 0; r < rules->n; r++) {
		for (size_t i = rules->rule[r].first; i < rules->rule[r].first + rules->rule[r].n; i++) {
			const struct selector *s = &rules->selector[i];

			if (s->kind == SELECT_GROUP)
				return false;
			if (rules->rule[r].keyword != KEYWORD_KEEP || (s->kind == SELECT_IDS && !s->has_place))
				continue;
			if (s->place.hops > 1)
				return false;
			out[(*n)++] = (struct addr){ .domain = s->place.domain, .bus = s->place.bus, .devfn = s->place.devfn[0] };
		}
	}
	for (size_t i = 0; i < rules->facts; i++) {
		const struct place *place = &rules->fact[i].place;

		if (rules->fact[i].protects)
			out[(*n)++] = (struct addr){ .domain = place->domain, .bus = place->bus, .devfn = place->devfn[0] };
	}
	return true;
}

/* The devices: all, or where a few are asked for and the rules allow it only what matters to those. */
static int scan(struct run *run)
{
	const struct rules *rules = &run->config.rules;
	struct addr *addr = run->n_asked > 0 ? calloc(run->n_asked + rules->selectors + rules->facts, sizeof(*addr)) : NULL;
	size_t n = run->n_asked;
	int r = 1;

	if (addr) {
		memcpy(addr, run->asked, n * sizeof(*addr));
		if (find_far_places(rules, addr, &n))
			r = scan_around(&run->root, &run->report, addr, n, &run->devices);
		free(addr);
	}
	return r > 0 ? scan_devices(&run->root, &run->report, &run->devices) : r;
}

/* Whether a rule asks for any of the devices, so that it matters what the machine needs of them. */
static bool takes_any(const struct run *run)
{
	for (size_t i = 0; i < run->devices.n; i++) {
		int32_t rule = run->match.choice[i].rule;

		if (rule >= 0 && run->config.rules.rule[rule].keyword != KEYWORD_KEEP)
			return true;
	}
	return false;
}

/* From the machine as it is now to the plan. 0, or an exit status after telling why not. */
static int make_plan_once(struct run *run)
{
	int r = scan(run);

	if (r < 0)
		return system_error(run, "/sys/bus/pci/devices: cannot read it", r);
	r = scan_drivers(&run->root, &run->drivers);
	if (r < 0)
		return system_error(run, "/sys/bus/pci/drivers: cannot read it", r);
	r = match_build(&run->match, &run->config.rules, &run->devices);
	/* a run of udev's for a device that no rule asks for is to be short */
	if (r == 0 && (run->n_asked == 0 || takes_any(run)))
		r = find_protected(run);
	if (r == 0 && run->n_asked > 0)
		r = choose_devices(run);
	if (r == 0) {
		read_details(run);
		r = plan_build(&run->plan, &run->config.rules, &run->devices, &run->match, &run->drivers, run->only);
	}
	return r < 0 ? system_error(run, "cannot make a plan", r) : EXIT_HOLDS;
}

/* The same, once more where the machine has changed meanwhile. */
static int make_plan(struct run *run)
{
	int r = make_plan_once(run);

	for (int i = 1; r == EXIT_HOLDS && i < LOOKS_MAX && is_outdated(run); i++) {
		clock_nap(LOOK_AGAIN_MS);
		drop_plan(run);
		r = make_plan_once(run);
	}
	if (r == EXIT_HOLDS)
		say_unread(run);
	return r;
}

static int exit_status(const struct run *run, bool holds)
{
	if (run->config.unreadable)
		return EXIT_SYSTEM;
	if (run->config.rules.faults > 0)
		return EXIT_RULES;
	return holds && !run->missing && !run->incomplete ? EXIT_HOLDS : EXIT_NOT_HELD;
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

/* What list and status show of devices that no rule asks for. */
static void read_all_details(struct run *run)
{
	for (size_t i = 0; i < run->devices.n; i++) {
		scan_override(&run->root, &run->devices.dev[i]);
		if (run->devices.dev[i].total_vfs > 0)
			scan_num_vfs(&run->root, &run->devices.dev[i]);
	}
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
	read_all_details(run);
	if (run->options->json)
		r = show_json(&run->plan, &run->drivers, &run->root, true);
	else
		r = show_devices(&run->plan, &run->root);
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
	read_all_details(run);
	if (run->options->json)
		r = show_json(&run->plan, &run->drivers, &run->root, false);
	else
		r = show_status(&run->plan, &run->root);
	if (r < 0)
		return system_error(run, "cannot tell the status", r);
	r = end_output(run);
	return r == EXIT_HOLDS ? say_found(run, show_holds(&run->plan)) : r;
}

static int print_plan(struct run *run)
{
	int r = make_plan(run);

	if (r != EXIT_HOLDS)
		return r;
	if (run->options->json) {
		read_all_details(run);
		r = show_json(&run->plan, &run->drivers, &run->root, false);
	} else {
		r = show_platform(&run->plan, &run->drivers, &run->root);
		describe_plan(&run->plan, put);
	}
	if (r < 0)
		return system_error(run, "cannot make a plan", r);
	r = end_output(run);
	return r == EXIT_HOLDS ? say_found(run, plan_holds(&run->plan)) : r;
}

static void write_status(const struct run *run, const struct outcome *outcome)
{
	int r = report_status(&run->root, &run->plan, outcome);

	if (r < 0)
		report_say(&run->report, LEVEL_WARNING, "/run/preclaim/status: cannot write it: %s (%d)", text_error(-r), -r);
	mark_claimed(&run->root, &run->plan, outcome);
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
	struct addr pf = run->devices.dev[making->pf].addr;
	unsigned timeout_ms = run->config.rules.settings.timeout_ms;
	struct tally *tally = result;
	struct outcome *outcome, of_pf;
	struct tally vfs;
	int32_t at;
	int lock;

	*tally = (struct tally){ .failed = 1 };
	of_pf.result = vfs_make(&run->plan, making->pf, &run->root, &run->report, &tally->vfs, &of_pf.us);
	tally->failed = of_pf.result != RESULT_CREATED;
	/* nobody waits any more, but the VFs must be safe all the same */
	if (clock_us() >= run->deadline_us)
		run->deadline_us = clock_us() + timeout_ms * 1000ull;

	drop_plan(run);
	lock = lock_run(run);
	run->asked = &pf;
	run->n_asked = 1;
	run->only_vfs = true;
	outcome = make_plan(run) == EXIT_HOLDS ? calloc(run->devices.n + 1, sizeof(*outcome)) : NULL;
	/* a run that udev started for them may have been quicker, and has told it */
	if (run->plan.steps == 0)
		run->report.loudest = LEVEL_WARNING;
	if (outcome) {
		vfs = apply_plan(&run->plan, &run->devices, &run->root, &run->report, run->deadline_us, outcome);
		add_tally(tally, &vfs);
		tally->failed += run->incomplete;
		at = device_find(&run->devices, pf);
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
	struct child *child = calloc(run->plan.steps + 1, sizeof(*child));
	int32_t last = -1;

	for (size_t i = 0; i < run->plan.steps; i++) {
		const struct step *s = &run->plan.step[i];
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
		describe_device(&run->plan, s->dev, &t);
		report_say(&run->report, LEVEL_ERR, "%s: sriov_numvfs: cannot start a process for it: %s (%d)", line, text_error(-r), -r);
		tally->failed++;
	}
	for (size_t i = 0; child && i < run->plan.steps; i++) {
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
		describe_device(&run->plan, run->plan.step[i].dev, &t);
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
	int32_t dev = run->n_asked > 0 ? device_find(&run->devices, run->asked[0]) : -1;
	enum told told = dev >= 0 && action && strcmp(action, "add") == 0 ? report_told(&run->root, &run->devices.dev[dev]) : TOLD_NOTHING;

	return told >= TOLD_FAILURE || (told == TOLD && run->plan.steps == 0);
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
	if (r == EXIT_HOLDS && run->plan.steps > 0) {
		r = sysfs_may_write(&run->root, "sys/bus/pci/drivers_probe");
		if (r < 0)
			r = system_error(run, "/sys: cannot write to it", r);
	}
	/* what holds already was told when it was done, and so was what cannot be done */
	if (run->report.from_udev && run->plan.steps == 0)
		run->report.loudest = LEVEL_WARNING;
	outcome = r == EXIT_HOLDS ? calloc(run->devices.n + 1, sizeof(*outcome)) : NULL;
	if (outcome) {
		tally = apply_plan(&run->plan, &run->devices, &run->root, &run->report, run->deadline_us, outcome);
		write_status(run, outcome);
		if (run->config.has_facts && !run->config.partial && run->n_asked == 0 && !run->incomplete)
			mark_settled(&run->root, &run->plan);
		sysfs_unlock(lock);
		make_all_vfs(run, &tally);
		r = tally.broken ? (int)EXIT_SYSTEM : (int)exit_status(run, plan_holds(&run->plan) && tally.failed == 0);
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

		complete = make_plan(run) != EXIT_HOLDS || is_complete(&run->plan);
		drop_plan(run);
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
	if (run->devices.n > 0) {
		describe_facts(&run->plan, put);
		holds = plan_holds(&run->plan);
	}
	r = end_output(run);
	if (r != EXIT_HOLDS)
		return r;
	/* without devices each rule would be said to match none */
	if (run->devices.n > 0)
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
	struct run run = { .options = options, .applies = (options->command == COMMAND_APPLY || options->command >= COMMAND_CLAIM) && !options->dry_run, .start_us = clock_us() };
	int r = sysfs_open(&run.root, options->root);

	run.report = report_new(&run.root, options->loudest, run.applies, getenv("SEQNUM") != NULL);
	if (r < 0)
		return give_up(&run, options->root, r);
	run.asked = calloc((size_t)options->words + 1, sizeof(*run.asked));
	if (!run.asked) {
		r = give_up(&run, "cannot read the rules", -ENOMEM);
		close(run.root.fd);
		return r;
	}
	for (int i = 0; options->command == COMMAND_APPLY && i < options->words; i++)
		run_parse_address(options->word[i], &run.asked[run.n_asked++]);
	r = read_config(&run);
	if (r < 0) {
		r = give_up(&run, "cannot read the rules", r);
	} else {
		/* those of the files and the command line were told when the boot began */
		if (!run.report.from_udev)
			say_faults(&run);
		r = perform(&run);
	}
	drop_plan(&run);
	config_free(&run.config);
	free(run.asked);
	close(run.root.fd);
	return r;
}
