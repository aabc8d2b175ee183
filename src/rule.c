// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The rule language: turns words into rules and selectors, or into faults that
 * name the place. It opens no file and knows no device. The same grammar
 * serves files (words separated by blanks) and kernel parameters (commas).
 */
#include "rule.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"
#include "token.h"

enum {
	TIMEOUT_DEFAULT_S = 10,
	TIMEOUT_MAX_S = 3600,
	VF_LAST = UINT16_MAX,		/* sriov_totalvfs is a 16-bit register */
	FAULT_MAX = 200,
};

#define PARAM "cmdline:preclaim."	/* the source of a rule that is a parameter, before its keyword */

static const struct {
	const char *param;
	enum { SELECTORS, VALUE, NOTHING } takes;
} keywords[KEYWORDS] = {
	[KEYWORD_CLAIM] = { PARAM "claim", SELECTORS },
	[KEYWORD_KEEP] = { PARAM "keep", SELECTORS },
	[KEYWORD_VFS] = { PARAM "vfs", SELECTORS },
	[KEYWORD_TIMEOUT] = { PARAM "timeout", VALUE },
	[KEYWORD_ON_FAILURE] = { PARAM "on-failure", VALUE },
	[KEYWORD_GROUP] = { PARAM "group", VALUE },
	[KEYWORD_OFF] = { PARAM "off", NOTHING },
};

const char unknown_name[UNKNOWN_KINDS][8] = { [UNKNOWN_STORAGE] = "storage", [UNKNOWN_USB] = "usb", [UNKNOWN_NETWORK] = "network" };

/* One statement being parsed: a line of a file or one parameter. */
struct parser {
	struct rules *rules;
	const char *source;
	unsigned line;
	const char *start;		/* what is at column 1 */
	enum separator separator;
	int error;			/* -ENOMEM, or 0 */
};

const char *keyword_name(enum keyword keyword)
{
	return keywords[keyword].param + strlen(PARAM);
}

struct rules rules_new(void)
{
	return (struct rules){
		.settings = { .timeout_ms = TIMEOUT_DEFAULT_S * 1000, .on_failure = FAILURE_HOLD, .group = GROUP_WARN },
	};
}

void rules_free(struct rules *rules)
{
	for (size_t i = 0; i < rules->faults; i++)
		free(rules->fault[i].what);
	free(rules->fault);
	free(rules->selector);
	free(rules->fact);
	free(rules->rule);
}

/* Room for one more behind the n elements of an array: it doubles at powers of two. False without memory. */
static bool grow(void *array, size_t n, size_t size)
{
	void *bigger, **at = array;

	if (n & (n - 1))
		return true;
	bigger = realloc(*at, (n ? n * 2 : 1) * size);
	if (!bigger)
		return false;
	*at = bigger;
	return true;
}

/* Report that what stands at `at` cannot be understood: the word it is in, then why. Always false. */
__attribute__((format(printf, 4, 5)))
static bool fault(struct parser *p, const char *at, struct str word, const char *format, ...)
{
	struct rules *r = p->rules;
	char message[FAULT_MAX], why[FAULT_MAX];
	struct text t = text_in(message, sizeof(message));
	struct fault *f;
	char *what;
	va_list args;

	va_start(args, format);
	vsnprintf(why, sizeof(why), format, args);
	va_end(args);
	if (word.len > 0) {
		text_quote(&t, word);
		text_add(&t, ": ");
	}
	text_add(&t, "%s", why);

	what = strdup(message);
	if (!what || !grow(&r->fault, r->faults, sizeof(*f))) {
		free(what);
		p->error = -ENOMEM;
		return false;
	}
	f = &r->fault[r->faults++];
	f->source = p->source;
	f->line = p->line;
	f->column = (unsigned)(at - p->start) + 1;
	f->what = what;
	return false;
}

/* Why the text at s, where a digit was wanted, is none. */
static bool not_a_digit(struct parser *p, struct str s, struct str word, const char *kind)
{
	return fault(p, s.p, word, s.len > 0 ? "not a %s digit" : "a %s digit is missing at the end", kind);
}

