package remote

import (
	"strings"
	"testing"
	"time"

	"meltwatch/agent/message"
)

// The result of each reload, and of none else, lies beside the journal.
func TestResultOfAReloadIsRecorded(t *testing.T) {
	bubble(t, notThirteen, func(b *fakeAgent) {
		if last, err := LastReload(b.disk); err != nil || last.File != "" || last.Report.Status != "" {
			t.Errorf("before the first: %+v, %v", last, err)
		}
		b.send(desired(1, meanSeconds(30)))
		if last, err := LastReload(b.disk); err != nil || last.Report.Status != "" {
			t.Errorf("after a document: %+v, %v", last, err)
		}
		var before time.Time
		for _, c := range []struct{ text, status, key string }{
			{local, message.Applied, ""},
			{local[:len(local)-1] + ", state: {hold_seconds: 20}}", message.Applied, ""},
			{local[:len(local)-1] + ", state: {hold_seconds: 20}}", message.Applied, ""},
			{local[:len(local)-1] + ", log: {level: warn}, state: {mean_seconds: 13}}", message.Applied, ""}, // the document hides it
			{"{", message.Rejected, ""},
			{strings.Replace(local, "plant", "other", 1), message.Rejected, "site"},
		} {
			b.local = c.text
			b.manager.Reload()
			b.sleep(2 * time.Minute)
			last, err := LastReload(b.disk)
			if err != nil || last.File != FileSum([]byte(c.text)) || last.Report.Status != c.status || !last.Report.Time.After(before) ||
				c.key != "" && last.Report.Errors[0].Key != c.key {
				t.Errorf("%.60s: %+v, %v", c.text, last, err)
			}
			before = last.Report.Time
		}
		b.local = local
		b.manager.Reload()
		b.sleep(2 * time.Minute)
		b.send(nil) // back to the file alone
		b.local = local[:len(local)-1] + ", state: {mean_seconds: 13}}"
		b.manager.Reload()
		b.sleep(2 * time.Minute)
		last, err := LastReload(b.disk)
		if err != nil || last.Report.Status != message.RolledBack || len(last.Report.Errors) == 0 {
			t.Errorf("%+v, %v", last, err)
		}
	})
}
