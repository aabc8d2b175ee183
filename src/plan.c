// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The plan: from the rule chosen for each device to the verdict on it, and
 * from the verdicts and the state found by the scan to the ordered steps that
 * are still needed. Done twice, the second plan is empty, but for VFs that the
 * host has no driver for. No system call.
 */
#include "plan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char default_driver[] = "vfio-pci";

/* A plan under construction. */
struct builder {
	struct plan plan;
	const struct match *match;
	const struct drivers *drivers;
};

const char *driver_registered(const struct drivers *drivers, struct str name)
{
	for (size_t i = 0; i < drivers->n; i++)
		if (str_same_name(name, drivers->name[i]))
			return drivers->name[i];
	return NULL;
}

bool driver_is_vfio(const char *name)
{
	size_t n = strlen(name), tail = strlen(default_driver);

	return n >= tail && str_same_name(str_of(name + n - tail), default_driver);
}

bool driver_is_for_guests(const char *name)
{
	return driver_is_vfio(name) || strcmp(name, "pci-stub") == 0;
}

bool driver_is_none(const char *name)
{
	return strcmp(name, "none") == 0;
}

bool plan_wants(const struct plan *plan, size_t dev)
{
	int32_t pf = plan->devices->dev[dev].pf;

	if (plan->only && !plan->only[dev])
		return false;
	return pf < 0 || !plan_changes_vfs(plan, (size_t)pf);
}

/* Notes are at most two a selector, nine a device and one on the machine: room for all is there. */
static void add_note(struct builder *b, enum note_kind kind, enum level level, int32_t dev, int32_t rule, int32_t selector)
{
	b->plan.note[b->plan.notes++] = (struct note){ kind, level, dev, rule, selector };
}

static void add_step(struct builder *b, enum operation operation, int32_t dev, uint32_t count)
{
	b->plan.step[b->plan.steps++] = (struct step){ operation, dev, count };
}

/* The driver of a claim, as it is registered, or as written where it isn't yet. */
static void set_driver(const struct builder *b, struct verdict *v, struct str name)
{
	const char *registered = driver_registered(b->drivers, name);
	struct text t = text_in(v->driver, sizeof(v->driver));

	if (name.len == 0 || str_same_name(name, default_driver))
		registered = default_driver;
	if (registered)
		text_add(&t, "%s", registered);
	else
		text_add(&t, "%.*s", (int)name.len, name.p);
}

bool plan_vf_stays(const struct plan *plan, size_t i)
{
	const struct device *d = &plan->devices->dev[i];

	return d->in_use && (plan->verdict[i].action != ACTION_CLAIM || driver_is_vfio(d->driver));
}

/* Whether a PF has the driver that sriov_numvfs needs, or is getting one by this plan. */
static bool has_pf_driver(const struct plan *plan, int32_t pf)
{
	const struct verdict *v = &plan->verdict[pf];

	return v->action == ACTION_CLAIM ? !driver_is_none(v->driver) : plan->devices->dev[pf].driver[0] != '\0';
}

/* How many VFs a PF is to have, and what keeps it from having them now. */
static void judge_vfs(struct builder *b, int32_t i)
{
	const struct device *d = &b->plan.devices->dev[i];
	struct verdict *v = &b->plan.verdict[i];
	const struct selector *s;
	bool told = plan_wants(&b->plan, (size_t)i);

	if (v->vfs_selector < 0)
		return;
	s = &b->plan.rules->selector[v->vfs_selector];
	if (d->total_vfs <= 0) {
		/* ids, classes, slots and groups may mean functions with SR-IOV and others; an address means this one */
		if (told && selector_names_one(s))
			add_note(b, NOTE_NO_SRIOV, LEVEL_ERR, i, v->vfs_rule, v->vfs_selector);
		v->fence = false;
		return;
	}
	v->vfs = s->count > (uint32_t)d->total_vfs ? d->total_vfs : (int32_t)s->count;
	if (told && s->count != VFS_MAX && s->count > (uint32_t)d->total_vfs)
		add_note(b, NOTE_VFS_CUT, LEVEL_WARNING, i, v->vfs_rule, v->vfs_selector);
	if (!told || d->num_vfs == v->vfs)
		return;
	if (!has_pf_driver(&b->plan, i))
		add_note(b, NOTE_VFS_WAIT, LEVEL_INFO, i, v->vfs_rule, v->vfs_selector);
	else if (v->vfs_stay)
		add_note(b, NOTE_VFS_IN_USE, LEVEL_ERR, i, v->vfs_rule, v->vfs_selector);
}

