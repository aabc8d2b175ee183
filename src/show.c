// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The host's side: the machine, its devices and what became of the rules, as
 * a user reads them. Nothing is changed and nothing decided here.
 */
#include "show.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "describe.h"
#include "protect.h"
#include "report.h"
#include "scan.h"
#include "text.h"
#include "token.h"

enum { CELL_MAX = 256, COLUMNS_MAX = 10 };

/* Rows of cells, printed when all are known. */
struct table {
	char **cell;
	size_t n, room, columns;
	bool failed;
};

static void add_cell(struct table *table, const char *text)
{
	char *copy = strdup(text[0] ? text : "-");

	if (table->n == table->room) {
		size_t room = table->room ? 2 * table->room : 256;
		char **bigger = realloc(table->cell, room * sizeof(*bigger));

		if (bigger) {
			table->cell = bigger;
			table->room = room;
		}
	}
	if (copy && table->n < table->room)
		table->cell[table->n++] = copy;
	else {
		table->failed = true;
		free(copy);
	}
}

static struct table new_table(const char *const *heading, size_t columns)
{
	struct table table = { .columns = columns };

	for (size_t c = 0; c < columns; c++)
		add_cell(&table, heading[c]);
	return table;
}

static int print_table(struct table *table)
{
	size_t width[COLUMNS_MAX] = { 0 };
	bool aligned = isatty(STDOUT_FILENO);

	for (size_t i = 0; i < table->n; i++)
		if (strlen(table->cell[i]) > width[i % table->columns])
			width[i % table->columns] = strlen(table->cell[i]);
	for (size_t i = 0; i < table->n && !table->failed; i++) {
		size_t c = i % table->columns;

		if (c + 1 == table->columns)
			printf("%s\n", table->cell[i]);
		else if (aligned)
			printf("%-*s  ", (int)width[c], table->cell[i]);
		else
			printf("%s\t", table->cell[i]);
	}
	for (size_t i = 0; i < table->n; i++)
		free(table->cell[i]);
	free(table->cell);
	return table->failed ? -ENOMEM : 0;
}

/* The value of a line "E:KEY=VALUE" in the text of udev's record of a device. */
static void udev_property(struct str text, const char *key, struct text *t)
{
	struct str line;

	while (token_line(&text, &line)) {
		if (!str_starts(line, "E:") || !str_starts(str_skip(line, 2), key))
			continue;
		line = str_skip(line, 2 + strlen(key));
		for (size_t i = 0; i < line.len; i++)
			if (line.p[i] >= ' ' && line.p[i] < 0x7f)
				text_add(t, "%c", line.p[i]);
		return;
	}
}

/* Class and name in words, as udev has them from its hardware database; the class as digits where it has none. */
static void add_names(struct table *table, const struct device *d, const struct root *root)
{
	char path[PATH_SIZE], addr[ADDR_MAX], cell[CELL_MAX], class[CELL_MAX], *data = NULL;
	struct text t = text_in(path, sizeof(path));
	struct str record = { .len = 0 };

	text_add(&t, "run/udev/data/+pci:%s", text_addr(addr, d->addr));
	if (sysfs_read_all(root, path, &data, &record.len) == 0)
		record.p = data;
	t = text_in(class, sizeof(class));
	udev_property(record, "ID_PCI_SUBCLASS_FROM_DATABASE=", &t);
	if (t.len == 0)
		text_add(&t, "%06x", d->ids.class);
	add_cell(table, class);
	t = text_in(cell, sizeof(cell));
	udev_property(record, "ID_VENDOR_FROM_DATABASE=", &t);
	text_add(&t, t.len ? " " : "");
	udev_property(record, "ID_MODEL_FROM_DATABASE=", &t);
	add_cell(table, cell);
	free(data);
}

static bool claim_holds(const struct device *d, const struct verdict *v)
{
	return strcmp(d->driver, driver_is_none(v->driver) ? "" : v->driver) == 0 && strcmp(d->override, v->driver) == 0;
}

