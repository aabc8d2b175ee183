// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The machine as it is now, and the plan for it: scan, match, plan, and in
 * between what each of them needs to know and only some devices are asked for.
 */
#include "survey.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "alias.h"
#include "clock.h"
#include "protect.h"
#include "text.h"

/* How often the devices are read anew while some keep appearing. */
enum { LOOKS_MAX = 3, LOOK_AGAIN_MS = 20 };

/*
 * Flag the devices that are asked for. The VFs of a PF belong together: the
 * fence that they share must not be lowered for one before the others are safe.
 */
static int choose_devices(struct survey *s)
{
	s->only = calloc(s->devices.n + 1, sizeof(*s->only));
	if (!s->only)
		return -ENOMEM;
	for (size_t i = 0; i < s->n_asked; i++) {
		int32_t dev = device_find(&s->devices, s->asked[i]), pf;
		char addr[ADDR_MAX];

		if (dev < 0) {
			/* udev tells of a device that may be gone by now */
			report_say(s->report, s->report->from_udev ? LEVEL_DEBUG : LEVEL_ERR, "%s: there is no such device",
				   text_addr(addr, s->asked[i]));
			s->missing = true;
			continue;
		}
		pf = s->devices.dev[dev].pf >= 0 ? s->devices.dev[dev].pf : dev;
		for (size_t k = 0; k < s->devices.n; k++)
			s->only[k] |= s->devices.dev[k].pf == pf;
		s->only[dev] = !s->only_vfs;
	}
	return 0;
}

/* What driver=auto means for each device that such a rule takes. */
static void find_variants(struct survey *s)
{
	char path[PATH_SIZE], release[64], modalias[128];
	struct text t = text_in(path, sizeof(path));
	char *aliases = NULL;
	size_t len = 0;
	int r = sysfs_read(s->root, "proc/sys/kernel/osrelease", release, sizeof(release));

	if (r < 0)
		text_add(&t, "proc/sys/kernel/osrelease");
	else
		text_add(&t, "lib/modules/%.*s/modules.alias", (int)str_find(str_of(release), '\n'), release);
	for (size_t i = 0; i < s->devices.n; i++) {
		struct device *d = &s->devices.dev[i];
		int32_t rule = s->match.choice[i].rule;

		if (rule < 0 || !str_is(s->config->rules.rule[rule].driver, "auto") || (s->only && !s->only[i]))
			continue;
		if (r >= 0 && !aliases)
			r = sysfs_read_all(s->root, path, &aliases, &len);
		if (r < 0) {
			report_say(s->report, LEVEL_WARNING, "/%s: cannot read it: %s (%d); driver=auto means vfio-pci", path,
				   text_error(-r), -r);
			return;
		}
		if (scan_modalias(s->root, d, modalias, sizeof(modalias)) == 0)
			alias_variant((struct str){ .p = aliases, .len = len }, modalias, d->variant);
	}
	free(aliases);
}

/*
 * Whether it matters who uses a device: before it is taken or given back by
 * hand, or before the number of its PF's VFs is changed.
 */
static bool asks_for_users(const struct survey *s, size_t i)
{
	int32_t pf = s->devices.dev[i].pf, selector = pf >= 0 ? s->match.choice[pf].vfs_selector : -1;
	int32_t wanted, total;

	if (s->by_hand && s->match.choice[i].rule >= 0)
		return true;
	if (selector < 0 || (s->only && !s->only[pf]))
		return false;
	total = s->devices.dev[pf].total_vfs;
	wanted = s->config->rules.selector[selector].count < (uint32_t)total ? (int32_t)s->config->rules.selector[selector].count : total;
	return s->devices.dev[pf].num_vfs != wanted;
}

/*
 * Whether a claim of this device has failed and it was released. udev tells of
 * it again: to try again then would take it from the host's driver again, and
 * "bind", which comes of the release itself, would have no end.
 */
static bool was_released(const struct survey *s, size_t i)
{
	const char *action = getenv("ACTION");

	if (!s->report->from_udev || s->config->rules.settings.on_failure != FAILURE_RELEASE || !s->only || !s->only[i])
		return false;
	return (action && strcmp(action, "bind") == 0 && s->devices.dev[i].pf < 0) || report_told(s->root, &s->devices.dev[i]) == TOLD_RELEASED;
}

/*
 * What only some devices are asked for: driver_override where a rule takes the
 * device, or where a free neighbour could spoil its group; the number of VFs
 * of PFs that a rule gives VFs to, and whether those are in use.
 */
