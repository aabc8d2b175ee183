# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The judge: what a case may expect, and whether the report of the boot bears it out.
# Facts come from the kernel only: its log of each probe, and sysfs. To be sourced after
# machine.sh; the sourcing script has fail().
# shellcheck disable=SC2154 # dir is the sourcing script's

: >"$dir/expect"
expect() { (IFS='	' && printf '%s\n' "$*") >>"$dir/expect"; }

# claimed ADDRESS DRIVER: DRIVER has it, and no other driver's probe ever ran on it
claimed() { expect claimed "$(full_address "$1")" "$2"; }
# taken ADDRESS DRIVER FROM [untold]: DRIVER has it; only FROM had it before, and only
# before user space began. untold: the run that took it was killed before it could tell.
taken() { expect taken "$(full_address "$1")" "$2" "$3" "${4:-}"; }
# wrested ADDRESS DRIVER: its host driver's module was being loaded when preclaim came, so it may have
# had it; once preclaim has told of its claim no other driver did. DRIVER "-" is none.
wrested() { expect wrested "$(full_address "$1")" "$2"; }
# caught ADDRESS DRIVER FROM: the device came when FROM was loaded, and the kernel gave it
# to FROM at once; DRIVER has it now, and nothing else had it in between
caught() { expect caught "$(full_address "$1")" "$2" "$3"; }
# gone ADDRESS: no such device is left
gone() { expect gone "$(full_address "$1")"; }
# held ADDRESS [FROM]: no driver has it, none may, and no host's driver did, but for FROM
# before user space began
held() { expect held "$(full_address "$1")" "${2:-}"; }
# free ADDRESS: no driver has it, but any may
free() { expect free "$(full_address "$1")"; }
# host ADDRESS DRIVER: the host's DRIVER has it and is seen to have probed it
host() { expect host "$(full_address "$1")" "$2"; }
# log REGEX, nolog REGEX: of a line of the kernel's log, "<SEVERITY>TEXT"
log() { expect log "$1"; }
nolog() { expect nolog "$1"; }
# loglines COUNT REGEX: so many lines of it
loglines() { expect loglines "$1" "$2"; }
# console REGEX, noconsole REGEX: of a line that the console showed
console() { expect console "$1"; }
noconsole() { expect noconsole "$1"; }
# status REGEX: of a line of /run/preclaim/status
status() { expect status "$1"; }
# printed REGEX: of a line that the guest's commands printed
printed() { expect printed "$1"; }
# holds FILE REGEX COUNT: a disk or whatever else QEMU wrote in $dir has it so often, or more
holds() { expect holds "$1" "$2" "$3"; }

# --- what the report says ----------------------------------------------------

section() { sed -n "/^@@ $1\$/,/^@@ /{/^@@ /!p}" "$dir/report.txt"; }

digest() {
	tr -d '\r' <"$dir/report" >"$dir/report.txt"
	tr -d '\r' <"$dir/console" >"$dir/console.txt"
	section devices >"$dir/found"
	section status >"$dir/status"
	section guest >"$dir/printed"
	# Severity without the facility, which marks lines from user space; no time.
	section log | sed 's/^<\([0-9]*\)>\[ *[0-9.]*\] /\1 /' | awk '{
		severity = $1 % 8; sub(/^[0-9]+ /, ""); print "<" severity ">" $0
	}' >"$dir/log"

	# Who probed what: ADDRESS DRIVER user|kernel, one line for each probe that ran. The
	# kernel starts user space with the line "Run /init as init process".
	awk '
		/>Run \/[^ ]* as init process/ { user = 1 }
		/>lp: \(local_pci_probe/ {
			match($0, /drv="[^"]*"/); drv = substr($0, RSTART + 5, RLENGTH - 6)
			match($0, /dev="[^"]*"/); dev = substr($0, RSTART + 5, RLENGTH - 6)
			print dev, drv, user ? "user" : "kernel"
		}' "$dir/log" >"$dir/probes"

	# The second witness, driver core. Its "probing" comes before the bus has agreed: a
	# driver that the bus then rejects never ran.
	awk '
		/: really_probe: probing driver / {
			match($0, /probing driver [^ ]+/)
			drv = substr($0, RSTART + 15, RLENGTH - 15)
			if (match($0, /with device [^ ]+:[^ ]+/))
				dev = substr($0, RSTART + 12, RLENGTH - 12)
			else {
				match($0, />[^ ]+ [^ ]+: bus:/)
				split(substr($0, RSTART, RLENGTH), word, / /); dev = word[2]
				sub(/:$/, "", dev)
			}
			seen[dev " " drv]++
		}
		/ rejects match -19/ {
			for (pair in seen) { split(pair, p, / /)
				if (index($0, p[1]) && index($0, p[2])) seen[pair]-- }
		}
		END { for (pair in seen) if (seen[pair] > 0) print pair }
	' "$dir/log" >"$dir/core"
}

# --- the verdict -------------------------------------------------------------

# bound ADDRESS DRIVER OVERRIDE KIND: complains if sysfs shows anything else
bound() {
	grep -q "^$1 .* driver=$2 override=$3 " "$dir/found" ||
		fail "$4 $1: not driver=$2 override=$3:" \
			"$(grep "^$1 " "$dir/found" || echo "it is not there")"
}