/* What is to be known about a device before it is claimed, and whether it is. */
static void add_marks(struct table *table, const struct plan *plan, size_t i)
{
	const struct device *d = &plan->devices->dev[i];
	char cell[CELL_MAX];
	struct text t = text_in(cell, sizeof(cell));

	if (plan->verdict[i].action == ACTION_CLAIM)
		text_add(&t, claim_holds(d, &plan->verdict[i]) ? "claimed" : "to be claimed");
	if (d->carries) {
		text_add(&t, "%sprotected (", t.len ? ", " : "");
		protect_text(d->carries, &t);
		text_add(&t, ")");
	}
	if (d->boot_display)
		text_add(&t, "%sboot display", t.len ? ", " : "");
	add_cell(table, cell);
}

static void add_rule(struct table *table, const struct plan *plan, int32_t rule, int32_t selector)
{
	char cell[CELL_MAX];
	struct text t = text_in(cell, sizeof(cell));

	if (rule >= 0)
		describe_rule(plan, rule, selector, &t);
	add_cell(table, rule >= 0 ? cell + strlen("rule ") : "");
}

static void add_ids(struct table *table, const struct device *d)
{
	char cell[CELL_MAX];
	struct text t = text_in(cell, sizeof(cell));

	text_add(&t, "%04x:%04x", d->ids.vendor, d->ids.device);
	add_cell(table, cell);
}

static void add_device(struct table *table, const struct plan *plan, size_t i, const struct root *root)
{
	const struct device *d = &plan->devices->dev[i];
	const struct verdict *v = &plan->verdict[i];
	char cell[CELL_MAX], addr[ADDR_MAX];
	struct text t = text_in(cell, sizeof(cell));

	if (d->group >= 0)
		text_add(&t, "%d", d->group);
	add_cell(table, cell);
	add_cell(table, text_addr(addr, d->addr));
	add_ids(table, d);
	add_cell(table, d->driver);
	add_cell(table, d->override);
	t = text_in(cell, sizeof(cell));
	if (d->total_vfs > 0)
		text_add(&t, "%d/%d", d->num_vfs, d->total_vfs);
	else if (d->pf >= 0)
		text_add(&t, "of %s", text_addr(addr, plan->devices->dev[d->pf].addr));
	add_cell(table, cell);
	add_marks(table, plan, i);
	add_rule(table, plan, v->vfs_rule >= 0 ? v->vfs_rule : v->rule, v->vfs_rule >= 0 ? v->vfs_selector : v->selector);
	add_names(table, d, root);
}

int show_devices(const struct plan *plan, const struct root *root)
{
	static const char *const heading[] = { "GROUP", "ADDRESS", "IDS", "DRIVER", "OVERRIDE", "VFS", "MARKS", "RULE", "CLASS", "NAME" };
	struct table table = new_table(heading, sizeof(heading) / sizeof(heading[0]));
	size_t n = plan->devices->n, first = 0;

	/* those without a group come first in by_group, and last here */
	while (first < n && plan->by_group[first].group < 0)
		first++;
	for (size_t k = 0; k < n; k++)
		add_device(&table, plan, (size_t)plan->by_group[(first + k) % n].dev, root);
	return print_table(&table);
}

/* The result of an earlier run for a device, from a line ADDRESS IDS ACTION RESULT ...; "" without one. */
static void find_result(struct str status, const struct device *d, struct text *t)
{
	struct str line, word = { .len = 0 };

	while (token_line(&status, &line)) {
		struct addr a;

		if (!scan_addr(&line, &a) || addr_compare(a, d->addr) != 0)
			continue;
		for (int i = 0; i < 3 && token_word(&line, BLANKS, &word); i++)
			;
		text_add(t, "%.*s", (int)word.len, word.p);
	}
}

