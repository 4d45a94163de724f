# Mojo-Weixin with its Openwx plugin, as its controller starts it.
use strict;
use warnings;
use Mojo::Weixin;

my %places = (tmpdir => $ENV{TMPDIR}, media_dir => $ENV{TMPDIR});
my $client = Mojo::Weixin->new(is_fetch_notice => 0, send_interval => 0, %places);
$client->load("Openwx", call_on_load => 1, data => {listen => [{host => "127.0.0.1", port => $ENV{PORT}}]});
$client->run();
