# The keys of conntally's configuration file, as options. There is no freeformType: the
# program refuses a key that it doesn't know, and an evaluation that names the option
# says so earlier. A test holds names and defaults to the program's own.
{ lib }:
let
  inherit (lib) mkOption types;
  values = import ./types.nix { inherit lib; };

  setting =
    type: default: description:
    mkOption { inherit type default description; };

  flag = description: setting types.bool false description;

  tables =
    description: options:
    mkOption {
      type = types.listOf (types.submodule { inherit options; });
      default = [ ];
      inherit description;
    };

  # A condition that is absent is met by everything; an empty one would be by nothing.
  condition = type: description: setting (types.nullOr (types.nonEmptyListOf type)) null description;
in
{
  options = {
    collector = tables "Where to export to, in addition to {option}`services.conntally.collector`." {
      address = mkOption {
        type = values.address;
        example = "192.0.2.10:2055";
        description = "Host and port; IPv6 addresses in brackets.";
      };
      protocol = setting (types.enum [
        "ipfix"
        "netflow9"
      ]) "ipfix" "The protocol that it is sent.";
      source = setting values.source "" "Own address to send from; `\"\"` leaves it to the kernel.";
      interface = setting values.interfaceOrNone "" "Interface to send by, whatever routes say.";
      vrf = setting values.interfaceOrNone "" "VRF whose routes lead to the collector.";
      max_datagram = setting (types.ints.between 512 65507) 1400 "Bytes of UDP payload.";
      template_interval = setting values.duration "60s" ''
        How often templates are sent again, from 1s to 24h.
      '';
    };

    flow = {
      active_timeout = setting values.duration "60s" "A flow that goes on is exported this often.";
      idle_timeout = setting values.duration "15s" "A flow that rests is exported after this long.";
      nat = setting (types.enum [
        "endpoints"
        "wire"
      ]) "endpoints" "Addresses of translated flows: both real ends, or as they enter the router.";
      max_flows = setting (types.ints.between 0 2000000000) 0 ''
        Connections to keep; 0 is as many as the kernel tracks.
      '';
      state_directory = setting types.str "" ''
        For exact restarts; `""` is the directory that systemd provides, and the only one
        that the unit may write to.
      '';
      route_mark = flag "Look routes up with the connection's mark (policy routing).";
      biflow = flag "One record for both directions (RFC 5103).";
      nat_events = flag "A record when a translation begins and ends (RFC 8158).";
      extra_fields = setting (types.listOf (
        types.enum [
          "flow_id"
          "vlan"
          "mac"
          "zone"
          "mark"
          "source_mac"
        ]
      )) [ ] "Fields that records have only if asked for.";
    };

    conntrack = {
      source = setting (types.enum [
        "netlink"
        "bpf"
        "auto"
      ]) "netlink" ''
        How ends of connections are read; `"auto"` is eBPF where it can be had. With it and
        `"bpf"` the service has more capabilities until the program is loaded, see docs/ebpf.md.
      '';
      poll_interval = setting values.interval "auto" ''
        How often counters are read; `"auto"` is 10s, or a shorter timeout.
      '';
      max_cpu = setting (types.numbers.between 0.01 100) 1.0 ''
        Percent of one core: polls are stretched to stay below.
      '';
      receive_buffer = setting values.size "16MiB" "Memory for the ends of connections.";
      reliable = flag "Have the kernel repeat what found the buffer full.";
      track = flag ''
        Have connections tracked where no rule does, as long as conntally runs.
        {option}`services.conntally.enableTracking` does it through the firewall.
      '';
    };

    filter = tables "Which connections to export: the first whose conditions are all met decides." {
      action = mkOption {
        type = types.enum [
          "include"
          "exclude"
        ];
        description = "What becomes of a connection that meets the conditions.";
      };
      networks = condition values.network "Either end.";
      source_networks = condition values.network "Who began.";
      destination_networks = condition values.network "Whom it is with.";
      protocols = condition values.protocol "Names or numbers.";
      ports = condition values.ports "Of either end.";
      destination_ports = condition values.ports "Of whom it is with.";
      zones = condition types.ints.u16 "Of conntrack.";
      marks = condition values.mark "Of conntrack: value/mask, or a number.";
      interfaces = condition values.interface "The way in or out.";
    };

    devices = {
      enable = setting types.bool true "Count what each device on the router's own networks moves.";
      max = setting (types.ints.between 1 1000000) 4096 ''
        Devices; what finds no room is counted as "other".
      '';
      networks = setting (types.listOf values.network) [ ] ''
        Networks whose hosts are devices, too, such as VPN clients behind another router.
      '';
      exclude = setting (types.listOf values.network) [ ] ''
        Addresses and networks to count as "other".
      '';
      leases = setting (types.listOf values.lease) [ "auto" ] ''
        Where names of devices are read: `"auto"`, or paths of DHCP servers' files.
      '';
      offline_after = setting values.duration "5m" ''
        A device that has sent nothing for so long is offline.
      '';
    };

    device = tables "Devices with names of their own. What one lists is counted as one device." {
      name = mkOption {
        type = values.deviceName;
        example = "smart-tv";
        description = "Letters, digits, spaces and any of `- _ .`";
      };
      mac = setting (types.listOf values.mac) [ ] "Ethernet addresses.";
      address = setting (types.listOf values.ip) [ ] "Addresses, of what is no neighbour.";
    };

    metrics = {
      listen = setting values.listen "" ''
        Where Prometheus finds metrics; {option}`services.conntally.metrics` sets it.
      '';
      pprof = flag "Serve profiles as well, at /debug/pprof/.";
      devices = flag "Metrics of each device.";
      labels = setting (types.attrsOf types.str) { } "Labels of all metrics.";
    };

    control.socket = setting values.socket "auto" ''
      Where `conntally status`, `devices`, `flows` and `top` ask; `"auto"` is
      /run/conntally/control.sock, `""` is nowhere.
    '';

    log = {
      level = setting (types.enum [
        "debug"
        "info"
        "warn"
        "error"
      ]) "info" "Log from this level on.";
      format = setting (types.enum [
        "auto"
        "console"
        "journald"
        "json"
      ]) "auto" "How; `\"auto\"` finds the journal.";
    };
  };
}
