// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * hostile TREE CALLS ERRNO ARGUMENT...: preclaim with these arguments on a copy
 * of the tree, first as it is, and then again and again: the first of CALLS
 * fails, then the second, until there are no more of them. Linked with --wrap,
 * so that only what preclaim itself calls can fail. However it ends, it must
 * end by itself, leak nothing, and never pass less than the whole off as such:
 *
 *  - all of it as ever, or exit status 4, or a message that says what is missing;
 *  - apply: exit status 0 only where all devices are as they should be, and always
 *    the one line that sums up, but for two cases below;
 *  - an exit status that is not the usual one: with a message.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../src/sysfs.h"

enum { OUTPUT_MAX = 1 << 20, PATIENCE_S = 60, GRACE_MS = 2000, EXIT_LEAK = 99 };

/* What is to fail: the call of that number, counted over all processes of a run. */
static const char *failing;
static int failing_error, failing_at;
static int *seen;

const char *__asan_default_options(void);

const char *__asan_default_options(void)
{
	return "exitcode=99";
}

static bool fails(const char *calls)
{
	if (!failing_at || strcmp(calls, failing) != 0 || __atomic_add_fetch(seen, 1, __ATOMIC_RELAXED) != failing_at)
		return false;
	errno = failing_error;
	return true;
}

/* From here on nothing fails: preclaim has ended, and what still runs is not it. */
void program_ends(void);

void program_ends(void)
{
	failing_at = 0;
}

/* WRAP(what it is counted as, type, name, what it returns when it fails, parameters, arguments) */
#define WRAP(calls, type, name, failure, parameters, arguments)		\
	type __real_##name parameters;					\
	type __wrap_##name parameters;					\
	type __wrap_##name parameters					\
	{								\
		return fails(calls) ? failure : __real_##name arguments;	\
	}

WRAP("memory", void *, malloc, NULL, (size_t size), (size))
WRAP("memory", void *, calloc, NULL, (size_t n, size_t size), (n, size))
WRAP("memory", void *, realloc, NULL, (void *old, size_t size), (old, size))
WRAP("memory", char *, strdup, NULL, (const char *s), (s))
WRAP("memory", void *, mmap, MAP_FAILED, (void *at, size_t len, int protection, int flags, int fd, off_t offset),
     (at, len, protection, flags, fd, offset))
WRAP("memory", DIR *, fdopendir, NULL, (int fd), (fd))
WRAP("list", struct dirent *, readdir, NULL, (DIR *dir), (dir))
WRAP("read", ssize_t, read, -1, (int fd, void *buf, size_t size), (fd, buf, size))
WRAP("process", int, pipe2, -1, (int *ends, int flags), (ends, flags))
WRAP("process", pid_t, fork, -1, (void), ())
WRAP("wait", int, poll, -1, (struct pollfd *fds, nfds_t n, int timeout), (fds, n, timeout))
WRAP("wait", pid_t, waitpid, -1, (pid_t pid, int *status, int options), (pid, status, options))
WRAP("exec", int, execve, -1, (const char *path, char *const argv[], char *const env[]), (path, argv, env))
WRAP("run", int, mkdirat, -1, (int dir, const char *path, mode_t mode), (dir, path, mode))
WRAP("run", int, mknodat, -1, (int dir, const char *path, mode_t mode, dev_t dev), (dir, path, mode, dev))
WRAP("run", int, renameat, -1, (int from, const char *old, int to, const char *new), (from, old, to, new))
WRAP("run", int, flock, -1, (int fd, int operation), (fd, operation))
WRAP("socket", int, socket, -1, (int family, int type, int protocol), (family, type, protocol))
WRAP("socket", int, bind, -1, (int fd, const struct sockaddr *addr, socklen_t len), (fd, addr, len))

/* Of this tree programs are run. */
int __real_sysfs_open(struct root *root, const char *path);
int __wrap_sysfs_open(struct root *root, const char *path);
int __wrap_sysfs_open(struct root *root, const char *path)
{
	int r = __real_sysfs_open(root, path);

	root->is_system = true;
	return r;
}

/* Messages arrive: they are what is judged. */
ssize_t __real_write(int fd, const void *buf, size_t size);
ssize_t __wrap_write(int fd, const void *buf, size_t size);
ssize_t __wrap_write(int fd, const void *buf, size_t size)
{
	return fd != STDERR_FILENO && fails("write") ? -1 : __real_write(fd, buf, size);
}

