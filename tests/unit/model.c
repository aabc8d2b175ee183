// SPDX-License-Identifier: GPL-2.0-or-later
#include "model.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "../../src/sysfs.h"
#include "../../src/text.h"
#include "../fuzz/tree.h"

const char *const verb_name[VERBS] = {
	[VERB_LIST] = "list", [VERB_READ] = "read", [VERB_READ_ALL] = "read", [VERB_LINK] = "readlink", [VERB_EXISTS] = "access",
	[VERB_MAY_WRITE] = "access for writing", [VERB_TRY] = "open", [VERB_WRITE] = "write", [VERB_APPEND] = "append to",
	[VERB_REPLACE] = "replace", [VERB_LOCK] = "lock", [VERB_MODPROBE] = "modprobe", [VERB_MALLOC] = "malloc", [VERB_FORK] = "fork",
	[VERB_PIPE] = "pipe", [VERB_ENTER] = "enter",
};

static const char devices_dir[] = "sys/bus/pci/devices";

enum {
	FDS = 256,		/* more than a run ever has open */
	LEFT_S = 20,		/* what is left of a test that was killed ends after that */
	LOOK_NS = 200000,	/* how often those who wait look whether nothing happens any more, */
	LOOK_MOST_NS = 4000000,	/* the longer they wait the less */
};

int __real_poll(struct pollfd *fds, nfds_t n, int timeout_ms);

static struct model *m;
static int lock_file = -1;
static bool has_lock;

void *__real_mmap(void *at, size_t len, int protection, int flags, int fd, off_t offset);

