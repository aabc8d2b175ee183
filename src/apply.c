// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Carries out a plan and believes nothing but the driver link: writes to
 * drivers_probe succeed whether or not anything was bound. A write that takes
 * long is left running while the other devices go on; the deadline ends all
 * waiting. What to do is decided in the plan, not here.
 */
#include "apply.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "describe.h"
#include "module.h"
#include "scan.h"
#include "work.h"

enum {
	PATIENCE_MS = 200,	/* after that the other devices need not wait for a write */
	SETTLE_MS = 1000,	/* for a probe that the kernel deferred; any other has ended with the write */
	SETTLE_FIRST_MS = 10,
	TAKE_TRIES = 3,		/* how often a host driver may come back before we give up */
	FENCE_TRIES = 3,
};

enum { TASK_DIRECT = INT32_MAX, MODALIAS_MAX = 128 };

/* How far a device is. */
struct state {
	bool touched;		/* the plan has a step for it */
	bool busy;		/* a write for it is under way */
	unsigned round;		/* of run_steps(), in which one of its steps could not be done yet: nor can those after it */
	bool failed;
	enum operation operation;	/* what failed, or is under way */
	int error;
	unsigned tries;		/* how often a driver was taken off it, or asked for once more */
	char taken_from[DRIVER_MAX];
};

struct apply {
	struct plan *plan;
	struct devices *devices;
	const struct root *root;
	const struct report *report;
	uint64_t deadline_us;
	struct pool pool;
	struct drivers drivers;		/* registered now, */
	bool unlisted;			/* or it is not known which */
	struct state *state;		/* one a device */
	bool *done;			/* one a step */
	bool registering;		/* a driver that has a device is being registered */
	struct outcome *outcome;
	struct answer direct;		/* of the last TASK_DIRECT */
	char modalias[MODALIAS_MAX];	/* the last that modprobe was asked for */
	unsigned unfenced;		/* PFs whose fence could not be raised */
};

static unsigned remaining_ms(const struct apply *a)
{
	uint64_t now = clock_us();

	return now < a->deadline_us ? (unsigned)((a->deadline_us - now + 999) / 1000) : 0;
}

