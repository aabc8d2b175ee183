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

/* Of a VF that is still to be made not every id is known. */
static bool id_matches(uint32_t want, uint32_t is)
{
	return want == ANY_ID || is == ANY_ID || want == is;
}

bool match_ids(const struct selector *s, const struct ids *is)
{
	return id_matches(s->ids.vendor, is->vendor) && id_matches(s->ids.device, is->device) &&
	       id_matches(s->ids.subvendor, is->subvendor) && id_matches(s->ids.subdevice, is->subdevice) &&
	       ((s->ids.class ^ is->class) & s->class_mask) == 0;
}

/*
 * From the device up, as pci_dev_str_match_path() in the kernel's
 * drivers/pci/pci.c does. A VF on another bus than its PF's sits on a bus of
 * its own, which no path reaches.
 */
static bool place_matches(const struct place *place, const struct devices *devices, const struct device *d)
{
	unsigned hop = place->hops - 1u;

	if (place->any_function ? d->addr.devfn >> 3 != place->devfn[hop] >> 3 : d->addr.devfn != place->devfn[hop])
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

static bool selector_matches(const struct selector *s, const struct hit *hit, const struct devices *devices, const struct device *d)
{
	switch (s->kind) {
	case SELECT_PLACE:
		return place_matches(&s->place, devices, d);
	case SELECT_VF:
		return d->pf >= 0 && d->vf_index >= (int32_t)s->vf_first && d->vf_index <= (int32_t)s->vf_last &&
		       place_matches(&s->place, devices, &devices->dev[d->pf]);
	case SELECT_GROUP:
		return in_groups(hit, d->group) && !device_is_bridge(d);
	default:
		return match_ids(s, &d->ids) && (s->has_place ? place_matches(&s->place, devices, d) : !device_is_bridge(d));
	}
}

/* What there is to tell of a selector that does not match a device. */
static void note_near_miss(struct hit *hit, const struct rule *rule, const struct selector *s, const struct devices *devices, int32_t i)
{
	const struct device *d = &devices->dev[i];

	if (s->kind == SELECT_VF && place_matches(&s->place, devices, d))
		hit->pf = i;
	if (rule->keyword == KEYWORD_VFS && d->pf >= 0 && selector_matches(s, hit, devices, d))
		hit->vfs++;
	if (s->kind != SELECT_IDS)
		return;
	if (s->has_place && hit->mismatch < 0 && !match_ids(s, &d->ids) && place_matches(&s->place, devices, d))
		hit->mismatch = i;
	if (!s->has_place && device_is_bridge(d) && match_ids(s, &d->ids))
		hit->bridges++;
}

/* Whether a selector means a device as far as claim and keep go: a vfs rule means PFs, and claims the VFs of those. */
static bool selector_takes(const struct rule *rule, const struct selector *s, const struct hit *hit, const struct devices *devices,
			   const struct device *d)
{
	if (rule->keyword != KEYWORD_VFS)
		return selector_matches(s, hit, devices, d);
	return d->pf >= 0 && selector_matches(s, hit, devices, &devices->dev[d->pf]);
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
static bool claims_future_vf(const struct match *m, const struct rules *rules, const struct devices *devices, int32_t pf)
{
	for (int32_t index = 0; index < devices->dev[pf].total_vfs; index++) {
		struct device vf = future_vf(devices, pf, index);

		for (size_t r = rules->n; r-- > 0;) {
			const struct rule *rule = &rules->rule[r];
			bool takes = false;

			for (size_t s = rule->first; s < rule->first + rule->n && !takes; s++)
				takes = selector_takes(rule, &rules->selector[s], &m->hit[s], devices, &vf);
			if (takes && rule->keyword != KEYWORD_KEEP)
				return true;
			if (takes)
				break;
		}
	}
	return false;
}

static void match_device(struct match *m, const struct rules *rules, const struct devices *devices, int32_t i)
{
	const struct device *d = &devices->dev[i];
	struct choice *c = &m->choice[i];

	*c = (struct choice){ .rule = -1, .selector = -1, .beaten = -1, .vfs_rule = -1, .vfs_selector = -1 };
	for (size_t r = 0; r < rules->n; r++) {
		const struct rule *rule = &rules->rule[r];

		for (size_t s = rule->first; s < rule->first + rule->n; s++) {
			const struct selector *sel = &rules->selector[s];
			struct hit *hit = &m->hit[s];

			if (rule->keyword == KEYWORD_VFS && d->pf < 0 && selector_matches(sel, hit, devices, d)) {
				hit->devices++;
				c->vfs_rule = (int32_t)r;
				c->vfs_selector = (int32_t)s;
			}
			if (!selector_takes(rule, sel, hit, devices, d)) {
				note_near_miss(hit, rule, sel, devices, i);
				continue;
			}
			if (rule->keyword != KEYWORD_VFS)
				hit->devices++;
			if (rule->keyword != KEYWORD_KEEP)
				c->beaten = -1;
			else if (c->rule >= 0 && rules->rule[c->rule].keyword != KEYWORD_KEEP)
				c->beaten = c->rule;
			c->rule = (int32_t)r;
			c->selector = (int32_t)s;
		}
	}
	c->fence = c->vfs_rule >= 0 || claims_future_vf(m, rules, devices, i);
}

int match_build(struct match *out, const struct rules *rules, const struct devices *devices)
{
	struct match m = {
		.choice = calloc(devices->n + 1, sizeof(*m.choice)),
		.hit = calloc(rules->selectors + 1, sizeof(*m.hit)),
	};

	if (!m.choice || !m.hit) {
		match_free(&m);
		return -ENOMEM;
	}
	for (size_t s = 0; s < rules->selectors; s++) {
		const struct selector *sel = &rules->selector[s];
		size_t groups = 0;

		m.hit[s] = (struct hit){ .pf = -1, .mismatch = -1, .group = { -1, -1, -1, -1, -1, -1, -1, -1 } };
		for (size_t i = 0; sel->kind == SELECT_GROUP && groups < 8 && i < devices->n; i++)
			if (place_matches(&sel->place, devices, &devices->dev[i]))
				m.hit[s].group[groups++] = devices->dev[i].group;
	}
	for (size_t i = 0; i < devices->n; i++)
		match_device(&m, rules, devices, (int32_t)i);
	*out = m;
	return 0;
}

void match_free(struct match *match)
{
	free(match->choice);
	free(match->hit);
}
