// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Puts plans into words: devices, rules, notes, and the whole plan as check
 * prints it. Every message about a device begins the same way. No system call.
 */
#include "describe.h"

enum { CONFLICTS_SHOWN = 4 };

const char *describe_action(enum action action)
{
	static const char *const name[] = {
		[ACTION_NONE] = "vfs", [ACTION_CLAIM] = "claim", [ACTION_KEEP] = "keep", [ACTION_REFUSE] = "refuse",
	};

	return name[action];
}

void describe_device(const struct plan *plan, int32_t dev, struct text *t)
{
	const struct device *d = &plan->devices->dev[dev];
	char addr[ADDR_MAX];

	text_add(t, "%s [%04x:%04x]", text_addr(addr, d->addr), d->ids.vendor, d->ids.device);
}

static void place_of_rule(const struct rule *r, struct text *t)
{
	text_add(t, "%s", r->source);
	if (r->line)
		text_add(t, ":%u", r->line);
}

void describe_source(const struct plan *plan, int32_t rule, struct text *t)
{
	place_of_rule(&plan->rules->rule[rule], t);
}

void describe_fault_place(const struct fault *f, struct text *t)
{
	text_add(t, "%s", f->source);
	if (f->line)
		text_add(t, ":%u", f->line);
	text_add(t, ":%u", f->column);
}

void describe_rule(const struct plan *plan, int32_t rule, int32_t selector, struct text *t)
{
	struct str written = plan->rules->selector[selector].text;

	text_add(t, "rule %s %.*s, ", keyword_name(plan->rules->rule[rule].keyword), (int)written.len, written.p);
	describe_source(plan, rule, t);
}

/* Which VFs of a PF are in use, and by what. */
static void users_text(const struct plan *plan, int32_t pf, struct text *t)
{
	char addr[ADDR_MAX];
	size_t n = 0;

	for (size_t i = 0; i < plan->devices->n; i++) {
		const struct device *d = &plan->devices->dev[i];

		if (d->pf != pf || !plan_vf_stays(plan, i) || n++ >= CONFLICTS_SHOWN)
			continue;
		text_add(t, "%s%s by %s", n > 1 ? ", " : "", text_addr(addr, d->addr),
			 driver_is_vfio(d->driver) ? "a guest" : d->driver);
	}
	if (n > CONFLICTS_SHOWN)
		text_add(t, " and %zu more", n - CONFLICTS_SHOWN);
}

static void ids_text(const struct ids *ids, struct text *t)
{
	text_add(t, "%04x:%04x:%04x:%04x", ids->vendor, ids->device, ids->subvendor, ids->subdevice);
}

/* What a rule expected at its place: what it asserts, or what is pinned there; and what is there. */
static void mismatch_text(const struct plan *plan, const struct note *note, struct text *t)
{
	const struct selector *s = &plan->rules->selector[note->selector];
	const struct device *d = &plan->devices->dev[note->dev];
	const struct fact *pin = s->has_place && s->kind == SELECT_IDS ? NULL : rules_pin(plan->rules, s, d->addr.devfn);

	text_add(t, plan->verdict[note->dev].action == ACTION_REFUSE ? "refused: " : "rule refused: ");
	if (!pin) {
		text_add(t, "%.*s was expected here", (int)str_find(s->text, '@'), s->text.p);
		if (str_starts(s->text, "class="))
			text_add(t, ", the class is %06x", d->ids.class);
		return;
	}
	ids_text(&pin->ids, t);
	text_add(t, " was here when the image was made, now ");
	ids_text(&d->ids, t);
	text_add(t, " is; \"update-initramfs -u\" accepts it");
}

static void carries_text(const struct device *d, struct text *t)
{
	text_add(t, d->carries_by_ids ? "has the ids of what carried " : "carries ");
	text_add(t, "%s", d->carries);
	if (d->carries_by_ids)
		text_add(t, " when the image was made, which is not where it was");
}

static void unknown_text(const struct plan *plan, const struct device *d, struct text *t)
{
	const enum unknown kind = plan_unknown(plan->devices, d);

	text_add(t, "refused: what this machine needs of its %s is not known: %s; name it by its address, "
		 "or make the image on the machine itself", unknown_name[kind], plan->devices->unknown[kind]);
}

