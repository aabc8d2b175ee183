#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What README.md and docs/ tell the user to type: the rules can be parsed, preclaim import
# makes the new lines from the old ones, and jq prints what is promised. All of it is taken
# from the texts themselves.

# shellcheck disable=SC2016 # the backquotes are Markdown's

# shellcheck source-path=SCRIPTDIR source=points.sh
. "$(dirname "$0")/points.sh"

export PATH="$top/build:$PATH"

# plant MACHINE RULE...: a machine in $scratch/root
plant() {
	rm -rf "$scratch/root"
	tests/mktree "tests/machines/$1.manifest" "$scratch/root" || exit
	mkdir -p "$scratch/root/etc"
	shift
	printf '%s\n' "$@" >"$scratch/root/etc/preclaim.conf"
}

# --- jq ----------------------------------------------------------------------
sed -n '/^```sh$/,/^```$/p' docs/proxmox.md | sed '/^```/d' >"$scratch/hostpci"
preclaim_on_root() {
	(
		# shellcheck disable=SC2317 # by the text that is sourced
		preclaim() { command preclaim --root "$scratch/root" "$@"; }
		# shellcheck source=/dev/null
		. "$scratch/hostpci"
	) 2>"$scratch/err"
}
# promised FIRST LAST: the lines so numbered among those that the text promises
promised() {
	sed -n 's/^    \(hostpci[0-9]*: .*\)/\1/p' docs/proxmox.md | sed -n "$1,$2p" >"$scratch/promised"
	diff "$scratch/promised" "$scratch/printed" >>"$scratch/err"
}
plant desktop-two-gpus 'claim 08:00'
preclaim_on_root >"$scratch/printed" && promised 1 1
ok 'the lines for a guest: a whole slot'
plant server-sriov 'claim vf0-1@05:00.0'
preclaim_on_root >"$scratch/printed" && promised 2 3
ok 'the lines for a guest: VFs'
plant desktop-one-gpu 'claim 01:00' 'keep 01:00.1'
preclaim_on_root >"$scratch/printed" && [ "$(grep -c '^hostpci[0-2]: 0000:01:00\.[023],pcie=1$' "$scratch/printed")" = 3 ]
ok 'the lines for a guest: functions, where one is kept'

# --- the table of old lines and new rules ------------------------------------
# | from | `old line` | `new rule` |
grep -E '^\| .*\| `.*` \| `.*` \|$' README.md | sed -n '/^| from/d; s/\\|/!/g; p' |
	sed 's/^| *\([^|]*\) | `\(.*\)` | `\(.*\)` |$/\1\t\2\t\3/; s/!/|/g' >"$scratch/table"
while IFS='	' read -r from old new; do
	case $from in
	*command\ line*) command preclaim import --from-cmdline --cmdline "$old" ;;
	*driverctl*)
		file=$scratch/${old%%:\ *}
		mkdir -p "${file%/*}"
		echo "${old##*: }" >"$file"
		command preclaim import "$file"
		;;
	*)
		echo "$old" >"$scratch/old"
		command preclaim import "$scratch/old"
		;;
	esac >"$scratch/err" 2>&1
	sed -n 's/ # .*//p' "$scratch/err" | grep -v '^#' | tr '\n' ';' | sed 's/;$//; s/;/; /g' | grep -qxF -- "$new"
	ok "import: $old"
done <"$scratch/table"
[ "$(wc -l <"$scratch/table")" -ge 8 ]
ok 'the table is there'

# --- rules -------------------------------------------------------------------
# rules FILE: each line of FILE's code blocks that is a rule
plant none
for file in README.md docs/*.md; do
	sed -n 's/^    \(\(claim\|keep\|vfs\|timeout\|on-failure\|group\) .*\)/\1/p' "$file" | grep -v ^group@ >"$scratch/rules"
	[ -s "$scratch/rules" ] && {
		preclaim check --image --root "$scratch/root" --config "$scratch/rules" >/dev/null 2>"$scratch/err"
		[ $? -lt 2 ]
	}
	ok "$file: each rule can be parsed"
done
params=$(grep -ohE 'preclaim\.[a-z-]+=[^` ]+' README.md docs/*.md | grep -v '…' | tr '\n' ' ')
[ "$(echo "$params" | wc -w)" -ge 3 ] && {
	preclaim check --image --root "$scratch/root" --cmdline "$params" >/dev/null 2>"$scratch/err"
	[ $? -lt 2 ]
}
ok 'so can each parameter'

# --- commands and files ------------------------------------------------------
grep -ohE '\]\([A-Za-z0-9_./-]+\)' README.md CONTRIBUTING.md RELEASING.md SECURITY.md | tr -d '])(' | sort -u >"$scratch/links"
while read -r file; do [ -e "$file" ] || echo "$file"; done <"$scratch/links" >"$scratch/err"
[ "$(wc -l <"$scratch/links")" -ge 5 ] && [ ! -s "$scratch/err" ]
ok 'each file that is linked is there'
cat README.md CONTRIBUTING.md RELEASING.md docs/*.md | grep -oE '(^    |&& |`)make [a-z-]+' | sed 's/.*make //' | sort -u >"$scratch/targets"
while read -r target; do
	grep -qE "^$target:" Makefile || echo "$target"
done <"$scratch/targets" >"$scratch/err"
[ "$(wc -l <"$scratch/targets")" -ge 10 ] && [ ! -s "$scratch/err" ]
ok 'each target of make that is named is there'
end
