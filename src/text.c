// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Text in both directions: building bounded messages, and scanning numbers and
 * addresses out of input with every range and end checked. No system call.
 */
#include "text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { QUOTE_MAX = 64 };

struct text text_in(char *buf, size_t size)
{
	buf[0] = '\0';
	return (struct text){ .buf = buf, .size = size };
}

void text_add(struct text *t, const char *format, ...)
{
	size_t room = t->size - t->len;
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(t->buf + t->len, room, format, args);
	va_end(args);
	if (n > 0)
		t->len += (size_t)n < room ? (size_t)n : room - 1;
}

/* Append s; what is not from `lowest` up to "~" as \xHH. */
static void add_escaped(struct text *t, struct str s, unsigned char lowest)
{
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = s.p[i];

		if (c < lowest || c >= 0x7f) {
			text_add(t, "\\x%02x", c);
		} else if (t->len + 1 < t->size) {
			t->buf[t->len++] = (char)c;
			t->buf[t->len] = '\0';
		}
	}
}

void text_plain(struct text *t, struct str s)
{
	add_escaped(t, s, ' ');
}

void text_word(struct text *t, struct str s)
{
	add_escaped(t, s, ' ' + 1);
}

void text_quote(struct text *t, struct str s)
{
	bool cut = s.len > QUOTE_MAX;

	text_add(t, "\"");
	text_plain(t, (struct str){ .p = s.p, .len = cut ? QUOTE_MAX : s.len });
	text_add(t, cut ? "...\"" : "\"");
}

const char *text_error(int error)
{
	static const struct {
		int number;
		const char *text;
	} known[] = {
		{ EPERM, "Operation not permitted" },
		{ ENOENT, "No such file or directory" },
		{ EINTR, "Interrupted system call" },
		{ EIO, "Input/output error" },
		{ ENXIO, "No such device or address" },
		{ EAGAIN, "Resource temporarily unavailable" },
		{ ENOMEM, "Cannot allocate memory" },
		{ EACCES, "Permission denied" },
		{ EBUSY, "Device or resource busy" },
		{ EEXIST, "File exists" },
		{ ENODEV, "No such device" },
		{ ENOTDIR, "Not a directory" },
		{ EISDIR, "Is a directory" },
		{ EINVAL, "Invalid argument" },
		{ EFBIG, "File too large" },
		{ ENOSPC, "No space left on device" },
		{ EROFS, "Read-only file system" },
		{ ERANGE, "Numerical result out of range" },
		{ ENAMETOOLONG, "File name too long" },
		{ ENOSYS, "Function not implemented" },
		{ ELOOP, "Too many levels of symbolic links" },
		{ EOPNOTSUPP, "Operation not supported" },
		{ ETIMEDOUT, "Connection timed out" },
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (known[i].number == error)
			return known[i].text;
	return "error";
}

const char *text_addr(char out[ADDR_MAX], struct addr a)
{
	struct text t = text_in(out, ADDR_MAX);

	text_add(&t, "%04x:%02x:%02x.%x", a.domain, a.bus, a.devfn >> 3, a.devfn & 7);
	return out;
}

struct str str_of(const char *s)
{
	return (struct str){ .p = s, .len = strlen(s) };
}

bool str_is(struct str s, const char *other)
{
	return s.len == strlen(other) && memcmp(s.p, other, s.len) == 0;
}

bool str_starts(struct str s, const char *prefix)
{
	size_t n = strlen(prefix);

	return s.len >= n && memcmp(s.p, prefix, n) == 0;
}

static char dash(char c)
{
	if (c == '-')
		return '_';
	return c;
}

bool str_same_name(struct str s, const char *other)
{
	if (s.len != strlen(other))
		return false;
	for (size_t i = 0; i < s.len; i++)
		if (dash(s.p[i]) != dash(other[i]))
			return false;
	return true;
}

size_t str_find(struct str s, char c)
{
	const char *at = s.len ? memchr(s.p, c, s.len) : NULL;

	return at ? (size_t)(at - s.p) : s.len;
}

struct str str_skip(struct str s, size_t n)
{
	return (struct str){ .p = s.p + n, .len = s.len - n };
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

size_t scan_hex(struct str *s, uint32_t *out)
{
	uint32_t value = 0;
	size_t n = 0;

	while (n < 8 && n < s->len && hex_digit(s->p[n]) >= 0)
		value = value << 4 | (uint32_t)hex_digit(s->p[n++]);
	if (n > 0)
		*out = value;
	*s = str_skip(*s, n);
	return n;
}

size_t scan_decimal(struct str *s, uint32_t *out)
{
	uint64_t value = 0;
	size_t n = 0;

	while (n < s->len && s->p[n] >= '0' && s->p[n] <= '9') {
		value = value * 10 + (uint64_t)(s->p[n++] - '0');
		if (value > UINT32_MAX)
			value = UINT32_MAX;
	}
	if (n > 0)
		*out = (uint32_t)value;
	*s = str_skip(*s, n);
	return n;
}

static bool scan_char(struct str *s, char c)
{
	if (s->len == 0 || s->p[0] != c)
		return false;
	*s = str_skip(*s, 1);
	return true;
}

bool scan_addr(struct str *s, struct addr *out)
{
	uint32_t domain, bus, dev, fn;
	struct str rest = *s;

	if (scan_hex(&rest, &domain) < 4 || !scan_char(&rest, ':') ||
	    scan_hex(&rest, &bus) != 2 || !scan_char(&rest, ':') ||
	    scan_hex(&rest, &dev) != 2 || dev > 0x1f || !scan_char(&rest, '.') ||
	    scan_hex(&rest, &fn) != 1 || fn > 7)
		return false;
	*out = (struct addr){ .domain = domain, .bus = (uint8_t)bus, .devfn = (uint8_t)(dev << 3 | fn) };
	*s = rest;
	return true;
}

int addr_compare(struct addr a, struct addr b)
{
	uint64_t x = (uint64_t)a.domain << 16 | (uint64_t)a.bus << 8 | a.devfn;
	uint64_t y = (uint64_t)b.domain << 16 | (uint64_t)b.bus << 8 | b.devfn;

	return x < y ? -1 : x > y;
}