/* Whether a rule says where the devices are that it claims. */
static bool names_place(const struct rules *rules, int32_t rule, int32_t selector)
{
	const struct selector *s = &rules->selector[selector];

	return rules->rule[rule].keyword == KEYWORD_CLAIM && (s->has_place ? s->kind != SELECT_GROUP : s->kind == SELECT_PLACE);
}

/* Whether a rule may take a device that the machine needs. */
static bool takes_needed(const struct rules *rules, int32_t rule, int32_t selector, const struct device *d)
{
	switch (rules->settings.take) {
	case TAKE_NEVER:
		return false;
	case TAKE_BUT_ROOT:
		return !d->carries_root;
	default:
		return !d->carries_now && names_place(rules, rule, selector);
	}
}

enum unknown plan_unknown(const struct devices *devices, const struct device *d)
{
	const uint32_t class = d->ids.class >> 8;
	enum unknown kind = class >> 8 == 0x01 ? UNKNOWN_STORAGE : class >> 8 == 0x02 ? UNKNOWN_NETWORK : UNKNOWN_USB;

	if (d->pf >= 0 || (kind == UNKNOWN_USB && class != 0x0c03) || !devices->unknown[kind][0])
		return UNKNOWN_KINDS;
	return kind;
}

/* Whether the machine may need a device, for all that is known, which only a rule that says where it is takes. */
static bool may_be_needed(const struct builder *b, const struct device *d)
{
	return b->plan.rules->settings.take != TAKE_BUT_ROOT && plan_unknown(b->plan.devices, d) != UNKNOWN_KINDS;
}

/* A guest has the device, and neither a claim nor a release may take it away: the write that tries hangs until it lets go. */
static bool is_with_guest(const struct builder *b, const struct device *d)
{
	return b->plan.rules->settings.take == TAKE_NEVER && d->in_use && driver_is_vfio(d->driver);
}

static void refuse(struct builder *b, int32_t i, enum note_kind why)
{
	struct verdict *v = &b->plan.verdict[i];

	v->action = ACTION_REFUSE;
	if (plan_wants(&b->plan, (size_t)i))
		add_note(b, why, LEVEL_ERR, i, v->rule, v->selector);
}

static void judge_device(struct builder *b, int32_t i)
{
	const struct choice *c = &b->match->choice[i];
	const struct device *d = &b->plan.devices->dev[i];
	struct verdict *v = &b->plan.verdict[i];
	const struct rule *rule;
	bool is_auto;

	*v = (struct verdict){
		.action = ACTION_NONE, .rule = c->rule, .selector = c->selector, .fence = c->fence,
		.vfs = -1, .vfs_rule = c->vfs_rule, .vfs_selector = c->vfs_selector,
	};
	if (c->rule < 0)
		return;
	rule = &b->plan.rules->rule[c->rule];
	if (rule->keyword == KEYWORD_KEEP) {
		v->action = ACTION_KEEP;
		if (b->plan.rules->settings.release && is_with_guest(b, d))
			refuse(b, i, NOTE_GUEST);
		return;
	}
	if (d->carries[0] && !takes_needed(b->plan.rules, c->rule, c->selector, d)) {
		refuse(b, i, NOTE_PROTECTED);
		return;
	}
	v->action = ACTION_CLAIM;
	is_auto = str_is(rule->driver, "auto");
	set_driver(b, v, is_auto ? str_of(d->variant) : rule->driver);
	/* what is held for a guest already nobody else can need */
	if (may_be_needed(b, d) && !names_place(b->plan.rules, c->rule, c->selector) && strcmp(v->driver, d->driver) != 0) {
		refuse(b, i, NOTE_UNKNOWN);
		return;
	}
	/* where the header is that of a bridge, vfio_pci_core_register_device() ends with EINVAL (drivers/vfio/pci) */
	if (device_is_bridge(d) && (is_auto || driver_is_vfio(v->driver))) {
		refuse(b, i, NOTE_BRIDGE_REFUSED);
		return;
	}
	if (d->released && strcmp(v->driver, d->driver) != 0) {
		v->action = ACTION_NONE;
		return;
	}
	if (is_with_guest(b, d) && strcmp(v->driver, d->driver) != 0)
		refuse(b, i, NOTE_GUEST);
}

