# What is set by an option of the module is set in the file's settings, with the same priority.
# A default is not.
{ lib }:
let
  isSet = option: option.highestPrio < (lib.mkOptionDefault null).priority;
in
option: settings: lib.mkIf (isSet option) (settings (lib.mkOverride option.highestPrio option.value))
