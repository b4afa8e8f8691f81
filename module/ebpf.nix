# Ends of connections by eBPF: services.conntally.ebpf, and what loading the program takes, as in
# systemd/ebpf.conf; a test compares the two.
{ config, lib, ... }:
let
  cfg = config.services.conntally;
  isFile = cfg.configFile != null;
  capabilities = [ "CAP_BPF CAP_PERFMON CAP_SYS_ADMIN" ];
in
{
  options.services.conntally.ebpf.enable = lib.mkEnableOption ''
    reading ends of connections by an eBPF program, which costs less CPU. The service has the
    capabilities that loading it takes until it is loaded. {option}`configFile` has to say
    `source = "bpf"` or `"auto"` itself; else this does, and
    {option}`settings.conntrack.source` has the same effect
  '';

  config = lib.mkIf cfg.enable {
    services.conntally.settings = lib.mkIf (cfg.ebpf.enable && !isFile) {
      conntrack.source = lib.mkDefault "bpf";
    };

    systemd.services.conntally.serviceConfig =
      lib.mkIf (if isFile then cfg.ebpf.enable else cfg.settings.conntrack.source != "netlink")
        {
          AmbientCapabilities = lib.mkAfter capabilities;
          CapabilityBoundingSet = lib.mkAfter capabilities;
          SystemCallFilter = lib.mkAfter [ "bpf perf_event_open capset" ];
        };
  };
}
