#!/usr/bin/perl
# SPDX-License-Identifier: GPL-2.0-or-later
#
# man.t: what the manual pages say of options, commands, rules and messages is what the
# program and its scripts have, and nothing is missing in them.

use strict;
use warnings;
use Cwd 'abs_path';
use File::Basename 'dirname';
use File::Temp 'tempdir';

my $top = abs_path(dirname($0) . '/..');
my $scratch = tempdir(CLEANUP => 1);
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

# A page's words without its macros and fonts, one blank between them.
sub words {
    my ($page) = @_;
    my $text = '';
    for my $line (split /\n/, $page) {
        next if $line =~ /^\.\\"/;
        # between the arguments of a macro that changes fonts there is no blank
        if ($line =~ s/^\.(BR|RB|IR|RI|BI|IB) //) {
            my @arguments = $line =~ /"((?:[^"\\]|\\.)*)"|(\S+)/g;
            $line = join '', grep { defined } @arguments;
        } else {
            $line =~ s/^\.[A-Z]+ ?//;
        }
        $text .= "$line ";
    }
    $text =~ s/\\\(dq/"/g;
    $text =~ s/\\\(aq/'/g;
    $text =~ s/\\\(lq|\\\(rq/"/g;
    $text =~ s/\\f.//g;
    $text =~ s/\\-/-/g;
    $text =~ s/\\[&,]//g;
    $text =~ s/\s+/ /g;
    return $text;
}

# The texts in a piece of C, those side by side joined, as they are printed.
sub texts {
    my ($c) = @_;
    $c =~ s/"\s*\n\s*"//g;
    my @texts = $c =~ /"((?:[^"\\\n]|\\.)*)"/g;
    s/\\"/"/g for @texts;
    return @texts;
}

my %page = map { $_ => slurp("$top/man/$_") } qw(preclaim.8 preclaim.conf.5);
my $page = words($page{'preclaim.8'});
my $conf = words($page{'preclaim.conf.5'});

for my $name (sort keys %page) {
    my $said = qx(groff -man -ww -Tutf8 '$top/man/$name' 2>&1 >'$scratch/out');
    ok($? == 0 && $said eq '' && -s "$scratch/out", "groff has nothing to say about $name", split /\n/, $said);
}

# --- options and commands ----------------------------------------------------
my $help = qx('$top/build/preclaim' --help);
my %in_help = map { $_ => 1 } $help =~ /(--[a-z-]+)/g;
my %in_page = map { $_ => 1 } $page =~ /(--[a-z-]+)/g;
ok(%in_help && !grep({ !$in_page{$_} } keys %in_help), 'each option is in the page', grep { !$in_page{$_} } sort keys %in_help);
ok(!grep({ !$in_help{$_} } keys %in_page), 'each option of the page is one', grep { !$in_help{$_} } sort keys %in_page);
my %command = map { $_ => 1 } $help =~ /^  ([a-z]+)\b/mg;
my ($commands) = $page{'preclaim.8'} =~ /^\.SH COMMANDS\n(.*?)^\.SH /ms;
my %documented = map { $_ => 1 } $commands =~ /^\.TP\n\.BR? ([a-z]+)/mg;
ok(keys %command >= 6 && "@{[sort keys %command]}" eq "@{[sort keys %documented]}", 'each command is in the page, and no other',
    "program: @{[sort keys %command]}", "page: @{[sort keys %documented]}");

# --- messages ----------------------------------------------------------------
# A text counts by its fixed parts; a part with no word of four letters is glue.
my $parts = 0;
sub missing {
    my ($in, @texts) = @_;
    my @missing;
    # a text between blanks is a list to search in
    for my $text (grep { !/^ .* $/ } @texts) {
        for my $part (split /%[-+ #0-9.*]*(?:l|ll|z)?[a-zA-Z]|\$\{?\w+\??\}?|\\n/, $text) {
            $part =~ s/^preclaim: //;
            $part =~ s/^[\s:;,."()]+|[\s:;,."()]+$//g;
            next if $part !~ / / || $part !~ /[a-z]{4}/;
            $parts++;
            push @missing, $part if index($in, $part) < 0;
        }
    }
    return @missing;
}

for my $file (sort glob "$top/src/*.c") {
    my ($name) = $file =~ m{([^/]+)$};
    my $c = slurp($file);
    $c =~ s{/\*.*?\*/}{}gs;
    $c =~ s/^#.*//mg;
    # not messages: the usage text, and what list, check and JSON print
    $c =~ s/static const char usage.*?;\n\n//s;
    next if $name eq 'show.c';
    $c =~ s/^void describe_plan.*//ms if $name eq 'describe.c';
    $c =~ s/^const char \*text_error.*?^}//ms if $name eq 'text.c';
    my @missing = missing($page, texts($c));
    ok(!@missing, "each message of $name is in the page", @missing);
}
for my $file ('hook/image', 'hook/preclaim', 'hook/dracut/module-setup.sh', 'hook/mkinitcpio/install/preclaim',
    'scripts/init-top/preclaim') {
    my $sh = slurp("$top/$file");
    $sh =~ s/^\s*#.*//mg;
    $sh =~ s/"\s*\\\n\s*"/ /g;
    my @texts = $sh =~ /\b(?:fail|warn|without_vfio)\s+"([^"]*)"|\b(?:dfatal|die) ["']([^"']*)["']|echo "<3>preclaim: ([^"]*)"/g;
    my @missing = missing($page, grep { defined } @texts);
    ok(@texts && !@missing, "each message of $file is in the page", @missing);
}

{
    my $sh = slurp("$top/src/preclaim-import");
    $sh =~ s/^\s*#.*//mg;
    my @texts = $sh =~ /\bfail "([^"]*)"|\b(?:note|lack)\(.*?"([^"]*)"|echo "preclaim: ([^"]*)" >&2/g;
    my @missing = missing($page, grep { defined } @texts);
    ok(@texts && !@missing, 'each message of src/preclaim-import is in the page', @missing);
}

ok($parts >= 100, 'a hundred messages or more were looked for');

# --- rules -------------------------------------------------------------------
my @keywords = slurp("$top/src/rule.c") =~ /PARAM "([a-z-]+)"/g;
ok(@keywords >= 7 && !grep({ $conf !~ /\b\Q$_\E\b/ } @keywords), 'each keyword is in preclaim.conf(5)', grep { $conf !~ /\b\Q$_\E\b/ } @keywords);

my @examples = $page{'preclaim.conf.5'} =~ /^\.EX\n(.*?)^\.EE/msg;
s/\\-/-/g for @examples;
mkdir "$scratch/root";
mkdir "$scratch/root/sys";
mkdir "$scratch/root/sys/bus";
mkdir "$scratch/root/sys/bus/pci";
mkdir "$scratch/root/sys/bus/pci/$_" for qw(devices drivers);
open my $out, '>', "$scratch/rules" or die;
print $out $examples[0];
close $out;
my $said = qx('$top/build/preclaim' check --image --root '$scratch/root' --config '$scratch/rules' 2>&1);
ok($? >> 8 < 2 && $said =~ /^vfs 05:00.0=8$/m, 'the example of preclaim.conf(5) can be parsed', $said);
chomp $examples[1];
$said = qx('$top/build/preclaim' check --image --root '$scratch/root' --cmdline '$examples[1]' 2>&1);
ok($? >> 8 < 2 && $said =~ /^vfs 05:00.0=8$/m, 'and so can the one for the kernel command line', $said);

print "1..$tests\n";
exit($failed ? 1 : 0);
