use strict;
use warnings;
use Digest::MD5 qw(md5_hex);
use Digest::SHA qw(sha1_hex sha256_hex sha512_hex);
use IO::Socket::INET;
use List::Util qw(sum max reduce first);
use Math::BigInt;
use MIME::Base64;
use POSIX qw(floor fmod strftime);
use Storable qw(freeze thaw);
use Time::HiRes qw(sleep);

# Text.
my $text = "The quick brown fox jumps over the lazy dog";
my %count;
$count{lc $_}++ for grep { /\S/ } split //, $text;
print "letters: ", join(" ", map { "$_$count{$_}" } sort { $count{$b} <=> $count{$a} || $a cmp $b } keys %count), "\n";
print "capitals: ", join(" ", map { ucfirst } reverse split / /, lc $text), "\n";
(my $swapped = $text) =~ s/(\w+) (\w+)/$2 $1/g;
print "swapped: $swapped\n";
my @fields = "2024-02-29T12:34:56Z" =~ /^(\d+)-(\d+)-(\d+)T(?<hour>\d+):/;
print "fields: @fields $+{hour}\n";
my $nested = qr/\((?:[^()]++|(??{ our $re }))*\)/;
our $re = $nested;
print "balanced: ", ("f(a(b)c(d(e)))g" =~ /($nested)/ ? $1 : "no"), "\n";
print "unicode: ", length("\x{1F600}\x{e9}t\x{e9}"), " ", join(",", unpack("C*", do { my $s = "\x{e9}\x{20ac}"; utf8::encode($s); $s })), "\n";
print "sorted: ", join(" ", sort { $a <=> $b } qw(10 9 2 33 1 25)), "\n";
printf "formats: %05.2f|%-6s|%+d|%x|%o|%e|%g|%b\n", 3.14159, "ab", 42, 48879, 511, 12345.678, 1e-5, 10;

# Numbers.
print "factorial of 60: ", Math::BigInt->new(60)->bfac(), "\n";
print "fibonacci of 300: ", (reduce { [$a->[1], $a->[0] + $a->[1]] } [Math::BigInt->new(0), Math::BigInt->new(1)], 1 .. 300)->[0], "\n";
print "sum: ", sum(map { $_ * $_ } 1 .. 100000), "\n";
printf "harmonic: %.17g\n", sum(map { 1 / $_ } 1 .. 100000);
printf "sqrt, exp, log, sin: %.17g %.17g %.17g %.17g\n", sqrt(2), exp(1), log(10), sin(1);
printf "integers: %d %d %s %s\n", -7 / 2, -7 % 3, 2**53, 18446744073709551615;
printf "fmod, floor: %g %d\n", fmod(10, 3.25), floor(-2.5);
my @sieve = (1) x 50001;
for my $i (2 .. 223) {
    next unless $sieve[$i];
    for (my $j = $i * $i; $j <= 50000; $j += $i) { $sieve[$j] = 0 }
}
print "primes to 50000: ", sum(@sieve[2 .. 50000]), "\n";

# Digests and encodings.
print "md5: ", md5_hex("message digest"), "\n";
print "sha1: ", sha1_hex("abc"), "\n";
print "sha256: ", sha256_hex("abc"), "\n";
print "sha512: ", substr(sha512_hex("abc"), 0, 32), "\n";
print "base64: ", encode_base64("any carnal pleas", ""), "\n";
print "pack: ", unpack("H*", pack("NnCa4d<", 0xdeadbeef, 0x1234, 0x56, "perl", 1.5)), "\n";
my $copy = thaw(freeze({ list => [1 .. 5], map => { a => [1, { b => 2 }] } }));
print "storable: $copy->{list}[4] $copy->{map}{a}[1]{b}\n";
print "gmtime: ", strftime("%Y-%m-%d %H:%M:%S %j", gmtime(951782400)), "\n";

# Data structures.
my %squares = map { $_ => $_ ** 2 } 1 .. 2000;
print "hash: ", scalar(keys %squares), " ", sum(values %squares), "\n";
my @stack = map { { id => $_, name => "n$_" } } 1 .. 5;
print "records: ", join(",", map { $_->{name} } grep { $_->{id} % 2 } @stack), "\n";
{
    package Counter;
    sub new { my ($class, $start) = @_; return bless { value => $start }, $class }
    sub add { my ($self, $n) = @_; $self->{value} += $n; return $self }
    sub DESTROY { print "destroyed at $_[0]{value}\n" }
}
{ my $counter = Counter->new(40); $counter->add(1)->add(1); print "object: $counter->{value}\n"; }
my $result = eval { die { code => 42 } };
print "exception: $@->{code}\n";
local $SIG{ALRM} = sub { die "alarm\n" };
eval { Time::HiRes::alarm(0.05); sleep 10 while 1; };
print "signal: $@";

# Processes and sockets.
my @children;
for my $n (1 .. 5) {
    pipe(my $reader, my $writer) or die;
    my $pid = fork() // die;
    if (!$pid) { close $reader; print $writer $n * $n; close $writer; POSIX::_exit($n); }
    close $writer;
    push @children, [$pid, $reader];
}
my @squared = map { my $r = $_->[1]; scalar <$r> } @children;
my @status = map { waitpid($_->[0], 0); $? >> 8 } @children;
print "children: @squared, status @status\n";
my $server = IO::Socket::INET->new(Listen => 1, LocalAddr => "127.0.0.1", LocalPort => 0) or die;
my $port = $server->sockport;
my $pid = fork() // die;
if (!$pid) {
    my $socket = IO::Socket::INET->new(PeerAddr => "127.0.0.1", PeerPort => $port) or die;
    print $socket "line $_\n" for 1 .. 1000;
    close $socket;
    POSIX::_exit(0);
}
my $peer = $server->accept;
my $lines = 0;
$lines++ while <$peer>;
waitpid($pid, 0);
print "socket: $lines lines, status $?\n";
my $out = `echo from the shell | tr a-z A-Z`;
print "backquotes: $out";
