#!/usr/bin/perl
# SPDX-License-Identifier: GPL-2.0-or-later
#
# needs.t: a fresh Debian 12 with git and make is enough. The table at the end has each command
# and Perl module that scripts use on this machine, with its package; and each target of the
# Makefile that installs packages installs those of all the scripts that it comes to. For the
# quick tests CONTRIBUTING.md names them.

use strict;
use warnings;

chdir(($0 =~ m{^(.*)/})[0] . '/..') or die "cannot go to the top: $!\n";
my $tests = 0;
my $failed = 0;

sub ok {
    my ($good, $name, @why) = @_;
    $tests++;
    $failed++ unless $good;
    print $good ? 'ok' : 'not ok', " $tests - $name\n";
    print map { "# $_\n" } @why unless $good;
}

sub slurp {
    my ($file) = @_;
    open my $in, '<', $file or die "$file: $!\n";
    local $/;
    return <$in>;
}

# --- the commands in a shell script ------------------------------------------
my %builtin = map { $_ => 1 } qw(. [ break case cd command continue done echo esac eval exec exit export false fi for
    kill printf pwd read readonly return set shift test trap true umask unset wait);
my %leads = map { $_ => 1 } qw(if then elif else while until do ! {);                         # a command follows
my %runs = map { $_ => 1 } qw(as_root command env exec setsid sudo timeout unshare xargs);    # its argument is one
my (%function, @found);

# A word at this place in $_, as it is written; commands in $(...) in it are found.
sub word {
    my $from = pos;
    my $quoted = 0;
    while (1) {
        if (/\G\$\(\(.*?\)\)/gcs || /\G\$\{[^}]*\}/gc || /\G\\./gcs) {
        } elsif (/\G\$\(/gc) {
            script();
        } elsif (/\G"/gc) {
            $quoted = !$quoted;
        } elsif ($quoted ? !/\G(?:[^"\\\$]+|\$)/gc : !/\G(?:[^\s;&|()<>"'\\\$]+|'[^']*'|\$)/gc) {
            return substr $_, $from, pos() - $from;
        }
    }
}

# The rest of $_, or up to the ")" that ends it.
sub script {
    my (@heredocs, $case);
    my $next = 'command';    # or an 'argument'; of one that runs a 'program' or, being a shell, a 'text'
    while (pos() < length) {
        if (/\G(?:[ \t]+|\\\n|#.*)/gc) {
        } elsif (/\G\n/gc) {
            while (my $end = shift @heredocs) { /\G.*?^\t*\Q$end\E$/gcms }
            $next = 'command';
        } elsif (/\G<<-?\s*["']?(\w+)["']?/gc) {
            push @heredocs, $1;
        } elsif (/\G[0-9]*(?:[<>]&|>>|<>|[<>])[ \t]*/gc) {
            word();
        } elsif (/\G;;(?:\s|#.*)*/gc) {
            /\G(?!esac\b)(?:"[^"]*"|'[^']*'|[^()"'])*\)/gc;    # the next pattern
            $next = 'command';
        } elsif (/\G\)/gc) {
            return;
        } elsif (/\G(?:([;&|])|\()/gc) {
            script() if !$1;
            $next = 'command';
        } elsif ((my $word = word()) eq '') {
            die 'cannot read this: ', substr($_, pos, 40), "\n";
        } elsif ($next eq 'text') {
            whole(substr $word, 1, -1) if $word =~ /^'/;
            $next = 'argument' if $word !~ /^-/;
        } elsif ($word eq 'in' && $case) {
            /\G(?:\s|#.*)*(?:"[^"]*"|'[^']*'|[^()"'])*\)/gc;
            ($next, $case) = ('command', 0);
        } elsif ($next eq 'argument' || $next eq 'program' && $word =~ /^[-\dA-Z]/ || $word =~ /^\w+=/ || $leads{$word}) {
        } elsif (/\G\(\)/gc) {
            $function{$word} = 1;
        } else {
            push @found, $word if $word =~ /^[a-z\[.][\w.+-]*$/;
            $case = $word eq 'case';
            $next = $word =~ /^(?:ba)?sh$/ ? 'text' : $runs{$word} ? 'program' : 'argument';
        }
    }
}

sub whole {
    local ($_) = @_;
    pos = 0;
    script() while pos() < length;
}

# --- the scripts -------------------------------------------------------------
my (%text, %commands);

# Those that run here, not in an image, a guest or another system
for my $file (split /\n/, qx(tests/files)) {
    next if $file =~ m{^(?:hook|scripts)/|^debian/preclaim|^test-qemu/(?:initramfs|dracut|system)/|^test-qemu/installed|^tests/bench/\w+\.sh};
    my $text = slurp($file);
    if ($text =~ m{^#!/usr/bin/perl}) {
        $text =~ s/^__DATA__.*//ms;
        $commands{$file} = [grep { defined } 'perl', $text =~ /^use ([A-Z][\w:]*)|\bqx\W(?:cd \S+ && )?(\w[\w-]*) |\bsystem\W+?'([\w-]+)/mg];
    } elsif ($text =~ m{^(?:#!/bin/sh|# shellcheck shell=sh)}) {
        @found = ();
        whole($text);
        $commands{$file} = [@found];
    } else {
        next;
    }
    $text{$file} = $text;
}

# What a target of the Makefile runs: its recipe, and those of what it needs and has made
my $makefile = slurp('Makefile') =~ s/\\\n/ /gr;
my %variable = $makefile =~ /^(\w+) \??= (.*)/mg;

sub recipe {
    my ($target, $seen) = @_;
    return '' if $seen->{$target}++ || $makefile !~ /^\Q$target\E:([^#\n]*).*\n((?:\t.*\n)*)/m;
    my ($needs, $lines) = ($1, $2);
    for ($needs, $lines) {
        1 while s/\$\((?!MAKE\))(\w+)\)/$variable{$1} \/\/ ''/ge;
    }
    my @made = map { split } $lines =~ /\$\(MAKE\)(.*)/g;
    return join '', $lines, map { recipe($_, $seen) } split(' ', $needs), @made;
}

# reached TEXT SET: adds the scripts that it names to the set, and those that they name. What
# tests/exec runs is named elsewhere.
sub reached {
    my ($text, $set) = @_;
    for my $file (grep { !$set->{$_} } sort keys %text) {
        my ($folder, $name) = $file =~ m{((?:[^/]+/)?[^/]+)/([^/]+)$} or next;
        next if $text !~ m{\b\Q$folder\E/(?:\*|\$\w+")|(?:\b\Q$folder\E|\$0"\))/\Q$name\E(?![\w.-])};
        $set->{$file} = 1;
        reached($text{$file}, $set) if $file ne 'tests/exec';
    }
}

# --- the table ---------------------------------------------------------------
my (%package, %there);
for (grep { /^[^#\n]/ } <DATA>) {
    my ($package, @commands) = split;
    $there{$package} = 1 if $package =~ s/^\*//;
    $package{$_} = $package for @commands;
}

my %unknown;
for my $file (keys %commands) {
    $unknown{"$_, in $file"} = 1 for grep { !$builtin{$_} && !$function{$_} && !$package{$_} && !-e "tests/$_.pm" } @{$commands{$file}};
}
ok(%commands && !%unknown, 'each command has a package', sort keys %unknown);
my $all = join "\n", $makefile, values %text;
my @unused = grep { $all !~ /\b\Q$_\E\b/ } sort keys %package;
ok(!@unused, 'nothing else has one', @unused);

sub installs {
    return map { split } join("\n", @_) =~ /tests\/packages"?((?:[ \t]+[\w.+-]+|[ \t]*\\\n)+)/g;
}

for my $target ('check', $makefile =~ /^([\w-]+):.*\n\t.*tests\/packages/mg) {
    my $recipe = recipe($target, {});
    reached($recipe, \my %reached);
    my %first = map { $_ => 1 } installs($recipe, $target eq 'check' ? slurp('CONTRIBUTING.md') : ());
    my %all = (%first, map { $_ => 1 } installs(@text{sort keys %reached}));
    my %lacking;
    for my $file (sort keys %reached) {
        # Tests may run before test-qemu/setup has ended.
        my $installed = $file =~ /^tests/ ? \%first : \%all;
        $lacking{"$package{$_}, for $_ in $file"} = 1
            for grep { $package{$_} && !$there{$package{$_}} && !$installed->{$package{$_}} } @{$commands{$file}};
    }
    ok(%reached && !%lacking, "make $target: what its scripts need is installed", sort keys %lacking);
}
print "1..$tests\n";
exit($failed ? 1 : 0);

# A "*": in every Debian 12 that has git and make, or where apt and sudo are
__DATA__
*apt apt-config apt-get
*bash bash
*bsdutils script
*coreutils basename cat chmod chown chroot cp cut date df dirname env expand head id install ln ls mkdir mkfifo mktemp mv od
*coreutils readlink realpath rm rmdir seq sleep sort stat tail tee timeout touch tr truncate uname uniq wc
*dash dash sh
*diffutils cmp diff
*dpkg dpkg dpkg-deb dpkg-query
*findutils find xargs
*git git
*grep grep
*gzip gzip
*libc-bin ldd
*make make
*mawk awk
*perl-base perl Cwd File::Basename File::Temp IO::Handle List::Util POSIX
*sed sed
*sudo sudo
*tar tar
*util-linux flock setpriv setsid unshare
binutils as ld readelf size
clang clang
clang-tidy clang-tidy
cppcheck cppcheck
cpio cpio
e2fsprogs debugfs mke2fs
fish fish
gcc gcc
gcovr gcovr
groff-base groff
jq jq
kmod depmod
libklibc-dev klcc
lz4 lz4
mmdebstrap mmdebstrap
mount mount umount
musl-tools musl-
perl prove JSON::PP TAP::Harness Time::HiRes
qemu-user-static qemu-aarch64-static
shellcheck shellcheck
strace strace
valgrind valgrind
xz-utils xz
zsh zsh
zstd zstd
