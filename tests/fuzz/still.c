// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * In the place of src/sysfs.c, src/module.c and src/work.c: the machine of
 * tree.c, on which nothing can be written, no module be loaded and no read hang.
 */
#include <errno.h>
#include <string.h>

#include "../../src/module.h"
#include "../../src/sysfs.h"
#include "../../src/work.h"
#include "tree.h"

int sysfs_open(struct root *root, const char *path)
{
	*root = (struct root){ .fd = -1, .path = path };
	return 0;
}

int sysfs_enter(const struct root *root, const char *dir, struct root *out)
{
	(void)root;
	*out = (struct root){ .fd = -1, .path = dir };
	return tree_exists(dir) ? 0 : -ENOENT;
}

void sysfs_leave(const struct root *root)
{
	(void)root;
}

int sysfs_list(const struct root *root, const char *dir, int (*each)(void *ctx, const char *name), void *ctx)
{
	(void)root;
	return tree_list(dir, each, ctx);
}

int sysfs_read(const struct root *root, const char *path, char *buf, size_t size)
{
	char at[2 * PATH_SIZE];

	return tree_read(tree_path(root->path, path, at), buf, size);
}

int sysfs_read_all(const struct root *root, const char *path, char **data, size_t *len)
{
	(void)root;
	return tree_read_all(path, data, len);
}

int sysfs_link_whole(const struct root *root, const char *path, char *buf, size_t size)
{
	(void)root;
	return tree_link_whole(path, buf, size);
}

int sysfs_link(const struct root *root, const char *path, char *buf, size_t size)
{
	char at[2 * PATH_SIZE];

	return tree_link(tree_path(root->path, path, at), buf, size);
}

bool sysfs_exists(const struct root *root, const char *path)
{
	(void)root;
	return tree_exists(path);
}

int sysfs_may_write(const struct root *root, const char *path)
{
	return sysfs_exists(root, path) ? -EROFS : -ENOENT;
}

int sysfs_try(const struct root *root, const char *path)
{
	return sysfs_exists(root, path) ? 0 : -ENOENT;
}

int sysfs_write(const struct root *root, const char *path, const char *value)
{
	(void)value;
	return sysfs_may_write(root, path);
}

int sysfs_append(const struct root *root, const char *path, const char *record, size_t len)
{
	(void)record;
	(void)len;
	return sysfs_may_write(root, path);
}

int sysfs_replace(const struct root *root, const char *dir, const char *name, const char *data, size_t len)
{
	(void)root;
	(void)dir;
	(void)name;
	(void)data;
	(void)len;
	return -EROFS;
}

int sysfs_make(const struct root *root, const char *dir, struct root *out)
{
	(void)root;
	(void)dir;
	(void)out;
	return -EROFS;
}

int sysfs_touch(const struct root *root, const char *name)
{
	(void)root;
	(void)name;
	return -EROFS;
}

int sysfs_lock_file(const struct root *root, const char *dir, const char *name)
{
	(void)root;
	(void)dir;
	(void)name;
	return -EROFS;
}

int sysfs_lock(int file)
{
	(void)file;
	return -EROFS;
}

void sysfs_unlock(int file)
{
	(void)file;
}

int module_start(struct modprobe *out, const struct root *root, const char *name)
{
	(void)out;
	(void)root;
	(void)name;
	return -ENOENT;
}

int module_wait(struct modprobe *modprobe, unsigned timeout_ms)
{
	(void)modprobe;
	(void)timeout_ms;
	return -ECHILD;
}

void module_end(struct modprobe *modprobe)
{
	(void)modprobe;
}

void pool_close(struct pool *pool)
{
	(void)pool;
}

int pool_write(struct pool *pool, int32_t task, const char *path, const char *value)
{
	(void)task;
	return sysfs_write(pool->root, path, value);
}

/* A read is made at once, and its answer fetched before the next. */
static struct answer read_last;
static bool is_read;

int pool_read(struct pool *pool, int32_t task, const char *path)
{
	char page[4096 + 1];
	int r;

	if (is_read)
		return -EBUSY;
	r = sysfs_read(pool->root, path, page, sizeof(page));
	read_last = (struct answer){ .task = task, .error = r < 0 ? r : 0 };
	if (r >= 0)
		memcpy(read_last.value, page, strcspn(page, "\n") < sizeof(read_last.value) ? strcspn(page, "\n") : sizeof(read_last.value) - 1);
	is_read = true;
	return 0;
}

int pool_wait(struct pool *pool, unsigned timeout_ms, struct answer *out)
{
	(void)pool;
	(void)timeout_ms;
	if (!is_read)
		return -ETIMEDOUT;
	*out = read_last;
	is_read = false;
	return 0;
}

bool pool_busy(const struct pool *pool)
{
	(void)pool;
	return false;
}

bool pool_flows(const struct pool *pool)
{
	(void)pool;
	return false;
}

void pool_overtake(struct pool *pool)
{
	(void)pool;
}

bool pool_cancel(struct pool *pool, int32_t *task)
{
	(void)pool;
	(void)task;
	return false;
}

int child_start(struct child *out, void (*run)(void *ctx, void *result), void *ctx, size_t size)
{
	(void)out;
	(void)run;
	(void)ctx;
	(void)size;
	return -EAGAIN;
}

int child_end(struct child *child, unsigned timeout_ms, void *result, size_t size)
{
	(void)child;
	(void)timeout_ms;
	(void)result;
	(void)size;
	return -ECHILD;
}

int child_any(const struct child *child, size_t n, unsigned timeout_ms)
{
	(void)child;
	(void)n;
	(void)timeout_ms;
	return -ETIMEDOUT;
}
