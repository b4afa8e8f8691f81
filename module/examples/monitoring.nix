# Who uses the line: Prometheus and Grafana on the router itself, with conntally's dashboards
# and alert rules. Grafana is at http://127.0.0.1:3000.
{ config, ... }:
let
  conntally = config.services.conntally;
in
{
  services.conntally = {
    enable = true;
    collector = "192.168.1.2:2055";
    metrics = {
      enable = true;
      devices = true;
      labels.site = "home";
    };
    devices = {
      named = [
        {
          name = "smart-tv";
          mac = "02:00:00:00:00:01";
        }
        {
          # Wired and wireless: one device.
          name = "laptop";
          mac = [
            "02:00:00:00:00:02"
            "02:00:00:00:00:03"
          ];
        }
      ];
      exclude = [ "192.168.1.250" ];
      offlineAfter = "10m";
    };
    control.group = "wheel"; # conntally top without sudo
    alerts = {
      enable = true;
      downloadBitsPerSecond = 50 * 1000 * 1000;
      quotaBytes = 1000 * 1000 * 1000 * 1000;
      deviceQuotas.smart-tv = 200 * 1000 * 1000 * 1000;
      billingDay = 15;
      alwaysOn = [ "laptop" ];
    };
  };

  services.prometheus = {
    enable = true;
    listenAddress = "127.0.0.1";
    retentionTime = "40d"; # a month for quotas, and a few days more
    scrapeConfigs = [
      {
        job_name = "conntally";
        scrape_interval = "15s";
        static_configs = [ { targets = [ "127.0.0.1:${toString conntally.metrics.port}" ]; } ];
      }
    ];
  };

  services.grafana = {
    enable = true;
    # A random string in a file: openssl rand -hex 32
    settings.security.secret_key = "$__file{/var/lib/grafana/secret-key}";
    provision = {
      enable = true;
      datasources.settings.datasources = [
        {
          name = "Prometheus";
          type = "prometheus";
          url = "http://127.0.0.1:${toString config.services.prometheus.port}";
          isDefault = true;
        }
      ];
      dashboards.settings.providers = [
        {
          name = "conntally";
          options.path = conntally.dashboards;
        }
      ];
    };
  };
}
