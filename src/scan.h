/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SCAN_H
#define SCAN_H

#include "preclaim.h"
#include "report.h"
#include "sysfs.h"
#include "work.h"

/*
 * Read every PCI function below sys/bus/pci/devices. What vanishes meanwhile
 * is left out, and so is what makes no sense, with a warning. 0 or -errno;
 * give the devices to devices_free().
 */
int scan_devices(const struct root *root, const struct report *report, struct devices *out);

/*
 * Read the PCI functions at some addresses, as far as they are there, and with
 * them all that a verdict on one of them depends on: the bridges above, the
 * other functions of a slot, IOMMU groups, PFs and VFs. As scan_devices(); 1
 * where only that can tell.
 */
int scan_around(const struct root *root, const struct report *report, const struct addr *addr, size_t n, struct devices *out);
void devices_free(struct devices *devices);

/* The names of the drivers registered on the PCI bus. 0 or -errno; give them to drivers_free(). */
int scan_drivers(const struct root *root, struct drivers *out);
void drivers_free(struct drivers *drivers);

/* The PCI driver that a loaded module has registered (/sys/module/NAME/drivers). False where there is none. */
bool scan_module_driver(const struct root *root, const char *module, char out[DRIVER_MAX]);

/*
 * What hangs as long as a probe or the making of VFs does, since its show()
 * takes the device's lock (driver_override_show() in drivers/pci/pci-sysfs.c
 * and sriov_numvfs_show() in drivers/pci/iov.c of the kernel). A bit for each.
 */
enum { ASK_OVERRIDE = 1, ASK_NUM_VFS = 2 };

/*
 * Read all that devices are asked for ("ask"), by workers: what takes long is
 * left ("hung") as soon as nothing else comes in for a while either. An
 * override that is unset or unreadable is "", one that is left "?". Errors are
 * noted in the device.
 */
void scan_asked(struct pool *reads, const struct devices *devices);

/* Read a device's driver link, as it is now. Without one it is ""; what could not be read is noted in the device. */
void scan_driver(const struct root *root, struct device *d);

/* Read a device's IOMMU group, and leave what is known where it has none. 0 or -errno. */
int scan_group(const struct root *root, struct device *d);

/*
 * Read how many VFs a PF has. This waits for a write to sriov_numvfs that is
 * under way, and hangs if that does (sriov_numvfs_show() in the kernel's
 * drivers/pci/iov.c).
 */
void scan_num_vfs(const struct root *root, struct device *d);

/* Read whether drivers are kept from the VFs that a PF makes. */
void scan_fence(const struct root *root, struct device *d);

/*
 * Whether a device is in use: by a host driver, or by a guest, which has its
 * VFIO group open (vfio_group_fops_open() in the kernel's drivers/vfio/group.c
 * lets only one in), or, of a kernel without groups, its device of iommufd's.
 * What cannot be told is in use. opens: no guest can open the group in the
 * moment in which it is tried; without that what holds devices for guests is not in use.
 */
void scan_in_use(const struct root *root, struct device *d, bool opens);

/* Read a device's modalias ("pci:v000010DEd..."). 0 or -errno. */
int scan_modalias(const struct root *root, const struct device *d, char *buf, size_t size);

/* Index of the device at the address, or -1. */
int32_t device_find(const struct devices *devices, struct addr a);

/* "sys/bus/pci/devices/0000:01:00.0/NAME" */
const char *device_path(char out[PATH_SIZE], struct addr a, const char *name);

#endif
