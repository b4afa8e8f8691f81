# The keys of conntally-history's configuration file, as options. As in settings.nix there is no
# freeformType, and a test holds names and defaults to the program's own.
{ lib }:
let
  inherit (lib) mkOption types;
  values = import ./types.nix { inherit lib; };
  exporter = (import ./settings.nix { inherit lib; }).options;

  setting =
    type: default: description:
    mkOption { inherit type default description; };

  flag = description: setting types.bool false description;
  file = description: setting types.str "" description;
in
{
  options = {
    database = {
      path = file ''
        The database; `""` is history.db in the directory that systemd provides, and the only
        one that the unit may write to.
      '';
      flush_interval = setting values.age "5m" "How often it is written; a crash loses what came since.";
      max_size = setting values.amount "512MiB" "Beyond it, the oldest details go first.";
      hours = setting values.age "60d" "How long usage by hour is kept; then it is kept by day.";
      days = setting values.age "1095d" "How long usage by day is kept; then it is kept by month.";
      destinations = setting values.age "90d" "How long destinations are kept.";
      destinations_per_device = setting (types.ints.between 1 10000) 200 ''
        Of a day, the largest; the rest is added up.
      '';
    };

    collector = {
      address = setting values.address "127.0.0.1:2056" "Where flow records are received.";
      exporters = setting (types.listOf values.network) [ ] ''
        Addresses and networks that may send; none: any.
      '';
      receive_buffer = setting values.amount "4MiB" "Of the socket.";
    };

    devices = {
      inherit (exporter.devices)
        networks
        exclude
        leases
        max
        ;
    };

    device = mkOption {
      type = types.listOf (
        types.submodule {
          options = {
            name = mkOption {
              type = values.deviceName;
              example = "smart-tv";
              description = "Letters, digits, spaces and any of `- _ .`";
            };
            mac = setting (types.listOf values.mac) [ ] "Ethernet addresses.";
            address = setting (types.listOf values.ip) [ ] "Addresses, of what is no neighbour.";
            quota = setting (types.either (types.enum [ "" ]) values.amount) "" ''
              By way of an uplink, per billing month; `""` is none.
            '';
          };
        }
      );
      default = [ ];
      description = ''
        Devices with names of their own, and quotas; {option}`services.conntally.devices.named`
        is the default.
      '';
    };

    report = {
      billing_day = setting (types.ints.between 1 31) 1 ''
        The day on which a month begins; the last one of a month that has no such day.
      '';
      quota = setting (types.either (types.enum [ "" ]) values.amount) "" ''
        Of all devices by way of an uplink, per billing month; `""` is none.
      '';
    };

    web = {
      enable = setting types.bool true "Serve the page, and metrics.";
      listen = setting values.listen "127.0.0.1:9470" "Host and port.";
      hosts = setting (types.listOf types.str) [ ] ''
        Names that the page may be called by, such as a proxy's.
      '';
      user = setting types.str "" "Who may read it; `\"\"` is anyone.";
      password_hash = setting types.str "" ''
        Of the user, by bcrypt. It is readable in the store; prefer
        {option}`services.conntally.history.web.passwordFile`.
      '';
      password_file = file "A file with the hash.";
      certificate = file "A PEM file, for HTTPS.";
      key = file "Of the certificate, a PEM file.";
      insecure = flag "Listen beyond loopback without a password.";
    };

    services = {
      enable = flag "Count what systemd's units with IPAccounting move.";
      interval = setting values.age "1m" "How often, 10s to 1h.";
    };

    inherit (exporter) log;
  };
}
