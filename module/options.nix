# What can be said of services.conntally; devices.nix, alerts.nix, history.nix and kernel.nix
# have the options of what each of them does.
{ lib, pkgs, ... }:
let
  values = import ./types.nix { inherit lib; };
in
{
  options.services.conntally = {
    enable = lib.mkEnableOption "conntally, which exports connection tracking as NetFlow v9 or IPFIX";

    package = lib.mkPackageOption pkgs "conntally" { };

    collector = lib.mkOption {
      type = lib.types.coercedTo values.address lib.singleton (lib.types.listOf values.address);
      default = [ ];
      example = "192.0.2.10:2055";
      description = "Where to export to: host and port, or several; IPv6 addresses in brackets.";
    };

    protocol = lib.mkOption {
      type = lib.types.enum [
        "ipfix"
        "netflow9"
      ];
      default = "ipfix";
      description = "What to send to {option}`services.conntally.collector`.";
    };

    settings = lib.mkOption {
      type = lib.types.submodule (import ./settings.nix { inherit lib; });
      example = lib.literalExpression ''
        {
          flow.active_timeout = "5m";
          filter = [ { action = "exclude"; protocols = [ "icmp" ]; } ];
        }
      '';
      description = "All else that the configuration file can have, see docs/configuration.md.";
    };

    configFile = lib.mkOption {
      type = lib.types.nullOr lib.types.path;
      default = null;
      example = "/run/secrets/conntally.toml";
      description = ''
        A configuration file instead of all the options that make one. Outside of the
        store it is not checked when the system is built, and a change of it not noticed. The
        service's own user has to be able to read it, such as by mode 0444.
      '';
    };

    metrics = {
      enable = lib.mkEnableOption "metrics for Prometheus";
      listenAddress = lib.mkOption {
        type = lib.types.str;
        default = "127.0.0.1";
        example = "::";
        description = "The address to serve them on.";
      };
      port = lib.mkOption {
        type = lib.types.port;
        default = 9469;
        description = "The port to serve them on.";
      };
    };

    openFirewall = lib.mkOption {
      type = lib.types.bool;
      default = false;
      description = "Open the port of the metrics in the firewall. Exporting needs none.";
    };
  };

  config.services.conntally.package = lib.mkDefault (
    pkgs.conntally or (pkgs.callPackage ./package.nix { })
  );
}