bool plan_needs(const struct plan *plan, int32_t dev)
{
	return plan->devices->dev[dev].carries[0] != 0;
}

bool plan_conflicts(const struct plan *plan, int32_t i)
{
	const struct device *d = &plan->devices->dev[i];

	if (plan->verdict[i].action == ACTION_CLAIM || plan->verdict[i].refused_by_group || device_is_bridge(d))
		return false;
	if (!d->driver[0])
		return !d->override[0] || d->hung;
	return !driver_is_for_guests(d->driver);
}

bool plan_blocks(const struct plan *plan, int32_t i)
{
	enum action action = plan->verdict[i].action;

	return plan_conflicts(plan, i) && (action == ACTION_KEEP || action == ACTION_REFUSE || plan_needs(plan, i));
}

bool plan_has_vfs_beside(const struct plan *plan, int32_t i)
{
	const struct device *dev = plan->devices->dev;

	for (size_t k = 0; k < plan->devices->n && dev[i].total_vfs > 0; k++)
		if (dev[k].pf == i && dev[k].group == dev[i].group && plan->verdict[k].action == ACTION_CLAIM)
			return true;
	return false;
}

/* One past the last of the group that begins at by_group[first] */
static size_t group_end(const struct plan *plan, size_t first)
{
	size_t last = first + 1;

	while (last < plan->devices->n && plan->by_group[last].group == plan->by_group[first].group)
		last++;
	return last;
}

/* Whether something holds for a member of a group. */
static bool group_has(const struct plan *plan, size_t first, size_t last, bool (*is)(const struct plan *plan, int32_t dev))
{
	for (size_t k = first; k < last; k++)
		if (is(plan, plan->by_group[k].dev))
			return true;
	return false;
}

/* Whether a device is claimed and asks something of its group, which a bridge, never claimed for VFIO, does not. */
static bool is_claimed(const struct plan *plan, int32_t i)
{
	return plan->verdict[i].action == ACTION_CLAIM && !device_is_bridge(&plan->devices->dev[i]);
}

/* Whether a device is claimed together with its group. */
static bool is_claimed_by_group(const struct plan *plan, int32_t i)
{
	const struct rules *rules = plan->rules;
	const struct verdict *v = &plan->verdict[i];

	return is_claimed(plan, i) && (rules->settings.group == GROUP_CLAIM ||
	       (rules->rule[v->rule].keyword == KEYWORD_CLAIM && rules->selector[v->selector].kind == SELECT_GROUP));
}

/* Someone has a device held for guests in a way of his own. */
static bool is_set_aside(const struct device *d)
{
	return driver_is_for_guests(d->driver) && strcmp(d->driver, default_driver) != 0;
}

/* Whether the driver of a PF makes VFs for a rule, or has made some that rules claim. */
static bool makes_vfs(const struct verdict *v, const struct device *d)
{
	return v->vfs > 0 || (v->vfs < 0 && v->fence && d->num_vfs > 0);
}

/*
 * Claim what else is in the group of a claimed device, also where an earlier
 * run has begun to. What a rule keeps or the machine needs stays with the host,
 * and so does a PF that makes VFs.
 */
static void claim_group(struct builder *b, size_t first, size_t last, const struct verdict *owner)
{
	for (size_t k = first; k < last; k++) {
		int32_t i = b->plan.by_group[k].dev;
		struct verdict *v = &b->plan.verdict[i];

		const struct device *d = &b->plan.devices->dev[i];

		if ((v->action != ACTION_NONE && v->action != ACTION_REFUSE) || makes_vfs(v, d) || device_is_bridge(d) || is_set_aside(d) ||
		    d->carries[0] || d->released || (may_be_needed(b, d) && v->action == ACTION_REFUSE))
			continue;
		v->action = ACTION_CLAIM;
		v->rule = owner->rule;
		v->selector = owner->selector;
		if (may_be_needed(b, d)) {
			refuse(b, i, NOTE_UNKNOWN);
			continue;
		}
		set_driver(b, v, str_of(driver_is_none(owner->driver) ? owner->driver : default_driver));
	}
}

