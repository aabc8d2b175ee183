/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef ALIAS_H
#define ALIAS_H

#include "preclaim.h"

/*
 * The VFIO driver that modules.alias names for a device: of its lines "alias
 * vfio_pci:PATTERN MODULE", which come from ids marked with
 * PCI_ID_F_VFIO_DRIVER_OVERRIDE (do_pci_entry() in scripts/mod/file2alias.c),
 * the most specific one that fits the modalias ("pci:v..."). False, and out
 * left alone, where none fits.
 */
bool alias_variant(struct str aliases, const char *modalias, char out[DRIVER_MAX]);

#endif