static void read_details(struct survey *s)
{
	for (size_t i = 0; i < s->devices.n; i++) {
		struct device *d = &s->devices.dev[i];

		if (s->match.choice[i].rule >= 0 || (!d->driver[0] && !device_is_bridge(d)))
			d->ask |= ASK_OVERRIDE;
		if (s->match.choice[i].fence && (!s->only || s->only[i]))
			d->ask |= ASK_NUM_VFS;
		d->released = was_released(s, i);
	}
	scan_asked(&s->reads, &s->devices);
	for (size_t i = 0; i < s->devices.n; i++)
		if (asks_for_users(s, i))
			scan_in_use(s->root, &s->devices.dev[i], !s->looks);
	find_variants(s);
}

void survey_drop(struct survey *s)
{
	plan_free(&s->plan);
	match_free(&s->match);
	drivers_free(&s->drivers);
	devices_free(&s->devices);
	free(s->only);
	s->plan = (struct plan){ .steps = 0 };
	s->match = (struct match){ .hit = NULL };
	s->drivers = (struct drivers){ .n = 0 };
	s->devices = (struct devices){ .n = 0 };
	s->only = NULL;
}

/* Mark what the machine needs, by what the image knows: where it was, or else by its ids; and what it doesn't know. */
static void mark_by_facts(struct survey *s)
{
	for (size_t i = 0; i < s->config->rules.facts; i++) {
		const struct fact *f = &s->config->rules.fact[i];
		const struct addr addr = { .domain = f->place.domain, .bus = f->place.bus, .devfn = f->place.devfn[0] };
		char reason[WARNING_SIZE];
		struct text t = text_in(reason, sizeof(reason));
		int32_t at;

		text_add(&t, "%.*s", (int)f->reason.len, f->reason.p);
		if (f->kind == FACT_UNKNOWN && !s->devices.unknown[f->unknown][0])
			strcpy(s->devices.unknown[f->unknown], reason);
		if (f->kind != FACT_PROTECT)
			continue;
		at = device_find(&s->devices, addr);
		if (at >= 0 && match_pinned(f, &s->devices.dev[at].ids)) {
			protect_add(&s->devices.dev[at], reason);
			continue;
		}
		for (size_t k = 0; k < s->devices.n; k++) {
			struct device *d = &s->devices.dev[k];

			if (!match_pinned(f, &d->ids))
				continue;
			d->carries_by_ids |= !d->carries[0];
			protect_add(d, reason);
		}
	}
}

/* Mark what the machine needs as it is now. 0 or -errno after telling why not. */
static int find_needed_now(struct survey *s)
{
	struct protects protects;
	int r = protect_find(s->root, &s->devices, s->config->rules.settings.take != TAKE_BY_PLACE, &protects);
	if (r < 0) {
		if (protects.unread[0])
			report_say(s->report, LEVEL_ERR, "%s: cannot read it, so what this machine needs is not known: %s (%d)", protects.unread, text_error(-r), -r);
		return r;
	}
	for (size_t i = 0; i < protects.warnings && s->warns; i++)
		report_say(s->report, LEVEL_WARNING, "%s", protects.warning[i]);
	s->warns = false;
	protect_free(&protects);
	for (size_t i = 0; i < s->devices.n; i++)
		s->devices.dev[i].carries_now = s->config->from_policy && s->devices.dev[i].carries[0];
	return 0;
}

/*
 * Mark what the machine needs. An image has not come to it and goes by its
 * facts; in the real root those of the boot's policy hold, and what is in use by
 * now besides.
 */
static int find_protected(struct survey *s)
{
	int r = 0;

	if (!s->config->has_facts || (s->config->from_policy && !s->config->in_image))
		r = find_needed_now(s);
	if (r == 0 && s->config->has_facts)
		mark_by_facts(s);
	return r;
}

/* What could not be read of a device may be what the rules would decide by. */
static void say_unread(struct survey *s)
{
	s->incomplete = s->devices.incomplete;
	for (size_t i = 0; i < s->devices.n; i++) {
		const struct device *d = &s->devices.dev[i];
		char addr[ADDR_MAX];

		/* what is to be written is written nevertheless, and a PF has a process of its own that waits */
		if (d->hung)
			report_say(s->report, LEVEL_WARNING, "%s: %s: reading it takes long",
				   text_addr(addr, d->addr), d->hung & ASK_OVERRIDE ? "driver_override" : "sriov_numvfs");
		if (!d->error)
			continue;
		s->incomplete = true;
		report_say(s->report, LEVEL_WARNING, "%s: %s: cannot read it: %s (%d)", text_addr(addr, d->addr), d->unread,
			   text_error(-d->error), -d->error);
	}
}

