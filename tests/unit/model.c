// SPDX-License-Identifier: GPL-2.0-or-later
#include "model.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../src/module.h"
#include "../../src/sysfs.h"

static struct model *m;

struct model *model_new(void)
{
	if (!m)
		m = mmap(NULL, sizeof(*m), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (m == MAP_FAILED)
		abort();
	memset(m, 0, sizeof(*m));
	return m;
}

/* Never comes back; the process is not left behind by the test for long, though. */
static _Noreturn void hang(void)
{
	alarm(20);
	for (;;)
		pause();
}

static bool registered(const char *driver)
{
	for (int i = 0; i < MODEL_DRIVERS; i++)
		if (m->driver[i][0] && strcmp(m->driver[i], driver) == 0)
			return true;
	return false;
}

/* pci_match_device(): with an override its driver alone, else the one with the ids */
static bool matches(const struct model_device *d, const char *driver)
{
	return d->override[0] ? strcmp(d->override, driver) == 0 : d->native && strcmp(d->native, driver) == 0;
}

static void probe(struct model_device *d, const char *driver)
{
	if (d->gone || d->driver[0] || !registered(driver) || !matches(d, driver))
		return;
	/* pci_device_can_probe() */
	if (d->vf && m->device[d->vf_of].fenced && !d->override[0])
		return;
	snprintf(m->probes + strlen(m->probes), MODEL_LOG - strlen(m->probes), "%s %s\n", d->addr, driver);
	if (d->hangs)
		hang();
	if (d->deferrals > 0) {
		d->deferrals--;
		return;
	}
	/* vfio-pci asks for the IOMMU group before anything else */
	if (!d->refuses && !(d->group < 0 && strcmp(driver, "vfio-pci") == 0))
		strcpy(d->driver, driver);
}

void model_register(const char *driver)
{
	for (int i = 0; i < MODEL_DRIVERS; i++)
		if (!m->driver[i][0]) {
			strcpy(m->driver[i], driver);
			break;
		}
	for (int i = 0; i < MODEL_DEVICES && m->device[i].addr; i++)
		probe(&m->device[i], driver);
}

/* The device of "sys/bus/pci/devices/ADDR/REST", and the rest. */
static struct model_device *find(const char *path, const char **rest)
{
	static const char dir[] = "sys/bus/pci/devices/";
	const char *addr = path + strlen(dir);

