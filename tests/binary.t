#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The shipped binary as a file: what it weighs and what it needs.

cd "$(dirname "$0")/.." || exit

[ "$(stat -c %s build/preclaim)" -le 98304 ] || printf 'not '
echo 'ok 1 - the binary is no larger than 96 KiB'
headers=$(readelf -lW build/preclaim) && ! echo "$headers" | grep -q INTERP || printf 'not '
echo 'ok 2 - the binary needs no dynamic loader'
echo 1..2