/* Digits up to `limit` many and `max` in value, the way a field of an address is written. */
static bool parse_field(struct parser *p, struct str *s, struct str word, const char *name, size_t limit, uint32_t max,
			uint32_t *out)
{
	struct str start = *s;
	size_t digits = scan_hex(s, out);

	uint32_t more;

	if (digits == 0)
		return not_a_digit(p, *s, word, "hex");
	if (digits > limit || *out > max || scan_hex(s, &more) > 0)
		return fault(p, start.p, word, "a %s is at most %x", name, max);
	return true;
}

/* "device.function"; as the last hop also "device.*" or "device" alone, for every function. */
static bool parse_hop(struct parser *p, struct str *s, struct str word, struct place *place)
{
	uint32_t dev, fn = 0;

	if (place->hops == HOPS_MAX)
		return fault(p, s->p, word, "a path has at most %d steps", HOPS_MAX);
	if (place->any_function)
		return fault(p, s->p, word, "only the last step may name all functions");
	if (!parse_field(p, s, word, "device number", 2, 0x1f, &dev))
		return false;
	if (s->len == 0) {
		place->any_function = true;
	} else if (s->p[0] != '.') {
		return s->p[0] == '/' ? fault(p, s->p, word, "a step of a path needs a function, as in 00.0")
				      : not_a_digit(p, *s, word, "hex");
	} else {
		*s = str_skip(*s, 1);
		if (str_starts(*s, "*")) {
			place->any_function = true;
			*s = str_skip(*s, 1);
		} else if (!parse_field(p, s, word, "function", 1, 7, &fn)) {
			return false;
		}
	}
	place->devfn[place->hops++] = (uint8_t)(dev << 3 | fn);
	return true;
}

/*
 * "01:00" and "0000:01:00" are slots, though ids are hex digits and colons
 * too: a slot's bus and device have two digits, an id has four.
 */
static bool looks_like_place(struct str s)
{
	size_t colon = str_find(s, ':'), last;

	if (str_find(s, '.') < s.len || str_find(s, '/') < s.len)
		return true;
	if (colon == s.len || str_find(s, '*') < s.len)
		return false;
	last = s.len - colon - 1;
	if (colon <= 2)
		return last > 0 && last <= 2;
	return last == 5 && s.p[s.len - 3] == ':';
}

/* An address, a slot or a path: [domain:]bus:hop[/hop...] */
static bool parse_place(struct parser *p, struct str s, struct str word, struct place *out)
{
	struct place place = { .domain = 0 };
	struct str first = { .p = s.p, .len = str_find(s, '/') };
	uint32_t bus;

	if (!looks_like_place(s) || str_find(first, ':') == first.len)
		return fault(p, s.p, word, "an address, a slot or a path is wanted: [domain:]bus:device.function[/device.function...]");
	first = str_skip(first, str_find(first, ':') + 1);
	if (str_find(first, ':') < first.len) {
		if (!parse_field(p, &s, word, "domain", 8, UINT32_MAX, &place.domain))
			return false;
		if (s.p[0] != ':')
			return not_a_digit(p, s, word, "hex");
		s = str_skip(s, 1);
	}
	if (!parse_field(p, &s, word, "bus", 2, 0xff, &bus))
		return false;
	place.bus = (uint8_t)bus;
	if (s.p[0] != ':')
		return not_a_digit(p, s, word, "hex");
	s = str_skip(s, 1);
	while (parse_hop(p, &s, word, &place)) {
		if (s.len == 0) {
			*out = place;
			return true;
		}
		if (s.p[0] != '/')
			return fault(p, s.p, word, "the address should end here");
		s = str_skip(s, 1);
	}
	return false;
}

/* One field of an ids selector: hex digits as many as wanted, or "*" or "ffffffff" for any. */
static bool parse_id(struct parser *p, struct str field, struct str word, size_t least, size_t most, uint32_t *out)
{
	struct str s = field;
	uint32_t value;
	size_t digits;

	if (field.len == 0)
		return fault(p, s.p, word, "an id is missing here");
	if (str_is(field, "*")) {
		*out = ANY_ID;
		return true;
	}
	digits = scan_hex(&s, &value);
	if (digits == 0 || s.len > 0)
		return not_a_digit(p, s, word, "hex");
	if ((digits < least || digits > most) && value != ANY_ID)
		return fault(p, field.p, word, least == 4 ? "an id has four hex digits" : "a class has six hex digits");
	*out = value;
	return true;
}

