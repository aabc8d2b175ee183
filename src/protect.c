// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Finds the PCI functions that the running machine needs. A device's path in
 * sysfs passes every PCI function between it and the root of the bus; where
 * devices are stacked, slaves/ and lower_* lead to the ones below. Nothing is
 * changed and nothing guessed: where a way ends, that is said.
 */
#include "protect.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "match.h"
#include "scan.h"
#include "token.h"

enum {
	DEPTH_MAX = 16,		/* devices stacked on each other */
	VISITS_MAX = 1024,	/* devices looked at for one thing: diamonds and circles come to an end */
	WAY_MAX = 512,		/* a path, or a link's target */
	NAME_SIZE = 64,		/* a block device's name; the kernel's DISK_NAME_LEN is 32 */
	WORDS = 24,		/* in a line */
	RTF_UP = 0x1, RTF_REJECT = 0x200,	/* <linux/route.h>, <linux/ipv6_route.h> */
};

/* What is carried, in the order of the bits: mount points, and others. */
enum { SWAP = 4, RESUME, ROUTE, MOUNT, MEMBER, OTHER, CARRIED };
static const char *const carried[CARRIED] = {
	"/", "/usr", "/boot", "/boot/efi", "swap", "resume", "default route", "a mounted file system", "a part of a volume",
	"something in use",
};

static const char block_class[] = "sys/class/block";

/* A line of /proc/self/mountinfo (section 3.5 of the kernel's Documentation/filesystems/proc.rst), in pieces. */
struct mount {
	const char *id, *parent, *number, *point, *type;
	char *source;
};

struct search {
	const struct root *root;
	const struct devices *devices;
	struct protects found;
	struct mount *mount;
	size_t mounts;
	unsigned what;		/* whose carriers are looked for now */
	unsigned depth, visits;
	bool in_use;		/* all that is in use is looked for, to take a device from the running host */
	bool settled;		/* a way has come to an end, or it was said why not */
	const char *wanted;	/* what a callback looks for */
	char path[WAY_MAX];	/* the last one that path_of() made */
	char target[WAY_MAX];	/* of the last has_link() */
	int error;
};

static void say(struct search *s, const char *what, const char *why)
{
	char line[WARNING_SIZE], (*bigger)[WARNING_SIZE];
	struct text t = text_in(line, sizeof(line));

	s->settled = true;
	/* what else is mounted need not be on any device */
	if (s->what >= MOUNT)
		return;
	text_add(&t, "%s: cannot follow ", carried[s->what]);
	text_quote(&t, str_of(what));
	text_add(&t, ": %s", why);
	for (size_t i = 0; i < s->found.warnings; i++)
		if (strcmp(s->found.warning[i], line) == 0)
			return;
	bigger = realloc(s->found.warning, (s->found.warnings + 1) * sizeof(*bigger));
	if (!bigger) {
		s->error = -ENOMEM;
		return;
	}
	s->found.warning = bigger;
	memcpy(bigger[s->found.warnings++], line, sizeof(line));
}

/* A path for the next call; one that is too long is none. */
__attribute__((format(printf, 2, 3)))
static const char *path_of(struct search *s, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	if (vsnprintf(s->path, sizeof(s->path), format, args) >= WAY_MAX)
		s->path[0] = '\0';
	va_end(args);
	return s->path;
}

static bool has_link(struct search *s, const char *path)
{
	return sysfs_link_whole(s->root, path, s->target, sizeof(s->target)) == 0;
}

