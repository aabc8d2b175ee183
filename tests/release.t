#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What is looked at before a release, as it needs four more Debians: the package for Debian
# sid, and crosswise for arm64, what the newest lintian says, and autopkgtest.

set -u
# shellcheck source-path=SCRIPTDIR source=../test-qemu/lib.sh
. "$(dirname "$0")/../test-qemu/lib.sh"
# shellcheck source-path=SCRIPTDIR source=package.sh
. "$top/tests/package.sh"

for suite in bookworm trixie; do
	build $suite amd64
	ok "$suite-amd64: the package is built in a clean chroot"
done
"$top/test-qemu/image" 6.1-deb-installed >"$log" 2>&1 &&
	cmp "$(deb bookworm-amd64)" "$images/6.1-deb/preclaim_${version}_amd64.deb" >"$log"
ok 'built twice, at other times and places, the package is the same to the byte'
build sid amd64
ok 'sid-amd64: the package is built in a clean chroot'
check_native sid
build trixie arm64
ok 'trixie-arm64: the package is built crosswise in a clean chroot'
is_static trixie-arm64 183
ok 'trixie-arm64: the program is static, and for that machine'
check_package trixie-arm64
cmp "$scratch/bookworm-amd64/preclaim_$version.tar.xz" "$scratch/sid-amd64/preclaim_$version.tar.xz" >"$log"
ok 'the source package is the same in each release'

# --- lintian -----------------------------------------------------------------
make_root lint
# All that it can find, apart from what debian/ gives reasons for.
lint() {
	as_root rm -rf "$roots/lint/packages"
	as_root cp -r "$scratch/$1" "$roots/lint/packages"
	in_root lint sh -c 'exec lintian --allow-root --pedantic --display-info --display-experimental \
		--tag-display-limit 0 --fail-on error,warning,info,pedantic,experimental \
		/packages/*.changes' >"$log" 2>&1 && [ ! -s "$log" ]
}
for package in bookworm-amd64 trixie-amd64 sid-amd64 trixie-arm64; do
	lint $package
	ok "$package: the newest lintian finds nothing in source and package, pedantic as it can be"
done
as_root rm -rf "$roots/lint/packages"

# --- its own tests -----------------------------------------------------------
make_root autopkgtest
as_root rm -rf "$roots/autopkgtest/preclaim"
as_root mkdir "$roots/autopkgtest/preclaim"
(cd "$top" && tests/files | tar -c -T -) | as_root tar -C "$roots/autopkgtest/preclaim" -x --no-same-owner
as_root cp "$(deb trixie-amd64)" "$roots/autopkgtest/preclaim.deb"
in_root_with_proc autopkgtest autopkgtest --no-built-binaries /preclaim.deb /preclaim -- null >"$log" 2>&1
cp "$log" "$build/autopkgtest.log"
for name in program boot; do
	grep -Eqx "$name +PASS" "$log"
	ok "trixie-amd64: autopkgtest, $name: passes"
done

end
