#!/usr/bin/perl
# SPDX-License-Identifier: GPL-2.0-or-later
#
# protect.t: what the PCI functions of a machine carry, by src/protect.c. Each case
# protect/SENTENCE.case is a manifest of what is added to protect/machine, with
#
#	#> LINE    what show-protect prints, in any order (that of a directory)
#	#- PATH    what the machine lacks
#
# PRECLAIM_SHOWS names other builds of show-protect than the three.

use strict;
use warnings;
use File::Basename qw(basename dirname);
use File::Temp 'tempdir';
use lib dirname(__FILE__);
use Tree;

chdir dirname(__FILE__) . '/..' or die "$!\n";
my $scratch = tempdir(DIR => qx(tests/tmpdir) =~ s/\n//r, CLEANUP => 1);
my $tests = 0;
my $failed = 0;
my @programs = split ' ', $ENV{PRECLAIM_SHOWS} // 'build/klibc/show-protect build/unit-gcc/show-protect build/unit-clang/show-protect';

sub slurp {
    my ($file) = @_;
    open my $in, '<', $file or die "$file: $!\n";
    local $/;
    return <$in>;
}

# The lines that a program prints, sorted, and how it ended where that is not well
sub printed {
    my @lines = qx('$_[0]' '$_[1]' 2>&1);
    push @lines, "exit $?\n" if $?;
    return join '', sort @lines;
}

my $tree = Tree->new("$scratch/tree", "$scratch/stash");
$tree->plant(slurp('tests/protect/machine'), 'tests/protect/machine', 0);
$tree->keep;
for my $file (sort glob 'tests/protect/*.case') {
    my $case = slurp($file);
    $tree->plant($case, $file, 0);
    $tree->remove($_, $file) for $case =~ /^#- (.*)/mg;
    my $want = join '', sort $case =~ /^#> (.*\n)/mg;
    my $name = basename($file, '.case') =~ tr/-/ /r;
    for my $program (@programs) {
        $tests++;
        my $have = printed($program, "$scratch/tree");
        if ($have eq $want) {
            print "ok $tests - protect: $name ($program)\n";
        } else {
            $failed++;
            print "not ok $tests - protect: $name ($program)\n", "# wanted:\n", $want =~ s/^/# /mgr, "# printed:\n", $have =~ s/^/# /mgr;
        }
    }
    $tree->undo;
}
print "1..$tests\n";
exit($failed ? 1 : 0);
