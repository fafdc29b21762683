# perl open-file-lock.pl PATH [flock]: the read lock of an open file (fcntl(2), F_OFD_SETLK) over all bytes that SQLite locks, or
# the one of flock(2), held until its input ends. Node can take neither; perl is in the base of every Debian.
use strict;
use warnings;
use Fcntl qw(:DEFAULT :flock);

my ($path, $kind) = @ARGV;
my $setLock = 37;                            # F_OFD_SETLK
my ($start, $length) = (0x40000000, 512);    # SQLite's PENDING_BYTE, and all after it
open(my $file, '<', $path) or die "open: $!";
if (($kind // '') eq 'flock') {
    flock($file, LOCK_SH) or die "flock: $!";
} else {
    my $lock = pack('s s x4 q q i x4', F_RDLCK, 0, $start, $length, 0);
    fcntl($file, $setLock, $lock) or die "fcntl: $!";
}
syswrite(STDOUT, "held\n");
sysread(STDIN, my $nothing, 1);
