#!/usr/bin/perl
# SPDX-License-Identifier: GPL-2.0-or-later
#
# golden.t: runs preclaim over the cases in golden/ and compares what it prints, to
# the byte. Each binary in PRECLAIM_BINARIES (paths, blanks between) runs each case.
# golden.t --bless [CASE...] writes what the first binary prints into `expected`
# instead; read it before you keep it.
#
# A case is a folder golden/KIND/SENTENCE, of kind parse, plan, show or import, with any of
#	machine    name of a manifest in machines/; default: none, without devices
#	tree       a manifest of what differs from that machine
#	without    paths that this machine lacks, one a line
#	conf       /etc/preclaim.conf
#	conf.d/    /etc/preclaim.d
#	cmdline    /proc/cmdline
#	files/     files of other tools, by their paths
#	args       arguments, one a line; default: check --image (parse), check (plan), import FILE... (import)
#	expected   standard output, then standard error, then the exit status
# Nothing in the tree may change. What --json prints must be JSON. The plan that a dry run prints must be check's.
# Import is a script: only the first binary runs it. What it prints must be rules.

use strict;
use warnings;
use Cwd 'abs_path';
use File::Basename 'dirname';
use File::Copy 'copy';
use File::Find 'find';
use File::Temp 'tempdir';
use JSON::PP 'decode_json';

my $here = abs_path(dirname($0));
my $scratch = tempdir(CLEANUP => 1);
my $tests = 0;
my $failed = 0;

sub slurp {
    my ($file) = @_;
    open my $in, '<', $file or return undef;
    local $/;
    return <$in> // '';
}

sub spew {
    my ($file, $text) = @_;
    open my $out, '>', $file or die "$file: $!\n";
    print $out $text;
    close $out or die "$file: $!\n";
}

