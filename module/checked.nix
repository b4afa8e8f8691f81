# A configuration file that the program itself has found good while the system was built. A file
# that comes into being at run time, or a program for another machine, can't be tried now.
{ lib, pkgs }:
{
  package,
  command, # what says whether conntally.toml is good
  option, # whose fault it is
  file,
}:
let
  checkable =
    (builtins.isPath file || lib.hasPrefix builtins.storeDir (toString file))
    && pkgs.stdenv.buildPlatform.canExecute pkgs.stdenv.hostPlatform;

  checked =
    pkgs.runCommand "conntally.toml"
      {
        nativeBuildInputs = [ package ];
        preferLocalBuild = true;
        passthru = { inherit file; };
      }
      ''
        ln -s ${file} conntally.toml
        if ! ${command}; then
          echo "${option}: the configuration above is no good" >&2
          exit 1
        fi
        ln -s ${file} $out
      '';
in
if checkable then checked else file
