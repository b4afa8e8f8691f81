# Who used the line, this month and last: the router exports to the history beside it, whose page
# the LAN may read at http://192.168.1.1:9470.
{
  services.conntally.history = {
    enable = true;
    billingDay = 15;
    retention.hours = "90d";
    services = true; # those with serviceConfig.IPAccounting
    web = {
      listenAddress = "192.168.1.1";
      openFirewall = true;
      user = "me";
      passwordFile = "/run/secrets/history-password"; # mkpasswd -m bcrypt
    };
    settings.report.quota = "1TB";
  };
  services.conntally.devices.named = [
    {
      name = "smart-tv";
      mac = "02:00:00:00:00:01";
    }
  ];

  systemd.services.nginx.serviceConfig.IPAccounting = true;
  services.nginx.enable = true;
}
