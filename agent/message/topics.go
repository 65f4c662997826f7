// Package message defines everything that crosses MQTT: topics, payloads, the classes
// of records, and the encoding of a pack of samples. Publishers, subscribers and tests
// take all names from here. docs/mqtt.md describes the messages for users.
package message

// Topics below meltwatch/<site>/<furnace>/. All are published with QoS 1.
const (
	TopicAvailability = "availability" // retained: Online, Offline (last will)
	TopicState        = "state"        // retained: State, each second
	TopicCurrent      = "current"      // Current, each sample
	TopicEvent        = "event"        // Event
	TopicHealth       = "health"       // retained: Health
	// Topics for documents and commands, and for their results.
	TopicConfigDesired  = "config/desired"
	TopicConfigReported = "config/reported" // retained
	TopicModelDesired   = "model/desired"
	TopicModelChunk     = "model/chunk/+"
	TopicModelReported  = "model/reported" // retained
	TopicCommand        = "command"
	TopicCommandResult  = "command/result"
	TopicSnapshot       = "snapshot" // JPEG
	TopicHistory        = "history/" // + state, current, event: records delivered late
)

// The payloads of TopicAvailability.
const (
	Online  = "online"
	Offline = "offline"
)

// Root is the start of every topic of one furnace.
func Root(site, furnace string) string { return "meltwatch/" + site + "/" + furnace + "/" }

// Class is a kind of record; it is also the last part of its topic.
type Class string

// The classes in order of priority: when the outbox is full, records of the last class
// are dropped first.
const (
	ClassEvent   Class = "event"
	ClassState   Class = "state"
	ClassCurrent Class = "current"
)

// Classes of retained payloads, which the outbox does not keep.
const (
	ClassAlarm     Class = "alarm"
	ClassSuspicion Class = "suspicion"
	ClassHealth    Class = "health"
)

// Classes returns the classes, highest priority first.
func Classes() []Class { return []Class{ClassEvent, ClassState, ClassCurrent} }
