// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Carries out a plan, and tells what became of each device. It believes
 * nothing but the driver link: writes to drivers_probe succeed whether or not
 * anything was bound.
 */
#include "apply.h"

#include <errno.h>
#include <string.h>

#include "describe.h"
#include "scan.h"
#include "steps.h"

static void say_claimed(const struct steps *a, int32_t dev)
{
	char line[RECORD_MAX];
	struct text t = text_in(line, sizeof(line));
	const struct device *d = &a->devices->dev[dev];

	describe_device(a->plan, dev, &t);
	if (d->driver[0])
		text_add(&t, ": claimed by %s", d->driver);
	else
		text_add(&t, ": claimed, no driver may have it");
	if (a->state[dev].taken_from[0])
		text_add(&t, ", taken from %s", a->state[dev].taken_from);
	if (d->group >= 0)
		text_add(&t, ", group %d", d->group);
	/* what an earlier run did it has told, unless it was killed before that */
	report_say(a->report, a->state[dev].touched || report_told(a->root, d) == TOLD_NOTHING ? LEVEL_INFO : LEVEL_DEBUG, "%s", line);
}

static const char unsafe[] = "a claimed VF beside it has no override";

static void error_text(struct text *t, int error)
{
	text_add(t, "%s (%d)", text_error(-error), -error);
}

/* Why a device is not claimed, with the remedy where one is known. */
static void failure_text(const struct steps *a, int32_t dev, struct text *t)
{
	const struct progress *st = &a->state[dev];
	const struct device *d = &a->devices->dev[dev];
	const char *driver = a->plan->verdict[dev].driver;

	if (d->error && !st->failed) {
		text_add(t, "%s: cannot read it: ", d->unread);
		error_text(t, d->error);
		return;
	}
	switch (st->failed ? st->operation : STEP_PROBE) {
	case STEP_OVERRIDE:
		text_add(t, "driver_override: cannot write \"%s\": ", driver);
		error_text(t, st->error);
		return;
	case STEP_UNBIND:
		text_add(t, "unbind: cannot take it from %s: ", st->taken_from);
		error_text(t, st->error);
		return;
	case STEP_MODULE:
		text_add(t, "there is no driver %s", driver);
		return;
	case STEP_CLEAR:
		text_add(t, "driver_override: cannot clear it: ");
		error_text(t, st->error);
		return;
	case STEP_FENCE:
		text_add(t, "sriov_drivers_autoprobe: cannot write \"0\": ");
		error_text(t, st->error);
		return;
	case STEP_HAND:
		text_add(t, "%s", st->error ? "sriov_drivers_autoprobe: cannot write \"1\": " : unsafe);
		if (st->error)
			error_text(t, st->error);
		return;
	default:
		break;
	}
	if (st->failed) {
		text_add(t, "drivers_probe: cannot write the address: ");
		error_text(t, st->error);
	} else if (driver_is_vfio(driver) && d->group < 0) {
		text_add(t, "%s did not bind: the device has no IOMMU group", driver);
	} else {
		text_add(t, "%s did not bind", driver);
		if (st->error) {
			text_add(t, ": ");
			error_text(t, st->error);
		}
		text_add(t, "; does it support this device?");
	}
}

/* Undo a claim that failed: the override goes, and a host driver that is there may have the device. */
static void release(struct steps *a, int32_t dev, struct text *t)
{
	struct device *d = &a->devices->dev[dev];
	char path[PATH_SIZE];
	int r = steps_write(a, device_path(path, d->addr, "driver_override"), "\n");

	a->state[dev].released = true;
	if (r == 0)
		r = steps_hand(a, dev);
	scan_driver(a->root, d);
	if (r < 0) {
		text_add(t, "; cannot release it: ");
		if (r == -EAGAIN)
			text_add(t, "%s", unsafe);
		else
			error_text(t, r);
		return;
	}
	text_add(t, d->driver[0] ? "; released to %s" : "; released; no driver of the host has it", d->driver);
	a->outcome[dev].result = RESULT_RELEASED;
}

/* Whether a device was pulled out meanwhile; another may be in its place by now. */
static bool was_pulled_out(const struct steps *a, int32_t dev)
{
	const struct progress *st = &a->state[dev];
	char path[PATH_SIZE];

	/* drivers_probe has this error for an address that is not there (store_drivers_probe() in drivers/base/bus.c) */
	if (st->failed && st->operation == STEP_PROBE && st->error == -ENODEV)
		return true;
	return !sysfs_exists(a->root, device_path(path, a->devices->dev[dev].addr, "driver_override"));
}