/* In memory that preclaim's child processes share, with a lock that none of an earlier machine's holds. */
struct model *model_new(void)
{
	tree_clear();
	if (m)
		munmap(m, sizeof(*m));
	m = __real_mmap(NULL, sizeof(*m), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (lock_file >= 0)
		close(lock_file);
	lock_file = memfd_create("lock", 0);
	if (m == MAP_FAILED || lock_file < 0)
		abort();
	m->owner = getpid();
	m->now_us = 1000000;
	m->facts = "";
	return m;
}

/* Writes exclude each other, which is less than the kernel allows and all that the model can bear. */
static void lock_model(void)
{
	int free = 0;

	while (!__atomic_compare_exchange_n(&m->busy, &free, 1, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) {
		free = 0;
		sched_yield();
	}
	has_lock = true;
}

static void unlock_model(void)
{
	has_lock = false;
	__atomic_store_n(&m->busy, 0, __ATOMIC_RELEASE);
}

void model_kill(pid_t group)
{
	lock_model();
	kill(-group, SIGKILL);
	unlock_model();
}

/* Never comes back, and wakes nobody; the test leaves no process behind for long, though. */
static _Noreturn void hang(void)
{
	struct pollfd owner = { .fd = (int)syscall(SYS_pidfd_open, m->owner, 0), .events = POLLIN };

	if (has_lock)
		unlock_model();
	__real_poll(&owner, 1, LEFT_S * 1000);
	_exit(1);
}

static bool registered(const char *driver)
{
	for (int i = 0; i < MODEL_DRIVERS; i++)
		if (m->driver[i][0] && strcmp(m->driver[i], driver) == 0)
			return true;
	return false;
}

/* Whether as many devices are being taken from their drivers as have to be. */
static bool others_leave(void)
{
	int asked = ++m->asked;

	unlock_model();
	if (asked >= m->together)
		syscall(SYS_futex, &m->asked, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
	for (; asked < m->together; asked = __atomic_load_n(&m->asked, __ATOMIC_SEQ_CST))
		if (syscall(SYS_futex, &m->asked, FUTEX_WAIT, asked, &(struct timespec){ .tv_sec = LEFT_S }, NULL, 0) < 0 && errno == ETIMEDOUT)
			break;
	lock_model();
	return asked >= m->together;
}

/* pci_match_device(): with an override its driver alone, else the one with the ids */
static bool matches(const struct model_device *d, const char *driver)
{
	return d->override[0] ? strcmp(d->override, driver) == 0 : d->native && strcmp(d->native, driver) == 0;
}

static void probe(struct model_device *d, const char *driver)
{
	if (d->gone || d->driver[0] || !registered(driver) || !matches(d, driver))
		return;
	/* pci_device_can_probe() */
	if (d->vf && m->device[d->vf_of].fenced && !d->override[0])
		return;
	snprintf(m->probes + strlen(m->probes), MODEL_LOG - strlen(m->probes), "%s %s\n", d->addr, driver);
	if (d->hangs || d->locked)
		hang();
	if (d->deferrals > 0) {
		d->deferrals--;
		return;
	}
	/* vfio-pci asks for the IOMMU group before anything else */
	if (d->refuses || (d->group < 0 && strcmp(driver, "vfio-pci") == 0))
		return;
	strcpy(d->driver, driver);
	d->bound_us = m->now_us;
}

static void probe_all(struct model_device *d)
{
	for (int i = 0; i < MODEL_DRIVERS; i++)
		if (m->driver[i][0])
			probe(d, m->driver[i]);
}

void model_register(const char *driver)
{
	for (int i = 0; i < MODEL_DRIVERS && !registered(driver); i++)
		if (!m->driver[i][0])
			strcpy(m->driver[i], driver);
	for (int i = 0; i < MODEL_DEVICES && m->device[i].addr; i++)
		probe(&m->device[i], driver);
}

void model_register_hosts(void)
{
	for (int i = 0; i < MODEL_DEVICES && m->device[i].addr; i++)
		if (!m->device[i].gone && m->device[i].native && !registered(m->device[i].native))
			model_register(m->device[i].native);
}

int model_find(const char *addr)
{
	for (int i = 0; i < MODEL_DEVICES && m->device[i].addr; i++)
		if (strcmp(m->device[i].addr, addr) == 0)
			return i;
	return -1;
}

/* The device of "sys/bus/pci/devices/ADDR/REST", and the rest. */
static struct model_device *find(const char *path, const char **rest)
{
	const size_t dir = strlen(devices_dir);
	const char *addr = path + dir + 1;

	if (strncmp(path, devices_dir, dir) != 0 || path[dir] != '/')
		return NULL;
	for (int i = 0; i < MODEL_DEVICES && m->device[i].addr; i++) {
		struct model_device *d = &m->device[i];
		size_t n = strlen(d->addr);

		if (!d->gone && strncmp(addr, d->addr, n) == 0 && (addr[n] == '/' || !addr[n])) {
			*rest = addr[n] ? addr + n + 1 : addr + n;
			return d;
		}
	}
	return NULL;
}

/* sriov_numvfs_store() */
static int make_vfs(struct model_device *pf, int number)
{
	int made = pf->most_vfs && number > pf->most_vfs ? pf->most_vfs : number;

	if (pf->vfs_hang) {
		pf->locked = true;
		hang();
	}
	if (pf->vfs_error)
		return -pf->vfs_error;
	if (number > pf->total_vfs)
		return -ERANGE;
	if (number == pf->num_vfs)
		return 0;
	if (!pf->driver[0])
		return -ENOENT;
	if (number && pf->num_vfs)
		return -EBUSY;
	pf->num_vfs = made;
	for (int i = 0; i < MODEL_DEVICES && m->device[i].addr; i++) {
		struct model_device *vf = &m->device[i];

		if (vf->vf == 0 || &m->device[vf->vf_of] != pf)
			continue;
		vf->gone = vf->vf > made;
		vf->driver[0] = vf->override[0] = '\0';
		if (!vf->gone)
			probe_all(vf);
	}
	return 0;
}

/* A path below sys/ of which more depends than on a file in memory */
static bool may_hang(enum verb verb, const char *path)
{
	return verb == VERB_MODPROBE || strncmp(path, "sys/", 4) == 0 || strncmp(path, "dev/vfio/", 9) == 0;
}

static void change_world(void)
{
	lock_model();
	if (m->trouble.effect == EFFECT_VANISH) {
		struct model_device *d = &m->device[m->trouble.dev];

		d->gone = true;
		d->driver[0] = d->override[0] = '\0';
	} else if (m->trouble.effect == EFFECT_VFS) {
		make_vfs(&m->device[m->trouble.dev], 2);
	} else {
		model_register_hosts();
	}
	unlock_model();
}

/* Count an operation. 0, or -errno where it fails; *cut where it is to get no further than its half. */
static int operation(enum verb verb, const char *path, const char *value, bool *cut)
{
	const struct trouble *f = &m->trouble;
	unsigned n;

	if (!m->runs || !(f->verbs >> verb & 1) || ((f->effect == EFFECT_HANG || f->effect == EFFECT_SLOW) && !may_hang(verb, path)))
		return 0;
	n = __atomic_add_fetch(&m->operations, 1, __ATOMIC_SEQ_CST);
	if (n != f->at)
		return f->effect == EFFECT_FAIL_ON && m->struck.is && m->struck.verb == verb && strcmp(m->struck.path, path) == 0 &&
		       strcmp(m->struck.value, value) == 0 ? -f->number : 0;
	m->struck.verb = verb;
	snprintf(m->struck.path, sizeof(m->struck.path), "%s", path);
	snprintf(m->struck.value, sizeof(m->struck.value), "%s", value);
	m->struck.is = true;
	switch (f->effect) {
	case EFFECT_FAIL:
	case EFFECT_FAIL_ON:
		return -f->number;
	case EFFECT_SHORT:
		*cut = true;
		return 0;
	case EFFECT_HANG:
		hang();
	case EFFECT_SLOW:
		poll(NULL, 0, f->number);
		return 0;
	case EFFECT_KILL:
		model_kill(0);
		pause();
		break;
	default:
		change_world();
		break;
	}
	return 0;
}

static int simple(enum verb verb, const char *path)
{
	bool cut;

	return operation(verb, path, "", &cut);
}

/*
 * What the linker puts in the place of the C library's functions (--wrap).
 * Only a run can fail for them, not the test.
 */
void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t size);
pid_t __real_fork(void);
int __real_pipe2(int ends[2], int flags);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t size);
void *__wrap_mmap(void *at, size_t len, int protection, int flags, int fd, off_t offset);
pid_t __wrap_fork(void);
int __wrap_pipe2(int ends[2], int flags);
int __wrap_execve(const char *path, char *const argv[], char *const env[]);

static bool fails(enum verb verb)
{
	int r = m ? simple(verb, "") : 0;

	if (r < 0)
		errno = -r;
	return r < 0;
}

void *__wrap_malloc(size_t size)
{
	return fails(VERB_MALLOC) ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
	return fails(VERB_MALLOC) ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t size)
{
	return fails(VERB_MALLOC) ? NULL : __real_realloc(p, size);
}

void *__wrap_mmap(void *at, size_t len, int protection, int flags, int fd, off_t offset)
{
	return fails(VERB_MALLOC) ? MAP_FAILED : __real_mmap(at, len, protection, flags, fd, offset);
}

/* Make a process one of the run's, if it isn't yet. Its place, in which only it notes how long it waits. */
static struct process *enlist(int pid)
{
	struct process *p;

