// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Finds the rule files and the kernel command line and has them parsed in the
 * order in which later rules hold: the file, the folder, the command line.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"
#include "token.h"

static const char conf_path[] = "/etc/preclaim.conf";
static const char conf_dir[] = "/etc/preclaim.d";
static const char facts_path[] = "/etc/preclaim.image";
static const char policy_path[] = "/run/preclaim/policy";

/* The facts of an image without any. */
static const char nothing_known[] =
	"unknown storage this image has no facts of its machine\n"
	"unknown usb this image has no facts of its machine\n"
	"unknown network this image has no facts of its machine\n";

/* Keep a text for as long as the rules. Takes it over in either case. */
static int keep(struct config *c, char *text)
{
	char **bigger = text ? realloc(c->text, (c->n + 1) * sizeof(*bigger)) : NULL;

	if (!bigger) {
		free(text);
		return -ENOMEM;
	}
	c->text = bigger;
	c->text[c->n++] = text;
	return 0;
}

/* A path as messages and the status file have it, where it must be one word. Kept as long as the rules; NULL without memory. */
static const char *source_of(struct config *c, const char *path)
{
	size_t size = strlen(path) * strlen("\\xHH") + 1;
	char *source = malloc(size);

	if (source) {
		struct text t = text_in(source, size);

		text_word(&t, str_of(path));
	}
	return keep(c, source) < 0 ? NULL : source;
}

/*
 * Read one file of rules or facts, at a path from "/", which is the root, or
 * of the caller's where that is the current directory. 1 where it is not there.
 */
static int read_file(struct config *c, const struct root *root, const struct report *report, const char *path, bool optional,
		     int (*add)(struct rules *rules, const char *source, struct str text))
{
	const char *source;
	char *text;
	size_t len;
	int r = sysfs_read_all(root, root->fd == AT_FDCWD ? path : path + 1, &text, &len);

	if (r == -ENOENT && optional)
		return 1;
	source = source_of(c, path);
	if (!source) {
		if (r == 0)
			free(text);
		return -ENOMEM;
	}
	if (r < 0) {
		report_say(report, LEVEL_ERR, "%s: cannot read it: %s (%d)", source, text_error(-r), -r);
		c->unreadable = true;
		return r == -ENOMEM ? r : 0;
	}
	r = keep(c, text);
	return r < 0 ? r : add(&c->rules, source, (struct str){ .p = text, .len = len });
}

struct names {
	char **name;
	size_t n;
};

