module github.com/tensorflow/tensorflow/tensorflow/go/core

go 1.22

require google.golang.org/protobuf v1.36.6
