{
  services.conntally.enable = true;
  services.conntally.collector = "192.0.2.10:2055";
}
