{
  evaluate,
  extend,
  inputs,
  lib,
  machine,
  minimal,
}:
{
  minimal = evaluate minimal;

  # The example, whose flake has the module a second time, and the package by overlay.
  flake = ((import ../examples/flake.nix).outputs inputs).nixosConfigurations.router.extendModules {
    modules = [
      machine
      inputs.conntally.nixosModules.default
      { nixpkgs.overlays = [ inputs.conntally.overlays.default ]; }
    ];
  };

  router = evaluate ../examples/router.nix;
  everything = extend ./everything.nix;
  collectors = extend ../examples/collectors.nix;
  monitoring = evaluate ../examples/monitoring.nix;

  container =
    (extend {
      containers.inside = {
        privateNetwork = true;
        config.imports = [
          ../.
          minimal
        ];
      };
    }).config.containers.inside;

  overruled = extend { boot.kernel.sysctl."net.netfilter.nf_conntrack_timestamp" = 0; };

  file = evaluate {
    services.conntally.enable = true;
    services.conntally.configFile = ../../cmd/conntally/config/reference.toml;
  };

  secret = evaluate {
    services.conntally.enable = true;
    services.conntally.configFile = "/run/secrets/conntally.toml";
  };

  # For a machine whose programs the builder can't run.
  cross = extend {
    nixpkgs.buildPlatform = "x86_64-linux";
    nixpkgs.hostPlatform = lib.mkForce "aarch64-linux";
  };

  # Alerts on what conntally itself says, and on the uplink.
  alerts = extend {
    services.conntally.metrics.enable = true;
    services.conntally.alerts.enable = true;
    services.conntally.alerts.quotaBytes = 1000000000000;
  };

  private = extend {
    services.conntally.devices.leases = [ "/var/lib/kea/dhcp4.leases" ];
    services.conntally.devices.readPrivateLeases = true;
  };

  # Ends by eBPF: by the option, by the setting, by a file that says so itself.
  ebpf = extend { services.conntally.ebpf.enable = true; };
  ebpfBySetting = extend { services.conntally.settings.conntrack.source = "auto"; };
  ebpfBesideFile = evaluate {
    services.conntally.enable = true;
    services.conntally.configFile = ../../cmd/conntally/config/reference.toml;
    services.conntally.ebpf.enable = true;
  };
  ebpfRefused = extend {
    services.conntally.ebpf.enable = true;
    services.conntally.settings.conntrack.source = "netlink";
  };

  withoutDevices = extend { services.conntally.devices.enable = false; };
  withoutControl = extend { services.conntally.control.enable = false; };

  loopback = extend {
    services.conntally.openFirewall = true;
    services.conntally.metrics.enable = true;
  };

  # The one line that keeps history, on a router; and all that it can have.
  history = evaluate ../examples/history.nix;
  historyAlone = evaluate { services.conntally.history.enable = true; };
  historyEverything = extend ./history.nix;

  # A machine that is sent records by others.
  historyElsewhere = evaluate {
    services.conntally.enable = false;
    services.conntally.history.enable = true;
    services.conntally.history.settings.collector.address = "[::]:2056";
  };

  historyBesideFile = evaluate {
    services.conntally.configFile = ../../cmd/conntally/config/reference.toml;
    services.conntally.history.enable = true;
    services.conntally.history.web.openFirewall = true;
  };

  # What tracks connections, or nothing does.
  iptables = extend { services.conntally.enableTracking = true; };

  nftables = extend {
    services.conntally.enableTracking = true;
    networking.nftables.enable = true;
  };

  alone = extend {
    services.conntally.enableTracking = true;
    networking.firewall.enable = false;
  };

  untracked = extend { networking.firewall.enable = false; };

  untrackedByNftables = extend {
    networking.firewall.enable = false;
    networking.nftables.enable = true;
    networking.nftables.tables.filter = {
      family = "inet";
      content = "chain input { type filter hook input priority filter; tcp dport 22 accept; }";
    };
  };

  ruleset = extend {
    networking.firewall.enable = false;
    networking.nftables.enable = true;
    networking.nftables.ruleset = ''
      table ip nat {
        chain postrouting {
          type nat hook postrouting priority srcnat;
          oifname "wan0" masquerade
        }
      }
    '';
  };
}
