{
  lib,
  buildGoModule,
  installShellFiles,
  versionCheckHook,
}:

buildGoModule (finalAttrs: {
  pname = "conntally";
  version = "0.1.0";

  # All that tests read, too.
  src = lib.fileset.toSource {
    root = ../.;
    fileset = lib.fileset.unions [
      ../.ci
      ../CHANGELOG.md
      ../CONTRIBUTING.md
      ../LICENSE
      ../Makefile
      ../README.md
      ../SECURITY.md
      ../bench
      ../cmd
      ../conntrack
      ../docs
      ../export
      ../flake.lock
      ../flake.nix
      ../flow
      ../go.mod
      ../go.sum
      ../module
    ];
  };

  # Of what `go mod vendor` writes: make vendor-hash.
  vendorHash = "sha256-bSY/X9Uux0pEOGu/jjzYXNiLZWA9SI5WhGcslxokMRg=";

  env.CGO_ENABLED = 0;
  tags = [ "nethttpomithttp2" ]; # metrics don't need it
  ldflags = [
    "-s"
    "-X=main.version=${finalAttrs.version}"
  ];

  # Builds the programs alone, but tests everything.
  subPackages = [
    "cmd/conntally"
    "cmd/conntally-history"
  ];
  preCheck = "unset subPackages";

  nativeBuildInputs = [ installShellFiles ];
  postInstall = ''
    installManPage module/man/*
    for program in conntally conntally-history; do
      installShellCompletion --cmd $program --bash module/completions/$program.bash \
        --fish module/completions/$program.fish --zsh module/completions/$program.zsh
    done
  '';

  nativeInstallCheckInputs = [ versionCheckHook ];
  doInstallCheck = true;

  meta = {
    description = "NetFlow and IPFIX export of the kernel's connection tracking";
    homepage = "https://github.com/conntally/conntally";
    changelog = "https://github.com/conntally/conntally/blob/main/CHANGELOG.md";
    license = lib.licenses.mit;
    platforms = lib.platforms.linux;
    mainProgram = "conntally";
  };
})