/* vendor:device[:subvendor[:subdevice[:class[:class_mask]]]] */
static bool parse_ids(struct parser *p, struct str s, struct str word, struct selector *out)
{
	uint32_t field[6] = { ANY_ID, ANY_ID, ANY_ID, ANY_ID, ANY_ID, ANY_ID };
	size_t n = 0;

	for (;;) {
		struct str part = { .p = s.p, .len = str_find(s, ':') };
		bool is_class = n >= 4;

		if (n == 6)
			return fault(p, s.p, word, "ids have at most six fields");
		/* vfio-pci.ids takes classes and masks of eight digits, and such are in use */
		if (!parse_id(p, part, word, is_class ? 6 : 4, is_class ? 8 : 4, &field[n]))
			return false;
		if (n == 4 && field[4] != ANY_ID && field[4] > 0xffffff)
			return fault(p, part.p, word, "a class has six hex digits");
		n++;
		if (part.len == s.len)
			break;
		s = str_skip(s, part.len + 1);
	}
	out->ids = (struct ids){ field[0], field[1], field[2], field[3], field[4] };
	out->class_mask = field[4] == ANY_ID ? 0 : field[5];
	return true;
}

/* class=PREFIX: the leading hex digits of the class code */
static bool parse_class(struct parser *p, struct str s, struct str word, struct selector *out)
{
	struct str start = s;
	uint32_t class;
	size_t digits = scan_hex(&s, &class);

	if (digits == 0 || (s.len > 0 && digits < 8))
		return not_a_digit(p, s, word, "hex");
	if (digits > 6)
		return fault(p, start.p, word, "a class has at most six hex digits");
	out->ids = (struct ids){ ANY_ID, ANY_ID, ANY_ID, ANY_ID, class << (24 - 4 * digits) };
	out->class_mask = 0xffffff & (0xffffffu << (24 - 4 * digits));
	return true;
}

/* What stands before the "@" of a VF selector: vf, vf2 or vf0-3 */
static bool parse_vf_range(struct parser *p, struct str s, struct str word, struct selector *out)
{
	struct str first;

	s = str_skip(s, 2);
	first = s;
	out->vf_first = 0;
	out->vf_last = VF_LAST;
	if (s.len == 0)
		return true;
	if (scan_decimal(&s, &out->vf_first) == 0)
		return not_a_digit(p, s, word, "decimal");
	out->vf_last = out->vf_first;
	if (s.len > 0) {
		if (s.p[0] != '-')
			return not_a_digit(p, s, word, "decimal");
		s = str_skip(s, 1);
		if (scan_decimal(&s, &out->vf_last) == 0 || s.len > 0)
			return not_a_digit(p, s, word, "decimal");
	}
	if (out->vf_first > out->vf_last)
		return fault(p, first.p, word, "the range runs backwards");
	if (out->vf_last > VF_LAST)
		return fault(p, first.p, word, "a VF's number is at most %d", VF_LAST);
	return true;
}

/* Parse one selector. False after reporting why not. */
static bool parse_selector(struct parser *p, struct str word, struct selector *out)
{
	struct selector sel = { .kind = SELECT_IDS, .text = word };
	size_t at = str_find(word, '@');
	struct str what = { .p = word.p, .len = at };
	bool ok;

	sel.has_place = at < word.len;
	if (sel.has_place && at == 0)
		return fault(p, word.p, word, "ids, class=, vf or group is missing before the \"@\"");
	if (sel.has_place && !parse_place(p, str_skip(word, at + 1), word, &sel.place))
		return false;
	if (str_starts(what, "class=")) {
		ok = parse_class(p, str_skip(what, 6), word, &sel);
	} else if (sel.has_place && str_starts(what, "vf")) {
		sel.kind = SELECT_VF;
		ok = parse_vf_range(p, what, word, &sel);
	} else if (sel.has_place && str_is(what, "group")) {
		sel.kind = SELECT_GROUP;
		ok = true;
	} else if (!sel.has_place && looks_like_place(what)) {
		sel.kind = SELECT_PLACE;
		ok = parse_place(p, what, word, &sel.place);
	} else if (str_find(what, ':') < what.len) {
		ok = parse_ids(p, what, word, &sel);
	} else {
		ok = fault(p, word.p, word, "not a selector: ids, an address, class=, vf@ or group@ is wanted");
	}
	if (ok)
		*out = sel;
	return ok;
}

