# Whole systems, evaluated with a real nixpkgs by `make nix-check NIXPKGS=DIR`: good
# ones, whose outcome evaluated.json records, and wrong ones.
{ nixpkgs }:
let
  lib = import (nixpkgs + "/lib");

  # Flakes as Nix calls them, but with the nixpkgs that is given.
  inputs = {
    nixpkgs = (import (nixpkgs + "/flake.nix")).outputs { self = inputs.nixpkgs; } // {
      outPath = nixpkgs;
    };
    conntally = (import ../../flake.nix).outputs {
      inherit (inputs) nixpkgs;
      self = inputs.conntally;
    };
  };

  # What any system has, be it ever so small.
  machine = {
    nixpkgs.hostPlatform = "x86_64-linux";
    boot.loader.grub.enable = false;
    fileSystems."/" = {
      device = "none";
      fsType = "tmpfs";
    };
    system.stateVersion = lib.trivial.release;
  };

  evaluate =
    settings:
    import (nixpkgs + "/nixos/lib/eval-config.nix") {
      system = null;
      modules = [
        machine
        ../.
        settings
      ];
    };

  minimal = ../examples/minimal.nix;
  extend = settings: evaluate { imports = [ minimal ] ++ lib.toList settings; };

  good = import ./good.nix {
    inherit
      evaluate
      extend
      inputs
      lib
      machine
      minimal
      ;
  };

  # Which settings there are, and what they are by default.
  settings = settingsOf good.minimal.options.services.conntally.settings;
  historySettings = settingsOf good.minimal.options.services.conntally.history.settings;
  settingsOf =
    option:
    let
      inherit (option) type;
      options = lib.filter (option: option.visible && !option.internal) (
        lib.optionAttrSetToDocList (type.getSubOptions [ ])
      );
      literals = map (option: lib.nameValuePair option.name (option.default.text or "none")) options;
    in
    removeAttrs (lib.listToAttrs literals) [ "_module.args" ];

  inherit (import ./outcome.nix { inherit lib; }) outcome difference;
  reference = outcome good.minimal;
in
{
  # All that the flake has to build.
  flake = lib.genAttrs [
    "packages"
    "checks"
    "devShells"
  ] (output: lib.mapAttrs (_: lib.mapAttrs (_: one: one.drvPath)) inputs.conntally.${output});

  # Of the record's differences: evaluated at once, they would take gigabytes.
  names = lib.attrNames (removeAttrs good [ "minimal" ]);

  record = {
    inherit settings historySettings;
    nixpkgs = lib.trivial.release;
    minimal = reference;
    differences = lib.mapAttrs (_: one: difference reference (outcome one)) (
      removeAttrs good [ "minimal" ]
    );
  };

  wrong = lib.mapAttrs (_: one: one.config.system.build.toplevel.drvPath) (
    import ./wrong.nix { inherit evaluate extend lib; }
  );
}
