/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TEXT_H
#define TEXT_H

#include "preclaim.h"

/* A bounded text under construction: always terminated, cut where it is full. */
struct text {
	char *buf;
	size_t size, len;
};

/* Start an empty text in buf of size bytes (at least 1). */
struct text text_in(char *buf, size_t size);

/* Append as printf does; what does not fit is dropped. */
void text_add(struct text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));

/*
 * Append what comes from outside: a device, a file, an argument. What is not
 * printable ASCII becomes \xHH: what else a terminal acts on depends on its
 * character set. text_word() does so with blanks too, for texts that have
 * blanks between their columns. Done twice it is the same as done once.
 */
void text_plain(struct text *t, struct str s);
void text_word(struct text *t, struct str s);

/* The same in double quotes; a long one cut with "...". */
void text_quote(struct text *t, struct str s);

/*
 * What strerror() says, for the errors that the kernel has for reads, writes
 * and processes; others have their number only. All of strerror's texts are
 * 4 KB, a sixteenth of what the program may weigh.
 */
const char *text_error(int error);

/* "0000:01:00.0" in the form of sysfs (%04x:%02x:%02x.%d in drivers/pci/probe.c). */
const char *text_addr(char out[ADDR_MAX], struct addr a);

/* The whole of a terminated string, and comparisons of pieces with one. */
struct str str_of(const char *s);
bool str_is(struct str s, const char *other);
bool str_starts(struct str s, const char *prefix);

/*
 * Equal where '-' and '_' are the same, as the kernel takes parameter names
 * (parameq() in kernel/params.c) and module names.
 */
bool str_same_name(struct str s, const char *other);

/* Position of the first c in s, or s.len. */
size_t str_find(struct str s, char c);

/* s without its first n bytes (n <= s.len). */
struct str str_skip(struct str s, size_t n);

/*
 * Take leading digits off s into *out: hexadecimal (at most 8), or decimal
 * (saturating at UINT32_MAX). The number of digits taken; 0 leaves *out alone.
 */
size_t scan_hex(struct str *s, uint32_t *out);
size_t scan_decimal(struct str *s, uint32_t *out);

/*
 * Take an address in sysfs' own form ("0000:01:00.0", domains of 4 to 8
 * digits) off the start of s. False where there is none; s and *out are then
 * as they were.
 */
bool scan_addr(struct str *s, struct addr *out);

/* Order of addresses: negative, zero or positive. */
int addr_compare(struct addr a, struct addr b);

#endif