/* SELECTOR=COUNT of a vfs rule */
static bool parse_counted(struct parser *p, struct str word, struct selector *out)
{
	size_t equals = word.len;
	struct str count;

	while (equals > 0 && word.p[equals - 1] != '=')
		equals--;
	if (equals == 0 || str_is((struct str){ .p = word.p, .len = equals }, "class="))
		return fault(p, word.p + word.len, word, "how many VFs is missing: SELECTOR=COUNT is wanted");
	if (!parse_selector(p, (struct str){ .p = word.p, .len = equals - 1 }, out))
		return false;
	if (out->kind == SELECT_VF)
		return fault(p, word.p, word, "a VF has no VFs; name the PF");
	count = str_skip(word, equals);
	if (str_is(count, "max")) {
		out->count = VFS_MAX;
		return true;
	}
	if (scan_decimal(&count, &out->count) == 0 || count.len > 0)
		return fault(p, count.p, word, "a number of VFs or \"max\" is wanted");
	if (out->count > VF_LAST)
		return fault(p, word.p + equals, word, "a PF has at most %d VFs", VF_LAST);
	return true;
}

static bool parse_driver(struct parser *p, struct str name, struct str word, struct str *out)
{
	if (out->len > 0)
		return fault(p, word.p, word, "a rule has one driver");
	if (name.len == 0)
		return fault(p, name.p, word, "a driver's name is missing");
	if (name.len >= DRIVER_MAX)
		return fault(p, name.p, word, "a driver's name has at most %d characters", DRIVER_MAX - 1);
	for (size_t i = 0; i < name.len; i++) {
		char c = name.p[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		      (i > 0 && (c == '-' || c == '_' || c == '.' || c == '+'))))
			return fault(p, name.p + i, word, "no driver's name has this character");
	}
	*out = name;
	return true;
}

/* The slips that people make most: other tools' separators, and quotes. */
static bool has_plain_characters(struct parser *p, struct str word)
{
	size_t comma = str_find(word, ','), quote = str_find(word, '"');

	if (comma < word.len)
		return fault(p, word.p + comma, word, "words are separated by blanks in a file, not by commas");
	if (quote < word.len)
		return fault(p, word.p + quote, word, p->line ? "words take no quotes in a file" :
						       "a quote inside a value; quotes go around all of it");
	return true;
}

/* The words after claim, keep or vfs. Every bad one is reported, and one spoils the rule. */
static bool parse_selectors(struct parser *p, struct str *rest, struct rule *rule)
{
	struct rules *r = p->rules;
	struct str word;
	bool ok = true;

	rule->first = r->selectors;
	while (token_word(rest, p->separator, &word)) {
		struct selector sel = { .kind = SELECT_IDS };

		if (!has_plain_characters(p, word)) {
			ok = false;
			continue;
		}
		if (str_starts(word, "driver=")) {
			if (rule->keyword == KEYWORD_KEEP)
				ok = fault(p, word.p, word, "keep takes no driver");
			else
				ok &= parse_driver(p, str_skip(word, 7), word, &rule->driver);
			continue;
		}
		if (!(rule->keyword == KEYWORD_VFS ? parse_counted(p, word, &sel) : parse_selector(p, word, &sel))) {
			ok = false;
			continue;
		}
		if (!grow(&r->selector, r->selectors, sizeof(sel))) {
			p->error = -ENOMEM;
			return false;
		}
		r->selector[r->selectors++] = sel;
		rule->n++;
	}
	if (ok && rule->n == 0)
		ok = fault(p, rest->p, (struct str){ .p = NULL }, "%s needs a selector", keyword_name(rule->keyword));
	if (!ok)
		r->selectors = rule->first;
	return ok;
}