static void conclude_failure(struct steps *a, int32_t dev)
{
	char line[RECORD_MAX];
	struct text t = text_in(line, sizeof(line));
	const struct device *d = &a->devices->dev[dev];

	describe_device(a->plan, dev, &t);
	text_add(&t, ": not claimed: ");
	a->outcome[dev].result = RESULT_FAILED;
	if (was_pulled_out(a, dev)) {
		text_add(&t, "it was pulled out");
	} else {
		failure_text(a, dev, &t);
		/* nobody knows what has it: it may be claimed as it should be */
		if (d->error && !a->state[dev].failed)
			text_add(&t, "; left as it is");
		else if (a->plan->rules->settings.on_failure == FAILURE_RELEASE)
			release(a, dev, &t);
		else if (d->driver[0])
			text_add(&t, "; %s has it", d->driver);
		else
			text_add(&t, "; held without a driver");
	}
	report_say(a->report, LEVEL_ERR, "%s", line);
}

static void say_unfinished(const struct steps *a, int32_t dev)
{
	static const char *const what[] = {
		[STEP_FENCE] = "sriov_drivers_autoprobe", [STEP_OVERRIDE] = "driver_override",
		[STEP_UNBIND] = "unbind", [STEP_PROBE] = "drivers_probe", [STEP_CLEAR] = "driver_override",
	};
	char line[RECORD_MAX];
	struct text t = text_in(line, sizeof(line));
	const struct progress *st = &a->state[dev];

	describe_device(a->plan, dev, &t);
	text_add(&t, ": not %s yet: ", a->plan->verdict[dev].action == ACTION_CLAIM ? "claimed" : "released");
	if (st->busy)
		text_add(&t, "the write to %s has not ended", what[st->operation]);
	else
		text_add(&t, "there was no time left for it");
	report_say(a->report, LEVEL_ERR, "%s; another run finishes it", line);
}

/* A host driver was quicker than the override of a device that no driver may have. */
static void take_back(struct steps *a, int32_t dev)
{
	struct device *d = &a->devices->dev[dev];
	char path[PATH_SIZE], addr[ADDR_MAX];
	int r;

	memcpy(a->state[dev].taken_from, d->driver, sizeof(d->driver));
	r = steps_write(a, device_path(path, d->addr, "driver/unbind"), text_addr(addr, d->addr));
	scan_driver(a->root, d);
	if (d->driver[0])
		steps_fail(a, dev, STEP_UNBIND, r < 0 ? r : -EBUSY);
}

/* Without its override the next host driver may have a device, whatever holds it now. */
static bool override_failed(struct steps *a, int32_t dev)
{
	if (!a->state[dev].failed || a->state[dev].operation != STEP_OVERRIDE)
		return false;
	return strcmp(steps_override(a, dev), a->plan->verdict[dev].driver) != 0;
}

/* One line and one outcome for a device that is to be claimed. */
static void conclude(struct steps *a, int32_t dev, struct tally *tally)
{
	bool none = driver_is_none(a->plan->verdict[dev].driver);
	struct device *d = &a->devices->dev[dev];

	d->error = 0;
	scan_driver(a->root, d);
	if (none && !a->state[dev].unfinished && !a->state[dev].failed && d->driver[0])
		take_back(a, dev);
	if (!a->state[dev].unfinished && !d->error && !override_failed(a, dev) && (none ? !d->driver[0] : steps_bound(a, dev))) {
		a->outcome[dev].result = RESULT_CLAIMED;
		tally->claimed++;
		say_claimed(a, dev);
		return;
	}
	tally->failed++;
	if (a->state[dev].unfinished) {
		a->outcome[dev].result = RESULT_UNFINISHED;
		say_unfinished(a, dev);
	} else {
		conclude_failure(a, dev);
	}
}

/* One line for a device that is given back. */
static void conclude_release(struct steps *a, int32_t dev, struct tally *tally)
{
	char line[RECORD_MAX];
	struct text t = text_in(line, sizeof(line));
	struct device *d = &a->devices->dev[dev];
	bool failed;

	if (a->state[dev].unfinished) {
		say_unfinished(a, dev);
		tally->failed++;
		return;
	}
	d->error = 0;
	scan_driver(a->root, d);
	if (steps_override(a, dev)[0] && !a->state[dev].failed && !d->error)
		steps_fail(a, dev, STEP_CLEAR, d->hung ? -ETIMEDOUT : -EBUSY);
	else if (!a->state[dev].failed && !d->error && d->driver[0] &&
		 (driver_is_for_guests(d->driver) || strcmp(d->driver, a->state[dev].taken_from) == 0))
		steps_fail(a, dev, STEP_UNBIND, -EBUSY);
	describe_device(a->plan, dev, &t);
	/* whichever way the host's driver came to it */
	if (a->state[dev].failed && !d->error && !d->override[0] && d->driver[0] && !driver_is_for_guests(d->driver) &&
	    strcmp(d->driver, a->state[dev].taken_from) != 0)
		a->state[dev].failed = false;
	failed = a->state[dev].failed || d->error;
	if (failed) {
		text_add(&t, ": not released: ");
		failure_text(a, dev, &t);
		a->outcome[dev].result = RESULT_FAILED;
		tally->failed++;
	} else {
		text_add(&t, d->driver[0] ? ": released to %s" : ": released; the host has no driver for it", d->driver);
		a->outcome[dev].result = RESULT_RELEASED;
	}
	report_say(a->report, failed ? LEVEL_ERR : LEVEL_INFO, "%s", line);
}

