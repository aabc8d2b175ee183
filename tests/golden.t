#!/usr/bin/perl
# SPDX-License-Identifier: GPL-2.0-or-later
#
# golden.t: runs preclaim over the cases in golden/ and compares what it prints, to
# the byte. Each binary in PRECLAIM_BINARIES (paths, blanks between) runs each case.
# golden.t --bless [CASE...] writes what the first binary prints into the cases
# instead; read it before you keep it.
#
# A case is a file golden/KIND/SENTENCE, of kind parse, plan, show or import. What goes in
# comes first, of which all may be left out:
#	machine NAME            a manifest in machines/; default: none, without devices
#	== tree                 a manifest of what differs from that machine
#	== without              paths that this machine lacks, one a line
#	== /PATH                a file, such as /etc/preclaim.conf, /proc/cmdline or another tool's
#	== arguments            one a line; default: check --image (parse), check (plan, show), import FILE... (import)
# then what must come out, each left out where it is empty:
#	== stdout
#	== stderr
#	== exit STATUS          the last line
# The lines below a header, up to the next one, are the bytes as they are. Where its line ends
# in "(escaped)", \\ and \xHH stand for bytes, and a backslash at the end of a line takes the
# newline away: for control characters, a last line without its end, and lines that look like
# a header.
#
# Of a parse case without devices and arguments, the lines at the end of stdout that say so are
# left out here, and must be there.
#
# Nothing in the tree may change. What --json prints must be JSON. The plan that a dry run prints must be check's.
# Import is a script: only the first binary runs it. What it prints must be rules.

use strict;
use warnings;
use Cwd 'abs_path';
use File::Basename 'dirname';
use File::Temp 'tempdir';
use JSON::PP 'decode_json';
use lib dirname(__FILE__);
use Tree;