/* The one word after timeout, on-failure or group. */
static bool parse_setting(struct parser *p, struct str *rest, struct rule *rule)
{
	struct settings *set = &p->rules->settings;
	struct str word, more, number;
	uint32_t seconds;

	if (!token_word(rest, p->separator, &word))
		return fault(p, rest->p, (struct str){ .p = NULL }, "%s needs a value", keyword_name(rule->keyword));
	if (token_word(rest, p->separator, &more))
		return fault(p, more.p, more, "%s takes one value", keyword_name(rule->keyword));
	rule->value = word;
	switch (rule->keyword) {
	case KEYWORD_TIMEOUT:
		number = word;
		if (scan_decimal(&number, &seconds) == 0 || number.len > 0)
			return fault(p, number.p, word, "a number of seconds is wanted");
		if (seconds < 1 || seconds > TIMEOUT_MAX_S)
			return fault(p, word.p, word, "a timeout is 1 to %d seconds", TIMEOUT_MAX_S);
		set->timeout_ms = seconds * 1000;
		return true;
	case KEYWORD_ON_FAILURE:
		if (!str_is(word, "hold") && !str_is(word, "release"))
			return fault(p, word.p, word, "hold or release is wanted");
		set->on_failure = str_is(word, "hold") ? FAILURE_HOLD : FAILURE_RELEASE;
		return true;
	default:
		if (!str_is(word, "warn") && !str_is(word, "claim") && !str_is(word, "refuse"))
			return fault(p, word.p, word, "warn, claim or refuse is wanted");
		set->group = str_is(word, "warn") ? GROUP_WARN : str_is(word, "claim") ? GROUP_CLAIM : GROUP_REFUSE;
		return true;
	}
}

/* preclaim.off, and =1 or =0 as the kernel takes its own switches */
static bool parse_off(struct parser *p, struct str *rest, struct rule *rule)
{
	struct str word = { .len = 0 };

	if (token_word(rest, p->separator, &word) && !str_is(word, "0") && !str_is(word, "1"))
		return fault(p, word.p, word, "preclaim.off takes no value, or 1 or 0");
	rule->value = word;
	p->rules->settings.off = word.len == 0 || str_is(word, "1");
	return true;
}

/* One statement: what follows its keyword is in rest. */
static void parse_statement(struct parser *p, struct str name, struct str rest)
{
	struct rule rule = { .source = p->source, .line = p->line };
	struct rules *r = p->rules;
	bool ok;

	for (rule.keyword = 0; rule.keyword < KEYWORDS; rule.keyword++)
		if (p->line == 0 ? str_same_name(name, keyword_name(rule.keyword)) : str_is(name, keyword_name(rule.keyword)))
			break;
	if (rule.keyword == KEYWORDS || (rule.keyword == KEYWORD_OFF && p->line > 0)) {
		struct str all = { .p = p->start, .len = (size_t)(name.p + name.len - p->start) };

		fault(p, name.p, p->line ? name : all, "unknown keyword: claim, keep, vfs, timeout, on-failure or group is wanted");
		return;
	}
	if (p->line == 0)
		p->source = rule.source = keywords[rule.keyword].param;

	switch (keywords[rule.keyword].takes) {
	case SELECTORS:
		ok = parse_selectors(p, &rest, &rule);
		break;
	case VALUE:
		ok = parse_setting(p, &rest, &rule);
		break;
	default:
		ok = parse_off(p, &rest, &rule);
	}
	if (!ok)
		return;
	if (!grow(&r->rule, r->n, sizeof(rule))) {
		p->error = -ENOMEM;
		return;
	}
	r->rule[r->n++] = rule;
}

/* What follows "pin" or "protect": a place and ids. */
static bool parse_device(struct parser *p, struct str *rest, struct fact *fact)
{
	struct str place, word;
	struct selector ids;

	if (!token_word(rest, BLANKS, &place) || !token_word(rest, BLANKS, &word))
		return fault(p, rest->p, (struct str){ .p = NULL }, "a place and ids are wanted");
	if (!parse_place(p, place, place, &fact->place) || !parse_ids(p, word, word, &ids))
		return false;
	fact->ids = ids.ids;
	return true;
}

/* What follows "unknown": a class of devices. */
static bool parse_unknown(struct parser *p, struct str *rest, struct fact *fact)
{
	struct str word = { .p = NULL };

	token_word(rest, BLANKS, &word);
	for (; fact->unknown < UNKNOWN_KINDS; fact->unknown++)
		if (str_is(word, unknown_name[fact->unknown]))
			return true;
	return fault(p, word.p ? word.p : rest->p, word, "storage, usb or network is wanted");
}

