// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Decides which rule holds for each device: the last one that matches. It
 * looks at every pair, since a selector that matches nothing, or finds other
 * ids than asserted, must be told too. It decides nothing about drivers.
 */
#include "match.h"

#include <errno.h>
#include <stdlib.h>

bool device_is_bridge(const struct device *d)
{
	switch (d->ids.class >> 8) {
	case 0x0600:	/* host */
	case 0x0604:	/* PCI-to-PCI */
	case 0x0607:	/* CardBus */
	case 0x0609:	/* PCI-to-PCI, semi-transparent */
		return true;
	default:
		return false;
	}
}

bool selector_names_one(const struct selector *s)
{
	return (s->kind == SELECT_PLACE || (s->kind == SELECT_IDS && s->has_place)) && !s->place.any_function;
}

/* Of a VF that is still to be made not every id is known. */
static bool id_matches(uint32_t want, uint32_t is)
{
	return want == ANY_ID || is == ANY_ID || want == is;
}

/* Whether a selector's ids and class fit, whatever its place. */
static bool match_ids(const struct selector *s, const struct ids *is)
{
	return id_matches(s->ids.vendor, is->vendor) && id_matches(s->ids.device, is->device) &&
	       id_matches(s->ids.subvendor, is->subvendor) && id_matches(s->ids.subdevice, is->subdevice) &&
	       ((s->ids.class ^ is->class) & s->class_mask) == 0;
}

bool match_pinned(const struct fact *pin, const struct ids *is)
{
	return id_matches(pin->ids.vendor, is->vendor) && id_matches(pin->ids.device, is->device) &&
	       id_matches(pin->ids.subvendor, is->subvendor) && id_matches(pin->ids.subdevice, is->subdevice);
}

/* Whether a place is the slot of a PF, and a device a VF that this PF makes there. */
static bool is_vf_in_slot(const struct place *place, const struct devices *devices, const struct device *d)
{
	const struct device *pf = d->pf < 0 ? NULL : &devices->dev[d->pf];

	return place->any_function && pf && d->addr.bus == pf->addr.bus && d->addr.devfn >> 3 == pf->addr.devfn >> 3 &&
	       match_place(place, devices, pf);
}

/*
 * From the device up, as pci_dev_str_match_path() in the kernel's
 * drivers/pci/pci.c does. A VF on another bus than its PF's sits on a bus of
 * its own, which no path reaches.
 */
bool match_place(const struct place *place, const struct devices *devices, const struct device *d)
{
	unsigned hop = place->hops - 1u;

	if (place->any_function ? d->addr.devfn >> 3 != place->devfn[hop] >> 3 : d->addr.devfn != place->devfn[hop])
		return false;
	if (is_vf_in_slot(place, devices, d))
		return false;
	if (hop > 0 && d->pf >= 0 && devices->dev[d->pf].addr.bus != d->addr.bus)
		return false;
	while (hop-- > 0) {
		if (d->parent < 0)
			return false;
		d = &devices->dev[d->parent];
		if (d->addr.devfn != place->devfn[hop])
			return false;
	}
	return d->addr.domain == place->domain && d->addr.bus == place->bus;
}

static bool in_groups(const struct hit *hit, int32_t group)
{
	for (size_t g = 0; g < 8 && group >= 0; g++)
		if (hit->group[g] == group)
			return true;
	return false;
}

/* A match under construction. */
struct matcher {
	const struct rules *rules;
	const struct devices *devices;
	struct match match;
};

/* Whether a device has the ids of one that is pinned at a selector's place. */
static bool has_pinned_ids(const struct matcher *m, const struct selector *s, const struct device *d)
{
	const struct fact *pin;

	for (uint8_t fn = 0; fn < 8; fn++) {
		pin = rules_pin(m->rules, s, (uint8_t)((s->place.devfn[s->place.hops - 1] & ~7) | fn));
		if (pin && match_pinned(pin, &d->ids))
			return true;
	}
	return false;
}

/*
 * Whether a device is at a selector's place. Where what is pinned there has
 * moved nothing is, and a keep takes for it whatever has its ids.
 */
static bool is_at_place(const struct matcher *m, const struct rule *rule, size_t s, const struct device *d)
{
	const struct selector *sel = &m->rules->selector[s];

	if (m->match.hit[s].moved)
		return rule->keyword == KEYWORD_KEEP && has_pinned_ids(m, sel, d);
	return match_place(&sel->place, m->devices, d);
}

