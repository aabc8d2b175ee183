#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The shipped binary as a file: what it weighs and what it needs.

# shellcheck source-path=SCRIPTDIR source=points.sh
. "$(dirname "$0")/points.sh"

[ "$(stat -c %s "$preclaim")" -le 105472 ]
ok 'the binary is no larger than 103 KiB'
headers=$(readelf -lW "$preclaim") && ! echo "$headers" | grep -q INTERP
ok 'the binary needs no dynamic loader'
end