/* One row: what was wanted of a device, by its own rule or for its VFs. Whether that holds. */
static bool add_wanted(struct table *table, const struct plan *plan, size_t i, bool vfs, struct str status)
{
	const struct device *d = &plan->devices->dev[i];
	const struct verdict *v = &plan->verdict[i];
	char cell[CELL_MAX], addr[ADDR_MAX];
	struct text t = text_in(cell, sizeof(cell));
	bool holds = true;

	add_cell(table, text_addr(addr, d->addr));
	add_ids(table, d);
	if (vfs)
		text_add(&t, "vfs %d", v->vfs);
	else
		text_add(&t, "%s%s%s", describe_action(v->action), v->driver[0] ? " " : "", v->driver);
	add_cell(table, cell);
	t = text_in(cell, sizeof(cell));
	find_result(status, d, &t);
	add_cell(table, cell);
	t = text_in(cell, sizeof(cell));
	if (vfs)
		text_add(&t, "%d VFs", d->num_vfs);
	else
		text_add(&t, "%s", d->driver[0] ? d->driver : "no driver");
	add_cell(table, cell);
	if (vfs)
		holds = d->num_vfs == v->vfs;
	else if (v->action == ACTION_CLAIM)
		holds = claim_holds(d, v);
	else
		holds = v->action == ACTION_KEEP;
	add_cell(table, holds ? "yes" : "NO");
	add_rule(table, plan, vfs ? v->vfs_rule : v->rule, vfs ? v->vfs_selector : v->selector);
	return holds;
}

int show_status(const struct plan *plan, const struct root *root, bool *holds)
{
	static const char *const heading[] = { "ADDRESS", "IDS", "WANTED", "HAPPENED", "NOW", "HOLDS", "RULE" };
	struct table table = new_table(heading, sizeof(heading) / sizeof(heading[0]));
	struct str status = { .len = 0 };
	char *data = NULL;
	int r;

	if (sysfs_read_all(root, "run/preclaim/status", &data, &status.len) == 0)
		status.p = data;
	*holds = plan_holds(plan);
	for (size_t i = 0; i < plan->devices->n; i++) {
		if (plan->verdict[i].vfs >= 0)
			*holds &= add_wanted(&table, plan, i, true, status);
		if (plan->verdict[i].action != ACTION_NONE)
			*holds &= add_wanted(&table, plan, i, false, status);
	}
	r = print_table(&table);
	free(data);
	return r;
}

/* What kind of IOMMU a name in sys/class/iommu is. */
static int take_iommu(void *ctx, const char *name)
{
	static const struct {
		const char *prefix, *kind;
	} known[] = { { "dmar", "VT-d" }, { "ivhd", "AMD-Vi" }, { "arm-smmu", "SMMU" }, { "smmu", "SMMU" }, { "virtio", "virtio" } };

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strncmp(name, known[i].prefix, strlen(known[i].prefix)) == 0)
			*(const char **)ctx = known[i].kind;
	return 0;
}

/* Whether a file has a text in it. */
static bool has_text(const struct root *root, const char *path, const char *wanted)
{
	char *data;
	size_t len;
	bool has;

	if (sysfs_read_all(root, path, &data, &len) < 0)
		return false;
	has = strstr(data, wanted) != NULL;
	free(data);
	return has;
}

void show_platform(const struct plan *plan, const struct drivers *drivers, const struct root *root)
{
	const char *kind = "of an unknown kind", *vfio = "not loaded";
	char *cmdline = NULL;
	int32_t groups = -1;
	size_t len;

	for (size_t i = 0; i < plan->devices->n; i++)
		if (plan->devices->dev[i].group > groups)
			groups = plan->devices->dev[i].group;
	sysfs_list(root, "sys/class/iommu", take_iommu, &kind);
	if (driver_registered(drivers, str_of("vfio-pci")))
		vfio = sysfs_exists(root, "sys/module/vfio_pci/initstate") ? "a module, loaded" : "built in";
	if (groups < 0)
		printf("platform: no IOMMU in use");
	else
		/* the names of its interrupt chips tell of remapping (drivers/iommu/intel/irq_remapping.c, amd/iommu.c) */
		printf("platform: IOMMU %s, interrupt remapping %s", kind, has_text(root, "proc/interrupts", "IR-") ? "on" : "not seen");
	if (has_text(root, "sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts", "Y"))
		printf(", unsafe interrupts allowed");
	printf(", vfio-pci %s\n", vfio);
	if (sysfs_read_all(root, "proc/cmdline", &cmdline, &len) == 0)
		printf("command line: %.*s\n", (int)strcspn(cmdline, "\n"), cmdline);
	free(cmdline);
}
