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

static bool id_matches(uint32_t want, uint32_t is)
{
	return want == ANY_ID || want == is;
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
static bool place_matches(const struct place *place, const struct devices *devices, int32_t i)
{
	const struct device *d = &devices->dev[i];
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

static bool selector_matches(const struct selector *s, struct hit *hit, const struct devices *devices, int32_t i)
{
	const struct device *d = &devices->dev[i];

	switch (s->kind) {
	case SELECT_PLACE:
		return place_matches(&s->place, devices, i);
	case SELECT_VF:
		return d->pf >= 0 && d->vf_index >= (int32_t)s->vf_first && d->vf_index <= (int32_t)s->vf_last &&
		       place_matches(&s->place, devices, d->pf);
	case SELECT_GROUP:
		return in_groups(hit, d->group) && !device_is_bridge(d);
	default:
		if (s->has_place && !place_matches(&s->place, devices, i))
			return false;
		if (!match_ids(s, &d->ids)) {
			if (s->has_place && hit->mismatch < 0)
				hit->mismatch = i;
			return false;
		}
		if (!s->has_place && device_is_bridge(d)) {
			hit->bridges++;
			return false;
		}
		return true;
	}
}

static void match_device(struct match *m, const struct rules *rules, const struct devices *devices, int32_t i)
{
	struct choice *c = &m->choice[i];
	int32_t pf = devices->dev[i].pf;

	*c = (struct choice){ .rule = -1, .selector = -1, .beaten = -1, .vfs_rule = -1, .vfs_selector = -1 };
	for (size_t r = 0; r < rules->n; r++) {
		const struct rule *rule = &rules->rule[r];

		for (size_t s = rule->first; s < rule->first + rule->n; s++) {
			const struct selector *sel = &rules->selector[s];
			bool matches = selector_matches(sel, &m->hit[s], devices, i);

			if (sel->kind == SELECT_VF && place_matches(&sel->place, devices, i)) {
				m->hit[s].pf = i;
				c->fence |= rule->keyword == KEYWORD_CLAIM;
			}
			/* VFs have no VFs: a vfs rule means PFs, and claims the VFs of those */
			if (rule->keyword == KEYWORD_VFS && pf >= 0)
				matches = false;
			m->hit[s].devices += matches;
			if (rule->keyword == KEYWORD_VFS) {
				if (matches) {
					c->vfs_rule = (int32_t)r;
					c->vfs_selector = (int32_t)s;
					c->fence = true;
				}
				matches = pf >= 0 && selector_matches(sel, &m->hit[s], devices, pf);
			}
			if (!matches)
				continue;
			if (rule->keyword != KEYWORD_KEEP)
				c->beaten = -1;
			else if (c->rule >= 0 && rules->rule[c->rule].keyword != KEYWORD_KEEP)
				c->beaten = c->rule;
			c->rule = (int32_t)r;
			c->selector = (int32_t)s;
		}
	}
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
			if (place_matches(&sel->place, devices, (int32_t)i))
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
