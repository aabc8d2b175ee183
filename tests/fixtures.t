#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What the golden tests stand on: record, mktree, and how golden.t reads and judges a case.

# shellcheck source-path=SCRIPTDIR source=points.sh
. "$(dirname "$0")/points.sh"

cd tests || exit

entries() # FILE
{
	grep -v -e '^#' -e '^$' "$1"
}

for manifest in machines/*.manifest; do
	rm -rf "$scratch/tree"
	./mktree "$manifest" "$scratch/tree"
	./record "$scratch/tree" >"$scratch/again"
	entries "$manifest" >"$scratch/want"
	entries "$scratch/again" | diff "$scratch/want" - >"$scratch/err" && test -s "$scratch/want"
	ok "$manifest is what record prints of the tree that mktree makes of it"

	find "$scratch/tree" -xtype l >"$scratch/err" && ! test -s "$scratch/err"
	ok "$manifest has no link to nothing"
done

# The first line is always good, so that the number in the message is the second's.
refuses() # ENTRY MESSAGE NAME
{
	rm -rf "$scratch/cage"
	mkdir "$scratch/cage"
	printf 'link -> dir\n%s\n' "$1" >"$scratch/bad"
	./mktree "$scratch/bad" "$scratch/cage/tree" 2>"$scratch/err"
	test $? -ne 0 &&
		grep -qF "$scratch/bad:2: $2" "$scratch/err" &&
		test "$(ls "$scratch/cage")" = tree
	ok "mktree refuses $3"
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
(
	./mktree "$scratch/manifest" "$scratch/copy" || exit
	for file in sys/devices/pci0/d/modalias sys/devices/pci0/d/driver_override "sys/bus/pci/drivers/A driver/bind"; do
		cmp "$scratch/odd/$file" "$scratch/copy/$file" || exit
	done
)
ok 'every byte of a file comes back'
test -s "$scratch/manifest" && ! grep -q ' $' "$scratch/manifest"
ok 'no line of a manifest ends in a blank'
grep -qxF 'proc/cmdline = quiet "preclaim.claim=01:00.0 x" preclaim.keep="a b"\n' "$scratch/manifest"
ok 'of the command line only what matters is recorded, as it was typed'
./record "$scratch/copy" | entries /dev/stdin >"$scratch/again"
entries "$scratch/manifest" | cmp - "$scratch/again"
ok 'a recorded tree records the same again'
mkdir "$scratch/empty"
! ./record "$scratch/empty" >"$scratch/out" 2>&1 && grep -q 'no sys/bus/pci/devices' "$scratch/out"
ok 'record says where there is no sysfs'

# script NAME TEXT: a stand-in for preclaim, which is run in the tree
script()
{
	printf '#!/bin/sh\n%s\n' "$2" >"$scratch/$1"
	chmod 755 "$scratch/$1"
}

# ill NAME LINE MESSAGE TEXT
ill()
{
	printf '%b' "$4" >"$scratch/plan/$1"
	printf '%s\n' "# $scratch/plan/$1:$2: $3" >>"$scratch/messages"
}
mkdir "$scratch/plan"
ill with-a-part-that-is-none 1 'there is no such part: conf' '== conf\n== exit 0\n'
ill with-a-part-twice 3 '/a is there twice' '== /a\n== /b\n== /a\n== exit 0\n'
ill with-two-ends 2 'exit is there twice' '== exit 0\n== exit 1\n'
ill of-a-machine-that-is-not-there 1 'there is no such machine: gone' 'machine gone\n== exit 0\n'
ill without-an-end 2 'no "exit STATUS" at the end' '== stdout\nx\n'
ill with-input-below-what-comes-out 3 '/a comes too late' '== stdout\nx\n== /a\n== exit 0\n'
ill with-lines-before-its-parts 1 'belongs to no part: claim' 'claim\n== exit 0\n'
ill with-lines-behind-its-end 2 'belongs to no part: x' '== exit 0\nx\n'
ill that-is-cut-short 2 'the line has no end' '== stdout\nx'
ill with-an-escape-that-is-none 1 'unknown escape "\q"' '== /a (escaped)\n\\q\n== exit 0\n'
ill with-an-ill-formed-tree 3 'not "PATH = VALUE", "PATH -> TARGET" or "PATH/": words' '== tree\na = b\nwords\n== exit 0\n'
ill without-a-path-that-never-was 2 'gone: No such file or directory' '== without\ngone\n== exit 0\n'
ill with-a-file-outside 1 'the path leaves the tree: ../a' '== /../a\n== exit 0\n'
script quiet :
PRECLAIM_BINARIES=$scratch/quiet ./golden.t "$scratch"/plan/* >"$scratch/said"
while IFS= read -r message; do
	grep -qxF -- "$message" "$scratch/said"
	ok "golden.t refuses a case $(basename "${message%%:*}" | tr - ' ')"
done <"$scratch/messages"
test "$(grep -c '^not ok ' "$scratch/said")" = "$(wc -l <"$scratch/messages")" && ! grep '^ok ' "$scratch/said"
ok 'none of those cases is run'

mkdir "$scratch/show"
script prints "cp etc/preclaim.conf '$scratch/read' && cat etc/preclaim.conf && echo said >&2; exit 2"
cat >"$scratch/show/bytes" <<'END'
== /etc/preclaim.conf (escaped)
\x3d= exit 0
a \\ and\x00\x0d
\x3d= the last\
END
{
	cat "$scratch/show/bytes"
	sed 's/^== .*conf/== stdout/' "$scratch/show/bytes"
	printf '== stderr\nsaid\n== exit 2\n'
} >"$scratch/whole"
PRECLAIM_BINARIES=$scratch/prints ./golden.t --bless "$scratch/show/bytes" >"$scratch/said" &&
	printf '== exit 0\na \\ and\000\r\n== the last' | cmp - "$scratch/read" && cmp "$scratch/whole" "$scratch/show/bytes"
ok 'golden.t keeps every byte of a case, and --bless writes what comes out below'
PRECLAIM_BINARIES=$scratch/prints ./golden.t "$scratch/show/bytes" >"$scratch/said"
ok 'a case that was blessed passes'
sed 's/^said$/told/' "$scratch/whole" >"$scratch/show/bytes"
! PRECLAIM_BINARIES=$scratch/prints ./golden.t "$scratch/show/bytes" >"$scratch/said" &&
	grep -qx '# -told' "$scratch/said" && grep -qx '# +said' "$scratch/said"
ok 'a case fails where something else is printed, and shows it'

# tampers NAME COMMAND MESSAGE
tampers()
{
	script "$1" "$2"
	printf '%s\n' "$1 $3" >>"$scratch/tampered"
	binaries="$binaries $scratch/$1"
}
binaries=$scratch/quiet
device=sys/bus/pci/devices/0000:01:00.0
printf '%s\n' 'machine desktop-one-gpu' '== /etc/preclaim.conf' '== arguments' list '== exit 0' >"$scratch/show/nothing-changes"
tampers 'changes-bytes' "echo '(NULL)' >$device/driver_override" '/sys/devices/.*/0000:01:00.0/driver_override: '
tampers 'adds-a-file' ': >etc/new' '/etc/new: is new'
tampers 'removes-a-link' "rm $device" "/$device: .* is nothing"
tampers 'changes-a-mode' 'chmod 600 etc/preclaim.conf' '/etc/preclaim.conf: '
tampers 'replaces-a-link' "ln -sfn elsewhere $device" "/$device: "
PRECLAIM_BINARIES=$binaries ./golden.t "$scratch/show/nothing-changes" >"$scratch/said"
grep -qx "ok 1 - show: nothing changes ($scratch/quiet)" "$scratch/said" && test "$(grep -c '^ok ' "$scratch/said")" = 1
ok 'a run that changes nothing passes, and no other'
while read -r name change; do
	# the reasons stand below the point
	sed -n "\\|^not ok .*/$name)\$|,/^[on1]/p" "$scratch/said" | grep -q "^# $change"
	ok "golden.t sees a run that $(echo "$name" | tr - ' ')"
done <"$scratch/tampered"

end
