/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MATCH_H
#define MATCH_H

#include "rule.h"

/* Which rule holds for a device; indices are into struct rules, -1 is none. */
struct choice {
	int32_t rule;		/* the last claim, keep or vfs (for VFs) that matches */
	int32_t selector;	/* the one of it that matched */
	int32_t beaten;		/* a keep: the claim that it takes the device back from */
	int32_t vfs_rule;	/* a PF: the last vfs rule that matches it, */
	int32_t vfs_selector;	/* and its selector */
	bool fence;		/* a PF: a rule gives it VFs, or would claim a VF that it can have */
};

/* What became of a selector; -1 is none. */
struct hit {
	uint32_t devices;	/* how many it matched */
	uint32_t bridges;	/* how many bridges it fits but leaves out */
	uint32_t pfs;		/* a vfs rule's: how many of them can have VFs, */
	uint32_t vfs;		/* and how many VFs it matched, which have none of their own */
	int32_t pf;		/* vf@: the PF at the place */
	int32_t left_vf;	/* a claim's by slot: the first VF that it leaves out there */
	int32_t mismatch;	/* the first device at its place with other ids than asserted or pinned */
	bool moved;		/* what was pinned at its place is not there */
	int32_t group[8];	/* group@: the IOMMU groups of what is at the place, of a slot up to eight */
};

struct match {
	struct choice *choice;	/* one a device */
	struct hit *hit;	/* one a selector */
};

/* Match all devices with all rules. 0 or -ENOMEM; give what it made to match_free(). */
int match_build(struct match *out, const struct rules *rules, const struct devices *devices);
void match_free(struct match *match);

/* Whether all ids that are asked for are those of a device; the class is not asked for. */
bool match_pinned(const struct fact *pin, const struct ids *is);

/* Whether a device is at a place. In a slot are the functions of its device, and not the VFs that a PF there makes. */
bool match_place(const struct place *place, const struct devices *devices, const struct device *d);

/* Whether a selector names a single function by where it is: by an address or path, not a slot, a group or VFs. */
bool selector_names_one(const struct selector *s);

/* A PCI-to-PCI, CardBus or host bridge, by its class (<linux/pci_ids.h>, PCI_CLASS_BRIDGE_*). */
bool device_is_bridge(const struct device *d);

#endif