/* A device that keeps its group from being viable: why it cannot be had, if so, and who has it. */
static void conflict_text(const struct plan *plan, int32_t i, struct text *t)
{
	const struct device *d = &plan->devices->dev[i];
	const struct verdict *v = &plan->verdict[i];

	describe_device(plan, i, t);
	text_add(t, " ");
	if (plan_needs(plan, i)) {
		carries_text(d, t);
		text_add(t, " and ");
	} else if (plan_has_vfs_beside(plan, i)) {
		text_add(t, "is the PF of VFs in it and ");
	} else if (v->action == ACTION_KEEP) {
		text_add(t, "is kept by ");
		describe_rule(plan, v->rule, v->selector, t);
		text_add(t, " and ");
	} else if (v->action == ACTION_REFUSE) {
		text_add(t, "is refused and ");
	}
	if (d->driver[0])
		text_add(t, "is held by %s", d->driver);
	else
		text_add(t, "is free for a host driver");
}

/*
 * The devices that keep the group of device i from being viable, or only those
 * that are not to be had, as a list; then what helps, where something does.
 */
static void conflicts_text(const struct plan *plan, int32_t i, bool blocking, struct text *t)
{
	int32_t group = plan->devices->dev[i].group;
	bool parted = false, blocked = false;
	size_t first = 0, n = 0;

	while (plan->by_group[first].group != group)
		first++;
	for (size_t k = first; k < plan->devices->n && plan->by_group[k].group == group; k++) {
		int32_t other = plan->by_group[k].dev;

		if (!(blocking ? plan_blocks(plan, other) : plan_conflicts(plan, other)))
			continue;
		parted |= plan_needs(plan, other) || plan_has_vfs_beside(plan, other);
		blocked |= plan_blocks(plan, other);
		if (n++ >= CONFLICTS_SHOWN)
			continue;
		text_add(t, n > 1 ? ", " : "");
		conflict_text(plan, other, t);
	}
	if (n > CONFLICTS_SHOWN)
		text_add(t, " and %zu more", n - CONFLICTS_SHOWN);
	if (parted)
		text_add(t, "; only another slot, or ACS, would part them");
	else if (!blocked && plan->rules->settings.group == GROUP_WARN)
		text_add(t, "; claim them too, or set \"group claim\"");
}

void describe_note(const struct plan *plan, const struct note *note, struct text *t)
{
	static struct device none;	/* not const: its zeros would be in the file */
	char addr[ADDR_MAX];
	const struct device *d = note->dev >= 0 ? &plan->devices->dev[note->dev] : &none;

	if (note->dev >= 0) {
		describe_device(plan, note->dev, t);
		text_add(t, ": ");
	}
	switch (note->kind) {
	case NOTE_NO_DEVICE:
		text_add(t, "no device matches");
		break;
	case NOTE_ONLY_BRIDGES:
		text_add(t, "only bridges match, and they are never claimed by ids, class, slot or group");
		break;
	case NOTE_ONLY_VFS:
		text_add(t, "only VFs match, and a VF has none of its own");
		break;
	case NOTE_LEFT_VFS:
		text_add(t, "its VFs in this slot are left out: vf@%s names them", text_addr(addr, d->addr));
		break;
	case NOTE_MISMATCH:
		mismatch_text(plan, note, t);
		break;
	case NOTE_MOVED:
		text_add(t, "what was here when the image was made is not; every device with its ids is kept");
		break;
	case NOTE_PROTECTED:
		text_add(t, "refused: ");
		carries_text(d, t);
		break;
	case NOTE_UNKNOWN:
		unknown_text(plan, d, t);
		break;
	case NOTE_UNPROTECTED:
		carries_text(d, t);
		text_add(t, "; claimed all the same");
		break;
	case NOTE_BRIDGE:
		text_add(t, "is a bridge; claimed, as it is named by its address");
		break;
	case NOTE_BRIDGE_REFUSED:
		text_add(t, "refused: it is a bridge, which no VFIO driver can have");
		break;
	case NOTE_DISPLAY:
		text_add(t, "is the display that this machine boots on; once it is claimed, there is no console on it");
		break;
	case NOTE_GUEST:
		text_add(t, "refused: a guest has it open, through /dev/vfio/%d", d->group);
		break;
	case NOTE_GROUP_SHARED:
		text_add(t, "group %d is not viable for VFIO: ", d->group);
		conflicts_text(plan, note->dev, false, t);
		break;
	case NOTE_GROUP_BLOCKED:
		text_add(t, "refused: group %d cannot become viable for VFIO: ", d->group);
		conflicts_text(plan, note->dev, true, t);
		break;
	case NOTE_GROUP_REFUSED:
		text_add(t, "refused: group %d is shared: ", d->group);
		conflicts_text(plan, note->dev, false, t);
		break;
	case NOTE_KEPT:
		text_add(t, "kept for the host");
		break;
	case NOTE_NO_VF:
		text_add(t, "the PF has no such VF now");
		break;
	case NOTE_NO_SRIOV:
		text_add(t, "cannot have VFs: it has no SR-IOV capability, or the firmware or pci=nosriov keeps it off");
		break;
	case NOTE_NONE_SRIOV:
		text_add(t, "no device that matches can have VFs");
		break;
	case NOTE_VFS_CUT:
		text_add(t, "can have %d VFs, not %u", d->total_vfs, plan->rules->selector[note->selector].count);
		break;
	case NOTE_VFS_IN_USE:
		text_add(t, "has %d VFs, not %d, and they are in use: ", d->num_vfs, plan->verdict[note->dev].vfs);
		users_text(plan, note->dev, t);
		break;
	case NOTE_VFS_WAIT:
		/* a driver may lower what the PF can have (pci_sriov_set_totalvfs()) */
		if (plan->rules->selector[note->selector].count == VFS_MAX)
			text_add(t, "all its VFs are made when its driver is there");
		else
			text_add(t, "%d VFs are made when its driver is there", plan->verdict[note->dev].vfs);
		break;
	case NOTE_NO_GROUP:
		text_add(t, "is in no IOMMU group, so vfio-pci cannot bind");
		break;
	case NOTE_NO_IOMMU:
		text_add(t, "no IOMMU: vfio-pci cannot bind; switch VT-d or AMD-Vi on in the firmware, "
			    "and boot with intel_iommu=on on Intel");
		return;
	}
	text_add(t, " (");
	describe_rule(plan, note->rule, note->selector, t);
	text_add(t, ")");
}

