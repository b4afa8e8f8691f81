{
  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";
  inputs.conntally.url = "github:conntally/conntally";
  inputs.conntally.inputs.nixpkgs.follows = "nixpkgs";

  outputs =
    { nixpkgs, conntally, ... }:
    {
      nixosConfigurations.router = nixpkgs.lib.nixosSystem {
        modules = [
          # ./configuration.nix, and what else there is
          conntally.nixosModules.default
          {
            services.conntally.enable = true;
            services.conntally.collector = "192.0.2.10:2055";
          }
        ];
      };
    };
}
