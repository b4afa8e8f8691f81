# What we want to know of a system.
{ lib }:
let
  lines = keep: text: lib.filter keep (lib.splitString "\n" text);
  ours = lines (lib.hasInfix "conntally");

  # Without hashes and versions, which are nixpkgs' own.
  short =
    text:
    lib.concatMapStrings (part: if lib.isList part then "/nix/store/${lib.head part}" else part) (
      builtins.split "/nix/store/[a-z0-9]+-([a-z]+)-[^/]*" text
    );

  # The environment is any unit's, the triggers are recorded on their own.
  unitOf =
    config: name:
    lines (line: line != "" && !lib.hasPrefix "Environment=" line && !lib.hasPrefix "X-Re" line) (
      short config.systemd.units.${name}.text
    );

  # A path in the flake or on the machine.
  isFile = value: builtins.isPath value || lib.hasPrefix "/" value;
  named = file: if builtins.isPath file then baseNameOf file else file;

  # A machine without the exporter has none of this.
  exporter =
    config:
    let
      inherit (config.networking) firewall nftables;
      inherit (config.environment.etc."conntally.toml") source;
      file = source.file or source;
    in
    {
      checked = source ? file;
      file = file.value or (named file);
      unit = unitOf config "conntally.service";
      restart = map (
        trigger: if isFile trigger then named trigger else builtins.fromJSON trigger
      ) config.systemd.services.conntally.restartTriggers;
      sysctls = lib.filterAttrs (name: _: lib.hasInfix "conntrack" name) config.boot.kernel.sysctl;
      kernelModules = lib.filter (lib.hasInfix "conntrack") config.boot.kernelModules;
      nftables = lib.mapAttrs (_: table: "${table.family} ${table.content}") (
        lib.filterAttrs (name: _: lib.hasPrefix "conntally" name) nftables.tables
      );
      iptables = ours firewall.extraCommands;
      iptablesStop = ours firewall.extraStopCommands;
      # The program's own rules, and those that the options make.
      alerts = map (
        rules: if rules ? text then builtins.fromJSON rules.text else baseNameOf rules
      ) config.services.prometheus.ruleFiles;
    };

  history =
    config:
    let
      inherit (config.environment.etc."conntally-history.toml") source;
      file = source.file or source;
      trigger = lib.head config.systemd.services.conntally-history.restartTriggers;
    in
    {
      checked = source ? file;
      file = file.value;
      unit = unitOf config "conntally-history.service";
      restart = trigger == source;
    };
in
{
  # After all of it has been evaluated.
  outcome =
    { config, ... }:
    builtins.seq config.system.build.toplevel.drvPath (
      lib.mapAttrs (_: value: if config.services.conntally.enable then value else null) (exporter config)
      // {
        ports = config.networking.firewall.allowedTCPPorts;
        warnings = lib.filter (lib.hasInfix "conntally") config.warnings;
        history = if config.services.conntally.history.enable then history config else null;
      }
    );

  difference = reference: one: lib.filterAttrs (name: value: value != reference.${name}) one;
}