static unsigned at_most(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

static void fail(struct apply *a, int32_t dev, enum operation operation, int error)
{
	a->state[dev].failed = true;
	a->state[dev].operation = operation;
	a->state[dev].error = error;
}

/* A write has ended. */
static void complete(struct apply *a, const struct answer *answer)
{
	const struct step *s;
	struct state *st;

	if (answer->task == TASK_DIRECT) {
		a->direct = *answer;
		return;
	}
	s = &a->plan->step[answer->task];
	st = &a->state[s->dev];
	st->busy = false;
	a->outcome[s->dev].us += answer->us;
	/* a driver that let go by itself is as good as one that was told to */
	if (answer->error && !(st->operation == STEP_UNBIND && (answer->error == -ENODEV || answer->error == -ENOENT)))
		fail(a, s->dev, st->operation, answer->error);
}

/* Wait for one write to end. False when the time is over. */
static bool wait_one(struct apply *a, unsigned timeout_ms)
{
	struct answer answer;

	if (pool_wait(&a->pool, timeout_ms, &answer) < 0)
		return false;
	complete(a, &answer);
	return true;
}

/*
 * Have all writes that were started made, and wait for them; for one that
 * takes long only as long as patience allows. What the deadline leaves undone
 * is not to be done behind our back.
 */
static void flush(struct apply *a)
{
	struct answer answer;
	int32_t task;

	while (pool_flows(&a->pool)) {
		int r = pool_wait(&a->pool, at_most(PATIENCE_MS, remaining_ms(a)), &answer);

		if (r == 0) {
			complete(a, &answer);
			continue;
		}
		pool_overtake(&a->pool);
		if (r != -ETIMEDOUT || remaining_ms(a) == 0)
			break;
	}
	while (pool_cancel(&a->pool, TASK_DIRECT, &task)) {
		a->done[task] = false;
		a->state[a->plan->step[task].dev].busy = false;
	}
}

/* Start a write for the device of a step. It is made, and waited for, in flush(). */
static void start_write(struct apply *a, size_t step, enum operation operation, const char *path, const char *value)
{
	int32_t dev = a->plan->step[step].dev;
	struct state *st = &a->state[dev];
	int r;

	while ((r = pool_write(&a->pool, (int32_t)step, path, value)) == -EBUSY)
		flush(a);
	if (r < 0) {
		fail(a, dev, operation, r);
		return;
	}
	st->busy = true;
	st->operation = operation;
}

/* A write outside the plan's steps: give a failed device back. 0 or -errno. */
static int write_direct(struct apply *a, const char *path, const char *value)
{
	int r;

	flush(a);
	r = pool_write(&a->pool, TASK_DIRECT, path, value);
	if (r < 0)
		return r;
	a->direct.task = -1;
	while (a->direct.task != TASK_DIRECT)
		if (!wait_one(a, remaining_ms(a)))
			return -ETIMEDOUT;
	return a->direct.error;
}

static bool holds_wanted(const struct apply *a, int32_t dev)
{
	return strcmp(a->plan->verdict[dev].driver, a->devices->dev[dev].driver) == 0;
}

/*
 * A driver that is being registered probes all that is there for it first, and
 * has its attributes only then (bus_add_driver() in drivers/base/bus.c): until
 * it has, no device can be taken from it.
 */
static bool is_registering(struct apply *a, const struct device *d)
{
	char unbind[PATH_SIZE], uevent[PATH_SIZE];

	if (sysfs_exists(a->root, device_path(unbind, d->addr, "driver/unbind")) ||
	    sysfs_exists(a->root, device_path(uevent, d->addr, "driver/uevent")))
		return false;
	a->registering = true;
	return true;
}

static void unbind(struct apply *a, size_t step, struct device *d)
{
	struct state *st = &a->state[a->plan->step[step].dev];
	char path[PATH_SIZE], addr[ADDR_MAX];

	memcpy(st->taken_from, d->driver, sizeof(st->taken_from));
	start_write(a, step, STEP_UNBIND, device_path(path, d->addr, "driver/unbind"), text_addr(addr, d->addr));
}

/*
 * Ask the kernel to bind the device. Where a driver that was loaded meanwhile
 * has it, that is unbound first and the step is not done yet.
 */
static bool probe(struct apply *a, size_t step, struct device *d)
{
	int32_t dev = a->plan->step[step].dev;
	char addr[ADDR_MAX];

	scan_driver(a->root, d);
	if (holds_wanted(a, dev))
		return true;
	if (d->driver[0]) {
		if (is_registering(a, d))
			return false;
		if (a->state[dev].tries++ < TAKE_TRIES) {
			unbind(a, step, d);
			return false;
		}
		fail(a, dev, STEP_UNBIND, -EBUSY);
	} else if (!a->unlisted && !driver_registered(&a->drivers, str_of(a->plan->verdict[dev].driver))) {
		fail(a, dev, STEP_MODULE, -ENODEV);
	} else {
		start_write(a, step, STEP_PROBE, "sys/bus/pci/drivers_probe", text_addr(addr, d->addr));
	}
	return true;
}

/* Use the name that the driver is registered under; overrides already written with another must be written again. */
static void respell(struct apply *a, const char *written, const char *registered)
{
	for (size_t i = 0; i < a->plan->steps; i++) {
		const struct step *s = &a->plan->step[i];
		struct verdict *v = &a->plan->verdict[s->dev];

		if (s->operation != STEP_OVERRIDE || strcmp(v->driver, written) != 0)
			continue;
		strcpy(v->driver, registered);
		a->done[i] = false;
	}
}

/* What is registered now: the driver of a name, NULL without one. */
static const char *find_driver(struct apply *a, const char *name)
{
	struct drivers now;

	a->unlisted = scan_drivers(a->root, &now) < 0;
	if (!a->unlisted) {
		drivers_free(&a->drivers);
		a->drivers = now;
	}
	return driver_registered(&a->drivers, str_of(name));
}

/*
 * Have modprobe load a module. It binds, before it ends, all devices that wait
 * for its driver; where one of them hangs it, the driver is there nevertheless,
 * and the others can be bound by themselves.
 */
static int load(struct apply *a, const char *name)
{
	struct modprobe modprobe;
	int r = module_start(&modprobe, a->root, name);

	if (r < 0)
		return r;
	do
		r = module_wait(&modprobe, at_most(PATIENCE_MS, remaining_ms(a)));
	while (r == -ETIMEDOUT && remaining_ms(a) > 0 && !find_driver(a, name));
	module_end(&modprobe);
	return r;
}

/* Load a driver's module. What goes wrong is told here once, and then for each of its devices. */
static void load_module(struct apply *a, const char *driver)
{
	char name[DRIVER_MAX], of_module[DRIVER_MAX];
	const char *registered;
	int r;

	flush(a);
	strcpy(name, driver);
	r = load(a, name);
	/* busybox' modprobe does not know vfio's softdep on it; without it no guest could use the device */
	if (r == 0 && driver_is_vfio(name) && !sysfs_exists(a->root, "sys/module/vfio_iommu_type1"))
		load(a, "vfio_iommu_type1");
	registered = find_driver(a, name);
	/* xen-pciback's driver is called pciback */
	if (!registered && scan_module_driver(a->root, name, of_module))
		registered = of_module;
	if (registered && strcmp(name, registered) != 0)
		respell(a, name, registered);
	if (registered || a->unlisted)
		return;
	if (r == -ENOENT)
		report_say(a->report, LEVEL_ERR, "module %s: cannot load it: there is no modprobe", name);
	else if (r == -ETIMEDOUT)
		report_say(a->report, LEVEL_ERR, "module %s: modprobe has not ended in time and goes on", name);
	else if (r < 0)
		report_say(a->report, LEVEL_ERR, "module %s: cannot run modprobe: %s (%d)", name, text_error(-r), -r);
	else if (r > 0)
		report_say(a->report, LEVEL_ERR, "module %s: modprobe failed (exit status %d); is the module in this image? "
			   "update-initramfs -u puts it there", name, r);
	else
		report_say(a->report, LEVEL_ERR, "module %s: loaded, but it registers no PCI driver of this name", name);
}

/* Whether every claimed VF of a PF has its override, so that the fence may be lowered for the others. */
static bool vfs_are_safe(const struct apply *a, int32_t pf)
{
	for (size_t i = 0; i < a->devices->n; i++) {
		struct device d = a->devices->dev[i];

		if (d.pf != pf || a->plan->verdict[i].action != ACTION_CLAIM)
			continue;
		scan_override(a->root, &d);
		if (!d.override[0])
			return false;
	}
	return true;
}

/* Raise a fence that is down, or say that it is. */
static void raise_fence(struct apply *a, const struct device *pf, const char *path)
{
	char addr[ADDR_MAX];
	int r = -EIO;

	for (int i = 0; r < 0 && i < FENCE_TRIES; i++)
		r = write_direct(a, path, "0");
	if (r == 0)
		return;
	a->unfenced++;
	report_say(a->report, LEVEL_ERR, "%s: its VFs are not fenced: sriov_drivers_autoprobe: cannot write \"0\": %s (%d)",
		   text_addr(addr, pf->addr), text_error(-r), -r);
}

/* Whether a write for one of a PF's VFs is under way. */
static bool vfs_are_busy(const struct apply *a, int32_t pf)
{
	for (size_t i = 0; i < a->devices->n; i++)
		if (a->devices->dev[i].pf == pf && a->state[i].busy)
			return true;
	return false;
}

/*
 * Have the host's driver loaded and bind a device. Behind the fence no driver
 * is probed on a VF without an override: the fence is down only while the
 * driver is asked for. False where it must be tried again, as a claimed VF may
 * have its override in a moment.
 */
static bool hand_over(struct apply *a, size_t step, const struct device *d)
{
	bool fenced = d->pf >= 0 && (a->devices->dev[d->pf].fenced || a->plan->verdict[d->pf].fence);
	int32_t dev = a->plan->step[step].dev;
	char path[PATH_SIZE], addr[ADDR_MAX], modalias[MODALIAS_MAX];
	int r = 0;

	flush(a);
	if (a->state[dev].tries > 0) {
		scan_driver(a->root, &a->devices->dev[dev]);
		if (d->driver[0])
			return true;
	}
	if (fenced && !vfs_are_safe(a, d->pf)) {
		if (vfs_are_busy(a, d->pf))
			return false;
		fail(a, dev, STEP_HAND, 0);
		return true;
	}
	if (scan_modalias(a->root, d, modalias, sizeof(modalias)) == 0 && strcmp(modalias, a->modalias) != 0) {
		strcpy(a->modalias, modalias);
		load(a, modalias);
	}
	if (fenced)
		r = write_direct(a, device_path(path, a->devices->dev[d->pf].addr, "sriov_drivers_autoprobe"), "1");
	if (r == 0)
		start_write(a, step, STEP_PROBE, "sys/bus/pci/drivers_probe", text_addr(addr, d->addr));
	else
		fail(a, dev, STEP_HAND, r);
	if (!fenced)
		return true;
	raise_fence(a, &a->devices->dev[d->pf], path);
	/* a write that takes long may have come to the device only when the fence was up again: once more, when it has ended */
	return !a->state[dev].busy || a->state[dev].tries++ > 0;
}

/* Do one step, or start it. False where it must be looked at again. */
static bool run_step(struct apply *a, size_t i)
{
	struct step *s = &a->plan->step[i];
	struct device *d = &a->devices->dev[s->dev];
	char path[PATH_SIZE];

	if (s->operation == STEP_MODULE) {
		load_module(a, a->plan->verdict[s->dev].driver);
		return true;
	}
	if (a->state[s->dev].busy)
		flush(a);
	if (a->state[s->dev].failed)
		return true;
	if (a->state[s->dev].busy)
		return false;
	switch (s->operation) {
	case STEP_FENCE:
		start_write(a, i, STEP_FENCE, device_path(path, d->addr, "sriov_drivers_autoprobe"), "0");
		return true;
	case STEP_NUMVFS:
		/* may take as long as a driver likes: see vfs.c */
		return true;
	case STEP_HAND:
		return hand_over(a, i, d);
	case STEP_CLEAR:
		start_write(a, i, STEP_CLEAR, device_path(path, d->addr, "driver_override"), "\n");
		return true;
	case STEP_OVERRIDE:
		start_write(a, i, STEP_OVERRIDE, device_path(path, d->addr, "driver_override"),
			    a->plan->verdict[s->dev].driver);
		if (!driver_is_none(a->plan->verdict[s->dev].driver))
			return true;
		/* no later step looks whether a driver was quicker than this write */
		s->operation = STEP_UNBIND;
		return false;
	case STEP_UNBIND:
		scan_driver(a->root, d);
		if (!d->driver[0] || holds_wanted(a, s->dev))
			return true;
		if (is_registering(a, d))
			return false;
		unbind(a, i, d);
		return true;
	default:
		return probe(a, i, d);
	}
}

/* All steps in their order; those of a device whose write is slow wait for it, the others do not. */
static void run_steps(struct apply *a)
{
	unsigned round = 0;
	bool all_done;

	do {
		all_done = true;
		a->registering = false;
		round++;
		for (size_t i = 0; i < a->plan->steps; i++) {
			struct state *st = &a->state[a->plan->step[i].dev];
			bool module = a->plan->step[i].operation == STEP_MODULE;

			if (a->done[i])
				continue;
			/* a module is not for that device alone */
			a->done[i] = (module || st->round != round) && run_step(a, i);
			if (!a->done[i]) {
				st->round = round;
				all_done = false;
			}
			/* overrides may have to be written in another spelling before the probes */
			if (module)
				all_done = false, i = (size_t)-1;
		}
		flush(a);
		/* the end of that cannot be waited for, only looked for */
		if (a->registering)
			wait_one(a, SETTLE_FIRST_MS);
	} while ((!all_done || pool_busy(&a->pool)) && remaining_ms(a) > 0 &&
		 (a->registering || !pool_busy(&a->pool) || wait_one(a, remaining_ms(a))));
}

/* Whether a claimed device, not held by the driver we asked for, may still be: its probe may have been deferred. */
static bool may_bind_later(const struct apply *a, int32_t dev)
{
	const struct verdict *v = &a->plan->verdict[dev];
	const struct device *d = &a->devices->dev[dev];

	return !a->state[dev].failed && !a->state[dev].busy && d->driver[0] == '\0' &&
	       driver_registered(&a->drivers, str_of(v->driver)) && !(driver_is_vfio(v->driver) && d->group < 0);
}

/* Read the driver links back, and ask again for a while where the kernel may have deferred the probe. */
static void settle(struct apply *a)
{
	unsigned waited = 0;

	for (unsigned nap = SETTLE_FIRST_MS;; nap *= 2) {
		bool again = false;

		for (size_t i = 0; i < a->plan->steps; i++) {
			int32_t dev = a->plan->step[i].dev;

			if (a->plan->step[i].operation != STEP_PROBE)
				continue;
			scan_driver(a->root, &a->devices->dev[dev]);
			/* arm64 gives it one as a driver is bound (judge_iommu() in plan.c) */
			if (a->devices->dev[dev].group < 0)
				scan_group(a->root, &a->devices->dev[dev]);
			if (holds_wanted(a, dev) || !may_bind_later(a, dev))
				continue;
			again = true;
			if (waited > 0)
				probe(a, i, &a->devices->dev[dev]);
		}
		flush(a);
		nap = at_most(at_most(nap, SETTLE_MS - waited), remaining_ms(a));
		if (!again || nap == 0)
			return;
		clock_nap(nap);
		waited += nap;
	}
}

static void say_claimed(const struct apply *a, int32_t dev)
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
	/* what an earlier run did, it has told */
	report_say(a->report, a->state[dev].touched ? LEVEL_INFO : LEVEL_DEBUG, "%s", line);
}

