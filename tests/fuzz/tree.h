/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A machine in memory, in the place of src/sysfs.c and src/module.c: what a
 * manifest (see tests/mktree) describes can be read, and nothing written.
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

#endif