/* A VF that a rule makes stays claimed beside its PF, whose driver it came from. */
static bool is_made_beside(const struct plan *plan, int32_t i)
{
	const struct device *d = &plan->devices->dev[i];

	return d->pf >= 0 && plan->verdict[d->pf].vfs > 0 && plan->devices->dev[d->pf].group == d->group;
}

static void refuse_group(struct builder *b, size_t first, size_t last, enum note_kind why)
{
	for (size_t k = first; k < last; k++) {
		int32_t i = b->plan.by_group[k].dev;
		struct verdict *v = &b->plan.verdict[i];

		if (v->action != ACTION_CLAIM || (why == NOTE_GROUP_BLOCKED && is_made_beside(&b->plan, i)))
			continue;
		v->action = ACTION_REFUSE;
		v->refused_by_group = true;
		if (plan_wants(&b->plan, (size_t)i))
			add_note(b, why, LEVEL_ERR, i, v->rule, v->selector);
	}
}

/* The first claimed device of a group, bridges aside, or -1. */
static int32_t first_claimed(const struct plan *plan, size_t first, size_t last)
{
	for (size_t k = first; k < last; k++)
		if (is_claimed(plan, plan->by_group[k].dev))
			return plan->by_group[k].dev;
	return -1;
}

/*
 * Apply the group policy to every IOMMU group that has a claimed device and one
 * in conflict. A group that is to be claimed whole and cannot be is not taken
 * in part, which would be for nothing.
 */
static void judge_groups(struct builder *b)
{
	struct plan *plan = &b->plan;
	enum group_policy policy = plan->rules->settings.group;

	for (size_t first = 0, last; first < plan->devices->n; first = last) {
		int32_t i;

		last = group_end(plan, first);
		i = plan->by_group[first].group < 0 ? -1 : first_claimed(plan, first, last);
		if (i < 0)
			continue;
		if (policy == GROUP_CLAIM && !group_has(plan, first, last, plan_blocks))
			claim_group(b, first, last, &plan->verdict[i]);
		if (policy != GROUP_REFUSE && group_has(plan, first, last, is_claimed_by_group) &&
		    group_has(plan, first, last, plan_blocks))
			refuse_group(b, first, last, NOTE_GROUP_BLOCKED);
		i = first_claimed(plan, first, last);
		if (i < 0 || !group_has(plan, first, last, plan_conflicts))
			continue;
		if (policy == GROUP_REFUSE)
			refuse_group(b, first, last, NOTE_GROUP_REFUSED);
		else if (plan_wants(plan, (size_t)i))
			add_note(b, NOTE_GROUP_SHARED, LEVEL_WARNING, i, plan->verdict[i].rule, plan->verdict[i].selector);
	}
}

/* The device at a selector's place has other ids than asserted: no rule that asserts them takes it. */
static void judge_mismatch(struct builder *b, int32_t dev, int32_t rule, int32_t selector)
{
	struct verdict *v = &b->plan.verdict[dev];

	if (v->action == ACTION_NONE) {
		v->action = ACTION_REFUSE;
		v->rule = rule;
		v->selector = selector;
	}
	if (plan_wants(&b->plan, (size_t)dev))
		add_note(b, NOTE_MISMATCH, LEVEL_ERR, dev, rule, selector);
}

static void judge_mismatches(struct builder *b)
{
	const struct rules *rules = b->plan.rules;

	for (size_t r = 0; r < rules->n; r++) {
		for (size_t s = rules->rule[r].first; s < rules->rule[r].first + rules->rule[r].n; s++) {
			const struct hit *hit = &b->match->hit[s];

			if (rules->rule[r].keyword == KEYWORD_KEEP) {
				if (hit->moved && !b->plan.only)
					add_note(b, NOTE_MOVED, LEVEL_WARNING, -1, (int32_t)r, (int32_t)s);
			} else if (hit->mismatch >= 0 && hit->devices == 0) {
				judge_mismatch(b, hit->mismatch, (int32_t)r, (int32_t)s);
			}
		}
	}
}

