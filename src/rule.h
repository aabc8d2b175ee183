/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef RULE_H
#define RULE_H

#include "preclaim.h"

#define VFS_MAX UINT32_MAX	/* "max": as many as sriov_totalvfs says */

/* Where a device is: an address, a slot (any function), or a path down the bridges from a root bus. */
struct place {
	uint32_t domain;
	uint8_t bus;			/* of the first hop */
	uint8_t hops;			/* at least 1; an address has just one */
	bool any_function;		/* of the last hop */
	uint8_t devfn[HOPS_MAX];
};

enum selector_kind {
	SELECT_IDS,	/* ids, class, and with a place both must hold */
	SELECT_PLACE,
	SELECT_VF,	/* VFs vf_first to vf_last of the PF at the place */
	SELECT_GROUP,	/* the IOMMU group of the device at the place */
};

struct selector {
	enum selector_kind kind;
	bool has_place;
	struct ids ids;			/* ANY_ID in a field matches all */
	uint32_t class_mask;		/* bits of the class to compare */
	struct place place;
	uint32_t vf_first, vf_last;
	uint32_t count;			/* vfs: how many, or VFS_MAX */
	struct str text;		/* as written, without "=COUNT" */
};

enum keyword {
	KEYWORD_CLAIM, KEYWORD_KEEP, KEYWORD_VFS,
	KEYWORD_TIMEOUT, KEYWORD_ON_FAILURE, KEYWORD_GROUP, KEYWORD_OFF,
	KEYWORDS
};

struct rule {
	enum keyword keyword;
	const char *source;		/* a file's path, or as "cmdline:preclaim.claim" the parameter */
	unsigned line;			/* 0 for a parameter */
	size_t first, n;		/* its selectors in struct rules */
	struct str driver;		/* as written; vfio-pci where left out */
	struct str value;		/* of a setting, as written */
};

/* A place in the input that could not be understood, and why. */
struct fault {
	const char *source;
	unsigned line;			/* 0 for a parameter, or where the whole source is meant */
	unsigned column;		/* from 1, in bytes */
	char *what;
};

/*
 * What an image knows of the machine that it was made on: which ids the device
 * at a rule's place had, what a device carries that the machine needs, or why
 * it is not known which devices of a class it needs.
 */
struct fact {
	enum fact_kind { FACT_PIN, FACT_PROTECT, FACT_UNKNOWN } kind;
	struct place place;		/* of one function */
	struct ids ids;			/* without the class */
	enum unknown unknown;
	struct str reason;		/* printable; of a protection: what the device carries */
};

enum on_failure { FAILURE_HOLD, FAILURE_RELEASE };
enum group_policy { GROUP_WARN, GROUP_CLAIM, GROUP_REFUSE };

/* Which claims take a device that the machine needs or that is in use. */
enum take_policy { TAKE_BY_PLACE, TAKE_NEVER, TAKE_BUT_ROOT };

struct settings {
	uint32_t timeout_ms;
	enum on_failure on_failure;
	enum group_policy group;
	enum take_policy take;
	bool release;		/* what is kept is taken from the driver that it was claimed for */
	bool off;
};

/* All rules of one run in their order: of two that match a device the later one holds. */
struct rules {
	struct rule *rule;
	size_t n;
	struct selector *selector;
	size_t selectors;
	struct fact *fact;
	size_t facts;
	struct fault *fault;
	size_t faults;
	struct settings settings;
};

struct rules rules_new(void);
void rules_free(struct rules *rules);

/*
 * Add the rules of a file's text, or of a kernel command line. What cannot be
 * parsed becomes a fault and is skipped, the rest stands. The rules keep
 * pointing into text and source: both must outlive them. 0 or -ENOMEM.
 */
int rules_add_file(struct rules *rules, const char *source, struct str text);
int rules_add_cmdline(struct rules *rules, struct str cmdline);

/*
 * Add a rule, or a fault, as the policy of a boot has it: words separated by
 * blanks, with the place where it was first read (line 0: a parameter). As above.
 */
int rules_add_line(struct rules *rules, const char *source, unsigned line, struct str text);
int rules_add_fault(struct rules *rules, const char *source, unsigned line, unsigned column, struct str what);

/*
 * Add facts: lines "pin PLACE IDS", "protect ADDRESS IDS REASON" and "unknown
 * storage|usb|network REASON". As rules_add_file().
 */
int rules_add_facts(struct rules *rules, const char *source, struct str text);

/*
 * What is pinned at the place of a selector: for that function of it, else for
 * any. NULL where nothing is.
 */
const struct fact *rules_pin(const struct rules *rules, const struct selector *s, uint8_t devfn);

/* The keyword as it is written in a rule. */
const char *keyword_name(enum keyword keyword);

/* A class of devices as it is written in a fact. */
extern const char unknown_name[UNKNOWN_KINDS][8];

#endif
