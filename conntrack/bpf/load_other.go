//go:build !(amd64 || arm64 || riscv64)

package bpf

func load(Step, uint32, sizes) (*ends, error) { return nil, ErrArchitecture }

func explain(err error) error { return err }
