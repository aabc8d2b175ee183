// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Does the steps of a plan. A write that takes long is left running while the
 * other devices go on; the deadline ends all waiting. What to do is decided in
 * the plan, not here.
 */
#include "steps.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "module.h"

enum {
	PATIENCE_MS = 200,	/* after that the other devices need not wait for a write */
	SETTLE_MS = 1000,	/* for a probe that the kernel deferred; any other has ended with the write */
	SETTLE_FIRST_MS = 10,
	TAKE_TRIES = 3,		/* how often a host driver may come back before we give up */
	FENCE_TRIES = 3,
};

static unsigned remaining_ms(const struct steps *a)
{
	uint64_t now = clock_us();

	return now < a->deadline_us ? (unsigned)((a->deadline_us - now + 999) / 1000) : 0;
}

static unsigned at_most(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

void steps_fail(struct steps *a, int32_t dev, enum operation operation, int error)
{
	a->state[dev].failed = true;
	a->state[dev].operation = operation;
	a->state[dev].error = error;
}

/* Whether a PF's fence, for which a write has had success, is up. 0 or -EIO. */
static int read_fence_back(const struct steps *a, struct device *pf)
{
	scan_fence(a->root, pf);
	return pf->fenced ? 0 : -EIO;
}

/* A write has ended. */
static void complete(struct steps *a, const struct answer *answer)
{
	const struct step *s;
	struct progress *st;
	int error;

	/* below 0 are those of steps_write(), of which but one is waited for */
	if (answer->task < 0) {
		a->direct = *answer;
		return;
	}
	s = &a->plan->step[answer->task];
	st = &a->state[s->dev];
	st->busy = false;
	a->outcome[s->dev].us += answer->us;
	error = answer->error;
	/* a driver that let go by itself is as good as one that was told to */
	if (st->operation == STEP_UNBIND && (error == -ENODEV || error == -ENOENT))
		return;
	/* the driver's link tells whether a probe came to something; EINVAL stands for a deferral too (drivers_probe_store() in drivers/base/bus.c) */
	if (st->operation == STEP_PROBE && (error == 0 || error == -EINVAL)) {
		st->error = error;
		return;
	}
	if (st->operation == STEP_FENCE && error == 0)
		error = read_fence_back(a, &a->devices->dev[s->dev]);
	if (error)
		steps_fail(a, s->dev, st->operation, error);
}

/* Wait for one write to end. False when the time is over. */
static bool wait_one(struct steps *a, unsigned timeout_ms)
{
	struct answer answer;

	if (pool_wait(&a->pool, timeout_ms, &answer) < 0)
		return false;
	complete(a, &answer);
	return true;
}

/* What has been left undone is not to be done behind our back. */
static void cancel(struct steps *a)
{
	int32_t task;

	while (pool_cancel(&a->pool, &task)) {
		if (task < 0)
			continue;
		a->done[task] = false;
		a->state[a->plan->step[task].dev].busy = false;
	}
}

/*
 * Have all writes that were started made, and wait for them; for one that
 * takes long only as long as patience allows.
 */
static void flush(struct steps *a)
{
	struct answer answer;

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
	cancel(a);
}

/* Start a write for the device of a step. It is made, and waited for, in flush(). */
static void start_write(struct steps *a, size_t step, enum operation operation, const char *path, const char *value)
{
	int32_t dev = a->plan->step[step].dev;
	struct progress *st = &a->state[dev];
	int r;

	while ((r = pool_write(&a->pool, (int32_t)step, path, value)) == -EBUSY)
		flush(a);
	if (r < 0) {
		steps_fail(a, dev, operation, r);
		return;
	}
	st->busy = true;
	st->operation = operation;
}

int steps_write(struct steps *a, const char *path, const char *value)
{
	int r;

	flush(a);
	/* an answer to an earlier one that was waited for in vain may still come */
	r = pool_write(&a->pool, --a->last_direct, path, value);
	if (r < 0)
		return r;
	while (a->direct.task != a->last_direct) {
		unsigned left_ms = remaining_ms(a);

		/* a fence is to be raised even when there is no time left */
		if (wait_one(a, left_ms > PATIENCE_MS ? left_ms : PATIENCE_MS))
			continue;
		cancel(a);
		return -ETIMEDOUT;
	}
	return a->direct.error;
}

const char *steps_override(struct steps *a, int32_t dev)
{
	struct device *d = &a->devices->dev[dev];

	do {
		d->ask = ASK_OVERRIDE;
		scan_asked(&a->reads, a->devices);
		clock_nap(d->hung ? SETTLE_FIRST_MS : 0);
	} while (d->hung && remaining_ms(a) > 0);
	return d->override;
}

bool steps_bound(const struct steps *a, int32_t dev)
{
	return strcmp(a->plan->verdict[dev].driver, a->devices->dev[dev].driver) == 0;
}

/*
 * A driver that is being registered probes all that is there for it first, and
 * has its attributes only then (bus_add_driver() in drivers/base/bus.c): until
 * it has, no device can be taken from it.
 */
static bool is_registering(struct steps *a, const struct device *d)
{
	char unbind[PATH_SIZE], uevent[PATH_SIZE];

	if (sysfs_exists(a->root, device_path(unbind, d->addr, "driver/unbind")) ||
	    sysfs_exists(a->root, device_path(uevent, d->addr, "driver/uevent")))
		return false;
	a->waits = true;
	return true;
}

static void unbind(struct steps *a, size_t step, struct device *d)
{
	struct progress *st = &a->state[a->plan->step[step].dev];
	char path[PATH_SIZE], addr[ADDR_MAX];

	memcpy(st->taken_from, d->driver, sizeof(st->taken_from));
	start_write(a, step, STEP_UNBIND, device_path(path, d->addr, "driver/unbind"), text_addr(addr, d->addr));
}

/*
 * Ask the kernel to bind the device. Where a driver that was loaded meanwhile
 * has it, that is unbound first and the step is not done yet.
 */
static bool probe(struct steps *a, size_t step, struct device *d)
{
	int32_t dev = a->plan->step[step].dev;
	char addr[ADDR_MAX];

	scan_driver(a->root, d);
	if (steps_bound(a, dev))
		return true;
	if (d->driver[0]) {
		if (is_registering(a, d))
			return false;
		if (a->state[dev].tries++ < TAKE_TRIES) {
			unbind(a, step, d);
			return false;
		}
		steps_fail(a, dev, STEP_UNBIND, -EBUSY);
	} else if (!a->unlisted && !driver_registered(&a->drivers, str_of(a->plan->verdict[dev].driver))) {
		steps_fail(a, dev, STEP_MODULE, -ENODEV);
	} else {
		start_write(a, step, STEP_PROBE, "sys/bus/pci/drivers_probe", text_addr(addr, d->addr));
	}
	return true;
}

/* Use the name that the driver is registered under; overrides already written with another must be written again. */
static void respell(struct steps *a, const char *written, const char *registered)
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
static const char *find_driver(struct steps *a, const char *name)
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
static int load(struct steps *a, const char *name)
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
static void load_module(struct steps *a, const char *driver)
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
	else if (!a->root->is_system)
		report_say(a->report, LEVEL_ERR, "module %s: not loaded: nothing is run with --root", name);
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

/* Whether a VF of a PF is claimed, and does not go back to the host since that has failed. */
static bool stays_claimed(const struct steps *a, size_t i, int32_t pf)
{
	bool goes_back = a->state[i].failed && a->plan->rules->settings.on_failure == FAILURE_RELEASE;

	return a->devices->dev[i].pf == pf && a->plan->verdict[i].action == ACTION_CLAIM && !a->state[i].released && !goes_back;
}

/* Whether every claimed VF of a PF has its override, so that the fence may be lowered for the others. */
static bool vfs_are_safe(struct steps *a, int32_t pf)
{
	for (size_t i = 0; i < a->devices->n; i++)
		if (stays_claimed(a, i, pf))
			a->devices->dev[i].ask = ASK_OVERRIDE;
	scan_asked(&a->reads, a->devices);
	for (size_t i = 0; i < a->devices->n; i++)
		if (stays_claimed(a, i, pf) && (!a->devices->dev[i].override[0] || a->devices->dev[i].hung))
			return false;
	return true;
}

void steps_raise_fence(struct steps *a, const struct device *pf, const char *path)
{
	struct device d = *pf;
	char addr[ADDR_MAX];
	int r = -EIO;

	for (int i = 0; r < 0 && i < FENCE_TRIES; i++) {
		r = steps_write(a, path, "0");
		/* whatever that says */
		if (read_fence_back(a, &d) == 0)
			return;
		if (r == 0)
			r = -EIO;
	}
	a->unfenced++;
	report_say(a->report, LEVEL_ERR, "%s: its VFs are not fenced: sriov_drivers_autoprobe: cannot write \"0\": %s (%d)",
		   text_addr(addr, pf->addr), text_error(-r), -r);
}

/* Whether it may become known in a moment that a PF's claimed VFs are safe: a write for one of them, or a read, is under way. */
static bool vfs_are_busy(struct steps *a, int32_t pf)
{
	for (size_t i = 0; i < a->devices->n; i++) {
		a->waits |= stays_claimed(a, i, pf) && a->devices->dev[i].hung;
		if (a->waits || (a->devices->dev[i].pf == pf && a->state[i].busy))
			return true;
	}
	return false;
}

/*
 * Have the host's driver loaded and bind a device. Behind the fence no driver
 * is probed on a VF without an override: the fence is down only while the
 * driver is asked for. False where it must be tried again, as a claimed VF may
 * have its override in a moment.
 */
static bool hand_over(struct steps *a, size_t step, const struct device *d)
{
	bool fenced = d->pf >= 0 && (a->devices->dev[d->pf].fenced || a->plan->verdict[d->pf].fence);
	int32_t dev = a->plan->step[step].dev;
	char path[PATH_SIZE], addr[ADDR_MAX], modalias[MODALIAS_MAX];
	bool overtaken;
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
		steps_fail(a, dev, STEP_HAND, 0);
		return true;
	}
	/* what goes back to the host without a fence udev brings a driver for, or it is there */
	if ((fenced || a->plan->step[step].operation == STEP_HAND) &&
	    scan_modalias(a->root, d, modalias, sizeof(modalias)) == 0 && strcmp(modalias, a->modalias) != 0) {
		strcpy(a->modalias, modalias);
		load(a, modalias);
	}
	if (fenced)
		r = steps_write(a, device_path(path, a->devices->dev[d->pf].addr, "sriov_drivers_autoprobe"), "1");
	if (r == 0)
		start_write(a, step, STEP_PROBE, "sys/bus/pci/drivers_probe", text_addr(addr, d->addr));
	else
		steps_fail(a, dev, STEP_HAND, r);
	if (!fenced)
		return true;
	/* unless no time is left for it */
	a->done[step] = true;
	flush(a);
	overtaken = a->state[dev].busy;
	steps_raise_fence(a, &a->devices->dev[d->pf], path);
	/* a write that takes long may have come to the device only when the fence was up again: once more, when it has ended */
	a->state[dev].unfinished = overtaken && a->state[dev].tries > 0;
	return a->done[step] && (!overtaken || a->state[dev].tries++ > 0);
}

