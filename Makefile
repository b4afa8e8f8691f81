# Two commands matter: make demo, make test. They install what they lack and use
# sudo only where root is needed, so that your own Go is found.

GO       ?= go
SUDO     := $(if $(filter 0,$(shell id -u)),,sudo)
VERSION  := $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
TOOLS    := $(CURDIR)/.tools

GOFLOW2       = github.com/netsampler/goflow2/v2/cmd/goflow2@v2.2.6
GOLANGCI_LINT = github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.10.1

export CGO_ENABLED = 0

.PHONY: build demo test unit lint fuzz tools clean

build: ## the program, ./conntally
	$(GO) build -trimpath -ldflags "-s -w -X main.version=$(VERSION)" -o conntally ./cmd/conntally

demo: build ## a NAT router in network namespaces, real traffic, the flows
	$(SUDO) ./conntally demo

# With root, tests build routers in network namespaces and run collectors there. One
# package at a time: a few settings that they change are the whole machine's.
test: tools ## all tests, against the real kernel and real collectors
	$(GO) vet ./...
	$(GO) test -p 1 -exec '$(CURDIR)/.ci/as-root' -timeout 15m ./...

unit: ## the tests that need no root
	$(GO) test ./...

lint: $(TOOLS)/golangci-lint ## style, and who may import whom
	$(TOOLS)/golangci-lint run ./...

FUZZTIME ?= 5m
fuzz: ## each fuzzer for FUZZTIME
	.ci/fuzz $(FUZZTIME)

tools: $(TOOLS)/goflow2
	.ci/need nfcapd:nfdump nft:nftables

$(TOOLS)/goflow2:
	GOBIN=$(TOOLS) $(GO) install $(GOFLOW2)

$(TOOLS)/golangci-lint:
	GOBIN=$(TOOLS) $(GO) install $(GOLANGCI_LINT)

clean:
	rm -rf conntally $(TOOLS)