static void error_text(struct text *t, int error)
{
	text_add(t, "%s (%d)", text_error(-error), -error);
}

/* Why a device is not claimed, with the remedy where one is known. */
static void failure_text(const struct apply *a, int32_t dev, struct text *t)
{
	const struct state *st = &a->state[dev];
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
		text_add(t, "%s", st->error ? "sriov_drivers_autoprobe: cannot write \"1\": " : "a claimed VF beside it has no override");
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
		text_add(t, "%s did not bind; does it support this device?", driver);
	}
}

/* Undo a claim that failed: the override goes, and a host driver that is there may have the device. */
static void release(struct apply *a, int32_t dev, struct text *t)
{
	struct device *d = &a->devices->dev[dev];
	char path[PATH_SIZE], addr[ADDR_MAX];
	int r = write_direct(a, device_path(path, d->addr, "driver_override"), "\n");

	if (r == 0)
		r = write_direct(a, "sys/bus/pci/drivers_probe", text_addr(addr, d->addr));
	scan_driver(a->root, d);
	if (r < 0) {
		text_add(t, "; cannot release it: ");
		error_text(t, r);
		return;
	} else if (d->driver[0]) {
		text_add(t, "; released to %s", d->driver);
	} else {
		text_add(t, "; released to the host");
	}
	a->outcome[dev].result = RESULT_RELEASED;
}

