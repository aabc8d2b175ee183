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

static const char block_class[] = "sys/class/block";
static const char pools[] = "proc/spl/kstat/zfs";

/* A line of /proc/self/mountinfo (section 3.5 of the kernel's Documentation/filesystems/proc.rst), in pieces. */
struct mount {
	const char *id, *parent, *number, *point, *type;
	char *source;
};

struct search {
	const struct root *root;
	struct devices *devices;
	struct protects found;
	struct mount *mount;
	size_t mounts;
	char what[WARNING_SIZE];	/* whose carriers are looked for now */
	enum unknown kind;	/* what is not known where a way to them ends */
	unsigned depth, visits;
	bool strict;
	bool optional;		/* the boot goes on without the device */
	bool rest;		/* it matters only of devices that carry nothing else */
	bool settled;		/* a way has come to an end, or it was said why not */
	const char *wanted, *type, *key;	/* what a callback looks for */
	char path[WAY_MAX];	/* the last one that path_of() made */
	char target[WAY_MAX];	/* of the last has_link() */
	int error;
};

/*
 * Append a name with \xHH for what is unusual in one. As udev does it in its
 * links by label (encode_devnode_name() in systemd), which keep UTF-8 and
 * have no "/"; mount points have that and no UTF-8.
 */
static void encode(struct text *t, const char *name, bool link)
{
	for (; *name; name++) {
		const unsigned char c = (unsigned char)*name;
		const bool alnum = (unsigned)(c | 0x20) - 'a' < 26 || (unsigned)c - '0' < 10;

		text_add(t, (c >= 0x80 ? link : c == '/' ? !link : alnum || strchr("#+-.:=@_", c)) ? "%c" : "\\x%02x", c);
	}
}

/* Begin to look for the carriers of something: a mount point, or another name. */
static void begin(struct search *s, const char *what)
{
	struct text t = text_in(s->what, sizeof(s->what));

	if (what[0] == '/')
		encode(&t, what, false);
	else
		text_add(&t, "%s", what);
	s->kind = UNKNOWN_STORAGE;
	s->visits = 0;
	s->optional = false;
}

