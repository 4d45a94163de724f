# Answer every text with Mojo-Weixin, as its own demo/echo-reply.pl does.
use strict;
use warnings;
use Mojo::Weixin;

my $client = Mojo::Weixin->new(is_fetch_notice => 0, send_interval => 0, tmpdir => $ENV{TMPDIR});
$client->on(ready => sub {
    $client->on(receive_message => sub {
        my (undef, $message) = @_;
        $message->reply("echo: " . $message->content) if $message->format eq "text";
    });
});
$client->run();
