# Each option and each key, with another value than its default.
{ lib, ... }:
{
  services.conntally = {
    collector = lib.mkForce [
      "192.0.2.10:2055"
      "[2001:db8::10]:2055"
      "flows.example.net:2055"
    ];
    protocol = "netflow9";
    enableTracking = true;
    openFirewall = true;
    metrics = {
      enable = true;
      listenAddress = "::";
      port = 9999;
      devices = true;
      labels.site = "home";
    };
    devices = {
      max = 1000;
      networks = [ "10.8.0.0/24" ];
      exclude = [ "192.0.2.128/25" ];
      leases = [
        "auto"
        "/var/lib/kea/dhcp4.leases"
      ];
      offlineAfter = "10m";
      named = [
        {
          name = "server";
          mac = [
            "02:00:00:00:00:02"
            "02-00-00-00-00-03"
          ];
          address = [
            "192.0.2.123"
            "2001:db8::123"
          ];
        }
        {
          name = "tv in the living room";
          mac = "02:00:00:00:00:04";
        }
      ];
      readPrivateLeases = true;
    };
    control.group = "wheel";
    alerts = {
      enable = true;
      uploadBitsPerSecond = 10000000;
      downloadBitsPerSecond = 50000000;
      alwaysOn = [
        "nas"
        "printer"
      ];
      quotaBytes = 1000000000000;
      deviceQuotaBytes = 200000000000;
    };
    settings = {
      control.socket = "/run/conntally/socket";
      collector = [
        {
          address = "192.0.2.12:4739";
          vrf = "mgmt";
        }
        {
          address = "192.0.2.11:4739";
          source = "192.0.2.1";
          interface = "wan0";
          max_datagram = 8900;
          template_interval = "5m";
        }
      ];
      flow = {
        active_timeout = "5m";
        idle_timeout = "1m30s";
        nat = "wire";
        max_flows = 65536;
        state_directory = "/var/lib/conntally";
        route_mark = true;
        biflow = true;
        nat_events = true;
        extra_fields = [
          "flow_id"
          "vlan"
          "source_mac"
        ];
      };
      conntrack = {
        source = "auto";
        poll_interval = "5s";
        max_cpu = 2.5;
        receive_buffer = "32MiB";
        reliable = true;
        track = true;
      };
      filter = [
        {
          action = "exclude";
          networks = [
            "192.0.2.0/24"
            "2001:db8::/32"
          ];
          source_networks = [ "192.0.2.10" ];
          destination_networks = [ "198.51.100.0/24" ];
          protocols = [
            "udp"
            132
          ];
          ports = [
            53
            "1000-2000"
          ];
          destination_ports = [ 123 ];
          zones = [
            0
            7
          ];
          marks = [
            "0x10/0xff"
            5
          ];
          interfaces = [
            "wan0"
            "br-lan"
          ];
        }
        { action = "include"; }
      ];
      metrics.pprof = true;
      log = {
        level = "debug";
        format = "json";
      };
    };
  };
}