int __real_openat(int dir, const char *path, int flags, ...);
int __wrap_openat(int dir, const char *path, int flags, ...);
int __wrap_openat(int dir, const char *path, int flags, ...)
{
	va_list args;
	mode_t mode;

	va_start(args, flags);
	mode = flags & O_CREAT ? va_arg(args, mode_t) : 0;
	va_end(args);
	return fails("open") ? -1 : __real_openat(dir, path, flags, mode);
}

/* The file is closed all the same, as on Linux. */
int __real_close(int fd);
int __wrap_close(int fd);
int __wrap_close(int fd)
{
	bool failed = fails("close");
	int r = __real_close(fd);

	return failed ? -1 : r;
}

/* One run, and what came of it. */
struct run {
	int status;
	char *out, *err, *state;
};

__attribute__((format(printf, 1, 2)))
static char *format(const char *form, ...)
{
	va_list args;
	char *text;

	va_start(args, form);
	if (vasprintf(&text, form, args) < 0)
		abort();
	va_end(args);
	return text;
}

static char *new_text(void)
{
	char *text = calloc(1, OUTPUT_MAX);

	if (!text)
		abort();
	return text;
}

/* What a run has printed, without how long it took. */
static char *printed(int fd)
{
	char *text = new_text(), *at;

	if (pread(fd, text, OUTPUT_MAX - 1, 0) < 0)
		abort();
	close(fd);
	for (at = text; (at = strstr(at, " in ")); at++) {
		size_t digits = strspn(at + 4, "0123456789");

		if (digits > 0 && strncmp(at + 4 + digits, " ms", 3) == 0)
			memmove(at, at + 4 + digits + 3, strlen(at + 4 + digits + 3) + 1);
	}
	return text;
}

static int compare_lines(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The driver and the override of every device in a tree. */
static char *devices(const char *tree)
{
	char *text = new_text(), *path = format("%s/sys/bus/pci/devices", tree), target[4096], override[64], *line[256];
	struct dirent *entry;
	size_t n = 0;
	DIR *d = opendir(path);

	free(path);
	while (d && (entry = readdir(d))) {
		FILE *in;

		path = format("%s/sys/bus/pci/devices/%s/driver_override", tree, entry->d_name);
		in = fopen(path, "r");
		free(path);
		if (!in)
			continue;
		override[0] = '\0';
		if (fgets(override, sizeof(override), in))
			override[strcspn(override, "\n")] = '\0';
		fclose(in);
		path = format("%s/sys/bus/pci/devices/%s/driver", tree, entry->d_name);
		memset(target, 0, sizeof(target));
		if (readlink(path, target, sizeof(target) - 1) < 0)
			strcpy(target, "no driver");
		free(path);
		if (n == 256)
			abort();
		line[n++] = format("%s %s %s\n", entry->d_name, override, target);
	}
	if (d)
		closedir(d);
	qsort(line, n, sizeof(*line), compare_lines);
	for (size_t i = 0; i < n; i++) {
		strcat(text, line[i]);
		free(line[i]);
	}
	return text;
}

int __real_main(int argc, char **argv);
int __wrap_main(int argc, char **argv);

/* What a run has left running must be gone before the tree is made anew: it has a moment to end by itself. */
static void end_rest(pid_t group)
{
	pid_t ended = 0;

	for (int ms = 0; ms < GRACE_MS && ended >= 0; ms += ended ? 0 : 10) {
		ended = __real_waitpid(-1, NULL, WNOHANG);
		if (ended == 0)
			usleep(10000);
	}
	kill(-group, SIGKILL);
	while (__real_waitpid(-1, NULL, 0) > 0)
		;
}

/* at: which call fails, 0: none */
static struct run run(const char *tree, bool applies, int at, int argc, char **argv)
{
	int out = memfd_create("out", 0), err = memfd_create("err", 0);
	char *work = format("%s.work", tree), *copy = format("rm -rf '%s' && cp -a '%s' '%s'", work, tree, work);
	struct run r;
	pid_t pid;

	/* what only reads has left it as it was */
	if ((applies || !at) && system(copy) != 0)
		abort();
	*seen = 0;
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		setpgid(0, 0);
		dup2(out, 1);
		dup2(err, 2);
		alarm(PATIENCE_S);
		failing_at = at;
		atexit(program_ends);
		exit(__real_main(argc, argv));
	}
	if (__real_waitpid(pid, &r.status, 0) != pid)
		abort();
	end_rest(pid);
	r.out = printed(out);
	r.err = printed(err);
	r.state = devices(work);
	free(work);
	free(copy);
	return r;
}

