# The NixOS module services.conntally, see docs/nixos.md: its configuration file, its
# service.
{
  config,
  lib,
  options,
  pkgs,
  utils,
  ...
}:
let
  cfg = config.services.conntally;
  inherit (config.networking) firewall nftables;
  format = pkgs.formats.toml { };

  # What is null or an empty list of tables doesn't stand in the file.
  present = lib.filterAttrs (_: value: value != null);
  settings =
    lib.filterAttrs (_: value: value != [ ]) cfg.settings
    // lib.optionalAttrs (cfg.settings.filter != [ ]) { filter = map present cfg.settings.filter; };

  file = if cfg.configFile != null then cfg.configFile else format.generate "conntally.toml" settings;

  # What a reload can't change; a test compares with what the program says.
  restarting = {
    flow = removeAttrs settings.flow [
      "active_timeout"
      "idle_timeout"
      "nat"
      "max_flows"
    ];
    conntrack = removeAttrs settings.conntrack [
      "poll_interval"
      "max_cpu"
    ];
    devices = { inherit (settings.devices) enable leases; };
    inherit (settings) control metrics;
    log = removeAttrs settings.log [ "level" ];
  };

  checked = import ./checked.nix { inherit lib pkgs; };

  # The path stays when the file changes, so that it is re-read and not a restart.
  path = "/etc/conntally.toml";
  command =
    arguments:
    utils.escapeSystemdExecArgs (
      [
        (lib.getExe cfg.package)
        "run"
        "--config"
        path
      ]
      ++ arguments
    );

  # No firewall of the system's own can have connections tracked.
  tracksItself = cfg.enableTracking && !nftables.enable && !firewall.enable;

  inherit (cfg.metrics) listenAddress port;
  listen =
    if lib.hasInfix ":" listenAddress then
      "[${listenAddress}]:${toString port}"
    else
      "${listenAddress}:${toString port}";
in
{
  imports = [
    ./options.nix
    ./devices.nix
    ./alerts.nix
    ./kernel.nix
    ./ebpf.nix
    ./history.nix
  ];

  config = lib.mkIf cfg.enable {
    assertions = [
      {
        assertion = cfg.configFile != null || cfg.settings.collector != [ ];
        message = ''
          services.conntally.collector: where to export to is missing. Set it to a collector's
          host and port, such as services.conntally.collector = "192.0.2.10:2055";
        '';
      }
      {
        assertion = cfg.configFile == null || !options.services.conntally.settings.isDefined;
        message = ''
          services.conntally.configFile takes the place of collector, metrics and settings: put
          them into that file, or leave configFile out.
        '';
      }
      {
        assertion = cfg.openFirewall -> cfg.metrics.enable;
        message = ''
          services.conntally.openFirewall opens the port of the metrics, which are off. Set
          services.conntally.metrics.enable = true, or leave openFirewall out.
        '';
      }
    ];

    warnings =
      lib.optional
        (
          cfg.openFirewall
          && lib.elem listenAddress [
            "127.0.0.1"
            "::1"
            "localhost"
          ]
        )
        ''
          services.conntally.openFirewall opens a port that is served on this host alone. Set
          services.conntally.metrics.listenAddress, such as to "::".
        '';

    services.conntally.settings = lib.mkMerge [
      (lib.mkIf (cfg.collector != [ ]) {
        collector = map (address: {
          inherit address;
          inherit (cfg) protocol;
        }) cfg.collector;
      })
      (lib.mkIf cfg.metrics.enable { metrics = { inherit listen; }; })
    ];

    networking.firewall.allowedTCPPorts = lib.mkIf cfg.openFirewall [ port ];

    environment.etc."conntally.toml".source = checked {
      inherit (cfg) package;
      command = "conntally run --check-config --config conntally.toml";
      option = "services.conntally";
      inherit file;
    };
    environment.systemPackages = [ cfg.package ]; # for conntally check

    systemd.services.conntally = {
      description = "NetFlow and IPFIX export of connection tracking";
      documentation = [
        "man:conntally(1)"
        "https://github.com/conntally/conntally"
      ];
      wantedBy = [ "multi-user.target" ];
      # What is pending is sent at shutdown, before the network goes.
      after = [
        "network.target"
        "nftables.service"
        "firewall.service"
        "firewalld.service"
      ];
      reloadTriggers = [ config.environment.etc."conntally.toml".source ];
      # What a file of one's own changes isn't looked into.
      restartTriggers = [
        (if cfg.configFile != null then cfg.configFile else builtins.toJSON restarting)
      ];
      # What fails ten times in a minute goes on failing.
      startLimitIntervalSec = 60;
      startLimitBurst = 10;
      serviceConfig = import ./unit.nix // {
        ExecStart = command (lib.optional tracksItself "--track");
        # A configuration that is no good fails the reload, and the old one stays.
        ExecReload = [
          (command [ "--check-config" ])
          "${lib.getExe' pkgs.coreutils "kill"} -HUP $MAINPID"
        ];
      };
    };
  };
}
