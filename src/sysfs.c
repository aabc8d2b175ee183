// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The only file that opens paths. Everything is reached from one directory,
 * "/" or a copy of a machine's tree, so that the program can be shown any
 * machine, and nothing leads out of that. It knows no attribute by name.
 */
#include "sysfs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "text.h"

enum {
	FILE_MAX = 4 << 20,
	FIRST_READ = 4096,
	WAY_MAX = 1024,		/* a path, or a link's target */
	LINKS_MAX = 40,		/* links followed for one path, as the kernel has it (MAXSYMLINKS in <linux/namei.h>) */
};

/* What the kernel is asked for in the place of a path: no link is in it that is to be followed. */
struct way {
	int fd;
	const char *path;
	char plain[WAY_MAX];
};

int sysfs_open(struct root *root, const char *path)
{
	*root = (struct root){ .path = path, .is_system = strcmp(path, "/") == 0 };
	root->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return root->fd < 0 ? -errno : 0;
}

/* The path from the top to one below a root that was entered. */
static void whole_path(const struct root *root, const char *path, struct text *t)
{
	if (root->above)
		whole_path(root->above, root->path, t);
	text_add(t, "/%s", path);
}

/*
 * Find the way to a path; where `last`, a link that is its last step is
 * followed, else that step need not be there. The system's own links are the
 * kernel's to follow. Below another root each step is looked at, and from a
 * link the way goes on from the top or from where it is: `plain` has only
 * directories in it, so that for ".." the last of them is dropped. 0 or -errno.
 */
static int find_way(const struct root *root, const char *path, bool last, struct way *out)
{
	char rest[WAY_MAX], target[WAY_MAX], *at = rest, *plain;
	struct text t = text_in(rest, sizeof(rest));
	const struct root *top = root;
	unsigned links = 0;

	out->fd = root->fd;
	out->path = path;
	if (root->is_system)
		return 0;
	while (top->above)
		top = top->above;
	whole_path(root, path, &t);
	if (!path[0] || t.len + 1 == t.size)
		return path[0] ? -ENAMETOOLONG : -ENOENT;
	out->fd = top->fd;
	out->path = plain = out->plain;
	/* as every step begins with a "/", the way there is "." and the steps */
	t = text_in(plain, WAY_MAX);
	text_add(&t, ".");
	for (;;) {
		size_t before = t.len, step;
		ssize_t n;

		at += strspn(at, "/");
		step = strcspn(at, "/");
		if (step == 0)
			return 0;
		if (at[0] == '.' && (step == 1 || (step == 2 && at[1] == '.'))) {
			while (step == 2 && t.len > 1 && plain[--t.len] != '/')
				;
			plain[t.len] = '\0';
			at += step;
			continue;
		}
		text_add(&t, "/%.*s", (int)step, at);
		if (t.len + 1 == t.size)
			return -ENAMETOOLONG;
		at += step;
		if (!last && !at[strspn(at, "/")])
			return 0;
		n = readlinkat(top->fd, plain, target, sizeof(target));
		if (n < 0 && errno == EINVAL)
			continue;
		if (n < 0)
			return -errno;
		if (++links > LINKS_MAX)
			return -ELOOP;
		if ((size_t)n + strlen(at) >= sizeof(target))
			return -ENAMETOOLONG;
		strcpy(target + n, at);
		strcpy(rest, target);
		at = rest;
		t.len = target[0] == '/' ? 1 : before;
		plain[t.len] = '\0';
	}
}

/* openat() below a root. A file descriptor, or -errno. */
static int open_at(const struct root *root, const char *path, int flags)
{
	struct way way;
	int r = find_way(root, path, true, &way);

	if (r < 0)
		return r;
	r = openat(way.fd, way.path, flags | O_CLOEXEC);
	return r < 0 ? -errno : r;
}

/* faccessat() below a root. 0 or -errno. */
static int access_at(const struct root *root, const char *path, int mode)
{
	struct way way;
	int r = find_way(root, path, true, &way);

	if (r < 0)
		return r;
	return faccessat(way.fd, way.path, mode, 0) < 0 ? -errno : 0;
}

int sysfs_enter(const struct root *root, const char *dir, struct root *out)
{
	*out = (struct root){ .path = dir, .above = root, .is_system = root->is_system };
	out->fd = open_at(root, dir, O_PATH | O_DIRECTORY);
	return out->fd < 0 ? out->fd : 0;
}

void sysfs_leave(const struct root *root)
{
	close(root->fd);
}

int sysfs_list(const struct root *root, const char *dir, int (*each)(void *ctx, const char *name), void *ctx)
{
	int fd = open_at(root, dir, O_RDONLY | O_DIRECTORY), r = 0;
	const struct dirent *entry;
	DIR *d;

	if (fd < 0)
		return fd;
	d = fdopendir(fd);
	if (!d) {
		r = -errno;
		close(fd);
		return r;
	}
	while (r == 0) {
		/* what tells the end from an error */
		errno = 0;
		entry = readdir(d);
		if (!entry) {
			r = -errno;
			break;
		}
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			r = each(ctx, entry->d_name);
	}
	closedir(d);
	return r;
}