static void drop(struct run *r)
{
	free(r->out);
	free(r->err);
	free(r->state);
}

static size_t count(const char *text, const char *what)
{
	size_t n = 0;

	for (const char *at = text; (at = strstr(at, what)); at++)
		n++;
	return n;
}

/* Whether there is a line in a text that is not in the other. */
static bool says_more(const char *text, const char *other)
{
	while (*text) {
		size_t len = strcspn(text, "\n");
		char *line = format("%.*s", (int)len, text);
		bool more = !strstr(other, line);

		free(line);
		if (more)
			return true;
		text += len + (text[len] == '\n');
	}
	return false;
}

/* Where there is no memory even for the arguments; where a run cannot tell its parent that it has ended. */
static const char out_of_memory[] = "preclaim: out of memory\n", died[] = "preclaim: the run died before its end\n";

/* What is wrong with how a run ended; NULL: nothing. */
static const char *judge(const struct run *r, const struct run *whole, bool applies)
{
	bool same = strcmp(r->out, whole->out) == 0 && r->status == whole->status;
	int status = WEXITSTATUS(r->status);

	if (!WIFEXITED(r->status))
		return WTERMSIG(r->status) == SIGALRM ? "it hangs" : "it crashed";
	if (status == EXIT_LEAK)
		return "a sanitizer found something";
	if (status > 4 || status == 3)
		return "an exit status that makes no sense";
	if (status != WEXITSTATUS(whole->status) && !r->err[0])
		return "it has failed without a word";
	if (applies && count(r->err, "preclaim: done: ") != 1 && !(status == 4 && count(r->err, out_of_memory) + count(r->err, died) == 1))
		return "not one line that sums up";
	if (applies && status == 0 && strcmp(r->state, whole->state) != 0)
		return "devices are not as they should be, but the exit status is 0";
	if (status == 4)
		return NULL;
	if (!(same && strcmp(r->err, whole->err) == 0) && !says_more(r->err, whole->err))
		return "less than all of it without a word";
	return NULL;
}

int __wrap_main(int argc, char **argv)
{
	char root_option[] = "--root", *words[64];
	struct run whole, r = { .status = 0 };
	int n = 0, bad = 0;
	bool applies;

	if (argc < 5 || argc > 50)
		return 3;
	seen = mmap(NULL, sizeof(*seen), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (seen == MAP_FAILED)
		return 3;
	/* the children of its children are ours when it has ended */
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	failing = argv[2];
	failing_error = atoi(argv[3]);
	applies = strcmp(argv[4], "apply") == 0 || strcmp(argv[4], "claim") == 0 || strcmp(argv[4], "release") == 0;
	words[n++] = argv[0];
	words[n++] = root_option;
	words[n++] = format("%s.work", argv[1]);
	for (int i = 4; i < argc; i++)
		words[n++] = argv[i];

	whole = run(argv[1], applies, 0, n, words);
	if (!WIFEXITED(whole.status) || WEXITSTATUS(whole.status) > 1)
		printf("# undisturbed it ends with %d: %s\n", whole.status, whole.err), bad++;
	for (int at = 1;; at++) {
		const char *wrong;

		r = run(argv[1], applies, at, n, words);
		if (*seen < at) {
			drop(&r);
			printf("%d calls\n", at - 1);
			bad += at == 1;
			break;
		}
		wrong = judge(&r, &whole, applies);
		if (wrong) {
			printf("# call %d: %s: exit status %d\n", at, wrong, WEXITSTATUS(r.status));
			for (char *line = strtok(r.err, "\n"); line; line = strtok(NULL, "\n"))
				printf("# \t%.300s\n", line);
			bad++;
		}
		drop(&r);
	}
	drop(&whole);
	free(words[2]);
	return bad > 0;
}