/* A device that is left to the host gets a line only where it could not be handed over. */
static void conclude_hand(const struct steps *a, int32_t dev, struct tally *tally)
{
	char line[RECORD_MAX];
	struct text t = text_in(line, sizeof(line));
	bool unfinished = a->state[dev].busy && a->state[dev].operation == STEP_PROBE;

	if (a->state[dev].unfinished && !a->state[dev].failed && !a->plan->verdict[dev].fence) {
		scan_driver(a->root, &a->devices->dev[dev]);
		unfinished = !a->devices->dev[dev].driver[0];
	}
	if (unfinished) {
		say_unfinished(a, dev);
		tally->failed++;
	}
	if (!a->state[dev].failed || a->state[dev].operation == STEP_FENCE)
		return;
	describe_device(a->plan, dev, &t);
	text_add(&t, ": not handed to the host: ");
	failure_text(a, dev, &t);
	report_say(a->report, LEVEL_ERR, "%s", line);
	tally->failed++;
}

/* A PF that is not to be claimed, but to be fenced and to have VFs. */
static void conclude_fence(struct steps *a, int32_t dev, struct tally *tally)
{
	const struct verdict *v = &a->plan->verdict[dev];
	const struct device *d = &a->devices->dev[dev];
	char path[PATH_SIZE];

	if (v->vfs >= 0 && d->num_vfs == v->vfs) {
		a->outcome[dev].result = RESULT_CREATED;
		tally->vfs += (unsigned)v->vfs;
	} else if (v->vfs >= 0 && !d->driver[0]) {
		a->outcome[dev].result = RESULT_WAITING;
	} else if (v->vfs >= 0) {
		bool in_use = !plan_changes_vfs(a->plan, (size_t)dev);

		a->outcome[dev].result = in_use ? RESULT_FAILED : RESULT_UNFINISHED;
		tally->failed += in_use;
	}
	/* of a PF that is claimed itself conclude() says so */
	if (v->fence && v->action != ACTION_CLAIM && a->state[dev].busy && a->state[dev].operation == STEP_FENCE) {
		say_unfinished(a, dev);
		tally->failed++;
	}
	if (v->fence && a->state[dev].failed && a->state[dev].operation == STEP_FENCE)
		steps_raise_fence(a, d, device_path(path, d->addr, "sriov_drivers_autoprobe"));
}

/* The drivers of the devices that share a group with this one, as they are after the claims. */
static void rescan_group(const struct steps *a, int32_t dev)
{
	for (size_t i = 0; i < a->devices->n; i++)
		if (a->devices->dev[i].group == a->devices->dev[dev].group)
			scan_driver(a->root, &a->devices->dev[i]);
}

/* The notes on groups tell what holds after the claims, all others what the plan was made from. */
static void say_notes(const struct steps *a, bool on_groups)
{
	for (size_t i = 0; i < a->plan->notes; i++) {
		const struct note *note = &a->plan->note[i];
		char line[RECORD_MAX];
		struct text t = text_in(line, sizeof(line));

		/* whoever made the image was warned of the display */
		if ((note->kind == NOTE_GROUP_SHARED) != on_groups || note->kind == NOTE_DISPLAY)
			continue;
		if (on_groups)
			rescan_group(a, note->dev);
		describe_note(a->plan, note, &t);
		report_say(a->report, note->level, "%s", line);
	}
}

struct tally apply_plan(struct plan *plan, struct devices *devices, const struct root *root, const struct report *report,
			uint64_t deadline_us, struct outcome *outcome)
{
	struct tally tally = { 0 };
	struct steps a = {
		.plan = plan,
		.devices = devices,
		.root = root,
		.report = report,
		.deadline_us = deadline_us,
		.outcome = outcome,
	};

	if (!steps_init(&a)) {
		report_say(report, LEVEL_ERR, "out of memory");
		tally.failed = 1;
		tally.broken = true;
		goto out;
	}
	say_notes(&a, false);
	steps_do(&a);
	for (size_t i = 0; i < devices->n; i++) {
		if (!plan_wants(plan, i))
			continue;
		conclude_fence(&a, (int32_t)i, &tally);
		switch (plan->verdict[i].action) {
		case ACTION_CLAIM:
			conclude(&a, (int32_t)i, &tally);
			break;
		case ACTION_KEEP:
			outcome[i].result = RESULT_KEPT;
			if (plan->rules->settings.release)
				conclude_release(&a, (int32_t)i, &tally);
			else
				conclude_hand(&a, (int32_t)i, &tally);
			break;
		case ACTION_REFUSE:
			outcome[i].result = RESULT_REFUSED;
			tally.refused++;
			conclude_hand(&a, (int32_t)i, &tally);
			break;
		default:
			conclude_hand(&a, (int32_t)i, &tally);
			break;
		}
	}
	tally.failed += a.unfenced;
	say_notes(&a, true);
out:
	steps_free(&a);
	return tally;
}
