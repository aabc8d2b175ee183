#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# arm64.t: what the shipped binary is tested for, the builds for arm64 are, whose programs an
# emulator runs.

# shellcheck source-path=SCRIPTDIR source=builds.sh
. "$(dirname "$0")/builds.sh"

# emulated FOLDER: in $scratch, scripts that have the emulator run the programs of FOLDER.
# cli.t runs one as another user, too: all is in a folder that is open to all.
emulated() {
	chmod 755 "$scratch"
	for program in preclaim show-protect; do
		cp "$1/$program" "$scratch/$program.arm64"
		printf '#!/bin/sh\nexec qemu-aarch64-static "%s" "$@"\n' "$scratch/$program.arm64" >"$scratch/$program"
		chmod 755 "$scratch/$program"
	done
}

test-qemu/cross klibc musl >"$scratch/log" 2>&1
ok 'arm64: it is built with klibc and with musl'
for libc in klibc musl; do
	needs_nothing "arm64, $libc" build/aarch64-linux-gnu-$libc/preclaim
	emulated build/aarch64-linux-gnu-$libc
	check_build "arm64, $libc" "$scratch"
done
end
