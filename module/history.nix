# services.conntally.history: the second program, which keeps what the first one sends.
{
  config,
  lib,
  options,
  pkgs,
  utils,
  ...
}:
let
  inherit (lib) mkDefault mkOption types;
  cfg = config.services.conntally;
  inherit (cfg) history;
  own = options.services.conntally.history;

  # Names, types and defaults are those of settings.
  keys = (import ./history-settings.nix { inherit lib; }).options;
  pass = import ./pass.nix { inherit lib; };
  checked = import ./checked.nix { inherit lib pkgs; };

  path = "/etc/conntally-history.toml";
  file = (pkgs.formats.toml { }).generate "conntally-history.toml" (
    lib.filterAttrs (_: value: value != [ ]) history.settings
  );

  hostOf = address: lib.concatStringsSep ":" (lib.init (lib.splitString ":" address));
  portOf = address: lib.last (lib.splitString ":" address);
  isLoopback =
    address:
    lib.elem (hostOf address) [
      "localhost"
      "[::1]"
    ]
    || lib.hasPrefix "127." address;

  # Where the exporter on this machine reaches it.
  received = history.settings.collector.address;
  exportedTo =
    if
      lib.elem (hostOf received) [
        "0.0.0.0"
        "[::]"
      ]
    then
      "127.0.0.1:${portOf received}"
    else
      received;

  # The unit has its own user, which can't read a file of root's: systemd passes it on.
  credentials = "/run/credentials/conntally-history.service";
  hasPassword = history.web.passwordFile != null;
