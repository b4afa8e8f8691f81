# A home router: enp1s0 leads to the provider, enp2s0 to the LAN.
{
  services.conntally = {
    enable = true;
    collector = "192.168.1.2:2055";
    metrics.enable = true; # at 127.0.0.1:9469
    devices.readPrivateLeases = true; # Kea's, for the names of devices
    # What the LAN's hosts say to each other through the router is of no interest.
    settings.filter = [
      {
        action = "exclude";
        source_networks = [ "192.168.0.0/16" ];
        destination_networks = [ "192.168.0.0/16" ];
      }
    ];
  };

  networking.useNetworkd = true;
  networking.useDHCP = false;
  systemd.network.networks = {
    "10-wan" = {
      matchConfig.Name = "enp1s0";
      networkConfig.DHCP = "ipv4";
    };
    "10-lan" = {
      matchConfig.Name = "enp2s0";
      address = [ "192.168.1.1/24" ];
    };
  };

  # The firewall and NAT as nftables; either has connections tracked.
  networking.nftables.enable = true;
  networking.nat = {
    enable = true;
    externalInterface = "enp1s0";
    internalInterfaces = [ "enp2s0" ];
  };
  networking.firewall.interfaces.enp2s0.allowedUDPPorts = [ 67 ];

  services.kea.dhcp4 = {
    enable = true;
    settings = {
      interfaces-config.interfaces = [ "enp2s0" ];
      lease-database = {
        type = "memfile";
        persist = true;
        name = "/var/lib/kea/dhcp4.leases";
      };
      subnet4 = [
        {
          id = 1;
          subnet = "192.168.1.0/24";
          pools = [ { pool = "192.168.1.100 - 192.168.1.200"; } ];
          option-data = [
            {
              name = "routers";
              data = "192.168.1.1";
            }
          ];
        }
      ];
    };
  };
}