	for (p = m->process; p < m->process + MODEL_PROCESSES; p++)
		if (p->pid == pid)
			return p;
	for (p = m->process; p < m->process + MODEL_PROCESSES; p++) {
		int none = 0;

		if (!__atomic_compare_exchange_n(&p->pid, &none, -1, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
			continue;
		p->deadline_us = 0;
		__atomic_store_n(&p->pid, pid, __ATOMIC_SEQ_CST);
		return p;
	}
	abort();
}

pid_t __wrap_fork(void)
{
	pid_t pid;

	if (fails(VERB_FORK))
		return -1;
	if (m)
		enlist(getpid());
	pid = __real_fork();
	if (m && pid > 0)
		enlist(pid);
	return pid;
}

int __wrap_pipe2(int ends[2], int flags)
{
	return fails(VERB_PIPE) ? -1 : __real_pipe2(ends, flags);
}

/* All waiting of preclaim's is by these two. */
uint64_t __real_clock_us(void);
uint64_t __wrap_clock_us(void);
int __wrap_poll(struct pollfd *fds, nfds_t n, int timeout_ms);

uint64_t __wrap_clock_us(void)
{
	return m ? __atomic_load_n(&m->now_us, __ATOMIC_SEQ_CST) : __real_clock_us();
}

static void read_proc(int pid, const char *name, char *text, size_t size)
{
	char path[64];
	ssize_t n = -1;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		n = read(fd, text, size - 1);
		close(fd);
	}
	text[n > 0 ? n : 0] = '\0';
}

/*
 * Whether a process is asleep, and how often it has gone to sleep until now.
 * One that is about to has a state that says so already, but nothing that it
 * waits in (proc_pid_status(5), proc_pid_wchan(5)).
 */
static enum { GONE, RUNS, SLEEPS } state_of(int pid, unsigned long *times)
{
	static const char label[] = "\nvoluntary_ctxt_switches:";
	char text[4096], waits_in[64], *state, *switches;

