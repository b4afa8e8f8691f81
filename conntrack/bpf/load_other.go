//go:build !(amd64 || arm64 || riscv64)

package bpf

import "errors"

type loader struct{}

func newLoader() *loader { return &loader{} }

func (*loader) load(Step, uint32, sizes) (*ends, error) { return nil, ErrArchitecture }

func explain(failed []error) error { return errors.Join(failed...) }