in
{
  options.services.conntally.history = {
    enable = lib.mkEnableOption ''
      conntally-history, which keeps who moved how much by hour, day and month, with reports
      and a web page. It turns {option}`services.conntally.enable` on as well, and has
      conntally send to it; set that to false on a machine that is sent records by others
    '';

    billingDay = keys.report.billing_day;

    retention = {
      inherit (keys.database) hours days destinations;
      size = keys.database.max_size;
    };

    services = mkOption {
      type = types.bool;
      default = false;
      description = ''
        Count what units of systemd move, too: those with `IPAccounting = true` in their
        `serviceConfig`.
      '';
    };

    web = {
      inherit (keys.web) enable hosts user;
      listenAddress = mkOption {
        type = types.str;
        default = "127.0.0.1";
        example = "192.168.1.1";
        description = "The address to serve the page on; any but loopback needs a password.";
      };
      port = mkOption {
        type = types.port;
        default = 9470;
        description = "The port to serve it on.";
      };
      passwordFile = mkOption {
        type = types.nullOr types.path;
        default = null;
        example = "/run/secrets/history-password";
        description = ''
          A file with the user's password as a bcrypt hash, as `mkpasswd -m bcrypt` prints it.
          Only root has to be able to read it.
        '';
      };
      openFirewall = mkOption {
        type = types.bool;
        default = false;
        description = "Open the page's port in the firewall.";
      };
    };

    settings = mkOption {
      type = types.submodule (import ./history-settings.nix { inherit lib; });
      example = lib.literalExpression ''
        {
          report.quota = "1TB";
          collector.address = "0.0.0.0:2056";
        }
      '';
      description = "All else that its configuration file can have, see docs/history.md.";
    };
  };

  config = lib.mkIf history.enable {
    assertions = [
      {
        assertion =
          let
            inherit (history.settings) web;
          in
          web.enable -> isLoopback web.listen || web.user != "" || web.insecure;
        message = ''
          services.conntally.history.web.listenAddress: anyone who reaches it could read the
          page. Set web.user and web.passwordFile, or settings.web.insecure = true.
        '';
      }
      {
        assertion = hasPassword -> history.settings.web.user != "";
        message = "services.conntally.history.web.passwordFile is of a user: set web.user.";
      }
    ];

    warnings = lib.optional (history.web.openFirewall && isLoopback history.settings.web.listen) ''
      services.conntally.history.web.openFirewall opens a port that is served on this host alone.
      Set services.conntally.history.web.listenAddress, such as to the router's own address.
    '';

    services.conntally = {
      enable = mkDefault true;

      # A file of one's own names its collectors itself.
      settings = lib.mkIf (cfg.configFile == null) {
        collector = [ { address = exportedTo; } ];
        flow.extra_fields = mkDefault [ "mac" ]; # devices are known by it
      };

      history.settings = lib.mkMerge [
        (lib.mkIf cfg.enable {
          devices = lib.mapAttrs (_: mkDefault) {
            inherit (cfg.settings.devices)
              networks
              exclude
              leases
              max
              ;
          };
          device = mkDefault cfg.settings.device;
        })
        (pass own.billingDay (billing_day: { report = { inherit billing_day; }; }))
        (pass own.retention.hours (hours: { database = { inherit hours; }; }))
        (pass own.retention.days (days: { database = { inherit days; }; }))
        (pass own.retention.destinations (destinations: { database = { inherit destinations; }; }))
        (pass own.retention.size (max_size: { database = { inherit max_size; }; }))
        (pass own.services (enable: { services = { inherit enable; }; }))
        (pass own.web.enable (enable: { web = { inherit enable; }; }))
        (pass own.web.hosts (hosts: { web = { inherit hosts; }; }))
        (pass own.web.user (user: { web = { inherit user; }; }))
        {
          web.listen = mkDefault (
            if lib.hasInfix ":" history.web.listenAddress then
              "[${history.web.listenAddress}]:${toString history.web.port}"
            else
              "${history.web.listenAddress}:${toString history.web.port}"
          );
        }
        (lib.mkIf hasPassword { web.password_file = "${credentials}/password"; })
      ];
    };

    networking.firewall.allowedTCPPorts = lib.mkIf history.web.openFirewall [ history.web.port ];

    environment.etc."conntally-history.toml".source = checked {
      inherit (cfg) package;
      command = "conntally-history serve --check-config --config conntally.toml";
      option = "services.conntally.history";
      inherit file;
    };
    environment.systemPackages = [ cfg.package ]; # for conntally-history report

    # DynamicUser takes this user: dbus-daemon doesn't answer users that it doesn't know.
    users = lib.mkIf history.settings.services.enable {
      users.conntally-history = {
        isSystemUser = true;
        group = "conntally-history";
      };
      groups.conntally-history = { };
    };

    systemd.services.conntally-history = {
      description = "History of what each device of the network moves";
      documentation = [
        "man:conntally-history(1)"
        "https://github.com/conntally/conntally"
      ];
      wantedBy = [ "multi-user.target" ];
      # At shutdown conntally sends what is pending, and that is received and written.
      after = [ "network.target" ];
      before = [ "conntally.service" ];
      restartTriggers = [ config.environment.etc."conntally-history.toml".source ];
      # What fails ten times in a minute goes on failing.
      startLimitIntervalSec = 60;
      startLimitBurst = 10;
      serviceConfig = lib.mkMerge [
        (import ./history-unit.nix)
        {
          ExecStart = utils.escapeSystemdExecArgs [
            (lib.getExe' cfg.package "conntally-history")
            "serve"
            "--config"
            path
          ];
        }
        # What units moved in their last minute stands in the journal.
        (lib.mkIf history.settings.services.enable { SupplementaryGroups = [ "systemd-journal" ]; })
        (lib.mkIf hasPassword {
          LoadCredential = [ "password:${toString history.web.passwordFile}" ];
        })
        (lib.mkIf cfg.devices.readPrivateLeases {
          AmbientCapabilities = [ "CAP_DAC_READ_SEARCH" ];
          CapabilityBoundingSet = [ "CAP_DAC_READ_SEARCH" ];
          # Rights in a namespace of users are none on files of others.
          PrivateUsers = lib.mkForce false;
          # A service with DynamicUser sees nothing else of /var/lib/private.
          BindReadOnlyPaths = [ "-/var/lib/private/kea" ];
        })
      ];
    };
  };
}