my $here = abs_path(dirname($0));
my $scratch = tempdir(DIR => qx('$here/tmpdir') =~ s/\n//r, CLEANUP => 1);
my $bless = @ARGV && $ARGV[0] eq '--bless';
shift if $bless;
my $tests = 0;
my $failed = 0;

sub slurp {
    my ($file) = @_;
    open my $in, '<', $file or die "$file: $!\n";
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

# One part of a case: its header, and below it the text
sub part {
    my ($name, $text) = @_;
    return "== $name\n$text" if $text !~ /[^\t\n -~\x80-\xff]|^== /m && $text =~ /(^|\n)\z/;
    $text =~ s/\\/\\\\/g;
    $text =~ s/([^\t\n -~\x80-\xff])/sprintf '\\x%02x', ord $1/ge;
    $text =~ s/^=(?== )/\\x3d/mg;
    return "== $name (escaped)\n" . $text =~ s/[^\n]\K\z/\\\n/r;
}

sub parts_out {
    my ($out, $err, $end) = @_;
    return join '', (map { length $_->[1] ? part(@$_) : () } ['stdout', $out], ['stderr', $err]), "== $end\n";
}

# The order of what comes out, behind all that goes in
my %rank = (stdout => 1, stderr => 2, exit => 3);

# A case: its parts by their names; {files}, the paths in their order; {in}, all that goes in.
sub read_case {
    my ($file) = @_;
    my %case = (machine => 'none', files => [], in => '', map { $_ => { text => '', line => 0 } } qw(tree without stdout stderr));
    my (%seen, $part);
    my $last = 0;
    open my $in, '<', $file or die "$file: $!\n";
    my $fail = sub { die "$file:$.: @_\n" };
    while (my $line = <$in>) {
        $line =~ /\n\z/ or $fail->('the line has no end');
        if ($line =~ /^== (.*?)( \(escaped\))?$/) {
            my ($name, $escaped) = ($1, $2);
            $name =~ m{^(/\S+|tree|without|arguments|stdout|stderr|exit \d+)$} or $fail->("there is no such part: $name");
            my ($key) = split / /, $name;
            $fail->("$key is there twice") if $seen{$key}++;
            my $rank = $rank{$key} // 0;
            $fail->("$key comes too late") if $rank < $last;
            $last = $rank;
            push @{ $case{files} }, $key if $key =~ m{^/};
            $part = $case{$key} = { name => $name, text => '', escaped => $escaped, line => $. };
        } elsif ($. == 1 && $line =~ /^machine (\S+)$/) {
            $case{machine} = $1;
            -e "$here/machines/$1.manifest" or $fail->("there is no such machine: $1");
        } elsif ($part && !$seen{exit}) {
            $part->{text} .= $line;
        } else {
            $fail->("belongs to no part: $line");
        }
        $case{in} .= $line unless $last;
    }
    $case{exit} || $bless or $fail->('no "exit STATUS" at the end');
    for (grep { ref eq 'HASH' && $_->{escaped} } values %case) {
        $_->{text} = Tree::unescape($_->{text}, "$file:$_->{line}");
    }
    return \%case;
}

# What check --image prints where no device is to be seen
my $unseen = join '', map { "unknown $_ no PCI device was to be seen when the image was made\n" } qw(storage usb network);

my %trees;

# The tree of a machine, which is made once. Each case changes it, and undoes that.
sub tree_of {
    my ($machine) = @_;
    return $trees{$machine} //= do {
        my $dir = tempdir(DIR => $scratch);
        my $tree = Tree->new("$dir/root", "$dir/stash");
        my $manifest = "$here/machines/$machine.manifest";
        $tree->plant(slurp($manifest), $manifest, 0);
        $tree->make_dir('etc');
        $tree->keep;
        $tree;
    };
}

# The machine of a case, as the case changes it
sub plant {
    my ($case, $file) = @_;
    my $tree = tree_of($case->{machine});
    $tree->plant($case->{tree}{text}, $file, $case->{tree}{line});
    my $line = $case->{without}{line};
    $tree->remove($_, "$file:" . ++$line) for split /\n/, $case->{without}{text};
    $tree->put(substr($_, 1), $case->{$_}{text}, "$file:$case->{$_}{line}") for @{ $case->{files} };
    return $tree;
}

# Standard output, standard error, and how it ended. A relative path in the
# arguments is one below the tree.
open my $out_file, '+>', undef or die "a file for standard output: $!\n";
open my $err_file, '+>', undef or die "a file for standard error: $!\n";
sub run {
    my ($root, @command) = @_;
    for ($out_file, $err_file) {
        truncate $_, 0;
        seek $_, 0, 0;
    }
    my $pid = fork // die "fork: $!\n";
    if (!$pid) {
        chdir $root;
        open STDIN, '<', '/dev/null';
        open STDOUT, '>&', $out_file;
        open STDERR, '>&', $err_file;
        alarm 60;    # outlives exec: what hangs is killed
        exec { $command[0] } @command or exit 127;
    }
    waitpid $pid, 0;
    my $end = $? & 127 ? 'signal ' . ($? & 127) : 'exit ' . ($? >> 8);
    local $/;
    return (map { seek $_, 0, 0; <$_> // '' } $out_file, $err_file), $end;
}

die "usage: golden.t [--bless] [CASE...]\n" if @ARGV && $ARGV[0] =~ /^-/;

my $kinds = $ENV{PRECLAIM_KINDS} // 'parse,plan,show,import';
my @binaries = map { abs_path($_) // $_ } split ' ', $ENV{PRECLAIM_BINARIES} // '';
my @cases = @ARGV ? map { abs_path($_) // die "$_: no such case\n" } @ARGV : glob "$here/golden/{$kinds}/*";
ok(0, 'PRECLAIM_BINARIES names at least one binary') unless @binaries;
ok(0, 'there are cases') unless @cases;
ok(0, "$_ can be run") for grep { !-x } @binaries;
@binaries = grep { -x } $bless ? $binaries[0] // () : @binaries;

for my $file (@cases) {
    my ($kind, $name) = $file =~ m{([^/]+)/([^/]+)$};
    my $point = "$kind: " . $name =~ tr/-/ /r;
    my $case = eval { read_case($file) };
    my $tree = $case && eval { plant($case, $file) };
    if (!$tree) {
        ok(0, $point, $@);
        delete $trees{$case->{machine}} if $case;
        next;
    }
    my $root = $tree->{root};
    my @args = $case->{arguments} ? split /\n/, $case->{arguments}{text}
        : $kind eq 'parse' ? qw(check --image) : $kind eq 'import' ? ('import', map { substr $_, 1 } @{ $case->{files} }) : 'check';
    my $expected = parts_out($case->{stdout}{text}, $case->{stderr}{text}, $case->{exit}{name} // '');

    for my $binary ($kind eq 'import' ? $binaries[0] // () : @binaries) {
        my $before = $tree->look('settle');
        my ($out, $err, $end) = run($root, $binary, $kind eq 'import' ? (@args, '--root', $root) : ('--root', $root, @args));
        my $lacks = $kind eq 'parse' && $case->{machine} eq 'none' && !$case->{arguments} && $out !~ s/\Q$unseen\E\z//;
        my $printed = parts_out($out, $err, $end);
        if ($bless && $end =~ /^exit/) {
            spew($file, $case->{in} . $printed);
            $expected = $printed;
        }
        my @why = $printed eq $expected ? () : diff($expected, $printed);
        push @why, "$out\nlacks at its end:\n$unseen" if $lacks;
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
        if (my @changes = $tree->changes($before)) {
            push @why, "the tree changed:\n", @changes;
            delete $trees{$case->{machine}};
            $tree = plant($case, $file);
            $root = $tree->{root};
        }
        ok(!@why, "$point (" . $binary =~ s{^.*/(?=build/)}{}r . ')', @why);
    }
    $tree->undo;
}
print "1..$tests\n";
exit($failed ? 1 : 0);
