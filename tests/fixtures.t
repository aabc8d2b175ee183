#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The tools that the golden tests stand on: record and mktree.

cd "$(dirname "$0")" || exit 1
scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT
tests=0
failed=0

ok() # STATUS NAME
{
	tests=$((tests + 1))
	if [ "$1" -eq 0 ]; then
		echo "ok $tests - $2"
	else
		failed=$((failed + 1))
		echo "not ok $tests - $2"
	fi
}

entries() # FILE
{
	grep -v -e '^#' -e '^$' "$1"
}

for manifest in machines/*.manifest; do
	rm -rf "$scratch/tree"
	./mktree "$manifest" "$scratch/tree"
	./record "$scratch/tree" >"$scratch/again"
	entries "$manifest" >"$scratch/want"
	entries "$scratch/again" | diff "$scratch/want" - | sed 's/^/# /' >"$scratch/diff"
	cat "$scratch/diff"
	test -s "$scratch/want" && ! test -s "$scratch/diff"
	ok $? "$manifest is what record prints of the tree that mktree makes of it"

	dangling=$(find "$scratch/tree" -type l ! -exec test -e {} \; -print)
	test -z "$dangling"
	ok $? "$manifest has no link to nothing"
done

# The first line is always good, so that the number in the message is the second's.
refuses() # ENTRY MESSAGE NAME
{
	rm -rf "$scratch/cage"
	mkdir "$scratch/cage"
	printf 'link -> dir\n%s\n' "$1" >"$scratch/bad"
	./mktree "$scratch/bad" "$scratch/cage/tree" 2>"$scratch/said"
	status=$?
	sed 's/^/# /' "$scratch/said"
	test $status -ne 0 &&
		grep -qF "$scratch/bad:2: $2" "$scratch/said" &&
		test "$(ls "$scratch/cage")" = tree
	ok $? "mktree refuses $3"
}
refuses '../out = x' 'the path leaves the tree' 'a path that begins with ..'
refuses 'a/../../out = x' 'the path leaves the tree' 'a path with .. in it'
refuses '/out = x' 'the path leaves the tree' 'an absolute path'
refuses '\x2e\x2e/out = x' 'the path leaves the tree' 'an escaped ..'
refuses 'a//b = x' 'the path leaves the tree' 'an empty step'
refuses 'a -> /etc' 'the link leaves the tree' 'an absolute link'
refuses 'a/b -> ../../out' 'the link leaves the tree' 'a link above the tree'
refuses 'a/b -> c/../../..' 'the link leaves the tree' 'a link that climbs later'
refuses 'link/a = x' 'link is not a directory' 'a path through a link'
refuses 'link = x' 'link: is in line 1 already' 'a path that is there twice'
refuses 'a = \q' 'unknown escape' 'an unknown escape'
refuses 'a = \x4' 'unknown escape' 'half of a byte'
refuses 'just words' 'not "PATH' 'a line of no form'

# What the kernel's own attributes never hold, but a tree may.
mkdir -p "$scratch/odd/sys/bus/pci/devices" "$scratch/odd/sys/devices/pci0/d" "$scratch/odd/proc"
ln -s ../../../devices/pci0/d "$scratch/odd/sys/bus/pci/devices/0000:00:00.0"
printf 'two\nlines, \\n, a\ttab, \303\251 and \001 ' >"$scratch/odd/sys/devices/pci0/d/modalias"
: >"$scratch/odd/sys/devices/pci0/d/driver_override"
mkdir -p "$scratch/odd/sys/bus/pci/drivers/A driver"
: >"$scratch/odd/sys/bus/pci/drivers/A driver/bind"
printf 'root=UUID=1b9d6bcd-bbfd-4b2d-9b5d-ab8dfb2d3f4e BOOTIF=01-52-54-00-12-34-56 quiet "preclaim.claim=01:00.0 x" preclaim.keep="a b"\n' \
	>"$scratch/odd/proc/cmdline"
./record "$scratch/odd" >"$scratch/manifest"
./mktree "$scratch/manifest" "$scratch/copy" && (
	for file in sys/devices/pci0/d/modalias sys/devices/pci0/d/driver_override "sys/bus/pci/drivers/A driver/bind"; do
		cmp "$scratch/odd/$file" "$scratch/copy/$file" || exit
	done
)
ok $? 'every byte of a file comes back'
! grep -q ' $' "$scratch/manifest"
ok $? 'no line of a manifest ends in a blank'
grep -qxF 'proc/cmdline = quiet "preclaim.claim=01:00.0 x" preclaim.keep="a b"\n' "$scratch/manifest"
ok $? 'of the command line only what matters is recorded, as it was typed'
./record "$scratch/copy" | entries /dev/stdin >"$scratch/again"
entries "$scratch/manifest" | cmp - "$scratch/again"
ok $? 'a recorded tree records the same again'
mkdir "$scratch/empty"
! ./record "$scratch/empty" >"$scratch/out" 2>&1 && grep -q 'no sys/bus/pci/devices' "$scratch/out"
ok $? 'record says where there is no sysfs'

echo "1..$tests"
test $failed -eq 0