# others_probed ADDRESS DRIVER [PLACE]: which drivers other than DRIVER did, by either
# witness; PLACE "user" leaves out what ran before user space.
others_probed() {
	{
		grep "^$1 .*${3:-}\$" "$dir/probes"
		[ -n "${3:-}" ] || sed 's/$/ core/' "$dir/core" | grep "^$1 "
	} | grep -v "^$1 $2 " | tr '\n' ';'
}

judge_claimed() {
	others=$(others_probed "$1" "$2")
	[ -z "$others" ] || fail "claimed $1: another driver's probe ran: $others"
	grep -q "^$1 $2 " "$dir/probes" || fail "claimed $1: $2's probe was not seen"
	bound "$1" "$2" "$2" claimed
}
judge_taken() {
	others=$(others_probed "$1" "$2" user)
	[ -z "$others" ] || fail "taken $1: another driver's probe ran in user space's time: $others"
	grep -q "^$1 $3 kernel\$" "$dir/probes" || fail "taken $1: $3's probe was not seen before user space"
	grep -q "^$1 $2 user\$" "$dir/probes" || fail "taken $1: $2's probe was not seen"
	bound "$1" "$2" "$2" taken
	[ "$4" = untold ] || grep -E "^<[0-7]>preclaim: $1 " "$dir/log" | grep -q "taken from $3" ||
		fail "taken $1: preclaim's log does not say: taken from $3"
}
judge_caught() {
	probed=$(sed -n "s/^$1 \([^ ]*\) .*/\1/p" "$dir/probes" | tr '\n' ' ')
	[ "$probed" = "$3 $2 " ] || fail "caught $1: the probes that ran are not $3 and then $2: $probed"
	bound "$1" "$2" "$2" caught
	grep -E "^<[0-7]>preclaim: $1 " "$dir/log" | grep -q "taken from $3" ||
		fail "caught $1: preclaim's log does not say: taken from $3"
}
judge_gone() {
	! grep -q "^$1 " "$dir/found" || fail "gone $1: it is still there"
}
judge_wrested() {
	override=$2
	[ "$2" != - ] || override=none
	others=$(awk -v address="$1" -v driver="$2" '
		index($0, "preclaim: " address " ") && /: claimed/ { ours = 1 }
		ours && /lp: \(local_pci_probe/ && index($0, "dev=\"" address "\"") && !index($0, "drv=\"" driver "\"")
	' "$dir/log")
	[ -z "$others" ] || fail "wrested $1: another driver's probe ran later: $others"
	grep -Eq "^<6>preclaim: $1 .*: claimed" "$dir/log" || fail "wrested $1: preclaim does not tell of it"
	bound "$1" "$2" "$override" wrested
}
judge_held() {
	override=$(sed -n "s/^$1 .* override=\([^ ]*\) .*/\1/p" "$dir/found")
	others=$(others_probed "$1" "$override" "${2:+user}")
	[ -z "$others" ] || fail "held $1: a driver's probe ran: $others"
	bound "$1" - '[^-].*' held
}
judge_free() { bound "$1" - - free; }
judge_host() {
	grep -q "^$1 $2 " "$dir/probes" || fail "host $1: $2's probe was not seen"
	bound "$1" "$2" - host
}

has_line() { grep -Eq -e "$2" "$dir/$1"; }
judge_log() { has_line log "$1" || fail "log: no line matches: $1"; }
judge_nolog() { ! has_line log "$1" || fail "log: a line matches: $1"; }
judge_loglines() {
	count=$(grep -Ec -e "$2" "$dir/log") || :
	[ "$count" = "$1" ] || fail "log: $count lines, not $1, match: $2"
}
judge_console() { has_line console.txt "$1" || fail "console: no line matches: $1"; }
judge_noconsole() { ! has_line console.txt "$1" || fail "console: a line matches: $1"; }
judge_status() { has_line status "$1" || fail "status: no line matches: $1"; }
judge_printed() { has_line printed "$1" || fail "printed: no line matches: $1"; }
judge_holds() {
	count=$(grep -Eao -e "$2" "$dir/$1" | wc -l)
	[ "$count" -ge "$3" ] || fail "holds $1: only $count times, not $3: $2"
}

# What holds for every boot, then what this case expects of its own.
judge() {
	digest
	[ "$(tail -n 1 "$dir/report.txt")" = '@@ end' ] || fail "the report is cut off"
	grep -q '^<[0-7]>Linux version' "$dir/log" || fail "the kernel's log is cut off at its start"
	grep -q 'reboot: Power down' "$dir/console.txt" || fail "the guest did not power off by itself"
	[ -s "$dir/found" ] || fail "sysfs showed no device"
	[ -s "$dir/probes" ] || fail "the kprobe saw nothing: this boot proves nothing"
	[ -s "$dir/core" ] || fail "driver core logged nothing: this boot proves nothing"
	! grep -Eq 'BUG:|Oops|Kernel panic' "$dir/log" || fail "the kernel is unwell"
	awk '$1 == "title" && FNR > 1 && expects == 0 { exit 1 }
		{ expects = $1 == "title" ? 0 : expects + 1 }
		END { exit expects == 0 }' "$dir/expect" || fail "there is a title without an expectation"
	while IFS='	' read -r kind one two three four; do
		"judge_$kind" "$one" "$two" "$three" "$four"
	done <"$dir/expect"
}
