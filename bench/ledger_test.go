package main

import (
	"os"
	"strings"
	"testing"
	"time"
)

func TestMain(m *testing.M) {
	if folder := os.Getenv(victimFolder); folder != "" {
		os.Exit(victim(folder))
	}
	os.Exit(m.Run())
}

// The small form of what make prove does a million times.
func TestLedgerBalances(t *testing.T) {
	if testing.Short() {
		t.Skip("half a minute of real time: left out by -short")
	}
	var report strings.Builder
	err := ledgerCommand{Records: 40_000, Kills: 12, Outages: 4, Rate: 2500, Seed: 1, Slack: 2 * time.Second}.Run(t.Context(), &report)
	t.Log("\n" + report.String())
	if err != nil {
		t.Fatal(err)
	}
}
