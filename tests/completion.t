#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What bash, zsh and fish complete on a command line that begins with preclaim, asked of
# each of these shells, on a recorded machine.

# shellcheck source-path=SCRIPTDIR source=points.sh
. "$(dirname "$0")/points.sh"

cd "$scratch" || exit
export HOME="$scratch" XDG_CONFIG_HOME="$scratch" PATH="$top/build:$PATH" LC_ALL=C TERM=dumb

mkdir root
"$top/tests/mktree" "$top/tests/machines/desktop-one-gpu.manifest" root || exit
cat >names <<'END'
run/udev/data/+pci:0000:01:00.0 = E:ID_VENDOR_FROM_DATABASE=NVIDIA Corporation\nE:ID_MODEL_FROM_DATABASE=TU104\n
sys/devices/pci0000:00/0000:00:1f.3/driver_override = vfio-pci\n
END
"$top/tests/mktree" names root || exit
echo text >a-file

# What each shell offers for a line: words with what they are, as that shell shows them.
in_bash() {
	# shellcheck disable=SC2016 # for that shell
	LINE=$1 bash --norc -c '
		. "$0"
		compopt() { :; }
		COMP_LINE=$LINE COMP_POINT=${#LINE} COMP_TYPE=${TYPE:-63}
		read -ra COMP_WORDS <<<"$LINE"
		_preclaim
		printf "%s\n" "${COMPREPLY[@]}"' "$top/conf/completion/preclaim"
}
in_fish() {
	fish --no-config -c "source '$top/conf/completion/preclaim.fish'; complete -C '$1'"
}
# A zsh on a terminal of its own is asked for its list, until that has been there for a while.
in_zsh() {
	# shellcheck disable=SC2016 # for that shell
	LINE=$1 TOP=$top timeout 60 zsh -f -c '
		zmodload zsh/zpty zsh/zselect
		read_until_quiet() {
			local l quiet=0
			while (( quiet < ($1) )); do
				if zpty -rt z l; then
					out+=$l quiet=0
				else
					zselect -t 10
					(( ++quiet ))
				fi
			done
		}
		zpty z zsh -f -i
		zpty -w z "PS1=; unset zle_bracketed_paste; fpath=($TOP/conf/completion \$fpath); autoload -Uz compinit; compinit -u -D
			setopt no_beep no_always_last_prompt; bindkey \"^I\" list-choices; LISTMAX=1000; COLUMNS=200; print REA\"\"DY"
		until [[ $out == *READY* ]]; do
			zpty -r z l && out+=$l
		done
		out=
		zpty -n -w z "$LINE"$'\''\t'\''
		until [[ $out == *$'\''\n'\''* ]] || (( ++tries > 100 )); do
			read_until_quiet 1
		done
		read_until_quiet 5
		print -r -- "$out"' | tr -d '\r' | tr -s ' '
}

# offers SHELL LINE WANTED UNWANTED SENTENCE: patterns for grep -E
offers() {
	"in_$1" "$2" >err 2>&1
	grep -qE -- "$3" err && ! grep -qE -- "$4" err
	ok "$1: $5"
}

gpu='01:00\.0.*NVIDIA Corporation TU104'
for shell in bash zsh fish; do
	offers $shell 'preclaim ' '^release\b.*give devices back' 'vfio|0000:' 'commands, with what they do'
	offers $shell 'preclaim st' 'status' '^(claim|list)' 'the rest of a command'
	offers $shell 'preclaim check --' '--image' '--force|--wait' 'the options of a command, and no others'
	offers $shell 'preclaim apply --' '--wait' '--force|--json' 'and those of another'
	offers $shell 'preclaim --root root apply 0000:01' "$gpu" '02:00|8086' 'addresses, with names'
	offers $shell 'preclaim --root root release ' '1f\.3' '01:00\.0' 'for release only what has an override'
	offers $shell 'preclaim --root root claim 0000:01' "$gpu" '8086' 'addresses for claim'
	offers $shell 'preclaim --root root claim 10de' '1e07.*NVIDIA|1ad6' '8086' 'ids, with names'
	offers $shell 'preclaim --root root claim group@0000:0' '02:00\.0' '8086' 'addresses behind group@'
	offers $shell 'preclaim --root root claim driver=a' 'auto' '0000' 'drivers'
	offers $shell 'preclaim import a-' 'a-file' '0000' 'files for import'
done

TYPE=9 offers bash 'preclaim --root root claim 0000:01:00.0' '^00\.0$' 'NVIDIA' 'a single match is completed without its name'
TYPE=37 offers bash 'preclaim --root root claim 0000:01' '^01:00\.0$' 'NVIDIA' 'and so are those that are put in by turns'

# Options and commands, as the usage text has them
preclaim --help >usage
grep -oE '^  .{0,6}--[a-z-]+|import --[a-z-]+|apply --[a-z-]+|\[--[a-z]+' usage | grep -oE '[a-z][a-z-]+$' >options
sed -n 's/^  \([a-z][a-z]*\)\b.*/\1/p' usage >commands
for shell in bash zsh fish; do
	case $shell in
	bash) file=preclaim ;;
	zsh) file=_preclaim ;;
	fish) file=preclaim.fish ;;
	esac
	{
		while read -r option; do
			grep -qE -- "(--|-l )$option\b" "$top/conf/completion/$file" || echo "missing: $option"
		done <options
		while read -r command; do
			grep -qw "$command" "$top/conf/completion/$file" || echo "missing: $command"
		done <commands
	} >err
	[ "$(wc -l <options)" -ge 10 ] && [ "$(wc -l <commands)" -ge 6 ] && [ ! -s err ]
	ok "$shell: each command and option that there is"
done
end