int steps_hand(struct steps *a, int32_t dev)
{
	struct progress *st = &a->state[dev];
	char addr[ADDR_MAX];
	size_t i = 0;

	while (i < a->plan->steps && a->plan->step[i].dev != dev)
		i++;
	/* it has lost its driver since the plan was made; behind a fence another run hands it over */
	if (i == a->plan->steps)
		return steps_write(a, "sys/bus/pci/drivers_probe", text_addr(addr, a->devices->dev[dev].addr));
	/* it takes a moment, also where something else has taken all the time */
	if (remaining_ms(a) < PATIENCE_MS)
		a->deadline_us = clock_us() + PATIENCE_MS * 1000ull;
	st->failed = st->busy = false;
	st->error = 0;
	st->tries = 0;
	while (!hand_over(a, i, &a->devices->dev[dev]) && remaining_ms(a) > 0 && wait_one(a, remaining_ms(a)))
		;
	flush(a);
	return !st->failed ? 0 : st->error ? st->error : -EAGAIN;
}

/* Do one step, or start it. False where it must be looked at again. */
static bool run_step(struct steps *a, size_t i)
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
		if (!d->driver[0] || steps_bound(a, s->dev))
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
static void run_steps(struct steps *a)
{
	unsigned round = 0;
	bool all_done;

	do {
		all_done = true;
		a->waits = false;
		round++;
		for (size_t i = 0; i < a->plan->steps; i++) {
			struct progress *st = &a->state[a->plan->step[i].dev];
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
		if (a->waits)
			wait_one(a, SETTLE_FIRST_MS);
	} while ((!all_done || pool_busy(&a->pool)) && remaining_ms(a) > 0 &&
		 (a->waits || !pool_busy(&a->pool) || wait_one(a, remaining_ms(a))));
}

/* Whether a claimed device, not held by the driver we asked for, may still be: its probe may have been deferred. */
static bool may_bind_later(const struct steps *a, int32_t dev)
{
	const struct verdict *v = &a->plan->verdict[dev];
	const struct device *d = &a->devices->dev[dev];

	return !a->state[dev].failed && !a->state[dev].busy && d->driver[0] == '\0' &&
	       driver_registered(&a->drivers, str_of(v->driver)) && !(driver_is_vfio(v->driver) && d->group < 0);
}

/* Whether the kernel has put off, or could not do, the probe of a device for the host. */
static bool is_put_off(const struct steps *a, const struct step *s)
{
	const struct progress *st = &a->state[s->dev];

	if (s->operation != STEP_HAND || !st->error || st->failed || st->busy)
		return false;
	scan_driver(a->root, &a->devices->dev[s->dev]);
	return !a->devices->dev[s->dev].driver[0];
}

/* Read the driver links back, and ask again for a while where the kernel may have deferred the probe. */
static void settle(struct steps *a)
{
	unsigned waited = 0;

	for (unsigned nap = SETTLE_FIRST_MS;; nap *= 2) {
		bool again = false;

		for (size_t i = 0; i < a->plan->steps; i++) {
			const struct step *step = &a->plan->step[i];
			int32_t dev = step->dev;

			if (is_put_off(a, step)) {
				again = true;
				if (waited > 0)
					hand_over(a, i, &a->devices->dev[dev]);
			}
			if (step->operation != STEP_PROBE)
				continue;
			scan_driver(a->root, &a->devices->dev[dev]);
			/* arm64 gives it one as a driver is bound (judge_iommu() in plan.c) */
			if (a->devices->dev[dev].group < 0)
				scan_group(a->root, &a->devices->dev[dev]);
			if (steps_bound(a, dev) || !may_bind_later(a, dev))
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

bool steps_init(struct steps *a)
{
	a->pool.root = a->reads.root = a->root;
	a->state = calloc(a->devices->n + 1, sizeof(*a->state));
	a->done = calloc(a->plan->steps + 1, sizeof(*a->done));
	if (!a->state || !a->done)
		return false;
	a->unlisted = scan_drivers(a->root, &a->drivers) < 0;
	for (size_t i = 0; i < a->plan->steps; i++)
		a->state[a->plan->step[i].dev].touched |= a->plan->step[i].operation != STEP_NUMVFS;
	return true;
}

void steps_do(struct steps *a)
{
	run_steps(a);
	settle(a);
	for (size_t i = 0; i < a->plan->steps; i++) {
		const struct step *s = &a->plan->step[i];

		if (!a->done[i])
			a->state[s->dev].unfinished = true;
		else if (is_put_off(a, s))
			steps_fail(a, s->dev, STEP_PROBE, a->state[s->dev].error);
	}
	for (size_t i = 0; i < a->devices->n; i++)
		a->state[i].unfinished |= a->state[i].busy;
}

void steps_free(struct steps *a)
{
	pool_close(&a->pool);
	pool_close(&a->reads);
	drivers_free(&a->drivers);
	free(a->state);
	free(a->done);
}