	if (strncmp(path, dir, strlen(dir)) != 0)
		return NULL;
	for (int i = 0; i < MODEL_DEVICES && m->device[i].addr; i++) {
		struct model_device *d = &m->device[i];
		size_t n = strlen(d->addr);

		if (!d->gone && strncmp(addr, d->addr, n) == 0 && (addr[n] == '/' || !addr[n])) {
			*rest = addr[n] ? addr + n + 1 : addr + n;
			return d;
		}
	}
	return NULL;
}

int module_start(struct modprobe *out, const struct root *root, const char *name)
{
	(void)root;
	out->pid = fork();
	if (out->pid > 0)
		return 0;
	if (m->modprobe_hangs)
		hang();
	for (int i = 0; i < MODEL_DEVICES && m->device[i].addr; i++)
		if (strcmp(name, m->device[i].modalias) == 0)
			name = m->device[i].native;
	for (int i = 0; i < MODEL_DRIVERS; i++)
		if (m->module[i][0] && strcmp(m->module[i], name) == 0) {
			if (registered(m->module[i]))
				_exit(0);
			name = m->module[i];
			model_register(name);
			_exit(0);
		}
	_exit(1);
}

int module_wait(struct modprobe *modprobe, unsigned timeout_ms)
{
	int status;

	for (unsigned ms = 0; waitpid(modprobe->pid, &status, WNOHANG) == 0; ms++) {
		if (ms >= timeout_ms)
			return -ETIMEDOUT;
		usleep(1000);
	}
	return WEXITSTATUS(status);
}

void module_end(struct modprobe *modprobe)
{
	(void)modprobe;
}

int sysfs_open(struct root *root, const char *path)
{
	*root = (struct root){ .fd = -1, .path = path };
	return 0;
}

int sysfs_list(const struct root *root, const char *dir, int (*each)(void *ctx, const char *name), void *ctx)
{
	int r = 0;

	(void)root;
	if (strcmp(dir, "sys/bus/pci/devices") == 0) {
		for (int i = 0; r == 0 && i < MODEL_DEVICES && m->device[i].addr; i++)
			if (!m->device[i].gone)
				r = each(ctx, m->device[i].addr);
	} else if (strcmp(dir, "sys/bus/pci/drivers") == 0) {
		for (int i = 0; r == 0 && i < MODEL_DRIVERS; i++)
			if (m->driver[i][0])
				r = each(ctx, m->driver[i]);
	} else {
		r = -ENOENT;
	}
	return r;
}

int sysfs_read(const struct root *root, const char *path, char *buf, size_t size)
{
	const char *rest;
	const struct model_device *d = find(path, &rest);

	if (d && strcmp(rest, "modalias") == 0 && m->reads_hang)
		hang();
	if (d && d->total_vfs && strcmp(rest, "sriov_totalvfs") == 0)
		return snprintf(buf, size, "%d\n", d->total_vfs);
	if (d && d->total_vfs && strcmp(rest, "sriov_numvfs") == 0 && d->locked)
		hang();
	if (d && d->total_vfs && strcmp(rest, "sriov_numvfs") == 0)
		return snprintf(buf, size, "%d\n", d->num_vfs);
	if (d && d->total_vfs && strcmp(rest, "sriov_drivers_autoprobe") == 0)
		return snprintf(buf, size, "%d\n", !d->fenced);
	if (d && strcmp(rest, "modalias") == 0)
		return snprintf(buf, size, "%s\n", d->modalias);

	(void)root;
	if (strcmp(path, "proc/sys/kernel/printk") == 0)
		return snprintf(buf, size, "7\t4\t1\t7\n");
	if (d && strcmp(rest, "driver_override") == 0)
		return snprintf(buf, size, "%s\n", d->override[0] ? d->override : "(null)");
	return -ENOENT;
}

int sysfs_read_all(const struct root *root, const char *path, char **data, size_t *len)
{
	(void)root;
	if (strcmp(path, "etc/preclaim.conf") == 0)
		*data = strdup(m->conf);
	else if (strcmp(path, "proc/cmdline") == 0)
		*data = strdup("");
	else if (strcmp(path, "run/preclaim/status") == 0 && m->status[0])
		*data = strdup(m->status);
	else
		return -ENOENT;
	*len = strlen(*data);
	return 0;
}

/* sriov_numvfs_store() */
static int make_vfs(struct model_device *pf, int number)
{
	int made = pf->most_vfs && number > pf->most_vfs ? pf->most_vfs : number;

	if (pf->vfs_hang) {
		pf->locked = true;
		hang();
	}
	if (pf->vfs_error)
		return -pf->vfs_error;
	if (number > pf->total_vfs)
		return -ERANGE;
	if (number == pf->num_vfs)
		return 0;
	if (!pf->driver[0])
		return -ENOENT;
	if (number && pf->num_vfs)
		return -EBUSY;
	for (int i = 0; i < pf->total_vfs; i++) {
		struct model_device *vf = &pf[i + 1];

		vf->gone = i >= made;
		vf->driver[0] = vf->override[0] = '\0';
		for (int k = 0; !vf->gone && k < MODEL_DRIVERS; k++)
			if (m->driver[k][0])
				probe(vf, m->driver[k]);
	}
	pf->num_vfs = made;
	return 0;
}

static int write_attribute(const char *path, const char *value)
{
	const char *rest;
	struct model_device *d = find(path, &rest);
	char device_dir[PATH_SIZE];

	if (strcmp(path, "sys/bus/pci/drivers_probe") == 0) {
		snprintf(device_dir, sizeof(device_dir), "sys/bus/pci/devices/%s", value);
		d = find(device_dir, &rest);
		if (d)
			d->gone |= d->vanishes;
		if (!d || d->gone)
			return -ENODEV;
		for (int i = 0; i < MODEL_DRIVERS; i++)
			if (m->driver[i][0])
				probe(d, m->driver[i]);
		return 0;
	}
	if (!d)
		return -ENOENT;
	if (strcmp(rest, "driver_override") == 0) {
		if (d->late)
			strcpy(d->driver, d->native);
		d->late = false;
		strcpy(d->override, strcmp(value, "\n") == 0 ? "" : value);
		return 0;
	}
	if (d->total_vfs && strcmp(rest, "sriov_drivers_autoprobe") == 0) {
		d->fenced = strcmp(value, "0") == 0;
		return 0;
	}
	if (d->total_vfs && strcmp(rest, "sriov_numvfs") == 0)
		return make_vfs(d, atoi(value));
	if (strcmp(rest, "driver/unbind") == 0 && d->driver[0] && d->registering == 0) {
		if (d->hangs)
			hang();
		d->driver[0] = '\0';
		return 0;
	}
	return -ENOENT;
}

int sysfs_write(const struct root *root, const char *path, const char *value)
{
	(void)root;
	if (++m->operations == m->fail_at) {
		if (m->fail_error)
			return -m->fail_error;
		hang();
	}
	return write_attribute(path, value);
}

int sysfs_link_whole(const struct root *root, const char *path, char *buf, size_t size)
{
	const char *rest;
	const struct model_device *d = find(path, &rest);

	(void)root;
	if (d && !*rest)
		return (size_t)snprintf(buf, size, "../../../devices/pci0000:00/%s", d->addr) < size ? 0 : -ENAMETOOLONG;
	return -ENOENT;
}

int sysfs_link(const struct root *root, const char *path, char *buf, size_t size)
{
	const char *rest;
	const struct model_device *d = find(path, &rest);

	(void)root;
	if (d && strcmp(rest, "driver") == 0 && d->driver[0])
		return (size_t)snprintf(buf, size, "%s", d->driver) < size ? 0 : -ENAMETOOLONG;
	if (d && d->vf && strcmp(rest, "physfn") == 0)
		return (size_t)snprintf(buf, size, "%s", m->device[d->vf_of].addr) < size ? 0 : -ENAMETOOLONG;
	if (d && strncmp(rest, "virtfn", 6) == 0 && atoi(rest + 6) < d->num_vfs)
		return (size_t)snprintf(buf, size, "%s", d[atoi(rest + 6) + 1].addr) < size ? 0 : -ENAMETOOLONG;
	if (d && strcmp(rest, "iommu_group") == 0 && d->group >= 0)
		return (size_t)snprintf(buf, size, "%d", d->group) < size ? 0 : -ENAMETOOLONG;
	return -ENOENT;
}

bool sysfs_exists(const struct root *root, const char *path)
{
	const char *rest;
	struct model_device *d = find(path, &rest);

	(void)root;
	if (d && strcmp(rest, "driver/uevent") == 0 && d->registering > 0)
		return --d->registering == 0;
	if (d && strcmp(rest, "driver/unbind") == 0 && d->registering > 0)
		return false;
	return d || strcmp(path, "init") == 0 || strcmp(path, "dev/kmsg") == 0 || strcmp(path, "sys/module/vfio_iommu_type1") == 0;
}

int sysfs_may_write(const struct root *root, const char *path)
{
	(void)root;
	(void)path;
	return 0;
}

bool sysfs_is_busy(const struct root *root, const char *path)
{
	(void)root;
	for (int i = 0; i < MODEL_DEVICES && m->device[i].addr; i++)
		if (m->device[i].open && m->device[i].group == atoi(path + strlen("dev/vfio/")))
			return true;
	return false;
}

int sysfs_append(const struct root *root, const char *path, const char *record, size_t len)
{
	(void)root;
	(void)path;
	strncat(m->log, record, len);
	return 0;
}

int sysfs_replace(const struct root *root, const char *dir, const char *name, const char *data, size_t len)
{
	(void)root;
	(void)dir;
	(void)name;
	memcpy(m->status, data, len);
	m->status[len] = '\0';
	return 0;
}

int sysfs_lock(const struct root *root, const char *dir, const char *name)
{
	(void)root;
	(void)dir;
	(void)name;
	return -ENOENT;
}

void sysfs_unlock(int lock)
{
	(void)lock;
}