/* A way ends. That makes a kind unknown; UNKNOWN_KINDS is none, and a warning is all. */
static void say_as(struct search *s, enum unknown kind, const char *what, const char *why)
{
	char line[WARNING_SIZE], (*bigger)[WARNING_SIZE];
	struct text t = text_in(line, sizeof(line));

	s->settled = true;
	text_add(&t, "%s: cannot follow ", s->what);
	text_quote(&t, str_of(what));
	text_add(&t, ": %s", why);
	if (kind < UNKNOWN_KINDS && !s->devices->unknown[kind][0])
		strcpy(s->devices->unknown[kind], line);
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

static void say(struct search *s, const char *what, const char *why)
{
	say_as(s, s->kind, what, why);
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

/* Whether a word is in a list with commas: of options, or of what is carried. */
static bool has_word(const char *list, const char *word)
{
	size_t n = strlen(word);

	for (const char *at = list; (at = strstr(at, word)); at++)
		if ((at == list || at[-1] == ',' || at[-1] == ' ') && (!at[n] || at[n] == ','))
			return true;
	return false;
}

static void cut(char *s, char at)
{
	s = strchr(s, at);
	if (s)
		*s = '\0';
}

/*
 * What is not there carries nothing. What cannot be read may: without it
 * nothing is taken from a running host, and for an image a way ends.
 */
static void note_error(struct search *s, const char *path, int error)
{
	struct text unread;

	if (error == -ENOENT || error == -ENODEV)
		return;
	if (error != -ENOMEM && !s->strict) {
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

void protect_add(struct device *d, const char *what)
{
	const size_t len = strlen(d->carries), most = sizeof(d->carries) - sizeof(", ...");
	struct text t = { .buf = d->carries, .size = sizeof(d->carries), .len = len };

	d->carries_root |= what[0] == '/' && (!what[1] || what[1] == ',');
	if (has_word(d->carries, what) || has_word(d->carries, "..."))
		return;
	if (len == 0 || len + strlen(", ") + strlen(what) <= most)
		text_add(&t, "%s%s", len ? ", " : "", what);
	else
		strcpy(d->carries + (len < most ? len : most), ", ...");
}

static void read_file(struct search *s, const char *path, void (*take)(struct search *s, char **word))
{
	free(read_lines(s, path, take));
}

/* Each PCI function on a device's path carries it, but the bridges; so does the PF of one that is a VF. */
static bool mark_path(struct search *s, const char *path)
{
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
		for (; at >= 0; at = s->devices->dev[at].pf)
			if (!s->rest || !s->devices->dev[at].carries[0])
				protect_add(&s->devices->dev[at], s->what);
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
static int follow_imported(void *ctx, const char *name);
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
	say_as(s, s->optional ? UNKNOWN_KINDS : s->kind, path, "there is no such block device");
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
	/* iSCSI (drivers/scsi/scsi_transport_iscsi.c), Ceph, nbd (drivers/block), NVMe over fabrics (drivers/nvme/host/fabrics.c) */
	if (strstr(target, "/session") || strstr(target, "/rbd/") || strstr(target, "/block/nbd") || strstr(target, "/nvme-fabrics/")) {
		say_as(s, UNKNOWN_NETWORK, name, "it is reached over a network");
		return;
	}
	if (!kind)
		return;
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
	else if (starts(disk, "zd"))
		/* a volume of some ZFS pool (zvol_alloc() in OpenZFS) */
		list(s, pools, follow_imported);
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
static int follow_record(void *ctx, const char *record)
{
	struct search *s = ctx;
	char *data = NULL;

	if (record[0] != 'b')
		return 0;
	read_text(s, path_of(s, "run/udev/data/%s", record), &data);
	if (data && strstr(data, path_of(s, "\nE:ID_FS_TYPE=%s\n", s->type)) && strstr(data, path_of(s, "\nE:ID_FS_%s%s\n", s->key, s->wanted)))
		follow_device(s, "sys/dev/block", record + 1);
	free(data);
	return 0;
}

/* Follow all devices on which udev saw a file system of this type that has what is wanted: "LABEL=" and a name, "" and "UUID=...". */
static void follow_records(struct search *s, const char *type, const char *key, const char *wanted)
{
	const char *outer = s->wanted;	/* a pool may be in a file of a file system */

	s->type = type;
	s->key = key;
	s->wanted = wanted;
	list(s, "run/udev/data", follow_record);
	s->wanted = outer;
}

static void follow_pool(struct search *s, const char *pool)
{
	s->settled = false;
	follow_records(s, "zfs_member", "LABEL=", pool);
	if (!s->settled)
		say(s, path_of(s, "zfs %s", pool), "udev knows no disk of this pool");
}

/* A pool that is imported has a "state" (spa_state_init() in OpenZFS), also one without file systems. */
static int follow_imported(void *ctx, const char *name)
{
	struct search *s = ctx;

	if (sysfs_exists(s->root, path_of(s, "%s/%s/state", pools, name)))
		follow_pool(s, name);
	return s->error;
}

/* "/dev/sda2:/dev/sdb1" (bch2_show_devname()) */
static void follow_members(struct search *s, char *source)
{
	for (char *one = source, *end; one; one = end) {
		end = strchr(one, ':');
		if (end)
			*end = '\0';
		follow_path(s, one);
		if (end)
			*end++ = ':';
	}
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
	const enum unknown outer = s->kind;

	s->kind = UNKNOWN_NETWORK;
	read_file(s, "proc/net/route", take_route);
	read_file(s, "proc/net/ipv6_route", take_ipv6_route);
	s->kind = outer;
}

/* The device number has major 0 where a file system is on no device, or on several. */
static void follow_mount(struct search *s, const struct mount *m)
{
	const char *outer = s->wanted, *why = NULL;
	enum unknown kind = s->kind;
	char name[NAME_SIZE];

	s->settled = false;
	if (strcmp(m->type, "bcachefs") == 0) {
		follow_members(s, m->source);
	} else if (!starts(m->number, "0:")) {
		follow_device(s, "sys/dev/block", m->number);
	} else if (strcmp(m->type, "zfs") == 0) {
		follow_pool(s, m->source);
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
		kind = UNKNOWN_NETWORK;
		why = "the default route's device is taken to carry it";
	} else if (!strstr(" tmpfs autofs ", path_of(s, " %s ", m->type))) {
		/* an automount that nobody has used is fstab's, or on the disk of / (systemd-gpt-auto-generator(8)) */
		why = "it is on no block device";
	}
	if (why)
		say_as(s, kind, path_of(s, "%s %s", m->type, m->source), why);
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
	/* each of a pool's file systems has a number of its own */
	if (strcmp(word[i + 1], "zfs") == 0)
		cut(word[i + 2], '/');
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

/* A value without the quotes around it. */
static char *unquote(char *s)
{
	size_t n = strlen(s);

	if (n < 2 || (s[0] != '"' && s[0] != '\'') || s[n - 1] != s[0])
		return s;
	s[n - 1] = '\0';
	return s + 1;
}

/*
 * Follow a device by its path or tag: /dev/sda2, UUID=..., LABEL="my-disk".
 * False where it is neither.
 */
static bool follow_spec(struct search *s, char *spec)
{
	char *value = strchr(spec, '='), path[WAY_MAX];
	struct text t = text_in(path, sizeof(path));

	if (starts(spec, "/dev/")) {
		follow_path(s, spec);
		return true;
	}
	if (!value)
		return false;
	*value++ = '\0';
	for (char *c = spec; *c; c++)
		*c |= 0x20;
	if (!strstr(" label uuid partlabel partuuid id ", path_of(s, " %s ", spec)))
		return false;
	text_add(&t, "/dev/disk/by-%s/", spec);
	encode(&t, unquote(value), true);
	follow_path(s, path);
	return true;
}

/* What is mounted at boot, or swap: device, mount point, type, options (fstab(5)). What is on no device of its own is passed over. */
static void take_fstab(struct search *s, char **word)
{
	const char *type = word[2], *options = word[3];

	if (!type[0] || has_word(options, "noauto") || has_word(options, "bind") || has_word(options, "rbind"))
		return;
	begin(s, strcmp(type, "swap") == 0 ? type : word[1]);
	/* which device the root file system is on is not for fstab to say */
	s->optional = has_word(options, "nofail") || strcmp(word[1], "/") == 0;
	if (strcmp(type, "zfs") == 0) {
		cut(word[0], '/');
		follow_pool(s, word[0]);
		return;
	}
	/* of a file system on several devices a tag's link is to one of them */
	if (strcmp(type, "btrfs") == 0 || strcmp(type, "bcachefs") == 0)
		follow_records(s, type, "", word[0]);
	if (strcmp(type, "bcachefs") == 0 && word[0][0] == '/')
		follow_members(s, word[0]);
	else
		follow_spec(s, word[0]);
}

/* What is opened at boot: name, device, key, options (crypttab(5)) */
static void take_crypttab(struct search *s, char **word)
{
	if (has_word(word[3], "noauto"))
		return;
	begin(s, "an encrypted volume");
	s->optional = has_word(word[3], "nofail");
	follow_spec(s, word[1]);
}

/* resume= as the kernel and initramfs-tools take it: as above, or 8:2 */
static void follow_resume(struct search *s, char *value)
{
	if (!value[0] || strcmp(value, "0:0") == 0 || strcmp(value, "none") == 0 || strcmp(value, "auto") == 0)
		return;
	if (value[0] != '/' && strchr(value, ':') && !strchr(value, '='))
		follow_device(s, "sys/dev/block", value);
	else if (!follow_spec(s, value))
		follow_path(s, value);
}

/* What this kernel resumes from, "8:2" (Documentation/ABI/testing/sysfs-power), or initramfs-tools, in shell: RESUME=... */
static void take_resume(struct search *s, char **word)
{
	follow_resume(s, starts(word[0], "RESUME=") ? unquote(word[0] + strlen("RESUME=")) : word[0]);
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

	s->visits = 0;
	if (list(s, path_of(s, "%s/%s/holders", block_class, name), is_one) == 1)
		follow_block(s, name);
	return s->error;
}

/* Whether a mount's file system is on block devices, and on none of those mounted before it, or in none of their pools. */
static bool is_news(struct search *s, size_t i)
{
	const struct mount *m = &s->mount[i];
	const bool zfs = strcmp(m->type, "zfs") == 0;

	if (starts(m->number, "0:") && !strstr(" btrfs bcachefs zfs ", path_of(s, " %s ", m->type)))
		return false;
	while (i-- > 0)
		if (strcmp(s->mount[i].number, m->number) == 0 || (zfs && strcmp(s->mount[i].source, m->source) == 0))
			return false;
	return true;
}

/* A block device that is not only in memory: 1 where it is behind USB. */
static int is_usb(void *ctx, const char *name)
{
	struct search *s = ctx;

	if (!has_link(s, path_of(s, "%s/%s", block_class, name)) || strstr(s->target, "/virtual/"))
		return 0;
	s->settled = true;
	return strstr(s->target, "/usb") != NULL;
}

/* In the order of what matters most: a device's text may be full. */
static void follow_mounts(struct search *s)
{
	for (size_t i = 0; i < s->mounts; i++) {
		if (strcmp(s->mount[i].type, "rootfs") == 0 || !is_news(s, i))
			continue;
		begin(s, s->mount[i].point);
		follow_mount(s, &s->mount[i]);
	}
	begin(s, "swap");
	read_file(s, "proc/swaps", take_swap);
}

/* What is in use by something else than file systems, and named only where there is nothing else to name. */
static void follow_rest(struct search *s)
{
	s->rest = true;
	begin(s, "a part of a volume");
	list(s, block_class, follow_held);
	begin(s, "a ZFS pool");
	list(s, pools, follow_imported);

	/* what cannot be followed may be on USB where there is any, or where nothing is to be seen */
	s->settled = false;
	if (s->devices->unknown[UNKNOWN_STORAGE][0] && (list(s, block_class, is_usb) != 0 || !s->settled))
		strcpy(s->devices->unknown[UNKNOWN_USB], s->devices->unknown[UNKNOWN_STORAGE]);
}

static void follow_all(struct search *s)
{
	static const char *const first[] = { "/", "/usr", "/boot", "/boot/efi" };
	const struct mount *m;

	for (size_t i = 0; i < sizeof(first) / sizeof(first[0]); i++) {
		begin(s, first[i]);
		m = find_mount(s, first[i], true);
		if (m)
			follow_mount(s, m);
	}
	begin(s, "fstab");
	read_file(s, "etc/fstab", take_fstab);
	follow_mounts(s);
	begin(s, "resume");
	read_file(s, "sys/power/resume", take_resume);
	follow_cmdline(s);
	read_file(s, "etc/initramfs-tools/conf.d/resume", take_resume);
	begin(s, "default route");
	follow_routes(s);
	s->rest = true;
	begin(s, "crypttab");
	read_file(s, "etc/crypttab", take_crypttab);
	follow_rest(s);
}

int protect_find(const struct root *root, struct devices *devices, bool strict, struct protects *out)
{
	struct search s = { .root = root, .devices = devices, .strict = strict };
	const struct mount *m;
	char *mounts;

	if (devices->n > 0) {
		begin(&s, "/");
		mounts = read_lines(&s, "proc/self/mountinfo", take_mount);
		m = find_mount(&s, "/", true);
		if (mounts && !m)
			say(&s, "/proc/self/mountinfo", "nothing is mounted there");
		if (!m || strcmp(m->type, "rootfs") != 0) {
			follow_all(&s);
		} else {
			/* an initramfs has not come to what the machine needs, but what is in use already is */
			follow_mounts(&s);
			follow_rest(&s);
		}
		free(s.mount);
		free(mounts);
	}
	*out = s.found;
	if (s.error < 0)
		protect_free(&s.found);
	return s.error;
}

void protect_free(struct protects *protects)
{
	free(protects->warning);
}