/* Whether a device was pulled out meanwhile; another may be in its place by now. */
static bool was_pulled_out(const struct apply *a, int32_t dev)
{
	const struct state *st = &a->state[dev];
	char path[PATH_SIZE];

	/* drivers_probe has this error for an address that is not there (store_drivers_probe() in drivers/base/bus.c) */
	if (st->failed && st->operation == STEP_PROBE && st->error == -ENODEV)
		return true;
	return !sysfs_exists(a->root, device_path(path, a->devices->dev[dev].addr, "driver_override"));
}

static void conclude_failure(struct apply *a, int32_t dev)
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

static void say_unfinished(const struct apply *a, int32_t dev)
{
	static const char *const what[] = {
		[STEP_FENCE] = "sriov_drivers_autoprobe", [STEP_OVERRIDE] = "driver_override",
		[STEP_UNBIND] = "unbind", [STEP_PROBE] = "drivers_probe", [STEP_CLEAR] = "driver_override",
	};
	char line[RECORD_MAX];
	struct text t = text_in(line, sizeof(line));
	const struct state *st = &a->state[dev];

	describe_device(a->plan, dev, &t);
	text_add(&t, ": not %s yet: ", a->plan->verdict[dev].action == ACTION_CLAIM ? "claimed" : "released");
	if (st->busy)
		text_add(&t, "the write to %s has not ended", what[st->operation]);
	else
		text_add(&t, "there was no time left for it");
	report_say(a->report, LEVEL_ERR, "%s; another run finishes it", line);
}

