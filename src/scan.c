// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Reads the PCI functions out of sysfs. One read of a device's modalias gives
 * its ids and class (modalias_show() in the kernel's drivers/pci/pci-sysfs.c);
 * links give its driver, its place, its IOMMU group and its PF. None of these
 * waits for a probe or for VFs that are being made. The uevent attribute,
 * which has it all, does on some kernels (uevent_show() in drivers/base/core.c).
 */
#include "scan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"

static const char devices_dir[] = "sys/bus/pci/devices";
static const char drivers_dir[] = "sys/bus/pci/drivers";

/* In the order of their bits. */
static const char *const ask_name[] = { "driver_override", "sriov_numvfs" };

enum {
	ASKS = sizeof(ask_name) / sizeof(ask_name[0]),
	PATIENCE_MS = 200,	/* after that what hangs is left: most reads take no time, and a probe may never end */
	LINK_MAX = 1024,
	CDEV_MAX = 16,
	AROUND_MAX = 512,	/* with more than these to read for a few, all can be read */
};

/* A scan under way. */
struct scan {
	const struct root *root;
	struct devices devices;
	size_t room;
	const struct report *report;
};

const char *device_path(char out[PATH_SIZE], struct addr a, const char *name)
{
	struct text t = text_in(out, PATH_SIZE);
	char addr[ADDR_MAX];

	text_add(&t, "%s/%s/%s", devices_dir, text_addr(addr, a), name);
	return out;
}

static int compare_devices(const void *a, const void *b)
{
	return addr_compare(((const struct device *)a)->addr, ((const struct device *)b)->addr);
}

int32_t device_find(const struct devices *devices, struct addr a)
{
	const struct device key = { .addr = a };
	const struct device *d = devices->n ? bsearch(&key, devices->dev, devices->n, sizeof(key), compare_devices) : NULL;

	return d ? (int32_t)(d - devices->dev) : -1;
}

static bool parse_addr(struct str s, struct addr *out)
{
	return scan_addr(&s, out) && s.len == 0;
}

/* A driver's name into its field; one too long for it is no driver that a rule can name, and is cut. */
static void set_driver(char out[DRIVER_MAX], struct str name)
{
	size_t n = name.len < DRIVER_MAX ? name.len : DRIVER_MAX - 1;

	memcpy(out, name.p, n);
	out[n] = '\0';
}

/* Ids and class from "pci:v000010DEd00002204sv00001462sd00003895bc03sc00i00". False where it is anything else. */
static bool parse_modalias(struct str s, struct ids *out)
{
	uint32_t base = 0, sub = 0, interface = 0;
	const struct {
		const char *name;
		uint32_t *value;
	} field[] = {
		{ "pci:v", &out->vendor }, { "d", &out->device }, { "sv", &out->subvendor }, { "sd", &out->subdevice },
		{ "bc", &base }, { "sc", &sub }, { "i", &interface },
	};

	for (size_t i = 0; i < sizeof(field) / sizeof(field[0]); i++) {
		if (!str_starts(s, field[i].name))
			return false;
		s = str_skip(s, strlen(field[i].name));
		if (scan_hex(&s, field[i].value) == 0)
			return false;
	}
	out->class = (base & 0xff) << 16 | (sub & 0xff) << 8 | (interface & 0xff);
	return str_is(s, "\n");
}

/* The bridge above from a link like ".../pci0000:00/0000:00:01.0/0000:01:00.0": its component before the last. */
static void parse_above(struct str link, struct addr own, struct addr *above)
{
	struct str last = link, before = link;

	*above = own;
	for (struct str rest = link; str_find(rest, '/') < rest.len; rest = str_skip(rest, str_find(rest, '/') + 1)) {
		before = last;
		last = str_skip(rest, str_find(rest, '/') + 1);
	}
	before.len = str_find(before, '/');
	parse_addr(before, above);
}

/* What is not there tells something, and so does a device that has gone; any other error hides what may be there. */
static void note_error(struct device *d, const char *name, int error)
{
	if (error >= 0 || error == -ENOENT || error == -ENODEV || error == -ENOTDIR)
		return;
	d->error = error;
	d->unread = name;
}

/*
 * The number in an attribute, -1 where there is none. All that are read are at
 * most a register of 16 bits (PCI_SRIOV_TOTAL_VF and the others in
 * <linux/pci_regs.h>); what is greater is nonsense, and would be counted up to.
 * What is read here and below is at the path: from the root directory, or from
 * the device's own.
 */
static int32_t read_number(const struct root *root, const char *path, struct device *d, const char *name,
			   size_t (*scan)(struct str *s, uint32_t *out))
{
	char value[32];
	struct str s;
	uint32_t n;
	int r = sysfs_read(root, path, value, sizeof(value));

	note_error(d, name, r);
	if (r < 0)
		return -1;
	s = str_of(value);
	return scan(&s, &n) > 0 && n <= UINT16_MAX ? (int32_t)n : -1;
}

static int32_t number_of(const struct root *root, struct device *d, const char *name)
{
	char path[PATH_SIZE];

	return read_number(root, device_path(path, d->addr, name), d, name, scan_decimal);
}

static int32_t own_number(const struct root *own, struct device *d, const char *name, size_t (*scan)(struct str *s, uint32_t *out))
{
	return read_number(own, name, d, name, scan);
}

/* What a read has come to. */
static void set_asked(struct device *d, unsigned which, const char *value, int error)
{
	struct str s = str_of(value);
	uint32_t n;

	d->hung &= (uint8_t)~(1u << which);
	note_error(d, ask_name[which], error);
	if (1 << which == ASK_OVERRIDE)
		set_driver(d->override, str_is(s, "(null)") ? str_of("") : s);
	else
		d->num_vfs = scan_decimal(&s, &n) > 0 && n <= UINT16_MAX ? (int32_t)n : *value == '?' ? -1 : 0;
}

/* Take in what has been read. False where nothing comes. */
static bool take_answer(struct pool *reads, const struct devices *devices, int32_t first, size_t *waiting)
{
	struct answer answer;

	if (pool_wait(reads, PATIENCE_MS, &answer) < 0)
		return false;
	/* what was left at an earlier time may come now */
	if (answer.task < first)
		return true;
	answer.task -= first;
	set_asked(&devices->dev[answer.task / ASKS], (unsigned)answer.task % ASKS, answer.value, answer.error);
	--*waiting;
	return true;
}

void scan_asked(struct pool *reads, const struct devices *devices)
{
	int32_t first = reads->next_task;
	size_t waiting = 0;
	bool flows = true;

	for (size_t i = 0; i < devices->n * ASKS; i++) {
		struct device *d = &devices->dev[i / ASKS];
		unsigned which = i % ASKS;
		char path[PATH_SIZE];
		int r;

		if (!(d->ask >> which & 1))
			continue;
		/* what nobody knows is neither unset nor any driver's */
		set_asked(d, which, "?", 0);
		d->ask &= (uint8_t)~(1u << which);
		d->hung |= (uint8_t)(1u << which);
		device_path(path, d->addr, ask_name[which]);
		while ((r = pool_read(reads, first + (int32_t)i, path)) == -EBUSY && flows)
			flows = take_answer(reads, devices, first, &waiting);
		if (r == 0)
			waiting++;
		else if (r != -EBUSY && r != -EALREADY)
			set_asked(d, which, "", r);
	}
	while (waiting > 0 && flows)
		flows = take_answer(reads, devices, first, &waiting);
	if (waiting > 0)
		pool_overtake(reads);
	reads->next_task = first + (int32_t)(devices->n * ASKS);
}

static void read_driver(const struct root *root, const char *path, struct device *d)
{
	char name[DRIVER_MAX];
	int r = sysfs_link(root, path, name, sizeof(name));

	d->driver[0] = '\0';
	note_error(d, "driver", r);
	if (r == 0)
		memcpy(d->driver, name, sizeof(name));
}

void scan_driver(const struct root *root, struct device *d)
{
	char path[PATH_SIZE];

	read_driver(root, device_path(path, d->addr, "driver"), d);
}

static int read_group(const struct root *root, const char *path, struct device *d)
{
	char group[32] = "";
	int r = sysfs_link(root, path, group, sizeof(group));
	struct str number = str_of(group);
	uint32_t value;

	if (r == 0 && scan_decimal(&number, &value) > 0 && number.len == 0 && value <= INT32_MAX)
		d->group = (int32_t)value;
	return r;
}

int scan_group(const struct root *root, struct device *d)
{
	char path[PATH_SIZE];

	return read_group(root, device_path(path, d->addr, "iommu_group"), d);
}

void scan_num_vfs(const struct root *root, struct device *d)
{
	int32_t num = number_of(root, d, "sriov_numvfs");

	d->num_vfs = num > 0 ? num : 0;
}

void scan_fence(const struct root *root, struct device *d)
{
	d->fenced = number_of(root, d, "sriov_drivers_autoprobe") == 0;
}

/* The SR-IOV attributes that no lock guards (Documentation/ABI/testing/sysfs-bus-pci). */
static void scan_sriov(const struct root *own, struct device *d)
{
	int32_t total = own_number(own, d, "sriov_totalvfs", scan_decimal);

	if (total <= 0)
		return;
	d->total_vfs = total;
	d->fenced = own_number(own, d, "sriov_drivers_autoprobe", scan_decimal) == 0;
	d->vf_device = own_number(own, d, "sriov_vf_device", scan_hex);
	d->vf_offset = own_number(own, d, "sriov_offset", scan_decimal);
	d->vf_stride = own_number(own, d, "sriov_stride", scan_decimal);
}

/* Where the bridge above is, and of a VF its PF. */
static void scan_places(const struct root *root, const struct root *own, struct device *d)
{
	char path[PATH_SIZE], link[LINK_MAX], name[ADDR_MAX];
	int r;

	d->above = d->physfn = d->addr;
	device_path(path, d->addr, "");
	path[strlen(path) - 1] = '\0';
	r = sysfs_link_whole(root, path, link, sizeof(link));
	note_error(d, "link", r);
	if (r == 0)
		parse_above(str_of(link), d->addr, &d->above);
	if (d->total_vfs > 0)
		return;
	r = sysfs_link(own, "physfn", name, sizeof(name));
	note_error(d, "physfn", r);
	if (r == 0)
		parse_addr(str_of(name), &d->physfn);
}

/* Who has a device of iommufd's open. */
struct users {
	const struct root *root;
	char cdev[CDEV_MAX], name[CDEV_MAX];	/* "vfio0", and what a process has open */
	char fds[32], path[PATH_SIZE];		/* "proc/1/fd", and what is below that */
};

static int take_cdev(void *ctx, const char *name)
{
	struct users *u = ctx;
	struct text t = text_in(u->cdev, sizeof(u->cdev));

	text_add(&t, "%s", name);
	return 1;
}

/* A path in a container is another, but its last component is the same. */
static int is_cdev(void *ctx, const char *fd)
{
	struct users *u = ctx;
	struct text t = text_in(u->path, sizeof(u->path));
	int r;

	text_add(&t, "%s/%s", u->fds, fd);
	r = sysfs_link(u->root, u->path, u->name, sizeof(u->name));
	return r == 0 ? strcmp(u->name, u->cdev) == 0 : r != -ENOENT && r != -ENAMETOOLONG;
}

/* 1 where a process has it open, or where that cannot be told. */
static int has_cdev(void *ctx, const char *pid)
{
	struct users *u = ctx;
	struct text t = text_in(u->fds, sizeof(u->fds));
	int r;

	if (*pid < '1' || *pid > '9')
		return 0;
	text_add(&t, "proc/%s/fd", pid);
	r = sysfs_list(u->root, u->fds, is_cdev, u);
	return r != 0 && r != -ENOENT && r != -ESRCH;
}

/* That it is in use cannot be seen by opening it: it can be opened more than once (vfio_device_fops_cdev_open()). */
static bool is_cdev_open(const struct root *root, const struct device *d)
{
	struct users u = { .root = root };

	return sysfs_list(root, device_path(u.path, d->addr, "vfio-dev"), take_cdev, &u) != 1 ||
	       !sysfs_exists(root, "proc/self/fd") || sysfs_list(root, "proc", has_cdev, &u) != 0;
}

static bool is_group_open(const struct root *root, const struct device *d)
{
	static const char *const forms[] = { "dev/vfio/%d", "dev/vfio/noiommu-%d" };
	int r = -ENOENT;

	for (int i = 0; i < 2 && r == -ENOENT; i++) {
		char path[PATH_SIZE];
		struct text t = text_in(path, sizeof(path));

		text_add(&t, forms[i], d->group);
		r = sysfs_try(root, path);
	}
	return r == -ENOENT ? is_cdev_open(root, d) : r < 0;
}

void scan_in_use(const struct root *root, struct device *d, bool opens)
{
	if (str_same_name(str_of(d->driver), "pci-stub") || !d->driver[0])
		d->in_use = false;
	else if (d->group >= 0 && driver_is_vfio(d->driver))
		d->in_use = opens && is_group_open(root, d);
	else
		d->in_use = true;
}

int scan_modalias(const struct root *root, const struct device *d, char *buf, size_t size)
{
	char path[PATH_SIZE];
	int n = sysfs_read(root, device_path(path, d->addr, "modalias"), buf, size);

	if (n < 0)
		return n;
	buf[str_find(str_of(buf), '\n')] = '\0';
	return 0;
}

static int scan_device(void *ctx, const char *name)
{
	struct scan *s = ctx;
	struct device d = { .parent = -1, .pf = -1, .vf_index = -1, .group = -1 };
	char path[PATH_SIZE], modalias[128];
	struct root own;
	int n;

	if (!parse_addr(str_of(name), &d.addr)) {
		report_say(s->report, LEVEL_WARNING, "/%s/%s: not an address; left out", devices_dir, name);
		return 0;
	}
	n = sysfs_enter(s->root, device_path(path, d.addr, ""), &own);
	if (n == 0) {
		n = sysfs_read(&own, "modalias", modalias, sizeof(modalias));
		read_driver(&own, "driver", &d);
		note_error(&d, "iommu_group", read_group(&own, "iommu_group", &d));
		scan_sriov(&own, &d);
		scan_places(s->root, &own, &d);
		sysfs_leave(&own);
	}
	if (n == -ENOENT || n == -ENODEV)
		return 0;
	if (n < 0) {
		s->devices.incomplete = true;
		report_say(s->report, LEVEL_WARNING, "%s: modalias: cannot read it: %s (%d); left out", name, text_error(-n), -n);
		return 0;
	}
	if (!parse_modalias(str_of(modalias), &d.ids)) {
		report_say(s->report, LEVEL_WARNING, "%s: modalias: ids or class are missing; left out", name);
		return 0;
	}
	if (s->devices.n == s->room) {
		size_t room = s->room ? 2 * s->room : 64;
		struct device *dev = realloc(s->devices.dev, room * sizeof(*dev));

		if (!dev)
			return -ENOMEM;
		s->devices.dev = dev;
		s->room = room;
	}
	s->devices.dev[s->devices.n++] = d;
	return 0;
}

/* With all devices known and in order: the bridge above each, and for VFs the PF and the number below it. */
static void scan_relations(const struct root *root, struct devices *devices)
{
	for (size_t i = 0; i < devices->n; i++) {
		struct device *d = &devices->dev[i];

		if (addr_compare(d->above, d->addr) != 0)
			d->parent = device_find(devices, d->above);
		if (addr_compare(d->physfn, d->addr) != 0)
			d->pf = device_find(devices, d->physfn);
	}
	for (size_t i = 0; i < devices->n; i++) {
		struct device *d = &devices->dev[i];

		for (int32_t n = 0; n < d->total_vfs; n++) {
			char path[PATH_SIZE], attribute[24], name[ADDR_MAX];
			struct text t = text_in(attribute, sizeof(attribute));
			struct addr vf;
			int32_t at = -1;
			int r;

			text_add(&t, "virtfn%d", n);
			r = sysfs_link(root, device_path(path, d->addr, attribute), name, sizeof(name));
			note_error(d, "virtfn*", r);
			if (r < 0)
				break;
			if (parse_addr(str_of(name), &vf))
				at = device_find(devices, vf);
			if (at >= 0)
				devices->dev[at].vf_index = n;
		}
	}
	for (size_t i = 0; i < devices->n; i++) {
		struct device *d = &devices->dev[i];

		/* its PF gets the link after it was announced (pci_iov_add_virtfn() in the kernel's drivers/pci/iov.c) */
		if (d->pf >= 0 && d->vf_index < 0 && !d->error) {
			d->error = -ENOENT;
			d->unread = "its number among the VFs";
		}
	}
}

static bool is_display(const struct device *d)
{
	return d->ids.class >> 16 == 0x03;
}

static bool is_boot_vga(const struct root *root, struct device *d)
{
	return number_of(root, d, "boot_vga") == 1;
}

/* The display that the firmware used (boot_vga in the kernel's drivers/pci/pci-sysfs.c), or the only one. */
static void scan_display(const struct root *root, struct devices *devices)
{
	struct device *only = NULL;
	unsigned displays = 0;

	for (size_t i = 0; i < devices->n; i++) {
		struct device *d = &devices->dev[i];

		if (!is_display(d))
			continue;
		d->boot_display = is_boot_vga(root, d);
		only = d;
		displays++;
	}
	if (displays == 1)
		only->boot_display = true;
}

/* What the scan has found, in order and with what the devices are to each other; r: what the reading came to. */
static int end_scan(struct scan *s, int r, struct devices *out)
{
	if (r != 0) {
		devices_free(&s->devices);
		return r;
	}
	if (s->devices.n > 0)
		qsort(s->devices.dev, s->devices.n, sizeof(*s->devices.dev), compare_devices);
	scan_relations(s->root, &s->devices);
	scan_display(s->root, &s->devices);
	*out = s->devices;
	return 0;
}

int scan_devices(const struct root *root, const struct report *report, struct devices *out)
{
	struct scan s = { .root = root, .report = report };

	return end_scan(&s, sysfs_list(root, devices_dir, scan_device, &s), out);
}

/* Read a device, if it is there and has not been read yet. 0 or -errno. */
static int add_device(struct scan *s, struct addr a)
{
	char name[ADDR_MAX];

	for (size_t i = 0; i < s->devices.n; i++)
		if (addr_compare(s->devices.dev[i].addr, a) == 0)
			return 0;
	return scan_device(s, text_addr(name, a));
}

static int add_name(void *ctx, const char *name)
{
	struct addr a;

	return parse_addr(str_of(name), &a) ? add_device(ctx, a) : 0;
}

/* The device that a link of another names. 0, -ENOENT without the link, -ENOMEM, or 1 where only a scan of all can tell. */
static int add_link(struct scan *s, struct addr a, const char *name)
{
	char path[PATH_SIZE], target[ADDR_MAX];
	int r = sysfs_link(s->root, device_path(path, a, name), target, sizeof(target));

	if (r == -ENOENT)
		return r;
	return r < 0 ? 1 : add_name(s, target);
}

static int stop(void *ctx, const char *name)
{
	(void)ctx;
	(void)name;
	return 1;
}

/* The IOMMU group of a device; without one it is to be known whether others have. 1 where that takes all devices. */
static int add_group(struct scan *s, const struct device *d)
{
	char path[PATH_SIZE];

	if (d->group < 0)
		return sysfs_list(s->root, "sys/kernel/iommu_groups", stop, NULL) == 1;
	return sysfs_list(s->root, device_path(path, d->addr, "iommu_group/devices"), add_name, s) == 0 ? 0 : 1;
}

static bool share_slot(struct addr a, struct addr b)
{
	return a.domain == b.domain && a.bus == b.bus && a.devfn >> 3 == b.devfn >> 3;
}

/* Read what belongs to the i-th device: the bridge above, its slot, its group, and PF or VFs. 0, 1 as above, or -errno. */
static int add_related(struct scan *s, size_t i)
{
	const struct device d = s->devices.dev[i];
	bool has_slot = false, has_group = false;
	struct addr a = d.addr;
	char attribute[24];
	int r;

	if (d.error)
		return 1;
	r = add_device(s, d.above);
	/* what an earlier one has brought with it */
	for (size_t k = 0; k < i; k++) {
		has_slot |= share_slot(s->devices.dev[k].addr, d.addr);
		has_group |= s->devices.dev[k].group == d.group;
	}
	for (uint8_t fn = 0; fn < 8 && r == 0 && !has_slot; fn++) {
		a.devfn = (uint8_t)((d.addr.devfn & ~7) | fn);
		r = add_device(s, a);
	}
	if (r == 0)
		r = add_device(s, d.physfn);
	for (int32_t n = 0; n < d.total_vfs && r == 0; n++) {
		struct text t = text_in(attribute, sizeof(attribute));

		text_add(&t, "virtfn%d", n);
		r = add_link(s, d.addr, attribute);
	}
	return (r == 0 || r == -ENOENT) && !has_group ? add_group(s, &d) : r == -ENOENT ? 0 : r;
}

int scan_around(const struct root *root, const struct report *report, const struct addr *addr, size_t n, struct devices *out)
{
	struct scan s = { .root = root, .report = report, .devices.partial = true };
	int r = 0;

	for (size_t i = 0; i < n && r == 0; i++)
		r = add_device(&s, addr[i]);
	/* that there is none is told with what is known of the machine */
	if (s.devices.n == 0 && r == 0)
		r = 1;
	for (size_t i = 0; i < s.devices.n && r == 0; i++)
		r = s.devices.n > AROUND_MAX ? 1 : add_related(&s, i);
	/* a display that the firmware did not use may be the only one */
	for (size_t i = 0; i < s.devices.n && r == 0; i++)
		r = is_display(&s.devices.dev[i]) && !is_boot_vga(root, &s.devices.dev[i]);
	return end_scan(&s, r, out);
}

void devices_free(struct devices *devices)
{
	free(devices->dev);
}

static int scan_driver_name(void *ctx, const char *name)
{
	struct drivers *drivers = ctx;
	char (*bigger)[DRIVER_MAX] = realloc(drivers->name, (drivers->n + 1) * sizeof(*bigger));

	if (!bigger)
		return -ENOMEM;
	drivers->name = bigger;
	set_driver(drivers->name[drivers->n++], str_of(name));
	return 0;
}

int scan_drivers(const struct root *root, struct drivers *out)
{
	struct drivers drivers = { .n = 0 };
	int r = sysfs_list(root, drivers_dir, scan_driver_name, &drivers);

	if (r < 0) {
		drivers_free(&drivers);
		return r;
	}
	*out = drivers;
	return 0;
}

void drivers_free(struct drivers *drivers)
{
	free(drivers->name);
}

static int take_pci_driver(void *ctx, const char *name)
{
	struct str s = str_of(name);

	if (!str_starts(s, "pci:"))
		return 0;
	set_driver(ctx, str_skip(s, 4));
	return 1;
}

bool scan_module_driver(const struct root *root, const char *module, char out[DRIVER_MAX])
{
	char path[PATH_SIZE];
	struct text t = text_in(path, sizeof(path));

	text_add(&t, "sys/module/");
	for (const char *c = module; *c; c++)
		text_add(&t, "%c", *c == '-' ? '_' : *c);
	text_add(&t, "/drivers");
	return sysfs_list(root, path, take_pci_driver, out) == 1;
}
