// Package message is everything that crosses MQTT: topics, payloads, the classes of
// records, and how a pack of history is written. Whoever publishes, reads or checks a
// message takes its names from here. docs/mqtt.md describes each for users.
package message

// Topics below meltwatch/<site>/<furnace>/. All are published with QoS 1.
const (
	TopicAvailability = "availability" // retained: Online, Offline (last will)
	TopicState        = "state"        // retained: State, each second
	TopicCurrent      = "current"      // Current, each sample
	TopicEvent        = "event"        // Event
	TopicHealth       = "health"       // retained: Health
	// What is heard, and said about it; packages remote, rollout and command own
	// the payloads.
	TopicConfigDesired  = "config/desired"
	TopicConfigReported = "config/reported" // retained
	TopicModelDesired   = "model/desired"
	TopicModelChunk     = "model/chunk/+"
	TopicModelReported  = "model/reported" // retained
	TopicCommand        = "command"
	TopicCommandResult  = "command/result"
	TopicSnapshot       = "snapshot" // JPEG
	TopicHistory        = "history/" // + state, current, event: what an outage kept back
)

// What TopicAvailability says.
const (
	Online  = "online"
	Offline = "offline"
)

// Root is the start of every topic of one furnace.
func Root(site, furnace string) string { return "meltwatch/" + site + "/" + furnace + "/" }

// Class is a kind of record; it is also the last part of its topic.
type Class string

// The classes, in the order in which they are given up when the outbox is full:
// the last one goes first.
const (
	ClassEvent   Class = "event"
	ClassState   Class = "state"
	ClassCurrent Class = "current"
)

// Classes lists the classes, the one that is given up last first.
func Classes() []Class { return []Class{ClassEvent, ClassState, ClassCurrent} }