/* Names as a shell's *.conf would take them: no hidden files. */
static int take_name(void *ctx, const char *name)
{
	struct names *names = ctx;
	size_t len = strlen(name), suffix = strlen(".conf");
	char **bigger;

	if (name[0] == '.' || len < suffix || strcmp(name + len - suffix, ".conf") != 0)
		return 0;
	bigger = realloc(names->name, (names->n + 1) * sizeof(*bigger));
	if (!bigger)
		return -ENOMEM;
	names->name = bigger;
	names->name[names->n] = strdup(name);
	return names->name[names->n] ? (names->n++, 0) : -ENOMEM;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int read_folder(struct config *c, const struct root *root, const struct report *report)
{
	struct names names = { .n = 0 };
	int r = sysfs_list(root, conf_dir + 1, take_name, &names);

	if (r < 0 && r != -ENOENT) {
		report_say(report, LEVEL_ERR, "%s: cannot list it: %s (%d)", conf_dir, text_error(-r), -r);
		c->unreadable = true;
	}
	if (names.n > 0)
		qsort(names.name, names.n, sizeof(*names.name), compare_names);
	r = r == -ENOMEM ? r : 0;
	for (size_t i = 0; i < names.n; i++) {
		char path[sizeof(conf_dir) + NAME_MAX + 1];
		struct text t = text_in(path, sizeof(path));

		text_add(&t, "%s/%s", conf_dir, names.name[i]);
		if (r == 0)
			r = read_file(c, root, report, path, false, rules_add_file);
		free(names.name[i]);
	}
	free(names.name);
	return r;
}

/* The facts, as they are or as an image has to take them that has none. */
static int read_facts(struct config *c, const struct root *root, const struct report *report)
{
	bool unreadable = c->unreadable;
	int r;

	c->unreadable = false;
	r = read_file(c, root, report, facts_path, true, rules_add_facts);
	if (r == 0 && !c->unreadable) {
		c->facts = str_of(c->text[c->n - 1]);
		c->has_facts = true;
	}
	c->unreadable |= unreadable;
	if (r < 0 || c->has_facts || !c->in_image)
		return r < 0 ? r : 0;
	c->facts = str_of(nothing_known);
	c->has_facts = true;
	return rules_add_facts(&c->rules, facts_path, c->facts);
}

static int read_cmdline(struct config *c, const struct root *root, const struct report *report)
{
	char *text;
	size_t len;
	int r = sysfs_read_all(root, "proc/cmdline", &text, &len);

	if (r == -ENOMEM)
		return r;
	if (r < 0) {
		c->partial = true;
		report_say(report, LEVEL_WARNING, "/proc/cmdline: cannot read it, so its rules are not known: %s (%d)",
			   text_error(-r), -r);
		return 0;
	}
	/* the newline at its end is /proc's (fs/proc/cmdline.c), and would get into an open quote */
	if (len > 0 && text[len - 1] == '\n')
		len--;
	r = keep(c, text);
	return r < 0 ? r : rules_add_cmdline(&c->rules, (struct str){ .p = text, .len = len });
}

int config_read(struct config *out, const struct root *root, const struct report *report, const char *file,
		const char *cmdline)
{
	const struct root here = { .fd = AT_FDCWD, .path = ".", .is_system = true };
	int r;

	*out = (struct config){ .rules = rules_new(), .in_image = sysfs_exists(root, "init") };
	if (file) {
		r = read_file(out, &here, report, file, false, rules_add_file);
	} else {
		r = read_file(out, root, report, conf_path, true, rules_add_file);
		if (r >= 0)
			r = read_folder(out, root, report);
	}
	if (r >= 0)
		r = read_facts(out, root, report);
	if (r >= 0)
		r = cmdline ? rules_add_cmdline(&out->rules, str_of(cmdline)) : read_cmdline(out, root, report);
	out->partial |= out->unreadable || file || cmdline;
	return r;
}

/* Take ":NUMBER" off the end of a place. 0 where there is none. */
static unsigned take_number(char *place)
{
	char *colon = strrchr(place, ':');
	struct str digits;
	uint32_t n;

	if (!colon)
		return 0;
	digits = str_of(colon + 1);
	if (scan_decimal(&digits, &n) == 0 || digits.len > 0)
		return 0;
	*colon = '\0';
	return n;
}

/* The first word of a policy's line is a fact's keyword, or the place of a rule; it is a piece of the text, and ended there. */
static int read_policy_line(struct config *c, char *text, struct str whole)
{
	struct str line = whole, word;
	char *place;
	unsigned last;

	if (str_is(line, POLICY_OF_HOST))
		c->rules.settings.take = TAKE_NEVER;
	c->partial |= str_is(line, POLICY_PARTIAL);
	if (str_starts(line, "policy ") || !token_word(&line, BLANKS, &word))
		return 0;
	if (str_is(word, "pin") || str_is(word, "protect") || str_is(word, "unknown"))
		return rules_add_facts(&c->rules, policy_path, whole);
	if (!str_is(word, "fault")) {
		place = text + (word.p - text);
		place[word.len] = '\0';
		last = take_number(place);
		return rules_add_line(&c->rules, place, last, str_skip(line, line.len > 0));
	}
	if (!token_word(&line, BLANKS, &word))
		return 0;
	place = text + (word.p - text);
	place[word.len] = '\0';
	last = take_number(place);
	return rules_add_fault(&c->rules, place, take_number(place), last, str_skip(line, line.len > 0));
}

int config_read_policy(struct config *out, const struct root *root)
{
	struct str rest = { .len = 0 }, line;
	char *text;
	int r;

	*out = (struct config){ .rules = rules_new(), .in_image = sysfs_exists(root, "init"), .has_facts = true, .from_policy = true };
	r = sysfs_read_all(root, policy_path + 1, &text, &rest.len);
	if (r < 0)
		return r == -ENOENT ? 1 : r;
	rest.p = text;
	r = keep(out, text);
	while (r == 0 && token_line(&rest, &line))
		r = read_policy_line(out, text, line);
	return r;
}

int config_from_words(struct config *out, const char *keyword, char *const *word, int words)
{
	size_t size = strlen(keyword) + 1;
	struct text t;
	char *rule;

	*out = (struct config){ .rules = rules_new() };
	for (int i = 0; i < words; i++)
		size += strlen(word[i]) + 1;
	rule = malloc(size);
	if (!rule)
		return -ENOMEM;
	t = text_in(rule, size);
	text_add(&t, "%s", keyword);
	for (int i = 0; i < words; i++)
		text_add(&t, " %s", word[i]);
	if (keep(out, rule) < 0)
		return -ENOMEM;
	return rules_add_file(&out->rules, "arguments", str_of(rule));
}

void config_free(struct config *config)
{
	rules_free(&config->rules);
	for (size_t i = 0; i < config->n; i++)
		free(config->text[i]);
	free(config->text);
}
