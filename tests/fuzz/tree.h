/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A machine's files in memory, as a manifest (see tests/mktree) describes
 * them. Reading is as src/sysfs.h tells of the functions of the same names.
 */
#ifndef TREE_H
#define TREE_H

#include "../../src/preclaim.h"

/* Forget everything. */
void tree_clear(void);

/* Add what a manifest describes; of two entries for a path the later one holds. Lines that are none are left out. */
void tree_add_manifest(struct str manifest);

/* Add a file with just this content. */
void tree_add_file(const char *path, struct str content);

/* A path, as it is from the root, below a directory of sysfs_enter() ("sys/.../"), or below the root ("/..."). */
const char *tree_path(const char *dir, const char *path, char out[2 * PATH_SIZE]);

int tree_list(const char *dir, int (*each)(void *ctx, const char *name), void *ctx);
int tree_read(const char *path, char *buf, size_t size);
int tree_read_all(const char *path, char **data, size_t *len);
int tree_link_whole(const char *path, char *buf, size_t size);
int tree_link(const char *path, char *buf, size_t size);
bool tree_exists(const char *path);

#endif