static bool starts(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

static void cut(char *s, char at)
{
	s = strchr(s, at);
	if (s)
		*s = '\0';
}

/*
 * What is not there carries nothing. What cannot be read may: without it
 * nothing is taken from a running host, and an image is made with a warning.
 */
static void note_error(struct search *s, const char *path, int error)
{
	struct text unread;

	if (error == -ENOENT || error == -ENODEV)
		return;
	if (error != -ENOMEM && !s->in_use) {
		say(s, path, text_error(-error));
		return;
	}
	s->error = error;
	unread = text_in(s->found.unread, sizeof(s->found.unread));
	text_add(&unread, "/%s", path);
}

/* A file's text, which the caller frees; none where there is no such file. */
static struct str read_text(struct search *s, const char *path, char **data)
{
	struct str text = { .len = 0 };
	int r = sysfs_read_all(s->root, path, data, &text.len);

	if (r < 0)
		note_error(s, path, r);
	text.p = *data;
	return text;
}

/* Call each(s, name) for what is in a directory, until it returns non-zero. That, 0 or -errno. */
static int list(struct search *s, const char *dir, int (*each)(void *ctx, const char *name))
{
	char path[WAY_MAX];
	int r;

	/* each() may make another */
	strcpy(path, dir);
	r = sysfs_list(s->root, path, each, s);
	if (r < 0)
		note_error(s, path, r);
	return r;
}

/* Turn "\040" into what it stands for (mangle() in the kernel's fs/proc_namespace.c). */
static void unescape(char *s)
{
	char *out = s;

	for (; *s; s++) {
		if (s[0] == '\\' && (s[1] & ~3) == '0' && (s[2] & ~7) == '0' && (s[3] & ~7) == '0') {
			*out++ = (char)((s[1] & 3) << 6 | (s[2] & 7) << 3 | (s[3] & 7));
			s += 3;
		} else {
			*out++ = *s;
		}
	}
	*out = '\0';
}

/* Hand each line of a file on, cut into words; behind the last one they are empty. They are pieces of the text, which the caller frees. */
static char *read_lines(struct search *s, const char *path, void (*take)(struct search *s, char **word))
{
	char *data = NULL, *word[WORDS + 3], none[1] = "";
	struct str text = read_text(s, path, &data), line, one;

	while (token_line(&text, &line)) {
		size_t n = 0;

		while (n < WORDS && token_word(&line, BLANKS, &one)) {
			word[n] = data + (one.p - data);
			line = str_skip(line, line.len > 0);
			word[n][one.len] = '\0';
			unescape(word[n++]);
		}
		while (n < WORDS + 3)
			word[n++] = none;
		take(s, word);
	}
	return data;
}

/* Each PCI function on a device's path carries it, but the bridges; so does the PF of one that is a VF. */
static bool mark_path(struct search *s, const char *path)
{
	const uint16_t bit = (uint16_t)(1u << s->what);
	bool any = false;

	for (; path; path = strchr(path, '/')) {
		struct str step = str_of(path += *path == '/');
		struct addr a;
		int32_t at;

		if (!scan_addr(&step, &a) || (step.len > 0 && step.p[0] != '/'))
			continue;
		any = true;
		at = device_find(s->devices, a);
		if (at >= 0 && device_is_bridge(&s->devices->dev[at]))
			continue;
		for (; at >= 0 && !(s->found.carries[at] & bit); at = s->devices->dev[at].pf)
			s->found.carries[at] |= bit;
	}
	return any;
}

/*
 * The mount that a path is on, or with `whole` the one on just this path. Of
 * mounts on each other the one on top counts: its parent is the one below,
 * and where that doesn't tell, it comes later.
 */
static const struct mount *find_mount(const struct search *s, const char *path, bool whole)
{
	const struct mount *best = NULL;
	size_t longest = 0;

	for (size_t i = 0; i < s->mounts; i++) {
		const struct mount *m = &s->mount[i];
		size_t n = strlen(m->point);

		if (n < longest || !starts(path, m->point) || (path[n] && (whole || (path[n] != '/' && n > 1))))
			continue;
		if (!best || n > longest || strcmp(best->parent, m->id) != 0)
			best = m;
		longest = n;
	}
	return best;
}

static void follow_stack(struct search *s, const char *name, char *target);
static void follow_mount(struct search *s, const struct mount *m);

/*
 * Follow the device that the link dir/name stands for, as in
 * "../../devices/pci0000:00/0000:00:1f.2/ata1/.../block/sda/sda1".
 */
static void follow_device(struct search *s, const char *dir, const char *name)
{
	char target[WAY_MAX];
	int r = sysfs_link_whole(s->root, path_of(s, "%s/%s", dir, name), target, sizeof(target));

	if (r < 0) {
		say(s, name, text_error(-r));
	} else if (mark_path(s, target)) {
		s->settled = true;
	} else if (s->visits++ >= VISITS_MAX || s->depth >= DEPTH_MAX) {
		say(s, name, "too many, too deep, or in a circle");
	} else {
		s->depth++;
		follow_stack(s, name, target);
		s->depth--;
	}
}

static int follow_block(void *ctx, const char *name)
{
	follow_device(ctx, block_class, name);
	return 0;
}

/*
 * The kernel's name of the block device behind a file below /dev: the file's
 * own, or where udev's link leads ("../../dm-0"). sysfs has "!" where such a
 * name has "/". False, and said, where there is no such device.
 */
static bool block_name(struct search *s, const char *path, char name[NAME_SIZE])
{
	const char *to = path;
	size_t n;

	if (starts(path, "/dev/") && has_link(s, path + 1))
		to = s->target;
	while (starts(to, "../"))
		to += 3;
	if (starts(to, "/dev/"))
		to += 5;
	for (n = 0; n < NAME_SIZE - 1 && to[n]; n++) {
		name[n] = to[n];
		if (name[n] == '/')
			name[n] = '!';
	}
	name[n] = '\0';
	if (has_link(s, path_of(s, "%s/%s", block_class, name)))
		return true;
	say(s, path, "there is no such block device");
	return false;
}

static void follow_path(struct search *s, const char *path)
{
	char name[NAME_SIZE];

	if (block_name(s, path, name))
		follow_block(s, name);
}

/* Follow a device below /dev, or a file to the file system that it is on. False where neither is there. */
static bool follow_file(struct search *s, const char *file)
{
	const struct mount *m = find_mount(s, file, false);

	if (starts(file, "/dev/")) {
		follow_path(s, file);
		return true;
	}
	if (m)
		follow_mount(s, m);
	return m;
}

/* An NVMe subsystem has links to its controllers (nvme_init_subsystem() in drivers/nvme/host/core.c). */
static int follow_controller(void *ctx, const char *name)
{
	struct search *s = ctx;

	if (has_link(s, path_of(s, "sys/class/nvme/%s", name)))
		follow_device(s, "sys/class/nvme", name);
	return 0;
}

static int follow_lower(void *ctx, const char *name)
{
	if (starts(name, "lower_"))
		follow_device(ctx, "sys/class/net", name + strlen("lower_"));
	return 0;
}

/*
 * No PCI function is on the path: virtual devices are followed to those below,
 * "../../devices/virtual/block/dm-0" to its slaves. Of the others some come
 * over a network, and the rest is no PCI device's.
 */
static void follow_stack(struct search *s, const char *name, char *target)
{
	const bool settled = s->settled;
	char *kind = strstr(target, "/virtual/"), *disk, file[WAY_MAX];

	s->settled = true;
	if (!kind) {
		/* iSCSI (drivers/scsi/scsi_transport_iscsi.c), Ceph (drivers/block/rbd.c) */
		if (strstr(target, "/session") || strstr(target, "/rbd/"))
			say(s, name, "it is reached over a network");
		return;
	}
	kind += strlen("/virtual/");
	disk = strchr(kind, '/');
	if (!disk || starts(disk, "/ram") || starts(disk, "/zram"))
		return;
	cut(++disk, '/');
	if (starts(kind, "net/")) {
		s->settled = settled;
		list(s, path_of(s, "sys/class/net/%s", disk), follow_lower);
		return;
	}
	if (sysfs_read(s->root, path_of(s, "%s/%s/loop/backing_file", block_class, disk), file, sizeof(file)) > 0) {
		cut(file, '\n');
		if (follow_file(s, file))
			return;
	}
	s->settled = false;
	if (starts(kind, "nvme-subsystem/"))
		list(s, path_of(s, "sys/class/%s", kind), follow_controller);
	else
		list(s, path_of(s, "%s/%s/slaves", block_class, disk), follow_block);
	if (!s->settled)
		say(s, name, "/sys shows no device below it");
}

/* The members of a mounted btrfs are links in sys/fs/btrfs/UUID/devices (btrfs_sysfs_add_device() in fs/btrfs/sysfs.c). */
static int follow_btrfs(void *ctx, const char *uuid)
{
	struct search *s = ctx;

	if (!has_link(s, path_of(s, "sys/fs/btrfs/%s/devices/%s", uuid, s->wanted)))
		return 0;
	list(s, path_of(s, "sys/fs/btrfs/%s/devices", uuid), follow_block);
	return 1;
}

/*
 * sysfs doesn't tell the disks of a ZFS pool, but udev's records do: it has
 * looked at each block device, and b8:1 tells what it saw on the device 8:1.
 */
static int follow_zfs(void *ctx, const char *record)
{
	struct search *s = ctx;
	char *data = NULL;

	if (record[0] != 'b')
		return 0;
	read_text(s, path_of(s, "run/udev/data/%s", record), &data);
	if (data && strstr(data, "\nE:ID_FS_TYPE=zfs_member\n") && strstr(data, path_of(s, "\nE:ID_FS_LABEL=%s\n", s->wanted)))
		follow_device(s, "sys/dev/block", record + 1);
	free(data);
	return 0;
}

/* A hexadecimal number; what is none has all bits set. */
static uint32_t hex(const char *digits)
{
	struct str s = str_of(digits);
	uint32_t value = UINT32_MAX;

	scan_hex(&s, &value);
	return value;
}

/* A default route, unless it is there to refuse. */
static void follow_route(struct search *s, const char *zero, const char *flags, const char *interface)
{
	if (!interface[0] || hex(zero) != 0 || (hex(flags) & (RTF_UP | RTF_REJECT)) != RTF_UP)
		return;
	s->settled = false;
	follow_device(s, "sys/class/net", interface);
	if (!s->settled)
		say(s, interface, "/sys shows no device below it");
}

/* By its mask (fib_route_seq_show() in net/ipv4/fib_trie.c) */
static void take_route(struct search *s, char **word)
{
	follow_route(s, word[7], word[3], word[0]);
}

/* By the length of its prefix (ipv6_route_native_seq_show() in net/ipv6/ip6_fib.c) */
static void take_ipv6_route(struct search *s, char **word)
{
	follow_route(s, word[1], word[8], word[9]);
}

static void follow_routes(struct search *s)
{
	free(read_lines(s, "proc/net/route", take_route));
	free(read_lines(s, "proc/net/ipv6_route", take_ipv6_route));
}

/* The device number has major 0 where a file system is on no device, or on several. */
static void follow_mount(struct search *s, const struct mount *m)
{
	const char *outer = s->wanted, *why = NULL;
	char name[NAME_SIZE];

	s->settled = false;
	if (strcmp(m->type, "bcachefs") == 0) {
		/* "/dev/sda2:/dev/sdb1" (bch2_show_devname()) */
		for (char *one = m->source, *end; one; one = end) {
			end = strchr(one, ':');
			if (end)
				*end = '\0';
			follow_path(s, one);
			if (end)
				*end++ = ':';
		}
	} else if (!starts(m->number, "0:")) {
		follow_device(s, "sys/dev/block", m->number);
	} else if (strcmp(m->type, "zfs") == 0) {
		cut(m->source, '/');
		s->wanted = m->source;
		list(s, "run/udev/data", follow_zfs);
		if (!s->settled)
			why = "udev knows no disk of this pool";
	} else if (strcmp(m->type, "btrfs") == 0) {
		s->wanted = name;
		if (block_name(s, m->source, name) && list(s, "sys/fs/btrfs", follow_btrfs) != 1) {
			follow_block(s, name);
			why = "/sys does not show its other devices";
		}
	} else if (starts(m->source, "/dev/")) {
		follow_path(s, m->source);
	} else if (strstr(" nfs nfs4 cifs smb3 ceph ", path_of(s, " %s ", m->type))) {
		follow_routes(s);
		why = "the default route's device is taken to carry it";
	} else if (strcmp(m->type, "tmpfs") != 0) {
		why = "it is on no block device";
	}
	if (why)
		say(s, path_of(s, "%s %s", m->type, m->source), why);
	s->settled = true;
	s->wanted = outer;	/* a file system may be in a file of another one */
}

static void take_mount(struct search *s, char **word)
{
	struct mount *bigger;
	size_t i = 6;

	/* optional fields, and what ends them */
	while (word[i][0] && strcmp(word[i], "-") != 0)
		i++;
	if (word[4][0] != '/' || !word[i + 2][0])
		return;
	bigger = realloc(s->mount, (s->mounts + 1) * sizeof(*bigger));
	if (!bigger) {
		s->error = -ENOMEM;
		return;
	}
	s->mount = bigger;
	s->mount[s->mounts++] = (struct mount){
		.id = word[0], .parent = word[1], .number = word[2], .point = word[4], .type = word[i + 1], .source = word[i + 2],
	};
}

/* A device or a file (swap_show() in mm/swapfile.c), below a line of titles */
static void take_swap(struct search *s, char **word)
{
	if (word[0][0] == '/' && !follow_file(s, word[0]))
		say(s, word[0], "nothing is mounted there");
}

/* resume= as the kernel and initramfs-tools take it: /dev/sda2, 8:2, UUID=..., LABEL=... */
static void follow_resume(struct search *s, char *value)
{
	char *equals = strchr(value, '='), path[WAY_MAX];
	struct text t = text_in(path, sizeof(path));

	if (!value[0] || strcmp(value, "0:0") == 0 || strcmp(value, "none") == 0)
		return;
	if (equals) {
		for (char *c = value; c < equals; c++)
			*c |= 0x20;
		*equals = '/';
		text_add(&t, "/dev/disk/by-%s", value);
		follow_path(s, path);
	} else if (value[0] != '/' && strchr(value, ':')) {
		follow_device(s, "sys/dev/block", value);
	} else {
		follow_path(s, value);
	}
}

/* What this kernel resumes from: "8:2" (Documentation/ABI/testing/sysfs-power) */
static void take_resume(struct search *s, char **word)
{
	follow_resume(s, word[0]);
}

/* The last resume= on the command line */
static void follow_cmdline(struct search *s)
{
	char *data = NULL;
	struct str rest = read_text(s, "proc/cmdline", &data), value = { .len = 0 };
	struct param param;

	while (token_param(&rest, &param))
		if (str_is(param.name, "resume"))
			value = param.value;
	if (value.len > 0) {
		data[value.p + value.len - data] = '\0';
		follow_resume(s, data + (value.p - data));
	}
	free(data);
}

static int is_one(void *ctx, const char *name)
{
	(void)ctx;
	(void)name;
	return 1;
}

/* A block device that another one is made of. */
static int follow_held(void *ctx, const char *name)
{
	struct search *s = ctx;

	if (list(s, path_of(s, "%s/%s/holders", block_class, name), is_one) == 1)
		follow_block(s, name);
	return s->error;
}

/* Whether a mount point has a bit of its own. */
static bool is_carried(const char *point)
{
	for (unsigned i = 0; i < SWAP; i++)
		if (strcmp(point, carried[i]) == 0)
			return true;
	return false;
}

int protect_find(const struct root *root, const struct devices *devices, bool in_use, struct protects *out)
{
	struct search s = { .root = root, .devices = devices, .in_use = in_use, .found.carries = calloc(devices->n + 1, sizeof(*s.found.carries)) };
	const struct mount *m;
	char *mounts = NULL;

	*out = s.found;
	if (!s.found.carries)
		return -ENOMEM;
	if (devices->n > 0)
		mounts = read_lines(&s, "proc/self/mountinfo", take_mount);
	m = find_mount(&s, carried[0], true);
	if (mounts && !m)
		say(&s, "/proc/self/mountinfo", "nothing is mounted there");
	/* an initramfs has not come to what the machine needs */
	for (; devices->n > 0 && s.what < MOUNT && !(m && strcmp(m->type, "rootfs") == 0); s.what++) {
		const struct mount *on = s.what < SWAP ? find_mount(&s, carried[s.what], true) : NULL;

		s.visits = 0;
		if (on)
			follow_mount(&s, on);
		if (s.what == SWAP)
			free(read_lines(&s, "proc/swaps", take_swap));
		if (s.what == RESUME) {
			free(read_lines(&s, "sys/power/resume", take_resume));
			follow_cmdline(&s);
		}
		if (s.what == ROUTE)
			follow_routes(&s);
	}
	if (in_use) {
		s.what = MOUNT;
		for (size_t i = 0; i < s.mounts; i++) {
			s.visits = 0;
			if (find_mount(&s, s.mount[i].point, true) == &s.mount[i] && !is_carried(s.mount[i].point))
				follow_mount(&s, &s.mount[i]);
		}
		s.visits = 0;
		s.what = MEMBER;
		list(&s, block_class, follow_held);
	}
	free(s.mount);
	free(mounts);
	*out = s.found;
	if (s.error < 0)
		protect_free(&s.found);
	return s.error;
}

void protect_free(struct protects *protects)
{
	free(protects->carries);
	free(protects->warning);
}

void protect_text(uint16_t carries, struct text *t)
{
	const char *comma = "";

	for (unsigned i = 0; i < CARRIED; i++) {
		if (!(carries & 1u << i))
			continue;
		text_add(t, "%s%s", comma, carried[i]);
		comma = ", ";
	}
}

uint16_t protect_parse(struct str text)
{
	uint16_t carries = 0;

	while (text.len > 0) {
		struct str one;

		while (text.len > 0 && (text.p[0] == ',' || text.p[0] == ' '))
			text = str_skip(text, 1);
		one = (struct str){ .p = text.p, .len = str_find(text, ',') };
		for (unsigned i = 0; i < CARRIED; i++)
			carries |= (uint16_t)(str_is(one, carried[i]) << i);
		text = str_skip(text, one.len);
	}
	return carries ? carries : 1u << OTHER;
}
