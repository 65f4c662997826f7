package main

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"testing"

	"meltwatch/child"
	"meltwatch/inference"
)

// Under the name of the inference child the test binary is one, whose model
// answers what is no number.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) != "meltwatch-infer" {
		os.Exit(m.Run())
	}
	service := child.Service{Name: "Model", Version: inference.ChildVersion, Receiver: nanModel{}}
	if err := child.Serve(context.Background(), service); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

type nanModel struct{}

func (nanModel) Load(_ inference.LoadRequest, reply *inference.LoadReply) error {
	reply.Manifest.Name = "nan"
	return nil
}

func (nanModel) EncodeFrame(_ inference.Frame, reply *inference.Encoded) error {
	reply.Tokens = []float32{float32(math.NaN())}
	return nil
}

func (nanModel) Step(_ inference.Window, reply *inference.Outputs) error {
	*reply = inference.Outputs{inference.PAbnormal: {float32(math.NaN())}}
	return nil
}
