//go:build tools

// Package tools keeps the program that is built from here in go.mod.
package tools

import _ "sigs.k8s.io/lws/cmd"
