# Send two texts with Perl's HTTP::Tiny, as scripts for Mojo-Weixin do: `send.pl ADDRESS TOKEN ACCOUNT NAME`.
use strict;
use warnings;
use HTTP::Tiny;
use JSON::PP;

my ($address, $token, $account, $name) = @ARGV;
my $http = HTTP::Tiny->new(default_headers => {Authorization => "Bearer $token"});
my $url = "$address/openwx/send_friend_message";
for my $method ("GET", "POST") {
    my $text = "$name $method";
    my %values = (client => $account, id => "filehelper", content => $text);
    my $answer = $method eq "GET"
        ? $http->get("$url?" . $http->www_form_urlencode(\%values))
        : $http->post_form("$url?client=$account", \%values);
    my $sent = $answer->{success} && decode_json($answer->{content})->{code} == 0;
    print $sent ? "sent" : "failed", ": $text\n";
    print "$answer->{status} $answer->{content}\n" unless $sent;
}
