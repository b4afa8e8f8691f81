# Types of the values in conntally's configuration. They catch at evaluation what is
# likely to be mistyped; the program itself checks the rest when the system is built.
{ lib }:
let
  inherit (lib) types;

  text = description: check: types.addCheck types.str check // { inherit description; };

  matches = regex: value: builtins.match regex value != null;

  # The program takes a port from a string; so must we.
  isPort =
    least: digits:
    matches "[0-9]{1,5}" digits
    && (
      let
        port = lib.toIntBase10 digits;
      in
      port >= least && port <= 65535
    );

  hostAndPort =
    host: least: value:
    let
      parts = builtins.match "(${host}):([0-9]+)" value;
    in
    parts != null && isPort least (lib.last parts);

  isPath = matches "/[^[:cntrl:]]*";

  duration = "([0-9]+([.][0-9]+)?(ns|us|ms|s|m|h))+";
  name = "[0-9A-Za-z._-]+";
  ipv6 = "[[][0-9A-Fa-f:.]+(%[0-9A-Za-z._-]+)?[]]";
in
{
  address = text "HOST:PORT (an IPv6 address in brackets)" (hostAndPort "${name}|${ipv6}" 1);

  listen = text ''HOST:PORT, such as "127.0.0.1:9469", or ""'' (
    value: value == "" || hostAndPort "(${name}|${ipv6})?" 0 value
  );

  lease = text ''"auto" or the path of a file of leases'' (value: value == "auto" || isPath value);

  socket = text ''"auto", the path of a socket, or "" for none'' (
    value: value == "auto" || value == "" || isPath value
  );

  deviceName = text "a name of at most 63 bytes" (matches "[^-[:space:]][^[:cntrl:]]{0,62}");

  mac = text ''an Ethernet address, such as "02:00:00:00:00:01"'' (
    matches "[0-9A-Fa-f]{2}([:-][0-9A-Fa-f]{2}){5}"
  );

  ip = text ''an address, such as "192.0.2.10"'' (matches "[0-9A-Fa-f:.]+");

  # What can be told of an IP address without a parser.
  source = text ''an address of this host, or ""'' (matches "[0-9A-Fa-f:.]*(%[0-9A-Za-z._-]+)?");

  network = text ''a network, such as "192.0.2.0/24" or "2001:db8::/32"'' (
    matches "[0-9A-Fa-f:.]+(/[0-9]{1,3})?"
  );

  duration = text ''a duration, such as "60s" or "5m"'' (matches duration);

  # With days.
  age = text ''a duration, such as "5m" or "60d"'' (matches "[0-9]{1,5}d|${duration}");

  interval = text ''"auto" or a duration, such as "10s"'' (matches "auto|${duration}");

  size = text ''a size, such as "512KiB" or "16MiB"'' (matches "[0-9]+ *(KiB|MiB)?");

  amount = text ''a size, such as "512MiB" or "100GB"'' (
    matches "[0-9]+ *(KiB|MiB|GiB|TiB|kB|MB|GB|TB)?"
  );

  protocol = types.either types.ints.u8 (
    types.enum [
      "icmp"
      "icmpv6"
      "tcp"
      "udp"
      "udplite"
      "sctp"
      "dccp"
      "gre"
      "esp"
      "ah"
    ]
  );

  ports = types.either types.port (
    text ''a port, or a range such as "1000-2000"'' (
      value: lib.length (lib.splitString "-" value) <= 2 && lib.all (isPort 0) (lib.splitString "-" value)
    )
  );

  mark = types.either types.ints.u32 (
    text ''a mark, such as "0x10/0xff"'' (matches "(0x[0-9A-Fa-f]+|[0-9]+)(/(0x[0-9A-Fa-f]+|[0-9]+))?")
  );

  # dev_valid_name in the kernel: 15 bytes without "/", ":" and spaces.
  interface = text "the name of a network interface" (matches "[^/:[:space:]]{1,15}");

  interfaceOrNone = text ''the name of a network interface, or ""'' (matches "[^/:[:space:]]{0,15}");
}