static void verdict_text(const struct plan *plan, int32_t i, struct text *t)
{
	const struct verdict *v = &plan->verdict[i];

	describe_device(plan, i, t);
	text_add(t, " %s", describe_action(v->action));
	if (v->action == ACTION_CLAIM) {
		text_add(t, " ");
		text_word(t, str_of(v->driver));
	}
	if (plan->devices->dev[i].group >= 0)
		text_add(t, ", group %d", plan->devices->dev[i].group);
	text_add(t, " (");
	describe_rule(plan, v->rule, v->selector, t);
	text_add(t, ")\n");
}

static void vfs_text(const struct plan *plan, int32_t i, struct text *t)
{
	const struct verdict *v = &plan->verdict[i];

	describe_device(plan, i, t);
	text_add(t, " vfs %d, has ", v->vfs);
	text_add(t, plan->devices->dev[i].num_vfs < 0 ? "?" : "%d", plan->devices->dev[i].num_vfs);
	text_add(t, " of %d (", plan->devices->dev[i].total_vfs);
	describe_rule(plan, v->vfs_rule, v->vfs_selector, t);
	text_add(t, ")\n");
}

void describe_step(const struct plan *plan, const struct step *s, struct text *t)
{
	static const char *const name[] = {
		[STEP_FENCE] = "fence", [STEP_OVERRIDE] = "override", [STEP_UNBIND] = "unbind",
		[STEP_MODULE] = "module", [STEP_PROBE] = "probe", [STEP_NUMVFS] = "numvfs",
		[STEP_CLEAR] = "clear", [STEP_HAND] = "hand",
	};
	const struct device *d = &plan->devices->dev[s->dev];
	char addr[ADDR_MAX];

	text_add(t, "%s", name[s->operation]);
	if (s->operation != STEP_MODULE)
		text_add(t, " %s", text_addr(addr, d->addr));
	switch (s->operation) {
	case STEP_NUMVFS:
		text_add(t, " %u", s->count);
		break;
	case STEP_FENCE:
	case STEP_CLEAR:
	case STEP_HAND:
		break;
	default:
		text_add(t, " ");
		text_word(t, str_of(s->operation == STEP_UNBIND ? d->driver : plan->verdict[s->dev].driver));
	}
}

void describe_plan(const struct plan *plan, void (*put)(const char *text))
{
	char line[RECORD_MAX];

	for (size_t i = 0; i < plan->devices->n; i++) {
		struct text t = text_in(line, sizeof(line));

		if (!plan_wants(plan, i))
			continue;
		if (plan->verdict[i].vfs >= 0) {
			vfs_text(plan, (int32_t)i, &t);
			put(line);
			t = text_in(line, sizeof(line));
		}
		if (plan->verdict[i].action != ACTION_NONE) {
			verdict_text(plan, (int32_t)i, &t);
			put(line);
		}
	}
	if (plan->steps > 0)
		put("steps:\n");
	for (size_t s = 0; s < plan->steps; s++) {
		struct text t = text_in(line, sizeof(line));

		text_add(&t, "  ");
		describe_step(plan, &plan->step[s], &t);
		text_add(&t, "\n");
		put(line);
	}
}