/* Whether a selector's words fit a device, bridges included. */
static bool selector_fits(const struct matcher *m, const struct rule *rule, size_t s, const struct device *d)
{
	const struct selector *sel = &m->rules->selector[s];
	const struct hit *hit = &m->match.hit[s];

	switch (sel->kind) {
	case SELECT_PLACE:
		return is_at_place(m, rule, s, d);
	case SELECT_VF:
		return d->pf >= 0 && d->vf_index >= (int32_t)sel->vf_first && d->vf_index <= (int32_t)sel->vf_last &&
		       is_at_place(m, rule, s, &m->devices->dev[d->pf]);
	case SELECT_GROUP:
		return !hit->moved && in_groups(hit, d->group);
	default:
		return match_ids(sel, &d->ids) && (!sel->has_place || match_place(&sel->place, m->devices, d));
	}
}

/* Bridges are meant only by rules that name one of them, and by those that leave devices to the host. */
static bool leaves_out(const struct rule *rule, const struct selector *sel, const struct device *d)
{
	return device_is_bridge(d) && rule->keyword != KEYWORD_KEEP && !selector_names_one(sel);
}

static bool selector_matches(const struct matcher *m, const struct rule *rule, size_t s, const struct device *d)
{
	return selector_fits(m, rule, s, d) && !leaves_out(rule, &m->rules->selector[s], d);
}

/* Whether a selector means a device as far as claim and keep go: a vfs rule means PFs, and claims the VFs of those. */
static bool selector_takes(const struct matcher *m, const struct rule *rule, size_t s, const struct device *d)
{
	if (rule->keyword != KEYWORD_VFS)
		return selector_matches(m, rule, s, d);
	return d->pf >= 0 && selector_matches(m, rule, s, &m->devices->dev[d->pf]);
}

/* What there is to tell of a selector that does not match a device. */
static void note_near_miss(struct matcher *m, const struct rule *rule, size_t s, int32_t i)
{
	const struct selector *sel = &m->rules->selector[s];
	const struct device *d = &m->devices->dev[i];
	struct hit *hit = &m->match.hit[s];

	if (sel->kind == SELECT_VF && match_place(&sel->place, m->devices, d))
		hit->pf = i;
	if (rule->keyword == KEYWORD_VFS && d->pf >= 0 && selector_matches(m, rule, s, d))
		hit->vfs++;
	if (rule->keyword == KEYWORD_CLAIM && hit->left_vf < 0 && !hit->moved && is_vf_in_slot(&sel->place, m->devices, d) &&
	    (sel->kind == SELECT_PLACE || (sel->kind == SELECT_IDS && match_ids(sel, &d->ids))))
		hit->left_vf = i;
	if (leaves_out(rule, sel, d))
		hit->bridges += selector_fits(m, rule, s, d);
	else if (sel->kind == SELECT_IDS && sel->has_place && hit->mismatch < 0 && !match_ids(sel, &d->ids) &&
		 match_place(&sel->place, m->devices, d))
		hit->mismatch = i;
}

/*
 * A VF of a PF as it will be once it is made (pci_iov_add_virtfn() in the
 * kernel's drivers/pci/iov.c; the class of a VF is that of its PF).
 */
static struct device future_vf(const struct devices *devices, int32_t pf, int32_t index)
{
	const struct device *d = &devices->dev[pf];
	uint32_t at = (uint32_t)(d->addr.bus << 8 | d->addr.devfn) + (uint32_t)d->vf_offset + (uint32_t)index * (uint32_t)d->vf_stride;
	struct device vf = {
		.addr = { .domain = d->addr.domain, .bus = (uint8_t)(at >> 8), .devfn = (uint8_t)at },
		.ids = d->ids,
		.parent = d->parent,
		.pf = pf,
		.vf_index = index,
		.group = -1,
	};

	vf.ids.device = d->vf_device < 0 ? ANY_ID : (uint32_t)d->vf_device;
	vf.ids.subdevice = ANY_ID;
	/* no rule can have this domain by chance */
	if (d->vf_offset <= 0 || at > UINT16_MAX)
		vf.addr.domain = UINT32_MAX;
	return vf;
}

/* Whether the rules claim some VF that a PF can have. */
static bool claims_future_vf(const struct matcher *m, int32_t pf)
{
	for (int32_t index = 0; index < m->devices->dev[pf].total_vfs; index++) {
		struct device vf = future_vf(m->devices, pf, index);

		for (size_t r = m->rules->n; r-- > 0;) {
			const struct rule *rule = &m->rules->rule[r];
			bool takes = false;

			for (size_t s = rule->first; s < rule->first + rule->n && !takes; s++)
				takes = selector_takes(m, rule, s, &vf);
			if (takes && rule->keyword != KEYWORD_KEEP)
				return true;
			if (takes)
				break;
		}
	}
	return false;
}