/* Whether a device's own steps have all been done. */
static void mark_unfinished(const struct apply *a, bool *unfinished)
{
	for (size_t i = 0; i < a->plan->steps; i++)
		if (!a->done[i])
			unfinished[a->plan->step[i].dev] = true;
	for (size_t i = 0; i < a->devices->n; i++)
		unfinished[i] |= a->state[i].busy;
}

/* A host driver was quicker than the override of a device that no driver may have. */
static void take_back(struct apply *a, int32_t dev)
{
	struct device *d = &a->devices->dev[dev];
	char path[PATH_SIZE], addr[ADDR_MAX];
	int r;

	memcpy(a->state[dev].taken_from, d->driver, sizeof(d->driver));
	r = write_direct(a, device_path(path, d->addr, "driver/unbind"), text_addr(addr, d->addr));
	scan_driver(a->root, d);
	if (d->driver[0])
		fail(a, dev, STEP_UNBIND, r < 0 ? r : -EBUSY);
}

/* Without its override the next host driver may have a device, whatever holds it now. */
static bool override_failed(const struct apply *a, int32_t dev)
{
	struct device d = a->devices->dev[dev];

	if (!a->state[dev].failed || a->state[dev].operation != STEP_OVERRIDE)
		return false;
	scan_override(a->root, &d);
	return strcmp(d.override, a->plan->verdict[dev].driver) != 0;
}

