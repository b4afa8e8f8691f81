# Each is refused, and the reason names the option.
{
  lib,
  evaluate,
  extend,
}:
let
  inherit (lib) mkForce;
  settings = value: extend { services.conntally.settings = value; };
  history = value: extend { services.conntally.history = value // { enable = true; }; };
in
{
  noCollector = evaluate { services.conntally.enable = true; };
  noPort = extend { services.conntally.collector = mkForce "192.0.2.10"; };
  badPort = extend { services.conntally.collector = mkForce "192.0.2.10:65536"; };
  badElement = settings { collector = [ { address = "[::1:2055"; } ]; };
  unknownKey = settings { flow.activ_timeout = "60s"; };
  unknownTable = settings { flows = { }; };
  badWord = settings { log.level = "loud"; };
  badDuration = settings { flow.idle_timeout = "15"; };
  badNumber = settings { conntrack.max_cpu = 0; };
  noAction = settings { filter = [ { ports = [ 53 ]; } ]; };
  emptyCondition = settings {
    filter = [
      {
        action = "exclude";
        ports = [ ];
      }
    ];
  };
  fileAndSettings = extend { services.conntally.configFile = "/run/secrets/conntally.toml"; };
  alertOnNothing = extend { services.conntally.alerts.enable = true; };
  devicesWithoutMetrics = extend { services.conntally.metrics.devices = true; };
  devicesNotCounted = extend {
    services.conntally.metrics.enable = true;
    services.conntally.metrics.devices = true;
    services.conntally.devices.enable = false;
  };
  badMAC = extend {
    services.conntally.devices.named = [
      {
        name = "tv";
        mac = "02:00:00:00:01";
      }
    ];
  };
  noName = extend { services.conntally.devices.named = [ { mac = "02:00:00:00:00:01"; } ]; };
  twice = extend {
    services.conntally.devices.max = 10;
    services.conntally.settings.devices.max = 20;
  };
  openNothing = extend { services.conntally.openFirewall = true; };
  pageForAnyone = history { web.listenAddress = "0.0.0.0"; };
  passwordOfNobody = history { web.passwordFile = "/run/secrets/password"; };
  unknownHistoryKey = history { settings.web.port = 80; };
  badRetention = history { retention.hours = "60 days"; };
  badBillingDay = history { billingDay = 32; };
}