/* A claim that a keep takes back is told; not for a VF that goes away anyway. */
static void judge_kept(struct builder *b, int32_t i)
{
	const struct choice *c = &b->match->choice[i];

	if (c->beaten >= 0 && plan_wants(&b->plan, (size_t)i))
		add_note(b, NOTE_KEPT, LEVEL_INFO, i, c->rule, c->selector);
}

/* A vf@ selector that matches nothing: its PF has no VFs, or not so many, or does not have them yet. */
static void judge_missing_vf(struct builder *b, enum level level, int32_t pf, int32_t rule, int32_t selector)
{
	const struct selector *s = &b->plan.rules->selector[selector];
	const struct device *d = &b->plan.devices->dev[pf];
	int32_t wanted = b->plan.verdict[pf].vfs;
	bool others_make_them = d->num_vfs == 0 && wanted <= 0;
	int32_t limit = others_make_them ? d->total_vfs : plan_changes_vfs(&b->plan, (size_t)pf) || d->num_vfs == 0 ? wanted : d->num_vfs;

	if (d->total_vfs == 0)
		add_note(b, NOTE_NO_SRIOV, level == LEVEL_INFO ? level : LEVEL_ERR, pf, rule, selector);
	else if ((int32_t)s->vf_first >= limit)
		add_note(b, NOTE_NO_VF, level, -1, rule, selector);
	else if (others_make_them)
		add_note(b, NOTE_NO_VF, LEVEL_INFO, -1, rule, selector);
}

/* Selectors that do nothing: each is told, and for what claims it is more than information. */
static void judge_rules(struct builder *b)
{
	const struct rules *rules = b->plan.rules;

	for (size_t r = 0; r < rules->n; r++) {
		enum level level = rules->rule[r].keyword == KEYWORD_KEEP && !rules->settings.release ? LEVEL_INFO : LEVEL_WARNING;

		for (size_t s = rules->rule[r].first; s < rules->rule[r].first + rules->rule[r].n; s++) {
			const struct hit *hit = &b->match->hit[s];

			if (rules->rule[r].keyword == KEYWORD_VFS && hit->devices > 0 && hit->pfs == 0 &&
			    !selector_names_one(&rules->selector[s]))
				add_note(b, NOTE_NONE_SRIOV, level, -1, (int32_t)r, (int32_t)s);
			if (hit->left_vf >= 0 && b->match->choice[hit->left_vf].rule < 0)
				add_note(b, NOTE_LEFT_VFS, LEVEL_INFO, b->plan.devices->dev[hit->left_vf].pf, (int32_t)r, (int32_t)s);
			if (hit->devices > 0 || (hit->mismatch >= 0 && level != LEVEL_INFO))
				continue;
			if (hit->pf >= 0)
				judge_missing_vf(b, level, hit->pf, (int32_t)r, (int32_t)s);
			else
				add_note(b, hit->bridges ? NOTE_ONLY_BRIDGES : hit->vfs ? NOTE_ONLY_VFS : NOTE_NO_DEVICE,
					 level, -1, (int32_t)r, (int32_t)s);
		}
	}
}

static bool claims(const struct plan *plan, size_t i)
{
	return plan_wants(plan, i) && plan->verdict[i].action == ACTION_CLAIM;
}

/*
 * VFIO needs a group: a machine that has none is told once, else each device
 * without one. Where groups come with drivers, as kernels before 6.15 have it
 * for a device tree and for ACPI's IORT (of_dma_configure() and
 * acpi_dma_configure(), called by really_probe()), nothing can be told of a
 * device without a driver.
 */