/* One line and one outcome for a device that is to be claimed. */
static void conclude(struct apply *a, int32_t dev, bool unfinished, struct tally *tally)
{
	bool none = driver_is_none(a->plan->verdict[dev].driver);
	struct device *d = &a->devices->dev[dev];

	d->error = 0;
	scan_driver(a->root, d);
	if (none && !unfinished && !a->state[dev].failed && d->driver[0])
		take_back(a, dev);
	if (!unfinished && !d->error && !override_failed(a, dev) && (none ? !d->driver[0] : holds_wanted(a, dev))) {
		a->outcome[dev].result = RESULT_CLAIMED;
		tally->claimed++;
		say_claimed(a, dev);
		return;
	}
	tally->failed++;
	if (unfinished) {
		a->outcome[dev].result = RESULT_UNFINISHED;
		say_unfinished(a, dev);
	} else {
		conclude_failure(a, dev);
	}
}

/* One line for a device that is given back. */
static void conclude_release(struct apply *a, int32_t dev, bool unfinished, struct tally *tally)
{
	char line[RECORD_MAX];
	struct text t = text_in(line, sizeof(line));
	struct device *d = &a->devices->dev[dev];
	bool failed;

	if (unfinished) {
		say_unfinished(a, dev);
		tally->failed++;
		return;
	}
	d->error = 0;
	scan_driver(a->root, d);
	scan_override(a->root, d);
	if (!a->state[dev].failed && !d->error && d->override[0])
		fail(a, dev, STEP_CLEAR, -EBUSY);
	else if (!a->state[dev].failed && !d->error && d->driver[0] &&
		 (driver_is_for_guests(d->driver) || strcmp(d->driver, a->state[dev].taken_from) == 0))
		fail(a, dev, STEP_UNBIND, -EBUSY);
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
static void conclude_hand(const struct apply *a, int32_t dev, struct tally *tally)
{
	char line[RECORD_MAX];
	struct text t = text_in(line, sizeof(line));

	if (a->state[dev].busy && a->state[dev].operation == STEP_PROBE) {
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
static void conclude_fence(struct apply *a, int32_t dev, struct tally *tally)
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
		raise_fence(a, d, device_path(path, d->addr, "sriov_drivers_autoprobe"));
}

/* The drivers of the devices that share a group with this one, as they are after the claims. */
static void rescan_group(const struct apply *a, int32_t dev)
{
	for (size_t i = 0; i < a->devices->n; i++)
		if (a->devices->dev[i].group == a->devices->dev[dev].group)
			scan_driver(a->root, &a->devices->dev[i]);
}

/* The notes on groups tell what holds after the claims, all others what the plan was made from. */
static void say_notes(const struct apply *a, bool on_groups)
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
	struct apply a = {
		.plan = plan,
		.devices = devices,
		.root = root,
		.report = report,
		.deadline_us = deadline_us,
		.pool = pool_new(root),
		.state = calloc(devices->n + 1, sizeof(*a.state)),
		.done = calloc(plan->steps + 1, sizeof(*a.done)),
		.outcome = outcome,
	};
	bool *unfinished = calloc(devices->n + 1, sizeof(*unfinished));

	if (!a.state || !a.done || !unfinished) {
		report_say(report, LEVEL_ERR, "out of memory");
		tally.failed = 1;
		tally.broken = true;
		goto out;
	}
	a.unlisted = scan_drivers(root, &a.drivers) < 0;
	for (size_t i = 0; i < plan->steps; i++)
		a.state[plan->step[i].dev].touched |= plan->step[i].operation != STEP_NUMVFS;
	say_notes(&a, false);
	run_steps(&a);
	settle(&a);
	mark_unfinished(&a, unfinished);
	for (size_t i = 0; i < devices->n; i++) {
		if (!plan_wants(plan, i))
			continue;
		conclude_fence(&a, (int32_t)i, &tally);
		switch (plan->verdict[i].action) {
		case ACTION_CLAIM:
			conclude(&a, (int32_t)i, unfinished[i], &tally);
			break;
		case ACTION_KEEP:
			outcome[i].result = RESULT_KEPT;
			if (plan->rules->settings.release)
				conclude_release(&a, (int32_t)i, unfinished[i], &tally);
			else
				conclude_hand(&a, (int32_t)i, &tally);
			break;
		case ACTION_REFUSE:
			outcome[i].result = RESULT_REFUSED;
			tally.refused++;
			break;
		default:
			conclude_hand(&a, (int32_t)i, &tally);
			break;
		}
	}
	tally.failed += a.unfenced;
	say_notes(&a, true);
out:
	pool_close(&a.pool);
	drivers_free(&a.drivers);
	free(a.state);
	free(a.done);
	free(unfinished);
	return tally;
}
