# What the kernel has to do for conntally: load connection tracking, count and time
# every connection from the first one after boot on, and track at all.
{
  config,
  lib,
  ...
}:
let
  cfg = config.services.conntally;
  inherit (config.networking) firewall nat nftables;

  iptables = firewall.enable && !nftables.enable && (firewall.backend or "iptables") == "iptables";

  # A chain in no hook: the mention of a connection's state is what counts.
  chain = "conntally-track";
  iptablesRemoval = ''
    ip46tables -F ${chain} 2>/dev/null || true
    ip46tables -X ${chain} 2>/dev/null || true
  '';

  # Line by line, for a regular expression over a whole ruleset may exhaust the stack.
  mentionsTracking =
    text:
    lib.any (
      line:
      lib.any (word: lib.hasInfix word line) [
        "ct "
        "masquerade"
        "snat"
        "dnat"
        "redirect"
      ]
    ) (lib.splitString "\n" text);

  rulesets = [
    nftables.ruleset
  ]
  ++ map (table: table.content) (lib.filter (table: table.enable) (lib.attrValues nftables.tables));

  tracks =
    firewall.enable
    || nat.enable
    || cfg.enableTracking
    || cfg.settings.conntrack.track
    || cfg.configFile != null # which may have it
    || nftables.enable && (nftables.rulesetFile != null || lib.any mentionsTracking rulesets);
in
{
  options.services.conntally.enableTracking = lib.mkEnableOption ''
    tracking of connections where no rule asks for it. The kernel tracks nothing, and
    conntally has nothing to export, before a firewall or NAT rule needs it; NixOS' own
    firewall and NAT do. This adds the smallest such rule, to nftables or iptables, whichever
    the system uses, else while conntally runs
  '';

  config = lib.mkIf cfg.enable (
    lib.mkMerge [
      # In a container the modules and what is global are the host's.
      (lib.mkIf (!config.boot.isContainer) {
        boot.kernelModules = [
          "nf_conntrack"
          "nf_conntrack_netlink"
        ];
        boot.kernel.sysctl = lib.mapAttrs (_: lib.mkDefault) {
          "net.netfilter.nf_conntrack_acct" = 1;
          "net.netfilter.nf_conntrack_timestamp" = 1;
          "net.netfilter.nf_conntrack_events" = 1;
        };
      })

      (lib.mkIf (cfg.enableTracking && nftables.enable) {
        networking.nftables.tables.${chain} = {
          family = "inet";
          content = "chain track { ct state new; };";
        };
      })

      (lib.mkIf (cfg.enableTracking && iptables) {
        networking.firewall.extraCommands = ''
          ${iptablesRemoval}ip46tables -N ${chain}
          ip46tables -A ${chain} -m conntrack --ctstate NEW
        '';
        networking.firewall.extraStopCommands = iptablesRemoval;
      })

      {
        warnings = lib.optional (!tracks) ''
          services.conntally: nothing on this system makes the kernel track connections, so
          there is nothing to export. Set services.conntally.enableTracking = true, or turn
          on networking.firewall, networking.nat or an nftables rule with "ct state".
        '';
      }
    ]
  );
}
