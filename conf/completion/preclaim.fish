# SPDX-License-Identifier: GPL-2.0-or-later

# "preclaim" as it is being typed, with its --root.
function __preclaim_list
    set -l words (commandline -opc)
    set -l root
    set -l at (contains -i -- --root $words)
    and set root --root $words[(math $at + 1)]
    $words[1] $root list 2>/dev/null
end

# The devices, with their names; with "held" those that a driver was set for.
function __preclaim_devices
    __preclaim_list | awk -F '\t' -v held="$argv[1]" '
        NR > 1 && (held == "" || $5 != "-") { print $2 "\t" ($10 == "-" ? $9 : $10) }'
end

function __preclaim_selectors
    switch (commandline -ct)
        case 'driver=*'
            printf 'driver=%s\n' none auto
            for driver in /sys/bus/pci/drivers/*
                printf 'driver=%s\n' (basename $driver)
            end
        case 'group@*' 'vf*@*'
            set -l what (string replace -r '@.*' '@' -- (commandline -ct))
            __preclaim_devices | string replace -r '^' $what
        case '*'
            __preclaim_devices
            __preclaim_list | awk -F '\t' 'NR > 1 && !seen[$3]++ { print $3 "\t" ($10 == "-" ? $9 : $10) }'
            printf '%s\n' class=\tclass group@\t'IOMMU group' vf@\t'VFs of a PF' driver=\t'another driver'
    end
end

set -l commands apply check list status claim release import
set -l none "not __fish_seen_subcommand_from $commands"

complete -c preclaim -f
complete -c preclaim -n $none -a apply -d 'do what the rules say'
complete -c preclaim -n $none -a check -d 'show what apply would do'
complete -c preclaim -n $none -a list -d 'the devices by IOMMU group'
complete -c preclaim -n $none -a status -d 'what the rules want, what happened, and what holds now'
complete -c preclaim -n $none -a claim -d 'claim devices now'
complete -c preclaim -n $none -a release -d 'give devices back to the host'
complete -c preclaim -n $none -a import -d "rules for what other tools' files say"
complete -c preclaim -n $none -s V -l version -d 'print the version'
complete -c preclaim -n $none -s h -l help -d 'print the usage'

complete -c preclaim -l root -x -a '(__fish_complete_directories)' -d 'take DIR for /'
complete -c preclaim -n 'not __fish_seen_subcommand_from claim release import' -l config -r -F -d 'rules from FILE'
complete -c preclaim -n 'not __fish_seen_subcommand_from claim release' -l cmdline -x -d 'rules from STRING'
complete -c preclaim -n 'not __fish_seen_subcommand_from import' -s q -l quiet -d 'tell only warnings and errors'
complete -c preclaim -n 'not __fish_seen_subcommand_from import' -s v -l verbose -d 'tell more'

complete -c preclaim -n '__fish_seen_subcommand_from apply claim release' -s n -l dry-run -d 'print the plan and change nothing'
complete -c preclaim -n '__fish_seen_subcommand_from check list status' -l json -d 'one JSON document'
complete -c preclaim -n '__fish_seen_subcommand_from claim release' -l force -d 'also what is in use'
complete -c preclaim -n '__fish_seen_subcommand_from apply' -l wait -d 'first wait until all is there'
complete -c preclaim -n '__fish_seen_subcommand_from apply' -l boot -d 'go by what this boot began with'
complete -c preclaim -n '__fish_seen_subcommand_from check' -l image -d 'the rules as an image gets them'
complete -c preclaim -n '__fish_seen_subcommand_from import' -l from-cmdline -d 'what the kernel command line says'
complete -c preclaim -n '__fish_seen_subcommand_from import' -F

complete -c preclaim -n '__fish_seen_subcommand_from apply' -a '(__preclaim_devices)'
complete -c preclaim -n '__fish_seen_subcommand_from claim' -a '(__preclaim_selectors)'
complete -c preclaim -n '__fish_seen_subcommand_from release' -a '(__preclaim_devices held)'
