# SPDX-License-Identifier: GPL-2.0-or-later
#
# Tree.pm: the tree of a machine, from manifests; `record` writes those and explains their
# form. A tree can be changed for one test and be put back as it was, and it can be looked
# at for what a program has changed in it. Nothing is written outside of its directory and
# no link leads out of it: a manifest may come from a stranger.

package Tree;

use strict;
use warnings;

# The time of every file and directory that was looked at: what is written to later has another.
my $long_ago = 1_000_000_000;

my %byte = ('\\' => '\\', n => "\n", t => "\t", "\n" => '');
my $at;    # the file and line of what is being made

# new ROOT [STASH]: what is replaced or removed goes to the directory STASH, from where undo
# takes it back; without one it is gone.
sub new {
    my ($class, $root, $stash) = @_;
    for (grep { defined } $root, $stash) {
        -d or mkdir or die "$_: $!\n";
    }
    return bless { root => $root, stash => $stash, paths => [''], is_dir => {}, undo => [] }, $class;
}

sub fail { die "$at: @_\n" }

# \n, \t, \\ and \xHH stand for the bytes; a backslash at the end of a line takes the line's end away.
sub unescape {
    my ($text, $where) = @_;
    $at = $where;
    $text =~ s{\\(x([0-9a-fA-F]{2})|.?)}{
        defined $2 ? chr hex $2 : $byte{$1} // fail(qq(unknown escape "\\$1"))
    }gse;
    return $text;
}

sub has_odd_step { $_[0] =~ m{(^|/)\.{0,2}(/|$)|\0} }

sub made {
    my ($self, $path, $undo) = @_;
    push @{ $self->{paths} }, $path;
    push @{ $self->{undo} }, $undo;
}

# A link on the way would lead the write elsewhere, so each step has to be a directory.
sub make_dir {
    my ($self, $path) = @_;
    return if $self->{is_dir}{$path}++;
    $self->make_dir($1) if $path =~ m{^(.*)/}s;
    my $place = "$self->{root}/$path";
    if (lstat $place) {
        fail("$path is not a directory") unless -d _;
    } else {
        mkdir $place or fail("$path: $!");
        $self->made($path, sub { rmdir $place });
    }
}

sub take_away {
    my ($self, $path) = @_;
    my $place = "$self->{root}/$path";
    if ($self->{stash}) {
        my $kept = "$self->{stash}/" . @{ $self->{undo} };
        rename $place, $kept or fail("$path: $!");
        push @{ $self->{undo} }, sub { rename $kept, $place };
        $self->{is_dir} = {};
    } else {
        unlink $place or fail("$path: $!");
    }
}

# The way of an entry: its directory made, and nothing left at its place.
sub clear {
    my ($self, $path) = @_;
    $self->make_dir($1) if $path =~ m{^(.*)/}s;
    my $place = "$self->{root}/$path";
    if (lstat $place) {
        fail("$path is a directory") if -d _;
        $self->take_away($path);
    }
    $self->made($path, sub { unlink $place });
    return $place;
}

sub make_link {
    my ($self, $path, $target) = @_;
    # ".." after a name could follow another link first: only leading ones are safe.
    my ($ups, $names) = $target =~ m{^((?:\.\./)*)(.*)$}s;
    fail("the link leaves the tree: $target")
        if has_odd_step($names) || length($ups) / 3 > $path =~ tr{/}{};
    symlink $target, $self->clear($path) or fail("$path: $!");
}

sub make_file {
    my ($self, $path, $content) = @_;
    open my $out, '>', $self->clear($path) or fail("$path: $!");
    print $out $content;
    close $out or fail("$path: $!");
}

# A path from outside, as it is in the tree
sub path_of {
    my ($path) = @_;
    $path = unescape($path, $at);
    fail("the path leaves the tree: $path") if has_odd_step($path);
    return $path;
}

# plant TEXT FILE LINE: makes the entries of a manifest, which begins behind that line of the
# file. They replace what is there, so that a second manifest can change a machine.
sub plant {
    my ($self, $text, $file, $line) = @_;
    my %line_of;
    for my $entry (split /\n/, $text) {
        $at = "$file:" . ++$line;
        next if $entry =~ /^(#|\s*$)/;
        my ($path, $make, $value) =
              $entry =~ m{^(\S+) =(?: (.*))?$} ? ($1, \&make_file, $2 // '')
            : $entry =~ m{^(\S+) -> (.+)$}     ? ($1, \&make_link, $2)
            : $entry =~ m{^(\S+)/$}            ? ($1, \&make_dir, '')
            : fail(qq(not "PATH = VALUE", "PATH -> TARGET" or "PATH/": $entry));
        $path = path_of($path);
        fail("$path: is in line $line_of{$path} already") if $line_of{$path};
        $line_of{$path} = $line;
        $make->($self, $path, unescape($value, $at));
    }
}

# put PATH CONTENT WHERE: one file, as it is
sub put {
    my ($self, $path, $content, $where) = @_;
    $at = $where;
    $self->make_file(path_of($path), $content);
}

# remove PATH WHERE: takes it away, with all that is below.
sub remove {
    my ($self, $path, $where) = @_;
    $at = $where;
    $self->take_away(path_of($path));
}

# keep: what is there now is what undo leaves.
sub keep {
    my ($self) = @_;
    $self->{undo} = [];
    $self->{kept} = @{ $self->{paths} };
}

sub undo {
    my ($self) = @_;
    for (reverse splice @{ $self->{undo} }) {
        $_->() or die "$self->{root}: cannot be put back as it was: $!\n";
    }
    $#{ $self->{paths} } = $self->{kept} - 1;
    $self->{is_dir} = {};
}

# look [SETTLE]: for each path of the tree inode, mode, owner, group, size and time, or nothing
# where nothing is. What has come since shows in its directory's time. Before a program runs, SETTLE
# sets the times: a file system's clock may stand still from a tree's making to the first write.
sub look {
    my ($self, $settle) = @_;
    return [map {
        my $place = "$self->{root}/$_";
        my @is = (lstat $place)[1, 2, 4, 5, 7, 9];
        if ($settle && @is && $is[5] != $long_ago && !-l _) {
            utime $long_ago, $long_ago, $place or die "$place: $!\n";
            $is[5] = $long_ago;
        }
        "@is";
    } @{ $self->{paths} }];
}

sub told { $_[0] ? sprintf 'inode %d, mode %o, of %d:%d, %d bytes, time %d', split / /, $_[0] : 'nothing' }

# changes BEFORE: what is no longer as it was when look said BEFORE, one a line
sub changes {
    my ($self, $before) = @_;
    my $after = $self->look;
    return if "@$after" eq "@$before";
    my %known = map { $_ => 1 } @{ $self->{paths} };
    my @changes;
    for my $i (grep { $after->[$_] ne $before->[$_] } 0 .. $#$after) {
        my $path = $self->{paths}[$i];
        push @changes, "/$path: was " . told($before->[$i]) . '; is ' . told($after->[$i]) . "\n";
        opendir my $dir, "$self->{root}/$path" or next;
        push @changes, map { "/$_: is new\n" } grep { !m{(^|/)\.\.?$} && !$known{$_} }
            map { $path eq '' ? $_ : "$path/$_" } sort readdir $dir;
    }
    return @changes;
}

1;
