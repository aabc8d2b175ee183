// SPDX-License-Identifier: GPL-2.0-or-later
#include "tree.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../src/text.h"

enum { ENTRIES_MAX = 4096, WAY_MAX = 512, LINKS_MAX = 16 };

struct entry {
	char *path;	/* terminated */
	char *value;	/* a file's content, a link's target */
	size_t len;
	bool link;
	unsigned order;
};

static struct entry entry[ENTRIES_MAX];
static size_t entries;
static bool sorted;

void tree_clear(void)
{
	for (size_t i = 0; i < entries; i++) {
		free(entry[i].path);
		free(entry[i].value);
	}
	entries = 0;
}

static char *copy(struct str s)
{
	char *c = malloc(s.len + 1);

	if (!c)
		abort();
	memcpy(c, s.p, s.len);
	c[s.len] = '\0';
	return c;
}

static struct entry *add(struct str path, struct str value, bool link)
{
	struct entry *e = &entry[entries];

	if (entries == ENTRIES_MAX || path.len >= WAY_MAX)
		return NULL;
	*e = (struct entry){ .path = copy(path), .value = copy(value), .len = value.len, .link = link, .order = (unsigned)entries };
	entries++;
	sorted = false;
	return e;
}

void tree_add_file(const char *path, struct str content)
{
	add(str_of(path), content, false);
}

/* The escapes of a manifest, in place. */
static void unescape(struct entry *e)
{
	size_t out = 0;

	for (size_t i = 0; i < e->len; i++, out++) {
		struct str hex = { .p = e->value + i + 2, .len = e->len - i > 3 ? 2 : 0 };
		uint32_t byte;

		e->value[out] = e->value[i];
		if (e->value[i] != '\\' || i + 1 == e->len)
			continue;
		i++;
		if (e->value[i] == 'x' && scan_hex(&hex, &byte) == 2) {
			e->value[out] = (char)byte;
			i += 2;
		} else {
			e->value[out] = e->value[i] == 'n' ? '\n' : e->value[i] == 't' ? '\t' : e->value[i];
		}
	}
	e->value[out] = '\0';
	e->len = out;
}

void tree_add_manifest(struct str manifest)
{
	while (manifest.len > 0) {
		size_t end = str_find(manifest, '\n'), path = str_find(manifest, ' ');
		struct str line = { .p = manifest.p, .len = end }, rest;

		manifest = str_skip(manifest, end < manifest.len ? end + 1 : end);
		if (path >= line.len || line.p[0] == '#')
			continue;
		rest = str_skip(line, path + 1);
		if (str_starts(rest, "= ") || str_is(rest, "=")) {
			struct entry *e = add((struct str){ .p = line.p, .len = path }, str_skip(rest, rest.len > 1 ? 2 : 1), false);

			if (e)
				unescape(e);
		} else if (str_starts(rest, "-> ")) {
			add((struct str){ .p = line.p, .len = path }, str_skip(rest, 3), true);
		}
	}
}

/* strcmp() itself is watched by the fuzzer and by the sanitizers, which took most of the time. */
static int path_compare(const char *a, const char *b)
{
	while (*a && *a == *b)
		a++, b++;
	return (unsigned char)*a - (unsigned char)*b;
}

static int compare(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;
	int r = path_compare(x->path, y->path);

	return r ? r : (x->order > y->order) - (x->order < y->order);
}

