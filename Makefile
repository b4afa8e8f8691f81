# Two commands matter: make demo, make test. They use sudo only where root is needed,
# so that your own Go is found; the second installs what it lacks.

GO       ?= go
SUDO     := $(if $(filter 0,$(shell id -u)),,sudo)
TOOLS    := $(CURDIR)/.tools

GOFLOW2       = github.com/netsampler/goflow2/v2/cmd/goflow2@v2.2.6
GOLANGCI_LINT = github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.10.1
NFPM          = github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.45.0

export CGO_ENABLED = 0
export GO
# The profile of the program is for the program alone (.ci/build): with it, tests would compile all
# packages once more.
export GOFLAGS += -pgo=off

.PHONY: profile build build-history install install-history uninstall uninstall-history demo demo-history test soak unit race lint fuzz bench bench-quick bench-instructions compare tools clean \
	bpf-check nix-check nix-record nixos-test vendor-hash release reproducible package-test image-test service-test unit-test guest-test guest-test-all qemu-test

build: go ## the program, ./conntally
	.ci/build native conntally

build-history: go ## the second program, ./conntally-history; the first time SQLite takes minutes
	.ci/build native conntally-history conntally-history

# PREFIX=/usr/local, SYSCONFDIR=/etc and DESTDIR say where.
install: ## what build has built, as a service
	module/install

install-history: ## what build-history has built, as a service
	module/install install conntally-history

uninstall: ## all of it but the configuration
	module/install uninstall

uninstall-history: ## all of it but the configuration and the database
	module/install uninstall conntally-history

.PHONY: go say-build say-test
go:
	@.ci/go-needed

say-build: go
	@echo "building: a minute or two the first time, seconds later; then the demonstration, about 10 s"

say-test: go
	@echo "installs with apt what it lacks, builds, and runs all tests: some 10 minutes on two idle cores;"
	@echo "the first time some minutes more, for packages and modules. Each package of Go prints a line."

demo: say-build build ## a NAT router in network namespaces, real traffic, the flows
	$(SUDO) ./conntally demo

demo-history: build-history ## the same router with conntally-history as its collector: report and page
	$(SUDO) ./conntally-history demo

# With root, tests build routers in network namespaces and run collectors there. One
# package at a time: a few settings that they change are the whole machine's. Four tests at
# a time, on two cores as well: most of what they do is wait.
test: say-test tools ## all tests, against the real kernel and real collectors
	$(GO) vet ./...
	$(GO) test -p 1 -parallel 4 -exec '$(CURDIR)/.ci/as-root' -timeout 15m ./...

SOAK = 10m
soak: tools ## five collectors and a LAN's noise for SOAK; every byte is to arrive at each
	CONNTALLY_SOAK=$(SOAK) $(GO) test -exec '$(CURDIR)/.ci/as-root' -count=1 -v -timeout 0 -run '^TestEachCollectorGetsEveryByteOnce$$' ./cmd/conntally

race: tools ## the tests under the race detector, without the longest
	.ci/race

unit: ## the tests that need no root
	$(GO) test ./...

bpf-check: ## the eBPF object is what its source compiles to
	.ci/bpf

lint: $(TOOLS)/golangci-lint ## style, who may import whom, and shell scripts
	$(TOOLS)/golangci-lint run ./...
	.ci/imports
	.ci/shell-test

bench: build $(TOOLS)/bench ## what it costs, beside softflowd and others; 55 minutes, on a machine at rest
	.ci/peers nft:nftables softflowd:softflowd fprobe:fprobe pmacctd:pmacct ulogd:ulogd2
	$(SUDO) $(TOOLS)/bench

bench-quick: build $(TOOLS)/bench ## the same in three minutes, softflowd alone, once
	.ci/peers nft:nftables softflowd:softflowd
	$(SUDO) $(TOOLS)/bench -quick

bench-instructions: build $(TOOLS)/bench ## what softflowd and conntally execute per packet, flow and poll; three minutes
	.ci/peers nft:nftables softflowd:softflowd valgrind:valgrind
	$(SUDO) $(TOOLS)/bench -instructions