static void parse_fact(struct parser *p, struct str name, struct str rest)
{
	struct rules *r = p->rules;
	static const char kinds[][8] = { [FACT_PIN] = "pin", [FACT_PROTECT] = "protect", [FACT_UNKNOWN] = "unknown" };
	struct fact fact = { .kind = FACT_PIN };

	while (fact.kind <= FACT_UNKNOWN && !str_is(name, kinds[fact.kind]))
		fact.kind++;
	if (fact.kind > FACT_UNKNOWN) {
		fault(p, name.p, name, "unknown keyword: pin, protect or unknown is wanted");
		return;
	}
	if (!(fact.kind == FACT_UNKNOWN ? parse_unknown(p, &rest, &fact) : parse_device(p, &rest, &fact)))
		return;
	while (rest.len > 0 && *rest.p == ' ')
		rest = str_skip(rest, 1);
	while (fact.reason.len < rest.len && rest.p[fact.reason.len] >= ' ' && rest.p[fact.reason.len] < 0x7f)
		fact.reason.len++;
	/* one without a reason holds too */
	fact.reason.p = rest.p;
	if (fact.reason.len == 0)
		fact.reason = str_of("something");
	if (grow(&r->fact, r->facts, sizeof(fact)))
		r->fact[r->facts++] = fact;
	else
		p->error = -ENOMEM;
}

static bool same_slot(const struct place *a, const struct place *b)
{
	unsigned last = a->hops - 1u;

	return a->domain == b->domain && a->bus == b->bus && a->hops == b->hops && memcmp(a->devfn, b->devfn, last) == 0 &&
	       a->devfn[last] >> 3 == b->devfn[last] >> 3 && (a->any_function || a->devfn[last] == b->devfn[last]);
}

const struct fact *rules_pin(const struct rules *rules, const struct selector *s, uint8_t devfn)
{
	const struct fact *any = NULL;

	for (size_t i = 0; i < rules->facts; i++) {
		const struct fact *f = &rules->fact[i];

		if (f->kind != FACT_PIN || !same_slot(&s->place, &f->place))
			continue;
		if (f->place.devfn[f->place.hops - 1] == devfn)
			return f;
		any = f;
	}
	return any;
}

/* Every line with a word in it is one statement. */
static int parse_lines(struct rules *rules, const char *source, struct str text,
		       void (*parse)(struct parser *p, struct str name, struct str rest))
{
	struct parser p = { .rules = rules, .source = source, .separator = BLANKS };
	struct str line, word;

	while (!p.error && token_line(&text, &line)) {
		size_t nul = str_find(line, '\0');

		p.line++;
		p.start = line.p;
		if (nul < line.len)
			fault(&p, line.p + nul, (struct str){ .p = NULL }, "a NUL byte; is this a text file?");
		else if (token_word(&line, BLANKS, &word))
			parse(&p, word, line);
	}
	return p.error;
}

int rules_add_file(struct rules *rules, const char *source, struct str text)
{
	return parse_lines(rules, source, text, parse_statement);
}

int rules_add_line(struct rules *rules, const char *source, unsigned line, struct str text)
{
	struct parser p = { .rules = rules, .source = source, .line = line, .start = text.p, .separator = BLANKS };
	struct str keyword;

	if (token_word(&text, BLANKS, &keyword))
		parse_statement(&p, keyword, text);
	else
		fault(&p, text.p, text, "a rule is missing here");
	return p.error;
}

int rules_add_fault(struct rules *rules, const char *source, unsigned line, unsigned column, struct str what)
{
	struct parser p = { .rules = rules, .source = source, .line = line, .start = what.p };

	fault(&p, what.p, (struct str){ .len = 0 }, "%.*s", (int)what.len, what.p);
	if (!p.error)
		rules->fault[rules->faults - 1].column = column;
	return p.error;
}

int rules_add_facts(struct rules *rules, const char *source, struct str text)
{
	return parse_lines(rules, source, text, parse_fact);
}

int rules_add_cmdline(struct rules *rules, struct str cmdline)
{
	struct parser p = { .rules = rules, .separator = COMMAS };
	struct param param;

	/* what follows "--" is for init (parse_args() in kernel/params.c) */
	while (!p.error && token_param(&cmdline, &param) && !str_is(param.whole, "--")) {
		p.source = "cmdline";
		p.start = param.whole.p;
		if (str_starts(param.name, "preclaim."))
			parse_statement(&p, str_skip(param.name, strlen("preclaim.")), param.value);
		else if (str_same_name(param.name, "preclaim"))
			fault(&p, param.whole.p, param.whole, "preclaim.KEYWORD is wanted");
	}
	return p.error;
}
