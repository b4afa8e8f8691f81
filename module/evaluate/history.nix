# Each option and each key of history, with another value than its default.
{
  services.conntally = {
    devices = {
      networks = [ "10.8.0.0/24" ];
      named = [
        {
          name = "smart-tv";
          mac = "02:00:00:00:00:01";
          address = "192.0.2.122";
        }
      ];
      readPrivateLeases = true;
    };
    history = {
      enable = true;
      billingDay = 15;
      services = true;
      retention = {
        hours = "90d";
        days = "3650d";
        destinations = "30d";
        size = "2GiB";
      };
      web = {
        listenAddress = "::";
        port = 9999;
        openFirewall = true;
        hosts = [ "history.example.net" ];
        user = "me";
        passwordFile = "/run/secrets/history-password";
      };
      settings = {
        database = {
          path = "/var/lib/conntally-history/other.db";
          flush_interval = "1m";
          destinations_per_device = 100;
        };
        collector = {
          address = "0.0.0.0:2057";
          exporters = [
            "127.0.0.1"
            "192.0.2.0/24"
          ];
          receive_buffer = "8MiB";
        };
        devices = {
          exclude = [ "192.0.2.250" ];
          leases = [ "/var/lib/kea/dhcp4.leases" ];
          max = 1000;
        };
        report.quota = "1TB";
        web = {
          certificate = "/var/lib/acme/certificate.pem";
          key = "/var/lib/acme/key.pem";
          insecure = true;
        };
        services.interval = "30s";
        log = {
          level = "debug";
          format = "json";
        };
      };
    };
  };
}
