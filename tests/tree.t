#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The tree as such: licences, the one place of the version, and the tarball of a release.

# shellcheck source-path=SCRIPTDIR source=points.sh
. "$(dirname "$0")/points.sh"

version=$(cat VERSION)

# Texts, recorded machines, expectations and fuzzed inputs are no sources.
tests/files | grep -vE '^(COPYING|NEWS|VERSION|.*\.md|\.gitignore|debian/(changelog|copyright|source/.*)|tests/(golden|machines|protect|fuzz/corpus)/.*|tests/fuzz/(dictionary|machine\.manifest))$' \
	>"$scratch/sources"
tr '\n' '\0' <"$scratch/sources" | xargs -0 awk 'FNR > 5 { nextfile } /SPDX-License-Identifier: GPL-2\.0-or-later/ { print FILENAME }' >"$scratch/licensed"
grep -vxFf "$scratch/licensed" "$scratch/sources" >"$scratch/err"
[ "$(wc -l <"$scratch/sources")" -ge 100 ] && [ ! -s "$scratch/err" ]
ok 'each source says what its licence is'

sed -n 2p COPYING | grep -q 'Version 2, June 1991' && tail -n 1 README.md | grep -q 'GPL-2\.0-or-later.*COPYING' 2>"$scratch/err"
ok 'the licence is there, and README names it'

printf '%s\n' "$version" | grep -qE '^[0-9]+\.[0-9]+\.[0-9]+$' && [ "$(wc -l <VERSION)" = 1 ]
ok 'VERSION has the version'
tests/files | grep -vE '^(VERSION|NEWS|debian/changelog|tests/(golden|fuzz/corpus)/.*)$' >"$scratch/others"
tr '\n' '\0' <"$scratch/others" | xargs -0 grep -nwF -e "$version" >"$scratch/err"
[ "$(wc -l <"$scratch/others")" -ge 100 ] && [ ! -s "$scratch/err" ]
ok 'no other file repeats it'
head -n 1 NEWS >"$scratch/err"
grep -qE "^preclaim $version( |\$)" "$scratch/err"
ok 'NEWS begins with it'
if [ -e debian/changelog ]; then
	head -n 1 debian/changelog >"$scratch/err"
	sed -n '1s/^preclaim (\([^-)]*\).*/\1/p' debian/changelog | grep -qxF "$version"
	ok 'debian/changelog begins with it'
fi
sed -n '/^preclaim /{n;n;p;}' NEWS | grep -vx 'What upgraders must do' >"$scratch/err"
[ ! -s "$scratch/err" ]
ok 'each part of NEWS begins with what upgraders must do'

# In a tarball of a release there is no history that another could be made of.
if [ -e .git ]; then
	unset MAKEFLAGS MAKELEVEL
	git clone -q . "$scratch/clone" 2>"$scratch/err" &&
		make -s dist DIST="$scratch/one" 2>>"$scratch/err" &&
		(cd "$scratch/clone" && umask 077 && touch -d '2001-01-01' src/* && TZ=Asia/Tokyo make -s dist DIST="$scratch/two") 2>>"$scratch/err" &&
		cmp "$scratch/one/preclaim-$version.tar.gz" "$scratch/two/preclaim-$version.tar.gz" 2>>"$scratch/err"
	ok 'the tarball has the same bytes wherever and whenever it is made'
	tar -C "$scratch" -xzf "$scratch/one/preclaim-$version.tar.gz" 2>"$scratch/err" &&
		make -C "$scratch/preclaim-$version" >/dev/null 2>>"$scratch/err" &&
		"$scratch/preclaim-$version/build/preclaim" --version | grep -qxF "preclaim $version"
	ok 'what is in it can be built'
	git ls-tree -r --name-only HEAD >"$scratch/committed"
	(cd "$scratch/preclaim-$version" && tests/files) | diff "$scratch/committed" - >"$scratch/err" && [ -s "$scratch/committed" ]
	ok 'it has each file, and no other'
fi
end
