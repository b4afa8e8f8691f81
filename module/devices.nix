# What is counted by device, and who may ask: services.conntally.devices, and what metrics
# and control have of it.
{
  config,
  lib,
  options,
  ...
}:
let
  inherit (lib) mkOption types;
  cfg = config.services.conntally;
  own = options.services.conntally;
  values = import ./types.nix { inherit lib; };

  # Names, types and defaults are those of settings.
  keys = (import ./settings.nix { inherit lib; }).options;

  pass = import ./pass.nix { inherit lib; };

  oneOrMore =
    type: description:
    mkOption {
      type = types.coercedTo type lib.singleton (types.listOf type);
      default = [ ];
      inherit description;
    };
in
{
  options.services.conntally = {
    devices = {
      inherit (keys.devices)
        enable
        max
        networks
        exclude
        leases
        ;
      offlineAfter = keys.devices.offline_after;

      named = mkOption {
        type = types.listOf (
          types.submodule {
            options = {
              name = mkOption {
                type = values.deviceName;
                example = "smart-tv";
                description = "Letters, digits, spaces and any of `- _ .`";
              };
              mac = oneOrMore values.mac "Ethernet addresses, or one.";
              address = oneOrMore values.ip "Addresses of what is no neighbour, or one.";
            };
          }
        );
        default = [ ];
        example = lib.literalExpression ''
          [
            { name = "smart-tv"; mac = "02:00:00:00:00:01"; }
            { name = "server"; mac = "02:00:00:00:00:02"; address = "192.0.2.122"; }
          ]
        '';
        description = "Devices with names of their own. What one lists is counted as one device.";
      };

      readPrivateLeases = mkOption {
        type = types.bool;
        default = false;
        description = ''
          Let the service read any file (CAP_DAC_READ_SEARCH), for leases that only the DHCP
          server may read, as those of Kea.
        '';
      };
    };

    metrics = {
      inherit (keys.metrics) devices labels;
    };

    control = {
      enable = mkOption {
        type = types.bool;
        default = true;
        description = "Answer `conntally status`, `devices`, `flows` and `top`.";
      };
      group = mkOption {
        type = types.nullOr types.str;
        default = null;
        example = "wheel";
        description = "A group whose members may ask, too; else root alone may.";
      };
    };
  };

  config = lib.mkIf cfg.enable {
    assertions = [
      {
        assertion = cfg.metrics.devices -> cfg.metrics.enable;
        message = ''
          services.conntally.metrics.devices adds to metrics, which are off. Set
          services.conntally.metrics.enable = true, or leave it out.
        '';
      }
      {
        assertion = cfg.metrics.devices -> cfg.devices.enable;
        message = ''
          services.conntally.metrics.devices shows devices, which are not counted. Leave
          services.conntally.devices.enable = false out, or metrics.devices.
        '';
      }
    ];

    services.conntally.settings = lib.mkMerge [
      (pass own.devices.enable (enable: { devices = { inherit enable; }; }))
      (pass own.devices.max (max: { devices = { inherit max; }; }))
      (pass own.devices.networks (networks: { devices = { inherit networks; }; }))
      (pass own.devices.exclude (exclude: { devices = { inherit exclude; }; }))
      (pass own.devices.leases (leases: { devices = { inherit leases; }; }))
      (pass own.devices.offlineAfter (offline_after: { devices = { inherit offline_after; }; }))
      (pass own.devices.named (device: { inherit device; }))
      (pass own.metrics.devices (devices: { metrics = { inherit devices; }; }))
      (pass own.metrics.labels (labels: { metrics = { inherit labels; }; }))
      (lib.mkIf (!cfg.control.enable) { control.socket = ""; })
    ];

    systemd.services.conntally.serviceConfig = lib.mkMerge [
      (lib.mkIf (cfg.control.group != null) { Group = cfg.control.group; })
      (lib.mkIf cfg.devices.readPrivateLeases {
        AmbientCapabilities = [ "CAP_DAC_READ_SEARCH" ];
        CapabilityBoundingSet = [ "CAP_DAC_READ_SEARCH" ];
        # A service with DynamicUser sees nothing else of /var/lib/private.
        BindReadOnlyPaths = [ "-/var/lib/private/kea" ];
      })
    ];
  };
}