static void judge_iommu(struct builder *b)
{
	const struct plan *plan = &b->plan;
	bool has_iommu = false, come_with_drivers = true;

	for (size_t i = 0; i < plan->devices->n; i++) {
		const struct device *d = &plan->devices->dev[i];

		has_iommu |= d->group >= 0;
		come_with_drivers &= d->group < 0 || d->driver[0];
	}
	for (size_t i = 0; i < plan->devices->n; i++) {
		const struct verdict *v = &plan->verdict[i];

		if (!claims(plan, i) || !driver_is_vfio(v->driver) || plan->devices->dev[i].group >= 0)
			continue;
		if (!has_iommu) {
			add_note(b, NOTE_NO_IOMMU, LEVEL_ERR, -1, -1, -1);
			return;
		}
		if (come_with_drivers && !plan->devices->dev[i].driver[0])
			continue;
		add_note(b, NOTE_NO_GROUP, LEVEL_ERR, (int32_t)i, v->rule, v->selector);
	}
}

static bool claims_for_driver(const struct plan *plan, size_t i)
{
	return claims(plan, i) && !driver_is_none(plan->verdict[i].driver);
}

/* Its name may turn out to be spelled otherwise, which takes another override. */
static bool lacks_driver(const struct builder *b, size_t i)
{
	return claims_for_driver(&b->plan, i) && !driver_registered(b->drivers, str_of(b->plan.verdict[i].driver));
}

/* What a claim takes from the host, once it is known that the group does not stand in its way. */
static void judge_claim(struct builder *b, int32_t i)
{
	const struct device *d = &b->plan.devices->dev[i];
	const struct verdict *v = &b->plan.verdict[i];

	if (!claims(&b->plan, (size_t)i))
		return;
	if (plan_needs(&b->plan, i))
		add_note(b, NOTE_UNPROTECTED, LEVEL_WARNING, i, v->rule, v->selector);
	if (d->boot_display)
		add_note(b, NOTE_DISPLAY, LEVEL_WARNING, i, v->rule, v->selector);
	if (device_is_bridge(d))
		add_note(b, NOTE_BRIDGE, LEVEL_WARNING, i, v->rule, v->selector);
}

bool plan_changes_vfs(const struct plan *plan, size_t i)
{
	const struct verdict *v = &plan->verdict[i];

	return plan_wants(plan, i) && v->vfs >= 0 && plan->devices->dev[i].num_vfs != v->vfs &&
	       has_pf_driver(plan, (int32_t)i) && !v->vfs_stay;
}

/* Whether a device is to be given back, and has not been yet. */
static bool is_released(const struct plan *plan, size_t i)
{
	const struct device *d = &plan->devices->dev[i];

	return plan->rules->settings.release && plan->verdict[i].action == ACTION_KEEP &&
	       (d->override[0] || !d->driver[0] || driver_is_for_guests(d->driver));
}

/* A VF behind a fence of ours that no rule may claim: it is the host's, which cannot have it without help. */
static bool waits_behind_fence(const struct plan *plan, size_t i)
{
	const struct device *d = &plan->devices->dev[i];

	return plan_wants(plan, i) && d->pf >= 0 && plan->verdict[d->pf].fence && !d->driver[0] && (!d->override[0] || d->hung) &&
	       plan->verdict[i].action != ACTION_CLAIM;
}

static bool module_is_planned(const struct plan *plan, const char *driver)
{
	for (size_t s = plan->steps; s-- > 0 && plan->step[s].operation == STEP_MODULE;)
		if (strcmp(plan->verdict[plan->step[s].dev].driver, driver) == 0)
			return true;
	return false;
}

/*
 * The fences come first: VFs may be made by any hand at any time. Then all
 * overrides: from then on no host driver can take a claimed device,
 * however long the rest takes. Then what holds devices lets go, and only then
 * the drivers are loaded, which bind everything that is free and theirs.
 */