/* Index of the first entry not before the path. */
static size_t lower_bound(const char *path)
{
	size_t low = 0, high = entries;

	if (!sorted && entries > 0)
		qsort(entry, entries, sizeof(*entry), compare);
	sorted = true;
	while (low < high) {
		size_t middle = (low + high) / 2;

		if (path_compare(entry[middle].path, path) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* The entry of that very path, the last of those with it. */
static const struct entry *entry_at(const char *path)
{
	const struct entry *found = NULL;

	for (size_t i = lower_bound(path); i < entries && path_compare(entry[i].path, path) == 0; i++)
		found = &entry[i];
	return found;
}

/* A path without links, "." and ".."; its last component may stay a link. False where it leads too far. */
static bool resolve(const char *path, bool follow_last, char out[WAY_MAX])
{
	char todo[2 * WAY_MAX];
	size_t len = 0;
	unsigned links = 0;

	if (strlen(path) >= WAY_MAX)
		return false;
	strcpy(todo, path);
	out[0] = '\0';
	while (todo[0]) {
		char rest[2 * WAY_MAX];
		size_t n = strcspn(todo, "/"), before = len;
		const struct entry *e;

		strcpy(rest, todo + n + (todo[n] == '/'));
		todo[n] = '\0';
		if (strcmp(todo, "..") == 0) {
			char *last = strrchr(out, '/');

			len = last ? (size_t)(last - out) : 0;
			out[len] = '\0';
		} else if (n > 0 && strcmp(todo, ".") != 0) {
			if (len + n + 2 > WAY_MAX)
				return false;
			if (len)
				out[len++] = '/';
			memcpy(out + len, todo, n + 1);
			len += n;
			e = entry_at(out);
			if (e && e->link && (rest[0] || follow_last)) {
				if (++links > LINKS_MAX || e->len + strlen(rest) + 2 > sizeof(rest) || strlen(e->value) != e->len)
					return false;
				len = e->value[0] == '/' ? 0 : before;
				out[len] = '\0';
				strcpy(todo, e->value);
				if (rest[0])
					strcat(strcat(todo, "/"), rest);
				continue;
			}
		}
		strcpy(todo, rest);
	}
	return true;
}

/* Index of the first entry below a directory, or entries where it has none. */
static size_t first_below(const char *dir, char prefix[WAY_MAX + 1])
{
	size_t i;

	sprintf(prefix, "%s%s", dir, dir[0] ? "/" : "");
	i = lower_bound(prefix);
	return i < entries && strncmp(entry[i].path, prefix, strlen(prefix)) == 0 ? i : entries;
}

int tree_list(const char *dir, int (*each)(void *ctx, const char *name), void *ctx)
{
	char way[WAY_MAX], prefix[WAY_MAX + 1], name[WAY_MAX], last[WAY_MAX] = "";
	size_t i;
	int r = 0;

	if (!resolve(dir, true, way))
		return -ELOOP;
	i = first_below(way, prefix);
	if (i == entries)
		return entry_at(way) ? -ENOTDIR : -ENOENT;
	for (; r == 0 && i < entries && strncmp(entry[i].path, prefix, strlen(prefix)) == 0; i++) {
		const char *rest = entry[i].path + strlen(prefix);
		size_t len = strcspn(rest, "/");

		memcpy(name, rest, len);
		name[len] = '\0';
		if (name[0] && strcmp(name, last) != 0)
			r = each(ctx, name);
		strcpy(last, name);
	}
	return r;
}

static const struct entry *find(const char *path, bool follow_last)
{
	char way[WAY_MAX];

	return resolve(path, follow_last, way) ? entry_at(way) : NULL;
}

int tree_read(const char *path, char *buf, size_t size)
{
	const struct entry *e = find(path, true);

	if (!e || e->link)
		return -ENOENT;
	if (e->len >= size)
		return -EFBIG;
	memcpy(buf, e->value, e->len + 1);
	return (int)e->len;
}

int tree_read_all(const char *path, char **data, size_t *len)
{
	const struct entry *e = find(path, true);

	if (!e || e->link)
		return -ENOENT;
	/* not copy(): what reads a file may run out of memory */
	*data = malloc(e->len + 1);
	if (!*data)
		return -ENOMEM;
	memcpy(*data, e->value, e->len + 1);
	*len = e->len;
	return 0;
}

int tree_link_whole(const char *path, char *buf, size_t size)
{
	const struct entry *e = find(path, false);

	if (!e || !e->link)
		return -ENOENT;
	if (strlen(e->value) >= size)
		return -ENAMETOOLONG;
	strcpy(buf, e->value);
	return 0;
}

int tree_link(const char *path, char *buf, size_t size)
{
	const struct entry *e = find(path, false);
	const char *name;

	if (!e || !e->link)
		return -ENOENT;
	name = strrchr(e->value, '/');
	name = name ? name + 1 : e->value;
	if (strlen(name) >= size)
		return -ENAMETOOLONG;
	strcpy(buf, name);
	return 0;
}

bool tree_exists(const char *path)
{
	char way[WAY_MAX], prefix[WAY_MAX + 1];

	return resolve(path, true, way) && (entry_at(way) || first_below(way, prefix) < entries);
}

const char *tree_path(const char *dir, const char *path, char out[2 * PATH_SIZE])
{
	snprintf(out, 2 * PATH_SIZE, "%s%s", dir[0] == '/' ? "" : dir, path);
	return out;
}
