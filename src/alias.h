/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef ALIAS_H
#define ALIAS_H

#include "preclaim.h"

/*
 * The VFIO driver that modules.alias names for a device: of its lines "alias
 * vfio_pci:PATTERN MODULE" whose pattern fits the modalias ("pci:v...") the
 * most specific one, as libvirt and Documentation/driver-api/vfio.rst have it.
 * False, and out left alone, where none fits.
 */
bool alias_variant(struct str aliases, const char *modalias, char out[DRIVER_MAX]);

#endif
