# Virtual machines: a client, a NAT router with conntally, a server and a collector,
# on which nfdump gets IPFIX and goflow2 NetFlow v9. What happens is in test.py.
{ lib, ... }:
let
  # One interface with one address, on one of the two networks.
  host = vlan: address: {
    virtualisation.vlans = [ vlan ];
    networking.useDHCP = false;
    networking.interfaces.eth1.ipv4 = at address;
  };

  at = address: {
    addresses = lib.mkForce [
      {
        inherit address;
        prefixLength = 24;
      }
    ];
  };
in
{
  name = "conntally";

  nodes.client = {
    imports = [ (host 1 "192.168.1.10") ];
    networking.defaultGateway = "192.168.1.1";
  };

  nodes.router =
    { pkgs, ... }:
    {
      imports = [ ./examples/minimal.nix ];
      services.conntally.settings.collector = [
        {
          address = "192.0.2.10:2056";
          protocol = "netflow9";
        }
      ];

      virtualisation.vlans = [
        1
        2
      ];
      networking.useDHCP = false;
      networking.interfaces.eth1.ipv4 = at "192.168.1.1";
      networking.interfaces.eth2.ipv4 = at "192.0.2.1";
      networking.defaultGateway = "192.0.2.20"; # makes eth2 an uplink
      networking.nat = {
        enable = true;
        internalInterfaces = [ "eth1" ];
        externalInterface = "eth2";
      };
      environment.systemPackages = [
        pkgs.conntrack-tools
        pkgs.jq
      ];

      specialisation = {
        # A reload can change the one and not the other.
        verbose.configuration.services.conntally.settings.log.level = "debug";
        roomy.configuration.services.conntally.settings.conntrack.receive_buffer = "32MiB";
      };
    };

  nodes.server =
    { pkgs, ... }:
    {
      imports = [ (host 2 "192.0.2.20") ];
      networking.firewall.allowedTCPPorts = [ 80 ];
      services.nginx.enable = true;
      services.nginx.virtualHosts.default.root = pkgs.runCommand "files" { } ''
        mkdir $out
        head -c 4000000 /dev/zero > $out/file
      '';
    };

  nodes.collector =
    { pkgs, ... }:
    {
      imports = [
        (host 2 "192.0.2.10")
        ./examples/collectors.nix
      ];
      environment.systemPackages = [ pkgs.jq ];
    };

  testScript = builtins.readFile ./test.py;
}