static void match_device(struct matcher *m, int32_t i)
{
	const struct device *d = &m->devices->dev[i];
	const struct rules *rules = m->rules;
	struct choice *c = &m->match.choice[i];

	*c = (struct choice){ .rule = -1, .selector = -1, .beaten = -1, .vfs_rule = -1, .vfs_selector = -1 };
	for (size_t r = 0; r < rules->n; r++) {
		const struct rule *rule = &rules->rule[r];

		for (size_t s = rule->first; s < rule->first + rule->n; s++) {
			if (rule->keyword == KEYWORD_VFS && d->pf < 0 && selector_matches(m, rule, s, d)) {
				m->match.hit[s].devices++;
				m->match.hit[s].pfs += d->total_vfs > 0;
				c->vfs_rule = (int32_t)r;
				c->vfs_selector = (int32_t)s;
			}
			if (!selector_takes(m, rule, s, d)) {
				note_near_miss(m, rule, s, i);
				continue;
			}
			if (rule->keyword != KEYWORD_VFS)
				m->match.hit[s].devices++;
			if (rule->keyword != KEYWORD_KEEP)
				c->beaten = -1;
			else if (c->rule >= 0 && rules->rule[c->rule].keyword != KEYWORD_KEEP)
				c->beaten = c->rule;
			c->rule = (int32_t)r;
			c->selector = (int32_t)s;
		}
	}
	/* a rule that names VFs by number may mean it or not */
	if (d->pf >= 0 && d->vf_index < 0)
		c->rule = c->selector = c->beaten = -1;
	c->fence = c->vfs_rule >= 0 || claims_future_vf(m, i);
}

/*
 * What is at a selector's place: the groups there, and whether another device
 * is there than the one that is pinned. A keep errs on the host's side: its
 * device has also moved where none is left in its place. Parameters have no pins.
 */
static void look_at_place(struct matcher *m, const struct rule *rule, size_t s)
{
	const struct selector *sel = &m->rules->selector[s];
	struct hit *hit = &m->match.hit[s];
	size_t groups = 0, there = 0;

	for (size_t i = 0; i < m->devices->n; i++) {
		const struct device *d = &m->devices->dev[i];
		const struct fact *pin;

		/* but of a group a bridge may tell the number too */
		if (!match_place(&sel->place, m->devices, d) || (sel->kind != SELECT_GROUP && leaves_out(rule, sel, d)))
			continue;
		there++;
		if (groups < 8)
			hit->group[groups++] = d->group;
		pin = rule->line ? rules_pin(m->rules, sel, d->addr.devfn) : NULL;
		if (!pin || (pin->place.devfn[pin->place.hops - 1] == d->addr.devfn && match_pinned(pin, &d->ids)))
			continue;
		hit->moved = true;
		if (hit->mismatch < 0)
			hit->mismatch = (int32_t)i;
	}
	if (rule->keyword == KEYWORD_KEEP && rule->line && there == 0)
		hit->moved = rules_pin(m->rules, sel, 0) != NULL;
}

int match_build(struct match *out, const struct rules *rules, const struct devices *devices)
{
	struct matcher m = {
		.rules = rules,
		.devices = devices,
		.match = {
			.choice = calloc(devices->n + 1, sizeof(*m.match.choice)),
			.hit = calloc(rules->selectors + 1, sizeof(*m.match.hit)),
		},
	};

	if (!m.match.choice || !m.match.hit) {
		match_free(&m.match);
		return -ENOMEM;
	}
	for (size_t r = 0; r < rules->n; r++) {
		const struct rule *rule = &rules->rule[r];

		for (size_t s = rule->first; s < rule->first + rule->n; s++) {
			m.match.hit[s] = (struct hit){
				.pf = -1, .left_vf = -1, .mismatch = -1, .group = { -1, -1, -1, -1, -1, -1, -1, -1 },
			};
			if (rules->selector[s].kind != SELECT_IDS)
				look_at_place(&m, rule, s);
		}
	}
	for (size_t i = 0; i < devices->n; i++)
		match_device(&m, (int32_t)i);
	*out = m.match;
	return 0;
}

void match_free(struct match *match)
{
	free(match->choice);
	free(match->hit);
}
