# nfdump's nfcapd at port 2055, goflow2 at port 2056.
{ pkgs, ... }:
let
  # With a directory of its own below /var/lib, in which it may write and nowhere else.
  collect = name: command: {
    wantedBy = [ "multi-user.target" ];
    after = [ "network.target" ];
    serviceConfig = {
      ExecStart = command;
      DynamicUser = true;
      StateDirectory = name;
      Restart = "on-failure";
    };
  };
in
{
  # A new file every 5 s, so that a first look shows something; 300 s are more usual.
  systemd.services.nfcapd = collect "nfcapd" "${pkgs.nfdump}/bin/nfcapd -p 2055 -t 5 -w /var/lib/nfcapd";

  systemd.services.goflow2 = collect "goflow2" "${pkgs.goflow2}/bin/goflow2 -listen netflow://:2056 -transport.file /var/lib/goflow2/flows.json";

  environment.systemPackages = [ pkgs.nfdump ];
  networking.firewall.allowedUDPPorts = [
    2055
    2056
  ];
}
