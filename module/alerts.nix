# services.conntally.alerts: rules for a Prometheus, and dashboards for a Grafana.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkOption types;
  cfg = config.services.conntally;
  values = import ./types.nix { inherit lib; };

  own = cfg.configFile != null;
  hasDevices = own || cfg.metrics.devices;

  rules = import ./rules.nix {
    inherit (cfg.alerts) quotaBytes billingDay;
    uploadBitsPerSecond = ifDevices null cfg.alerts.uploadBitsPerSecond;
    downloadBitsPerSecond = ifDevices null cfg.alerts.downloadBitsPerSecond;
    newDevices = hasDevices && cfg.alerts.newDevices;
    offlineDevices = hasDevices && cfg.alerts.offlineDevices;
    alwaysOn = ifDevices [ ] cfg.alerts.alwaysOn;
    deviceQuotaBytes = ifDevices null cfg.alerts.deviceQuotaBytes;
    deviceQuotas = ifDevices { } cfg.alerts.deviceQuotas;
  };
  ifDevices = otherwise: value: if hasDevices then value else otherwise;

  threshold =
    example: description:
    mkOption {
      type = types.nullOr types.ints.positive;
      default = null;
      inherit example description;
    };

  rule =
    description:
    mkOption {
      type = types.bool;
      default = true;
      inherit description;
    };
in
{
  options.services.conntally = {
    alerts = {
      enable = lib.mkEnableOption ''
        alert rules in {option}`services.prometheus.ruleFiles`: of conntally's own health, and
        with {option}`services.conntally.metrics.devices` of devices
      '';
      uploadBitsPerSecond = threshold 10000000 "Alert on a device that uploads more for 10 minutes.";
      downloadBitsPerSecond = threshold 50000000 "Alert on a device that downloads more for 10 minutes.";
      newDevices = rule "Alert on a device that was first seen in the last hour.";
      offlineDevices = rule "Alert on a device that is offline and was online for nearly a day.";
      alwaysOn = mkOption {
        type = types.listOf values.deviceName;
        default = [ ];
        example = [ "nas" ];
        description = "Names of devices to alert on whenever they are offline.";
      };
      quotaBytes = threshold 1000000000000 ''
        Alert when the uplink has moved more in a month. Prometheus has to keep 31 days
        ({option}`services.prometheus.retentionTime`).
      '';
      deviceQuotaBytes = threshold 200000000000 "Alert on a device that moves more in a month.";
      deviceQuotas = mkOption {
        type = types.attrsOf types.ints.positive;
        default = { };
        example = {
          smart-tv = 50000000000;
        };
        description = "The same by the device's name.";
      };
      billingDay = mkOption {
        type = types.ints.between 1 28;
        default = 1;
        description = "The day on which a month begins, in UTC.";
      };
      ruleFiles = mkOption {
        type = types.listOf types.path;
        readOnly = true;
        description = "The files of these rules, for a Prometheus on another machine.";
      };
    };

    dashboards = mkOption {
      type = types.path;
      readOnly = true;
      description = "A directory of dashboards for Grafana's provisioning.";
    };
  };

  config = {
    services.conntally = {
      dashboards = ../docs/monitoring;
      alerts.ruleFiles = [
        ../docs/monitoring/alerts.yml
        (pkgs.writeText "conntally-devices.rules" (builtins.toJSON rules))
      ];
    };

    assertions = [
      {
        assertion = cfg.enable && cfg.alerts.enable && !own -> cfg.metrics.enable;
        message = ''
          services.conntally.alerts are on metrics, which are off. Set
          services.conntally.metrics.enable = true, or leave alerts out.
        '';
      }
    ];

    services.prometheus.ruleFiles = lib.mkIf (cfg.enable && cfg.alerts.enable) cfg.alerts.ruleFiles;
  };
}
