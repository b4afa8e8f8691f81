# What systemd gives conntally-history and what it withholds, as in
# systemd/conntally-history.service; a test compares the two.
{
  Type = "notify";
  Restart = "on-failure";
  RestartSec = 5;
  # A wrong configuration stays wrong. A crash, or the watchdog, would end the program with the same
  # status, but for the variable: with it a signal ends it.
  RestartPreventExitStatus = 2;
  Environment = "GOTRACEBACK=crash";
  WatchdogSec = 30;

  # The database.
  StateDirectory = "conntally-history";
  StateDirectoryMode = "0700";
  UMask = "0077";

  DynamicUser = true;
  CapabilityBoundingSet = "";
  # Records, the web page, neighbours by netlink, and AF_UNIX for the manager itself.
  RestrictAddressFamilies = "AF_INET AF_INET6 AF_NETLINK AF_UNIX";

  DevicePolicy = "closed";
  KeyringMode = "private";
  LockPersonality = true;
  MemoryDenyWriteExecute = true;
  NoNewPrivileges = true;
  PrivateDevices = true;
  PrivateMounts = true;
  PrivateTmp = true;
  PrivateUsers = true;
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
