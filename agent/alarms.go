package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"time"

	"meltwatch/agent/alarm"
	"meltwatch/agent/decide"
	"meltwatch/agent/message"
	"meltwatch/agent/settings"
	"meltwatch/agent/state"
	"meltwatch/inference"
	"meltwatch/retry"
)

// openAlarms builds the trackers of alarms and of suspicions.
func (a *Agent) openAlarms() {
	s := alarm.Settings{
		Publish: func(now message.Alarm) { a.retain(message.TopicAlarm, now) },
		Event:   a.reporter.Event,
		Raised:  a.alarmRaised,
		Stamper: a.stamper, Files: a.env.Files(a.config.Load().Paths.State), Log: a.log("alarm"),
		Thresholds: a.thresholds,
		Levels: func() inference.Rule {
			return settings.Decision(*a.config.Load(), a.live.Load().manifest).Rule
		},
	}
	a.alarms = alarm.Open(s)
	s.Publish = func(now message.Alarm) { a.retain(message.TopicSuspicion, now) }
	s.Thresholds = func() (enter, exit float64) {
		suspect := settings.Params(a.config.Load().State, a.live.Load().manifest.Decision).Suspect
		return suspect.Enter, suspect.Exit
	}
	s.Raised = nil // one picture for each alarm is enough
	a.suspicions = alarm.OpenSuspicions(s, a.alarms)
}

// retainLastAlarm publishes the last alarm and the last suspicion once there is a
// publisher: a subscriber that comes later than the agent finds them too.
func (a *Agent) retainLastAlarm() {
	if last := a.alarms.Newest(); last != nil {
		a.retain(message.TopicAlarm, *last)
	}
	if last := a.suspicions.Newest(); last != nil {
		a.retain(message.TopicSuspicion, *last)
	}
}

// tracked is the tracker of an alarm or a suspicion by its id; if the id is empty, that of
// the active one. Without any it is that of the alarms, which tells so.
func (a *Agent) tracked(id string) *alarm.Tracker {
	if !a.alarms.Has(id) && a.suspicions.Has(id) {
		return a.suspicions
	}
	return a.alarms
}

// shelve silences the alarm or the suspicion with an id, or the active one, for a time.
func (a *Agent) shelve(id, by, reason string, lasts time.Duration) error {
	return a.tracked(id).Shelve(id, by, reason, lasts)
}

func (a *Agent) retain(topic string, payload any) {
	text, err := json.Marshal(payload)
	if err != nil {
		a.env.Log.Error("payload not encoded", "topic", topic, "err", err)
		return
	}
	a.out.Retain(topic, text)
}

// thresholds are those in effect for the mean of p(abnormal).
func (a *Agent) thresholds() (enter, exit float64) {
	p := settings.Params(a.config.Load().State, a.live.Load().manifest.Decision)
	return p.Enter, p.Exit
}

// looksAbnormal reports whether the picture may show what the background must not absorb.
func (a *Agent) looksAbnormal(s decide.Decision) bool {
	return s.Status.State == state.Abnormal ||
		s.Verdict.Source == state.Model && s.Verdict.P >= a.live.Load().manifest.Decision.FreezeBackground
}

// saveAlarmAgain is the wait before an alarm that the disk refused is saved again.
const saveAlarmAgain = 10 * time.Second

// saveSteps writes each step of an alarm or a suspicion until no further one can come. Only
// it waits for the disk.
func (a *Agent) saveSteps(of *alarm.Tracker, ended <-chan struct{}) {
	faults := &retry.Faults{Log: a.log("alarm")}
	again := time.NewTicker(saveAlarmAgain)
	defer again.Stop()
	var waiting *message.Alarm // not on the disk yet
	save := func() {
		if waiting == nil {
			return
		}
		if err := of.Save(*waiting); err != nil {
			faults.Report(fmt.Errorf("not saved for the next start: %w", err))
			return
		}
		faults.Over()
		waiting = nil
	}
	for {
		select {
		case <-ended:
			select {
			case last := <-of.Saves():
				waiting = &last
			default:
			}
			save()
			return
		case newest := <-of.Saves():
			waiting = &newest
		case <-again.C:
		}
		save()
	}
}

// alarmRaised publishes the picture of an alarm, with what speaks for it drawn.
func (a *Agent) alarmRaised(raised message.Alarm) {
	if !a.config.Load().Alarm.Snapshot || !raised.Counted.Video {
		return
	}
	a.snapshots.Go(func() {
		jpeg, err := a.evidenceSnapshot(context.Background(), raised)
		if err != nil {
			a.log("alarm").Warn("alarm without a picture", "err", err)
			return
		}
		a.out.Answer(message.TopicSnapshot, jpeg)
	})
}

// evidenceSnapshot is the newest picture with an alarm's evidence drawn.
func (a *Agent) evidenceSnapshot(ctx context.Context, of message.Alarm) ([]byte, error) {
	const quality = 80
	picture, _, err := a.view(ctx, snapshotWidth, quality)
	if err != nil {
		return nil, err
	}
	drawn, err := alarm.Draw(picture, a.cropShare(), of.Evidence, of.Change)
	if err != nil {
		return nil, err
	}
	if len(drawn) > snapshotBytes {
		return nil, errors.New("the picture is larger than 256 KiB")
	}
	return drawn, nil
}

// cropShare is the crop in thousandths of the whole picture's width and height.
func (a *Agent) cropShare() image.Rectangle {
	const whole = 1000
	crop := a.config.Load().Camera.Crop
	sized, ok := a.video.source().(interface{ PictureSize() (width, height int) })
	if !ok || crop.Width == 0 {
		return image.Rect(0, 0, whole, whole)
	}
	width, height := sized.PictureSize()
	if width == 0 || height == 0 {
		return image.Rect(0, 0, whole, whole)
	}
	return image.Rect(whole*crop.X/width, whole*crop.Y/height, whole*(crop.X+crop.Width)/width, whole*(crop.Y+crop.Height)/height)
}

// acknowledge marks the alarm or suspicion with an id as seen, or the active one if the id
// is empty, and ends one that is only held. It reports whether one was held. Both happen
// between two seconds, so that no other alarm begins in between.
func (a *Agent) acknowledge(ctx context.Context, id, by string) (held bool, err error) {
	doErr := a.loop.Do(ctx, func() {
		if err = a.tracked(id).Acknowledge(id, by); err == nil {
			held = a.loop.Decider().Machine().Acknowledge(time.Now())
		}
	})
	return held, errors.Join(doErr, err)
}