sub ok {
    my ($good, $name, @why) = @_;
    $tests++;
    $failed++ unless $good;
    print $good ? 'ok' : 'not ok', " $tests - $name\n";
    print map { s/^/# /mgr } @why unless $good;
}

sub diff {
    my ($want, $have) = @_;
    spew("$scratch/expected", $want);
    spew("$scratch/printed", $have);
    my @lines = qx(cd '$scratch' && diff -au expected printed);
    return @lines[2 .. $#lines];
}

# Everything below DIR as one text: kind, mode, and the content or the target.
sub listing {
    my ($dir) = @_;
    my @lines;
    find({ no_chdir => 1, wanted => sub {
        my $mode = (lstat)[2];
        my $what = -l _ ? readlink : -f _ ? slurp($_) =~ s/\n/\\n/gr : '';
        push @lines, sprintf "%s %o %s\n", substr($_, length $dir), $mode, $what;
    } }, $dir);
    return join '', sort @lines;
}

# The machine of a case, which is last where it is changed.
sub machine_of {
    my ($case) = @_;
    my $machine = slurp("$case/machine") // 'none';
    chomp $machine;
    return $machine, (grep { -e "$case/$_" } qw(tree without files)) ? 1 : 0;
}

my $planted = '';    # the machine whose tree is there as it was made
my $cmdline;         # and its command line

# Making trees would take most of the time: one that no case has changed is used again
# for the next of the same machine, with other rules.
sub plant {
    my ($case, $root) = @_;
    my ($machine, $changed) = machine_of($case);
    if ($changed || $machine ne $planted) {
        system 'rm', '-rf', $root;
        for ("$here/machines/$machine.manifest", grep { -e } "$case/tree") {
            system("$here/mktree", $_, $root) == 0 or die "$case: mktree failed\n";
        }
        system 'rm', '-r', map { "$root/$_" } split /\n/, slurp("$case/without") if -e "$case/without";
        mkdir "$root/etc";
        $planted = $changed ? '' : $machine;
        $cmdline = slurp("$root/proc/cmdline");
    } else {
        unlink "$root/etc/preclaim.conf", glob "$root/etc/preclaim.d/*";
        rmdir "$root/etc/preclaim.d";
        defined $cmdline ? spew("$root/proc/cmdline", $cmdline) : unlink "$root/proc/cmdline";
    }
    copy("$case/conf", "$root/etc/preclaim.conf") if -e "$case/conf";
    copy("$case/cmdline", "$root/proc/cmdline") if -e "$case/cmdline";
    system('cp', '-r', "$case/files/.", $root) == 0 or die "$case: cp failed\n" if -d "$case/files";
    if (-d "$case/conf.d") {
        mkdir "$root/etc/preclaim.d";
        copy($_, "$root/etc/preclaim.d") for glob "$case/conf.d/*";
    }
}

# Standard output, standard error, and how it ended. A relative path in the
# arguments is one below the tree.
sub run {
    my ($root, @command) = @_;
    my ($out, $err) = ("$scratch/stdout", "$scratch/stderr");
    my $pid = fork // die "fork: $!\n";
    if (!$pid) {
        chdir $root;
        open STDIN, '<', '/dev/null';
        open STDOUT, '>', $out;
        open STDERR, '>', $err;
        alarm 60;    # outlives exec: what hangs is killed
        exec { $command[0] } @command or exit 127;
    }
    waitpid $pid, 0;
    return slurp($out), slurp($err), $? & 127 ? 'signal ' . ($? & 127) : 'exit ' . ($? >> 8);
}

my $bless = @ARGV && $ARGV[0] eq '--bless';
shift if $bless;
die "usage: golden.t [--bless] [CASE...]\n" if @ARGV && $ARGV[0] =~ /^-/;

my $kinds = $ENV{PRECLAIM_KINDS} // 'parse,plan,show,import';
my @binaries = map { abs_path($_) // $_ } split ' ', $ENV{PRECLAIM_BINARIES} // '';
my @cases = @ARGV ? map { abs_path($_) // die "$_: no such case\n" } @ARGV
    : map { $_->[0] } sort { "@$a[1, 2, 0]" cmp "@$b[1, 2, 0]" } map { [$_, machine_of($_)] } glob "$here/golden/{$kinds}/*";
ok(0, 'PRECLAIM_BINARIES names at least one binary') unless @binaries;
ok(0, 'there are cases') unless @cases;
ok(0, "$_ can be run") for grep { !-x } @binaries;
@binaries = grep { -x } $bless ? $binaries[0] // () : @binaries;

my $root = "$scratch/root";
for my $case (@cases) {
    my ($kind, $name) = $case =~ m{([^/]+)/([^/]+)$};
    my $args = slurp("$case/args");
    plant($case, $root);
    my @files;
    find({ no_chdir => 1, wanted => sub { push @files, substr($_, length "$case/files/") if -f } }, "$case/files") if -d "$case/files";
    my @args = defined $args ? split /\n/, $args
        : $kind eq 'parse' ? qw(check --image) : $kind eq 'import' ? ('import', sort @files) : 'check';
    my $before = listing($root);

    for my $binary ($kind eq 'import' ? $binaries[0] // () : @binaries) {
        my ($out, $err, $end) = run($root, $binary, $kind eq 'import' ? (@args, '--root', $root) : ('--root', $root, @args));
        my $printed = "$out--- stderr\n$err--- $end\n";
        spew("$case/expected", $printed) if $bless;
        my $expected = slurp("$case/expected") // '';
        my @why = $printed eq $expected ? () : diff($expected, $printed);
        push @why, "no JSON: $@" if $end ne 'exit 3' && "@args" =~ /--json/ && !eval { decode_json($out) };

        if ("@args" eq 'check') {
            my ($dry) = run($root, $binary, '--root', $root, 'apply', '--dry-run');
            push @why, "apply --dry-run printed another plan:\n", diff($out, $dry) if $dry ne $out;
        }
        if ($kind eq 'import') {
            spew("$scratch/rules", $out);
            my (undef, $faults, $status) = run($root, $binary, qw(check --image --cmdline), '', '--root', $root, '--config', "$scratch/rules");
            push @why, "what is printed are no rules:\n", $faults if $status !~ /^exit [01]$/;
        }
        my $after = listing($root);
        if ($after ne $before) {
            push @why, "the tree changed:\n", diff($before, $after);
            $planted = '';
            plant($case, $root);
        }
        ok(!@why, "$kind: " . $name =~ tr/-/ /r . ' (' . $binary =~ s{^.*/(?=build/)}{}r . ')', @why);
    }
}
print "1..$tests\n";
exit($failed ? 1 : 0);