static void selector_text(const struct rule *rule, const struct selector *s, struct text *t)
{
	text_add(t, " %.*s", (int)s->text.len, s->text.p);
	if (rule->keyword != KEYWORD_VFS)
		return;
	if (s->count == VFS_MAX)
		text_add(t, "=max");
	else
		text_add(t, "=%u", s->count);
}

void describe_rules(const struct rules *rules, bool places, void (*put)(const char *text))
{
	char piece[RECORD_MAX];
	struct text t;

	for (size_t r = 0; r < rules->n; r++) {
		const struct rule *rule = &rules->rule[r];

		t = text_in(piece, sizeof(piece));
		if (places) {
			place_of_rule(rule, &t);
			text_add(&t, " ");
		}
		text_add(&t, "%s", keyword_name(rule->keyword));
		put(piece);
		for (size_t s = rule->first; s < rule->first + rule->n; s++) {
			t = text_in(piece, sizeof(piece));
			selector_text(rule, &rules->selector[s], &t);
			put(piece);
		}
		t = text_in(piece, sizeof(piece));
		if (rule->driver.len > 0)
			text_add(&t, " driver=%.*s", (int)rule->driver.len, rule->driver.p);
		if (rule->value.len > 0)
			text_add(&t, " %.*s", (int)rule->value.len, rule->value.p);
		text_add(&t, "\n");
		put(piece);
	}
	for (size_t i = 0; places && i < rules->faults; i++) {
		t = text_in(piece, sizeof(piece));
		text_add(&t, "fault ");
		describe_fault_place(&rules->fault[i], &t);
		text_add(&t, " %s\n", rules->fault[i].what);
		put(piece);
	}
}

/* A place with the function that is meant: "0000:01:00.0", "0000:00:1c.4/00.0" */
static void place_text(const struct place *place, uint8_t devfn, struct text *t)
{
	text_add(t, "%04x:%02x:", place->domain, place->bus);
	for (unsigned hop = 0; hop < place->hops; hop++) {
		uint8_t at = hop + 1u == place->hops ? devfn : place->devfn[hop];

		text_add(t, "%s%02x.%x", hop ? "/" : "", at >> 3, at & 7);
	}
}

static void put_pins(const struct plan *plan, const struct selector *s, void (*put)(const char *text))
{
	char line[RECORD_MAX];

	for (size_t i = 0; i < plan->devices->n; i++) {
		const struct device *d = &plan->devices->dev[i];
		struct text t = text_in(line, sizeof(line));

		if (!match_place(&s->place, plan->devices, d))
			continue;
		text_add(&t, "pin ");
		place_text(&s->place, d->addr.devfn, &t);
		text_add(&t, " ");
		ids_text(&d->ids, &t);
		text_add(&t, "\n");
		put(line);
	}
}

static void put_unknown(enum unknown kind, const char *reason, void (*put)(const char *text))
{
	put("unknown ");
	put(unknown_name[kind]);
	put(" ");
	put(reason);
	put("\n");
}

void describe_facts(const struct plan *plan, void (*put)(const char *text))
{
	const struct rules *rules = plan->rules;
	char line[RECORD_MAX], addr[ADDR_MAX];

	for (size_t r = 0; r < rules->n; r++)
		for (size_t s = rules->rule[r].first; s < rules->rule[r].first + rules->rule[r].n; s++)
			if (rules->rule[r].line && rules->selector[s].kind != SELECT_IDS)
				put_pins(plan, &rules->selector[s], put);
	for (size_t i = 0; i < plan->devices->n; i++) {
		const struct device *d = &plan->devices->dev[i];
		struct text t = text_in(line, sizeof(line));

		if (!d->carries[0])
			continue;
		text_add(&t, "protect %s ", text_addr(addr, d->addr));
		ids_text(&d->ids, &t);
		text_add(&t, " %s\n", d->carries);
		put(line);
	}
	for (enum unknown kind = 0; kind < UNKNOWN_KINDS; kind++)
		if (plan->devices->unknown[kind][0])
			put_unknown(kind, plan->devices->unknown[kind], put);
}

void describe_unseen(void (*put)(const char *text))
{
	for (enum unknown kind = 0; kind < UNKNOWN_KINDS; kind++)
		put_unknown(kind, "no PCI device was to be seen when the image was made", put);
}