static void add_steps(struct builder *b)
{
	const struct plan *plan = &b->plan;
	const struct device *dev = plan->devices->dev;
	const struct verdict *v = plan->verdict;
	size_t n = plan->devices->n;

	for (size_t i = 0; i < n; i++)
		if (plan_wants(plan, i) && v[i].fence && !dev[i].fenced && dev[i].total_vfs > 0)
			add_step(b, STEP_FENCE, (int32_t)i, 0);
	for (size_t i = 0; i < n; i++)
		if (claims(plan, i) && (strcmp(v[i].driver, dev[i].override) != 0 || lacks_driver(b, i)))
			add_step(b, STEP_OVERRIDE, (int32_t)i, 0);
	for (size_t i = 0; i < n; i++)
		if (is_released(plan, i) && dev[i].override[0])
			add_step(b, STEP_CLEAR, (int32_t)i, 0);
	for (size_t i = 0; i < n; i++)
		if (dev[i].driver[0] && (claims(plan, i) ? strcmp(v[i].driver, dev[i].driver) != 0 : is_released(plan, i)))
			add_step(b, STEP_UNBIND, (int32_t)i, 0);
	for (size_t i = 0; i < n; i++)
		if (lacks_driver(b, i) && !module_is_planned(plan, v[i].driver))
			add_step(b, STEP_MODULE, (int32_t)i, 0);
	for (size_t i = 0; i < n; i++)
		if (claims_for_driver(plan, i) && strcmp(v[i].driver, dev[i].driver) != 0)
			add_step(b, STEP_PROBE, (int32_t)i, 0);
	for (size_t i = 0; i < n; i++) {
		if (!plan_changes_vfs(plan, i))
			continue;
		/* the kernel refuses to go from one number to another (sriov_numvfs_store(): EBUSY) */
		if (dev[i].num_vfs > 0 && v[i].vfs > 0)
			add_step(b, STEP_NUMVFS, (int32_t)i, 0);
		add_step(b, STEP_NUMVFS, (int32_t)i, (uint32_t)v[i].vfs);
	}
	for (size_t i = 0; i < n; i++)
		if (waits_behind_fence(plan, i) || is_released(plan, i))
			add_step(b, STEP_HAND, (int32_t)i, 0);
}

static int compare_members(const void *a, const void *b)
{
	const struct member *x = a, *y = b;

	return x->group != y->group ? (x->group < y->group ? -1 : 1) : (x->dev < y->dev ? -1 : x->dev > y->dev);
}

int plan_build(struct plan *out, const struct rules *rules, const struct devices *devices, const struct match *match,
	       const struct drivers *drivers, const bool *only)
{
	size_t n = devices->n;
	struct builder b = {
		.plan = {
			.rules = rules,
			.devices = devices,
			.only = only,
			.verdict = calloc(n + 1, sizeof(*b.plan.verdict)),
			.by_group = calloc(n + 1, sizeof(*b.plan.by_group)),
			.step = calloc(9 * n + 1, sizeof(*b.plan.step)),
			.note = calloc(9 * n + 2 * rules->selectors + 1, sizeof(*b.plan.note)),
		},
		.match = match,
		.drivers = drivers,
	};

	if (!b.plan.verdict || !b.plan.by_group || !b.plan.step || !b.plan.note) {
		plan_free(&b.plan);
		return -ENOMEM;
	}
	for (size_t i = 0; i < n; i++) {
		b.plan.by_group[i] = (struct member){ devices->dev[i].group, (int32_t)i };
		judge_device(&b, (int32_t)i);
	}
	for (size_t i = 0; i < n; i++)
		if (devices->dev[i].pf >= 0 && plan_vf_stays(&b.plan, i))
			b.plan.verdict[devices->dev[i].pf].vfs_stay = true;
	for (size_t i = 0; i < n; i++)
		judge_vfs(&b, (int32_t)i);
	for (size_t i = 0; i < n; i++)
		judge_kept(&b, (int32_t)i);
	qsort(b.plan.by_group, n, sizeof(*b.plan.by_group), compare_members);
	judge_groups(&b);
	for (size_t i = 0; i < n; i++)
		judge_claim(&b, (int32_t)i);
	judge_mismatches(&b);
	if (!only)
		judge_rules(&b);
	judge_iommu(&b);
	add_steps(&b);
	*out = b.plan;
	return 0;
}

void plan_free(struct plan *plan)
{
	free(plan->verdict);
	free(plan->by_group);
	free(plan->step);
	free(plan->note);
}

bool plan_holds(const struct plan *plan)
{
	for (size_t i = 0; i < plan->notes; i++) {
		const struct note *note = &plan->note[i];

		if (note->level == LEVEL_ERR || (note->level == LEVEL_WARNING && note->dev < 0))
			return false;
	}
	return true;
}