	read_proc(pid, "wchan", waits_in, sizeof(waits_in));
	read_proc(pid, "status", text, sizeof(text));
	state = strstr(text, "\nState:\t");
	switches = strstr(text, label);
	if (!state || !switches || state[8] == 'Z' || state[8] == 'X')
		return GONE;
	*times += strtoul(switches + strlen(label), NULL, 10);
	return state[8] == 'S' && waits_in[0] && strcmp(waits_in, "0") != 0 ? SLEEPS : RUNS;
}

/* Whether all others are asleep, none of them for a shorter time than we would be; and how often they have gone to sleep. */
static bool others_sleep(const struct process *self, unsigned long *times)
{
	*times = 0;
	for (struct process *p = m->process; p < m->process + MODEL_PROCESSES; p++) {
		int pid = __atomic_load_n(&p->pid, __ATOMIC_SEQ_CST), state;

		if (pid <= 0 || pid == self->pid)
			continue;
		state = state_of(pid, times);
		/* unless the place is another's by now */
		if (state == GONE)
			__atomic_compare_exchange_n(&p->pid, &pid, 0, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
		if (state != SLEEPS || (p->deadline_us && p->deadline_us < self->deadline_us))
			return false;
	}
	return true;
}

/*
 * Wait as poll(2) does. Time is moved on by whoever waits for the earliest
 * moment, once nothing can happen any more before that: twice all others were
 * asleep, and not woken in between.
 */
int __wrap_poll(struct pollfd *fds, nfds_t n, int timeout_ms)
{
	struct timespec look = { .tv_nsec = LOOK_NS };
	struct process *self;
	int r;

	if (!m || timeout_ms == 0)
		return __real_poll(fds, n, timeout_ms);
	self = enlist(getpid());
	self->deadline_us = timeout_ms > 0 ? m->now_us + (uint64_t)timeout_ms * 1000 : UINT64_MAX;
	do {
		unsigned long before, after;

		r = ppoll(fds, n, &look, NULL);
		if (r != 0 || m->now_us >= self->deadline_us)
			break;
		if (timeout_ms < 0 || !others_sleep(self, &before) || !others_sleep(self, &after) || before != after) {
			/* whoever looks keeps others from seeing that nothing happens */
			look.tv_nsec = look.tv_nsec * 2 < LOOK_MOST_NS ? look.tv_nsec * 2 : LOOK_MOST_NS;
			continue;
		}
		r = __real_poll(fds, n, 0);
		if (r == 0)
			__atomic_store_n(&m->now_us, self->deadline_us, __ATOMIC_SEQ_CST);
	} while (r == 0 && m->now_us < self->deadline_us);
	self->deadline_us = 0;
	return r;
}

int model_processes(void)
{
	unsigned long times = 0;
	int n = 0;

	for (struct process *p = m->process; p < m->process + MODEL_PROCESSES; p++)
		n += p->pid > 0 && p->pid != m->owner && state_of(p->pid, &times) != GONE;
	return n;
}

int model_fork(void)
{
	return __real_fork();
}

/* modprobe -q NAME, NAME a module or a modalias */
int __wrap_execve(const char *path, char *const argv[], char *const env[])
{
	const char *name = argv[2];
	bool cut = false;

	(void)env;
	if (operation(VERB_MODPROBE, path, name, &cut) < 0)
		return -1;
	for (int fd = 0; fd < FDS; fd++)
		if (fcntl(fd, F_GETFD) == FD_CLOEXEC)
			close(fd);
	if (cut)
		_exit(1);
	if (m->modprobe_hangs)
		hang();
	for (int i = 0; i < MODEL_DEVICES && m->device[i].addr; i++)
		if (m->device[i].native && strcmp(name, m->device[i].modalias) == 0)
			name = m->device[i].native;
	lock_model();
	for (int i = 0; i < MODEL_DRIVERS; i++)
		if (m->module[i][0] && strcmp(m->module[i], name) == 0) {
			if (!registered(m->module[i]))
				model_register(m->module[i]);
			unlock_model();
			_exit(0);
		}
	unlock_model();
	_exit(1);
}

int sysfs_open(struct root *root, const char *path)
{
	*root = (struct root){ .fd = -1, .path = path, .is_system = true };
	return 0;
}

int sysfs_enter(const struct root *root, const char *dir, struct root *out)
{
	const char *rest;
	int r = simple(VERB_ENTER, dir);

	(void)root;
	*out = (struct root){ .fd = -1, .path = dir };
	return r < 0 ? r : find(dir, &rest) ? 0 : -ENOENT;
}

void sysfs_leave(const struct root *root)
{
	(void)root;
}

int sysfs_list(const struct root *root, const char *dir, int (*each)(void *ctx, const char *name), void *ctx)
{
	bool devices = strcmp(dir, devices_dir) == 0, cut = false;
	int r = operation(VERB_LIST, dir, "", &cut), n;

	(void)root;
	if (r < 0)
		return r;
	if (!devices && strcmp(dir, "sys/bus/pci/drivers") != 0)
		return cut ? -EIO : tree_list(dir, each, ctx);
	n = devices ? MODEL_DEVICES : MODEL_DRIVERS;
	for (int i = 0; r == 0 && i < n; i++) {
		if (cut && i == n / 8)
			return -EIO;
		if (devices && m->device[i].addr && !m->device[i].gone)
			r = each(ctx, m->device[i].addr);
		else if (!devices && m->driver[i][0])
			r = each(ctx, m->driver[i]);
	}
	return r;
}

int sysfs_read(const struct root *root, const char *path, char *buf, size_t size)
{
	char at[2 * PATH_SIZE];
	const char *rest = "";
	struct model_device *d;
	int r;

	path = tree_path(root->path, path, at);
	r = simple(VERB_READ, path);
	if (r < 0)
		return r;
	d = find(path, &rest);
	if (d && strcmp(rest, "modalias") == 0 && m->reads_hang)
		hang();
	if (d && d->total_vfs && strcmp(rest, "sriov_totalvfs") == 0)
		return snprintf(buf, size, "%d\n", d->total_vfs);
	if (d && d->locked && (strcmp(rest, "sriov_numvfs") == 0 || strcmp(rest, "driver_override") == 0))
		hang();
	if (d && strcmp(rest, "sriov_numvfs") == 0)
		poll(NULL, 0, __atomic_exchange_n(&d->numvfs_ms, 0, __ATOMIC_SEQ_CST));
	if (d && d->total_vfs && strcmp(rest, "sriov_numvfs") == 0)
		return snprintf(buf, size, "%d\n", d->num_vfs);
	if (d && d->total_vfs && strcmp(rest, "sriov_drivers_autoprobe") == 0)
		return snprintf(buf, size, "%d\n", !d->fenced);
	if (d && strcmp(rest, "modalias") == 0)
		return snprintf(buf, size, "%s\n", d->modalias);
	if (d && strcmp(rest, "driver_override") == 0)
		return snprintf(buf, size, "%s\n", d->override[0] ? d->override : "(null)");
	if (strcmp(path, "proc/sys/kernel/printk") == 0)
		return snprintf(buf, size, "7\t4\t1\t7\n");
	return !d && strncmp(path, devices_dir, strlen(devices_dir)) == 0 ? -ENOENT : tree_read(path, buf, size);
}

int sysfs_read_all(const struct root *root, const char *path, char **data, size_t *len)
{
	const char *text = NULL;
	int r = simple(VERB_READ_ALL, path);

	(void)root;
	if (r < 0)
		return r;
	if (strcmp(path, "etc/preclaim.conf") == 0)
		text = m->conf;
	else if (strcmp(path, "etc/preclaim.image") == 0)
		text = m->facts;
	else if (strcmp(path, "proc/cmdline") == 0)
		text = "";
	else if (strcmp(path, "run/preclaim/status") == 0 && m->status[0])
		text = m->status;
	else
		return tree_read_all(path, data, len);
	if (!text)
		return -ENOENT;
	*data = strdup(text);
	*len = strlen(text);
	return 0;
}

static int write_attribute(const char *path, const char *value)
{
	const char *rest;
	struct model_device *d = find(path, &rest);
	char device_dir[PATH_SIZE];
	int deferrals;

	if (strcmp(path, "sys/bus/pci/drivers_probe") == 0) {
		snprintf(device_dir, sizeof(device_dir), "%s/%s", devices_dir, value);
		d = find(device_dir, &rest);
		if (d)
			d->gone |= d->vanishes;
		if (!d || d->gone)
			return -ENODEV;
		deferrals = d->deferrals;
		probe_all(d);
		return d->says_einval && d->deferrals < deferrals ? -EINVAL : 0;
	}
	if (!d)
		return -ENOENT;
	if (strcmp(rest, "driver_override") == 0) {
		if (d->locked)
			hang();
		if (d->late)
			strcpy(d->driver, d->native);
		d->late = false;
		strcpy(d->override, strcmp(value, "\n") == 0 ? "" : value);
		return 0;
	}
	if (d->total_vfs && strcmp(rest, "sriov_drivers_autoprobe") == 0) {
		if (d->fence_deaf > 0)
			d->fence_deaf--;
		else
			d->fenced = strcmp(value, "0") == 0;
		return 0;
	}
	if (d->total_vfs && strcmp(rest, "sriov_numvfs") == 0)
		return make_vfs(d, atoi(value));
	if (strcmp(rest, "driver/unbind") == 0 && d->driver[0] && d->registering == 0) {
		/* unbind_store() in drivers/base/bus.c */
		if (strcmp(value, d->addr) != 0)
			return -ENODEV;
		if (d->hangs || d->locked || !others_leave())
			hang();
		d->driver[0] = '\0';
		return 0;
	}
	return -ENOENT;
}

/* The time that a write takes before it has its effect. */
static void take_time(const char *path, const char *value)
{
	char device_dir[PATH_SIZE];
	const char *rest;
	struct model_device *d = find(path, &rest);

	if (strcmp(path, "sys/bus/pci/drivers_probe") == 0) {
		snprintf(device_dir, sizeof(device_dir), "%s/%s", devices_dir, value);
		d = find(device_dir, &rest);
		poll(NULL, 0, d ? __atomic_exchange_n(&d->probe_ms, 0, __ATOMIC_SEQ_CST) : 0);
	} else if (d && strcmp(rest, "driver_override") == 0) {
		poll(NULL, 0, d->override_ms);
	} else if (d && strcmp(rest, "sriov_numvfs") == 0) {
		poll(NULL, 0, d->vfs_ms);
	} else if (d && strcmp(rest, "driver/unbind") == 0) {
		poll(NULL, 0, d->unbind_ms);
	}
}

/* And after that. */
static void end_slowly(const char *path)
{
	const char *rest;
	const struct model_device *d = find(path, &rest);

	if (d && strcmp(rest, "sriov_drivers_autoprobe") == 0)
		poll(NULL, 0, d->fence_ms);
}

int sysfs_write(const struct root *root, const char *path, const char *value)
{
	bool cut = false;
	char part[DRIVER_MAX + 8];
	int r = operation(VERB_WRITE, path, value, &cut);

	(void)root;
	__atomic_add_fetch(&m->writes, 1, __ATOMIC_SEQ_CST);
	if (r < 0)
		return r;
	take_time(path, value);
	snprintf(part, sizeof(part), "%.*s", (int)(cut ? strlen(value) / 2 : strlen(value)), value);
	lock_model();
	r = write_attribute(path, part);
	unlock_model();
	end_slowly(path);
	return cut ? -EIO : r;
}

int sysfs_link_whole(const struct root *root, const char *path, char *buf, size_t size)
{
	const char *rest;
	const struct model_device *d;
	int r = simple(VERB_LINK, path);

	(void)root;
	if (r < 0)
		return r;
	d = find(path, &rest);
	if (d && tree_link_whole(path, buf, size) == 0)
		return 0;
	if (d && !*rest)
		return (size_t)snprintf(buf, size, "../../../devices/pci0000:00/%s", d->addr) < size ? 0 : -ENAMETOOLONG;
	return !d && strncmp(path, devices_dir, strlen(devices_dir)) == 0 ? -ENOENT : tree_link_whole(path, buf, size);
}

/* The VF of a PF by its number from 1, NULL where it is not there. */
static const struct model_device *vf_of(const struct model_device *pf, int number)
{
	for (int i = 0; i < MODEL_DEVICES && m->device[i].addr; i++)
		if (m->device[i].vf == number && &m->device[m->device[i].vf_of] == pf && !m->device[i].gone)
			return &m->device[i];
	return NULL;
}

int sysfs_link(const struct root *root, const char *path, char *buf, size_t size)
{
	const char *rest = "";
	const struct model_device *vf;
	struct model_device *d;
	const char *name = NULL;
	char number[12], at[2 * PATH_SIZE];
	int r;

	path = tree_path(root->path, path, at);
	r = simple(VERB_LINK, path);
	if (r < 0)
		return r;
	d = find(path, &rest);
	snprintf(number, sizeof(number), "%d", d ? d->group : 0);
	if (!d)
		return strncmp(path, devices_dir, strlen(devices_dir)) == 0 ? -ENOENT : tree_link(path, buf, size);
	if (strcmp(rest, "driver") == 0)
		name = d->driver;
	else if (strcmp(rest, "physfn") == 0)
		name = d->vf ? m->device[d->vf_of].addr : "";
	else if (strncmp(rest, "virtfn", 6) == 0)
		name = d->total_vfs && (vf = vf_of(d, atoi(rest + 6) + 1)) ? vf->addr : "";
	else if (strcmp(rest, "iommu_group") == 0 && d->groupless > 0)
		d->groupless--, name = "";
	else if (strcmp(rest, "iommu_group") == 0)
		name = d->group >= 0 ? number : "";
	if (!name)
		return tree_link(path, buf, size);
	if (!name[0])
		return -ENOENT;
	return (size_t)snprintf(buf, size, "%s", name) < size ? 0 : -ENAMETOOLONG;
}

bool sysfs_exists(const struct root *root, const char *path)
{
	static const char *const there[] = { "init", "dev/kmsg", "sbin/modprobe", "sys/module/vfio_iommu_type1" };
	const char *rest;
	struct model_device *d = find(path, &rest);

	(void)root;
	if (simple(VERB_EXISTS, path) < 0)
		return false;
	if (d && strcmp(rest, "driver/uevent") == 0 && d->registering > 0)
		return --d->registering == 0;
	if (d && strcmp(rest, "driver/unbind") == 0 && d->registering > 0)
		return false;
	for (size_t i = 0; i < sizeof(there) / sizeof(there[0]); i++)
		if (strcmp(path, there[i]) == 0)
			return true;
	return d || (strncmp(path, devices_dir, strlen(devices_dir)) != 0 && tree_exists(path));
}

int sysfs_may_write(const struct root *root, const char *path)
{
	(void)root;
	return simple(VERB_MAY_WRITE, path);
}

int sysfs_try(const struct root *root, const char *path)
{
	static const char dir[] = "dev/vfio/", noiommu[] = "noiommu-";
	const char *group = path + strlen(dir);
	int r = simple(VERB_TRY, path);

	(void)root;
	if (r < 0 || m->group_error)
		return r < 0 ? r : -m->group_error;
	if (m->groups != (strncmp(group, noiommu, strlen(noiommu)) == 0 ? GROUPS_NOIOMMU : GROUPS))
		return -ENOENT;
	group += m->groups == GROUPS_NOIOMMU ? strlen(noiommu) : 0;
	for (int i = 0; i < MODEL_DEVICES && m->device[i].addr; i++) {
		struct model_device *d = &m->device[i];

		if (d->group != atoi(group))
			continue;
		if (d->open)
			return -EBUSY;
		if (d->opens_after > 0)
			d->open = --d->opens_after == 0;
	}
	return 0;
}

int sysfs_append(const struct root *root, const char *path, const char *record, size_t len)
{
	bool cut = false;
	int r = operation(VERB_APPEND, path, "", &cut);

	(void)root;
	if (r < 0)
		return r;
	lock_model();
	if (strlen(m->log) + len < sizeof(m->log))
		strncat(m->log, record, cut ? len / 2 : len);
	if (cut)
		strcat(m->log, "\n");
	unlock_model();
	return cut ? -EIO : 0;
}

int sysfs_replace(const struct root *root, const char *dir, const char *name, const char *data, size_t len)
{
	bool cut = false;
	int r = operation(VERB_REPLACE, dir, name, &cut);

	(void)root;
	if (r < 0 || cut || m->run_error)
		return r < 0 ? r : cut ? -EIO : -m->run_error;
	if (strcmp(name, "status") == 0) {
		memcpy(m->status, data, len);
		m->status[len] = '\0';
	}
	return 0;
}

int sysfs_make(const struct root *root, const char *dir, struct root *out)
{
	int r = simple(VERB_REPLACE, dir);

	(void)root;
	*out = (struct root){ .fd = -1, .path = dir };
	return r < 0 ? r : -m->run_error;
}

/* Of many in a directory one is as the other, and that can fail to be made. */
int sysfs_touch(const struct root *root, const char *name)
{
	(void)root;
	(void)name;
	return -m->run_error;
}

int sysfs_lock_file(const struct root *root, const char *dir, const char *name)
{
	char again[32];
	int r = simple(VERB_LOCK, dir), fd;

	(void)root;
	(void)name;
	if (r < 0 || m->run_error)
		return r < 0 ? r : -m->run_error;
	/* opened anew: a lock is that of an open file */
	snprintf(again, sizeof(again), "/proc/self/fd/%d", lock_file);
	fd = open(again, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		abort();
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

static char *copy(const char *text)
{
	char *c = strdup(text);

	if (!c)
		abort();
	c[strcspn(c, "\n")] = '\0';
	return c;
}

/* A number in an attribute of a device of the tree, 0 where there is none. */
static unsigned long number_of(const char *addr, const char *name, int base)
{
	char path[PATH_SIZE], value[32];

	snprintf(path, sizeof(path), "%s/%s/%s", devices_dir, addr, name);
	return tree_read(path, value, sizeof(value)) < 0 ? 0 : strtoul(value, NULL, base);
}

/* The driver that a host has for a device of a class; for VFs it is another than for their PFs. */
static const char *host_driver(const char *modalias, bool vf)
{
	static const struct {
		const char *class, *driver;
	} hosts[] = {
		{ "bc01sc08", "nvme" }, { "bc01sc06", "ahci" }, { "bc01sc04", "megaraid_sas" }, { "bc02sc00", "e1000e" }, { "bc02sc80", "iwlwifi" },
		{ "bc03", "nouveau" }, { "bc04sc03", "snd_hda_intel" }, { "bc04sc01", "snd_cmipci" }, { "bc0Csc03", "xhci_hcd" },
		{ "bc0Csc05", "i801_smbus" }, { "bc07sc00", "serial" }, { "bcFFsc00", "rtsx_pci" },
	};

	for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++)
		if (strstr(modalias, hosts[i].class))
			return vf ? "igbvf" : hosts[i].driver;
	return NULL;
}

static int add_device(void *ctx, const char *name)
{
	int *n = ctx;
	struct model_device *d = &m->device[(*n)++];
	char path[PATH_SIZE], text[128];

	if (*n > MODEL_DEVICES)
		abort();
	*d = (struct model_device){ .addr = copy(name), .group = -1 };
	snprintf(path, sizeof(path), "%s/%s/modalias", devices_dir, name);
	if (tree_read(path, text, sizeof(text)) < 0)
		abort();
	d->modalias = copy(text);
	snprintf(path, sizeof(path), "%s/%s/physfn", devices_dir, name);
	d->vf = tree_exists(path);
	d->native = host_driver(d->modalias, d->vf);
	snprintf(path, sizeof(path), "%s/%s/iommu_group", devices_dir, name);
	if (tree_link(path, text, sizeof(text)) == 0)
		d->group = atoi(text);
	snprintf(path, sizeof(path), "%s/%s/driver", devices_dir, name);
	if (tree_link(path, d->driver, sizeof(d->driver)) == 0)
		d->native = copy(d->driver);
	d->total_vfs = (int)number_of(name, "sriov_totalvfs", 10);
	if (d->total_vfs > MODEL_VFS)
		d->total_vfs = MODEL_VFS;
	d->num_vfs = (int)number_of(name, "sriov_numvfs", 10);
	d->fenced = d->total_vfs && !number_of(name, "sriov_drivers_autoprobe", 10);
	return 0;
}

static int add_driver(void *ctx, const char *name)
{
	int *n = ctx;

	if (*n == MODEL_DRIVERS)
		abort();
	strcpy(m->driver[(*n)++], name);
	return 0;
}

/* The VFs of a PF, where pci_iov_virtfn_bus() and pci_iov_virtfn_devfn() of the kernel's drivers/pci/iov.c put them. */
static void add_vfs(int pf, int *n)
{
	struct model_device *p = &m->device[pf];
	unsigned domain, bus, slot, function;

	if (sscanf(p->addr, "%x:%x:%x.%x", &domain, &bus, &slot, &function) != 4)
		abort();
	for (int i = 0; i < p->total_vfs; i++) {
		unsigned at = (bus << 8 | slot << 3 | function) + (unsigned)number_of(p->addr, "sriov_offset", 10) +
			      (unsigned)i * (unsigned)number_of(p->addr, "sriov_stride", 10);
		char addr[ADDR_MAX], modalias[128];
		struct model_device *vf;
		int there;

		snprintf(addr, sizeof(addr), "%04x:%02x:%02x.%x", domain, at >> 8 & 0xff, at >> 3 & 0x1f, at & 7);
		there = model_find(addr);
		if (there < 0) {
			there = (*n)++;
			if (*n > MODEL_DEVICES)
				abort();
			snprintf(modalias, sizeof(modalias), "%.14s%08lX%s", p->modalias,
				 number_of(p->addr, "sriov_vf_device", 16), p->modalias + 22);
			m->device[there] = (struct model_device){ .addr = copy(addr), .modalias = copy(modalias), .group = 100 + there,
								  .native = "igbvf", .gone = true };
		}
		vf = &m->device[there];
		vf->vf_of = pf;
		vf->vf = i + 1;
	}
}

struct model *model_load(const char *file)
{
	static char text[1 << 18];
	FILE *in = fopen(file, "r");
	int n = 0, drivers = 0;
	size_t len;

	model_new();
	if (!in)
		perror(file), exit(2);
	len = fread(text, 1, sizeof(text), in);
	fclose(in);
	tree_add_manifest((struct str){ .p = text, .len = len });
	tree_list(devices_dir, add_device, &n);
	tree_list("sys/bus/pci/drivers", add_driver, &drivers);
	for (int i = 0, last = n; i < last; i++)
		if (m->device[i].total_vfs)
			add_vfs(i, &n);
	return m;
}