/* Fill buf from fd. The bytes read, or -errno. */
static ssize_t read_up_to(int fd, char *buf, size_t size)
{
	size_t len = 0;

	while (len < size) {
		ssize_t n = read(fd, buf + len, size - len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		len += (size_t)n;
	}
	return (ssize_t)len;
}

int sysfs_read(const struct root *root, const char *path, char *buf, size_t size)
{
	int fd = open_at(root, path, O_RDONLY), r = 0;
	ssize_t n;

	if (fd < 0)
		return fd;
	/* an attribute comes whole with the first read (Documentation/filesystems/sysfs.rst), which makes looking for its end idle */
	do
		n = read(fd, buf, size);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		r = -errno;
	close(fd);
	if (r < 0)
		return r;
	if ((size_t)n == size)
		return -EFBIG;
	buf[n] = '\0';
	return (int)n;
}

int sysfs_read_all(const struct root *root, const char *path, char **data, size_t *len)
{
	int fd = open_at(root, path, O_RDONLY);
	size_t size = 0, have = 0;
	char *buf = NULL;
	ssize_t n = 0;

	if (fd < 0)
		return fd;
	do {
		char *bigger;

		size = size ? 2 * size : FIRST_READ;
		bigger = size > FILE_MAX ? NULL : realloc(buf, size);
		if (!bigger) {
			n = size > FILE_MAX ? -EFBIG : -ENOMEM;
			break;
		}
		buf = bigger;
		n = read_up_to(fd, buf + have, size - have);
		if (n > 0)
			have += (size_t)n;
	} while (n >= 0 && have == size);
	close(fd);
	if (n < 0) {
		free(buf);
		return (int)n;
	}
	buf[have] = '\0';
	*data = buf;
	*len = have;
	return 0;
}

static int write_once(int fd, const char *data, size_t len)
{
	ssize_t n;

	do
		n = write(fd, data, len);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	return (size_t)n == len ? 0 : -EIO;
}

static int open_and_write(const struct root *root, const char *path, int flags, const char *data, size_t len)
{
	int fd = open_at(root, path, O_WRONLY | flags);
	int r;

	if (fd < 0)
		return fd;
	r = write_once(fd, data, len);
	if (close(fd) < 0 && r == 0)
		r = -errno;
	return r;
}

int sysfs_write(const struct root *root, const char *path, const char *value)
{
	return open_and_write(root, path, O_TRUNC, value, strlen(value));
}

int sysfs_append(const struct root *root, const char *path, const char *record, size_t len)
{
	return open_and_write(root, path, O_APPEND, record, len);
}

int sysfs_link_whole(const struct root *root, const char *path, char *buf, size_t size)
{
	struct way way;
	ssize_t n = find_way(root, path, false, &way);

	if (n < 0)
		return (int)n;
	n = readlinkat(way.fd, way.path, buf, size);
	if (n < 0)
		return -errno;
	if ((size_t)n == size)
		return -ENAMETOOLONG;
	buf[n] = '\0';
	return 0;
}

int sysfs_link(const struct root *root, const char *path, char *buf, size_t size)
{
	char target[1024];
	const char *name;
	int r = sysfs_link_whole(root, path, target, sizeof(target));

	if (r < 0)
		return r;
	name = strrchr(target, '/');
	name = name ? name + 1 : target;
	if (strlen(name) >= size)
		return -ENAMETOOLONG;
	strcpy(buf, name);
	return 0;
}

bool sysfs_exists(const struct root *root, const char *path)
{
	return access_at(root, path, F_OK) == 0;
}

int sysfs_may_write(const struct root *root, const char *path)
{
	return access_at(root, path, W_OK);
}

int sysfs_try(const struct root *root, const char *path)
{
	int fd = open_at(root, path, O_RDWR);

	if (fd < 0)
		return fd;
	close(fd);
	return 0;
}

/* The directory, made where it is missing. No link is followed: /run belongs to root, but one planted earlier must not divert us. */
static int open_dir(const struct root *root, const char *dir)
{
	struct way way;
	int fd = find_way(root, dir, false, &way);

	if (fd < 0)
		return fd;
	if (mkdirat(way.fd, way.path, 0755) < 0 && errno != EEXIST)
		return -errno;
	fd = openat(way.fd, way.path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int sysfs_make(const struct root *root, const char *dir, struct root *out)
{
	*out = (struct root){ .path = dir, .above = root, .is_system = root->is_system };
	out->fd = open_dir(root, dir);
	return out->fd < 0 ? out->fd : 0;
}

int sysfs_touch(const struct root *root, const char *name)
{
	return mknodat(root->fd, name, S_IFREG | 0644, 0) == 0 || errno == EEXIST ? 0 : -errno;
}

int sysfs_replace(const struct root *root, const char *dir, const char *name, const char *data, size_t len)
{
	char temp[64];
	int d = open_dir(root, dir), fd, r;

	if (d < 0)
		return d;
	snprintf(temp, sizeof(temp), ".%s.%d", name, (int)getpid());
	unlinkat(d, temp, 0);
	fd = openat(d, temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	r = fd < 0 ? -errno : write_once(fd, data, len);
	if (fd >= 0 && close(fd) < 0 && r == 0)
		r = -errno;
	if (r == 0 && renameat(d, temp, d, name) < 0)
		r = -errno;
	if (r < 0)
		unlinkat(d, temp, 0);
	close(d);
	return r;
}

int sysfs_lock_file(const struct root *root, const char *dir, const char *name)
{
	int d = open_dir(root, dir), fd;

	if (d < 0)
		return d;
	fd = openat(d, name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		fd = -errno;
	close(d);
	return fd;
}

int sysfs_lock(int file)
{
	return flock(file, LOCK_EX | LOCK_NB) == 0 ? 0 : -errno;
}

void sysfs_unlock(int file)
{
	flock(file, LOCK_UN);
}
