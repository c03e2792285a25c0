//go:build tools

// Package tools names the program that this module builds, so that `go mod tidy` keeps its pins.
package tools

import _ "github.com/hashicorp/packer-plugin-outscale"
