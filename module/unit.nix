# What systemd gives conntally and what it withholds, as in systemd/conntally.service;
# a test compares the two.
{
  Type = "notify";
  Restart = "on-failure";
  RestartSec = 5;
  # A wrong configuration stays wrong. A crash, or the watchdog, would end the program with the same
  # status, but for the variable: with it a signal ends it.
  RestartPreventExitStatus = 2;
  Environment = "GOTRACEBACK=crash";
  WatchdogSec = 30;

  # Flows, which are printed where no collector is named, are not for the journal.
  StandardOutput = "null";
  StandardError = "journal";

  StateDirectory = "conntally";
  StateDirectoryMode = "0700";
  # For the control socket, which root and the service's group may use.
  RuntimeDirectory = "conntally";
  RuntimeDirectoryMode = "0750";
  UMask = "0077";

  DynamicUser = true;
  # To read connection tracking.
  AmbientCapabilities = "CAP_NET_ADMIN";
  CapabilityBoundingSet = "CAP_NET_ADMIN";
  # To turn on its counters and time stamps.
  ReadWritePaths = "-/proc/sys/net/netfilter";
  # Netlink, collectors, and AF_UNIX for the manager itself.
  RestrictAddressFamilies = "AF_INET AF_INET6 AF_NETLINK AF_UNIX";

  DevicePolicy = "closed";
  KeyringMode = "private";
  LockPersonality = true;
  MemoryDenyWriteExecute = true;
  NoNewPrivileges = true;
  PrivateDevices = true;
  PrivateMounts = true;
  PrivateTmp = true;
  ProtectClock = true;
  ProtectControlGroups = true;
  ProtectHome = true;
  ProtectHostname = true;
  ProtectKernelLogs = true;
  ProtectKernelModules = true;
  ProtectKernelTunables = true;
  ProtectProc = "invisible";
  ProtectSystem = "strict";
  RemoveIPC = true;
  RestrictNamespaces = true;
  RestrictRealtime = true;
  RestrictSUIDSGID = true;
  SystemCallArchitectures = "native";
  SystemCallErrorNumber = "EPERM";
  SystemCallFilter = [
    "@system-service"
    "~@privileged @resources"
  ];
}
