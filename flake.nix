{
  description = "NetFlow and IPFIX export of the kernel's connection tracking";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";

  outputs =
    { self, nixpkgs }:
    let
      inherit (nixpkgs) lib;
      eachSystem =
        systems: outputs: lib.genAttrs systems (system: outputs nixpkgs.legacyPackages.${system});

      virtualMachines = [
        "x86_64-linux"
        "aarch64-linux"
      ];
      linux = virtualMachines ++ [
        "armv7l-linux"
        "riscv64-linux"
      ];
    in
    {
      packages = eachSystem linux (pkgs: rec {
        conntally = pkgs.callPackage ./module/package.nix { };
        default = conntally;
      });

      overlays.default = final: _: {
        conntally = final.callPackage ./module/package.nix { };
      };

      # The key makes a second import harmless.
      nixosModules.default = {
        key = "github:conntally/conntally#nixosModules.default";
        imports = [ ./module ];
      };

      checks =
        eachSystem linux (pkgs: {
          package = self.packages.${pkgs.stdenv.hostPlatform.system}.default;
        })
        // eachSystem virtualMachines (pkgs: {
          package = self.packages.${pkgs.stdenv.hostPlatform.system}.default;
          router = pkgs.testers.runNixOSTest {
            imports = [ ./module/test.nix ];
            defaults.imports = [ self.nixosModules.default ];
          };
        });

      devShells = eachSystem linux (pkgs: {
        default = pkgs.mkShellNoCC {
          inputsFrom = [ self.packages.${pkgs.stdenv.hostPlatform.system}.default ];
          packages = [
            pkgs.golangci-lint
            pkgs.goflow2
            pkgs.nfdump
            pkgs.nftables
          ];
        };
      });

      formatter = eachSystem linux (pkgs: pkgs.nixfmt-tree);
    };
}