/*
 * Whether devices have appeared meanwhile: a PF has more VFs than were seen, or
 * does not know the number of one, or a device is without its group. It gets
 * that after its link in /sys/bus/pci/devices (device_add() in drivers/base/core.c
 * calls bus_add_device() before it tells the IOMMU's driver of it).
 */
static bool is_outdated(const struct survey *s)
{
	for (size_t i = 0; i < s->plan.notes; i++)
		if (s->plan.note[i].kind == NOTE_NO_GROUP)
			return true;
	for (size_t i = 0; i < s->devices.n; i++) {
		const struct device *d = &s->devices.dev[i];
		int32_t seen = 0;

		if (d->pf >= 0 && d->vf_index < 0)
			return true;
		if (d->num_vfs == 0)
			continue;
		for (size_t k = 0; k < s->devices.n; k++)
			seen += s->devices.dev[k].pf == (int32_t)i;
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

		if (rules->fact[i].kind == FACT_PROTECT)
			out[(*n)++] = (struct addr){ .domain = place->domain, .bus = place->bus, .devfn = place->devfn[0] };
	}
	return true;
}

/* The devices: all, or where a few are asked for and the rules allow it only what matters to those. */
static int scan(struct survey *s)
{
	const struct rules *rules = &s->config->rules;
	struct addr *addr = s->n_asked > 0 ? calloc(s->n_asked + rules->selectors + rules->facts, sizeof(*addr)) : NULL;
	size_t n = s->n_asked;
	int r = 1;

	if (addr) {
		memcpy(addr, s->asked, n * sizeof(*addr));
		if (find_far_places(rules, addr, &n))
			r = scan_around(s->root, s->report, addr, n, &s->devices);
		free(addr);
	}
	return r > 0 ? scan_devices(s->root, s->report, &s->devices) : r;
}

/* Whether a rule asks for any of the devices, so that it matters what the machine needs of them. */
static bool takes_any(const struct survey *s)
{
	for (size_t i = 0; i < s->devices.n; i++) {
		int32_t rule = s->match.choice[i].rule;

		if (rule >= 0 && s->config->rules.rule[rule].keyword != KEYWORD_KEEP)
			return true;
	}
	return false;
}

static int give_up(const struct survey *s, const char *what, int error)
{
	report_error(s->report, what, error);
	return error;
}

/* Once from the machine to the plan. 0 or -errno after telling why not. */
static int look(struct survey *s)
{
	int r = scan(s);

	if (r < 0)
		return give_up(s, "/sys/bus/pci/devices: cannot read it", r);
	r = scan_drivers(s->root, &s->drivers);
	if (r < 0)
		return give_up(s, "/sys/bus/pci/drivers: cannot read it", r);
	r = match_build(&s->match, &s->config->rules, &s->devices);
	/* a run of udev's for a device that no rule asks for is to be short */
	if (r == 0 && (s->n_asked == 0 || takes_any(s)))
		r = find_protected(s);
	if (r == 0 && s->n_asked > 0)
		r = choose_devices(s);
	if (r == 0) {
		read_details(s);
		r = plan_build(&s->plan, &s->config->rules, &s->devices, &s->match, &s->drivers, s->only);
	}
	return r < 0 ? give_up(s, "cannot make a plan", r) : 0;
}

/* What is shown of devices that no rule is about. No plan depends on it. */
static void read_rest(struct survey *s)
{
	for (size_t i = 0; i < s->devices.n; i++)
		s->devices.dev[i].ask = ASK_OVERRIDE | (s->devices.dev[i].total_vfs > 0 ? ASK_NUM_VFS : 0);
	scan_asked(&s->reads, &s->devices);
}

int survey_make(struct survey *s)
{
	int r;

	s->reads.root = s->root;
	r = look(s);

	for (int i = 1; r == 0 && i < LOOKS_MAX && is_outdated(s); i++) {
		clock_nap(LOOK_AGAIN_MS);
		survey_drop(s);
		r = look(s);
	}
	if (r == 0 && s->looks)
		read_rest(s);
	if (r == 0)
		say_unread(s);
	return r;
}