.PHONY: $(TOOLS)/bench
$(TOOLS)/bench:
	$(GO) build -trimpath -o $@ ./bench

compare: ## the hot path of another tree against this one: make compare BASE=DIR
	.ci/compare '$(BASE)'

FUZZTIME ?= 5m
fuzz: ## each fuzzer for FUZZTIME
	.ci/fuzz $(FUZZTIME)

# TARGETS='amd64 mipsle' builds for those alone. The version is that of the tag: v0.1.0 is 0.1.0.
release: $(TOOLS)/nfpm ## dist/: programs and packages for all targets, checksums
	.ci/release

profile: ## what the compiler inlines in the program, by its benchmarks
	.ci/profile

reproducible: $(TOOLS)/nfpm ## the release of this commit, twice, compared
	.ci/reproducible

package-test: release ## the packages, installed and removed on an overlay of this system
	.ci/package-test

service-test: release ## the deb as a service of a systemd of its own, in namespaces
	.ci/service-test

image-test: ## the container image, built and run by podman as docs/container.md says
	.ci/need podman:podman runc:runc conmon:conmon
	$(GO) test -exec '$(CURDIR)/.ci/as-root' -count=1 -timeout 10m -run '^TestContainerAsDocumented$$' ./module

unit-test: build build-history ## the systemd units
	.ci/unit-test

guest-test: release ## tests on Debian's kernel of its stable release, emulated
	.ci/guest/test trixie-amd64

guest-test-all: release ## the same on kernels old and new, and on other machines
	for guest in bookworm-amd64 trixie-amd64 sid-amd64 trixie-arm64; do .ci/guest/test $$guest || exit; done
	.ci/guest/test bookworm-s390x totals demo

qemu-test: ## tests on arm and mips, emulated, and on 386
	.ci/qemu-test

# NIXPKGS=DIR, a checkout of nixpkgs, has whole systems evaluated as well.
nix-check: ## what there is for Nix, as far as it can be tried without building
	.ci/need nix-instantiate:nix-bin systemd-analyze:systemd iptables:iptables nft:nftables
	NIXPKGS='$(abspath $(NIXPKGS))' $(GO) test -count=1 -timeout 30m ./module

nixos-test: build tools ## the steps of the test on virtual machines, on network namespaces
	.ci/need python3:python3 curl:curl jq:jq conntrack:conntrack ss:iproute2
	.ci/as-root .ci/nixos-test

nix-record: ## what a real nixpkgs makes of the NixOS module, from NIXPKGS=DIR
	.ci/need nix-instantiate:nix-bin
	NIXPKGS='$(abspath $(NIXPKGS))' $(GO) test -count=1 -timeout 30m -run '^TestEvaluation$$' ./module -update

vendor-hash: ## the hash of the dependencies, into module/package.nix
	.ci/vendor-hash write

tools: $(TOOLS)/goflow2
	.ci/need dbus-daemon:dbus-daemon jq:jq tshark:tshark dumpcap:wireshark-common sqlite3:sqlite3 nft:nftables ip:iproute2 \
		conntrack:conntrack sysctl:procps busybox:busybox dhclient:isc-dhcp-client curl:curl zsh:zsh fish:fish mandoc:mandoc
	command -v google-chrome >/dev/null || .ci/need chromium:chromium || echo "no Chromium: pages are not tried in a browser"
	.ci/peers nfcapd:nfdump nfacctd:pmacct promtool:prometheus softflowd:softflowd fprobe:fprobe ulogd:ulogd2 \
		dnsmasq:dnsmasq-base kea-dhcp4:kea-dhcp4-server kea-dhcp6:kea-dhcp6-server dhcpd:isc-dhcp-server

$(TOOLS)/goflow2:
	GOBIN=$(TOOLS) $(GO) install $(GOFLOW2)

$(TOOLS)/golangci-lint:
	GOBIN=$(TOOLS) $(GO) install $(GOLANGCI_LINT)

$(TOOLS)/nfpm:
	GOBIN=$(TOOLS) $(GO) install $(NFPM)

clean:
	rm -rf conntally conntally-history dist $(TOOLS)
