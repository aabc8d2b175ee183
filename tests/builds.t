#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# builds.t: what the shipped binary is tested for, that with musl is. arm64.t does the same
# for arm64.

# shellcheck source-path=SCRIPTDIR source=builds.sh
. "$(dirname "$0")/builds.sh"

needs_nothing musl build/musl/preclaim
check_build musl build/musl
end
